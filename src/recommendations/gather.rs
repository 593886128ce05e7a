//! From what is known to what the rules ask: one subject's inputs. Pure.
//!
//! Only confirmed figures, accepted activities, decided initiatives, confirmed observations and
//! valid attestations count, dated from the campaign's first day to the cut-off. What is not there
//! is unknown; only a closed register makes an absence a zero.

use chrono::{Datelike, NaiveDate};
use serde_json::Value;
use uuid::Uuid;

use super::knowledge::{Knowledge, Known};
use super::rules::{
    Answer, Attestation, Attribute, DateFact, DateValue, Entry, Evidence, Facts, Figure, Inputs, Reason, Register,
    Scalar,
};
use crate::figures::total::{Count, count};
use crate::units::{AreaClass, Dated, at};

/// Of which campaign, round and time.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What the log says.
    pub knowledge: &'a Knowledge,
    /// The campaign.
    pub campaign: Uuid,
    /// The round.
    pub round: &'a str,
    /// True on the special path (III.3.4).
    pub special: bool,
    /// The campaign's first day.
    pub first_day: NaiveDate,
    /// The cut-off.
    pub as_of: NaiveDate,
    /// The poverty standard under which counts are compared.
    pub poverty_standard: &'a str,
}

/// Everything that the rules can ask about this unit.
pub fn gather(frame: &Frame<'_>, facts: &Facts, unit: Uuid) -> Inputs {
    // The deeds of everyone it follows are its own.
    let counted = frame.knowledge.lineage.followed(unit).into_iter().collect();
    let subject = Subject { frame, unit, counted };
    let mut inputs = Inputs::default();
    for (name, periods) in &facts.indicators {
        let figures = periods.iter().map(|period| (period.clone(), subject.indicator(name, period)));
        inputs.indicators.insert(name.clone(), figures.collect());
    }
    for name in &facts.attributes {
        inputs.attributes.extend(subject.attribute(name).map(|attribute| (name.clone(), attribute)));
    }
    for name in &facts.dates {
        inputs.dates.extend(subject.date(name).map(|date| (name.clone(), date)));
    }
    for kind in &facts.records {
        inputs.records.insert(kind.clone(), subject.register(kind));
    }
    for statement in &facts.attestations {
        inputs.attestations.extend(subject.attestation(statement).map(|answer| (statement.clone(), answer)));
    }
    for nomination in subject.own("nomination").filter(|nomination| subject.nominates(nomination)) {
        let award = nomination.text("award_form").unwrap_or_default().to_owned();
        inputs.nominations.entry(award).or_default().push(nomination.evidence());
    }
    inputs
}

struct Subject<'a> {
    frame: &'a Frame<'a>,
    unit: Uuid,
    /// The unit and everyone it follows: their deeds are its own.
    counted: Vec<Uuid>,
}

