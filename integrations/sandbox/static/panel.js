/* Behind the scenes: how the provider answers, and what it was sent last. */

import { $, make } from "./elements.js";

const ANSWERS = [
  ["ok", "OK", "Every message is taken."],
  ["429", "429", "Too many requests: Patchbay waits a second and sends again."],
  ["500", "500", "The provider fails and does not take the message."],
  ["refuse", "Refuse", "The provider refuses the message for good."],
  ["slow", "Slow", "The answer takes five seconds."],
  ["garbage", "Garbage", "The message is taken, but the answer cannot be read."],
];

export function drawPanel(state) {
  $("reports").checked = state.reports;
  for (const radio of document.getElementsByName("answer")) radio.checked = radio.value === state.next_answer;
  const [, , hint] = ANSWERS.find(([value]) => value === state.next_answer) || ["", "", ""];
  $("answer-hint").textContent = hint;
  const request = state.last_request;
  if (!request) return;
  $("last-request").textContent = request.text;
  $("answered").hidden = false;
  $("answered").textContent = request.answered ? `answered ${request.answered}` : "not answered yet";
  $("answered").classList.toggle("bad", request.answered !== 200);
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
