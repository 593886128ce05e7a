// Search and filter events. What is asked for stands in the fragment of the address, so that a view can be linked.

import * as api from "./api.js";
import { announce, button, fill, h, labelled, loading, short, time } from "./dom.js";
import { details } from "./event.js";
import { failed } from "./verdict.js";
import { current, t, typeInWords } from "./words.js";

/** @typedef {import("./api.js").Event} Event */

const PAGE = "50";
const FILTERS = ["type", "record", "actor", "unit", "campaign", "field", "request_id", "from", "until"];
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * The fragment of a view of events.
 * @param {Record<string, string | undefined>} filter
 */
export function address(filter) {
  const given = Object.entries(filter).filter(([, value]) => value);
  const query = new URLSearchParams(/** @type {[string, string][]} */ (given)).toString();
  return query ? `#/events?${query}` : "#/events";
}

/** @param {URLSearchParams} query */
function read(query) {
  /** @type {Record<string, string | undefined>} */
  const filter = {};
  for (const name of [...FILTERS, "order", "cursor"]) filter[name] = query.get(name) ?? undefined;
  return filter;
}

/**
 * Times stand in the address as the clocks of Việt Nam show them.
 * @param {string | undefined} local
 */
const instant = (local) => (local ? `${local.length === 16 ? `${local}:00` : local}+07:00` : undefined);

/**
 * @param {HTMLElement} view
 * @param {URLSearchParams} query
 * @param {{ types: string[], account: string }} context
 */
export async function render(view, query, context) {
  const filter = read(query);
  const list = h("div", { id: "list" }, loading());
  fill(view, h("h1", { tabindex: "-1" }, t("events")), form(filter, context), list);
  await load(list, filter, context);
}

/**
 * @param {HTMLElement} list
 * @param {Record<string, string | undefined>} filter
 * @param {{ account: string }} context
 */
async function load(list, filter, context) {
  const { from, until, order = "desc", ...rest } = filter;
  try {
    const page = await api.json("/v1/events", { ...rest, from: instant(from), until: instant(until), order, limit: PAGE });
    const turn = paging(page, filter, order);
    fill(list, page.items.length > 0 ? table(page.items, filter, order, context) : empty(), summary(page), turn);
    announce(page.items.length > 0 ? t("loaded", { count: page.items.length }) : t("empty"));
  } catch (error) {
    fill(list, failed(error, () => load(list, filter, context)));
  }
}

const empty = () => h("div", { class: "empty" }, h("p", null, h("strong", null, t("empty"))), h("p", null, t("empty.hint")));

/** @param {{ items: Event[], size: number }} page */
function summary({ items, size }) {
  if (items.length === 0) return null;
  const positions = items.map(({ position }) => position);
  return h("p", { class: "note" }, t("range", { first: Math.min(...positions), last: Math.max(...positions), size }));
}

/**
 * @param {{ next_cursor: string | null, prev_cursor: string | null, caught_up: boolean }} page
 * @param {Record<string, string | undefined>} filter
 * @param {string} order
 */
function paging(page, filter, order) {
  const hasNext = page.next_cursor && (order === "desc" || !page.caught_up);
  const link = (/** @type {string} */ name, /** @type {string | null | false} */ cursor) => cursor
    && h("a", { class: "button", href: address({ ...filter, cursor }), rel: name === "next" ? "next" : "prev" }, t(name));
  const links = [link("previous", page.prev_cursor), link("next", hasNext && page.next_cursor)].filter(Boolean);
  return links.length > 0 && h("nav", { class: "paging", "aria-label": t("paging") }, links);
}

/**
 * @param {Event[]} events
 * @param {Record<string, string | undefined>} filter
 * @param {string} order
 * @param {{ account: string }} context
 */
function table(events, filter, order, context) {
  const heads = ["position", "time", "type", "record", "unit", "actor", "details"];
  const body = h("tbody", { role: "rowgroup" }, events.flatMap((event) => row(event, filter, context)));
  return h("table", { role: "table", class: "events" },
    h("caption", { class: "unseen" }, t("table", { order: t(`order.${order}`) })),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      heads.map((name) => h("th", { role: "columnheader", scope: "col", class: `of-${name}` }, name === "details" ? h("span", { class: "unseen" }, t(name)) : t(name))))),
    body);
}

