//! Whether what is said fits what the rule set declares: name, period, day, and exactly the members that the name's sort
//! has. Pure; every fault is told at once.

use std::borrow::Cow;
use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};

use super::declared::{Declaration, Declared, asked_for, yes_or_no};
use super::{Content, FieldValue, Sort};
use crate::error::{Code, Error, Fault};
use crate::recommendations::rules::{AttributeKind, Indicator, Per, RecordKind, RuleSet, Scalar};

/// Names that other rooms hold: figures, activities, units, obligations, initiatives.
pub const ELSEWHERE: &[&str] = &[
    "poor_households",
    "near_poor_households",
    "mobilised_vnd",
    "contribution_vnd",
    "subject_type",
    "area_class",
    "household_status",
    "initiative",
    "obligation",
    "support_activity",
];

/// The largest number, in đồng or anything else.
pub const LARGEST: i64 = 9_000_000_000_000_000;

/// What a field says whose value no condition asks for.
const OTHER: &str = "other";

/// What is said under which name.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The name.
    pub name: &'a str,
    /// The period, if it has one.
    pub period: Option<&'a str>,
    /// The day on which it was so.
    pub observed_on: NaiveDate,
    /// What is said.
    pub content: &'a Content,
}

impl Claim<'_> {
    /// The name's sort, if everything fits.
    pub fn check(&self, declared: &Declared, today: NaiveDate) -> Result<Sort, Error> {
        if ELSEWHERE.contains(&self.name) {
            return Err(Error::invalid("/name", "được ghi ở nơi khác", "is held elsewhere"));
        }
        let Some(declaration) = declared.name(self.name, self.observed_on) else {
            return Err(Error::invalid("/name", "bộ tiêu chí không có tên này", "the rule set does not declare it"));
        };
        let mut faults = Faults(Vec::new());
        self.day(declared, today, &mut faults);
        self.members(declaration.sort(), &mut faults);
        match declaration {
            Declaration::Indicator(kind) => self.indicator(declared, kind, &mut faults),
            Declaration::Attribute(kind) => self.attribute(kind, &mut faults),
            Declaration::Date(_) => self.date(&mut faults),
            Declaration::Record(kind) => self.record(declared, kind, &mut faults),
        }
        if self.period.is_some() && declaration.sort() != Sort::Indicator {
            faults.add("/period", "chỉ dùng cho chỉ số", "belongs to indicators only");
        }
        faults.none().map(|()| declaration.sort())
    }

    fn day(&self, declared: &Declared, today: NaiveDate, faults: &mut Faults) {
        let definition = &declared.definition;
        if self.observed_on > today {
            faults.add("/observed_on", "trong tương lai", "is in the future");
        } else if self.observed_on < definition.starts_on || self.observed_on > definition.ends_on {
            faults.add("/observed_on", "ngoài thời gian của phong trào", "lies outside the campaign");
        }
    }

    /// Members that a name of this sort does not have.
    fn members(&self, sort: Sort, faults: &mut Faults) {
        let content = self.content;
        let attribute = sort == Sort::Attribute;
        for (given, belongs, member) in [
            (content.value_integer.is_some(), attribute || sort == Sort::Indicator, "value_integer"),
            (content.value_text.is_some(), attribute, "value_text"),
            (content.value_bool.is_some(), attribute, "value_bool"),
            (content.value_date.is_some(), sort == Sort::Date, "value_date"),
            (content.known_none, sort == Sort::Date, "known_none"),
            (content.fields.is_some(), sort == Sort::Record, "fields"),
        ] {
            if given && !belongs {
                let (vi, en) = ("không dùng cho loại này", "does not belong to this sort of name");
                faults.add(&format!("/content/{member}"), vi, en);
            }
        }
    }

    fn indicator(&self, declared: &Declared, kind: &Indicator, faults: &mut Faults) {
        let least = kind.min.unwrap_or(-LARGEST);
        match self.content.value_integer {
            _ if kind.r#type != "integer" => {
                faults.add("/name", "chưa nhận chỉ số thập phân", "decimal indicators are not held yet");
            }
            None => faults.add("/content/value_integer", "còn thiếu", "is needed"),
            Some(value) if value < least || value > LARGEST => {
                faults.add("/content/value_integer", "ngoài khoảng cho phép", "is out of range");
            }
            Some(_) => {}
        }
        let Some(year) = self.period.and_then(|period| period.parse::<i32>().ok()) else {
            return faults.add("/period", "chỉ số cần kỳ", "an indicator needs its period");
        };
        match kind.per {
            Per::Year if self.observed_on.year() != year => {
                faults.add("/observed_on", "không thuộc năm ấy", "does not lie in that year");
            }
            Per::Year => {}
            Per::Period => match declared.cut_off_in(year) {
                None => faults.add("/period", "không đợt nào chốt trong năm này", "no round's cut-off is in this year"),
                Some(cut_off) if self.observed_on > cut_off => {
                    faults.add("/observed_on", "sau ngày chốt của đợt", "is after the round's cut-off");
                }
                Some(_) => {}
            },
        }
    }

    fn attribute(&self, kind: &AttributeKind, faults: &mut Faults) {
        let Content { value_integer, value_text, value_bool, .. } = self.content;
        let said: Vec<(Scalar, &str)> = [
            value_integer.map(|value| (Scalar::Integer(value), "/content/value_integer")),
            value_text.clone().map(|value| (Scalar::Text(value), "/content/value_text")),
            value_bool.map(|value| (Scalar::Bool(value), "/content/value_bool")),
        ]
        .into_iter()
        .flatten()
        .collect();
        match said.as_slice() {
            [(value, _)] if kind.values.contains(value) => {}
            [(_, pointer)] => faults.add(pointer, "không có trong danh mục", "is not one of the declared values"),
            _ => faults.add("/content", "cần đúng một giá trị", "needs exactly one value"),
        }
    }

    fn date(&self, faults: &mut Faults) {
        match (self.content.value_date, self.content.known_none) {
            (Some(day), false) if day > self.observed_on => {
                faults.add("/content/value_date", "sau ngày quan sát", "is after the day of observation");
            }
            (Some(_), false) | (None, true) => {}
            _ => faults.add("/content", "cần ngày, hoặc known_none", "needs either a day or known_none"),
        }
    }

    fn record(&self, declared: &Declared, kind: &RecordKind, faults: &mut Faults) {
        let Some(fields) = &self.content.fields else {
            return faults.add("/content/fields", "còn thiếu", "is needed");
        };
        let document = declared.rule_set_at(self.observed_on).map(RuleSet::document);
        let yes_or_no = document.map(|document| yes_or_no(document, self.name)).unwrap_or_default();
        let asked_for = document.map(|document| asked_for(document, self.name)).unwrap_or_default();
        for (name, value) in fields {
            let pointer = format!("/content/fields/{}", name.replace('~', "~0").replace('/', "~1"));
            if !kind.fields.contains(name) {
                faults.add(&pointer, "bộ tiêu chí không có trường này", "is not a declared field");
            } else if kind.derived.contains_key(name) {
                faults.add(&pointer, "được tính ra, không nhập", "is worked out, never given");
            } else if yes_or_no.contains(name) && !matches!(value, FieldValue::Bool(_)) {
                faults.add(&pointer, "cần đúng hoặc sai", "needs true or false");
            } else if is_of_days(kind, name) {
                if !is_day(value) {
                    faults.add(&pointer, "cần một ngày", "needs a civil date");
                }
            } else if !yes_or_no.contains(name) {
                one_of(asked_for.get(name), value, &pointer, faults);
            }
        }
    }
}

