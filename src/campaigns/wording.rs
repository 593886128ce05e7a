//! What a rule file's names are called: English beside its Vietnamese, and words in both languages for what it only has
//! keys for. Pure.
//!
//! A rule file is bound by its bytes and written in Vietnamese alone, so its English stands here, in the campaign file;
//! bodies and forms of award have theirs there already.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::definition::{Definition, RuleFile, Text};
use crate::recommendations::rules::{Label, Labels, Model, Of};

/// Words for the names of a rule file; where the file has Vietnamese itself, English only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wording {
    /// English of units of measure.
    pub units: BTreeMap<String, String>,
    /// English of figures.
    pub indicators: BTreeMap<String, String>,
    /// English of days.
    pub dates: BTreeMap<String, String>,
    /// English of kinds of records.
    pub records: BTreeMap<String, String>,
    /// Words that fields of records can say, by field; kinds of support and areas of beneficiaries have theirs in lists of their
    /// own.
    pub fields: BTreeMap<String, BTreeMap<String, Text>>,
    /// English of questions.
    pub attestations: BTreeMap<String, String>,
    /// Properties of a subject.
    pub attributes: BTreeMap<String, AttributeWords>,
    /// Numbers and readings the Council may choose.
    pub parameters: BTreeMap<String, Text>,
}

/// Words for a property and its values.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeWords {
    /// The property.
    pub title: Text,
    /// Its values.
    pub values: BTreeMap<String, Text>,
}

/// Everything that sentences about this rule file call by name.
pub fn labels(definition: &Definition, file: &RuleFile) -> Labels {
    let mut labels = Labels::default();
    let english = |en: &String| Label { vi: None, en: en.clone() };
    let both = |text: &Text| Label { vi: Some(text.vi.clone()), en: text.en.clone() };
    let words = &file.words;
    for (of, named) in [
        (Of::Unit, &words.units),
        (Of::Indicator, &words.indicators),
        (Of::Date, &words.dates),
        (Of::Record, &words.records),
        (Of::Attestation, &words.attestations),
    ] {
        named.iter().for_each(|(id, en)| labels.put(of, id, english(en)));
    }
    for (id, attribute) in &words.attributes {
        labels.put(Of::Attribute, id, both(&attribute.title));
        for (value, text) in &attribute.values {
            labels.put(Of::Value, format!("{id}/{value}"), both(text));
        }
    }
    for (list, field) in [(&definition.support_kinds, "kind"), (&definition.beneficiary_areas, "beneficiary_area")] {
        list.iter().for_each(|named| labels.put(Of::Field, format!("{field}/{}", named.id), both(&named.title)));
    }
    for (field, said) in &words.fields {
        said.iter().for_each(|(word, text)| labels.put(Of::Field, format!("{field}/{word}"), both(text)));
    }
    words.parameters.iter().for_each(|(id, text)| labels.put(Of::Parameter, id, both(text)));
    definition.attesting_bodies.iter().for_each(|body| labels.put(Of::Role, &body.body, english(&body.title.en)));
    definition.award_forms.iter().for_each(|form| labels.put(Of::Award, &form.id, english(&form.title.en)));
    labels
}

/// What has no words, or has words and is not in the rule file: places below the rule file's entry, with a reason.
pub fn check(definition: &Definition, words: &Wording, model: &Model) -> Vec<(String, String)> {
    let mut check = Check(Vec::new());
    for word in model.field_words() {
        let (field, word) = word.split_once('/').unwrap_or_default();
        let listed = match field {
            "kind" => definition.support_kind(word).is_some(),
            "beneficiary_area" => definition.beneficiary_area(word).is_some(),
            _ => false,
        };
        if !listed && words.fields.get(field).is_none_or(|said| !said.contains_key(word)) {
            check.0.push(("/words/fields".to_owned(), format!("has no words for {field}/{word}")));
        }
    }
    let units = model.indicators.iter().map(|(_, indicator)| indicator.unit.as_str());
    check.list("units", units, words.units.keys());
    check.list("indicators", model.indicators.iter().map(|(id, _)| id), words.indicators.keys());
    check.list("dates", model.dates.iter().map(|(id, _)| id), words.dates.keys());
    check.list("records", model.records.iter().map(|(id, _)| id), words.records.keys());
    check.list("attestations", model.attestations.iter().map(|(id, _)| id), words.attestations.keys());
    check.list("attributes", model.attributes.iter().map(|(id, _)| id), words.attributes.keys());
    check.list("parameters", model.parameters.iter().map(|(id, _)| id), words.parameters.keys());
    for (id, attribute) in model.attributes.iter() {
        if let Some(known) = words.attributes.get(id) {
            let values: Vec<String> = attribute.values.iter().map(ToString::to_string).collect();
            check.list(&format!("attributes/{id}/values"), values.iter().map(String::as_str), known.values.keys());
        }
    }
    check.0
}

struct Check(Vec<(String, String)>);

impl Check {
    fn list<'a>(
        &mut self,
        place: &str,
        named: impl Iterator<Item = &'a str> + Clone,
        known: impl Iterator<Item = &'a String> + Clone,
    ) {
        let mut lacking: Vec<&str> = named.clone().filter(|name| !known.clone().any(|known| known == name)).collect();
        lacking.sort_unstable();
        lacking.dedup();
        for name in lacking {
            self.0.push((format!("/words/{place}"), format!("has no words for {name}")));
        }
        for name in known.filter(|known| !named.clone().any(|name| name == known.as_str())) {
            let mut path = format!("/words/{place}");
            crate::canonical::push_pointer(&mut path, name);
            self.0.push((path, "is not in the rule file".to_owned()));
        }
    }
}
