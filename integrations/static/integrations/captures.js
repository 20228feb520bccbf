// Asks every two seconds for what has arrived, while somebody looks, until the capture ends.
"use strict";
(() => {
  setInterval(() => {
    const live = document.querySelector("[data-live]");
    if (live && document.visibilityState === "visible") htmx.trigger(live, "poll");
  }, 2000);
  document.addEventListener("htmx:responseError", (event) => {
    if (!event.target.matches("[data-live]") || ![401, 403, 404].includes(event.detail.xhr.status)) return;
    event.target.removeAttribute("data-live");
    document.getElementById("ended").hidden = false;
  });
})();
