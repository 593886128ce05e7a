//! Personal values and reasons beside the log: which commitments of the leaves are disclosed, erased or withheld.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::db::event::Disclosure;

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
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} disclosed, {} erased, {} withheld", self.disclosed, self.erased, self.withheld)
    }
}

/// Disclosures, and how they fit the leaves met so far.
#[derive(Default)]
pub struct Disclosures {
    events: HashMap<String, Vec<Known>>,
    /// Commitments of each record that are neither disclosed nor erased so far.
    open: HashMap<String, u64>,
    disclosed: u64,
    erased: u64,
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
        if text("type").ends_with(".erased") {
            self.erased += self.open.remove(stream).unwrap_or_default();
        }
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
        Ok(Counts { disclosed: self.disclosed, erased: self.erased, withheld })
    }
}

/// Field, or `reason`, and digest of everything that a leaf newly commits to.
fn commitments(leaf: &Value) -> impl Iterator<Item = (&str, &str)> {
    let changes = leaf.get("changes").and_then(Value::as_object).into_iter().flatten();
    let fields = changes.filter_map(|(field, change)| Some((field.as_str(), change.get("$c")?.get(1)?.as_str()?)));
    let reason = leaf.get("reason").and_then(|reason| Some(("reason", reason.get("$c")?.as_str()?)));
    fields.chain(reason)
}