/**
 * @param {Event} event
 * @param {Record<string, string | undefined>} filter
 * @param {{ account: string }} context
 */
function row(event, filter, context) {
  const { position, record, actor, unit } = event;
  const narrowed = { ...filter, cursor: undefined };
  const cell = (/** @type {string} */ name, /** @type {(import("./dom.js").Child)[]} */ ...children) =>
    h("td", { role: "cell", "data-label": t(name), class: `of-${name}` }, h("div", null, children));
  const below = h("tr", { role: "row", class: "below", hidden: true }, h("td", { role: "cell", colspan: "7", id: `below-${position}` }));
  const toggle = button(t("details"), () => open(toggle, below, event), {
    "aria-expanded": "false", "aria-controls": `below-${position}`, "aria-label": t("details.of", { position }), class: "small",
  });
  const shown = h("tr", { role: "row", "data-position": position },
    cell("position", h("span", { class: "number" }, position)),
    cell("time", time(event.at)),
    cell("type", h("span", { title: event.type }, typeInWords(event.type))),
    cell("record", h("a", { href: `#/record/${record.id}`, title: record.id, "aria-label": t("timeline.of", { noun: typeInWords(event.type).split(":")[0], id: record.id.slice(-8) }) }, h("code", null, short(record.id))), h("span", { class: "note" }, ` v${record.version}`)),
    cell("unit", unit ? named(unit, address({ ...narrowed, unit })) : h("span", { class: "nothing" }, t("no.unit"))),
    cell("actor", who(actor, address({ ...narrowed, actor: actor.id ?? undefined }), context)),
    cell("details", toggle));
  return [shown, below];
}

/**
 * @param {string} id
 * @param {string} href
 */
export function named(id, href) {
  const link = h("a", { href, title: `${t("only.unit")} (${id})` }, short(id));
  api.unitName(id).then((name) => fill(link, name));
  return link;
}

/**
 * @param {Event["actor"]} actor
 * @param {string} href
 * @param {{ account: string }} context
 */
export function who(actor, href, context) {
  if (!actor.id) return t("console");
  return h("a", { href, title: `${t("only.actor")} (${actor.id})` }, actor.id === context.account ? t("you") : h("code", null, short(actor.id)));
}

/**
 * @param {HTMLElement} toggle
 * @param {HTMLElement} below
 * @param {Event} event
 */
function open(toggle, below, event) {
  const isOpen = below.hidden;
  below.hidden = !isOpen;
  toggle.setAttribute("aria-expanded", String(isOpen));
  const place = below.firstElementChild;
  if (isOpen && place && !place.hasChildNodes()) fill(place, details(event));
}

/**
 * @param {Record<string, string | undefined>} filter
 * @param {{ types: string[] }} context
 */
function form(filter, { types }) {
  const faults = h("div", { class: "faults", role: "alert" });
  const input = (/** @type {string} */ name, /** @type {Record<string, unknown>} */ more = {}) =>
    h("input", { id: `filter-${name}`, name, value: filter[name], autocomplete: "off", spellcheck: "false", ...more });
  const order = h("select", { id: "filter-order", name: "order" },
    ["desc", "asc"].map((value) => h("option", { value, selected: (filter.order ?? "desc") === value }, t(`order.${value}`))));
  const when = { type: "datetime-local", step: "1", lang: current() === "vi" ? "vi-VN" : "en-GB" };
  const isNarrow = FILTERS.some((name) => filter[name]);
  const fields = h("div", { class: "fields" },
    labelled(t("type"), typeSelect(types, filter.type)),
    labelled(t("unit"), input("unit"), t("unit.hint")),
    labelled(t("record.id"), input("record", { maxlength: "36" })),
    labelled(t("actor.id"), input("actor", { maxlength: "36" })),
    labelled(t("campaign"), campaignSelect(filter.campaign)),
    labelled(t("field"), input("field", { maxlength: "100" }), t("field.hint")),
    labelled(t("request"), input("request_id", { maxlength: "32" }), t("request.hint")),
    labelled(t("from"), input("from", when)),
    labelled(t("until"), input("until", when)),
    labelled(t("order"), order));
  const shown = h("form", {
    id: "filter",
    onsubmit: (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      void apply(/** @type {HTMLFormElement} */ (shown), faults);
    },
  }, fields, faults, h("p", { class: "actions" },
    h("button", { type: "submit", class: "main" }, t("filter.apply")),
    isNarrow && h("a", { class: "button", href: "#/events" }, t("filter.clear"))));
  // A browser that is wide enough shows the filter at once.
  const isWide = globalThis.matchMedia("(min-width: 48rem)").matches;
  return h("details", { class: "panel", open: isWide || isNarrow }, h("summary", null, h("h2", null, t("filter"))), shown);
}

