//! The demonstration: the shipped campaign, and fictitious deeds in it as a list of steps that the API itself carries
//! out, so that policy, validation, four eyes and events are the real ones. Pure: what stands here reads the script.
//!
//! `campaigns/quynh-nhai-2021-2025/demo.yaml` is the script; it is embedded, so that the command works anywhere.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::campaigns::Folder;
use crate::canonical::{hex, sha256};
use crate::yaml::Document;

pub mod directory;
pub mod journal;
pub mod stage;
pub mod tokens;

/// The format of scripts that this version reads.
const FORMAT: &str = "demo/1";

/// The campaign's folder, by file.
const FILES: [(&str, &str); 3] = [
    ("campaign.yaml", include_str!("../../campaigns/quynh-nhai-2021-2025/campaign.yaml")),
    ("units.yaml", include_str!("../../campaigns/quynh-nhai-2021-2025/units.yaml")),
    ("rules.yaml", include_str!("../../campaigns/quynh-nhai-2021-2025/rules.yaml")),
];

/// The script.
const SCRIPT: &str = include_str!("../../campaigns/quynh-nhai-2021-2025/demo.yaml");

/// The name of a demonstration's log; no service signs under it.
pub const LOG_ORIGIN: &str = "demo.thidua.invalid/log";

/// Whoever acts first: the administrator that the console lets in. Everybody else gets a grant in a step.
pub const FIRST: &str = "administrator";

/// The embedded campaign, read and checked.
pub fn folder() -> Result<Folder, String> {
    let files = FILES.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
    Folder::read(&files.collect()).map_err(|findings| {
        let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
        told.join("\n")
    })
}

/// One call of the API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Who calls: the `sub` of the token.
    #[serde(rename = "as")]
    pub person: String,
    /// The path; `{name}` stands for an id.
    pub post: String,
    /// The record whose ETag is sent: a change. Without it the step creates.
    #[serde(default)]
    pub if_match: Option<String>,
    /// The body; a string that is `{name}` stands for an id.
    #[serde(default)]
    pub body: Value,
    /// Under which name the created record is known to later steps.
    #[serde(default)]
    pub save: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    steps: Vec<Step>,
}

/// The steps of the demonstration.
#[derive(Clone, Debug)]
pub struct Script {
    /// In the order in which they are taken.
    pub steps: Vec<Step>,
    /// SHA-256 of the script: progress made in another one does not count.
    pub hash: String,
}

impl Script {
    /// The embedded script.
    pub fn embedded() -> Result<Self, String> {
        Self::read(SCRIPT)
    }

    /// Reads a script.
    pub fn read(yaml: &str) -> Result<Self, String> {
        let told = |finding: &crate::yaml::Finding| format!("demo.yaml: {finding}");
        let document = Document::parse(yaml).map_err(|found| found.iter().map(told).collect::<Vec<_>>().join("\n"))?;
        let file: File = document.typed().map_err(|finding| told(&finding))?;
        if file.format != FORMAT {
            return Err(format!("demo.yaml: this version reads {FORMAT}"));
        }
        Ok(Self { steps: file.steps, hash: hex(&sha256(document.canonical.as_bytes())) })
    }
}

/// A record that a step made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What `{name}` stands for.
    pub id: String,
    /// Its newest ETag.
    pub etag: String,
}

/// What names stand for: units of the unit file by key, `campaign`, and what steps saved.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<String, Known>);

impl Names {
    /// The names that stand before the first step.
    pub fn fixed(folder: &Folder, issuer: &str) -> Self {
        let unit = |(key, id): (&String, &Uuid)| (key.clone(), id.to_string());
        let others = [("campaign", folder.definition.id.to_string()), ("issuer", issuer.to_owned())];
        let others = others.map(|(name, value)| (name.to_owned(), value));
        let known = folder.units.ids.iter().map(unit).chain(others);
        // What was loaded has its first version.
        let first = |(name, id)| (name, Known { id, etag: "\"1\"".to_owned() });
        Self(known.map(first).collect())
    }

