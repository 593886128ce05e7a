// What the log signs and how it is written down, in the formats of C2SP: notes, checkpoints, policies, proofs, and the
// manifests of exports. Pure: no page, no network. Everything is read strictly, as the service's own verifier does.

import { Frontier, Refused, concat, decimal, hasControl, same, sha256, text, unbase64, unbase64Hash, utf8 } from "./tree.js";

/**
 * @typedef {import("./tree.js").Hash} Hash
 * @typedef {{ name: string, id: string, algorithm: number, public: Uint8Array, text: string }} Key
 * @typedef {{ name: string, id: string, bytes: Uint8Array }} Signature
 * @typedef {{ key: Key, time: bigint | null }} Verified
 * @typedef {{ origin: string, size: bigint, root: Hash }} Checkpoint
 * @typedef {{ key: Key } | { threshold: number, members: number[] }} Party
 * @typedef {{ logs: Key[], parties: Party[], quorum: number | null }} Policy
 * @typedef {{ checkpoint: Checkpoint, log: Key, cosigned: { name: string, time: bigint }[], quorum: boolean }} Accepted
 * @typedef {{ log: string, export: string, from: bigint, to: bigint, events: bigint, bytes: bigint, sha256: Hash,
 *   left: Hash[] }} Manifest
 */

const ED25519 = 1;
const COSIGNATURE = 4;
const MAX_NOTE = 1_000_000;
const MAX_SIGNATURES = 100;
const MAX_HASHES = 64;

/** @param {Uint8Array} bytes */
const source = (bytes) => /** @type {BufferSource} */ (bytes);

/** @param {string} name */
const isKeyName = (name) => name !== "" && !/[\p{White_Space}+]/u.test(name) && !hasControl(name);

/** @param {Uint8Array} bytes */
const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/**
 * @param {string} vkey `name+id+base64`
 * @returns {Promise<Key | null>}
 */
async function parseKey(vkey) {
  const parts = vkey.split("+");
  if (parts.length < 3) return null;
  const [name, id] = parts;
  const bytes = unbase64(parts.slice(2).join("+"));
  if (!isKeyName(name) || !/^[0-9a-f]{8}$/.test(id) || bytes?.length !== 33) return null;
  const algorithm = bytes[0];
  if (algorithm !== ED25519 && algorithm !== COSIGNATURE) return null;
  const digest = await sha256(concat(utf8(`${name}\n`), bytes));
  if (hex(digest.slice(0, 4)) !== id) return null;
  return { name, id, algorithm, public: bytes.slice(1), text: vkey };
}

/**
 * Reads whose word is enough (C2SP tlog-policy).
 * @param {Uint8Array} bytes
 * @returns {Promise<Policy>}
 */
