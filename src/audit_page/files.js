// Files that the auditor has: told apart, and verified without any call.

import { announce, button, fill, h } from "./dom.js";
import { parsePolicy, remembered } from "./format.js";
import { text, utf8 } from "./tree.js";
import * as trust from "./trust.js";
import { good, refused, show } from "./verdict.js";
import { verifyExport, verifyProof, verifyStream } from "./verify.js";
import { t } from "./words.js";

/**
 * @typedef {"leaves" | "proof" | "manifest" | "policy" | "held" | "consistency" | "disclosures" | "tiles"} Kind
 * @typedef {{ name: string, kind: Kind, bytes: Uint8Array }} Given
 */

const LARGEST = 1024 ** 3;

/**
 * What a file is, by what stands in it.
 * @param {Uint8Array} bytes
 * @returns {Promise<Kind>}
 */
async function kindOf(bytes) {
  const begins = (/** @type {string} */ start) => bytes.length > start.length && utf8(start).every((byte, place) => byte === bytes[place]);
  if (begins("c2sp.org/tlog-proof@v1\n")) return "proof";
  if (begins("thidua.export/1\n")) return "manifest";
  if (bytes.length < 1_000_000) {
    const read = text(bytes);
    const isPolicy = await parsePolicy(bytes).then(() => true, () => false);
    if (isPolicy) return "policy";
    try {
      if (read !== null && remembered(read)) return "held";
    } catch {
      // No checkpoint.
    }
    try {
      const json = JSON.parse(read ?? "");
      if (Array.isArray(json)) return "disclosures";
      if (json && "hashes" in json && "from" in json) return "consistency";
    } catch {
      // No single JSON text.
    }
  }
  return begins("{") || bytes.length % 32 !== 0 || bytes.length === 0 ? "leaves" : "tiles";
}

/** @param {HTMLElement} view */
export function render(view) {
  /** @type {Given[]} */
  let given = [];
  const list = h("ul", { class: "given", id: "given" });
  const hint = h("p", { class: "note", role: "status" });
  const result = h("div", { class: "result", id: "files-result" });
  const draw = () => {
    fill(list, given.map(({ name, kind }) => h("li", { "data-kind": kind }, h("code", null, name), " ", h("span", { class: "chip" }, t(`kind.${kind}`)))));
    fill(hint, missing(given));
  };
  const add = async (/** @type {FileList} */ files) => {
    for (const file of files) {
      if (file.size > LARGEST) {
        fill(result, h("p", { class: "faults" }, t("files.large")));
        continue;
      }
      const bytes = new Uint8Array(await file.arrayBuffer());
      const kind = await kindOf(bytes);
      // The last of a kind counts.
      given = [...given.filter((other) => other.kind !== kind), { name: file.name, kind, bytes }];
      announce(t("files.added", { name: file.name, kind: t(`kind.${kind}`) }));
    }
    fill(result);
    draw();
  };
  const field = /** @type {HTMLInputElement} */ (h("input", { type: "file", id: "files", multiple: true }));
  field.addEventListener("change", async () => {
    if (field.files) await add(field.files);
    field.value = "";
  });
  const drop = h("div", {
    class: "drop",
    ondragover: (/** @type {DragEvent} */ event) => event.preventDefault(),
    ondrop: (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      if (event.dataTransfer) void add(event.dataTransfer.files);
    },
  }, h("label", { for: "files" }, t("files.choose")), field, h("span", { class: "note" }, t("files.drop")));
  const clear = () => {
    given = [];
    fill(result);
    draw();
  };
  draw();
  fill(view, h("h1", { tabindex: "-1" }, t("files")), h("p", null, t("files.lead")), h("p", null, t("files.what")), h("p", { class: "note" }, t("trust.page")), drop,
    h("section", { "aria-labelledby": "given-heading" }, h("h2", { id: "given-heading" }, t("files.list")), list, hint,
      h("p", { class: "actions" },
        button(t("files.verify"), () => show(result, () => verify(given, result)), { class: "main", "data-act": "verify-files" }),
        button(t("files.clear"), clear, { "data-act": "clear-files" }))),
    result);
}

