//! The typed rule set: what a checked document says, in document order.
//!
//! Lives here: shapes and look-ups. Never here: a check (the schema and `references` did them) or a decision.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use chrono::NaiveDate;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::number::{Decimal, Scalar};
use super::vocabulary::{OneOrMany, ParamRef, Rule};

/// A rule set of format `award-rules/1`.
#[derive(Debug, Clone, Deserialize)]
pub struct Model {
    /// Who it is.
    pub rule_set: Header,
    /// Numbers and readings the Council may choose.
    pub parameters: Table<Parameter>,
    /// Bodies that answer questions.
    pub roles: Table<Role>,
    /// Bodies that stop existing.
    #[serde(default)]
    pub role_succession: Vec<Succession>,
    /// Figures with a period.
    pub indicators: Table<Indicator>,
    /// Properties of a subject.
    #[serde(default)]
    pub attributes: Table<AttributeKind>,
    /// Days of a subject's history.
    #[serde(default)]
    pub dates: Table<DateKind>,
    /// Kinds of records.
    #[serde(default)]
    pub records: Table<RecordKind>,
    /// Questions for people.
    pub attestations: Table<Question>,
    /// The criteria, by clause.
    pub criteria: Table<Criterion>,
    /// Groups of subjects and how their criteria combine.
    pub categories: Table<Category>,
    /// Forms of award.
    pub awards: Table<Award>,
    /// When subjects are considered.
    pub rounds: Table<Round>,
    /// The way outside the rounds.
    pub special_path: Option<SpecialPath>,
    /// How awards are shared out.
    pub allocation: Allocation,
    /// Examples the rule set must satisfy.
    pub tests: Vec<Example>,
}

impl Model {
    /// True if some category has criteria for subjects of this type.
    pub fn judges(&self, subject_type: &str) -> bool {
        self.categories.iter().any(|(_, category)| category.subjects.iter().any(|kind| kind == subject_type))
    }
}

/// Identity and legal footing of a rule set.
#[derive(Debug, Clone, Deserialize)]
pub struct Header {
    /// Stable id.
    pub id: String,
    /// Semantic version.
    pub version: String,
    /// `draft`, `adopted` or `superseded`.
    pub status: String,
    /// Its title.
    pub title: String,
    /// What it rests on.
    pub legal_basis: Vec<LegalBasis>,
    /// Ways of reading the plan that are not parameters.
    #[serde(default)]
    pub readings: Vec<Reading>,
}

/// A legal document.
#[derive(Debug, Clone, Deserialize)]
pub struct LegalBasis {
    /// Short id.
    pub id: String,
    /// How it is cited.
    pub cite: String,
}

/// A way of reading the plan.
#[derive(Debug, Clone, Deserialize)]
pub struct Reading {
    /// The clause it reads, or two clauses joined by `-`.
    pub clause: String,
    /// The reading, in words.
    pub reading: String,
    /// Whether it was decided.
    pub status: Decision,
}

/// How far a choice is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Decided by the competent body.
    Adopted,
    /// Proposed; may be used in a simulation only.
    Proposed,
    /// Nobody proposed anything.
    Unset,
}

/// A number or reading the Council may choose.
#[derive(Debug, Clone, Deserialize)]
pub struct Parameter {
    /// Its value; none is `unset`.
    pub value: Option<ParameterValue>,
    /// Its unit, for display.
    pub unit: Option<String>,
    /// Whether it was decided.
    pub status: Decision,
    /// The legal document that decided it.
    pub decided_by: Option<String>,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParameterValue {
    /// A whole number.
    Integer(i64),
    /// A word, a year, a date or a decimal.
    Text(String),
}

impl ParameterValue {
    /// The value as a number, if it is one.
    pub fn decimal(&self) -> Option<Decimal> {
        match self {
            Self::Integer(value) => Some(Decimal::from(*value)),
            Self::Text(text) => Decimal::parse(text),
        }
    }

    /// The value as a day, if it is one.
    pub fn date(&self) -> Option<NaiveDate> {
        self.to_string().parse().ok()
    }
}

impl fmt::Display for ParameterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A body that answers questions or owns figures.
#[derive(Debug, Clone, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: String,
}

/// A body that stops existing, and who takes over.
#[derive(Debug, Clone, Deserialize)]
pub struct Succession {
    /// The body.
    pub role: String,
    /// Its last day.
    pub until: NaiveDate,
    /// Who takes over.
    pub successor: Option<String>,
}

/// A figure with a period and an owner.
#[derive(Debug, Clone, Deserialize)]
pub struct Indicator {
    /// Its name.
    pub name: String,
    /// `integer` or `decimal`.
    pub r#type: String,
    /// Its unit.
    pub unit: String,
    /// The smallest value it can have; what is missing is at least this.
    pub min: Option<i64>,
    /// `village` or `subject`.
    pub grain: String,
    /// `sum`, `last` or `max`.
    pub rollup: String,
    /// What its periods are.
    pub per: Per,
    /// Dimensions every figure carries.
    #[serde(default)]
    pub dims: Vec<String>,
    /// The body that confirms it.
    pub owner: String,
}

/// What a figure covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// One year.
    Year,
    /// From the start of the campaign to the cut-off.
    Period,
}

/// A property of a subject.
#[derive(Debug, Clone, Deserialize)]
pub struct AttributeKind {
    /// The values it can have.
    pub values: Vec<Scalar>,
    /// The body that knows it.
    pub owner: Option<String>,
}

/// A day of a subject's history.
#[derive(Debug, Clone, Deserialize)]
pub struct DateKind {
    /// Its name.
    pub name: String,
    /// The body that confirms it.
    pub owner: Option<String>,
}

