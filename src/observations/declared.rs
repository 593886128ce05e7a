//! What a campaign's rule sets declare: under each name an indicator, attribute, date or kind of record, and the body
//! that owns it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use serde::Deserialize as _;
use serde_json::Value;
use uuid::Uuid;

use super::Sort;
use super::owner::{Held, Owner};
use crate::campaigns::{Definition, Round};
use crate::recommendations::rules::{AttributeKind, DateKind, Indicator, Model, RecordKind, RuleSet, Scalar};

/// What a rule set says of one name.
#[derive(Clone, Copy, Debug)]
pub enum Declaration<'a> {
    /// A number with a period.
    Indicator(&'a Indicator),
    /// A property.
    Attribute(&'a AttributeKind),
    /// A day.
    Date(&'a DateKind),
    /// A kind of register entry.
    Record(&'a RecordKind),
}

impl<'a> Declaration<'a> {
    /// The declaration of `name`.
    pub fn find(model: &'a Model, name: &str) -> Option<Self> {
        let indicator = model.indicators.get(name).map(Self::Indicator);
        indicator
            .or_else(|| model.attributes.get(name).map(Self::Attribute))
            .or_else(|| model.dates.get(name).map(Self::Date))
            .or_else(|| model.records.get(name).map(Self::Record))
    }

    /// Its sort.
    pub const fn sort(self) -> Sort {
        match self {
            Self::Indicator(_) => Sort::Indicator,
            Self::Attribute(_) => Sort::Attribute,
            Self::Date(_) => Sort::Date,
            Self::Record(_) => Sort::Record,
        }
    }

    /// The body that owns it; some attributes have none.
    pub fn owner(self) -> Option<&'a str> {
        match self {
            Self::Indicator(kind) => Some(&kind.owner),
            Self::Attribute(kind) => kind.owner.as_deref(),
            Self::Date(kind) => kind.owner.as_deref(),
            Self::Record(kind) => Some(&kind.owner),
        }
    }
}

/// A campaign and its rule sets, by round in order of time.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The campaign.
    pub definition: Arc<Definition>,
    /// The rule set of each round.
    pub rule_sets: Vec<Arc<RuleSet>>,
}

impl Declared {
    /// The rounds with their rule sets.
    pub fn rounds(&self) -> impl Iterator<Item = (&Round, &RuleSet)> {
        self.definition.rounds.iter().zip(self.rule_sets.iter().map(Arc::as_ref))
    }

    /// The rule set that reads what is dated `day` first; for what is too late for any, the last one.
    pub fn rule_set_at(&self, day: NaiveDate) -> Option<&RuleSet> {
        let reads = self.rounds().find(|(round, _)| day <= round.as_of);
        reads.or_else(|| self.rounds().last()).map(|(_, rule_set)| rule_set)
    }

    /// The rule set of a round.
    pub fn rule_set_of(&self, id: &str) -> Option<&RuleSet> {
        self.rounds().find(|(round, _)| round.id == id).map(|(_, rule_set)| rule_set)
    }

    /// The declaration of `name` for what is dated `day`.
    pub fn name(&self, name: &str, day: NaiveDate) -> Option<Declaration<'_>> {
        Declaration::find(self.rule_set_at(day)?.model(), name)
    }

    /// Who answers for `name` on `day`; nobody if the rule set no longer declares it.
    pub fn owner(&self, name: &str, day: NaiveDate) -> Owner {
        match self.name(name, day) {
            Some(declaration) => Owner::of(&self.definition, declaration.owner(), day),
            None => Owner::nobody(),
        }
    }

    /// The last cut-off in a year.
    pub fn cut_off_in(&self, year: i32) -> Option<NaiveDate> {
        self.rounds().map(|(round, _)| round.as_of).filter(|day| day.year() == year).max()
    }

    /// Names that are owned by bodies which one of `units` holds, and from when to when.
    pub fn held(&self, units: &[Uuid]) -> Vec<Held> {
        let mut held = Vec::new();
        for body in self.definition.attesting_bodies.iter().filter(|body| body.role.is_none()) {
            let names = self.owned_by(&body.body);
            let holders = body.holders.iter().filter(|holder| units.contains(&holder.unit) && !names.is_empty());
            held.extend(holders.map(|holder| Held {
                campaign: self.definition.id,
                names: names.clone(),
                from: holder.from,
                to: holder.to,
            }));
        }
        held
    }

    fn owned_by(&self, body: &str) -> Vec<String> {
        let names = self.rule_sets.iter().flat_map(|rule_set| {
            let model = rule_set.model();
            let indicators = model.indicators.iter().map(|(name, kind)| (name, Some(&kind.owner)));
            let attributes = model.attributes.iter().map(|(name, kind)| (name, kind.owner.as_ref()));
            let dates = model.dates.iter().map(|(name, kind)| (name, kind.owner.as_ref()));
            let records = model.records.iter().map(|(name, kind)| (name, Some(&kind.owner)));
            indicators.chain(attributes).chain(dates).chain(records)
        });
        let names = names.filter(|(_, owner)| owner.is_some_and(|owner| owner == body));
        let names: BTreeSet<String> = names.map(|(name, _)| name.to_owned()).collect();
        names.into_iter().collect()
    }
}