/**
 * What is not there yet.
 * @param {Given[]} given
 */
function missing(given) {
  if (given.length === 0) return t("files.none");
  const has = (/** @type {Kind} */ kind) => given.some((file) => file.kind === kind);
  const lacking = [
    !has("leaves") && t("missing.leaves"),
    !has("proof") && !has("manifest") && t("missing.proof"),
    !has("policy") && trust.heldPolicy() === null && t("missing.policy"),
  ].filter(Boolean);
  if (lacking.length > 0) return t("files.need", { missing: lacking.join("; ") });
  return has("policy") ? "" : t("files.policy.missing");
}

/**
 * What became of the personal values.
 * @param {import("./disclosures.js").Counts | null} counts
 */
function told(counts) {
  const said = t("step.commitments", { ...(counts ?? { disclosed: 0, erased: 0, withheld: 0 }) });
  return counts?.other ? `${said}; ${t("step.other", { other: counts.other })}` : said;
}

/**
 * @param {Given[]} given
 * @param {HTMLElement} place
 */
async function verify(given, place) {
  const bytes = (/** @type {Kind} */ kind) => given.find((file) => file.kind === kind)?.bytes;
  const read = (/** @type {Kind} */ kind) => {
    const found = bytes(kind);
    return found && new TextDecoder("utf-8", { ignoreBOM: true }).decode(found);
  };
  const held = trust.heldPolicy();
  const policy = bytes("policy") ?? (held === null ? undefined : utf8(held));
  const [leaves, proof, manifest] = [bytes("leaves"), read("proof"), read("manifest")];
  if (!leaves || !policy || (!proof && !manifest)) return h("p", { class: "faults" }, missing(given));
  // Without disclosures the commitments are still counted: erased, or withheld.
  const disclosures = read("disclosures") ?? "[]";
  const source = bytes("policy") ? "file" : "held";
  const before = { policy, held: read("held"), consistency: bytes("held") && read("consistency") };
  const continued = before.held ? [t("step.continues.file", { size: trust.sizeOf(before.held).size })] : [];
  if (manifest) {
    const progress = (/** @type {bigint} */ found, /** @type {bigint} */ events) =>
      fill(place, h("p", { class: "loading" }, t("verify.progress", { found, events })));
    const verdict = await verifyExport({ ...before, content: leaves, manifest, tiles: bytes("tiles"), disclosures, progress });
    if (!verdict.ok) return refused(verdict);
    const { events, records, from, to, size } = verdict;
    const steps = [t("step.content"), t("step.inclusion", { size }), told(verdict.commitments), ...continued];
    return good(t("ok.export", { events, records, from, to }), steps, verdict, source, null);
  }
  const isOne = leaves.indexOf(10) < 0 || leaves.indexOf(10) === leaves.length - 1;
  // One leaf of version 1 is a whole history as well; what is asked is whether it stands in the log.
  if (isOne) {
    const verdict = await verifyProof({ ...before, leaf: leaves, proof: proof ?? "" });
    if (!verdict.ok) return refused(verdict);
    const { position, origin, size } = verdict;
    return good(t("ok.event", { position, origin }), [t("step.leaf", { hash: verdict.leaf }), t("step.inclusion", { size }), ...continued], verdict, source, null);
  }
  const verdict = await verifyStream({ ...before, leaves, proof: proof ?? "", disclosures });
  if (!verdict.ok) return refused(verdict);
  const { versions, stream, size } = verdict;
  const steps = [t("step.chain"), t("step.inclusion", { size }), told(verdict.commitments), ...continued];
  return good(t("ok.history", { versions, stream }), steps, verdict, source, null);
}