export async function parsePolicy(bytes) {
  // Names and URLs are bytes; nothing says that they are UTF-8. One character a byte keeps them apart.
  const lines = [...bytes].map((byte) => String.fromCharCode(byte)).join("").split("\n");
  if (lines.pop() !== "") throw new Refused("policy_line", { line: lines.length + 1 });
  /** @type {Key[]} */
  const logs = [];
  /** @type {Party[]} */
  const parties = [];
  /** @type {Map<string, number>} */
  const names = new Map();
  const members = new Set();
  /** @type {number | null | undefined} */
  let quorum;
  for (const [place, line] of lines.entries()) {
    const words = line.split(/[ \t]/).filter((word) => word !== "");
    const fail = () => new Refused("policy_line", { line: place + 1 });
    const key = async (/** @type {string} */ word, /** @type {(Key | undefined)[]} */ known) => {
      const vkey = text(Uint8Array.from(word, (c) => c.charCodeAt(0)));
      const found = vkey === null ? null : await parseKey(vkey);
      if (!found || known.some((other) => other && same(other.public, found.public))) throw fail();
      return found;
    };
    const define = (/** @type {string} */ name, /** @type {Party} */ party) => {
      if (name === "none" || names.has(name)) throw fail();
      names.set(name, parties.push(party) - 1);
    };
    const party = (/** @type {string} */ name) => {
      const found = names.get(name);
      if (found === undefined) throw fail();
      return found;
    };
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(line)) throw fail();
    const [word, ...rest] = words;
    if (word === undefined || word.startsWith("#")) continue;
    if (word === "log" && (rest.length === 1 || rest.length === 2)) {
      logs.push(await key(rest[0], logs));
    } else if (word === "witness" && (rest.length === 2 || rest.length === 3)) {
      const found = await key(rest[1], parties.map((known) => ("key" in known ? known.key : undefined)));
      if (found.algorithm !== COSIGNATURE) throw fail();
      define(rest[0], { key: found });
    } else if (word === "group" && rest.length >= 3) {
      const places = rest.slice(2).map(party);
      for (const member of places) {
        if (members.has(member)) throw fail();
        members.add(member);
      }
      const number = rest[1] === "all" ? BigInt(places.length) : rest[1] === "any" ? 1n : decimal(rest[1]);
      if (number === null || number < 1n || number > BigInt(places.length)) throw fail();
      define(rest[0], { threshold: Number(number), members: places });
    } else if (word === "quorum" && rest.length === 1) {
      if (quorum !== undefined) throw fail();
      quorum = rest[0] === "none" ? null : party(rest[0]);
    } else {
      throw fail();
    }
  }
  if (quorum === undefined) throw new Refused("policy_no_quorum");
  return { logs, parties, quorum };
}

/**
 * True if these verified keys are enough. Log keys among them do not matter.
 * @param {Policy} policy
 * @param {Key[]} verified
 */
function quorumHolds(policy, verified) {
  if (policy.quorum === null) return true;
  /** @type {boolean[]} */
  const held = [];
  for (const party of policy.parties) {
    const holds = "key" in party
      ? verified.some((key) => isSameKey(key, party.key))
      : party.members.filter((member) => held[member]).length >= party.threshold;
    held.push(holds);
  }
  return held[policy.quorum];
}

/**
 * @param {Key} a
 * @param {Key} b
 */
const isSameKey = (a, b) => a.name === b.name && a.algorithm === b.algorithm && same(a.public, b.public);

/** @param {Policy} policy */
function keysOf(policy) {
  /** @type {Key[]} */
  const keys = [];
  for (const key of [...policy.logs, ...policy.parties.flatMap((party) => ("key" in party ? [party.key] : []))]) {
    if (!keys.some((known) => isSameKey(known, key))) keys.push(key);
  }
  return keys;
}

/**
 * Reads a signed note; nothing in it is to be believed yet.
 * @param {string} note
 * @returns {{ text: string, signatures: Signature[] }}
 */
export function parseNote(note) {
  if (utf8(note).length > MAX_NOTE || hasControl(note)) throw new Refused("note_malformed");
  // The text may have empty lines itself; the last one separates.
  const end = note.lastIndexOf("\n\n");
  if (end < 0 || !note.endsWith("\n") || end + 2 >= note.length) throw new Refused("note_malformed");
  const lines = note.slice(end + 2, -1).split("\n");
  if (lines.length > MAX_SIGNATURES) throw new Refused("note_malformed");
  const signatures = lines.map((line) => {
    const space = line.indexOf(" ", 2);
    const name = line.slice(2, space);
    const bytes = unbase64(line.slice(space + 1));
    if (!line.startsWith("— ") || space < 0 || !isKeyName(name) || !bytes || bytes.length < 5) {
      throw new Refused("note_malformed");
    }
    return { name, id: hex(bytes.slice(0, 4)), bytes: bytes.slice(4) };
  });
  return { text: note.slice(0, end + 1), signatures };
}

/**
 * Verifies a note: signatures of unknown keys are ignored, one wrong signature of a known key spoils it.
 * @param {string} note
 * @param {Key[]} keys
 * @returns {Promise<{ text: string, verified: Verified[] }>}
 */
