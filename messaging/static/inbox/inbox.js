// Live updates, the compose box, and the place in the thread.
"use strict";
(() => {
  const POLL_SECONDS = 3;
  const $ = (selector, root = document) => root.querySelector(selector);

  // --- Live: ask what changed while somebody looks ---
  setInterval(() => {
    if (document.visibilityState !== "visible") return;
    for (const part of ["#list", "#thread"]) if ($(part)) htmx.trigger(part, "poll");
  }, POLL_SECONDS * 1000);

  const showUnread = () => {
    const unread = Number($("#list")?.dataset.unread || 0);
    document.title = (unread ? `(${unread}) ` : "") + document.title.replace(/^\(\d+\) /, "");
  };

  // --- The thread stays at its end for whoever reads there, and where it is for whoever reads above ---
  let fromEnd = 0;
  const toEnd = () => { const thread = $("#thread"); if (thread) thread.scrollTop = thread.scrollHeight; };
  document.addEventListener("htmx:beforeSwap", () => {
    const thread = $("#thread");
    if (thread) fromEnd = thread.scrollHeight - thread.scrollTop - thread.clientHeight;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const thread = $("#thread");
    if (thread && fromEnd < 60) toEnd();
    else if (thread && ["thread", "conversation"].includes(event.detail.target.id)) {
      thread.scrollTop = thread.scrollHeight - thread.clientHeight - fromEnd;
    }
    if (event.detail.target.id === "conversation") { begin(); toEnd(); $("#id_text")?.focus(); htmx.trigger("#list", "poll"); }
    showUnread();
  });
  document.addEventListener("load", (event) => { if (event.target.matches?.("#thread img") && fromEnd < 60) toEnd(); }, true);

  // --- Writing ---
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
    const text = area.value && [header, area.value, footer].filter(Boolean).join("\n");
    const { units, parts, forces } = countSegments(text);
    counter.textContent = units ? `${units} · ${parts} ${parts === 1 ? counter.dataset.part : counter.dataset.parts}` : "";
    if (forces) {
      const note = document.createElement("span");
      note.className = "forces";
      note.textContent = ` “${forces}” ${counter.dataset.forces}`;
      counter.append(note);
    }
  };
  const showFiles = (input) => {
    const shown = $(".chosen");
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
  };
  const add = (input, files) => {
    const all = new DataTransfer();
    for (const file of [...input.files, ...files]) all.items.add(file);
    input.files = all.files;
    showFiles(input);
  };

  const begin = () => {
    const form = $(".compose");
    if (!form || form.dataset.ready) return;
    form.dataset.ready = "yes";
    const area = $("textarea", form), input = $("input[type=file]", form);
    area.addEventListener("input", () => { grow(area); count(area); });
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
    });
    area.addEventListener("paste", (event) => { if (event.clipboardData.files.length) add(input, event.clipboardData.files); });
    input.addEventListener("change", () => showFiles(input));
    $("select[name=number]", form)?.addEventListener("change", () => count(area));
    form.addEventListener("dragover", (event) => event.preventDefault());
    form.addEventListener("drop", (event) => { event.preventDefault(); add(input, event.dataTransfer.files); });
    form.addEventListener("htmx:xhr:progress", (event) => {
      const bar = $(".upload", form);
      bar.hidden = !input.files.length || event.detail.loaded >= event.detail.total;
      bar.value = event.detail.total ? (100 * event.detail.loaded) / event.detail.total : 0;
    });
    grow(area);
    count(area);
  };

  document.addEventListener("DOMContentLoaded", () => { begin(); toEnd(); showUnread(); });
})();