impl<'a> Subject<'a> {
    /// Records of this campaign that concern the unit itself.
    fn own(&self, stream: &'static str) -> impl Iterator<Item = Known<'a>> {
        let campaign = self.frame.campaign;
        self.frame.knowledge.of(stream, self.unit).filter(move |known| known.id("campaign_id") == Some(campaign))
    }

    /// Records of this campaign that concern the unit or whom it follows.
    fn credited(&self, stream: &'static str) -> impl Iterator<Item = Known<'a>> {
        let (campaign, knowledge) = (self.frame.campaign, self.frame.knowledge);
        let records = self.counted.clone().into_iter().flat_map(move |unit| knowledge.of(stream, unit));
        records.filter(move |known| known.id("campaign_id") == Some(campaign))
    }

    fn in_time(&self, day: Option<NaiveDate>) -> bool {
        day.is_some_and(|day| self.frame.first_day <= day && day <= self.frame.as_of)
    }

    fn indicator(&self, name: &str, period: &str) -> Figure {
        match name {
            "poor_households" | "near_poor_households" => self.poverty(name, period),
            "mobilised_vnd" | "contribution_vnd" => self.resources(name),
            _ => self.observed_figure(name, period),
        }
    }

    /// Under the standard that the rule set compares; under another one only if that is all there
    /// is, and then the figure says so.
    fn poverty(&self, name: &str, period: &str) -> Figure {
        let wanted = self.frame.poverty_standard;
        let chosen = self.poverty_under(name, period, wanted);
        if chosen.value != Err(Reason::MissingValue) {
            return chosen;
        }
        let mut others: Vec<&str> =
            self.frame.knowledge.all("figure").filter_map(|f| f.text("poverty_standard")).collect();
        others.sort_unstable();
        others.dedup();
        let others = others.into_iter().filter(|standard| *standard != wanted);
        let known =
            others.map(|standard| self.poverty_under(name, period, standard)).find(|figure| figure.value.is_ok());
        known.unwrap_or(chosen)
    }

    fn poverty_under(&self, name: &str, period: &str, standard: &str) -> Figure {
        let knowledge = self.frame.knowledge;
        let unknown =
            |reason| Figure { value: Err(reason), poverty_standard: Some(standard.to_owned()), evidence: vec![] };
        let Some(day) = period.parse().ok().and_then(|year| NaiveDate::from_ymd_opt(year, 12, 31)) else {
            return unknown(Reason::MissingValue);
        };
        let year = i64::from(day.year());
        let figure = |unit: Uuid| {
            knowledge.of("figure", unit).find(|figure| {
                figure.integer("year") == Some(year)
                    && figure.is("poverty_standard", standard)
                    && figure.is("state", "confirmed")
            })
        };
        let own = |unit: Uuid| figure(unit).and_then(|figure| figure.integer(name));
        let (count, basis) = count(&knowledge.lineage, self.unit, day, &own);
        let evidence = basis.iter().filter_map(|unit| figure(*unit)).map(|figure| figure.evidence()).collect();
        let value = match count {
            Count::Known(households) => Ok(households),
            Count::Missing(_) => Err(Reason::MissingValue),
            Count::Disputed { .. } => Err(Reason::Disputed),
            Count::Unmapped => Err(Reason::UnitLineageUnmapped),
        };
        Figure { value, evidence, ..unknown(Reason::MissingValue) }
    }

    /// Đồng plus in-kind value of accepted activities, once the register says that there are no others.
    fn resources(&self, name: &str) -> Figure {
        let (side, mut activities): (_, Vec<Known<'a>>) = match name {
            "mobilised_vnd" => {
                ("mobiliser_unit", self.counted.iter().flat_map(|unit| self.frame.knowledge.mobilised(*unit)).collect())
            }
            _ => ("giver_unit", self.counted.iter().flat_map(|unit| self.frame.knowledge.given(*unit)).collect()),
        };
        activities.retain(|activity| self.counts(activity));
        activities.sort_by_key(Known::record_id);
        activities.dedup_by_key(|activity| activity.record_id());
        let mine = |resource: &&Value| {
            let unit = resource[side].as_str().and_then(|unit| Uuid::parse_str(unit).ok());
            unit.is_some_and(|unit| self.counted.contains(&unit))
        };
        let worth = |resource: &Value| {
            resource["cash_vnd"].as_i64().unwrap_or(0).checked_add(resource["in_kind_vnd"].as_i64().unwrap_or(0))
        };
        let resources = activities.iter().flat_map(|activity| activity.list("resources")).filter(mine);
        // A sum that no integer holds is no figure; single amounts are bounded where they enter.
        let total = resources.map(worth).try_fold(0_i64, |sum, worth| sum.checked_add(worth?));
        let (closed, mut evidence) = self.closing(name);
        evidence.extend(activities.iter().map(Known::evidence));
        let value = total.filter(|_| closed).ok_or(Reason::MissingRecords);
        Figure { value, poverty_standard: None, evidence }
    }

    /// True for an accepted activity of this campaign inside the period.
    fn counts(&self, activity: &Known<'_>) -> bool {
        activity.id("campaign_id") == Some(self.frame.campaign)
            && activity.is("state", "accepted")
            && self.in_time(activity.date("held_on"))
    }

    fn observed(&self, sort: &str, name: &str) -> impl Iterator<Item = Known<'a>> {
        self.own("observation").filter(move |observation| self.stands(observation, sort, name))
    }

    /// True for a confirmed observation of this name inside the period.
    fn stands(&self, observation: &Known<'_>, sort: &str, name: &str) -> bool {
        observation.is("sort", sort)
            && observation.is("name", name)
            && observation.is("state", "confirmed")
            && self.in_time(observation.date("observed_on"))
    }

    /// The last day up to the cut-off says how it is: an attribute and a date have a history.
    fn latest(&self, sort: &str, name: &str) -> Option<Known<'a>> {
        self.observed(sort, name).max_by_key(|observation| (observation.date("observed_on"), observation.record_id()))
    }