async function openNote(note, keys) {
  const { text: said, signatures } = parseNote(note);
  /** @type {Verified[]} */
  const verified = [];
  for (const signature of signatures) {
    const known = keys.filter((key) => key.name === signature.name && key.id === signature.id);
    if (known.length > 1) throw new Refused("key_twice", { name: signature.name });
    if (known.length === 0) continue;
    const [key] = known;
    if (verified.some((earlier) => earlier.key === key)) throw new Refused("signed_twice", { name: key.name });
    const time = await verifySignature(key, said, signature.bytes);
    verified.push({ key, time });
  }
  if (verified.length === 0) throw new Refused("no_known_key");
  return { text: said, verified };
}

/**
 * @param {Key} key
 * @param {string} said
 * @param {Uint8Array} bytes
 * @returns {Promise<bigint | null>} the time of a cosignature, in seconds since 1970
 */
async function verifySignature(key, said, bytes) {
  const bad = new Refused("bad_signature", { name: key.name });
  if (key.algorithm === ED25519) {
    if (!(await ed25519(key.public, utf8(said), bytes))) throw bad;
    return null;
  }
  if (bytes.length < 8) throw bad;
  const time = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0);
  const message = utf8(`cosignature/v1\ntime ${time}\n${said}`);
  if (time >= 2n ** 63n || !(await ed25519(key.public, message, bytes.slice(8)))) throw bad;
  return time;
}

/**
 * @param {Uint8Array} key
 * @param {Uint8Array} message
 * @param {Uint8Array} signature
 */
async function ed25519(key, message, signature) {
  if (!(await canVerify())) throw new Refused("no_ed25519");
  try {
    const imported = await globalThis.crypto.subtle.importKey("raw", source(key), "Ed25519", false, ["verify"]);
    return await globalThis.crypto.subtle.verify("Ed25519", imported, source(signature), source(message));
  } catch {
    return false;
  }
}

/** @type {Promise<boolean> | undefined} */
let able;

