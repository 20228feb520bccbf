// What changes while somebody looks, the end of the session, and the place in the thread.
"use strict";
(() => {
  const POLL_SECONDS = 3, HIDDEN_SECONDS = 15, ANSWER_SECONDS = 20;
  const $ = (selector) => document.querySelector(selector);
  const tell = (name) => document.dispatchEvent(new Event(name));
  const isSeen = () => document.visibilityState === "visible";
  const inbox = $(".inbox");

  // --- One small question tells whether anything has changed; only then are the list and the thread asked for ---
  let stamp = inbox.dataset.stamp, current = null, last = 0, signedOut = false, missed = false;
  // A part that is being renewed already is asked for once more afterwards: what waits in the old part goes with it.
  const again = new Set(), SETTLED_MS = 100;
  const poll = (part) => {
    if ($(part)?.classList.contains("htmx-request")) again.add(part);
    else if ($(part)) htmx.trigger(part, "poll");
  };
  document.addEventListener("htmx:afterRequest", (event) => {
    const part = `#${event.detail.elt.id}`;
    if (again.delete(part)) setTimeout(poll, SETTLED_MS, part);
  });
  // A thread that nobody sees is not asked for: it would count as read.
  const refresh = () => {
    missed = !isSeen();
    for (const part of missed ? ["#list"] : ["#list", "#thread", "#team"]) poll(part);
    tell("inbox:changed");
  };
  const ask = async (abort) => {
    const late = setTimeout(() => abort.abort("late"), ANSWER_SECONDS * 1000);
    try {
      const query = new URLSearchParams({ seen: stamp, open: $("#open").value, count: $("#list").dataset.count });
      const answer = await fetch(`${inbox.dataset.changes}?${query}`, {
        headers: { "HX-Request": "true" }, cache: "no-store", signal: abort.signal,
      });
      const text = await answer.text();
      tell(answer.status < 500 ? "inbox:answered" : "inbox:away");
      const elsewhere = answer.headers.get("HX-Redirect"); // something must be done before anything else
      if (elsewhere) location.assign(elsewhere);
      else if (answer.status === 401) sayGoodbye();
      else if (answer.ok && signedOut) location.reload(); // signed in again elsewhere; what was written is kept
      else if (answer.status === 200) { stamp = text; refresh(); }
    } catch {
      if (abort.signal.reason !== "anew") tell("inbox:away"); // the next look may get an answer
    } finally { clearTimeout(late); }
  };
  const look = () => {
    if (current) return;
    last = Date.now();
    const abort = current = new AbortController();
    ask(abort).finally(() => { if (current === abort) current = null; });
  };
  // After sleep or without a network, a question of before may never be answered.
  const lookAnew = () => {
    current?.abort("anew");
    current = null;
    look();
  };
  setInterval(() => {
    if (!signedOut && (isSeen() || Date.now() - last >= HIDDEN_SECONDS * 1000)) look();
  }, POLL_SECONDS * 1000);
  document.addEventListener("visibilitychange", () => {
    if (!isSeen()) return;
    if (missed) refresh();
    lookAnew();
  });
  window.addEventListener("online", lookAnew);
  for (const name of ["inbox:look", "changed"]) document.addEventListener(name, lookAnew); // "changed": HX-Trigger

  // --- The session has ended, or an answer did not come ---
  const sayGoodbye = () => { signedOut = true; $("#signed-out").hidden = false; };
  const failed = (event) => {
    if (event.detail.xhr.status === 401) sayGoodbye();
    if (["list", "thread", "team"].includes(event.detail.elt.id)) stamp = ""; // it is asked for again
  };
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(name, failed);

  const showUnread = () => {
    const unread = Number($("#list").dataset.unread);
    document.title = (unread ? `(${unread > 99 ? "99+" : unread}) ` : "") + document.title.replace(/^\(\d+\+?\) /, "");
  };

  // --- The thread stays at its end for whoever reads there, and where it is for whoever reads above ---
  let fromEnd = 0;
  const toEnd = () => { const thread = $("#thread"); if (thread) thread.scrollTop = thread.scrollHeight; };
  document.addEventListener("htmx:beforeSwap", () => {
    const thread = $("#thread");
    if (thread) fromEnd = thread.scrollHeight - thread.scrollTop - thread.clientHeight;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const thread = $("#thread"), changed = event.detail.target.id;
    if (thread && fromEnd < 60) toEnd();
    else if (thread && ["thread", "conversation"].includes(changed)) {
      thread.scrollTop = thread.scrollHeight - thread.clientHeight - fromEnd;
    }
    if (changed === "conversation") { toEnd(); look(); }
    showUnread();
  });
  document.addEventListener("load", (event) => { if (event.target.matches?.("#thread img") && fromEnd < 60) toEnd(); }, true);
  document.addEventListener("DOMContentLoaded", () => { toEnd(); showUnread(); });
})();
