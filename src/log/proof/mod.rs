//! Proofs of the event log that anybody can check offline, in the formats of C2SP (<https://c2sp.org>).
//!
//! Leaves form the Merkle tree of RFC 6962 ([`tree`]); it is stored and served in tiles ([`tile`]), its root is signed as
//! a checkpoint ([`checkpoint`], [`note`], [`key`]), witnesses cosign it ([`witness`]), and a policy says whose word is
//! enough ([`policy`]). [`rotation`] leads from a key to the next. [`tlog_proof`] puts it all into one file. Never here:
//! I/O, clock, randomness, SQL.

pub mod accept;
pub mod checkpoint;
pub mod disclosures;
pub mod export;
pub mod history;
pub mod key;
pub mod manifest;
pub mod note;
pub mod plan;
pub mod policy;
pub mod rotation;
pub mod state;
pub mod tile;
pub mod tlog_proof;
pub mod tree;
pub mod witness;

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::tree::Hash;

/// A number as `to_string` writes it: no sign, no leading zero.
fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Only the one canonical form: padded, no spare bits.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

fn decode_hash(text: &str) -> Option<Hash> {
    decode_base64(text)?.try_into().ok()
}

/// Hashes in base64, one a line, at most `most`, up to an empty line; and what follows it.
fn hash_lines(mut text: &str, most: usize) -> Option<(Vec<Hash>, &str)> {
    let mut hashes = Vec::new();
    loop {
        let (line, rest) = text.split_once('\n')?;
        text = rest;
        if line.is_empty() {
            return Some((hashes, text));
        }
        if hashes.len() == most {
            return None;
        }
        hashes.push(decode_hash(line)?);
    }
}

/// Newline is the only control character that signed notes may have.
fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte < b' ' && byte != b'\n')
}
