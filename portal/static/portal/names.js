// Names what django-unfold leaves without one: the fields of tables, the column that removes rows, and areas that scroll.
"use strict";
window.addEventListener("load", () => {
  for (const cell of document.querySelectorAll("td[data-label]")) {
    for (const field of cell.querySelectorAll("input, select, textarea")) {
      if (!field.labels?.length) field.ariaLabel ??= cell.dataset.label;
    }
  }
  const remove = document.querySelector("td.delete")?.dataset.label;
  for (const head of document.querySelectorAll(".formset-wrapper th:not([class*=column-])")) {
    if (!remove || head.textContent.trim()) continue;
    const name = document.createElement("span");
    name.className = "sr-only";
    name.textContent = remove;
    head.append(name);
  }
  for (const area of document.querySelectorAll(".simplebar-content-wrapper")) area.role = area.ariaLabel = null;
});
