// Tells of texts that come: the number on the app's icon, a sound, and notifications while nobody looks.
"use strict";
(() => {
  const $ = (selector) => document.querySelector(selector);
  const settings = $("#notices").dataset, offer = $("#offer");
  const hasNotifications = "Notification" in window && window.isSecureContext;
  let newest = settings.newest, registration = null, isPushed = false;

  const showBadge = (unread) => {
    const shown = unread ? navigator.setAppBadge?.(unread) : navigator.clearAppBadge?.();
    shown?.catch(() => { /* only installed apps have one */ });
  };
  const notify = async ({ title, body, tag, url, message, remark }) => {
    const said = { body, tag, icon: settings.icon, data: { url, message, remark } };
    if (registration?.active) return registration.showNotification(title, said);
    const shown = new Notification(title, said);
    shown.addEventListener("click", () => { window.focus(); location.assign(url); });
    return shown;
  };
  const look = async () => {
    let said;
    // What comes into the thread that somebody looks at is noted as read at the same time: it is told all the same.
    const open = document.visibilityState === "visible" ? $("#open").value : "";
    try {
      const answer = await fetch(`${settings.news}?after=${newest}&open=${open}`, { headers: { "HX-Request": "true" }, cache: "no-store" });
      if (!answer.ok) return;
      said = await answer.json();
    } catch { return; /* the next change asks again, for all since then */ }
    newest = said.newest;
    showBadge(said.unread);
    if (!said.notices.length) return;
    if (settings.sound) new Audio(settings.sound).play().catch(() => { /* not before the first click on the page */ });
    if (hasNotifications && Notification.permission === "default" && !localStorage.getItem("no notices")) offer.hidden = false;
    // A device with push notices is told by its push service.
    if (document.visibilityState === "hidden" && hasNotifications && Notification.permission === "granted" && !isPushed) {
      for (const notice of said.notices) await notify(notice);
    }
  };

  // --- Permission is asked for when somebody wants notices, after a text has come ---
  offer.addEventListener("click", async (event) => {
    const { answer } = event.target.dataset;
    if (!answer) return;
    offer.hidden = true;
    if (answer === "no") { localStorage.setItem("no notices", "yes"); return; }
    if ((await Notification.requestPermission()) !== "granted" || !settings.key || !pushNotices.supported) return;
    await pushNotices.turnOn(settings).then(() => { isPushed = true; }, () => { /* the open page tells by itself */ });
  });

  let asked = Promise.resolve();
  const ask = () => { asked = asked.then(look); };
  document.addEventListener("inbox:changed", ask);
  document.addEventListener("DOMContentLoaded", async () => {
    ask();
    if (!("serviceWorker" in navigator)) return;
    try {
      registration = await pushNotices.activated(settings);
      isPushed = await pushNotices.renew(settings);
    } catch { /* without a service worker the open page tells by itself */ }
  });
})();
