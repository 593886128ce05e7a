//! By how much a correction moved outcomes: the recommendations of the unit and its commune right before it and at it,
//! in every round whose time has the figure's year.
//!
//! Simulated, since an official run decides nothing while parameters wait for adoption. One pass over the log a campaign,
//! in which the corrections come in their order, and two computations each; so that an answer ends, at most
//! [`MOST_EVALUATED`] corrections are evaluated in it, the first ones. The computing is done by a thread that does not
//! also answer requests.

use std::collections::{BTreeMap, BTreeSet};

use crate::db::Conn;
use actix_web::web;
use chrono::NaiveDate;
use serde_json::Value;
use uuid::Uuid;

use super::{Correction, Finding, OutcomeChange, OutcomeMove, OutcomePart, Said, Severity};
use crate::campaigns;
use crate::campaigns::store::campaign;
use crate::db::Record as _;
use crate::error::Error;
use crate::figures::day_of;
use crate::recommendations::compute::{self, Asked, Question};
use crate::recommendations::knowledge::Knowledge;
use crate::recommendations::rules::Mode;
use crate::recommendations::store::{Said as Rules, feed, said_at};
use crate::units::lineage::Lineage;

/// Corrections that one answer evaluates.
pub const MOST_EVALUATED: usize = 200;
/// Changed outcomes that a sentence tells; the finding has them all.
const TOLD: usize = 6;

/// Computes what the corrections among these findings moved, and says so in their sentences.
pub async fn evaluate(conn: &impl Conn, campaigns: &[Uuid], findings: &mut [Finding]) -> Result<(), Error> {
    let asked = findings.iter().filter_map(|finding| finding.correction).take(MOST_EVALUATED);
    let asked: BTreeMap<i64, Correction> = asked.map(|correction| (correction.position, correction)).collect();
    let mut moved: BTreeMap<i64, Option<Vec<OutcomeChange>>> =
        asked.keys().map(|position| (*position, Some(Vec::new()))).collect();
    for campaign in campaigns {
        let mut pass = Pass { campaign: *campaign, knowledge: Knowledge::default(), read: -1 };
        for correction in asked.values() {
            let Some(known) = moved.get_mut(&correction.position) else { continue };
            match pass.moved(conn, correction).await? {
                Some(changes) => known.iter_mut().for_each(|known| known.extend(changes.iter().cloned())),
                // Half an answer would say that the other half did not move.
                None => *known = None,
            }
        }
    }
    for finding in findings.iter_mut().filter(|finding| finding.outcome.is_some()) {
        let changes = finding.correction.and_then(|correction| moved.remove(&correction.position).flatten());
        tell(finding, changes);
    }
    Ok(())
}

/// Completes the sentence of a finding whose outcomes nobody computed.
pub fn leave(finding: &mut Finding) {
    if finding.outcome.is_some() {
        tell(finding, None);
    }
}

fn tell(finding: &mut Finding, changes: Option<Vec<OutcomeChange>>) {
    let Said { vi, en } = match &changes {
        None => Said::new("Chưa tính ảnh hưởng đến kết quả (not evaluated).", "Outcomes: not evaluated."),
        Some(changes) if changes.is_empty() => Said::new("Không kết quả nào thay đổi.", "No outcome changed."),
        Some(changes) => {
            let told = |change: &OutcomeChange| {
                let OutcomeChange { round, unit, part, name, before, after, .. } = change;
                format!("{round} {unit} {part} {name} {before} → {after}")
            };
            let mut told: Vec<String> = changes.iter().take(TOLD).map(told).collect();
            if changes.len() > TOLD {
                told.push("…".to_owned());
            }
            let (count, told) = (changes.len(), told.join("; "));
            Said::new(format!("{count} kết quả thay đổi: {told}."), format!("{count} outcomes changed: {told}."))
        }
    };
    finding.text = Said::new(format!("{} {vi}", finding.text.vi), format!("{} {en}", finding.text.en));
    if changes.as_ref().is_some_and(|changes| !changes.is_empty()) {
        finding.severity = Severity::Serious;
    }
    finding.outcome = Some(OutcomeMove { evaluated: changes.is_some(), changes: changes.unwrap_or_default() });
}