/// Entries stand in the log as they are: a field says what some condition asks for, or `other`. Free text has no room
/// there, and no number that somebody could be reached or known by.
fn one_of(asked_for: Option<&BTreeSet<Scalar>>, value: &FieldValue, pointer: &str, faults: &mut Faults) {
    let said = match value {
        FieldValue::Bool(value) => Scalar::Bool(*value),
        FieldValue::Integer(value) => Scalar::Integer(*value),
        FieldValue::Text(text) => Scalar::Text(text.clone()),
    };
    let other = Scalar::Text(OTHER.to_owned());
    let asked = |value: &Scalar| asked_for.is_some_and(|values| values.contains(value));
    // What a condition asks to be true may be said to be false.
    let opposite = matches!(said, Scalar::Bool(value) if asked(&Scalar::Bool(!value)));
    if said == other || asked(&said) || opposite {
        return;
    }
    let known = asked_for.into_iter().flatten().chain([&other]).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    faults.add(pointer, format!("cần một trong: {known}"), format!("needs one of: {known}"));
}

/// True for a field that the rules read as a civil date.
fn is_of_days(kind: &RecordKind, field: &str) -> bool {
    field.ends_with("_on") || kind.derived.values().any(|rule| rule.split(" <= ").any(|part| part == field))
}

/// A civil date as the rules read it: `2025-12-31`.
fn is_day(value: &FieldValue) -> bool {
    matches!(value, FieldValue::Text(text) if crate::text::is_civil_date(text))
}

