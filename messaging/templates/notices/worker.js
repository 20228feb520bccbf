// Shows pushes, keeps static files by their digest, and shows a page when there is no network.
// Pages, texts and files of messages are never kept.
"use strict";
const KEPT = {{ kept|safe }};
const OFFLINE = "{{ offline|escapejs }}", ICON = "{{ icon|escapejs }}", NAME = "static";

self.addEventListener("install", (event) => {
  const keep = async () => {
    const cache = await caches.open(NAME);
    await cache.addAll([...KEPT, new Request(OFFLINE, { cache: "reload" })]);
    await self.skipWaiting();
  };
  event.waitUntil(keep());
});
self.addEventListener("activate", (event) => {
  const clean = async () => {
    const cache = await caches.open(NAME), wanted = new Set([...KEPT, OFFLINE].map((url) => new URL(url, location).href));
    for (const request of await cache.keys()) if (!wanted.has(request.url)) await cache.delete(request);
    await self.clients.claim();
  };
  event.waitUntil(clean());
});
self.addEventListener("fetch", (event) => {
  const { request } = event, url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate") {
    event.respondWith(fetch(request).catch(async () => (await caches.match(OFFLINE)) || Response.error()));
  } else if (KEPT.includes(url.pathname + url.search)) {
    event.respondWith(caches.match(request).then((kept) => kept || fetch(request)));
  }
});

const isInbox = (client) => new URL(client.url).pathname.startsWith("/inbox/");
self.addEventListener("push", (event) => {
  const show = async () => {
    const said = event.data.json();
    if (said.unread !== undefined) navigator.setAppBadge?.(said.unread).catch(() => {});
    const open = (await self.clients.matchAll({ type: "window", includeUncontrolled: true })).filter(isInbox);
    if (said.message && open.some((client) => client.visibilityState === "visible" && client.focused)) return; // it is on the page
    const before = await self.registration.getNotifications({ tag: said.tag });
    const cameBefore = ({ message, remark }) => message >= said.message && (remark || 0) >= (said.remark || 0);
    if (said.message && before.some((shown) => cameBefore(shown.data))) return; // it came twice
    await self.registration.showNotification(said.title, {
      body: said.body, tag: said.tag, renotify: true, icon: ICON, data: { url: said.url, message: said.message, remark: said.remark },
    });
  };
  event.waitUntil(show());
});
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const open = async () => {
    const url = event.notification.data.url;
    const found = await self.clients.matchAll({ type: "window" });
    const there = found.find((client) => new URL(client.url).pathname === url) || found.find(isInbox);
    if (!there) return self.clients.openWindow(url);
    await there.focus();
    return new URL(there.url).pathname === url ? there : there.navigate(url);
  };
  event.waitUntil(open());
});
