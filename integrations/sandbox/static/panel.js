/* The panel: the simulated provider, its next response, and the last request. */

import { $, make } from "./elements.js";

const ANSWERS = [
  ["ok", "OK", "Messages are accepted."],
  ["429", "429", "Too many requests. Patchbay waits and retries."],
  ["500", "500", "The provider fails and does not accept the message."],
  ["refuse", "Reject", "The provider rejects the message permanently."],
  ["slow", "Slow", "The response takes five seconds."],
  ["garbage", "Garbage", "The message is accepted, but the response cannot be read."],
];

function drawProvider(provider) {
  if ($("provider").textContent === provider.name) return;
  $("provider").textContent = provider.name;
  $("reports").disabled = !provider.reports;
  $("reports-hint").textContent = provider.reports ? "Tell Patchbay when a message is delivered" : "This provider sends no delivery reports";
  for (const part of document.querySelectorAll(".adds-picture")) part.hidden = !provider.pictures;
  document.title = `Phone · ${provider.name}`;
  $("values").replaceChildren(...provider.values.flatMap(({ label, value }) => [make("dt", "", label), make("dd", "", value)]));
}

export function drawPanel(state) {
  drawProvider(state.provider);
  $("reports").checked = state.reports && state.provider.reports;
  for (const radio of document.getElementsByName("answer")) radio.checked = radio.value === state.next_answer;
  const [, , hint] = ANSWERS.find(([value]) => value === state.next_answer) || ["", "", ""];
  $("answer-hint").textContent = hint;
  const request = state.last_request;
  if (!request) return;
  $("last-request").textContent = request.text;
  $("answer-title").hidden = false;
  $("answered").textContent = request.answered || "pending";
  $("answered").classList.toggle("bad", request.answered >= 300);
  $("last-answer").textContent = request.answer;
  $("last-answer").hidden = !request.answer;
}

export function startPanel(post) {
  for (const [value, label] of ANSWERS) {
    const pill = make("label");
    const radio = make("input", "visually-hidden");
    Object.assign(radio, { type: "radio", name: "answer", value });
    radio.addEventListener("change", () => post("phone/settings", JSON.stringify({ answer: value })));
    pill.append(radio, make("span", "", label));
    $("answers").append(pill);
  }
  $("reports").addEventListener("change", (event) => post("phone/settings", JSON.stringify({ reports: event.target.checked })));
  $("open-panel").addEventListener("click", () => { document.body.classList.add("show-panel"); $("close-panel").focus(); });
  $("close-panel").addEventListener("click", () => { document.body.classList.remove("show-panel"); $("open-panel").focus(); });
}
