// The page's verifier as a program, with the flags and exit codes of `thidua log verify`: 0 verified, 1 not verified,
// 2 not understood, or a file cannot be read. Tests run it on the cases that the other two verifiers are run on.

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { verifyDiff, verifyExport, verifyProof, verifyStream } from "../../../src/audit_page/verify.js";
import { Refused, text } from "../../../src/audit_page/tree.js";
import { choose, t } from "../../../src/audit_page/words.js";

const [what, ...words] = process.argv.slice(2);
const flags = new Map();
const others = [];
while (words.length > 0) {
  const word = words.shift();
  if (word.startsWith("--")) flags.set(word.slice(2), words.shift());
  else others.push(word);
}

const bytes = (path) => new Uint8Array(readFileSync(path));
const read = (path) => {
  const found = text(bytes(path));
  // What is no text is nothing that was signed.
  if (found === null) throw new Refused("note_malformed");
  return found;
};
const given = (flag, as = read) => (flags.has(flag) ? as(flags.get(flag)) : undefined);
const needed = (flag, as) => {
  if (!flags.has(flag)) throw Object.assign(new Error(`--${flag} is missing`), { code: "FLAG" });
  return given(flag, as);
};

async function verify() {
  const policy = needed("policy", bytes);
  const [consistency, disclosures] = [given("consistency"), given("disclosures")];
  const state = flags.get("state");
  const held = state && existsSync(state) ? read(state) : undefined;
  const trust = { policy, consistency, held, disclosures };
  switch (what) {
    case "proof": return verifyProof({ ...trust, leaf: needed("leaf", bytes), proof: needed("proof") });
    case "stream": return verifyStream({ ...trust, leaves: needed("leaves", bytes), proof: needed("proof") });
    case "export": return verifyExport({ ...trust, content: needed("content", bytes), manifest: needed("manifest"), tiles: given("tiles", bytes) });
    case "diff": return verifyDiff({ policy, consistency, old: read(others[0]), new: read(others[1]) });
    default: throw Object.assign(new Error(`${what} is not understood`), { code: "FLAG" });
  }
}

choose("en");
try {
  const verdict = await verify();
  if (verdict.ok) {
    const state = flags.get("state");
    // Only after everything was verified.
    if (state) {
      writeFileSync(`${state}.new`, verdict.note);
      renameSync(`${state}.new`, state);
    }
    console.log(`verified: ${verdict.origin}, checkpoint of ${verdict.size} events`);
    const { disclosed, erased, withheld, other } = verdict.commitments ?? {};
    const more = other ? `; ${t("step.other", { other })}` : "";
    if (verdict.commitments) console.log(`commitments: ${disclosed} disclosed, ${erased} erased, ${withheld} withheld${more}`);
  } else {
    const place = verdict.position === undefined ? "" : `position ${verdict.position}: `;
    console.log(`not verified: ${place}${t(`why.${verdict.why}`, verdict.facts)}`);
    process.exitCode = 1;
  }
} catch (error) {
  if (error instanceof Refused) {
    console.log(`not verified: ${t(`why.${error.code}`, error.facts)}`);
    process.exitCode = 1;
  } else if (error.code) {
    console.error(`verify: ${error.message}`);
    process.exitCode = 2;
  } else {
    throw error;
  }
}