/// What is wrong so far.
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, pointer: &str, vi: impl Into<Cow<'static, str>>, en: impl Into<Cow<'static, str>>) {
        self.0.push(Fault::new(pointer, vi, en));
    }

    fn none(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::new(Code::InvalidValue).with(self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::declared::tests::{day, shipped};
    use super::*;

    fn faults(name: &str, period: Option<&str>, observed_on: &str, content: Value) -> Vec<String> {
        let content: Content = serde_json::from_value(content).unwrap();
        let claim = Claim { name, period, observed_on: day(observed_on), content: &content };
        let found = claim.check(&shipped(), day("2025-06-30")).err().map(|error| error.faults).unwrap_or_default();
        found.into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn what_is_said_fits_what_is_declared() {
        let integer = |value: i64| json!({ "value_integer": value });
        for (name, period, on, content, expected) in [
            ("models_replicated", Some("2023"), "2023-12-31", integer(0), ""),
            ("models_replicated", Some("2023"), "2022-05-01", integer(3), ""),
            ("models_replicated", Some("2023"), "2024-01-01", integer(3), "/observed_on"),
            ("models_replicated", Some("2024"), "2023-12-31", integer(3), "/period"),
            ("models_replicated", None, "2023-12-31", integer(3), "/period"),
            ("models_replicated", Some("2023"), "2023-12-31", integer(-1), "/content/value_integer"),
            ("models_replicated", Some("2023"), "2023-12-31", integer(LARGEST + 1), "/content/value_integer"),
            (
                "models_replicated",
                Some("2023"),
                "2023-12-31",
                json!({ "value_text": "ba" }),
                "/content/value_text /content/value_integer",
            ),
            ("models_replicated", Some("2023"), "2025-07-01", integer(1), "/observed_on /observed_on"),
            ("models_replicated", Some("2023"), "2020-12-31", integer(1), "/observed_on"),
            ("is_credit_institution", None, "2023-12-31", json!({ "value_bool": true }), ""),
            ("is_credit_institution", None, "2023-12-31", json!({ "value_text": "true" }), "/content/value_text"),
            ("is_credit_institution", None, "2023-12-31", json!({}), "/content"),
            (
                "is_credit_institution",
                None,
                "2023-12-31",
                json!({ "value_bool": true, "value_integer": 1 }),
                "/content",
            ),
            ("is_credit_institution", Some("2023"), "2023-12-31", json!({ "value_bool": true }), "/period"),
            ("poverty_exit_on", None, "2023-12-31", json!({ "value_date": "2019-12-31" }), ""),
            ("poverty_exit_on", None, "2023-12-31", json!({ "known_none": true }), ""),
            (
                "poverty_exit_on",
                None,
                "2023-12-31",
                json!({ "known_none": true, "value_date": "2019-12-31" }),
                "/content",
            ),
            ("poverty_exit_on", None, "2023-12-31", json!({}), "/content"),
            ("poverty_exit_on", None, "2023-12-31", json!({ "value_date": "2024-01-01" }), "/content/value_date"),
            (
                "regulation",
                None,
                "2023-12-31",
                json!({ "fields": { "kind": "revolving_capital", "issued_on": "2022-01-05" } }),
                "",
            ),
            ("regulation", None, "2023-12-31", json!({ "fields": {} }), ""),
            ("regulation", None, "2023-12-31", json!({}), "/content/fields"),
            (
                "regulation",
                None,
                "2023-12-31",
                json!({ "fields": { "issued_on": "2022-02-30" } }),
                "/content/fields/issued_on",
            ),
            (
                "regulation",
                None,
                "2023-12-31",
                json!({ "fields": { "kind": "quy chế của ông Lò" } }),
                "/content/fields/kind",
            ),
            ("regulation", None, "2023-12-31", json!({ "fields": { "kind": "other" } }), ""),
            ("regulation", None, "2023-12-31", json!({ "fields": { "kind": 912345678 } }), "/content/fields/kind"),
            ("regulation", None, "2023-12-31", json!({ "fields": { "kind": true } }), "/content/fields/kind"),
            (
                "regulation",
                None,
                "2023-12-31",
                json!({ "fields": { "issued_on": 912345678 } }),
                "/content/fields/issued_on",
            ),
            ("linkage", None, "2023-12-31", json!({ "fields": { "kind": "0912345678" } }), "/content/fields/kind"),
            ("linkage", None, "2023-12-31", json!({ "fields": { "kind": "other", "signed_on": "2022-03-01" } }), ""),
            ("loan", None, "2023-12-31", json!({ "fields": { "purpose_ok": 1 } }), "/content/fields/purpose_ok"),
            ("regulation", None, "2023-12-31", json!({ "fields": { "colour": "red" } }), "/content/fields/colour"),
            ("regulation", None, "2023-12-31", json!({ "fields": {}, "known_none": true }), "/content/known_none"),
            ("loan", None, "2023-12-31", json!({ "fields": { "purpose_ok": true } }), ""),
            ("loan", None, "2023-12-31", json!({ "fields": { "purpose_ok": "yes" } }), "/content/fields/purpose_ok"),
            ("obligation", None, "2023-12-31", json!({ "fields": {} }), "/name"),
            ("poor_households", Some("2023"), "2023-12-31", integer(1), "/name"),
            ("castle", None, "2023-12-31", json!({}), "/name"),
        ] {
            assert_eq!(
                faults(name, period, on, content.clone()).join(" "),
                expected,
                "{name} {period:?} {on} {content}"
            );
        }
    }
}
