//! A register that was closed and reopened around its round's cut-off.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Question, Watch};
use crate::findings::{Event, EventRef, Finding, Known, RecordRef, Said, Severity};

/// So many days before or after the cut-off are around it.
const DAYS: i64 = 30;
/// A finding names so many changed entries at most; it counts them all.
const SHOWN: usize = 100;

/// The question.
pub const QUESTION: Question = Question {
    id: "register_reopened_at_cut_off",
    title: ["Mở lại sổ quanh ngày chốt", "A register reopened around a cut-off"],
    explanation: || {
        Said::new(
            format!(
                "Sổ đã khóa được mở lại trong vòng {DAYS} ngày trước hoặc sau ngày chốt của đợt (theo tệp phong trào khi ấy). \
                 Nghiêm trọng hơn nếu từ lúc mở đến lúc khóa lại có số liệu, thông tin hoặc mục khác của đơn vị thay đổi."
            ),
            format!(
                "A closed register was reopened within {DAYS} days before or after its round's cut-off (by the campaign as it \
                 stood then). More pressing if a figure, an observation or another entry of the unit changed until it was \
                 closed again."
            ),
        )
    },
    watch: || Box::new(Registers::default()),
};

/// Streams that hold what registers and rules count.
const ENTRIES: &[&str] = &["activity", "figure", "initiative", "obligation", "observation"];

#[derive(Default)]
struct Register {
    campaign: Option<Uuid>,
    unit: Option<Uuid>,
    round: String,
    name: String,
    /// The cut-off that the record itself names.
    day: Option<NaiveDate>,
    closed: Option<(EventRef, BTreeSet<Uuid>)>,
    open: Option<Open>,
}

/// A reopening around the cut-off, until the register is closed again.
#[derive(Clone)]
struct Open {
    cut_off: NaiveDate,
    on: NaiveDate,
    accounts: BTreeSet<Uuid>,
    events: Vec<EventRef>,
    changed: usize,
    records: BTreeSet<RecordRef>,
}

#[derive(Default)]
struct Registers {
    registers: BTreeMap<Uuid, Register>,
    /// Registers that stand open after a reopening around a cut-off, by unit.
    open: BTreeMap<Uuid, BTreeSet<Uuid>>,
    found: Vec<Finding>,
}

impl Register {
    fn take(&mut self, event: &Event) {
        self.campaign = event.new_id("campaign_id").or(self.campaign);
        self.unit = event.new_id("unit_id").or(event.unit).or(self.unit);
        self.day = event.date("day").or(self.day);
        if let Some(round) = event.text("round") {
            self.round = round.to_owned();
        }
        if let Some(name) = event.text("name") {
            self.name = name.to_owned();
        }
    }

    /// The round's cut-off by the campaign as it stands, else by the record.
    fn cut_off(&self, known: &Known) -> Option<NaiveDate> {
        let definition = self.campaign.and_then(|campaign| known.campaigns.get(&campaign));
        definition.and_then(|definition| definition.round(&self.round)).map(|round| round.as_of).or(self.day)
    }

    fn finding(&self, id: Uuid, open: Open) -> Finding {
        let Open { cut_off, on, accounts, events, changed, records } = open;
        let (round, name) = (&self.round, &self.name);
        let text = Said::new(
            format!(
                "Sổ {id} ({name}, đợt {round}, chốt {cut_off}) mở lại ngày {on}; {changed} sự kiện về số liệu, thông tin và \
                 các mục của đơn vị trong lúc sổ mở."
            ),
            format!(
                "Register {id} ({name}, round {round}, cut-off {cut_off}) was reopened on {on}; {changed} events of figures, \
                 observations and entries of the unit while it stood open."
            ),
        );
        let severity = if changed == 0 { Severity::Notice } else { Severity::Serious };
        let register = RecordRef { kind: "register".to_owned(), id };
        let records = std::iter::once(register).chain(records);
        Finding::new(QUESTION.id, severity, self.unit, text).about(records).by(accounts).shown_by(events)
    }
}

