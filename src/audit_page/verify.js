// The third verifier of the log, beside `thidua log verify` and `docs/verify.py`: the same files, the same verdicts. Pure:
// no page, no network; browsers and Node.js 20 run it.

import { Disclosures } from "./disclosures.js";
import { openCheckpoint, openManifest, openSaid, parsePolicy, parseProof, remembered } from "./format.js";
import { Frontier, Refused, base64url, leafHash, same, sha256, text, unbase64Hash, verifyConsistency, verifyInclusion } from "./tree.js";

/**
 * @typedef {import("./tree.js").Hash} Hash
 * @typedef {import("./format.js").Checkpoint} Checkpoint
 * @typedef {import("./format.js").Accepted} Accepted
 * @typedef {{ policy: Uint8Array, held?: string, consistency?: string }} Trust the policy; the checkpoint accepted
 *   before, as a note; the answer of `GET /v1/log/consistency` between it and the new one
 * @typedef {{ ok: false, why: string, facts: Record<string, string | number | bigint>, position?: bigint,
 *   version?: number, line?: number }} Bad
 * @typedef {{ ok: true, origin: string, size: bigint, root: Hash, note: string, log: string,
 *   cosigned: { name: string, time: bigint }[] }} Under what was verified stands under this checkpoint
 */

/** A refusal that names a place. */
class At extends Refused {
  /**
   * @param {Refused} reason
   * @param {{ position?: bigint, version?: number, line?: number }} place
   */
  constructor(reason, place) {
    super(reason.code, reason.facts);
    this.place = place;
  }
}

/**
 * Runs a verification; a refusal is an answer, anything else is a fault of this program.
 * @template T
 * @param {() => Promise<T>} verify
 * @returns {Promise<T | Bad>}
 */
async function verdict(verify) {
  try {
    return await verify();
  } catch (reason) {
    if (!(reason instanceof Refused)) throw reason;
    const place = reason instanceof At ? reason.place : {};
    return { ok: false, why: reason.code, facts: reason.facts, ...place };
  }
}

/**
 * @param {Accepted} accepted
 * @param {string} note
 * @returns {Under}
 */
function under({ checkpoint, log, cosigned }, note) {
  const { origin, size, root } = checkpoint;
  return { ok: true, origin, size, root, note, log: `${log.name}+${log.id}`, cosigned };
}

/**
 * @param {string} json
 * @returns {{ from: bigint, to: bigint, hashes: Hash[] }}
 */
function parseConsistency(json) {
  let answer;
  try {
    answer = JSON.parse(json);
  } catch {
    throw new Refused("not_consistency");
  }
  const isSize = (/** @type {unknown} */ size) => Number.isSafeInteger(size) && Number(size) >= 0;
  const hashes = Array.isArray(answer?.hashes)
    ? answer.hashes.map((/** @type {unknown} */ hash) => (typeof hash === "string" ? unbase64Hash(hash) : null))
    : [null];
  if (!isSize(answer?.from) || !isSize(answer?.to) || hashes.includes(null)) throw new Refused("not_consistency");
  return { from: BigInt(answer.from), to: BigInt(answer.to), hashes };
}

/**
 * The newer checkpoint continues the older one: by a proof, or by `computed`, the root that the first events of the
 * newer have at the size of the older.
 * @param {Checkpoint} old
 * @param {Checkpoint} newer
 * @param {string | undefined} consistency
 * @param {Hash | null} [computed]
 */
async function continues(old, newer, consistency, computed = null) {
  if (old.origin !== newer.origin) throw new Refused("other_log", { old: old.origin, new: newer.origin });
  const sizes = { old: old.size, new: newer.size };
  if (newer.size < old.size) throw new Refused("log_shrank", sizes);
  const known = old.size === newer.size ? newer.root : computed;
  if (known && !same(known, old.root)) throw new Refused("log_forked", { size: old.size });
  if (old.size === 0n || old.size === newer.size) return;
  if (consistency !== undefined) {
    const { from, to, hashes } = parseConsistency(consistency);
    if (from !== old.size || to !== newer.size) throw new Refused("consistency_sizes", { from, to, ...sizes });
    await verifyConsistency(from, old.root, to, newer.root, hashes);
  } else if (!computed) {
    throw new Refused("needs_consistency", sizes);
  }
}

