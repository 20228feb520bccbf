// The button that turns push notices on for this browser.
"use strict";
(() => {
  const button = document.querySelector("#add-device"), problem = document.querySelector("#device-problem");
  if (!button) return;
  button.hidden = !pushNotices.supported;
  document.querySelector("#no-push").hidden = pushNotices.supported;
  button.addEventListener("click", async () => {
    problem.textContent = "";
    button.disabled = true;
    try {
      if ((await Notification.requestPermission()) !== "granted") problem.textContent = button.dataset.denied;
      else { await pushNotices.turnOn(button.dataset); location.reload(); }
    } catch (error) {
      problem.textContent = (error.name === "Error" && error.message) || button.dataset.failed;
    } finally { button.disabled = false; }
  });
})();