/// A kind of record kept in a register.
#[derive(Debug, Clone, Deserialize)]
pub struct RecordKind {
    /// Its name.
    pub name: String,
    /// The fields of an entry.
    pub fields: Vec<String>,
    /// The body that closes the register.
    pub owner: String,
    /// Entries that do not have these values do not count.
    #[serde(default)]
    pub counts_only_if: BTreeMap<String, OneOrMany>,
    /// Fields worked out from others: `later <= deadline`.
    #[serde(default)]
    pub derived: BTreeMap<String, String>,
}

/// A question for a person.
#[derive(Debug, Clone, Deserialize)]
pub struct Question {
    /// The question.
    pub ask: String,
    /// The body that answers.
    pub by: String,
    /// The papers it rests on.
    pub evidence: Vec<String>,
}

/// One criterion of the plan; its id is its clause.
#[derive(Debug, Clone, Deserialize)]
pub struct Criterion {
    /// The clause in our own words.
    pub title: String,
    /// `computed`, `attested` or `mixed`.
    pub kind: String,
    /// The condition.
    pub rule: Rule,
}

/// A group of subjects judged alike.
#[derive(Debug, Clone, Deserialize)]
pub struct Category {
    /// Its clause.
    pub clause: String,
    /// Its name.
    pub name: String,
    /// The subject types in it.
    pub subjects: Vec<String>,
    /// `collective`, `family` or `individual`.
    pub subject_form: String,
    /// How its criteria combine.
    pub combine: Combination,
}

/// How the criteria of a category combine: one rule, or several to choose from.
#[derive(Debug, Clone, Deserialize)]
pub struct Combination {
    /// Whether the reading was decided.
    pub status: Decision,
    /// The rule, where there is no choice.
    pub rule: Option<Rule>,
    /// The parameter that chooses.
    pub choose: Option<ParamRef>,
    /// The rules to choose from.
    #[serde(default)]
    pub options: Table<Rule>,
}

/// A form of award.
#[derive(Debug, Clone, Deserialize)]
pub struct Award {
    /// Higher is higher.
    pub rank: i64,
    /// Its name.
    pub name: String,
    /// Its clause.
    pub clause: String,
    /// Who decides it.
    pub decided_by: String,
    /// The first day it has an issuer.
    pub valid_from: Option<NaiveDate>,
    /// The last day it has an issuer.
    pub valid_to: Option<NaiveDate>,
    /// What it asks for beyond the category's criteria.
    pub extra: Option<Rule>,
}

/// A time at which subjects are considered.
#[derive(Debug, Clone, Deserialize)]
pub struct Round {
    /// Its name.
    pub name: String,
    /// Its clause.
    pub clause: String,
    /// The parameter that holds its cut-off.
    pub as_of: ParamRef,
    /// The awards it can lead to.
    pub awards: Vec<String>,
    /// The forms of subject it considers.
    pub subject_forms: Vec<String>,
    /// The law it runs under.
    pub law: Option<String>,
}

/// The way outside the rounds.
#[derive(Debug, Clone, Deserialize)]
pub struct SpecialPath {
    /// Its id.
    pub id: String,
    /// Its clause.
    pub clause: String,
    /// The document that describes the procedure.
    pub procedure: Option<String>,
    /// The forms of subject it considers.
    pub subject_forms: Vec<String>,
    /// What it is for.
    #[serde(default)]
    pub target: String,
    /// The condition.
    pub rule: Rule,
    /// The body that completes the file.
    pub dossier_by: Option<String>,
}

/// How awards are shared out.
#[derive(Debug, Clone, Deserialize)]
pub struct Allocation {
    /// One award for one achievement.
    pub one_award_per_achievement: Option<OneAward>,
    /// Quotas; this version serves none.
    #[serde(default)]
    pub quotas: Vec<serde_json::Value>,
    /// The order within a quota; this version serves none.
    #[serde(default)]
    pub ranking: Ranking,
}

/// The order in which a quota is filled.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Ranking {
    /// What is compared, first key first.
    #[serde(default)]
    pub keys: Vec<serde_json::Value>,
}

/// One award for one achievement.
#[derive(Debug, Clone, Deserialize)]
pub struct OneAward {
    /// The law of each round.
    #[serde(default)]
    pub law: Table<String>,
    /// What makes two achievements the same.
    #[serde(default)]
    pub key: Vec<KeyPart>,
}

/// A part of the key of an achievement.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum KeyPart {
    /// A parameter: `per_round` or `whole_campaign`.
    Param(ParamRef),
    /// A fixed part.
    Word(String),
}

/// An example embedded in the rule set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// The criterion it evaluates.
    pub criterion: Option<String>,
    /// The category it evaluates.
    pub category: Option<String>,
    /// Parameters it overlays.
    #[serde(default)]
    pub params: BTreeMap<String, ParameterValue>,
    /// Its facts.
    pub data: Table<serde_json::Value>,
    /// Whether parameters that are not adopted are refused.
    #[serde(default)]
    pub official: bool,
    /// The answer.
    pub expect: super::status::Status,
    /// How many too many.
    pub short: Option<i64>,
    /// The largest value of the missing input that would still pass.
    pub need_max: Option<i64>,
    /// A reason found in the tree.
    pub reason: Option<super::status::Reason>,
}

/// Named things in document order.
#[derive(Debug, Clone)]
pub struct Table<T>(Vec<(String, T)>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Table<T> {
    /// The thing of that name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, v)| v)
    }

    /// All of them, in document order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &T)> + Clone {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Table<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Table<T>, A::Error> {
                let mut rows = Vec::new();
                while let Some(row) = access.next_entry()? {
                    rows.push(row);
                }
                Ok(Table(rows))
            }
        }
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}
