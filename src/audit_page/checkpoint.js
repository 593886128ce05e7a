// The newest checkpoint, whom to believe about it, and that it continues what was seen before.

import { announce, button, download, fill, h, labelled, loading, time } from "./dom.js";
import { parsePolicy } from "./format.js";
import { Refused, base64, utf8 } from "./tree.js";
import * as trust from "./trust.js";
import { broken, failed, good, refused, show } from "./verdict.js";
import { verifyCheckpoint } from "./verify.js";
import { t } from "./words.js";

/** @param {HTMLElement} view */
export async function render(view) {
  const places = { newest: h("div", null, loading()), trust: h("div", null, loading()), kept: h("div") };
  const redraw = () => draw(places);
  fill(view, h("h1", { tabindex: "-1" }, t("checkpoint")),
    section("newest", places.newest), section("trust", places.trust), section("kept", places.kept), compare());
  places.newest.dataset.part = "newest";
  await redraw();
}

/**
 * @param {string} name
 * @param {...(import("./dom.js").Child)} children
 */
const section = (name, ...children) => h("section", { class: "panel", id: name, "aria-labelledby": `${name}-heading` },
  h("h2", { id: `${name}-heading` }, t(name)), ...children);

/** @param {{ newest: HTMLElement, trust: HTMLElement, kept: HTMLElement }} places */
async function draw(places) {
  const again = () => draw(places);
  const [shownNewest, shownTrust] = await Promise.allSettled([newest(again), believed(again)]);
  const node = (/** @type {PromiseSettledResult<(Node | false)[]>} */ shown) => (shown.status === "fulfilled" ? shown.value : [failed(shown.reason, again)]);
  fill(places.newest, ...node(shownNewest));
  fill(places.trust, ...node(shownTrust));
  fill(places.kept, ...kept(again));
}

/** @param {() => unknown} again */
async function newest(again) {
  const { note, policy, verdict } = await trust.newest();
  const at = new Date().toISOString();
  const buttons = h("p", { class: "actions" },
    button(t("refresh"), again),
    button(t("download"), () => download("checkpoint.txt", note)));
  if (!verdict.ok) {
    announce(t("bad"));
    return [refused(verdict), h("pre", { class: "note" }, note), buttons];
  }
  const memory = await trust.remember(verdict);
  const shown = memory.how === "broken"
    ? broken(memory)
    : good(t("ok.checkpoint", { size: verdict.size, origin: verdict.origin }), [], verdict, policy.source, memory);
  announce(t(memory.how === "broken" ? "bad" : "ok"));
  const pair = (/** @type {string} */ name, /** @type {import("./dom.js").Child} */ value) => [h("dt", null, t(name)), h("dd", null, value)];
  const facts = h("dl", { class: "facts" },
    pair("origin", h("code", null, verdict.origin)),
    pair("size", h("strong", null, verdict.size)),
    pair("root", h("code", null, base64(verdict.root))),
    pair("signature", h("code", null, verdict.log)),
    pair("witnesses", verdict.cosigned.length > 0 ? verdict.cosigned.map(({ name }) => name).join(", ") : t("witnesses.none")),
    pair("fetched", time(at)));
  return [facts, shown, buttons];
}

/**
 * Whoever copies a text seldom copies exactly its last newline.
 * @param {string} pasted
 */
const ended = (pasted) => `${pasted.trim()}\n`;

/**
 * The policy in use, and another one instead.
 * @param {() => unknown} again
 */
