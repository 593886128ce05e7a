//! The history of records: each leaf names its record, its version and the hash of the record's leaf before.
//!
//! So the last leaf of a record vouches for all before it, and a range of the log tells by itself whether one is missing.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::tree::Hash;

/// Why a leaf does not continue its record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// No JSON with a record, a version and a hash.
    #[error("the line is no leaf")]
    NotALeaf,
    /// Longer than a leaf may be, or the newline is missing.
    #[error("the line is not ended, or too long")]
    Unfinished,
    /// A record begins with version 1, and only that has no leaf before it.
    #[error("{stream} begins with version {version}, or with a hash before its first")]
    Beginning {
        /// The record.
        stream: String,
        /// The leaf's version.
        version: u64,
    },
    /// A version is missing or comes twice.
    #[error("version {version} of {stream} follows version {after}")]
    Version {
        /// The record.
        stream: String,
        /// The leaf's version.
        version: u64,
        /// The version that stands before it.
        after: u64,
    },
    /// The leaf before was another one.
    #[error("prev of version {version} of {stream} is not the hash of the version before")]
    Previous {
        /// The record.
        stream: String,
        /// The leaf's version.
        version: u64,
    },
    /// A history is of one record.
    #[error("the line is of {other}, not of {stream}")]
    OtherRecord {
        /// The history's record.
        stream: String,
        /// The leaf's.
        other: String,
    },
}

/// What a leaf says of its place in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Link<'a> {
    /// `type/id`.
    pub stream: &'a str,
    /// From 1.
    #[serde(rename = "ver")]
    pub version: u64,
    /// Hash of the leaf before, base64url.
    #[serde(rename = "prev")]
    pub previous: Option<&'a str>,
}

impl<'a> Link<'a> {
    /// Reads what is needed of a leaf.
    pub fn of(leaf: &'a [u8]) -> Result<Self, Broken> {
        let text = std::str::from_utf8(leaf).map_err(|_| Broken::NotALeaf)?;
        match ending(leaf) {
            Some(link) => serde_json::from_str::<IgnoredAny>(text).map(|_| link).map_err(|_| Broken::NotALeaf),
            None => serde_json::from_str(text).map_err(|_| Broken::NotALeaf),
        }
    }

    fn starts(&self) -> bool {
        self.version == 1 && self.previous.is_none()
    }
}

/// The link as canonical leaves have it at their end, read backwards, which is faster than to pick it out of the JSON. None
/// if anything is unusual there; whether what stands before is JSON at all is not asked here.
fn ending(leaf: &[u8]) -> Option<Link<'_>> {
    let rest = leaf.strip_suffix(b"}")?;
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (rest, version) = rest.split_at_checked(rest.len() - digits)?;
    let (rest, _) = string_or_null(rest.strip_suffix(b",\"v\":1,\"ver\":")?, b",\"unit\":")?;
    let (rest, _) = string_or_null(rest, b",\"type\":")?;
    let (rest, stream) = string_or_null(rest, b",\"stream\":")?;
    let (rest, _) = string_or_null(rest, b",\"scope\":")?;
    let rest = match rest.strip_suffix(b",\"reason\":null") {
        Some(rest) => rest,
        None => string_or_null(rest.strip_suffix(b"}")?, b",\"reason\":{\"$c\":")?.0,
    };
    let (_, previous) = string_or_null(rest, b",\"prev\":")?;
    let version = Some(version).filter(|digits| !digits.starts_with(b"0"));
    let version = std::str::from_utf8(version?).ok()?.parse().ok()?;
    Some(Link { stream: std::str::from_utf8(stream?).ok()?, version, previous: text(previous)? })
}

fn text(bytes: Option<&[u8]>) -> Option<Option<&str>> {
    bytes.map(std::str::from_utf8).transpose().ok()
}

/// Takes `name` and a plain string or null off the end.
fn string_or_null<'a>(rest: &'a [u8], name: &[u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    if let Some(rest) = rest.strip_suffix(b"null") {
        return Some((rest.strip_suffix(name)?, None));
    }
    let rest = rest.strip_suffix(b"\"")?;
    // The string begins at the quote before; a backslash met on the way there is nothing plain.
    let start = rest.iter().rposition(|byte| matches!(byte, b'"' | b'\\'))?;
    let (rest, text) = rest.split_at_checked(start + 1)?;
    Some((rest.strip_suffix(b"\"")?.strip_suffix(name)?, Some(text)))
}

/// The last leaf of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tip {
    version: u64,
    hash: Hash,
}

impl Tip {
    fn precedes(&self, link: &Link) -> Result<(), Broken> {
        let (stream, version) = (link.stream.to_owned(), link.version);
        if self.version.checked_add(1) != Some(link.version) {
            return Err(Broken::Version { stream, version, after: self.version });
        }
        let mut expected = [0; 43];
        let written = URL_SAFE_NO_PAD.encode_slice(self.hash, &mut expected);
        if written.is_err() || link.previous.map(str::as_bytes) != Some(&expected) {
            return Err(Broken::Previous { stream, version });
        }
        Ok(())
    }
}

/// Follows every record of a range of the log. It remembers a hash for each record, and nothing of its leaves.
#[derive(Debug, Clone)]
pub struct Chains {
    whole: bool,
    tips: HashMap<Box<str>, Tip>,
}

impl Chains {
    /// Of the events from this position on. Only from 0 on is a record's first leaf known to be its first.
    pub fn from(position: u64) -> Self {
        Self { whole: position == 0, tips: HashMap::new() }
    }

    /// The next leaf, and its hash.
    pub fn follow(&mut self, leaf: &[u8], hash: &Hash) -> Result<(), Broken> {
        let link = Link::of(leaf)?;
        let tip = Tip { version: link.version, hash: *hash };
        if let Some(last) = self.tips.get_mut(link.stream) {
            last.precedes(&link)?;
            *last = tip;
            return Ok(());
        }
        let continues = !self.whole && link.version > 1 && link.previous.is_some();
        if !link.starts() && !continues {
            return Err(Broken::Beginning { stream: link.stream.to_owned(), version: link.version });
        }
        self.tips.insert(link.stream.into(), tip);
        Ok(())
    }

    /// Records met.
    pub fn records(&self) -> usize {
        self.tips.len()
    }
}

/// The whole history of one record, in order.
#[derive(Debug, Clone, Default)]
pub struct History {
    stream: String,
    last: Option<Tip>,
}

impl History {
    /// The next leaf, and its hash.
    pub fn follow(&mut self, leaf: &[u8], hash: &Hash) -> Result<(), Broken> {
        let link = Link::of(leaf)?;
        match &self.last {
            Some(_) if link.stream != self.stream => {
                return Err(Broken::OtherRecord { stream: self.stream.clone(), other: link.stream.to_owned() });
            }
            Some(last) => last.precedes(&link)?,
            None if link.starts() => link.stream.clone_into(&mut self.stream),
            None => return Err(Broken::Beginning { stream: link.stream.to_owned(), version: link.version }),
        }
        self.last = Some(Tip { version: link.version, hash: *hash });
        Ok(())
    }

    /// The record.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Version of the last leaf; 0 before the first.
    pub fn version(&self) -> u64 {
        self.last.map_or(0, |tip| tip.version)
    }

    /// Hash of the last leaf.
    pub fn tip(&self) -> Option<Hash> {
        self.last.map(|tip| tip.hash)
    }
}