/// One campaign, read as far as the correction at hand.
struct Pass {
    campaign: Uuid,
    knowledge: Knowledge,
    read: i64,
}

/// A round with its rules.
struct Asking {
    question: Question,
    rules: Rules,
}

/// What the rules say of a part of an outcome, by round, unit, part and name.
type Outcomes = BTreeMap<(String, Uuid, OutcomePart, String), String>;

impl Pass {
    /// What a correction changed; nothing if that cannot be computed.
    async fn moved(&mut self, conn: &impl Conn, correction: &Correction) -> Result<Option<Vec<OutcomeChange>>, Error> {
        self.read_to(conn, correction.position - 1).await?;
        let asking = self.asking(conn, correction).await?;
        if asking.is_empty() {
            // The campaign was not there yet, or none of its rounds reads this year.
            return Ok(Some(Vec::new()));
        }
        let (asking, before) = self.outcomes(asking).await?;
        self.read_to(conn, correction.position).await?;
        let (_, after) = self.outcomes(asking).await?;
        let (Some(before), Some(after)) = (before, after) else { return Ok(None) };
        Ok(Some(changes(self.campaign, &before, &after)))
    }

    async fn read_to(&mut self, conn: &impl Conn, position: i64) -> Result<(), Error> {
        feed(conn, &mut self.knowledge, self.campaign, self.read, position).await?;
        self.knowledge.index();
        self.read = position;
        Ok(())
    }

    /// The rounds whose time has the figure's year, each with the units that the figure may count for.
    async fn asking(&self, conn: &impl Conn, correction: &Correction) -> Result<Vec<Asking>, Error> {
        let Some(known) = self.knowledge.get("campaign", self.campaign) else { return Ok(Vec::new()) };
        let folded = known.folded();
        let row = campaign::Model::from_state(folded.state.clone(), folded.row.clone()).map_err(Error::internal)?;
        let definition = campaigns::store::definition_of(conn, &row).await?;
        let served = row.rule_set_refs()?;
        let day = day_of(correction.year)?;
        let mut asking = Vec::new();
        for round in definition.rounds.iter().filter(|round| definition.counts(&round.id, day)) {
            if !served.iter().any(|rules| rules.rounds.contains(&round.id)) {
                continue;
            }
            let rules = said_at(conn, &self.knowledge, self.campaign, &round.id).await?;
            let units = affected(&self.knowledge.lineage, correction.unit, day, round.as_of);
            let judged = |unit: &Uuid| {
                let kind = self.knowledge.lineage.kind(*unit, round.as_of);
                kind.is_some_and(|kind| rules.rules.model().judges(kind.as_str()))
            };
            let units: Vec<Uuid> = units.into_iter().filter(judged).collect();
            let question = Question {
                campaign: self.campaign,
                round: round.id.clone(),
                scope: Asked::Subjects(units),
                mode: Mode::Simulation,
                special_on: None,
            };
            asking.push(Asking { question, rules });
        }
        Ok(asking)
    }

    /// What the rules say by what is known; nothing if they cannot be asked.
    async fn outcomes(&mut self, asking: Vec<Asking>) -> Result<(Vec<Asking>, Option<Outcomes>), Error> {
        let (knowledge, position) = (std::mem::take(&mut self.knowledge), self.read);
        let computed = web::block(move || {
            let outcomes = compute_all(&asking, &knowledge, position);
            (asking, knowledge, outcomes)
        });
        let (asking, knowledge, outcomes) = computed.await.map_err(Error::internal)?;
        self.knowledge = knowledge;
        Ok((asking, outcomes))
    }
}

fn compute_all(asking: &[Asking], knowledge: &Knowledge, position: i64) -> Option<Outcomes> {
    let mut outcomes = Outcomes::new();
    for Asking { question, rules: Rules { rules, labels, days } } in asking {
        let answer = compute::answer(rules, labels, knowledge, question, days.first, position).ok()?;
        let answer: Value = serde_json::from_str(&answer).ok()?;
        for subject in answer["subjects"].as_array().into_iter().flatten() {
            read(&question.round, subject, &mut outcomes)?;
        }
    }
    Some(outcomes)
}