/**
 * @param {Trust} trust
 * @returns {Promise<{ policy: import("./format.js").Policy, held: Checkpoint | null }>}
 */
async function read(trust) {
  const policy = await parsePolicy(trust.policy);
  if (trust.consistency !== undefined) parseConsistency(trust.consistency);
  return { policy, held: trust.held === undefined ? null : remembered(trust.held) };
}

/**
 * A signed checkpoint, and that it continues the one held.
 * @param {Trust & { note: string }} given
 */
export function verifyCheckpoint(given) {
  return verdict(async () => {
    const { policy, held } = await read(given);
    const accepted = await openCheckpoint(given.note, policy);
    if (held) await continues(held, accepted.checkpoint, given.consistency);
    return under(accepted, given.note);
  });
}

/**
 * Two signed checkpoints, of which the newer continues the older.
 * @param {{ policy: Uint8Array, old: string, new: string, consistency?: string }} given
 */
export function verifyDiff(given) {
  return verdict(async () => {
    const policy = await parsePolicy(given.policy);
    if (given.consistency !== undefined) parseConsistency(given.consistency);
    const [old, newer] = [await openSaid(given.old, policy), await openSaid(given.new, policy)];
    await continues(old.checkpoint, newer.checkpoint, given.consistency);
    if (!old.quorum || !newer.quorum) throw new Refused("no_quorum");
    return under(newer, given.new);
  });
}

/**
 * Two checkpoints that were verified earlier, of which the newer continues the older.
 * @param {{ old: string, new: string, consistency?: string }} given
 * @returns {Promise<{ ok: true } | Bad>}
 */
export function verifyContinues(given) {
  return verdict(async () => {
    await continues(remembered(given.old), remembered(given.new), given.consistency);
    return { ok: /** @type {const} */ (true) };
  });
}

/**
 * One event stands in the log.
 * @param {Trust & { leaf: Uint8Array, proof: string }} given
 */
export function verifyProof(given) {
  return verdict(async () => {
    const { policy, held } = await read(given);
    // As a line of an export, a leaf may bring its newline along; no leaf has one itself.
    const leaf = given.leaf.at(-1) === 10 ? given.leaf.subarray(0, -1) : given.leaf;
    if (leaf.includes(10)) throw new Refused("not_a_leaf");
    const { accepted, index, note } = await included(leaf, given.proof, policy);
    if (held) await continues(held, accepted.checkpoint, given.consistency);
    return { ...under(accepted, note), position: index, leaf: hashText(await leafHash(leaf)) };
  });
}

/**
 * @param {Uint8Array} leaf
 * @param {string} file
 * @param {import("./format.js").Policy} policy
 */
async function included(leaf, file, policy) {
  const { index, hashes, note } = parseProof(file);
  const accepted = await openCheckpoint(note, policy);
  const { size, root } = accepted.checkpoint;
  try {
    await verifyInclusion(await leafHash(leaf), index, size, hashes, root);
  } catch (reason) {
    throw reason instanceof Refused ? new At(reason, { position: index }) : reason;
  }
  return { accepted, index, note };
}

/** @param {Hash} hash */
const hashText = (hash) => [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** @typedef {{ stream: string, version: number, previous: string | null }} Link */

/**
 * What a leaf says of its place in its record.
 * @param {Uint8Array} leaf
 * @returns {Link}
 */
function linkOf(leaf) {
  const json = text(leaf);
  let parsed;
  try {
    parsed = json === null ? null : JSON.parse(json);
  } catch {
    parsed = null;
  }
  const { stream, ver, prev = null } = parsed ?? {};
  // 1.0 is no version, and JSON.parse does not tell it from 1. Leaves have no such numbers anywhere.
  const isVersion = Number.isSafeInteger(ver) && ver >= 0 && !/"ver"\s*:\s*-?\d+[.eE]/.test(json ?? "");
  const isLink = typeof stream === "string" && isVersion && (prev === null || typeof prev === "string");
  if (!isLink) throw new Refused("not_a_leaf");
  return { stream, version: ver, previous: prev };
}

/**
 * @param {{ version: number, hash: Hash }} last
 * @param {Link} link
 */
function follows(last, link) {
  const { stream, version, previous } = link;
  if (last.version + 1 !== version) throw new Refused("version_hole", { stream, version, after: last.version });
  if (previous !== base64url(last.hash)) throw new Refused("wrong_previous", { stream, version });
}

/** @param {Link} link */
const begins = (link) => link.version === 1 && link.previous === null;

/**
 * The lines of a file, each with its newline where it has one.
 * @param {Uint8Array} bytes
 */
function* linesOf(bytes) {
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(10, start);
    const next = end < 0 ? bytes.length : end + 1;
    yield { line: bytes.subarray(start, end < 0 ? next : end), isEnded: end >= 0 };
    start = next;
  }
}