/**
 * @param {string[]} types
 * @param {string | undefined} chosen
 */
function typeSelect(types, chosen) {
  const select = h("select", { id: "filter-type", name: "type" }, h("option", { value: "" }, t("type.any")));
  for (const noun of new Set(types.map((type) => type.split(".")[0]))) {
    const own = types.filter((type) => type.startsWith(`${noun}.`));
    select.append(h("optgroup", { label: typeInWords(own[0]).split(":")[0] },
      own.map((type) => h("option", { value: type, selected: type === chosen }, typeInWords(type)))));
  }
  return select;
}

/** @param {string | undefined} chosen */
function campaignSelect(chosen) {
  const select = h("select", { id: "filter-campaign", name: "campaign" }, h("option", { value: "" }, t("campaign.any")));
  if (chosen) select.append(h("option", { value: chosen, selected: true }, chosen));
  api.json("/v1/campaigns", { limit: "200" }).then(({ items }) => {
    const options = items.map((/** @type {any} */ { id, code, title }) =>
      h("option", { value: id, selected: id === chosen, title: title?.[current()] }, code));
    fill(select, h("option", { value: "" }, t("campaign.any")), options);
  }, () => {});
  return select;
}

/**
 * Checks what was entered, finds the unit by its name, and goes to the view.
 * @param {HTMLFormElement} entered
 * @param {HTMLElement} faults
 */
async function apply(entered, faults) {
  /** @type {Record<string, string | undefined>} */
  const filter = {};
  for (const [name, value] of new FormData(entered)) filter[name] = String(value).trim();
  if (filter.order === "desc") filter.order = undefined;
  fill(faults);
  for (const field of entered.querySelectorAll("input")) field.removeAttribute("aria-invalid");
  const fault = (/** @type {string} */ name, /** @type {(import("./dom.js").Child)[]} */ ...said) => {
    fill(faults, h("p", null, said));
    const field = /** @type {HTMLInputElement} */ (entered.elements.namedItem(name));
    field.setAttribute("aria-invalid", "true");
    field.focus();
  };
  for (const name of ["record", "actor"]) {
    if (filter[name] && !ID.test(filter[name])) return fault(name, t("filter.id", { example: "01900000-0000-7000-8000-000000000001" }));
  }
  if (filter.request_id && !/^[0-9a-f]{32}$/.test(filter.request_id)) return fault("request_id", t("request.hint"));
  if (filter.field && !(filter.type || filter.record || filter.campaign)) return fault("field", t("field.hint"));
  if (filter.unit && !ID.test(filter.unit)) {
    const by = /^[0-9]+$/.test(filter.unit) ? { code: filter.unit } : { name: filter.unit };
    try {
      filter.unit = (await api.json("/v1/units:resolve", by)).id;
    } catch (error) {
      if (!(error instanceof api.Problem)) throw error;
      if (error.candidates.length === 0) return fault("unit", error.title);
      const links = error.candidates.map(({ id, name }) => h("li", null, h("a", { href: address({ ...filter, unit: id }) }, name)));
      return fault("unit", t("filter.ambiguous"), h("ul", null, links));
    }
  }
  const next = address(filter);
  if (next === location.hash) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = next;
}
