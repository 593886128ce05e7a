// Whom the auditor believes, and what this browser has seen before: the policy, and the checkpoint that it remembers.

import * as api from "./api.js";
import { remembered } from "./format.js";
import { utf8 } from "./tree.js";
import { verifyCheckpoint, verifyContinues } from "./verify.js";

/**
 * @typedef {import("./verify.js").Under} Under
 * @typedef {import("./verify.js").Bad} Bad
 * @typedef {{ text: string, source: "held" | "served" | "file" }} Policy
 * @typedef {{ how: "first" } | { how: "continues" | "compared", size: bigint } | { how: "broken", bad: Bad, old: string, new: string }
 *   | { how: "unkept" }} Memory
 */

const POLICY = "thidua.audit.policy";
const CHECKPOINT = "thidua.audit.checkpoint";

/** @param {string} key */
function read(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/**
 * @param {string} key
 * @param {string | null} value
 * @returns {boolean} false if the browser remembers nothing
 */
function write(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
    return true;
  } catch {
    return false;
  }
}

/** The policy that the auditor holds. */
export const heldPolicy = () => read(POLICY);

/** @param {string | null} policy */
export const holdPolicy = (policy) => write(POLICY, policy);

export const servedPolicy = () => api.openText("/v1/log/policy");

/** @returns {Promise<Policy>} */
export async function policy() {
  const held = heldPolicy();
  return held === null ? { text: await servedPolicy(), source: "served" } : { text: held, source: "held" };
}

/** The checkpoint verified last: its note, and when. */
export function heldCheckpoint() {
  const kept = read(CHECKPOINT);
  try {
    const { note, at } = JSON.parse(kept ?? "null");
    return { note: String(note), at: String(at), checkpoint: remembered(note) };
  } catch {
    return null;
  }
}

export const forgetCheckpoint = () => write(CHECKPOINT, null);

/**
 * Shows that two checkpoints, in whatever order, are of one log; the proof is fetched and checked here.
 * @param {string} one
 * @param {string} other
 */
export async function continues(one, other) {
  const sizes = [remembered(one).size, remembered(other).size];
  const [old, newer] = sizes[0] <= sizes[1] ? [one, other] : [other, one];
  const [from, to] = sizes[0] <= sizes[1] ? sizes : [sizes[1], sizes[0]];
  const needsProof = from > 0n && from < to;
  const consistency = needsProof ? await api.openText(`/v1/log/consistency?from=${from}&to=${to}`) : undefined;
  return { verdict: await verifyContinues({ old, new: newer, consistency }), old, new: newer };
}

/**
 * What was verified is compared with what is remembered, and remembered if it is newer. Only then is it believed.
 * @param {Under} verified
 * @returns {Promise<Memory>}
 */
export async function remember({ note, size }) {
  const held = heldCheckpoint();
  const keep = () => write(CHECKPOINT, JSON.stringify({ note, at: new Date().toISOString() }));
  if (!held) return keep() ? { how: "first" } : { how: "unkept" };
  const compared = await continues(held.note, note);
  if (!compared.verdict.ok) return { how: "broken", bad: compared.verdict, old: held.note, new: note };
  if (size > held.checkpoint.size) keep();
  return { how: "continues", size: held.checkpoint.size };
}

/** @param {string} note */
export const sizeOf = (note) => remembered(note);

/** The newest checkpoint, verified by the policy in use. */
export async function newest() {
  const note = await api.openText("/v1/log/checkpoint");
  const used = await policy();
  const verdict = await verifyCheckpoint({ note, policy: utf8(used.text) });
  return { note, policy: used, verdict };
}
