//! Every value suits the rules that use it.
//!
//! Lives here: what each number, word or day in a rule set is used for, and whether it can serve. Never here: names
//! that point nowhere (`references`).

use super::model::{KeyPart, Model, ParameterValue};
use super::number::Decimal;
use super::schema::pointer;
use super::vocabulary::{AwardName, Number, Operator, Rule};

/// What a value is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose<'a> {
    /// Compared with a figure.
    Number,
    /// A count or a number of years.
    Whole,
    /// A percentage that can be fallen by.
    Percent,
    /// A year whose figures are read.
    Year,
    /// A cut-off.
    Day,
    /// `sum` or `each`.
    Scope,
    /// `per_round` or `whole_campaign`.
    Achievement,
    /// One of the options of a category.
    Option(&'a str),
    /// An award.
    Award,
}

/// Where a value comes from.
pub(super) enum Source<'a> {
    Parameter(&'a str),
    Literal(ParameterValue),
}

pub(super) struct Use<'a> {
    /// Where it is used (a JSON pointer).
    pub path: String,
    pub source: Source<'a>,
    pub purpose: Purpose<'a>,
}

/// Whether a parameter could take a value; `Err` says what is wrong with it.
pub(super) fn suits(model: &Model, parameter: &str, value: &ParameterValue) -> Result<(), String> {
    uses(model)
        .iter()
        .filter(|used| matches!(used.source, Source::Parameter(name) if name == parameter))
        .try_for_each(|used| fits(model, value, used.purpose))
}

/// Whether a value serves a purpose.
pub(super) fn fits(model: &Model, value: &ParameterValue, purpose: Purpose<'_>) -> Result<(), String> {
    let decimal = value.decimal();
    let text = value.to_string();
    let one_of = |words: &[&str]| words.contains(&text.as_str());
    let (holds, must) = match purpose {
        Purpose::Number => (decimal.is_some(), "a number with at most 6 decimals"),
        Purpose::Whole => {
            let whole = decimal.and_then(Decimal::whole);
            (whole.is_some_and(|n| n >= 0), "a whole number from 0")
        }
        Purpose::Percent => {
            let inside = decimal.is_some_and(|p| p.mantissa >= 0 && i128::from(p.mantissa) <= 100 * p.unit());
            (inside, "a percentage from 0 to 100 with at most 6 decimals")
        }
        Purpose::Year => {
            let year = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
            (year, "a year of four digits")
        }
        Purpose::Day => (value.date().is_some(), "a day such as 2025-12-31"),
        Purpose::Scope => (one_of(&["sum", "each"]), "sum or each"),
        Purpose::Achievement => (one_of(&["per_round", "whole_campaign"]), "per_round or whole_campaign"),
        Purpose::Option(category) => {
            let category = model.categories.get(category);
            let known = category.and_then(|c| c.combine.options.get(&text)).is_some();
            (known, "one of the category's options")
        }
        Purpose::Award => (model.awards.get(&text).is_some(), "an award"),
    };
    if holds { Ok(()) } else { Err(format!("{text} is not {must}")) }
}

/// Every rule of the document, where it stands, and whether it may name criteria.
pub(super) fn rules(model: &Model) -> Vec<(String, &Rule, bool)> {
    let mut rules: Vec<(String, &Rule, bool)> = Vec::new();
    for (id, criterion) in model.criteria.iter() {
        rules.push((pointer(&["criteria", id, "rule"]), &criterion.rule, false));
    }
    for (id, category) in model.categories.iter() {
        if let Some(rule) = &category.combine.rule {
            rules.push((pointer(&["categories", id, "combine", "rule"]), rule, true));
        }
        for (option, rule) in category.combine.options.iter() {
            let path = pointer(&["categories", id, "combine", "options", option]);
            rules.push((path, rule, true));
        }
    }
    for (id, award) in model.awards.iter() {
        if let Some(rule) = &award.extra {
            rules.push((pointer(&["awards", id, "extra"]), rule, false));
        }
    }
    if let Some(special) = &model.special_path {
        rules.push((pointer(&["special_path", "rule"]), &special.rule, false));
    }
    rules
}

/// Every value a rule, a category, a round or the allocation uses, and what for.
pub(super) fn uses(model: &Model) -> Vec<Use<'_>> {
    let mut uses = Vec::new();
    for (path, rule, _) in rules(model) {
        rule.visit(&mut path.clone(), &mut |path, rule| {
            if let Rule::Operator(operator) = rule {
                operator_uses(path, operator, &mut uses);
            }
        });
    }
    for (id, category) in model.categories.iter() {
        if let Some(choose) = &category.combine.choose {
            uses.push(Use {
                path: pointer(&["categories", id, "combine", "choose"]),
                source: Source::Parameter(&choose.param),
                purpose: Purpose::Option(id),
            });
        }
    }
    for (id, round) in model.rounds.iter() {
        uses.push(Use {
            path: pointer(&["rounds", id, "as_of"]),
            source: Source::Parameter(&round.as_of.param),
            purpose: Purpose::Day,
        });
    }
    let one_award = model.allocation.one_award_per_achievement.iter();
    for part in one_award.flat_map(|rule| &rule.key) {
        if let KeyPart::Param(reference) = part {
            uses.push(Use {
                path: pointer(&["allocation", "one_award_per_achievement", "key"]),
                source: Source::Parameter(&reference.param),
                purpose: Purpose::Achievement,
            });
        }
    }
    uses
}

fn operator_uses<'a>(path: &str, operator: &'a Operator, uses: &mut Vec<Use<'a>>) {
    let mut add = |part: &str, source, purpose| {
        uses.push(Use { path: format!("{path}/{part}"), source, purpose });
    };
    match operator {
        Operator::AtLeast { n, .. } => add("at_least/n", source(n), Purpose::Whole),
        Operator::Threshold(rule) => add("threshold/value", source(&rule.value), Purpose::Number),
        Operator::Count(rule) => add("count/at_least", source(&rule.at_least), Purpose::Whole),
        Operator::Duration(rule) => {
            let years = source(&rule.at_least_years);
            add("duration/at_least_years", years, Purpose::Whole);
        }
        Operator::Reduction(rule) => {
            let percent = source(&rule.more_than_percent);
            add("reduction/more_than_percent", percent, Purpose::Percent);
            let from = Source::Parameter(&rule.from.param);
            add("reduction/from", from, Purpose::Year);
            if let Some(scope) = &rule.scope {
                let scope = Source::Parameter(&scope.param);
                add("reduction/scope", scope, Purpose::Scope);
            }
        }
        Operator::HoldsAward(rule) => {
            let award = match &rule.award {
                AwardName::Param(reference) => Source::Parameter(&reference.param),
                AwardName::Id(id) => Source::Literal(ParameterValue::Text(id.clone())),
            };
            add("holds_award/award", award, Purpose::Award);
        }
        _ => {}
    }
}

fn source(number: &Number) -> Source<'_> {
    match number {
        Number::Integer(value) => Source::Literal(ParameterValue::Integer(*value)),
        Number::Text(text) => Source::Literal(ParameterValue::Text(text.clone())),
        Number::Param(reference) => Source::Parameter(&reference.param),
    }
}
