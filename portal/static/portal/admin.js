// "Select all", lists that are searched while typing, checks of credentials without leaving the page, buttons whose work takes a while, and problems that lead to their position in the document.
"use strict";
(() => {
  document.addEventListener("click", (event) => {
    const place = event.target.closest(".pb-place");
    if (place) {
      const area = document.getElementById("id_source");
      if (!area) return;
      if (area.editor?.goTo) {
        area.editor.goTo(Number(place.dataset.line), Number(place.dataset.column));
        return;
      }
      const lines = area.value.split("\n");
      const line = Number(place.dataset.line) - 1;
      const start = lines.slice(0, line).reduce((sum, text) => sum + text.length + 1, 0);
      area.focus();
      area.setSelectionRange(start + Number(place.dataset.column) - 1, start + (lines[line] || "").length);
      area.scrollTop = Math.max(0, (line - 5) * (area.scrollHeight / lines.length));
    }
  });
  document.addEventListener("submit", async (event) => {
    const button = event.submitter;
    if (!button || !button.dataset.check) return;
    event.preventDefault(); // keeps secrets that have been typed in their fields
    const form = event.target, data = new FormData(form, button), label = button.textContent;
    button.disabled = true;
    button.textContent = button.dataset.check;
    try {
      const response = await fetch(form.action, { method: "POST", body: data });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      document.getElementById("verdict").replaceChildren(...page.getElementById("verdict").children);
    } catch {
      document.getElementById("verdict").textContent = button.dataset.failed;
    }
    button.disabled = false;
    button.textContent = label;
  });
  document.addEventListener("submit", ({ submitter }) => {
    if (!submitter?.dataset.busy) return;
    const label = submitter.textContent;
    submitter.disabled = true; // one click is one request
    submitter.textContent = submitter.dataset.busy;
    // Whoever comes back to the page as it was left can do it again.
    addEventListener("pagehide", () => {
      submitter.disabled = false;
      submitter.textContent = label;
    });
  });
  const all = document.querySelector(".pb-all");
  const users = document.getElementById("id_assigned");
  if (all && users) users.before(all);
  document.addEventListener("input", (event) => {
    const list = document.getElementById(event.target.dataset.narrows ?? "");
    if (!list) return;
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const item of list.children) item.hidden = !words.every((word) => item.textContent.toLowerCase().includes(word));
  });
  // Whoever ticks some does not mean all.
  document.addEventListener("change", ({ target }) => {
    const choices = target.closest("[data-all-or-some]");
    if (!choices) return;
    if (target.type === "checkbox" && target.checked) choices.querySelector('[value="some"]').checked = true;
    if (target.value === "all") for (const box of choices.querySelectorAll('[type="checkbox"]')) box.checked = false;
  });
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-all]")) return;
    for (const box of document.querySelectorAll(`input[name="${event.target.dataset.all}"]`)) box.checked = event.target.checked;
  });
})();
