//! One event and its leaf: the canonical bytes that the log keeps for ever.
//!
//! Pure. A leaf names its record, its version, the hash of the record's previous leaf and
//! `changes`, a map of `[old, new]` per field. Personal values and free text never enter: a salted
//! commitment stands in for them ([`Disclosure`]), and value and salt live in the one deletable
//! table.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Actor, Context};
use crate::canonical::{CanonicalError, canonical, sha256};
use crate::clock::rfc3339;
use crate::log::proof::tree;

/// The largest leaf, in bytes; larger content goes by `$ref` to the document table.
pub const MAX_LEAF: usize = 65_535;

/// What happened, in the past tense, and why.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// `record.verb_in_past_tense`, e.g. `figure.confirmed`.
    pub name: &'static str,
    /// The reason given by the actor; enters the leaf as a commitment.
    pub reason: Option<&'a str>,
}

impl Event<'static> {
    /// An event without a reason.
    pub const fn new(name: &'static str) -> Self {
        Self { name, reason: None }
    }
}

impl<'a> Event<'a> {
    /// An event with the actor's reason.
    pub const fn because(name: &'static str, reason: &'a str) -> Self {
        Self { name, reason: Some(reason) }
    }
}

/// A value that stays outside the log, with the salt that makes its digest unguessable.
/// The form is that of an SD-JWT disclosure (RFC 9901): base64url of the JSON `[salt, path, value]`.
#[derive(Clone, Debug)]
pub struct Disclosure {
    /// 128 random bits, base64url.
    pub salt: String,
    /// The field's name, or `reason`.
    pub path: String,
    /// The value.
    pub value: Value,
}

impl Disclosure {
    /// SHA-256 of the disclosure string, base64url: what stands in the leaf.
    pub fn digest(&self) -> Result<String, CanonicalError> {
        let array = canonical(&json!([self.salt, self.path, self.value]))?;
        let disclosure = URL_SAFE_NO_PAD.encode(array);
        Ok(URL_SAFE_NO_PAD.encode(sha256(disclosure.as_bytes())))
    }
}

/// Everything a leaf says beside its changes.
pub struct Leaf<'a> {
    /// The event's id.
    pub id: Uuid,
    /// `record.verb`.
    pub name: &'static str,
    /// The record's type.
    pub stream_type: &'static str,
    /// The record.
    pub stream_id: Uuid,
    /// The record's version after this event, from 1.
    pub version: i64,
    /// Hash of the record's previous leaf; empty for the first.
    pub previous: &'a [u8],
    /// The unit concerned.
    pub unit: Option<Uuid>,
    /// The campaign concerned.
    pub campaign: Option<Uuid>,
    /// Field to `[old, new]`, or `{"$c": [old digest, new digest]}`.
    pub changes: Map<String, Value>,
    /// Digest of the reason.
    pub reason: Option<String>,
}

impl Leaf<'_> {
    /// The canonical bytes.
    pub fn write(self, context: &Context) -> Result<String, CanonicalError> {
        let actor = match context.actor {
            Actor::Account(id) => json!({ "id": id, "kind": "account" }),
            Actor::Console => json!({ "id": null, "kind": "console" }),
        };
        let prev = (!self.previous.is_empty()).then(|| URL_SAFE_NO_PAD.encode(self.previous));
        canonical(&json!({
            "actor": actor,
            "at": rfc3339(context.at),
            "changes": self.changes,
            "corr": context.request_id,
            "id": self.id,
            "prev": prev,
            "reason": self.reason.map(|digest| json!({ "$c": digest })),
            "scope": self.campaign,
            "stream": format!("{}/{}", self.stream_type, self.stream_id),
            "type": self.name,
            "unit": self.unit,
            "v": 1,
            "ver": self.version,
        }))
    }
}

/// RFC 6962 leaf hash: SHA-256 of a zero byte and the leaf.
pub fn leaf_hash(leaf: &str) -> [u8; 32] {
    tree::leaf_hash(leaf.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_canonical_and_hides_its_reason() {
        let context = Context { actor: Actor::Console, at: 1_700_000_000_123_456, request_id: "r".into() };
        let leaf = Leaf {
            id: Uuid::nil(),
            name: "thing.made",
            stream_type: "thing",
            stream_id: Uuid::nil(),
            version: 1,
            previous: &[],
            unit: None,
            campaign: None,
            changes: Map::from_iter([("b".into(), json!([null, 1])), ("a".into(), json!([null, "ế"]))]),
            reason: Some("digest".into()),
        };
        let text = leaf.write(&context).unwrap();
        assert!(text.starts_with(r#"{"actor":{"id":null,"kind":"console"},"at":"2023-11-14T22:13:20.123456Z","changes":{"a":[null,"ế"],"b":[null,1]},"corr":"r""#), "{text}");
        assert!(text.contains(r#""reason":{"$c":"digest"}"#));
    }

    #[test]
    fn a_digest_depends_on_salt_path_and_value() {
        let one = Disclosure { salt: "s".into(), path: "p".into(), value: json!("Đặng Thị Hường") };
        let same = one.clone();
        let other = Disclosure { salt: "t".into(), ..one.clone() };
        assert_eq!(one.digest().unwrap(), same.digest().unwrap());
        assert_ne!(one.digest().unwrap(), other.digest().unwrap());
    }
}