/** True if this browser verifies Ed25519: asked with test 1 of RFC 8032, and with one bit of it changed. */
export function canVerify() {
  able ??= (async () => {
    const subtle = globalThis.crypto?.subtle;
    if (!subtle) return false;
    try {
      const key = unbase64("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
      const good = unbase64("5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQCw==");
      if (!key || !good) return false;
      const imported = await subtle.importKey("raw", source(key), "Ed25519", false, ["verify"]);
      const bad = Uint8Array.from(good, (byte, place) => (place === 0 ? byte ^ 1 : byte));
      const nothing = new Uint8Array();
      return (await subtle.verify("Ed25519", imported, source(good), nothing))
        && !(await subtle.verify("Ed25519", imported, bad, nothing));
    } catch {
      return false;
    }
  })();
  return able;
}

/**
 * @param {string} said the text of a note
 * @returns {Checkpoint}
 */
export function parseCheckpoint(said) {
  const [origin, second, third, ...more] = said.slice(0, -1).split("\n");
  const size = decimal(second);
  const root = unbase64Hash(third);
  const good = said.endsWith("\n") && origin !== "" && !hasControl(origin) && !more.some((line) => line === "" || hasControl(line));
  if (!good || size === null || root === null) throw new Refused("not_a_checkpoint");
  return { origin, size, root };
}

/**
 * The checkpoint of a note that was verified earlier, perhaps by keys that have gone since.
 * @param {string} note
 */
export const remembered = (note) => parseCheckpoint(parseNote(note).text);

/**
 * @param {Verified[]} verified
 * @param {Policy} policy
 * @param {string} origin
 */
function logOf(verified, policy, origin) {
  const log = policy.logs.find((key) => key.name === origin && verified.some((known) => isSameKey(known.key, key)));
  if (!log) throw new Refused("log_did_not_sign", { origin });
  return log;
}

/**
 * The checkpoint, if its log signed it; without a quorum that is no more than what the log itself said.
 * @param {string} note
 * @param {Policy} policy
 * @returns {Promise<Accepted>}
 */
export async function openSaid(note, policy) {
  const { text: said, verified } = await openNote(note, keysOf(policy));
  const checkpoint = parseCheckpoint(said);
  const log = logOf(verified, policy, checkpoint.origin);
  const isWitness = (/** @type {Key} */ key) => policy.parties.some((party) => "key" in party && isSameKey(party.key, key));
  const cosigned = verified.flatMap(({ key, time }) => (time !== null && isWitness(key) ? [{ name: key.name, time }] : []));
  return { checkpoint, log, cosigned, quorum: quorumHolds(policy, verified.map(({ key }) => key)) };
}

/**
 * The checkpoint, if the policy asks for no more than what is on it.
 * @param {string} note
 * @param {Policy} policy
 */
export async function openCheckpoint(note, policy) {
  const accepted = await openSaid(note, policy);
  if (!accepted.quorum) throw new Refused("no_quorum");
  return accepted;
}

/**
 * Reads a `.tlog-proof` file; nothing in it is to be believed yet.
 * @param {string} file
 */
export function parseProof(file) {
  const match = /^c2sp\.org\/tlog-proof@v1\n(?:extra ([^\n]*)\n)?index ([^\n]*)\n((?:[^\n]+\n)*)\n/.exec(file);
  if (!match) throw new Refused("not_a_proof");
  const [head, extra, number, list] = match;
  const index = decimal(number);
  const hashes = list === "" ? [] : list.slice(0, -1).split("\n").map(unbase64Hash);
  const badExtra = extra !== undefined && !unbase64(extra)?.length;
  if (badExtra || index === null || hashes.length > MAX_HASHES || hashes.some((hash) => hash === null)) {
    throw new Refused("not_a_proof");
  }
  const note = file.slice(head.length);
  remembered(note);
  return { index, hashes: /** @type {Hash[]} */ (hashes), note };
}

/**
 * Reads the text of a manifest.
 * @param {string} said
 * @returns {Manifest}
 */
function parseManifest(said) {
  const lines = said.endsWith("\n") ? said.slice(0, -1).split("\n") : [];
  if (lines.shift() !== "thidua.export/1") throw new Refused("not_a_manifest");
  const line = (/** @type {string} */ name) => {
    const found = lines.shift();
    if (!found?.startsWith(`${name} `)) throw new Refused("not_a_manifest");
    return found.slice(name.length + 1);
  };
  const [log, id] = [line("log"), line("export")];
  const [from, to, events, bytes] = ["from", "to", "events", "bytes"].map((name) => decimal(line(name)));
  const digest = unbase64Hash(line("sha256"));
  const left = lines.map((found) => (found.startsWith("left ") ? unbase64Hash(found.slice(5)) : null));
  const isId = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(id);
  if (log === "" || hasControl(log) || !isId || from === null || to === null || events === null || bytes === null
    || digest === null || left.some((hash) => hash === null) || to - from !== events) {
    throw new Refused("not_a_manifest");
  }
  const roots = /** @type {Hash[]} */ (left);
  new Frontier(from, roots);
  return { log, export: id, from, to, events, bytes, sha256: digest, left: roots };
}

/**
 * The served file: the signed manifest, a line `--`, the signed checkpoint at which the export ends.
 * @param {string} file
 * @param {Policy} policy
 */
export async function openManifest(file, policy) {
  const place = file.indexOf("\n--\n");
  if (place < 0) throw new Refused("not_a_manifest");
  const { text: said, verified } = await openNote(file.slice(0, place + 1), keysOf(policy));
  const manifest = parseManifest(said);
  logOf(verified, policy, manifest.log);
  const note = file.slice(place + 4);
  const accepted = await openCheckpoint(note, policy);
  const { origin, size } = accepted.checkpoint;
  if (origin !== manifest.log || size !== manifest.to) throw new Refused("other_checkpoint", { to: manifest.to, size });
  return { manifest, accepted, note };
}