    fn observed_figure(&self, name: &str, period: &str) -> Figure {
        let found = self.observed("indicator", name).find(|observation| observation.is("period", period));
        let value = found.and_then(|observation| observation.integer("value_integer")).ok_or(Reason::MissingValue);
        let evidence = found.iter().map(Known::evidence).collect();
        Figure { value, poverty_standard: None, evidence }
    }

    fn attribute(&self, name: &str) -> Option<Attribute> {
        match name {
            "subject_type" | "area_class" => {
                let unit = self.frame.knowledge.get("unit", self.unit)?;
                let word = if name == "subject_type" {
                    self.frame.knowledge.lineage.kind(self.unit, self.frame.as_of).map(|kind| kind.as_str())
                } else {
                    let classes: Vec<Dated<AreaClass>> = unit.typed("area_classes")?;
                    at(&classes, self.frame.as_of).map(|class| class.as_str())
                };
                let value = Ok(Scalar::Text(word?.to_owned()));
                Some(Attribute { value, evidence: vec![unit.evidence()] })
            }
            _ => {
                let observation = self.latest("attribute", name)?;
                let text = observation.text("value_text").map(|text| Scalar::Text(text.to_owned()));
                let value = text
                    .or(observation.boolean("value_bool").map(Scalar::Bool))
                    .or(observation.integer("value_integer").map(Scalar::Integer))?;
                Some(Attribute { value: Ok(value), evidence: vec![observation.evidence()] })
            }
        }
    }

    fn date(&self, name: &str) -> Option<DateFact> {
        let observation = self.latest("date", name)?;
        let value = match observation.date("value_date") {
            Some(day) => DateValue::On(day),
            None if observation.boolean("known_none") == Some(true) => DateValue::Never,
            None => return None,
        };
        Some(DateFact { value, evidence: vec![observation.evidence()] })
    }

    fn register(&self, kind: &str) -> Register {
        let entries = match kind {
            "initiative" => self.credited("initiative").filter_map(|known| self.initiative(&known)).collect(),
            "obligation" => self.credited("obligation").filter_map(|known| self.obligation(&known)).collect(),
            "support_activity" => self.support(),
            _ => {
                let records = self.credited("observation").filter(|known| self.stands(known, "record", kind));
                records.map(|known| observed_entry(&known)).collect()
            }
        };
        let (closed, evidence) = self.closing(kind);
        Register { closed, open_because: None, entries, evidence }
    }

    /// Whether the owner closed the register for this unit and round.
    fn closing(&self, name: &str) -> (bool, Vec<Evidence>) {
        let mut registers = self.own("register").filter(|register| {
            register.is("name", name) && register.is("round", self.frame.round) && register.is("state", "closed")
        });
        let register = registers.next();
        (register.is_some(), register.iter().map(Known::evidence).collect())
    }

    /// Only a decided initiative is known to be recognised or not.
    fn initiative(&self, initiative: &Known<'_>) -> Option<Entry> {
        let recognised = initiative.is("state", "recognised");
        let decided_on = initiative.date("decided_on");
        let day = decided_on.or(initiative.date("proposed_on"));
        let stands = recognised || initiative.is("state", "not_recognised") || initiative.is("state", "submitted");
        (stands && self.in_time(day)).then(|| {
            let text = |field: &str| initiative.text(field).map_or(Scalar::Null, |text| Scalar::Text(text.to_owned()));
            let fields = [
                ("kind", text("kind")),
                ("beneficiary", text("beneficiary")),
                ("recognised", Scalar::Bool(recognised)),
                ("recognised_by", text("recognised_by")),
                ("decided_on", text("decided_on")),
            ];
            entry(fields, initiative)
        })
    }