/**
 * A record's history has no hole, from its first event to one that stands in the log.
 * @param {Trust & { leaves: Uint8Array, proof: string, disclosures?: string }} given the leaves, one a line; the proof
 *   of the last one; a JSON list of event, path, salt and value
 */
export function verifyStream(given) {
  return verdict(async () => {
    const { policy, held } = await read(given);
    const disclosures = given.disclosures === undefined ? null : await Disclosures.parse(given.disclosures, true);
    /** @type {{ version: number, hash: Hash } | null} */
    let last = null;
    /** @type {Uint8Array} */
    let leaf = new Uint8Array();
    let [stream, number] = ["", 0];
    for (const { line, isEnded } of linesOf(given.leaves)) {
      number += 1;
      const next = (last?.version ?? 0) + 1;
      try {
        if (!isEnded) throw new Refused("unfinished_line");
        const link = linkOf(line);
        if (!last && !begins(link)) throw new Refused("wrong_beginning", { stream: link.stream, version: link.version });
        if (last && link.stream !== stream) throw new Refused("other_record", { stream, other: link.stream });
        if (last) follows(last, link);
        stream = link.stream;
        last = { version: link.version, hash: await leafHash(line) };
      } catch (reason) {
        throw reason instanceof Refused ? new At(reason, { line: number, version: next }) : reason;
      }
      disclosures?.meet(line);
      leaf = line;
    }
    if (!last) throw new Refused("no_event");
    const { version } = last;
    try {
      const { accepted, index, note } = await included(leaf, given.proof, policy);
      if (held) await continues(held, accepted.checkpoint, given.consistency);
      return { ...under(accepted, note), position: index, stream, versions: version, commitments: (await disclosures?.counts()) ?? null };
    } catch (reason) {
      const place = reason instanceof At ? reason.place : {};
      throw reason instanceof Refused ? new At(reason, { ...place, version }) : reason;
    }
  });
}

/** Leaves hashed at once: the browser works on them side by side. */
const BATCH = 2048;

/**
 * A range of the log, whole and in order.
 * @param {Trust & { content: Uint8Array, manifest: string, tiles?: Uint8Array, disclosures?: string,
 *   progress?: (found: bigint, events: bigint) => void }} given `tiles`: hash tiles of level 0 one after another, from
 *   position 0, so that the first bad position can be named exactly
 */
export function verifyExport(given) {
  return verdict(async () => {
    const { policy, held } = await read(given);
    const { manifest, accepted, note } = await openManifest(given.manifest, policy);
    const run = new Run(manifest, held, given.tiles);
    await run.look();
    const disclosures = given.disclosures === undefined ? null : await Disclosures.parse(given.disclosures, false);
    let batch = [];
    for (const line of linesOf(given.content)) {
      disclosures?.meet(line.line);
      batch.push(line);
      if (batch.length === BATCH) {
        await run.take(batch);
        given.progress?.(run.found, manifest.events);
        batch = [];
      }
    }
    await run.take(batch);
    await run.verdict(accepted.checkpoint, given.content, given.consistency);
    const { from, to } = manifest;
    const commitments = (await disclosures?.counts()) ?? null;
    return { ...under(accepted, note), events: run.found, records: run.tips.size, from, to, commitments };
  });
}

