// Bytes, hashes and the Merkle tree of RFC 6962: what every proof of the log is made of. Pure: no page, no network.
// Sizes and positions are BigInt, as they may have 64 bits.

/** Why something is not verified: a code of `words.js` (`why.<code>`), and what stands in the sentence. */
export class Refused extends Error {
  /**
   * @param {string} code
   * @param {Record<string, string | number | bigint>} [facts]
   */
  constructor(code, facts = {}) {
    super(`${code} ${Object.entries(facts).map(([name, fact]) => `${name}=${fact}`).join(" ")}`.trim());
    this.code = code;
    this.facts = facts;
  }
}

/** @typedef {Uint8Array} Hash 32 bytes. */

const MAX = 2n ** 64n - 1n;
const encoder = new TextEncoder();

/** @param {string} text */
export const utf8 = (text) => encoder.encode(text);

/**
 * Text, if the bytes are one.
 * @param {Uint8Array} bytes
 * @returns {string | null}
 */
export function text(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** @param {...Uint8Array} parts */
export function concat(...parts) {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let place = 0;
  for (const part of parts) {
    all.set(part, place);
    place += part.length;
  }
  return all;
}

/**
 * @param {Uint8Array} a
 * @param {Uint8Array} b
 */
export const same = (a, b) => a.length === b.length && a.every((byte, place) => byte === b[place]);

/** @param {Uint8Array} bytes */
export function base64(bytes) {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** @param {Uint8Array} bytes */
export const base64url = (bytes) => base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/**
 * Only the one canonical form: padded, no spare bits.
 * @param {string} given
 * @returns {Uint8Array | null}
 */
export function unbase64(given) {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(given)) return null;
  const bytes = Uint8Array.from(atob(given), (c) => c.charCodeAt(0));
  return base64(bytes) === given ? bytes : null;
}

/**
 * As it stands in leaves and answers: no padding.
 * @param {string} given
 * @returns {Uint8Array | null}
 */
export function unbase64url(given) {
  const padded = given.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (given.length % 4)) % 4);
  return /^[A-Za-z0-9_-]*$/.test(given) ? unbase64(padded) : null;
}

/**
 * @param {string | undefined} given
 * @returns {Hash | null}
 */
export function unbase64Hash(given) {
  const bytes = given === undefined ? null : unbase64(given);
  return bytes?.length === 32 ? bytes : null;
}

/**
 * A number without sign and leading zero, of at most 64 bits.
 * @param {string | undefined} given
 * @returns {bigint | null}
 */
export function decimal(given) {
  if (given === undefined || !/^(?:0|[1-9][0-9]{0,19})$/.test(given)) return null;
  const number = BigInt(given);
  return number <= MAX ? number : null;
}

/**
 * Newline is the only control character that signed notes may have.
 * @param {string} given
 */
export const hasControl = (given) => /[\u0000-\u0009\u000b-\u001f]/.test(given);

/**
 * @param {Uint8Array} bytes
 * @returns {Promise<Hash>}
 */
export async function sha256(bytes) {
  return new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", /** @type {BufferSource} */ (bytes)));
}

/** @param {Uint8Array} leaf */
export const leafHash = (leaf) => sha256(concat(Uint8Array.of(0), leaf));

/**
 * @param {Hash} left
 * @param {Hash} right
 */
export const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));

/** @param {bigint} number */
function ones(number) {
  let count = 0;
  for (let rest = number; rest > 0n; rest >>= 1n) count += Number(rest & 1n);
  return count;
}

/** The roots of the perfect subtrees, largest first: all that is needed to append and to know the root. */
export class Frontier {
  /**
   * @param {bigint} [size]
   * @param {Hash[]} [roots]
   */
  constructor(size = 0n, roots = []) {
    if (roots.length !== ones(size)) throw new Refused("manifest_left");
    this.size = size;
    this.roots = [...roots];
  }

