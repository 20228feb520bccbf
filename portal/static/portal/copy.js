// Copy buttons: data-copy is the id of the field whose text is copied.
"use strict";
document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (!copy) return;
  const field = document.getElementById(copy.dataset.copy);
  field.select();
  try { await navigator.clipboard.writeText(field.value); } catch { document.execCommand("copy"); }
  const label = copy.textContent;
  copy.textContent = "✓";
  setTimeout(() => { copy.textContent = label; }, 1500);
});
