// Calls to this service, and to nothing else. The token is kept for the tab, and never enters an address.

import { current, t } from "./words.js";

const TOKEN = "thidua.audit.token";

/** What the service said instead of an answer. */
export class Problem extends Error {
  /**
   * @param {number} status 0 if it was not reached
   * @param {{ code?: string, title?: string, trace_id?: string, errors?: { pointer: string, detail: string }[],
   *   candidates?: { id: string, name: string }[] }} said
   */
  constructor(status, said) {
    super(said.title ?? said.code ?? String(status));
    this.status = status;
    this.code = said.code ?? "network";
    this.title = said.title ?? "";
    this.trace = said.trace_id ?? "";
    this.errors = said.errors ?? [];
    this.candidates = said.candidates ?? [];
  }
}

let kept = "";
try {
  kept = sessionStorage.getItem(TOKEN) ?? "";
} catch {
  // It is kept in memory alone.
}

export const token = () => kept;

/** @param {string} given */
export function setToken(given) {
  kept = given;
  try {
    if (given) sessionStorage.setItem(TOKEN, given);
    else sessionStorage.removeItem(TOKEN);
  } catch {
    // As above.
  }
}

/**
 * @param {string} path
 * @param {boolean} isOpen true if it is asked for without a token
 */
async function call(path, isOpen) {
  /** @type {Record<string, string>} */
  const headers = { "Accept-Language": current() };
  if (!isOpen && kept) headers.Authorization = `Bearer ${kept}`;
  let response;
  try {
    response = await fetch(path, { headers, credentials: "omit", redirect: "error", cache: "no-cache" });
  } catch {
    throw new Problem(0, { title: t("problem.network") });
  }
  if (response.ok) return response;
  throw new Problem(response.status, await response.json().catch(() => ({ code: String(response.status) })));
}

/**
 * @param {string} path
 * @param {Record<string, string | undefined>} [query]
 * @returns {Promise<any>}
 */
export async function json(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value);
  const search = new URLSearchParams(/** @type {[string, string][]} */ (given)).toString();
  return (await call(search ? `${path}?${search}` : path, false)).json();
}

/** @param {string} path */
export const text = async (path) => (await call(path, false)).text();

/**
 * What anybody may read is asked for as nobody.
 * @param {string} path
 */
export const openText = async (path) => (await call(path, true)).text();

/** @type {Map<string, Promise<string>>} */
const units = new Map();

/**
 * A unit's name, asked for once.
 * @param {string} id
 */
export function unitName(id) {
  let name = units.get(id);
  if (!name) {
    name = json(`/v1/units/${id}`).then((unit) => unit.name ?? id, () => `…${id.slice(-8)}`);
    units.set(id, name);
  }
  return name;
}

/** Another reader may see other names. */
export const forgetNames = () => units.clear();

/**
 * @typedef {{ position: number, id: string, type: string, at: string, actor: { id: string | null, kind: string },
 *   unit: string | null, record: { type: string, id: string, version: number }, changes: Record<string, any>,
 *   reason: { $c: string } | null, request_id: string | null, leaf: string }} Event
 */

/**
 * All events of a record, oldest first, page by page.
 * @param {string} record
 * @returns {Promise<Event[]>}
 */
export async function history(record) {
  /** @type {Event[]} */
  const events = [];
  let cursor;
  for (;;) {
    const page = await json("/v1/events", { record, order: "asc", limit: "200", cursor });
    events.push(...page.items);
    if (page.caught_up || !page.next_cursor) return events;
    cursor = page.next_cursor;
  }
}
