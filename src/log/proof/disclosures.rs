//! Personal values and reasons beside the log: which commitments of the leaves are disclosed, erased or withheld.
//!
//! Erased is what an erasure says that it took: how many values of a record, and which. The leaves of one record alone have no
//! erasure among them; there the record's own event has to be enough.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::db::event::Disclosure;
use crate::log::erased::fingerprint;

/// Why disclosures are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DisclosureError {
    /// Not a list of disclosures.
    #[error("the disclosures are no JSON list of event, path, salt and value")]
    Format,
    /// Its value has no canonical form, so no leaf can commit to it.
    #[error("the disclosure of {path} in event {event}: the value has no digest")]
    Value {
        /// The event.
        event: String,
        /// The field, or `reason`.
        path: String,
    },
    /// No leaf says so.
    #[error("the disclosure of {path} in event {event} matches no commitment of these events")]
    Unmatched {
        /// The event.
        event: String,
        /// The field, or `reason`.
        path: String,
    },
}

#[derive(Deserialize)]
struct DisclosureText {
    event: String,
    path: String,
    salt: String,
    value: Value,
}

struct Known {
    path: String,
    digest: String,
    matched: bool,
}

/// What became of the commitments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The value was shown, and is the one committed to.
    pub disclosed: u64,
    /// A later erasure says that it took them.
    pub erased: u64,
    /// Neither.
    pub withheld: u64,
    /// Erasures that say that they took other values than the leaves of their record commit to.
    pub other: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} disclosed, {} erased, {} withheld", self.disclosed, self.erased, self.withheld)?;
        match self.other {
            0 => Ok(()),
            other => write!(f, "; {other} erasures say that they took other values than were committed to"),
        }
    }
}

/// Disclosures, and how they fit the leaves met so far.
#[derive(Default)]
pub struct Disclosures {
    events: HashMap<String, Vec<Known>>,
    /// True if only the leaves of one record are met.
    alone: bool,
    /// Of each record, what its leaves commit to.
    committed: HashMap<String, Committed>,
    disclosed: u64,
    erased: u64,
    other: u64,
}

/// What the leaves of a record commit to.
#[derive(Default)]
struct Committed {
    /// False if there were earlier leaves than those that were met: then nobody knows all of them.
    whole: bool,
    now: Digests,
    /// What went with the last erasure, until it says what that was.
    gone: Digests,
}

#[derive(Default)]
struct Digests {
    all: Vec<String>,
    /// How many of them are not disclosed.
    open: u64,
}

impl Disclosures {
    /// Reads a JSON list.
    pub fn parse(json: &str) -> Result<Self, DisclosureError> {
        let list: Vec<DisclosureText> = serde_json::from_str(json).map_err(|_| DisclosureError::Format)?;
        let mut disclosures = Self::default();
        for DisclosureText { event, path, salt, value } in list {
            let disclosure = Disclosure { salt, path, value };
            let digest = disclosure.digest();
            let path = disclosure.path;
            let Ok(digest) = digest else { return Err(DisclosureError::Value { event, path }) };
            disclosures.events.entry(event).or_default().push(Known { path, digest, matched: false });
        }
        Ok(disclosures)
    }

    /// Only the leaves of one record are to come.
    pub fn of_one_record(mut self) -> Self {
        self.alone = true;
        self
    }

    /// The next leaf. One that cannot be read has no commitments; that it cannot be is the chains' to say.
    pub fn meet(&mut self, leaf: &[u8]) {
        let Ok(leaf) = serde_json::from_slice::<Value>(leaf) else { return };
        let text = |name: &str| leaf.get(name).and_then(Value::as_str).unwrap_or_default();
        let stream = text("stream");
        let committed = self.committed.entry(stream.to_owned()).or_default();
        committed.whole |= leaf.get("ver").and_then(Value::as_u64) == Some(1);
        if text("type").ends_with(".erased") {
            let gone = std::mem::take(&mut committed.now);
            if self.alone {
                self.erased += gone.open;
            } else {
                committed.gone.all.extend(gone.all);
                committed.gone.open += gone.open;
            }
        }
        let known = self.events.get_mut(text("id")).map(Vec::as_mut_slice).unwrap_or_default();
        for (path, digest) in commitments(&leaf) {
            let mut fits = known.iter_mut().filter(|known| known.path == path && known.digest == digest).peekable();
            match fits.peek() {
                Some(_) => self.disclosed += 1,
                None => committed.now.open += 1,
            }
            fits.for_each(|known| known.matched = true);
            committed.now.all.push(digest.to_owned());
        }
        if text("type") == "erasure.recorded" {
            self.cover(&leaf);
        }
    }

