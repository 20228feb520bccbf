// Around the compose box: sending later, taking back, and the draft that the server keeps.
"use strict";
(() => {
  const SAVE_MS = 1500, MINUTE = 60000;
  const $ = (selector, root = document) => root.querySelector(selector);

  // --- The draft: told a moment after the last letter, and when the page goes out of sight ---
  let late = null;
  const save = (form) => {
    clearTimeout(late);
    late = null;
    const text = form.elements.text.value;
    const body = new URLSearchParams({ text, uuid: form.elements.uuid.value });
    const headers = { ...JSON.parse($(".inbox").getAttribute("hx-headers")), "HX-Request": "true" };
    // Without an answer it stays in this tab, and is told with the next letter.
    fetch(form.dataset.draft, { method: "POST", headers, body, keepalive: text.length < 10000 }).then((answer) => {
      if (answer.ok) form.dispatchEvent(new CustomEvent("inbox:draft-saved", { bubbles: true, detail: { text } }));
    }).catch(() => {});
  };
  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (!event.target.matches("textarea[name=text]") || !form?.dataset.draft) return;
    clearTimeout(late);
    late = setTimeout(save, SAVE_MS, form);
  });
  document.addEventListener("visibilitychange", () => {
    const form = $(".compose[data-draft]");
    if (late && form && document.visibilityState === "hidden") save(form);
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.matches(".compose")) { clearTimeout(late); late = null; }
  });

  // --- Later: the menu says whether a time is chosen, and a time that is written is the one that counts ---
  const choose = (form, value) => { $(`[name=later][value="${value}"]:is(input)`, form).checked = true; showLater(form); };
  const showLater = (form) => {
    const summary = $("#later summary", form);
    summary.dataset.plain ||= summary.textContent;
    const isLater = form.querySelector("input[name=later]:checked").value !== "";
    summary.textContent = isLater ? summary.dataset.chosen : summary.dataset.plain;
    summary.classList.toggle("chosen-time", isLater);
  };
  document.addEventListener("input", (event) => {
    const { form, name } = event.target;
    if (!form?.matches(".compose")) return;
    if (name === "at" && event.target.value) choose(form, "at");
    if (name === "later") {
      if (event.target.value !== "at") form.elements.at.value = "";
      showLater(form);
    }
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("#night button")) choose(event.target.form, "morning"); // for whoever sends it again
  });

  // --- The menus below the box close by Escape, and by a click elsewhere ---
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll(".tools details[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const menu = $(".tools details[open]");
    if (event.key !== "Escape" || !menu) return;
    menu.open = false;
    (menu.id === "later" ? $("summary", menu) : $("#id_text")).focus();
  });

  // --- Canned replies: chosen by the button, or by a / in the empty box. Emoji: by the button ---
  const shownReplies = () => [...document.querySelectorAll("#canned li:not([hidden]) button")];
  document.addEventListener("keydown", (event) => {
    const menu = $("#canned"), isSearch = event.target.matches("#canned input");
    if (!menu) return;
    if (event.key === "/" && event.target.id === "id_text" && !event.target.value) {
      event.preventDefault();
      menu.open = true;
      ($("input", menu) || $("a", menu)).focus();
    } else if (event.key === "Enter" && isSearch) {
      event.preventDefault();
      shownReplies()[0]?.click();
    } else if (["ArrowDown", "ArrowUp"].includes(event.key) && menu.open && menu.contains(event.target)) {
      event.preventDefault();
      const all = [$("input", menu), ...shownReplies()];
      const place = all.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
      all[(place + all.length) % all.length]?.focus();
    }
  });
  // What somebody looks for stays when the replies are renewed, as for another number.
  let sought = null;
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    if (event.detail.target.id === "replies") sought = $("#replies input:focus")?.value ?? null;
  });
  document.addEventListener("htmx:oobAfterSwap", () => {
    const input = $("#replies input");
    if (sought === null || !input) return;
    input.value = sought;
    sought = null;
    input.focus();
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  document.addEventListener("input", (event) => {
    if (!event.target.matches("#canned input")) return;
    const words = event.target.value.toLowerCase();
    for (const item of document.querySelectorAll("#canned li")) item.hidden = !item.textContent.toLowerCase().includes(words);
  });
  document.addEventListener("click", (event) => {
    const chosen = event.target.closest("[data-write]");
    if (!chosen) return;
    const area = $("#id_text");
    area.setRangeText(chosen.dataset.write, area.selectionStart, area.selectionEnd, "end");
    area.dispatchEvent(new Event("input", { bubbles: true }));
    chosen.closest("details").open = false;
    area.focus();
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.target.closest("#emoji[open]");
    if (!menu || !event.key.startsWith("Arrow")) return;
    event.preventDefault();
    const all = [...menu.querySelectorAll("button")], place = all.indexOf(event.target);
    const row = all.filter((button) => button.offsetTop === all[0].offsetTop).length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row }[event.key];
    all[place < 0 ? 0 : place + step]?.focus();
  });

  // --- Somebody who is suggested takes the place of what was written last, and another may follow ---
  document.addEventListener("click", (event) => {
    const chosen = event.target.closest("[data-to]");
    if (!chosen) return;
    const input = $("#id_to"), before = input.value.replace(/[^,;]*$/, "").trim();
    input.value = `${before ? `${before} ` : ""}${chosen.dataset.to}, `;
    input.focus();
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });

  // --- The hour at the contact's place ---
  const showNight = () => {
    const note = $("#night");
    if (note) $("#morning").hidden = !note.dataset.zone;
    if (!note?.dataset.zone) return;
    const format = new Intl.DateTimeFormat("en-GB", { timeZone: note.dataset.zone, hour: "2-digit", minute: "2-digit" });
    const there = format.format(new Date()), hour = Number(there.slice(0, 2));
    note.hidden = hour >= 8 && hour < 22;
    $("b", note).textContent = there;
  };
  setInterval(showNight, MINUTE);
  document.addEventListener("visibilitychange", showNight);
  document.addEventListener("htmx:oobAfterSwap", showNight);

  // --- What was taken back can be written anew ---
  document.addEventListener("canceled", (event) => {
    const area = $("#id_text"), text = $(`#${event.detail.message} .text`)?.textContent;
    if (!area || area.value || !text) return;
    const signature = `\n${$(".signed")?.dataset.signature}`;
    area.value = text.endsWith(signature) ? text.slice(0, -signature.length) : text;
    area.dispatchEvent(new Event("input", { bubbles: true }));
    area.focus();
  });
})();
