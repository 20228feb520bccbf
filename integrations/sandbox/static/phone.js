import { $, make, spelled, time, toast } from "./elements.js";
import { drawPanel, startPanel } from "./panel.js";

const POLL_EVERY = 1000;
const LARGEST_PICTURE = 5 * 1024 * 1024;

const messages = new Map();
const read = new Map(); // conversation → the highest id that was read
let cursor = "";
let own = "";
let contact = ""; // the number of this phone
let number = ""; // the number in the open conversation
let labels = [];
let picture = null;
let drawn = ""; // the conversation on the screen
let atEnd = true; // the newest message is in view, and stays in view

const labelOf = (value) => (labels.find((each) => each.number === value) || {}).label || "";
const nameOf = (value) => value.split(", ").map((each) => labelOf(each) || spelled(each)).join(", "); // of a group, all
const isGroup = (value) => value.includes(",");
const key = (message) => `${message.contact} ${message.number}`;

/* Requests to the sandbox */

async function post(path, body, type) {
  try {
    const response = await fetch(path, { method: "POST", body, headers: { "Content-Type": type || "application/json" } });
    if (!response.ok) toast((await response.json()).error);
    return response.ok;
  } catch {
    toast("The sandbox does not respond. Is it still running?");
    return false;
  } finally {
    poll();
  }
}

let polling = false;
let connected = true;

async function poll() {
  if (polling) return;
  polling = true;
  try {
    const response = await fetch(`state?since=${encodeURIComponent(cursor)}`);
    if (response.status === 200) take(await response.json());
    if (!connected) toast("");
    connected = true;
  } catch {
    connected = false;
    toast("The sandbox does not respond. Trying again…");
  } finally {
    polling = false;
  }
}

function take(state) {
  if (state.reset) {
    messages.clear();
    read.clear();
    drawn = "";
  }
  cursor = state.cursor;
  own = state.phone;
  labels = state.numbers;
  contact = contact || own;
  for (const message of state.messages) messages.set(message.id, message);
  drawAll();
  drawPanel(state);
}

/* Drawing */

function drawAll() {
  drawContacts();
  drawConversations();
  drawNumbers();
  drawBubbles();
}

function drawContacts() {
  const contacts = new Set([own]);
  for (const message of messages.values()) contacts.add(message.contact);
  const options = [...contacts].map((value) => {
    const waiting = [...messages.values()].filter((each) => each.contact === value && isUnread(each)).length;
    return new Option(spelled(value) + (waiting && value !== contact ? ` (${waiting} new)` : ""), value, false, value === contact);
  });
  const text = options.map((option) => option.text).join();
  if ($("contact").dataset.drawn === text) return;
  $("contact").dataset.drawn = text;
  $("contact").replaceChildren(...options);
}

const isUnread = (message) => !message.mine && message.id > (read.get(key(message)) || 0);

function conversationButton(value, last, when, unread, choose = openTalk) {
  const button = make("button");
  button.type = "button";
  const label = labelOf(value);
  button.append(make("span", "avatar", isGroup(value) ? value.split(",").length + 1 : label ? label.trim()[0].toUpperCase() : value.slice(-2)));
  button.firstChild.setAttribute("aria-hidden", "true");
  const middle = make("span", "middle");
  middle.append(make("span", "name", nameOf(value)), make("span", "last", last));
  const side = make("span", "side", when);
  if (unread) {
    const badge = make("span", "unread", unread);
    badge.append(make("span", "visually-hidden", " new"));
    side.append(badge);
  }
  button.append(middle, side);
  button.addEventListener("click", () => choose(value));
  const item = make("li");
  item.append(button);
  return item;
}

function drawConversations() {
  const latest = new Map();
  const unread = new Map();
  for (const message of messages.values()) {
    if (message.contact !== contact) continue;
    latest.set(message.number, message);
    if (isUnread(message)) unread.set(message.number, (unread.get(message.number) || 0) + 1);
  }
  const items = [...latest.values()].sort((a, b) => b.id - a.id).map((message) => {
    const what = message.text || (message.file ? "Picture" : message.note);
    const who = message.mine ? "You: " : message.sender ? `${nameOf(message.sender)}: ` : "";
    return conversationButton(message.number, who + what, time(message.at), unread.get(message.number));
  });
  const text = items.map((item) => item.textContent).join("\n");
  if ($("conversations").dataset.drawn !== text) {
    $("conversations").dataset.drawn = text;
    $("conversations").replaceChildren(...items);
  }
  $("no-conversations").hidden = items.length > 0;
}

function drawNumbers() {
  if ($("numbers").childElementCount === labels.length) return;
  $("numbers").replaceChildren(...labels.map((each) => conversationButton(each.number, spelled(each.number), "", 0, choose)));
}