    /// An erasure says how many values of which record it took, and which.
    fn cover(&mut self, leaf: &Value) {
        let said = |field: &str| leaf.get("changes")?.get(field)?.get(1);
        let word = |field: &str| said(field).and_then(Value::as_str).unwrap_or_default();
        let subject = format!("{}/{}", word("subject_type"), word("subject_id"));
        let Some(committed) = self.committed.get_mut(&subject) else { return };
        let as_said = said("digests").and_then(Value::as_u64) == u64::try_from(committed.gone.all.len()).ok()
            && word("digests_sha256") == fingerprint(&committed.gone.all);
        if as_said || !committed.whole {
            self.erased += std::mem::take(&mut committed.gone).open;
        } else {
            self.other += 1;
        }
    }

    /// After the last leaf: every disclosure must have matched.
    pub fn counts(&self) -> Result<Counts, DisclosureError> {
        let mut unmatched: Vec<(&String, &String)> = Vec::new();
        for (event, known) in &self.events {
            unmatched.extend(known.iter().filter(|known| !known.matched).map(|known| (event, &known.path)));
        }
        if let Some((event, path)) = unmatched.into_iter().min() {
            return Err(DisclosureError::Unmatched { event: event.clone(), path: path.clone() });
        }
        let withheld = self.committed.values().map(|committed| committed.now.open + committed.gone.open).sum();
        Ok(Counts { disclosed: self.disclosed, erased: self.erased, withheld, other: self.other })
    }
}

/// Field, or `reason`, and digest of everything that a leaf newly commits to.
fn commitments(leaf: &Value) -> impl Iterator<Item = (&str, &str)> {
    let changes = leaf.get("changes").and_then(Value::as_object).into_iter().flatten();
    let fields = changes.filter_map(|(field, change)| Some((field.as_str(), change.get("$c")?.get(1)?.as_str()?)));
    let reason = leaf.get("reason").and_then(|reason| Some(("reason", reason.get("$c")?.as_str()?)));
    fields.chain(reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(leaves: &[Value]) -> String {
        let mut disclosures = Disclosures::parse("[]").unwrap();
        leaves.iter().for_each(|leaf| disclosures.meet(leaf.to_string().as_bytes()));
        disclosures.counts().unwrap().to_string()
    }

    #[test]
    fn an_erasure_that_took_other_values_than_were_committed_to_is_told() {
        let leaf = |ver: u64, kind: &str, changes: Value| json!({ "stream": "figure/f", "ver": ver, "type": kind, "changes": changes });
        let first = leaf(1, "figure.reported", json!({ "note": { "$c": [null, "b"] } }));
        let second = leaf(2, "figure.amended", json!({ "note": { "$c": ["b", "a"] } }));
        let erased = leaf(3, "figure.erased", json!({ "note": { "$c": ["a", null] } }));
        let erasure = |digests: &[&str]| {
            let all: Vec<String> = digests.iter().map(|digest| (*digest).to_owned()).collect();
            json!({ "stream": "erasure/e", "ver": 1, "type": "erasure.recorded", "changes": {
                "subject_type": [null, "figure"], "subject_id": [null, "f"],
                "digests": [null, digests.len()], "digests_sha256": [null, fingerprint(&all)] } })
        };
        let whole = [first, second.clone(), erased.clone()];
        let with = |digests: &[&str]| told(&[whole.as_slice(), &[erasure(digests)]].concat());
        assert_eq!(with(&["a", "b"]), "0 disclosed, 2 erased, 0 withheld");
        let others: [&[&str]; 3] = [&["a"], &["a", "c"], &[]];
        for other in others {
            let end =
                "0 disclosed, 0 erased, 2 withheld; 1 erasures say that they took other values than were committed to";
            assert_eq!(with(other), end, "{other:?}");
        }
        assert_eq!(told(&whole), "0 disclosed, 0 erased, 2 withheld", "no erasure says so");
        // Of a part of the log nobody can tell.
        assert_eq!(told(&[second, erased, erasure(&["a", "b"])]), "0 disclosed, 1 erased, 0 withheld");
    }
}
