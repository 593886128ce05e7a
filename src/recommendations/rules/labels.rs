//! What the names of a rule set are called in both languages.
//!
//! A rule set is written in Vietnamese and its bytes are bound by its hash, so English stands in the campaign that uses
//! it, and so do words for names that have none in the rule set. Without labels a name is its own. Never here: a
//! sentence (`say`).

use std::collections::{BTreeMap, BTreeSet};

use super::explain::Say;
use super::model::Model;
use super::number::Scalar;
use super::values::rules;
use super::vocabulary::{OneOrMany, Operator, Rule};

/// What a label belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// A unit of measure, by itself.
    Unit,
    /// A figure.
    Indicator,
    /// A property of a subject.
    Attribute,
    /// A value of a property, by `attribute/value`.
    Value,
    /// A day of a subject's history.
    Date,
    /// A kind of record.
    Record,
    /// A word in a field of records, by `field/word`.
    Field,
    /// A question for people.
    Attestation,
    /// A body that answers questions.
    Role,
    /// A form of award.
    Award,
    /// A number or reading the Council may choose.
    Parameter,
}

/// What one name is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Vietnamese, where the rule set itself has none.
    pub vi: Option<String>,
    /// English.
    pub en: String,
}

/// Labels by what they belong to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<Of, BTreeMap<String, Label>>);

/// Every name its own: what a rule set says without a campaign.
pub(super) static NONE: Labels = Labels(BTreeMap::new());

impl Labels {
    /// Adds a label.
    pub fn put(&mut self, of: Of, id: impl Into<String>, label: Label) {
        self.0.entry(of).or_default().insert(id.into(), label);
    }

    fn or(&self, of: Of, id: &str, own: &str) -> Say {
        let label = self.0.get(&of).and_then(|labels| labels.get(id));
        let vi = label.and_then(|label| label.vi.as_deref());
        let en = label.map(|label| label.en.as_str());
        Say { vi: vi.unwrap_or(own).to_owned(), en: en.unwrap_or(own).to_owned() }
    }
}

impl Model {
    /// The words that fields of records must say for a rule, as `field/word`.
    pub fn field_words(&self) -> BTreeSet<String> {
        let mut words = BTreeSet::new();
        for (path, rule, _) in rules(self) {
            rule.visit(&mut path.clone(), &mut |_, rule| {
                let Rule::Operator(operator) = rule else { return };
                let wanted = match operator.as_ref() {
                    Operator::Count(rule) => &rule.r#where,
                    Operator::Every(rule) => &rule.r#where,
                    _ => return,
                };
                for (field, any) in wanted {
                    words.extend(any.values().iter().map(|word| format!("{field}/{word}")));
                }
            });
        }
        words
    }
}

/// The words for the names of one rule set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a> {
    pub model: &'a Model,
    pub labels: &'a Labels,
}

impl Words<'_> {
    pub(super) fn unit(&self, unit: &str) -> Say {
        self.labels.or(Of::Unit, unit, unit)
    }

    pub(super) fn indicator(&self, id: &str) -> Say {
        self.labels.or(Of::Indicator, id, self.model.indicators.get(id).map_or(id, |kind| &kind.name))
    }

    pub(super) fn attribute(&self, id: &str) -> Say {
        self.labels.or(Of::Attribute, id, id)
    }

    pub(super) fn value(&self, attribute: &str, value: &str) -> Say {
        self.labels.or(Of::Value, &format!("{attribute}/{value}"), value)
    }

    pub(super) fn date(&self, id: &str) -> Say {
        self.labels.or(Of::Date, id, self.model.dates.get(id).map_or(id, |kind| &kind.name))
    }

    /// Records of a kind, with what their fields must say to count.
    pub(super) fn records(&self, id: &str, wanted: &BTreeMap<String, OneOrMany>) -> Say {
        let mut say = self.labels.or(Of::Record, id, self.model.records.get(id).map_or(id, |kind| &kind.name));
        let field = |(name, any): (&String, &OneOrMany)| {
            let word = |value: &Scalar| {
                let word = value.to_string();
                self.labels.or(Of::Field, &format!("{name}/{word}"), &word)
            };
            let words: Vec<Say> = any.values().iter().map(word).collect();
            joined(&words, " hoặc ", " or ")
        };
        if !wanted.is_empty() {
            let fields: Vec<Say> = wanted.iter().map(field).collect();
            let fields = joined(&fields, "; ", "; ");
            say = Say { vi: format!("{} ({})", say.vi, fields.vi), en: format!("{} ({})", say.en, fields.en) };
        }
        say
    }

    pub(super) fn question(&self, id: &str) -> Say {
        self.labels.or(Of::Attestation, id, self.model.attestations.get(id).map_or(id, |question| &question.ask))
    }

    pub(super) fn role(&self, id: &str) -> Say {
        self.labels.or(Of::Role, id, self.model.roles.get(id).map_or(id, |role| &role.name))
    }

    pub(super) fn award(&self, id: &str) -> Say {
        self.labels.or(Of::Award, id, self.model.awards.get(id).map_or(id, |award| &award.name))
    }

    pub(super) fn parameter(&self, id: &str) -> Say {
        self.labels.or(Of::Parameter, id, id)
    }
}

fn joined(says: &[Say], vi: &str, en: &str) -> Say {
    let all = |pick: fn(&Say) -> &str, between: &str| says.iter().map(pick).collect::<Vec<_>>().join(between);
    Say { vi: all(|say| &say.vi, vi), en: all(|say| &say.en, en) }
}
