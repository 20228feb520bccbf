// The compose box: what is written and chosen, how much it is, and what the server says against it.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);

  // --- Drafts: what is written survives a reload and the end of the session, in this tab ---
  const KEPT = ["number", "to", "text"];
  // A message to somebody whom a link names is another one than a message to nobody yet.
  const nameOf = (form) => `draft of ${$(".inbox").dataset.user} for ${form.getAttribute("action")}${form.elements.to?.defaultValue || ""}`;
  const keep = (form) => {
    const draft = Object.fromEntries(KEPT.map((name) => [name, form.elements[name]?.value]));
    if (form.dataset.tried) draft.uuid = form.elements.uuid.value; // it may have arrived: sent again, it is the same
    draft.unsaved = !!form.dataset.draft; // until the server has it (writing.js)
    if (draft.text || draft.to) sessionStorage.setItem(nameOf(form), JSON.stringify(draft));
    else sessionStorage.removeItem(nameOf(form));
  };
  const restore = (form) => {
    const draft = JSON.parse(sessionStorage.getItem(nameOf(form)) || "{}");
    // The server has the latest draft of all devices, unless it could not be told of this one.
    if (form.dataset.draft ? !draft.unsaved && !draft.uuid : form.elements.text.value) return;
    for (const [name, value] of Object.entries(draft)) if (form.elements[name]) form.elements[name].value = value;
    if (draft.uuid) form.dataset.tried = "yes";
  };

  document.addEventListener("inbox:draft-saved", (event) => {
    const form = event.target, draft = JSON.parse(sessionStorage.getItem(nameOf(form)) || "null");
    if (draft) sessionStorage.setItem(nameOf(form), JSON.stringify({ ...draft, unsaved: draft.text !== event.detail.text }));
  });

  // What is changed after it was sent is another message.
  const renew = (form) => {
    if (!form.dataset.tried) return;
    delete form.dataset.tried;
    const digits = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    form.elements.uuid.value = digits;
    keep(form);
  };

  // --- The text, and how many segments it makes ---
  const grow = (area) => { area.style.height = "auto"; area.style.height = `${Math.min(area.scrollHeight + 2, 192)}px`; };
  // What the number adds counts too; on the page of a new message it depends on the number that is chosen.
  const added = (form) => {
    const chosen = $("select[name=number]", form)?.value;
    const all = [...form.querySelectorAll(".added")];
    for (const note of all) note.hidden = chosen !== undefined && note.dataset.number !== chosen;
    return all.find((note) => !note.hidden)?.dataset;
  };
  const count = (area) => {
    const counter = $("#counter");
    const { header, footer } = added(area.form) || {};
    const text = area.value && [header, area.value, $(".signed", area.form)?.dataset.signature, footer].filter(Boolean).join("\n");
    const { units, parts, forces } = countSegments(text);
    counter.textContent = units ? `${units} · ${parts} ${parts === 1 ? counter.dataset.part : counter.dataset.parts}` : "";
    if (forces) {
      const note = document.createElement("span");
      note.className = "forces";
      note.textContent = ` “${forces}” ${parts > 1 ? counter.dataset.costs : counter.dataset.forces}`;
      counter.append(note);
    }
  };

  // --- Files ---
  const tooLarge = (input) => [...input.files].reduce((sum, file) => sum + file.size, 0) > Number(input.dataset.most);
  const showFiles = (input) => {
    const shown = $(".chosen", input.form);
    shown.replaceChildren(...[...input.files].map((file, index) => {
      const item = document.createElement("li");
      if (file.type.startsWith("image/")) {
        const picture = document.createElement("img");
        picture.src = URL.createObjectURL(file);
        picture.alt = "";
        item.append(picture);
      }
      const remove = document.createElement("button");
      remove.type = "button";
      remove.className = "plain";
      remove.textContent = "✕";
      remove.setAttribute("aria-label", `✕ ${file.name}`);
      remove.addEventListener("click", () => {
        const rest = new DataTransfer();
        [...input.files].forEach((other, place) => { if (place !== index) rest.items.add(other); });
        input.files = rest.files;
        showFiles(input);
      });
      item.append(file.name, remove);
      return item;
    }));
    say(tooLarge(input) ? "tooLarge" : "");
  };
  const add = (input, files) => {
    const all = new DataTransfer();
    for (const file of [...input.files, ...files]) all.items.add(file);
    input.files = all.files;
    showFiles(input);
  };

  // --- What is refused: before it is sent, by the server, or because no answer came ---
  const say = (reason, text = $("#reasons").dataset[reason]) => { $("#problem").textContent = text || ""; };
  const isSent = (event) => event.detail.requestConfig.verb === "post";
  document.addEventListener("htmx:responseError", (event) => {
    const { xhr } = event.detail;
    if (!isSent(event) || xhr.status === 401) return; // the page says that the session has ended
    const isText = (xhr.getResponseHeader("Content-Type") || "").startsWith("text/plain");
    if (xhr.status === 413) say("tooLarge");
    else if ([403, 404].includes(xhr.status)) say("outOfDate");
    else say("notTaken", isText ? xhr.responseText : undefined);
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => { if (isSent(event)) say("noAnswer"); });
  }

  const begin = () => {
    const form = $(".compose");
    if (!form || form.dataset.ready) return;
    form.dataset.ready = "yes";
    const area = $("textarea", form), input = $("input[type=file]", form);
    form.addEventListener("input", () => { renew(form); keep(form); });
    form.addEventListener("inbox:given-up", () => renew(form));
    area.addEventListener("input", () => { grow(area); count(area); });
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
    });
    area.addEventListener("paste", (event) => { if (event.clipboardData.files.length) add(input, event.clipboardData.files); });
    input.addEventListener("change", () => showFiles(input));
    $("select[name=number]", form)?.addEventListener("change", () => count(area));
    form.addEventListener("dragover", (event) => event.preventDefault());
    form.addEventListener("drop", (event) => { event.preventDefault(); add(input, event.dataTransfer.files); });
    form.addEventListener("htmx:beforeRequest", (event) => {
      if (event.target !== form) return;
      say(tooLarge(input) ? "tooLarge" : "");
      if (tooLarge(input)) event.preventDefault();
      else { form.dataset.tried = "yes"; keep(form); }
    });
    form.addEventListener("htmx:beforeOnLoad", (event) => {
      if (event.target === form && event.detail.xhr.status < 300) sessionStorage.removeItem(nameOf(form));
    });
    form.addEventListener("htmx:xhr:progress", (event) => {
      const bar = $(".upload", form);
      bar.hidden = !input.files.length || event.detail.loaded >= event.detail.total;
      bar.value = event.detail.total ? (100 * event.detail.loaded) / event.detail.total : 0;
    });
    restore(form);
    if (form.elements.to?.value) htmx.trigger("#whom", "restored"); // it may have been kept from before
    grow(area);
    count(area);
  };
  document.addEventListener("DOMContentLoaded", begin);
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target.id === "conversation") { begin(); $("#id_text")?.focus(); }
  });
})();
