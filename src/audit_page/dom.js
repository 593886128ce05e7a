// Elements, times and downloads. Nothing that comes from elsewhere is ever read as markup: text is set as text.

import { current, t } from "./words.js";

/** @typedef {Node | string | number | bigint | null | undefined | false} Child */

/**
 * An element. `on…` is a listener, `true` an attribute without a value, `false` and undefined none at all.
 * @param {string} tag
 * @param {Record<string, unknown> | null} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  fill(element, ...children);
  return element;
}

/**
 * Puts these into an element in place of what is there.
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function fill(element, ...children) {
  const nodes = children.flat().filter((child) => child !== null && child !== undefined && child !== false);
  element.replaceChildren(...nodes.map((node) => (node instanceof Node ? node : String(node))));
}

/**
 * Says something to whoever listens to the page.
 * @param {string} said
 */
export function announce(said) {
  const region = document.getElementById("said");
  if (region) region.textContent = said;
}

const TIME = { timeZone: "Asia/Ho_Chi_Minh", day: "2-digit", month: "2-digit", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };

/**
 * A time as clocks in Việt Nam show it; the exact one in UTC stands in its title.
 * @param {string} at RFC 3339
 */
export function time(at) {
  const shown = new Intl.DateTimeFormat(current() === "vi" ? "vi-VN" : "en-GB", /** @type {any} */ (TIME)).format(new Date(at));
  return h("time", { datetime: at, title: `${at} (UTC)` }, shown);
}

/**
 * The end of an id: its beginning is a time and much the same everywhere.
 * @param {string} id
 */
export const short = (id) => `…${id.slice(-8)}`;

/**
 * Lets the browser save a file.
 * @param {string} name
 * @param {BlobPart} content
 */
export function download(name, content) {
  const address = URL.createObjectURL(new Blob([content], { type: "application/octet-stream" }));
  const link = h("a", { href: address, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/**
 * A button that cannot be pressed again while it works.
 * @param {string} label
 * @param {(event: Event) => unknown} act
 * @param {Record<string, unknown>} [attributes]
 */
export function button(label, act, attributes = {}) {
  /** @param {Event} event */
  const onclick = async (event) => {
    const pressed = /** @type {HTMLElement} */ (event.currentTarget);
    if (pressed.getAttribute("aria-disabled") === "true") return;
    // Not `disabled`: the focus would be lost.
    pressed.setAttribute("aria-disabled", "true");
    try {
      await act(event);
    } finally {
      pressed.removeAttribute("aria-disabled");
    }
  };
  return h("button", { type: "button", onclick, ...attributes }, label);
}

/**
 * A labelled field.
 * @param {string} label
 * @param {HTMLElement} field with an id
 * @param {string} [hint]
 */
export function labelled(label, field, hint) {
  const described = hint ? h("small", { id: `${field.id}-hint` }, hint) : null;
  if (described) field.setAttribute("aria-describedby", described.id);
  return h("div", { class: "field" }, h("label", { for: field.id }, label), field, described);
}

/** What stands where something is being fetched. */
export const loading = () => h("p", { class: "loading" }, t("loading"));