impl Registers {
    fn register(&mut self, event: &Event, known: &Known) {
        let register = self.registers.entry(event.record).or_default();
        register.take(event);
        match event.text("state") {
            Some("closed") => {
                register.closed = Some((event.named(), event.hands("closed_by")));
                self.reclose(event);
            }
            Some("open") => {
                let around = register.cut_off(known).filter(|day| (event.day() - *day).num_days().abs() <= DAYS);
                if let (Some(cut_off), Some((closed, by))) = (around, register.closed.take()) {
                    register.open = Some(Open {
                        cut_off,
                        on: event.day(),
                        accounts: by.into_iter().chain(event.actor).collect(),
                        events: vec![closed, event.named()],
                        changed: 0,
                        records: BTreeSet::new(),
                    });
                    let unit = register.unit.unwrap_or_default();
                    self.open.entry(unit).or_default().insert(event.record);
                }
            }
            _ => {}
        }
    }

    fn reclose(&mut self, event: &Event) {
        let Some(register) = self.registers.get_mut(&event.record) else { return };
        let Some(mut open) = register.open.take() else { return };
        open.events.push(event.named());
        open.accounts.extend(event.actor);
        self.found.push(register.finding(event.record, open));
        let unit = register.unit.unwrap_or_default();
        if let Some(standing) = self.open.get_mut(&unit) {
            standing.remove(&event.record);
        }
    }

    /// An entry of the unit changed while registers stand open.
    fn entry(&mut self, event: &Event) {
        let Some(standing) = event.unit.and_then(|unit| self.open.get(&unit)) else { return };
        for id in standing {
            let Some(register) = self.registers.get_mut(id) else { continue };
            // Figures belong to no campaign: they serve all.
            let concerns = event.campaign.is_none() || event.campaign == register.campaign;
            let Some(open) = register.open.as_mut().filter(|_| concerns) else { continue };
            open.changed += 1;
            if open.events.len() < SHOWN {
                open.events.push(event.named());
                open.records.insert(event.about());
                open.accounts.extend(event.actor);
            }
        }
    }
}

impl Watch for Registers {
    fn see(&mut self, event: &Event, known: &Known) {
        match event.stream.as_str() {
            "register" => self.register(event, known),
            stream if ENTRIES.contains(&stream) => self.entry(event),
            _ => {}
        }
    }

    fn answer(&self, _: &Known) -> Vec<Finding> {
        let open = |(id, register): (&Uuid, &Register)| Some(register.finding(*id, register.open.clone()?));
        self.found.iter().cloned().chain(self.registers.iter().filter_map(open)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{Log, UNIT, X, Y};
    use super::*;

    fn closed() -> Log {
        let said = json!({ "unit_id": [null, UNIT], "round": [null, "mid"], "name": [null, "regulation"],
            "day": [null, "2023-12-31"], "state": [null, "closed"] });
        Log::default().at("2023-12-20T03:00:00.000000Z", "register.closed", 1, X, said)
    }

    fn state(old: &str, new: &str) -> Value {
        json!({ "state": [old, new] })
    }

    #[test]
    fn a_register_that_opens_around_its_cut_off_is_told() {
        let reopened = |on: &str| closed().at(&format!("{on}T03:00:00.000000Z"), "register.reopened", 1, Y, state("closed", "open"));
        for (on, told) in [("2023-12-21", true), ("2024-01-30", true), ("2024-01-31", false)] {
            let found = reopened(on).asked(&QUESTION, Known::default());
            assert_eq!(found.len(), usize::from(told), "{on}");
            if let Some(finding) = found.first() {
                assert_eq!((finding.severity, finding.accounts.as_slice()), (Severity::Notice, &[X, Y][..]));
            }
        }
        assert_eq!(closed().shown(&QUESTION), Vec::<Vec<i64>>::new());
    }

    #[test]
    fn what_changes_while_it_is_open_makes_it_pressing() {
        let log = closed()
            .at("2023-12-21T03:00:00.000000Z", "observation.reported", 7, Y, json!({}))
            .at("2023-12-22T03:00:00.000000Z", "register.reopened", 1, Y, state("closed", "open"))
            .at("2023-12-22T04:00:00.000000Z", "observation.reported", 8, Y, json!({}))
            .at("2023-12-22T05:00:00.000000Z", "register.reclosed", 1, Y, state("open", "closed"))
            .at("2023-12-23T03:00:00.000000Z", "figure.corrected", 9, Y, json!({}));
        let found = log.asked(&QUESTION, Known::default());
        assert_eq!(log.shown(&QUESTION), [[0, 2, 3, 4]], "what came before and after is no matter");
        assert_eq!((found[0].severity, found[0].records.len()), (Severity::Serious, 2));
        assert!(found[0].text.en.contains("; 1 events"), "{}", found[0].text.en);
    }
}