function drawBubbles() {
  if (!number) return;
  const list = $("bubbles");
  const current = `${contact} ${number}`;
  if (drawn !== current) {
    list.replaceChildren();
    drawn = current;
    atEnd = true;
  }
  for (const message of messages.values()) {
    if (key(message) !== current) continue;
    if (!$("talk-screen").hidden && document.visibilityState === "visible") read.set(current, message.id);
    const old = $(`message-${message.id}`);
    if (old && old.dataset.changed === String(message.changed)) continue;
    const bubble = drawBubble(message);
    if (old) old.replaceWith(bubble);
    else list.append(bubble);
  }
  stayAtEnd();
}

function stayAtEnd() {
  const list = $("bubbles");
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function drawBubble(message) {
  const bubble = make("li", `bubble ${message.mine ? "mine" : "theirs"} ${message.state}`);
  bubble.id = `message-${message.id}`;
  bubble.dataset.changed = message.changed;
  if (message.file) {
    const image = make("img");
    image.alt = message.mine ? "The picture you sent" : "The picture you received";
    image.addEventListener("load", stayAtEnd);
    image.src = `media/${message.file}`;
    bubble.append(image);
  }
  if (message.sender) bubble.prepend(make("div", "sender", nameOf(message.sender)));
  if (message.text) bubble.append(make("div", "words", message.text));
  const tick = message.state === "accepted" ? "✓ " : "";
  const note = message.state === "waiting" && message.mine ? "Sending…" : message.note;
  const meta = make("div", "meta", [time(message.at), note && tick + note].filter(Boolean).join(" · "));
  if (message.mine && message.state === "failed") {
    const again = make("button", "", "Try again");
    again.type = "button";
    again.addEventListener("click", () => post("phone/again", JSON.stringify({ id: message.id })));
    meta.append(" ", again);
  }
  bubble.append(meta);
  return bubble;
}

/* Actions of the user */

function show(screen) {
  for (const id of ["list-screen", "new-screen", "talk-screen"]) $(id).hidden = id !== screen;
}

function openTalk(value) {
  number = value;
  $("talk-title").textContent = nameOf(value);
  $("talk-number").textContent = isGroup(value) ? "Everybody gets what you write" : labelOf(value) ? spelled(value) : "";
  show("talk-screen");
  drawAll();
  $("words").focus();
}

// A number that is chosen while others are written there already makes a group with them.
function choose(value) {
  const before = $("to").value.trim().replace(/,$/, "");
  if (!before) return openTalk(value);
  $("to").value = `${before}, ${spelled(value)}`;
  $("to").focus();
}

const numbersIn = (words) => [...new Set(words.split(",").map((each) => each.replace(/[\s().-]/g, "")).filter((each) => each && each !== contact))];

function back() {
  number = "";
  drawn = "";
  show("list-screen");
  drawAll();
  $("compose").focus();
}

function choosePicture(file) {
  if (file && file.size > LARGEST_PICTURE) {
    toast("This picture is larger than 5 MiB. Choose a smaller one.");
    file = null;
  }
  picture = file || null;
  $("picture").value = "";
  $("preview").hidden = !picture;
  if (!picture) return;
  const reader = new FileReader();
  reader.addEventListener("load", () => ($("preview-image").src = reader.result));
  reader.readAsDataURL(picture);
}

async function send() {
  const text = $("words").value.trim();
  const file = picture;
  if (!text && !file) return;
  atEnd = true;
  const sent = file
    ? post(`phone/picture?${new URLSearchParams({ contact, number, text })}`, file, file.type)
    : post("phone/text", JSON.stringify({ contact, number, text }));
  $("words").value = "";
  choosePicture(null);
  setTimeout(poll, 60); // shows the message before Patchbay responds
  if (!(await sent)) {
    $("words").value = $("words").value || text;
    if (file) choosePicture(file);
  }
}

function start() {
  startPanel(post);
  $("contact").addEventListener("change", (event) => { contact = event.target.value; drawAll(); });
  $("compose").addEventListener("click", () => { show("new-screen"); $("to").focus(); });
  for (const button of document.querySelectorAll("[data-back]")) button.addEventListener("click", back);
  $("new-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const values = numbersIn($("to").value);
    $("to").value = "";
    if (values.length) openTalk(values.sort().join(", "));
  });
  $("composer").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  $("words").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
  });
  $("picture").addEventListener("change", (event) => { choosePicture(event.target.files[0]); $("words").focus(); });
  $("remove-picture").addEventListener("click", () => { choosePicture(null); $("words").focus(); });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (document.body.classList.contains("show-panel")) $("close-panel").click();
    else if ($("list-screen").hidden) back();
  });
  $("bubbles").addEventListener("scroll", ({ target }) => {
    atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 60;
  });
  new ResizeObserver(stayAtEnd).observe($("bubbles"));
  const tick = () => ($("clock").textContent = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  tick();
  setInterval(tick, 1000);
  setInterval(() => document.visibilityState === "visible" && poll(), POLL_EVERY);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && poll());
  poll();
}

start();
