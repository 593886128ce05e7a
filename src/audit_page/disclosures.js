// Personal values and reasons beside the log: which commitments of the leaves are disclosed, erased or withheld. Pure.

import { Refused, base64url, sha256, text, utf8 } from "./tree.js";

/** @typedef {{ disclosed: number, erased: number, withheld: number }} Counts */

/**
 * Canonical JSON (RFC 8785): names in the order of their UTF-16 units, integers only.
 * @param {unknown} value
 * @returns {string}
 */
function canonical(value) {
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw new RangeError("not an integer");
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(",")}}`;
}

/**
 * Field, or `reason`, and digest of everything that a leaf newly commits to.
 * @param {any} leaf
 * @returns {[string, string][]}
 */
function commitments(leaf) {
  const isMap = leaf.changes !== null && typeof leaf.changes === "object";
  /** @type {[string, any][]} */
  const fields = isMap ? Object.entries(leaf.changes).map(([field, change]) => [field, change?.$c?.[1]]) : [];
  fields.push(["reason", leaf.reason?.$c]);
  return fields.filter(([, digest]) => typeof digest === "string");
}

/** Disclosures, and how they fit the leaves met so far. */
export class Disclosures {
  constructor() {
    /** @type {Map<string, { path: string, digest: string, isMatched: boolean }[]>} */
    this.events = new Map();
    /** @type {Map<string, number>} Commitments of each record that are neither disclosed nor erased so far. */
    this.open = new Map();
    this.disclosed = 0;
    this.erased = 0;
  }

  /**
   * Reads a JSON list of event, path, salt and value.
   * @param {string} json
   */
  static async parse(json) {
    let list;
    try {
      list = JSON.parse(json);
    } catch {
      list = null;
    }
    const isText = (/** @type {any} */ given) => ["event", "path", "salt"].every((name) => typeof given?.[name] === "string");
    if (!Array.isArray(list) || !list.every((given) => isText(given) && "value" in given)) throw new Refused("not_disclosures");
    const disclosures = new Disclosures();
    for (const { event, path, salt, value } of list) {
      let array;
      try {
        array = canonical([salt, path, value]);
      } catch {
        throw new Refused("disclosure_value", { event, path });
      }
      const digest = base64url(await sha256(utf8(base64url(utf8(array)))));
      disclosures.events.set(event, [...(disclosures.events.get(event) ?? []), { path, digest, isMatched: false }]);
    }
    return disclosures;
  }

  /**
   * The next leaf. One that cannot be read has no commitments; that it cannot be is for others to say.
   * @param {Uint8Array} line
   */
  meet(line) {
    let leaf;
    try {
      leaf = JSON.parse(text(line) ?? "");
    } catch {
      return;
    }
    const stream = String(leaf?.stream ?? "");
    if (String(leaf?.type ?? "").endsWith(".erased")) {
      this.erased += this.open.get(stream) ?? 0;
      this.open.delete(stream);
    }
    const known = this.events.get(leaf?.id) ?? [];
    for (const [path, digest] of commitments(leaf ?? {})) {
      const fits = known.filter((given) => given.path === path && given.digest === digest);
      for (const fit of fits) fit.isMatched = true;
      if (fits.length > 0) this.disclosed += 1;
      else this.open.set(stream, (this.open.get(stream) ?? 0) + 1);
    }
  }

  /**
   * After the last leaf: every disclosure must have matched.
   * @returns {Counts}
   */
  counts() {
    for (const [event, known] of this.events) {
      const lost = known.find((given) => !given.isMatched);
      if (lost) throw new Refused("disclosure_unmatched", { event, path: lost.path });
    }
    const withheld = [...this.open.values()].reduce((sum, count) => sum + count, 0);
    return { disclosed: this.disclosed, erased: this.erased, withheld };
  }
}
