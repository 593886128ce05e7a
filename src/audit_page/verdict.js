// What was verified, said step by step; and what went wrong, where.

import { Problem } from "./api.js";
import { announce, button, download, h, time } from "./dom.js";
import * as trust from "./trust.js";
import { t } from "./words.js";

/**
 * @typedef {import("./verify.js").Under} Under
 * @typedef {import("./verify.js").Bad} Bad
 * @typedef {import("./trust.js").Memory} Memory
 */

/** @param {bigint} seconds since 1970 */
const second = (seconds) => time(new Date(Number(seconds) * 1000).toISOString());

/**
 * A result with its heading.
 * @param {"ok" | "bad" | "unknown"} what
 * @param {...(import("./dom.js").Child | import("./dom.js").Child[])} children
 */
export function box(what, ...children) {
  const mark = { ok: "✓", bad: "✕", unknown: "?" }[what];
  const heading = h("p", { class: "outcome" }, h("span", { "aria-hidden": "true", class: "mark" }, mark), h("strong", null, t(what)));
  return h("div", { class: `verdict ${what}`, "data-verdict": what }, heading, ...children);
}

/**
 * Everything that was checked.
 * @param {string} said in one sentence
 * @param {(Node | string)[]} steps
 * @param {Under} under
 * @param {trust.Policy["source"]} source of the policy
 * @param {Memory | null} memory
 */
export function good(said, steps, under, source, memory) {
  const names = under.cosigned.flatMap(({ name, time: at }, place) => [place > 0 ? ", " : "", name, " (", second(at), ")"]);
  const all = [
    ...steps,
    t("step.signed", { log: under.log }),
    names.length > 0 ? h("span", null, t("step.witnesses", { names: "" }), ...names) : t("step.unwitnessed"),
    t(`step.policy.${source}`),
    memory?.how === "first" && t("step.first"),
    memory?.how === "continues" && t("step.continues", { size: memory.size }),
    memory?.how === "compared" && t("step.continues.file", { size: memory.size }),
    memory?.how === "unkept" && t("problem.storage"),
  ];
  const limit = source === "served" && h("p", { class: "note" }, t("served.limit"), " ", h("a", { href: "#/checkpoint" }, t("served.go")));
  return box("ok", h("p", null, said), h("ul", { class: "steps" }, all.filter(Boolean).map((step) => h("li", null, step))), limit);
}

/** @param {Bad} bad */
export function refused(bad) {
  // What this browser cannot check is neither good nor bad.
  const what = bad.why === "no_ed25519" ? "unknown" : "bad";
  const place = [
    bad.version !== undefined && t("place.version", { version: bad.version }),
    bad.position !== undefined && t("place.position", { position: bad.position }),
    bad.line !== undefined && t("place.line", { line: bad.line }),
  ].filter(Boolean).join(" · ");
  return box(what, place && h("p", { class: "place" }, place), h("p", null, t(`why.${bad.why}`, bad.facts)));
}

/**
 * The checkpoint is good by itself and does not continue what is remembered: the gravest that can be found.
 * @param {Memory & { how: "broken" }} memory
 */
export function broken({ bad, old, new: newer }) {
  return box(
    "bad",
    h("p", null, t(`why.${bad.why}`, bad.facts)),
    h("p", null, t("evidence")),
    h("p", { class: "actions" },
      button(t("evidence.old"), () => download("checkpoint-old.txt", old)),
      button(t("evidence.new"), () => download("checkpoint-new.txt", newer))),
  );
}

/**
 * Something that the service did not do.
 * @param {unknown} error
 */
export function problem(error) {
  if (!(error instanceof Problem)) {
    console.error(error);
    return box("unknown", h("p", null, String(error)));
  }
  if (error.code === "not_signed") return box("unknown", h("p", null, t("why.unsigned")));
  return box("unknown", ...problemLines(error));
}

/**
 * A problem in words: the service says it in the page's language.
 * @param {Problem} error
 */
export function problemLines(error) {
  const known = { 0: "problem.network", 401: "problem.token", 403: "problem.forbidden" }[error.status];
  const isReadOnly = error.code === "read_only";
  return [
    h("p", null, isReadOnly ? t("read_only") : known ? t(known) : error.title || error.code),
    error.errors.length > 0 && h("ul", null, error.errors.map((fault) => h("li", null, fault.pointer && h("code", null, fault.pointer), " ", fault.detail))),
    error.trace && h("p", { class: "note" }, t("problem.trace", { trace: "" }), h("code", null, error.trace)),
  ];
}

/**
 * A view's own problem.
 * @param {unknown} error
 * @param {() => unknown} [again]
 */
export function failed(error, again) {
  const isProblem = error instanceof Problem;
  if (!isProblem) console.error(error);
  const title = isProblem && error.code === "not_signed" ? t("unsigned") : t("problem");
  const lines = isProblem ? (error.code === "not_signed" ? [h("p", null, t("unsigned.hint"))] : problemLines(error)) : [h("p", null, String(error))];
  announce(title);
  return h("div", { class: "problem", "data-problem": isProblem ? error.code : "error" }, h("p", null, h("strong", null, title)), ...lines,
    again && h("p", null, button(t("retry"), again)));
}

/**
 * Works, and shows what came out where the reader is.
 * @param {HTMLElement} place
 * @param {() => Promise<Node>} work
 */
export async function show(place, work) {
  place.replaceChildren(h("p", { class: "loading" }, t("verify.working")));
  let result;
  try {
    result = await work();
  } catch (error) {
    result = problem(error);
  }
  place.replaceChildren(result);
  announce(result instanceof HTMLElement ? [...result.querySelectorAll(".outcome strong, .place, .outcome ~ p:not(.note)")].map((p) => p.textContent).join(". ") : "");
}
