//! Personal values and reasons beside the log: which commitments of the leaves are disclosed, erased or withheld.

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
    /// A later event of the record says that its values were erased.
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
    /// Commitments of each record that are neither disclosed nor erased so far.
    open: HashMap<String, u64>,
    /// Of each record, what its leaves commit to since it was erased last.
    committed: HashMap<String, Committed>,
    disclosed: u64,
    erased: u64,
    other: u64,
}

/// The digests that a record's leaves commit to.
#[derive(Default)]
struct Committed {
    /// False if there were earlier leaves than those that were met: then nobody knows all of them.
    whole: bool,
    now: Vec<String>,
    /// Those that went with the last erasure, until it says which they were.
    gone: Vec<String>,
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

    /// The next leaf. One that cannot be read has no commitments; that it cannot be is the chains' to say.
    pub fn meet(&mut self, leaf: &[u8]) {
        let Ok(leaf) = serde_json::from_slice::<Value>(leaf) else { return };
        let text = |name: &str| leaf.get(name).and_then(Value::as_str).unwrap_or_default();
        let stream = text("stream");
        let committed = self.committed.entry(stream.to_owned()).or_default();
        committed.whole |= leaf.get("ver").and_then(Value::as_u64) == Some(1);
        if text("type").ends_with(".erased") {
            self.erased += self.open.remove(stream).unwrap_or_default();
            committed.gone = std::mem::take(&mut committed.now);
        }
        committed.now.extend(commitments(&leaf).map(|(_, digest)| digest.to_owned()));
        let known = self.events.get_mut(text("id")).map(Vec::as_mut_slice).unwrap_or_default();
        let mut withheld = 0;
        for (path, digest) in commitments(&leaf) {
            let mut fits = known.iter_mut().filter(|known| known.path == path && known.digest == digest).peekable();
            match fits.peek() {
                Some(_) => self.disclosed += 1,
                None => withheld += 1,
            }
            fits.for_each(|known| known.matched = true);
        }
        if withheld > 0 {
            *self.open.entry(stream.to_owned()).or_default() += withheld;
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
        let Some(committed) = self.committed.get_mut(&subject).filter(|committed| committed.whole) else { return };
        let gone = std::mem::take(&mut committed.gone);
        let as_said = said("digests").and_then(Value::as_u64) == u64::try_from(gone.len()).ok()
            && word("digests_sha256") == fingerprint(&gone);
        self.other += u64::from(!as_said);
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
        let withheld = self.open.values().sum();
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
            assert!(
                with(other).ends_with("; 1 erasures say that they took other values than were committed to"),
                "{other:?}"
            );
        }
        // Of a part of the log nobody can tell.
        assert_eq!(told(&[second, erased, erasure(&["a", "b"])]), "0 disclosed, 1 erased, 0 withheld");
    }
}
