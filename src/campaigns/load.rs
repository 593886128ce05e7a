//! Loading a folder: units, successions and the campaign, in one transaction, with an event for what changed and none
//! for what did not.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use super::store::{self, RuleSetRef, campaign};
use super::three_way::{Step, decide};
use super::units_file::{Entry, UnitsFile};
use super::{CAMPAIGN_FILE, FileFinding, Folder, UNITS_FILE};
use crate::db::{Context, Db, DocumentRef, Event, Outcome, Record, WriteTx};
use crate::error::Error;
use crate::units::store as units;
use crate::units::succession;

/// The media type of the files (RFC 9512).
const YAML: &str = "application/yaml";

/// How a load ended.
#[derive(Debug)]
pub enum Loading {
    /// Everything stands as the folder says.
    Done(Report),
    /// Nothing was written.
    Refused(Vec<FileFinding>),
}

/// What a load changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Units that are new.
    pub units_registered: usize,
    /// Units that the file changed.
    pub units_amended: usize,
    /// Units that stayed as they were.
    pub units_unchanged: usize,
    /// Successions that are new.
    pub successions_recorded: usize,
    /// Successions that stayed as they were.
    pub successions_unchanged: usize,
    /// What happened to the campaign.
    pub campaign: Change,
    /// The campaign's version now.
    pub version: i64,
}

/// What happened to the campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Loaded,
    /// It has a new version.
    Revised,
    /// It stayed as it was.
    #[default]
    Unchanged,
}

impl Report {
    fn changes_units(&self) -> bool {
        self.units_registered + self.units_amended + self.successions_recorded > 0
    }
}

/// Loads a folder that was read. Doing it twice has one effect.
pub async fn load(db: &Db, context: &Context, folder: &Folder) -> Result<Loading, Error> {
    db.record(context, async |tx: &WriteTx<'_>| {
        store::lock_room(tx).await?;
        units::lock_room(tx).await?;
        let old = store::locked(tx, folder.definition.id).await?;
        let plan = plan(tx, folder, old.as_ref()).await?;
        let mut findings = plan.findings.clone();
        findings.extend(same_code(tx, folder).await?);
        if !findings.is_empty() {
            findings.sort();
            return Ok(Outcome::Unchanged(Loading::Refused(findings)));
        }
        let mut report = write_units(tx, folder, &plan, &mut findings).await?;
        if !findings.is_empty() {
            return Ok(Outcome::Unchanged(Loading::Refused(findings)));
        }
        write_campaign(tx, folder, old.as_ref(), &mut report).await?;
        let unchanged = !report.changes_units() && report.campaign == Change::Unchanged;
        let done = Loading::Done(report);
        Ok(if unchanged { Outcome::Unchanged(done) } else { Outcome::Changed(done) })
    })
    .await
}

/// What to do with each unit and succession, and why that cannot be done.
struct Plan {
    units: BTreeMap<Uuid, Step>,
    successions: BTreeMap<Uuid, Step>,
    findings: Vec<FileFinding>,
}

/// Compares the unit file with the one loaded last and with the tables.
async fn plan(tx: &WriteTx<'_>, folder: &Folder, old: Option<&campaign::Model>) -> Result<Plan, Error> {
    let loaded = match old {
        Some(row) => Some(store::units_file(tx.conn(), &DocumentRef::from_column(&row.units)?).await?),
        None => None,
    };
    let file = &folder.units;
    let mut registered = BTreeMap::new();
    for row in units::all(tx.conn()).await? {
        registered.insert(row.id, row.draft()?);
    }
    let mut recorded = BTreeMap::new();
    for row in units::successions(tx.conn()).await? {
        recorded.insert(row.id, row.draft()?);
    }
    let empty = BTreeMap::new();
    let mut findings = Vec::new();
    let loaded_units = loaded.as_ref().map_or(&empty, |loaded| &loaded.units);
    let units = steps(file, loaded_units, &file.units, &registered, &mut findings);
    let empty = BTreeMap::new();
    let loaded_successions = loaded.as_ref().map_or(&empty, |loaded| &loaded.successions);
    let successions = steps(file, loaded_successions, &file.successions, &recorded, &mut findings);
    for (id, entry) in file.successions.iter().filter(|(id, _)| successions.get(*id) == Some(&Step::Amend)) {
        let reason = format!("succession {id} is recorded already; what happened does not change");
        findings.push(FileFinding::of(UNITS_FILE, file.document.finding(&entry.path, reason)));
    }
    Ok(Plan { units, successions, findings })
}

