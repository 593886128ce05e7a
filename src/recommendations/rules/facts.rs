//! What a round reads, so that the caller gathers those facts and no others.
//!
//! Never here: the facts themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Model, Per};
use super::run::Run;
use super::vocabulary::{AwardName, Operator, Rule};

/// Every fact a run can ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Indicators and the periods read of each.
    pub indicators: BTreeMap<String, BTreeSet<String>>,
    /// Kinds of records.
    pub records: BTreeSet<String>,
    /// Attestations.
    pub attestations: BTreeSet<String>,
    /// Attributes.
    pub attributes: BTreeSet<String>,
    /// Dates.
    pub dates: BTreeSet<String>,
    /// Awards whose holders matter.
    pub awards: BTreeSet<String>,
}

impl Model {
    /// The questions that may be asked about a subject of this type in a round: by its category's criteria, by the
    /// round's awards, and by the special path, which is open to everybody at any time.
    pub fn statements(&self, round: &str, subject_type: &str) -> BTreeSet<&str> {
        let category = self.categories.iter().map(|(_, category)| category);
        let mut category = category.filter(|category| category.subjects.iter().any(|kind| kind == subject_type));
        let combine = category.next().map(|category| &category.combine);
        let options = combine.into_iter().flat_map(|combine| combine.options.iter().map(|(_, rule)| rule));
        let criteria = options.chain(combine.and_then(|combine| combine.rule.as_ref()));
        let awards = self.rounds.get(round).into_iter().flat_map(|round| &round.awards);
        let extras = awards.filter_map(|id| self.awards.get(id)?.extra.as_ref());
        let special = self.special_path.iter().map(|path| &path.rule);
        let mut found = BTreeSet::new();
        criteria.chain(extras).chain(special).for_each(|rule| self.asked(rule, &mut found));
        found
    }

    fn asked<'a>(&'a self, rule: &'a Rule, found: &mut BTreeSet<&'a str>) {
        rule.visit(&mut String::new(), &mut |_, rule| match rule {
            Rule::Criterion(id) => {
                self.criteria.get(id).into_iter().for_each(|criterion| self.asked(&criterion.rule, found));
            }
            Rule::Operator(operator) => {
                if let Operator::Attested(id) = operator.as_ref() {
                    found.insert(id.as_str());
                }
            }
        });
    }
}

impl Run<'_> {
    /// Every fact this run can ask for, over all categories, awards and, where asked for, the special path.
    pub fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        let special = self.model.special_path.as_ref().filter(|_| self.special);
        match special {
            Some(path) => self.read(&path.rule, &mut facts),
            None => {
                for (_, category) in self.model.categories.iter() {
                    let options = category.combine.options.iter().map(|(_, rule)| rule);
                    for rule in options.chain(&category.combine.rule) {
                        self.read(rule, &mut facts);
                    }
                }
            }
        }
        for id in &self.round.awards {
            let award = self.model.awards.get(id);
            let extra = award.and_then(|award| award.extra.as_ref());
            extra.into_iter().for_each(|rule| self.read(rule, &mut facts));
            // Awards already given withhold others for the same achievement.
            facts.awards.insert(id.clone());
        }
        facts
    }

    fn read(&self, rule: &Rule, facts: &mut Facts) {
        rule.visit(&mut String::new(), &mut |_, rule| match rule {
            Rule::Criterion(id) => {
                let criterion = self.model.criteria.get(id);
                criterion.into_iter().for_each(|criterion| self.read(&criterion.rule, facts));
            }
            Rule::Operator(operator) => self.read_operator(operator, facts),
        });
    }

    fn read_operator(&self, operator: &Operator, facts: &mut Facts) {
        match operator {
            Operator::Threshold(rule) => {
                let periods = facts.indicators.entry(rule.indicator.clone()).or_default();
                periods.insert(self.period.clone());
            }
            Operator::Reduction(rule) => {
                let from = self.params.get(rule.from.param.as_str());
                let from = from.and_then(|chosen| chosen.value.as_ref());
                for indicator in &rule.indicators {
                    let periods = facts.indicators.entry(indicator.clone()).or_default();
                    periods.extend(from.map(ToString::to_string));
                    periods.insert(self.period.clone());
                }
            }
            Operator::Duration(rule) => {
                facts.dates.insert(rule.since.clone());
            }
            Operator::Count(rule) => {
                facts.records.insert(rule.records.clone());
            }
            Operator::Every(rule) => {
                facts.records.insert(rule.records.clone());
            }
            Operator::Attested(id) => {
                facts.attestations.insert(id.clone());
            }
            Operator::AttributeIn { attribute, .. } => {
                facts.attributes.insert(attribute.clone());
            }
            Operator::HoldsAward(rule) => {
                let award = match &rule.award {
                    AwardName::Id(id) => Some(id.clone()),
                    AwardName::Param(reference) => {
                        let chosen = self.params.get(reference.param.as_str());
                        chosen.and_then(|chosen| chosen.value.as_ref().map(ToString::to_string))
                    }
                };
                facts.awards.extend(award);
            }
            Operator::All(_)
            | Operator::Any(_)
            | Operator::AtLeast { .. }
            | Operator::When { .. }
            | Operator::Expr(_) => {}
        }
    }

    /// What the periods of an indicator are.
    pub fn per(&self, indicator: &str) -> Option<Per> {
        self.model.indicators.get(indicator).map(|kind| kind.per)
    }
}