  /** @param {Hash} leaf */
  async append(leaf) {
    let root = leaf;
    // Each trailing one is a subtree as large as what has been merged: a carry.
    for (let rest = this.size; (rest & 1n) === 1n; rest >>= 1n) {
      root = await nodeHash(/** @type {Hash} */ (this.roots.pop()), root);
    }
    this.roots.push(root);
    this.size += 1n;
  }

  /** @returns {Promise<Hash>} */
  async root() {
    if (this.roots.length === 0) return sha256(new Uint8Array());
    let root = this.roots[this.roots.length - 1];
    for (const left of this.roots.slice(0, -1).reverse()) root = await nodeHash(left, root);
    return root;
  }
}

/** A node and the last node of its level (`fn` and `sn` in RFC 9162). */
class Place {
  /**
   * @param {bigint} node
   * @param {bigint} last
   */
  constructor(node, last) {
    this.node = node;
    this.last = last;
  }

  /** Goes up to the parent. True if the sibling that was met stands to the left. */
  stepIsLeft() {
    const isLeft = (this.node & 1n) === 1n || this.node === this.last;
    // The last node of a level without a right sibling rises alone until it has a left one.
    while (isLeft && (this.node & 1n) === 0n && this.node > 0n) this.up();
    this.up();
    return isLeft;
  }

  up() {
    this.node >>= 1n;
    this.last >>= 1n;
  }
}

/**
 * RFC 9162, 2.1.3.2: a leaf is in the tree of this size and root.
 * @param {Hash} leaf its hash
 * @param {bigint} index
 * @param {bigint} size
 * @param {Hash[]} proof
 * @param {Hash} root
 */
export async function verifyInclusion(leaf, index, size, proof, root) {
  if (index >= size) throw new Refused("no_such_leaf", { index, size });
  const place = new Place(index, size - 1n);
  let computed = leaf;
  for (const sibling of proof) {
    if (place.last === 0n) throw new Refused("proof_length", { length: proof.length });
    computed = await (place.stepIsLeft() ? nodeHash(sibling, computed) : nodeHash(computed, sibling));
  }
  if (place.last !== 0n) throw new Refused("proof_length", { length: proof.length });
  if (!same(computed, root)) throw new Refused("not_the_root", { index });
}

/**
 * RFC 9162, 2.1.4.2: the newer tree begins with the older one.
 * @param {bigint} size1
 * @param {Hash} root1
 * @param {bigint} size2
 * @param {Hash} root2
 * @param {Hash[]} proof
 */
export async function verifyConsistency(size1, root1, size2, root2, proof) {
  const wrongLength = () => new Refused("consistency_length", { length: proof.length });
  const sizes = { old: size1, new: size2 };
  if (size1 > size2) throw new Refused("log_shrank", sizes);
  if (size1 === 0n || size1 === size2) {
    if (proof.length > 0) throw wrongLength();
    if (size1 === 0n && !same(root1, await new Frontier().root())) throw new Refused("log_forked", { size: size1 });
    if (size1 === size2 && !same(root1, root2)) throw new Refused("log_forked", { size: size1 });
    return;
  }
  const place = new Place(size1 - 1n, size2 - 1n);
  while ((place.node & 1n) === 1n) place.up();
  // If the older tree is a subtree of the newer one, its root is where the proof starts, and is left out.
  const isSubtree = ones(size1) === 1;
  if (!isSubtree && proof.length === 0) throw wrongLength();
  const path = isSubtree ? proof : proof.slice(1);
  let older = isSubtree ? root1 : proof[0];
  let newer = older;
  for (const sibling of path) {
    if (place.last === 0n) throw wrongLength();
    if (place.stepIsLeft()) {
      older = await nodeHash(sibling, older);
      newer = await nodeHash(sibling, newer);
    } else {
      newer = await nodeHash(newer, sibling);
    }
  }
  if (place.last !== 0n) throw wrongLength();
  if (!same(older, root1)) throw new Refused("consistency_old_root", sizes);
  if (!same(newer, root2)) throw new Refused("consistency_new_root", sizes);
}