/// One step an entry; what vanished and what both sides changed is a finding.
fn steps<T: PartialEq>(
    file: &UnitsFile,
    loaded: &BTreeMap<Uuid, Entry<T>>,
    entries: &BTreeMap<Uuid, Entry<T>>,
    table: &BTreeMap<Uuid, T>,
    findings: &mut Vec<FileFinding>,
) -> BTreeMap<Uuid, Step> {
    for (id, gone) in loaded.iter().filter(|(id, _)| !entries.contains_key(*id)) {
        let reason =
            format!("{} ({id}) stood here before and is gone; what is registered is ended, never removed", gone.name);
        findings.push(FileFinding::whole(UNITS_FILE, reason));
    }
    let mut steps = BTreeMap::new();
    for (id, entry) in entries {
        match decide(loaded.get(id).map(|entry| &entry.draft), &entry.draft, table.get(id)) {
            Ok(step) => {
                steps.insert(*id, step);
            }
            Err(reason) => {
                let reason = format!("{}: {reason}", entry.name);
                findings.push(FileFinding::of(UNITS_FILE, file.document.finding(&entry.path, reason)));
            }
        }
    }
    steps
}

/// Another campaign may have the code already.
async fn same_code(tx: &WriteTx<'_>, folder: &Folder) -> Result<Option<FileFinding>, Error> {
    let Folder { definition, .. } = folder;
    let other = store::find_code(tx.conn(), &definition.code).await?.filter(|row| row.id != definition.id);
    Ok(other.map(|row| {
        let reason = format!("/code: {} is the code of campaign {} already", definition.code, row.id);
        FileFinding::whole(CAMPAIGN_FILE, reason)
    }))
}

/// What the tables contradict is found out on the way; then nothing of it stays.
async fn write_units(
    tx: &WriteTx<'_>,
    folder: &Folder,
    plan: &Plan,
    findings: &mut Vec<FileFinding>,
) -> Result<Report, Error> {
    let mut report = Report::default();
    for (id, Entry { draft, .. }) in &folder.units.units {
        match plan.units.get(id) {
            Some(Step::Register) => {
                units::register(tx, *id, draft).await?;
                report.units_registered += 1;
            }
            Some(Step::Amend) => {
                let old = units::locked(tx, *id).await?;
                units::amend(tx, &old, draft, Event::new("unit.amended")).await?;
                report.units_amended += 1;
            }
            _ => report.units_unchanged += 1,
        }
    }
    for (id, Entry { path, draft, .. }) in &folder.units.successions {
        if plan.successions.get(id) == Some(&Step::Register) {
            let (lineage, standing) = (units::lineage(tx.conn()).await?, units::standing(tx.conn()).await?);
            if let Err(error) = succession::check(draft, &lineage, &standing) {
                let reason = format!("succession {id} does not fit what is recorded: {error}");
                findings.push(FileFinding::of(UNITS_FILE, folder.units.document.finding(path, reason)));
                continue;
            }
            units::record_succession(tx, *id, draft, &[]).await?;
            report.successions_recorded += 1;
        } else {
            report.successions_unchanged += 1;
        }
    }
    if report.changes_units() {
        units::derive(tx.conn()).await?;
    }
    Ok(report)
}

/// Keeps the files as documents and writes the row if it says something new.
async fn write_campaign(
    tx: &WriteTx<'_>,
    folder: &Folder,
    old: Option<&campaign::Model>,
    report: &mut Report,
) -> Result<(), Error> {
    let mut kept = BTreeMap::new();
    for (name, text) in &folder.texts {
        kept.insert(name.as_str(), tx.keep_document(text, YAML).await?);
    }
    let new = row(folder, &kept)?;
    let row = match old {
        None => {
            report.campaign = Change::Loaded;
            tx.insert(new, Event::new("campaign.loaded")).await?
        }
        Some(old) if old.state()? == new.state()? => old.clone(),
        Some(old) => {
            report.campaign = Change::Revised;
            tx.update(old, new, Event::new("campaign.revised")).await?
        }
    };
    report.version = row.version;
    Ok(())
}

fn row(folder: &Folder, kept: &BTreeMap<&str, DocumentRef>) -> Result<campaign::Model, Error> {
    let Folder { definition, rules, .. } = folder;
    let document = |name: &str| kept.get(name).cloned().ok_or_else(|| Error::internal(format!("{name} was not kept")));
    let mut rule_sets = Vec::new();
    for rule_file in &definition.rule_sets {
        let rule_set = rules.get(&rule_file.file).ok_or_else(|| Error::internal("a rule file was not read"))?;
        let header = &rule_set.model().rule_set;
        rule_sets.push(RuleSetRef {
            rounds: rule_file.rounds.clone(),
            id: header.id.clone(),
            version: header.version.clone(),
            hash: rule_set.hash().to_owned(),
            document: document(&rule_file.file)?,
        });
    }
    Ok(campaign::Model {
        id: definition.id,
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        code: definition.code.clone(),
        title: serde_json::to_value(&definition.title).map_err(Error::internal)?,
        starts_on: definition.starts_on,
        ends_on: definition.ends_on,
        owner_unit_id: definition.owner,
        definition: document(CAMPAIGN_FILE)?.column(),
        rule_sets: serde_json::to_value(rule_sets).map_err(Error::internal)?,
        units: document(UNITS_FILE)?.column(),
    })
}
