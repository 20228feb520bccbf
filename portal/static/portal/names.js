// Names what has only a code or none: countries, and django-unfold's fields of tables, columns that remove rows, and areas that scroll.
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
  for (const list of document.querySelectorAll("select[data-countries]")) {
    const names = new Intl.DisplayNames([document.documentElement.lang || "en"], { type: "region" });
    const countries = [...list.options].filter((each) => each.value);
    for (const each of countries) each.text = each.text.replace(each.value, names.of(each.value));
    countries.sort((a, b) => a.text.localeCompare(b.text));
    const chosen = list.value;
    list.append(...countries);
    list.value = chosen;
  }
});
