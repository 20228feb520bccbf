/* Helpers for elements, numbers and times. */

export const $ = (id) => document.getElementById(id);

export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

export function spelled(value) {
  const au = /^\+61(\d{3})(\d{3})(\d{3})$/.exec(value);
  if (au) return au[1][0] === "4" ? `+61 ${au[1]} ${au[2]} ${au[3]}` : `+61 ${value[3]} ${value.slice(4, 8)} ${value.slice(8)}`;
  const us = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(value);
  return us ? `+1 ${us[1]} ${us[2]} ${us[3]}` : value;
}

export function time(seconds) {
  const date = new Date(seconds * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString([], today ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short" });
}

let toastTimer = 0;

export function toast(text) {
  clearTimeout(toastTimer);
  $("toast").textContent = text;
  $("toast").hidden = !text;
  if (text) toastTimer = setTimeout(() => toast(""), 6000);
}