    /// Keeps what a step answered.
    pub fn keep(&mut self, name: &str, known: Known) {
        self.0.insert(name.to_owned(), known);
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Result<&Known, String> {
        self.0.get(name).ok_or_else(|| format!("nothing is called {{{name}}} yet"))
    }

    /// A path with its ids.
    pub fn path(&self, path: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = path;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| format!("{path}: a brace is not closed"))?;
            filled.push_str(before);
            filled.push_str(&self.get(name)?.id);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// A body with its ids.
    pub fn body(&self, body: &Value) -> Result<Value, String> {
        Ok(match body {
            Value::String(text) => match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
                Some(name) => Value::String(self.get(name)?.id.clone()),
                None => body.clone(),
            },
            Value::Array(items) => Value::Array(items.iter().map(|item| self.body(item)).collect::<Result<_, _>>()?),
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| Ok((name.clone(), self.body(value)?));
                Value::Object(members.iter().map(member).collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use unicode_normalization::UnicodeNormalization;

    use super::*;
    use crate::auth::Role;

    #[test]
    fn names_are_filled_in_where_they_stand_alone() {
        let mut names = Names::default();
        names.keep("ban", Known { id: "7".into(), etag: "\"1\"".into() });
        assert_eq!(names.path("/v1/units/{ban}:amend").unwrap(), "/v1/units/7:amend");
        let filled = names.body(&json!({ "unit": "{ban}", "list": ["{ban}", "ở {ban}"] })).unwrap();
        assert_eq!(filled, json!({ "unit": "7", "list": ["7", "ở {ban}"] }));
        assert!(names.path("/v1/units/{xa}").is_err() && names.path("/v1/units/{ban").is_err());
    }

    /// Every letter with a diacritic that Vietnamese has, once.
    fn letters() -> BTreeSet<char> {
        let mut letters = BTreeSet::from(['đ', 'Đ']);
        for vowel in "aăâeêioôơuưy".chars() {
            for tone in ["", "\u{300}", "\u{301}", "\u{309}", "\u{303}", "\u{323}"] {
                let letter: String = format!("{vowel}{tone}").nfc().collect();
                letters.extend(letter.chars().chain(letter.to_uppercase().chars()));
            }
        }
        letters
    }

    fn texts(value: &Value, found: &mut String) {
        match value {
            Value::String(text) => found.push_str(text),
            Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
            Value::Object(members) => members.values().for_each(|member| texts(member, found)),
            _ => {}
        }
    }

    #[test]
    fn names_use_every_vietnamese_letter() {
        let mut names = String::new();
        for step in &Script::embedded().unwrap().steps {
            let body = &step.body;
            let givers = body["content"]["resources"].as_array().into_iter().flatten().map(|line| &line["giver_name"]);
            givers.chain([&body["label"], &body["names"]]).for_each(|name| texts(name, &mut names));
        }
        let names = names.to_lowercase();
        let missing: String = letters().into_iter().filter(|c| c.is_lowercase() && !names.contains(*c)).collect();
        assert_eq!(missing, "");
    }

    #[test]
    fn the_demo_writes_every_vietnamese_letter() {
        let mut written = String::new();
        Script::embedded().unwrap().steps.iter().for_each(|step| texts(&step.body, &mut written));
        assert_eq!(letters().len(), 2 * (12 * 6 + 1));
        let missing: String = letters().into_iter().filter(|letter| !written.contains(*letter)).collect();
        assert_eq!(missing, "");
    }

    #[test]
    fn everybody_who_acts_was_let_in_before() {
        let mut known = BTreeSet::from([FIRST.to_owned()]);
        let script = Script::embedded().unwrap();
        for (index, step) in script.steps.iter().enumerate() {
            assert!(known.contains(&step.person), "step {}: {} has no grant", index + 1, step.person);
            if step.post == "/v1/grants" {
                known.insert(step.body["subject"].as_str().unwrap().to_owned());
            }
        }
        for role in Role::ALL {
            assert!(known.contains(role.as_str()), "nobody is {role}");
        }
    }

    #[test]
    fn what_is_made_up_is_marked_as_such() {
        let mut marked = [0; 3];
        for step in &Script::embedded().unwrap().steps {
            let (room, verb) = step.post.rsplit_once(':').unwrap_or((&step.post, ""));
            let told = |content: &Value| content["note"].as_str().is_some_and(|note| note.contains("giả định"));
            if step.post == "/v1/units" {
                assert_eq!(step.body["fictitious"], true, "{:?}", step.save);
                marked[0] += 1;
            } else if room.starts_with("/v1/units/") {
                let classes = step.body["unit"]["area_classes"].as_array().unwrap();
                assert!(
                    !classes.is_empty() && classes.iter().all(|class| class["fictitious"] == true),
                    "{}",
                    step.post
                );
                marked[1] += 1;
            } else if room.starts_with("/v1/figures") && verb != "confirm" {
                assert!(told(&step.body["counts"]), "{} {:?}", step.post, step.save);
                assert!(step.body["counts"]["recognised_by"].is_string(), "{} {:?}", step.post, step.save);
                marked[2] += 1;
            } else if room.starts_with("/v1/observations") && verb != "confirm" {
                assert!(told(&step.body["content"]), "{} {:?}", step.post, step.save);
            }
        }
        assert!(marked.iter().all(|count| *count > 10), "{marked:?}");
    }
}
