// Build by example, live: what changes in the form is understood by the server, which shows the trees and the draft.
"use strict";
(() => {
  const form = document.getElementById("example"), root = form.closest(".patchbay");
  let timer = 0, asked = 0;
  form.classList.add("pb-live");

  async function refresh() {
    const number = ++asked;
    const drafted = document.getElementById("drafted");
    drafted.setAttribute("aria-busy", "true");
    const data = new FormData(form);
    data.append("do", "show");
    const answer = await fetch(location.pathname, { method: "POST", body: data, headers: { Accept: "text/html" } }).catch(() => null);
    if (number !== asked) return; // a later change is on its way
    drafted.removeAttribute("aria-busy");
    if (!answer || ![200, 422].includes(answer.status)) {
      const problem = document.createElement("p");
      problem.className = "pb-error";
      problem.setAttribute("role", "alert");
      problem.textContent = form.dataset.failed;
      drafted.replaceChildren(problem);
      return;
    }
    swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
  }

  function swap(page) {
    const focused = document.activeElement?.id;
    for (const part of root.querySelectorAll("[data-live]")) {
      const next = page.getElementById(part.id);
      if (!next || next.isEqualNode(part) && !part.querySelector("[data-changed]")) continue;
      for (const details of part.querySelectorAll("details[id]")) {
        const same = next.querySelector(`#${CSS.escape(details.id)}`);
        if (same && "touched" in details.dataset) { same.open = details.open; same.dataset.touched = ""; }
      }
      part.replaceChildren(...next.childNodes);
    }
    for (const name of ["id", "name"]) {
      const field = document.getElementById(`id_${name}`), next = page.getElementById(field.id);
      field.placeholder = next.placeholder;
    }
    for (const field of form.querySelectorAll("[aria-describedby^=said-]")) {
      field.toggleAttribute("aria-invalid", document.getElementById(field.getAttribute("aria-describedby")).childElementCount > 0);
    }
    if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  function later(wait) {
    clearTimeout(timer);
    timer = setTimeout(refresh, wait);
  }

  form.addEventListener("input", (event) => {
    if (event.target.matches("select")) return;
    later(event.inputType === "insertFromPaste" ? 50 : 600);
  });
  form.addEventListener("change", (event) => {
    if (!event.target.matches("select")) return;
    event.target.dataset.changed = "";
    later(0);
  });
  form.addEventListener("click", (event) => {
    const summary = event.target.closest("summary");
    if (summary) summary.parentElement.dataset.touched = "";
    const label = event.target.closest(".pb-leaf label");
    const select = label && document.getElementById(label.htmlFor);
    if (select?.showPicker) {
      event.preventDefault();
      select.focus();
      select.showPicker();
    }
    const button = event.target.closest("#add-webhook");
    if (!button) return;
    event.preventDefault();
    const next = form.querySelector("[data-webhook][hidden]");
    next.hidden = false;
    form.elements.shown.value = Number(form.elements.shown.value) + 1;
    next.querySelector("textarea").focus();
    button.hidden = !form.querySelector("[data-webhook][hidden]");
  });
})();
