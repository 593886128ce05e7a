//! The closed vocabulary of conditions, as data.
//!
//! Lives here: the shape of every operator. Never here: what an operator answers (`operators`, `reduction`,
//! `registers`), nor an expression language.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::number::Scalar;
use super::status::Status;

/// A reference to a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParamRef {
    /// Its name.
    pub param: String,
}

/// A number in a rule: written out, or a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Number {
    /// A whole number.
    Integer(i64),
    /// A decimal number as text.
    Text(String),
    /// A parameter.
    Param(ParamRef),
}

/// One value or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// Any of these.
    Many(Vec<Scalar>),
    /// Just this.
    One(Scalar),
}

impl OneOrMany {
    /// All of them.
    pub fn values(&self) -> &[Scalar] {
        match self {
            Self::Many(values) => values,
            Self::One(only) => std::slice::from_ref(only),
        }
    }

    /// Whether `value` is among them.
    pub fn contains(&self, value: &Scalar) -> bool {
        self.values().contains(value)
    }
}

/// A condition: the id of a criterion, or an operator.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Rule {
    /// The id of a criterion; only a category's combination may name one.
    Criterion(String),
    /// An operator.
    Operator(Box<Operator>),
}

/// The closed vocabulary of conditions.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// Every member holds.
    All(Vec<Rule>),
    /// One member holds.
    Any(Vec<Rule>),
    /// At least `n` members hold.
    AtLeast { n: Number, of: Vec<Rule> },
    /// `then` counts only where `if` holds.
    When { r#if: Rule, then: Rule },
    /// A figure compared with a number.
    Threshold(Threshold),
    /// A fall from the start of the period to the cut-off.
    Reduction(Reduction),
    /// Calendar years since a day.
    Duration(Duration),
    /// How many records there are.
    Count(Count),
    /// All records are in order.
    Every(Every),
    /// A person confirmed it.
    Attested(String),
    /// An attribute has one of the values.
    AttributeIn { attribute: String, values: Vec<Scalar> },
    /// An award was given before and not revoked.
    HoldsAward(HoldsAward),
    /// Reserved by the format; refused by this version.
    Expr(serde_json::Value),
}

/// A figure compared with a number.
#[derive(Debug, Clone, Deserialize)]
pub struct Threshold {
    /// The figure.
    pub indicator: String,
    /// The comparison.
    pub op: Comparison,
    /// The number.
    pub value: Number,
}

/// How two numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Comparison {
    /// Greater.
    #[serde(rename = ">")]
    Above,
    /// Greater or equal.
    #[serde(rename = ">=")]
    AtLeast,
    /// Less.
    #[serde(rename = "<")]
    Below,
    /// Less or equal.
    #[serde(rename = "<=")]
    AtMost,
}

impl Comparison {
    /// How it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        }
    }
}

/// A fall of more than a percentage.
#[derive(Debug, Clone, Deserialize)]
pub struct Reduction {
    /// The figures, added up or one by one.
    pub indicators: Vec<String>,
    /// The parameter with the year it starts from.
    pub from: ParamRef,
    /// Strictly more than this.
    pub more_than_percent: Number,
    /// The parameter that says `sum` or `each`; without it, `sum`.
    pub scope: Option<ParamRef>,
    /// The dimension that must be the same at both ends.
    pub same_dim: Option<String>,
    /// What a start of zero means.
    pub zero_base: Status,
}

/// Calendar years since a day.
#[derive(Debug, Clone, Deserialize)]
pub struct Duration {
    /// The day.
    pub since: String,
    /// The years.
    pub at_least_years: Number,
}

/// How many records there are.
#[derive(Debug, Clone, Deserialize)]
pub struct Count {
    /// The kind of record.
    pub records: String,
    /// Only those with these values.
    #[serde(default)]
    pub r#where: BTreeMap<String, OneOrMany>,
    /// The number needed.
    pub at_least: Number,
}

/// All records are in order.
#[derive(Debug, Clone, Deserialize)]
pub struct Every {
    /// The kind of record.
    pub records: String,
    /// Only those with these values.
    #[serde(default)]
    pub r#where: BTreeMap<String, OneOrMany>,
    /// The fields that must be true.
    pub all_true: Vec<String>,
    /// What it means that there are none.
    pub none_is: Status,
}

/// An award was given before and not revoked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldsAward {
    /// The award, or the parameter that names it.
    pub award: AwardName,
}

/// An award, or the parameter that names it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum AwardName {
    /// A parameter.
    Param(ParamRef),
    /// An award.
    Id(String),
}

impl Rule {
    /// The criteria it names, in order.
    pub fn criteria(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.visit(&mut String::new(), &mut |_, rule| {
            if let Self::Criterion(id) = rule {
                names.push(id.as_str());
            }
        });
        names
    }

    /// Calls `see` with every rule inside, itself first, and where each stands below `path` (a JSON pointer).
    pub fn visit<'a>(&'a self, path: &mut String, see: &mut dyn FnMut(&str, &'a Self)) {
        see(path, self);
        let Self::Operator(operator) = self else {
            return;
        };
        let mut down = |part: &str, rule: &'a Self| {
            let length = path.len();
            path.push_str(part);
            rule.visit(path, see);
            path.truncate(length);
        };
        let (name, members) = match operator.as_ref() {
            Operator::All(members) => ("all", members),
            Operator::Any(members) => ("any", members),
            Operator::AtLeast { of, .. } => ("at_least/of", of),
            Operator::When { r#if, then } => {
                down("/when/if", r#if);
                down("/when/then", then);
                return;
            }
            _ => return,
        };
        for (index, rule) in members.iter().enumerate() {
            down(&format!("/{name}/{index}"), rule);
        }
    }
}
