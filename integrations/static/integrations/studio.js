// The pages of the studio: the list of problems follows the editor, and its buttons lead to their places.
"use strict";
(() => {
  const list = document.querySelector("#problems ol");
  document.addEventListener("checked", (event) => {
    const { none, place } = list.parentElement.dataset;
    list.replaceChildren(...event.detail.map((problem) => {
      const item = document.createElement("li"), button = document.createElement("button"), pointer = document.createElement("code");
      item.className = `pb-${problem.severity}`;
      button.type = "button";
      button.className = "pb-place";
      Object.assign(button.dataset, { line: problem.line, column: problem.column });
      button.textContent = place.replace("{line}", problem.line).replace("{column}", problem.column);
      pointer.textContent = problem.pointer || "/";
      item.append(button, " ", pointer, ` ${problem.reason} ${problem.suggestion}`);
      return item;
    }));
    if (event.detail.length) return;
    const item = document.createElement("li");
    item.className = "pb-none";
    item.textContent = none;
    list.append(item);
  });
})();