    /// Due inside the period; a fulfilment after the cut-off is not known yet at the cut-off.
    fn obligation(&self, obligation: &Known<'_>) -> Option<Entry> {
        let due_on = obligation.date("due_on").filter(|day| self.in_time(Some(*day)))?;
        let fulfilled_on = obligation.date("fulfilled_on").filter(|day| *day <= self.frame.as_of);
        (!obligation.is("state", "cancelled")).then(|| {
            let fields = [
                ("kind", Scalar::Text(obligation.text("kind").unwrap_or_default().to_owned())),
                ("due_on", Scalar::Text(due_on.to_string())),
                ("completed_on", fulfilled_on.map_or(Scalar::Null, |day| Scalar::Text(day.to_string()))),
            ];
            entry(fields, obligation)
        })
    }

    /// What the unit did itself, and what others did with what it gave.
    fn support(&self) -> Vec<Entry> {
        let given = self.counted.iter().flat_map(|unit| self.frame.knowledge.given(*unit));
        let mut activities: Vec<Known<'a>> = self.credited("activity").chain(given).collect();
        activities.retain(|activity| self.counts(activity));
        activities.sort_by_key(Known::record_id);
        activities.dedup_by_key(|activity| activity.record_id());
        let support = |activity: &Known<'a>| {
            let text = |field: &str| activity.text(field).map_or(Scalar::Null, |text| Scalar::Text(text.to_owned()));
            let worth = [activity.integer("cash_vnd"), activity.integer("in_kind_vnd")].into_iter().flatten();
            let fields = [
                ("kind", text("support_kind")),
                ("beneficiary_area", text("beneficiary_area")),
                ("value_vnd", worth.fold(Scalar::Integer(0), plus)),
                ("held_on", text("held_on")),
            ];
            entry(fields, activity)
        };
        activities.iter().map(support).collect()
    }

    fn attestation(&self, statement: &str) -> Option<Attestation> {
        let valid: Vec<Known<'_>> = self
            .own("attestation")
            .filter(|known| {
                known.is("statement", statement)
                    && known.is("round", self.frame.round)
                    && known.is("state", "valid")
                    && self.in_time(known.date("attested_on"))
            })
            .collect();
        let says = |answer: &str| valid.iter().any(|known| known.is("answer", answer));
        let answer = match (says("yes"), says("no")) {
            (true, true) => Answer::Disputed,
            (true, false) => Answer::Yes,
            (false, true) => Answer::No,
            (false, false) => Answer::Unknown,
        };
        (!valid.is_empty()).then(|| Attestation { answer, evidence: valid.iter().map(Known::evidence).collect() })
    }

    fn nominates(&self, nomination: &Known<'_>) -> bool {
        let path = if self.frame.special { "special" } else { "normal" };
        nomination.is("round", self.frame.round) && nomination.is("state", "submitted") && nomination.is("path", path)
    }
}

fn plus(sum: Scalar, worth: i64) -> Scalar {
    match sum {
        Scalar::Integer(sum) => sum.checked_add(worth).map_or(Scalar::Null, Scalar::Integer),
        other => other,
    }
}

fn entry<const N: usize>(fields: [(&str, Scalar); N], known: &Known<'_>) -> Entry {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Entry { fields, evidence: vec![known.evidence()] }
}

fn observed_entry(observation: &Known<'_>) -> Entry {
    let scalar = |value: &Value| match value {
        Value::Bool(value) => Some(Scalar::Bool(*value)),
        Value::Number(number) => number.as_i64().map(Scalar::Integer),
        Value::String(text) => Some(Scalar::Text(text.clone())),
        _ => None,
    };
    let fields = observation.object("fields").filter_map(|(name, value)| Some((name.clone(), scalar(value)?)));
    Entry { fields: fields.collect(), evidence: vec![observation.evidence()] }
}