/// Reads a subject's outcomes out of an answer.
fn read(round: &str, subject: &Value, outcomes: &mut Outcomes) -> Option<()> {
    let unit = subject["subject"]["id"].as_str().and_then(|id| Uuid::parse_str(id).ok())?;
    let mut put = |part, name: &Value, said: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        outcomes.insert((round.to_owned(), unit, part, text(name)), text(said));
    };
    put(OutcomePart::Status, &Value::Null, &subject["status"]);
    for criterion in subject["criteria"].as_array().into_iter().flatten() {
        put(OutcomePart::Criterion, &criterion["id"], &criterion["status"]);
    }
    for award in subject["awards"].as_array().into_iter().flatten() {
        put(OutcomePart::Award, &award["award"], &award["outcome"]);
    }
    Some(())
}

fn changes(campaign: Uuid, before: &Outcomes, after: &Outcomes) -> Vec<OutcomeChange> {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changed = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    let said = |outcomes: &Outcomes, key| outcomes.get(key).cloned().unwrap_or_else(|| "?".to_owned());
    changed
        .map(|key| {
            let (round, unit, part, name) = key.clone();
            OutcomeChange { campaign, round, unit, part, name, before: said(before, key), after: said(after, key) }
        })
        .collect()
}

/// The unit of a figure and the unit above it that day, or whoever follows them, and who stands above those at the
/// cut-off: whose outcome the figure may move.
fn affected(lineage: &Lineage, unit: Uuid, day: NaiveDate, as_of: NaiveDate) -> BTreeSet<Uuid> {
    let with_above: Vec<Uuid> = std::iter::once(unit).chain(lineage.parent(unit, day)).collect();
    let mut units: BTreeSet<Uuid> = with_above.into_iter().flat_map(|unit| lineage.following(unit)).collect();
    let above: Vec<Uuid> = lineage.following(unit).into_iter().filter_map(|unit| lineage.parent(unit, as_of)).collect();
    units.extend(above);
    units.retain(|unit| lineage.exists(*unit, as_of));
    units
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Dated;
    use crate::units::closure::Edge;
    use crate::units::lineage::Life;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_figure_counts_for_its_unit_and_commune_and_whoever_follows_them() {
        let [old, new, village, other] = [1, 2, 3, 4].map(Uuid::from_u128);
        let (last, first) = (day("2025-06-30"), day("2025-07-01"));
        let begin = day("2021-01-01");
        let life = |parents, from, to| Life { parents, from, to, ..Life::default() };
        let parents = vec![Dated::new(old, begin, Some(last)), Dated::new(new, first, None)];
        let lives = [
            (old, life(vec![], begin, Some(last))),
            (new, life(vec![], first, None)),
            (village, life(parents, begin, None)),
            (other, life(vec![Dated::new(old, begin, None)], begin, None)),
        ];
        let lineage =
            Lineage { lives: lives.into(), edges: vec![Edge { predecessor: old, successor: new, on: first }] };
        let units = |year: &str, as_of: &str| affected(&lineage, village, day(year), day(as_of));
        assert_eq!(units("2022-12-31", "2023-12-31"), BTreeSet::from([old, village]));
        assert_eq!(units("2022-12-31", "2025-12-31"), BTreeSet::from([new, village]));
    }

    #[test]
    fn what_is_different_is_told_and_nothing_else() {
        let unit = Uuid::from_u128(1);
        let key = |name: &str| ("mid".to_owned(), unit, OutcomePart::Criterion, name.to_owned());
        let outcomes = |said: &[(&str, &str)]| -> Outcomes {
            said.iter().map(|(name, status)| (key(name), (*status).to_owned())).collect()
        };
        let (before, after) = (outcomes(&[("a", "met"), ("b", "met")]), outcomes(&[("a", "not_met"), ("b", "met")]));
        let found = changes(Uuid::nil(), &before, &after);
        assert_eq!((found.len(), found[0].name.as_str(), found[0].after.as_str()), (1, "a", "not_met"));
        let mut finding = Finding::new("q", Severity::Notice, None, Said::new("v", "e"));
        finding.outcome = Some(OutcomeMove::default());
        tell(&mut finding, Some(found));
        assert!(finding.text.en.contains("criterion a met → not_met"), "{finding:?}");
        assert_eq!(finding.severity, Severity::Serious);
        tell(&mut finding, None);
        assert!(finding.text.en.ends_with("not evaluated."));
    }
}