/// The fields of `record` that some condition wants to be true: anything but yes or no there would count as no.
pub fn yes_or_no(document: &Value, record: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match document {
        Value::Object(members) => {
            let every = members.get("every").filter(|every| every["records"] == record);
            let wanted = every.and_then(|every| every["all_true"].as_array());
            found.extend(wanted.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| found.extend(yes_or_no(member, record)));
        }
        Value::Array(items) => items.iter().for_each(|item| found.extend(yes_or_no(item, record))),
        _ => {}
    }
    found
}

/// The values of each field of `record` that some condition asks for, and nothing else that a field may say.
pub fn asked_for(document: &Value, record: &str) -> BTreeMap<String, BTreeSet<Scalar>> {
    let mut found = BTreeMap::new();
    gather_values(&document["records"][record]["counts_only_if"], &mut found);
    gather_asked(document, record, &mut found);
    found
}

fn gather_asked(document: &Value, record: &str, found: &mut BTreeMap<String, BTreeSet<Scalar>>) {
    match document {
        Value::Object(members) => {
            let conditions = ["count", "every"].into_iter().filter_map(|operator| members.get(operator));
            for condition in conditions.filter(|condition| condition["records"] == record) {
                gather_values(&condition["where"], found);
            }
            members.values().for_each(|member| gather_asked(member, record, found));
        }
        Value::Array(items) => items.iter().for_each(|item| gather_asked(item, record, found)),
        _ => {}
    }
}

/// From `{ kind: guidance }` or `{ kind: [guidance, production] }`.
fn gather_values(wanted: &Value, found: &mut BTreeMap<String, BTreeSet<Scalar>>) {
    for (field, values) in wanted.as_object().into_iter().flatten() {
        let values = values.as_array().map_or(std::slice::from_ref(values), Vec::as_slice);
        let values = values.iter().filter_map(|value| Scalar::deserialize(value).ok());
        found.entry(field.clone()).or_default().extend(values);
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::campaigns::Folder;

    /// The shipped campaign.
    pub fn shipped() -> Declared {
        let files: BTreeMap<String, String> = [
            ("campaign.yaml", include_str!("../../campaigns/quynh-nhai-2021-2025/campaign.yaml")),
            ("units.yaml", include_str!("../../campaigns/quynh-nhai-2021-2025/units.yaml")),
            ("rules.yaml", include_str!("../../campaigns/quynh-nhai-2021-2025/rules.yaml")),
        ]
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect();
        let folder = Folder::read(&files).unwrap();
        let rules = Arc::new(folder.rules["rules.yaml"].clone());
        Declared { definition: Arc::new(folder.definition), rule_sets: vec![rules.clone(), rules] }
    }

    pub fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn every_name_has_its_sort_and_owner() {
        let declared = shipped();
        for (name, sort, owner) in [
            ("models_replicated", Sort::Indicator, Some("phong_ldtbxh")),
            ("is_credit_institution", Sort::Attribute, None),
            ("poverty_exit_on", Sort::Date, Some("ubnd_xa")),
            ("loan", Sort::Record, Some("nhcsxh")),
        ] {
            let declaration = declared.name(name, day("2023-12-31")).unwrap();
            assert_eq!((declaration.sort(), declaration.owner()), (sort, owner), "{name}");
        }
        assert!(declared.name("castle", day("2023-12-31")).is_none());
        assert_eq!(declared.cut_off_in(2023), Some(day("2023-12-31")));
        assert_eq!(declared.cut_off_in(2024), None);
    }

    #[test]
    fn what_a_rule_wants_true_is_yes_or_no() {
        let declared = shipped();
        let document = declared.rule_sets[0].document();
        let fields: Vec<String> = yes_or_no(document, "loan").into_iter().collect();
        assert_eq!(fields, ["interest_on_time", "principal_on_time", "purpose_ok"]);
        assert!(yes_or_no(document, "linkage").is_empty());
    }

    #[test]
    fn a_field_may_say_what_some_condition_asks_for() {
        let declared = shipped();
        let document = declared.rule_sets[0].document();
        let asked = |record: &str| -> Vec<(String, Vec<String>)> {
            let words = |values: BTreeSet<Scalar>| values.iter().map(ToString::to_string).collect();
            asked_for(document, record).into_iter().map(|(field, values)| (field, words(values))).collect()
        };
        let expected =
            |field: &str, words: &[&str]| (field.to_owned(), words.iter().map(|w| (*w).to_owned()).collect());
        assert_eq!(asked("regulation"), [expected("kind", &["revolving_capital"])]);
        let kinds = ["guidance", "mechanism_policy", "obstacle_removal"];
        let initiative = [("beneficiary", &["poor_student"][..]), ("kind", &kinds), ("recognised", &["true"])];
        assert_eq!(asked("initiative"), initiative.map(|(field, words)| expected(field, words)));
        assert_eq!(asked("linkage"), []);
    }
}
