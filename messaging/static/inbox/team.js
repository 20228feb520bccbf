// Working together: who is writing, the bar that is not renewed under one's hands, mentions, and the drawer.
"use strict";
(() => {
  const SAY_MS = 4000; // at most every few seconds; the server forgets it after eight
  const $ = (selector, root = document) => root.querySelector(selector);

  // --- Who is writing ---
  let said = 0;
  document.addEventListener("input", (event) => {
    const url = event.target.matches("textarea[name=text]") && event.target.form.dataset.typing;
    if (!url || !event.target.value || Date.now() - said < SAY_MS) return;
    said = Date.now();
    const headers = { ...JSON.parse($(".inbox").getAttribute("hx-headers")), "HX-Request": "true" };
    fetch(url, { method: "POST", headers }).catch(() => {}); // the next letter may get through
  });
  document.addEventListener("htmx:beforeRequest", (event) => { if (event.target.matches(".compose")) said = 0; });

  // --- The bar and its menus: as long as somebody uses them, they are not renewed ---
  const used = () => $("#team details[open]");
  let missed = false;
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.id !== "team" || !used()) return;
    event.preventDefault();
    missed = true;
  });
  document.addEventListener("toggle", (event) => {
    if (!event.target.matches?.("#team details") || used() || !missed) return;
    missed = false;
    htmx.trigger("#team", "poll");
  }, true);
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("#team details[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target.id === "team" && event.detail.requestConfig.verb === "post") $("#team button")?.focus();
    if (event.detail.target.id === "note-box") $("#note-box summary").focus();
    if (event.detail.target.id === "drawer" || event.detail.target.id === "contact") { cover(); $("#contact h2")?.focus(); }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (["team", "note-box", "consent"].includes(event.detail.target.id) && $("#problem")) $("#problem").textContent = "";
  });

  // --- A filter replaces the search, which would come back with the next look ---
  document.addEventListener("click", (event) => {
    if (event.target.closest(".filters a")) $(".list [name=q]").value = "";
  });

  // --- Mentions and tags: a button writes the word ---
  document.addEventListener("click", (event) => {
    const { mention, tag } = event.target.dataset;
    if (mention) {
      const area = $("#id_note");
      area.setRangeText(`${mention} `, area.selectionStart, area.selectionEnd, "end");
      area.focus();
    }
    if (tag) {
      const input = $("#contact input[name=tags]");
      const words = input.value.split(",").map((word) => word.trim()).filter(Boolean);
      if (!words.includes(tag)) input.value = [...words, tag].join(", ");
    }
  });

  // --- The drawer closes by its button and by Escape, and leaves the focus where it was opened ---
  // On a phone it covers the page, whose controls nobody should reach meanwhile.
  const cover = () => {
    const drawer = $("#drawer"), covers = drawer.hasChildNodes() && getComputedStyle(drawer).position === "fixed";
    for (const part of document.querySelectorAll(".skip, .top, .bar, .list, .pane")) part.inert = covers;
  };
  window.addEventListener("resize", cover);
  const close = () => { $("#drawer").replaceChildren(); cover(); $("#person")?.focus(); };
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#drawer [data-close]")) return;
    event.preventDefault();
    close();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = used();
    if (menu) { menu.open = false; $("summary", menu).focus(); }
    else if ($("#drawer").hasChildNodes()) close();
  });
})();
