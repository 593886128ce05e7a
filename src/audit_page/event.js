// One event: what it changed, and that it stands in the log.

import * as api from "./api.js";
import { button, download, fill, h, time } from "./dom.js";
import { leafHash, text, unbase64url, utf8 } from "./tree.js";
import * as trust from "./trust.js";
import { broken, good, refused, show } from "./verdict.js";
import { verifyProof } from "./verify.js";
import { t } from "./words.js";

/**
 * @typedef {import("./api.js").Event} Event
 * @typedef {import("./verify.js").Bad} Bad
 */

/** @param {string} digest */
const shortDigest = (digest) => `${digest.slice(0, 10)}…`;

const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * A value as it stands in a leaf; a unit with its name.
 * @param {string} field
 * @param {unknown} value
 */
function shown(field, value) {
  if (typeof value === "string" && ID.test(value) && /unit|subject|parent|owner/.test(field)) return unit(value);
  if (value === null || value === undefined) return h("span", { class: "nothing" }, t("nothing"));
  if (typeof value === "boolean") return h("span", null, value ? t("yes") : t("no"));
  if (typeof value === "object") {
    const isEmpty = Object.keys(value).length === 0;
    return isEmpty ? h("span", { class: "nothing" }, Array.isArray(value) ? "[ ]" : "{ }") : h("pre", null, JSON.stringify(value, null, 2));
  }
  return h("span", null, String(value));
}

/** @param {string} id */
function unit(id) {
  const name = h("span");
  api.unitName(id).then((found) => !found.startsWith("…") && fill(name, found, " "));
  return h("span", null, name, h("code", null, id));
}

/**
 * A commitment: withheld, or removed if nothing stands in its place any more.
 * @param {string | null} digest
 * @param {boolean} isRemoved
 */
function commitment(digest, isRemoved) {
  if (digest === null) return isRemoved ? h("span", { class: "chip removed" }, t("removed")) : h("span", { class: "nothing" }, t("nothing"));
  return h("span", { class: "chip withheld", title: t("commitment", { digest }) }, t("withheld"), " ", h("code", null, shortDigest(digest)));
}

/**
 * Field by field, old and new.
 * @param {Event} event
 */
export function changes(event) {
  const fields = Object.entries(event.changes);
  if (fields.length === 0) return h("p", { class: "note" }, t("changes.none"));
  const cell = (/** @type {string} */ label, /** @type {Node} */ child, /** @type {string} */ kind) =>
    h("td", { role: "cell", "data-label": label, class: kind }, h("div", null, child));
  const rows = fields.map(([field, change]) => {
    const digests = change?.$c;
    const [old, now] = Array.isArray(digests)
      ? [commitment(digests[0], false), commitment(digests[1], digests[0] !== null)]
      : [shown(field, change?.[0]), shown(field, change?.[1])];
    return h("tr", { role: "row" },
      h("th", { role: "rowheader", scope: "row" }, h("code", null, field)), cell(t("old"), old, "old"), cell(t("new"), now, "new"));
  });
  const heads = ["field", "old", "new"].map((name) => h("th", { role: "columnheader", scope: "col" }, t(name)));
  return h("table", { role: "table", class: "changes" },
    h("caption", { class: "unseen" }, t("changes")),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)), h("tbody", { role: "rowgroup" }, rows));
}

/**
 * The reason that was given: the log keeps its commitment alone.
 * @param {Event} event
 */
export const reason = (event) => (event.reason?.$c
  ? h("span", { class: "chip withheld", title: t("commitment", { digest: event.reason.$c }) }, t("reason.withheld", { digest: shortDigest(event.reason.$c) }))
  : h("span", { class: "nothing" }, t("reason.none")));

/**
 * Everything that the leaf says beside the changes.
 * @param {Event} event
 */
export function facts(event) {
  const pair = (/** @type {string} */ name, /** @type {import("./dom.js").Child} */ value) => [h("dt", null, t(name)), h("dd", null, value)];
  return h("dl", { class: "facts" },
    pair("at.utc", h("code", null, event.at)),
    pair("event.id", h("code", null, event.id)),
    pair("reason", reason(event)),
    event.actor.id ? pair("actor.id", h("code", null, event.actor.id)) : [],
    event.request_id ? pair("request", h("code", null, event.request_id)) : []);
}

/** @param {Event} event */
export function leafOf(event) {
  const leaf = unbase64url(event.leaf);
  if (!leaf) throw new Error("leaf");
  return leaf;
}

/**
 * @param {unknown} value
 * @returns {unknown}
 */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, part]) => [name, sorted(part)]));
}

/**
 * The first field of which the answer says something else than its leaf, in the leaf's own bytes.
 * @param {Event} event
 * @param {Uint8Array} leaf
 * @returns {string | null}
 */
export function differs(event, leaf) {
  const said = JSON.parse(text(leaf) ?? "null") ?? {};
  const pairs = {
    id: [event.id, said.id],
    type: [event.type, said.type],
    at: [event.at, said.at],
    actor: [{ id: event.actor.id ?? null, kind: event.actor.kind }, said.actor],
    unit: [event.unit ?? null, said.unit],
    record: [`${event.record.type}/${event.record.id}`, said.stream],
    version: [event.record.version, said.ver],
    changes: [event.changes, said.changes],
    reason: [event.reason ?? null, said.reason],
    request_id: [event.request_id ?? null, said.corr],
  };
  const other = Object.entries(pairs).find(([, [shows, says]]) => JSON.stringify(sorted(shows)) !== JSON.stringify(sorted(says)));
  return other?.[0] ?? null;
}

/**
 * @param {string} field
 * @param {Event} event
 * @returns {Bad}
 */
export const otherField = (field, event) => ({ ok: false, why: "field", facts: { field }, position: BigInt(event.position), version: event.record.version });

/**
 * Fetches the proof of an event and verifies it here.
 * @param {Event} event
 */
export async function verifyEvent(event) {
  const [proof, policy] = await Promise.all([api.text(`/v1/events/${event.id}/proof`), trust.policy()]);
  const leaf = leafOf(event);
  const verdict = await verifyProof({ leaf, proof, policy: utf8(policy.text) });
  if (!verdict.ok) return refused(verdict);
  const field = verdict.position === BigInt(event.position) ? differs(event, leaf) : "position";
  if (field) return refused(otherField(field, event));
  const memory = await trust.remember(verdict);
  if (memory.how === "broken") return broken(memory);
  const { position, origin, size } = verdict;
  const hash = [...(await leafHash(leaf))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const steps = [t("step.leaf", { hash }), t("step.inclusion", { size }), t("step.fields")];
  return good(t("ok.event", { position, origin }), steps, verdict, policy.source, memory);
}

/**
 * What can be done with an event: verify it, and take its files along.
 * @param {Event} event
 */
export function actions(event) {
  const result = h("div", { class: "result" });
  const proof = async () => {
    try {
      download(`${event.id}.tlog-proof`, await api.text(`/v1/events/${event.id}/proof`));
    } catch (error) {
      await show(result, () => Promise.reject(error));
    }
  };
  return h("div", null,
    h("p", { class: "actions" },
      button(t("verify.event"), () => show(result, () => verifyEvent(event)), { class: "main", "data-act": "verify-event" }),
      button(t("download.leaf"), () => download(`${event.id}.leaf.json`, /** @type {BlobPart} */ (leafOf(event)))),
      button(t("download.proof"), proof)),
    result);
}

/**
 * The details below a row.
 * @param {Event} event
 */
export const details = (event) => h("div", { class: "details" }, changes(event), facts(event), actions(event));

/** @param {Event} event */
export const when = (event) => time(event.at);
