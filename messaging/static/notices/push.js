// Push notices of this browser: its service worker, and its subscription at its push service.
"use strict";
(() => {
  const supported = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

  const activated = async ({ worker, scope }) => {
    const found = await navigator.serviceWorker.register(worker, { scope });
    const coming = found.installing || found.waiting;
    if (!found.active && coming) {
      await new Promise((resolve) => coming.addEventListener("statechange", () => { if (coming.state !== "installed") resolve(); }));
    }
    return found;
  };
  const post = async (subscription, { devices, csrf, mark }, again) => {
    const { endpoint, keys } = subscription.toJSON();
    const answer = await fetch(devices, {
      method: "POST", headers: { "X-CSRFToken": csrf, "HX-Request": "true" },
      body: new URLSearchParams({ endpoint, p256dh: keys.p256dh, auth: keys.auth, again: again ? "yes" : "" }),
    });
    if (answer.ok) localStorage.setItem("push", mark);
    return answer;
  };

  // Raises an Error, whose message is the server's reason, if it gives one.
  const turnOn = async (settings) => {
    const registration = await activated(settings);
    const applicationServerKey = Uint8Array.from(
      atob(settings.key.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0),
    );
    let found = await registration.pushManager.getSubscription();
    const before = new Uint8Array(found?.options.applicationServerKey || []);
    if (found && !applicationServerKey.every((byte, place) => byte === before[place])) {
      await found.unsubscribe(); // it was for another key
      found = null;
    }
    found ||= await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
    const answer = await post(found, settings, false);
    if (!answer.ok) throw new Error(answer.status === 422 ? await answer.text() : "");
  };

  // After signing in again, the device belongs to the new session; one that was removed elsewhere is forgotten.
  const renew = async (settings) => {
    const told = localStorage.getItem("push");
    const found = await (await activated(settings)).pushManager?.getSubscription();
    if (!told || !found) return false;
    if (told === settings.mark) return true;
    const answer = await post(found, settings, true);
    if (answer.status !== 404) return answer.ok;
    localStorage.removeItem("push");
    await found.unsubscribe();
    return false;
  };

  window.pushNotices = { supported, activated, turnOn, renew };
})();
