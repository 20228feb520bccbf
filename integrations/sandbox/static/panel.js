/* Behind the scenes: which service this is, how it answers, and what it was sent last. */

import { $, make } from "./elements.js";

const ANSWERS = [
  ["ok", "OK", "Every message is taken."],
  ["429", "429", "Too many requests: Patchbay waits and sends again."],
  ["500", "500", "The service fails and does not take the message."],
  ["refuse", "Refuse", "The service refuses the message for good."],
  ["slow", "Slow", "The answer takes five seconds."],
  ["garbage", "Garbage", "The message is taken, but the answer cannot be read."],
];

function drawService(service) {
  if ($("service").textContent === service.name) return;
  $("service").textContent = service.name;
  $("reports").disabled = !service.reports;
  $("reports-hint").textContent = service.reports ? "Tell Patchbay when a message has arrived" : "This service never tells when a message has arrived";
  for (const part of document.querySelectorAll(".adds-picture")) part.hidden = !service.pictures;
  document.title = `Phone · ${service.name}`;
  $("values").replaceChildren(...service.values.flatMap(({ label, value }) => [make("dt", "", label), make("dd", "", value)]));
}

export function drawPanel(state) {
  drawService(state.service);
  $("reports").checked = state.reports && state.service.reports;
  for (const radio of document.getElementsByName("answer")) radio.checked = radio.value === state.next_answer;
  const [, , hint] = ANSWERS.find(([value]) => value === state.next_answer) || ["", "", ""];
  $("answer-hint").textContent = hint;
  const request = state.last_request;
  if (!request) return;
  $("last-request").textContent = request.text;
  $("answer-title").hidden = false;
  $("answered").textContent = request.answered || "not yet";
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