/** An export while it is read. */
class Run {
  /**
   * @param {import("./format.js").Manifest} manifest
   * @param {Checkpoint | null} held
   * @param {Uint8Array | undefined} tiles
   */
  constructor(manifest, held, tiles) {
    this.manifest = manifest;
    this.held = held;
    this.tiles = tiles;
    this.tree = new Frontier(manifest.from, manifest.left);
    this.listed = new Frontier(manifest.from, manifest.left);
    this.found = 0n;
    /** @type {Hash | null} */
    this.marked = null;
    /** @type {bigint | null} The first position where the tiles have another hash. */
    this.differs = null;
    /** @type {Map<string, { version: number, hash: Hash }>} */
    this.tips = new Map();
    /** @type {{ position: bigint, reason: Refused } | null} */
    this.broken = null;
  }

  /** The root at the size of the checkpoint that was accepted before. */
  async look() {
    if (this.held && this.held.size === this.tree.size) this.marked = await this.tree.root();
  }

  /** @param {{ line: Uint8Array, isEnded: boolean }[]} lines */
  async take(lines) {
    const hashes = await Promise.all(lines.map(({ line }) => leafHash(line)));
    for (const [place, hash] of hashes.entries()) {
      const position = this.manifest.from + this.found;
      if (this.found < this.manifest.events) {
        await this.tree.append(hash);
        await this.look();
        await this.compare(position, hash);
      }
      // Behind the first break every further one may be its consequence.
      if (!this.broken) this.chain(lines[place], hash, position);
      this.found += 1n;
    }
  }

  /**
   * @param {bigint} position
   * @param {Hash | null} hash
   */
  async compare(position, hash) {
    const listed = this.tiles?.slice(Number(position) * 32, Number(position) * 32 + 32);
    if (listed?.length !== 32) return;
    await this.listed.append(listed);
    if (this.differs === null && hash && !same(listed, hash)) this.differs = position;
  }

  /**
   * @param {{ line: Uint8Array, isEnded: boolean }} line
   * @param {Hash} hash
   * @param {bigint} position
   */
  chain({ line, isEnded }, hash, position) {
    try {
      if (!isEnded) throw new Refused("unfinished_line");
      const link = linkOf(line);
      const last = this.tips.get(link.stream);
      const continues = this.manifest.from > 0n && link.version > 1 && link.previous !== null;
      if (last) follows(last, link);
      else if (!begins(link) && !continues) throw new Refused("wrong_beginning", { stream: link.stream, version: link.version });
      this.tips.set(link.stream, { version: link.version, hash });
    } catch (reason) {
      if (!(reason instanceof Refused)) throw reason;
      this.broken = { position, reason };
    }
  }

  /**
   * @param {Checkpoint} checkpoint
   * @param {Uint8Array} content
   * @param {string | undefined} consistency
   */
  async verdict(checkpoint, content, consistency) {
    const { events, bytes } = this.manifest;
    if (this.found !== events || !same(await this.tree.root(), checkpoint.root)) throw await this.firstBad(checkpoint);
    if (this.broken) throw new At(this.broken.reason, { position: this.broken.position });
    if (BigInt(content.length) !== bytes) throw new Refused("content_bytes");
    if (!same(await sha256(content), this.manifest.sha256)) throw new Refused("content_sha256");
    if (this.held) await continues(this.held, checkpoint, consistency, this.marked);
  }

  /**
   * The tree is not the checkpoint's: where it begins not to be, as far as can be told.
   * @param {Checkpoint} checkpoint
   */
  async firstBad(checkpoint) {
    const { from, to, events } = this.manifest;
    for (let position = from + this.found; position < to; position += 1n) await this.compare(position, null);
    const { found, broken, held } = this;
    const ends = found === events ? null : new At(
      found < events ? new Refused("content_ends", { found, events }) : new Refused("content_goes_on"),
      { position: found < events ? from + found : to },
    );
    const lists = this.listed.size === to && same(await this.listed.root(), checkpoint.root);
    if (lists && this.differs !== null) return new At(new Refused("not_the_leaf"), { position: this.differs });
    if (lists && ends) return ends;
    if (broken && broken.position < to) return new At(broken.reason, { position: broken.position });
    if (ends) return ends;
    const last = to > 0n ? to - 1n : 0n;
    if (!held || !this.marked) return new Refused("somewhere", { from, to: last });
    return same(this.marked, held.root)
      ? new Refused("somewhere", { from: held.size, to: last })
      : new Refused("somewhere", { from, to: held.size > 0n ? held.size - 1n : 0n });
  }
}
