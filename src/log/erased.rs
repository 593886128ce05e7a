//! Erased, withheld or lost: what became of a commitment whose value nobody shows any more. Pure.
//!
//! Erasing a record deletes every value that was disclosed of it and writes an `erasure`, which says how many digests
//! were covered and the hash of all of them. A digest without a value that no erasure covers is withheld, or lost.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use uuid::Uuid;

use super::fold::stream;
use crate::canonical::sha256;

/// What an erasure says of the digests that it covers: SHA-256, base64url, of them all in the order of their bytes,
/// with a newline between two.
pub fn fingerprint(digests: &[String]) -> String {
    let mut sorted: Vec<&str> = digests.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    URL_SAFE_NO_PAD.encode(sha256(sorted.join("\n").as_bytes()))
}

/// The commitments that a leaf makes, field by field, and that to its reason: path and digest.
pub fn commitments(leaf: &Value) -> Vec<(&str, &str)> {
    let changes = leaf["changes"].as_object().into_iter().flatten();
    let made = changes.filter_map(|(field, change)| Some((field.as_str(), change["$c"][1].as_str()?)));
    made.chain(leaf["reason"]["$c"].as_str().map(|digest| ("reason", digest))).collect()
}

/// A commitment that no erasure covers yet.
struct Made {
    path: String,
    digest: String,
    position: i64,
    disclosed: bool,
}

/// The commitments of a log, record by record, as its leaves are read in their order.
#[derive(Default)]
pub struct Commitments(HashMap<Uuid, (String, Vec<Made>)>);

impl Commitments {
    /// Takes the commitments of a leaf, and what it says of earlier ones if it is an erasure. Answers what does not fit.
    pub fn read(&mut self, position: i64, leaf: &Value, is_disclosed: impl Fn(&str) -> bool) -> Vec<String> {
        let Some((kind, id)) = stream(leaf) else { return vec![] };
        for (path, digest) in commitments(leaf) {
            let made = Made { path: path.into(), digest: digest.into(), position, disclosed: is_disclosed(path) };
            self.0.entry(id).or_insert_with(|| (format!("{kind}/{id}"), vec![])).1.push(made);
        }
        // Its reason may be erased later, and then it is a subject like any other.
        if (kind, leaf["ver"].as_i64()) == ("erasure", Some(1)) { self.cover(&leaf["changes"]) } else { vec![] }
    }

    fn cover(&mut self, erasure: &Value) -> Vec<String> {
        let Some(subject) = erasure["subject_id"][1].as_str().and_then(|id| id.parse::<Uuid>().ok()) else {
            return vec!["an erasure names no subject".into()];
        };
        let name = || format!("{}/{subject}", erasure["subject_type"][1].as_str().unwrap_or("?"));
        let (name, covered) = self.0.remove(&subject).unwrap_or_else(|| (name(), vec![]));
        let digests: Vec<String> = covered.iter().map(|made| made.digest.clone()).collect();
        let said = (erasure["digests"][1].as_u64(), erasure["digests_sha256"][1].as_str());
        let mut wrong = Vec::new();
        if said != (Some(digests.len() as u64), Some(&fingerprint(&digests))) {
            wrong.push(format!(
                "{name}: its erasure covers other values than the log has: some were withheld or lost before"
            ));
        }
        let still = covered.iter().filter(|made| made.disclosed);
        wrong.extend(still.map(|made| format!("{name}: {} was erased and is still disclosed", made.path)));
        wrong
    }

    /// What has no value and was not erased, once all leaves were read.
    pub fn withheld(&self) -> Vec<String> {
        let missing = self.0.values().flat_map(|(name, all)| all.iter().map(move |made| (name, made)));
        let missing = missing.filter(|(_, made)| !made.disclosed);
        let said = |(name, made): (&String, &Made)| {
            format!("{name}: {} of position {} is withheld or lost, and was not erased", made.path, made.position)
        };
        let mut lines: Vec<String> = missing.map(said).collect();
        lines.sort_unstable();
        lines
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SUBJECT: Uuid = Uuid::from_u128(7);

    fn figure(version: i64, note: [Option<&str>; 2], reason: Option<&str>) -> Value {
        json!({ "stream": format!("figure/{SUBJECT}"), "ver": version, "changes": { "note": { "$c": note }, "year": [1, 2] },
            "reason": reason.map(|digest| json!({ "$c": digest })) })
    }

    fn erasure(digests: &[&str]) -> Value {
        let all: Vec<String> = digests.iter().map(|digest| (*digest).to_owned()).collect();
        json!({ "stream": format!("erasure/{}", Uuid::from_u128(8)), "ver": 1, "changes": {
            "subject_type": [null, "figure"], "subject_id": [null, SUBJECT], "digests": [null, digests.len()],
            "digests_sha256": [null, fingerprint(&all)] } })
    }

    #[test]
    fn a_leaf_makes_new_digests_and_takes_old_ones_away() {
        let leaf = figure(2, [Some("old"), Some("new")], Some("why"));
        assert_eq!(commitments(&leaf), [("note", "new"), ("reason", "why")]);
        assert_eq!(commitments(&figure(3, [Some("new"), None], None)), []);
    }

    #[test]
    fn what_an_erasure_covers_is_erased_and_everything_else_withheld() {
        let mut log = Commitments::default();
        let none = |_: &str| false;
        log.read(0, &figure(1, [None, Some("b")], None), none);
        log.read(1, &figure(2, [Some("b"), Some("a")], Some("c")), none);
        assert_eq!(log.withheld().len(), 3);
        log.read(2, &figure(3, [Some("a"), None], None), none);
        assert_eq!(log.read(3, &erasure(&["c", "a", "b"]), none), Vec::<String>::new());
        assert_eq!(log.withheld(), Vec::<String>::new());
        // What was written afterwards is not covered.
        log.read(4, &figure(4, [None, Some("d")], None), none);
        let line = format!("figure/{SUBJECT}: note of position 4 is withheld or lost, and was not erased");
        assert_eq!(log.withheld(), [line]);
    }

    #[test]
    fn an_erasure_that_says_something_else_is_named() {
        for said in [&["a"][..], &["a", "x"], &[]] {
            let mut log = Commitments::default();
            log.read(0, &figure(1, [None, Some("a")], Some("b")), |_| false);
            assert_eq!(log.read(1, &erasure(said), |_| false).len(), 1, "{said:?}");
        }
        let mut log = Commitments::default();
        log.read(0, &figure(1, [None, Some("a")], Some("b")), |path| path == "note");
        let wrong = log.read(1, &erasure(&["a", "b"]), |_| false);
        assert_eq!(wrong, [format!("figure/{SUBJECT}: note was erased and is still disclosed")]);
    }
}
