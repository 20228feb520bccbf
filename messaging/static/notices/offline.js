// Without a connection: the page says so, and a message that could not be sent waits, and is sent once.
// Its form has a uuid, by which Patchbay recognizes a message that has arrived although no answer did.
"use strict";
(() => {
  const $ = (selector) => document.querySelector(selector);
  const bar = $("#away"), waitingBar = $("#waiting");
  let isAway = false, unsent = null, waiting = null;

  const show = () => {
    bar.hidden = !isAway;
    waitingBar.hidden = !waiting;
    const said = navigator.onLine ? bar.dataset.silent : bar.dataset.offline;
    const text = waiting ? said : `${said} ${bar.dataset.kept}`;
    if (bar.textContent !== text) bar.textContent = text;
  };
  const wait = (form) => {
    [waiting, unsent] = [form, null];
    form.elements.text.readOnly = true;
    $("#problem").textContent = "";
  };
  const release = () => {
    const form = waiting;
    if (form) form.elements.text.readOnly = false;
    waiting = null;
    return form;
  };

  document.addEventListener("inbox:away", () => {
    isAway = true;
    if (unsent) wait(unsent);
    show();
  });
  document.addEventListener("inbox:answered", () => {
    isAway = false;
    unsent = null;
    const form = release();
    show();
    if (form?.isConnected) form.requestSubmit();
  });
  window.addEventListener("offline", () => { isAway = true; show(); });

  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      const form = event.detail.elt;
      if (!form.matches?.(".compose")) return;
      if (navigator.onLine) {
        unsent = form;
        document.dispatchEvent(new Event("inbox:look")); // whether it is the connection
      } else {
        isAway = true;
        setTimeout(() => { wait(form); show(); }); // after the page has said that no answer came
      }
    });
  }
  $("#waiting button").addEventListener("click", () => {
    const form = release();
    form?.dispatchEvent(new Event("inbox:given-up"));
    form?.elements.text.focus();
    show();
  });
})();