async function believed(again) {
  const held = trust.heldPolicy();
  const served = await trust.servedPolicy().catch((error) => {
    if (held === null) throw error;
    return null;
  });
  const fault = h("div", { class: "faults", role: "alert" });
  const area = h("textarea", { id: "policy", rows: "5", spellcheck: "false", autocapitalize: "off" }, held ?? "");
  const keep = async (/** @type {string} */ policy) => {
    try {
      await parsePolicy(utf8(policy));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return fill(fault, h("p", null, t(`why.${error.code}`, error.facts)));
    }
    const isKept = trust.holdPolicy(policy);
    announce(t(isKept ? "trust.kept" : "problem.storage"));
    if (!isKept) return fill(fault, h("p", null, t("problem.storage")));
    return again();
  };
  const entered = () => ended(/** @type {HTMLTextAreaElement} */ (area).value);
  const drop = () => {
    trust.holdPolicy(null);
    return again();
  };
  return [
    h("p", null, h("strong", null, t(held === null ? "trust.served" : "trust.held")), " ",
      held !== null && served !== null && t(held === served ? "trust.same" : "trust.differs")),
    h("p", null, t("trust.why")),
    h("p", { class: "note" }, t("trust.page")),
    served !== null && h("pre", { class: "policy" }, served.trim()),
    labelled(t("trust.paste"), area),
    labelled(t("load.file"), fileInto(area, "policy-file")),
    fault,
    h("p", { class: "actions" },
      button(t("trust.keep"), () => keep(entered()), { class: "main" }),
      held === null && served !== null && button(t("trust.keep.served"), () => keep(served)),
      held !== null && button(t("trust.drop"), drop),
      button(t("download.policy"), () => download("policy.txt", held ?? served ?? ""))),
  ];
}

/**
 * A field whose file's text goes into another field.
 * @param {HTMLElement} area
 * @param {string} id
 */
function fileInto(area, id) {
  const field = /** @type {HTMLInputElement} */ (h("input", { type: "file", id }));
  field.addEventListener("change", async () => {
    const file = field.files?.[0];
    if (file) /** @type {HTMLTextAreaElement} */ (area).value = await file.text();
  });
  return field;
}

/** @param {() => unknown} again */
function kept(again) {
  const held = trust.heldCheckpoint();
  const why = h("p", null, t("kept.why"));
  if (!held) return [why, h("p", null, t("kept.none"))];
  const { note, at, checkpoint } = held;
  const forget = () => {
    if (!globalThis.confirm(t("kept.forget.sure"))) return undefined;
    trust.forgetCheckpoint();
    announce(t("kept.forgotten"));
    return again();
  };
  return [
    why,
    h("dl", { class: "facts" },
      h("dt", null, t("origin")), h("dd", null, h("code", null, checkpoint.origin)),
      h("dt", null, t("size")), h("dd", null, h("strong", null, checkpoint.size)),
      h("dt", null, t("root")), h("dd", null, h("code", null, base64(checkpoint.root))),
      h("dt", null, t("fetched")), h("dd", null, time(at))),
    h("p", { class: "actions" },
      button(t("download"), () => download(`checkpoint-${checkpoint.size}.txt`, note)),
      button(t("kept.forget"), forget)),
  ];
}

/** A checkpoint from before, however it was kept. */
function compare() {
  const area = /** @type {HTMLTextAreaElement} */ (h("textarea", { id: "older", rows: "6", spellcheck: "false", autocapitalize: "off" }));
  const result = h("div", { class: "result" });
  const check = () => show(result, async () => {
    const { note, policy, verdict } = await trust.newest();
    if (!verdict.ok) return refused(verdict);
    const older = ended(area.value);
    const signed = await verifyCheckpoint({ note: older, policy: utf8(policy.text) });
    // Keys change; one that the policy does not have any more may have signed it.
    const isOldKey = !signed.ok && ["no_known_key", "log_did_not_sign"].includes(signed.why);
    if (!signed.ok && !isOldKey) return refused(signed);
    const { verdict: compared, old, new: newer } = await trust.continues(older, note);
    if (!compared.ok) return isOldKey ? refused(compared) : broken({ how: "broken", bad: compared, old, new: newer });
    const { size } = trust.sizeOf(older);
    const steps = isOldKey ? [t("compare.unsigned")] : [];
    return good(t("ok.checkpoint", { size: verdict.size, origin: verdict.origin }), steps, verdict, policy.source, { how: "compared", size });
  });
  return section("compare", h("p", null, t("compare.why")), labelled(t("compare.note"), area),
    labelled(t("load.file"), fileInto(area, "older-file")),
    h("p", { class: "actions" }, button(t("compare.go"), check, { class: "main" })), result);
}
