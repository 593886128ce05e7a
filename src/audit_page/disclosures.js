// Personal values and reasons beside the log: which commitments of the leaves are disclosed, erased or withheld. Pure.
//
// Erased is what an erasure says that it took: how many values of a record, and which. The leaves of one record alone have no
// erasure among them; there the record's own event has to be enough.

import { Refused, base64url, sha256, text, utf8 } from "./tree.js";

/**
 * `other`: erasures that say that they took other values than the leaves of their record commit to.
 * @typedef {{ disclosed: number, erased: number, withheld: number, other: number }} Counts
 */

/**
 * What the leaves of a record commit to: now, and what went with its last erasure until that says what it was. `open`: how
 * many of them are not disclosed. Not whole if there were earlier leaves than those that were met.
 * @typedef {{ all: string[], open: number }} Digests
 * @typedef {{ isWhole: boolean, now: Digests, gone: Digests }} Committed
 */

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
  /** @param {boolean} isAlone only the leaves of one record are met */
  constructor(isAlone) {
    this.isAlone = isAlone;
    /** @type {Map<string, { path: string, digest: string, isMatched: boolean }[]>} */
    this.events = new Map();
    /** @type {Map<string, Committed>} By record. */
    this.committed = new Map();
    /** @type {{ isWhole: boolean, gone: Digests, number: unknown, hash: unknown }[]} What erasures say. */
    this.erasures = [];
    this.disclosed = 0;
    this.erased = 0;
  }

  /**
   * Reads a JSON list of event, path, salt and value.
   * @param {string} json
   * @param {boolean} isAlone only the leaves of one record are to come
   */
  static async parse(json, isAlone) {
    let list;
    try {
      list = JSON.parse(json);
    } catch {
      list = null;
    }
    const isText = (/** @type {any} */ given) => ["event", "path", "salt"].every((name) => typeof given?.[name] === "string");
    if (!Array.isArray(list) || !list.every((given) => isText(given) && "value" in given)) throw new Refused("not_disclosures");
    const disclosures = new Disclosures(isAlone);
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
    const committed = this.of(String(leaf?.stream ?? ""));
    committed.isWhole ||= leaf?.ver === 1;
    if (String(leaf?.type ?? "").endsWith(".erased")) {
      if (this.isAlone) this.erased += committed.now.open;
      else committed.gone = { all: [...committed.gone.all, ...committed.now.all], open: committed.gone.open + committed.now.open };
      committed.now = { all: [], open: 0 };
    }
    const known = this.events.get(leaf?.id) ?? [];
    for (const [path, digest] of commitments(leaf ?? {})) {
      const fits = known.filter((given) => given.path === path && given.digest === digest);
      for (const fit of fits) fit.isMatched = true;
      if (fits.length > 0) this.disclosed += 1;
      else committed.now.open += 1;
      committed.now.all.push(digest);
    }
    if (leaf?.type === "erasure.recorded") this.cover(leaf.changes);
  }

  /**
   * @param {string} stream
   * @returns {Committed}
   */
  of(stream) {
    const fresh = { isWhole: false, now: { all: [], open: 0 }, gone: { all: [], open: 0 } };
    const known = this.committed.get(stream) ?? fresh;
    this.committed.set(stream, known);
    return known;
  }

  /**
   * An erasure says how many values of which record it took, and which; whether that is so is told at the end.
   * @param {any} changes
   */
  cover(changes) {
    const said = (/** @type {string} */ field) => changes?.[field]?.[1];
    const committed = this.committed.get(`${said("subject_type")}/${said("subject_id")}`);
    if (!committed) return;
    this.erasures.push({ isWhole: committed.isWhole, gone: committed.gone, number: said("digests"), hash: said("digests_sha256") });
    committed.gone = { all: [], open: 0 };
  }

  /**
   * After the last leaf: every disclosure must have matched.
   * @returns {Promise<Counts>}
   */
  async counts() {
    for (const [event, known] of this.events) {
      const lost = known.find((given) => !given.isMatched);
      if (lost) throw new Refused("disclosure_unmatched", { event, path: lost.path });
    }
    const open = [...this.committed.values()].map(({ now, gone }) => now.open + gone.open);
    let [erased, other, withheld] = [this.erased, 0, open.reduce((sum, count) => sum + count, 0)];
    for (const { isWhole, gone, number, hash } of this.erasures) {
      const isAsSaid = number === gone.all.length && hash === base64url(await sha256(utf8([...gone.all].sort().join("\n"))));
      if (isAsSaid || !isWhole) erased += gone.open;
      else [other, withheld] = [other + 1, withheld + gone.open];
    }
    return { disclosed: this.disclosed, erased, withheld, other };
  }
}
