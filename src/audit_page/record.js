// A record's timeline: all its events in order, and that none of them is missing.

import * as api from "./api.js";
import { announce, button, download, fill, h, loading, short } from "./dom.js";
import { actions, changes, differs, facts, leafOf, otherField, reason, when } from "./event.js";
import { address, named, who } from "./events.js";
import { concat, utf8 } from "./tree.js";
import * as trust from "./trust.js";
import { broken, failed, good, refused, show } from "./verdict.js";
import { verifyStream } from "./verify.js";
import { t, typeInWords, word } from "./words.js";

/** @typedef {import("./api.js").Event} Event */

/** Events shown at once; a long history is continued on demand. */
const SHOWN = 100;

/**
 * @param {HTMLElement} view
 * @param {string} id
 * @param {{ account: string }} context
 */
export async function render(view, id, context) {
  const heading = h("h1", { tabindex: "-1" }, t("timeline"));
  const place = h("div", null, loading());
  fill(view, h("p", null, h("a", { href: address({ record: id }) }, t("back"))), heading, h("p", { class: "note" }, h("code", null, id)), place);
  const load = async () => {
    try {
      const events = await api.history(id);
      if (events.length === 0) {
        fill(place, h("div", { class: "empty" }, h("p", null, h("strong", null, t("empty"))), h("p", null, t("empty.hint"))));
        return announce(t("empty"));
      }
      fill(heading, `${word("noun", events[0].record.type)} ${short(id)}`);
      fill(place, ...timeline(events, context));
      announce(t("timeline.count", { count: events.length }));
    } catch (error) {
      fill(place, failed(error, load));
    }
  };
  await load();
}

/**
 * @param {Event[]} events
 * @param {{ account: string }} context
 */
function timeline(events, context) {
  const result = h("div", { class: "result" });
  const { id } = events[0].record;
  const list = h("ol", { class: "timeline" }, events.slice(0, SHOWN).map((event) => entry(event, context)));
  const more = button(t("timeline.more"), () => {
    const shown = list.children.length;
    list.append(...events.slice(shown, shown + SHOWN).map((event) => entry(event, context)));
    if (list.children.length === events.length) more.remove();
    /** @type {HTMLElement | null} */ (list.children[shown])?.focus();
  });
  return [
    h("p", null, t("timeline.count", { count: events.length })),
    h("p", { class: "actions" },
      button(t("verify.history"), () => show(result, () => verifyHistory(events)), { class: "main", "data-act": "verify-history" }),
      button(t("download.history"), () => download(`${id}.ndjson`, /** @type {BlobPart} */ (lines(events))))),
    result,
    list,
    events.length > SHOWN && h("p", null, more),
  ];
}

/**
 * @param {Event} event
 * @param {{ account: string }} context
 */
function entry(event, context) {
  const { record, unit, actor, position } = event;
  const rest = h("details", { ontoggle: () => rest.childElementCount === 1 && rest.append(facts(event), actions(event)) },
    h("summary", null, t("details"), h("span", { class: "unseen" }, ` ${t("version.of", { version: record.version })}`)));
  return h("li", { tabindex: "-1", "data-version": record.version },
    h("h2", null, h("span", { class: "version" }, `v${record.version}`), " ", typeInWords(event.type)),
    h("p", { class: "note" }, when(event), " · ", who(actor, address({ actor: actor.id ?? undefined }), context),
      unit && " · ", unit && named(unit, address({ unit })),
      " · ", t("position"), " ", position),
    event.reason && h("p", null, t("reason"), ": ", reason(event)),
    changes(event),
    rest);
}

/** @param {Event[]} events */
const lines = (events) => concat(...events.flatMap((event) => [leafOf(event), utf8("\n")]));

/**
 * Fetches the proof of the last event and verifies every version here.
 * @param {Event[]} events
 */
async function verifyHistory(events) {
  const last = events[events.length - 1];
  const [proof, policy] = await Promise.all([api.text(`/v1/events/${last.id}/proof`), trust.policy()]);
  const verdict = await verifyStream({ leaves: lines(events), proof, policy: utf8(policy.text) });
  if (!verdict.ok) return refused(verdict);
  for (const event of events) {
    const field = differs(event, leafOf(event));
    if (field) return refused(otherField(field, event));
  }
  const asked = `${last.record.type}/${last.record.id}`;
  if (verdict.stream !== asked) return refused(otherField("record", last));
  if (verdict.position !== BigInt(last.position)) return refused(otherField("position", last));
  const memory = await trust.remember(verdict);
  if (memory.how === "broken") return broken(memory);
  const { versions, stream, size } = verdict;
  const steps = [t("step.chain"), t("step.inclusion", { size }), t("step.fields.history")];
  const box = good(t("ok.history", { versions, stream }), steps, verdict, policy.source, memory);
  box.append(h("p", { class: "note" }, t("limit.history", { size })));
  return box;
}
