//! What a unit file says: units under fixed ids and the acts by which they follow one another. Pure.
//!
//! Inside a campaign's folder units are named by their key; a key has no meaning outside of it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::Deserialize;
use uuid::Uuid;

use super::definition::Text;
use crate::error::Error;
use crate::units::lineage::{Life, Lineage};
use crate::units::succession::{self, Acts};
use crate::units::{AreaClass, Dated, SuccessionDraft, SuccessionKind, UnitDraft, UnitKind, fit};
use crate::yaml::{Document, Finding};

/// The format that this version reads.
pub const FORMAT: &str = "units/1";

/// Everything that a unit file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    units: Vec<UnitEntry>,
    successions: Vec<SuccessionEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnitEntry {
    key: String,
    id: Uuid,
    kinds: Vec<KindEntry>,
    codes: Vec<CodeEntry>,
    names: Vec<NameEntry>,
    parents: Vec<ParentEntry>,
    area_classes: Vec<AreaEntry>,
    exists: Period,
    /// Where the entry was read; for the reader of the file.
    #[serde(rename = "source")]
    _source: String,
    #[serde(default)]
    fictitious: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Period {
    from: NaiveDate,
    to: Option<NaiveDate>,
}

/// A dated value under its own name, as the file spells it.
macro_rules! dated_entry {
    ($name:ident, $member:ident: $ty:ty) => {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $member: $ty,
            from: NaiveDate,
            to: Option<NaiveDate>,
        }

        impl $name {
            fn dated(&self) -> Dated<$ty> {
                Dated::new(self.$member.clone(), self.from, self.to)
            }
        }
    };
}

dated_entry!(KindEntry, kind: UnitKind);
dated_entry!(CodeEntry, code: String);
dated_entry!(NameEntry, name: String);
dated_entry!(AreaEntry, area_class: AreaClass);

/// A parent by its key, which becomes an id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ParentEntry {
    parent: String,
    from: NaiveDate,
    to: Option<NaiveDate>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SuccessionEntry {
    id: Uuid,
    kind: SuccessionKind,
    on: NaiveDate,
    from: Vec<String>,
    to: Vec<String>,
    basis: Text,
}

/// An entry with the place where it stands.
#[derive(Debug)]
pub struct Entry<T> {
    /// JSON pointer into the file.
    pub path: String,
    /// How people name it: the key of a unit, the id of a succession.
    pub name: String,
    /// What it says.
    pub draft: T,
}

/// A unit file that was read and checked.
#[derive(Debug)]
pub struct UnitsFile {
    /// The file's lines, for later findings.
    pub document: Document,
    /// Key to id.
    pub ids: BTreeMap<String, Uuid>,
    /// Units by id.
    pub units: BTreeMap<Uuid, Entry<UnitDraft>>,
    /// Successions by id.
    pub successions: BTreeMap<Uuid, Entry<SuccessionDraft>>,
}

impl UnitsFile {
    /// Reads a unit file; nothing that is wrong with it passes, and every finding is told.
    pub fn read(yaml: &str) -> Result<Self, Vec<Finding>> {
        let (file, findings) = Self::judged(yaml)?;
        if findings.is_empty() { Ok(file) } else { Err(findings) }
    }

    /// Reads a file that was checked before it was stored: what was good then stands, whatever is asked of files today.
    pub fn stored(yaml: &str) -> Result<Self, Vec<Finding>> {
        Self::judged(yaml).map(|(file, _)| file)
    }

    fn judged(yaml: &str) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let document = Document::parse(yaml)?;
        let file: File = document.typed().map_err(|finding| vec![finding])?;
        let ids = file.units.iter().map(|unit| (unit.key.clone(), unit.id)).collect();
        let mut reading = Reading { document: &document, ids, findings: Vec::new() };
        if file.format != FORMAT {
            reading.add("/format", format!("this version reads {FORMAT}"));
        }
        reading.no_doubles(&file);
        let units: BTreeMap<_, _> = file.units.iter().enumerate().map(|(at, unit)| reading.unit(at, unit)).collect();
        let successions = file.successions.iter().enumerate().map(|(at, act)| reading.succession(at, act, &units));
        let successions = successions.collect();
        // What is wrong by itself would be found wrong again beside the rest.
        if reading.findings.is_empty() {
            reading.all_fit(&units, &successions);
        }
        let Reading { ids, mut findings, .. } = reading;
        findings.sort();
        Ok((Self { document, ids, units, successions }, findings))
    }
}

struct Reading<'a> {
    document: &'a Document,
    ids: BTreeMap<String, Uuid>,
    findings: Vec<Finding>,
}

impl Reading<'_> {
    fn add(&mut self, path: &str, reason: impl Into<String>) {
        self.findings.push(self.document.finding(path, reason));
    }

    fn no_doubles(&mut self, file: &File) {
        let (mut keys, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for (at, unit) in file.units.iter().enumerate() {
            if !keys.insert(&unit.key) {
                self.add(&format!("/units/{at}/key"), format!("the key {} stands here twice", unit.key));
            }
            if !ids.insert(unit.id) {
                self.add(&format!("/units/{at}/id"), format!("the id {} stands here twice", unit.id));
            }
        }
        for (at, act) in file.successions.iter().enumerate() {
            if !ids.insert(act.id) {
                self.add(&format!("/successions/{at}/id"), format!("the id {} stands here twice", act.id));
            }
        }
    }

    fn id(&mut self, key: &str, path: &str) -> Uuid {
        match self.ids.get(key) {
            Some(id) => *id,
            None => {
                self.add(path, format!("there is no unit {key}"));
                Uuid::nil()
            }
        }
    }

    fn unit(&mut self, at: usize, entry: &UnitEntry) -> (Uuid, Entry<UnitDraft>) {
        let path = format!("/units/{at}");
        let parents = entry.parents.iter().enumerate().map(|(n, parent)| {
            let value = self.id(&parent.parent, &format!("{path}/parents/{n}/parent"));
            Dated::new(value, parent.from, parent.to)
        });
        let draft = UnitDraft {
            parents: parents.collect(),
            codes: entry.codes.iter().map(CodeEntry::dated).collect(),
            names: entry.names.iter().map(NameEntry::dated).collect(),
            kinds: entry.kinds.iter().map(KindEntry::dated).collect(),
            area_classes: entry.area_classes.iter().map(AreaEntry::dated).collect(),
            exists_from: entry.exists.from,
            exists_to: entry.exists.to,
            fictitious: entry.fictitious,
        };
        if let Err(error) = draft.check("") {
            for fault in error.faults {
                // The file spells some members otherwise than the draft.
                let inside = fault.pointer.replace("/exists_to", "/exists/to");
                let inside = inside.strip_suffix("/value").unwrap_or(&inside);
                self.add(&format!("{path}{inside}"), fault.en);
            }
        }
        for (list, empty) in [("names", draft.names.is_empty()), ("kinds", draft.kinds.is_empty())] {
            if empty {
                self.add(&format!("{path}/{list}"), format!("a unit needs {list}"));
            }
        }
        (entry.id, Entry { path, name: entry.key.clone(), draft })
    }

    /// Each unit against its life and its parents, and each act against the units and the acts that stand before it.
    fn all_fit(
        &mut self,
        units: &BTreeMap<Uuid, Entry<UnitDraft>>,
        successions: &BTreeMap<Uuid, Entry<SuccessionDraft>>,
    ) {
        let mut lineage = Lineage::default();
        for (id, Entry { draft, .. }) in units {
            let UnitDraft { kinds, parents, exists_from, exists_to, .. } = draft.clone();
            lineage.lives.insert(*id, Life { kinds, parents, from: exists_from, to: exists_to });
        }
        for Entry { path, draft, .. } in units.values() {
            for fault in fit::faults(draft, None, &lineage, "") {
                self.add(&format!("{path}{}", fault.pointer), fault.en);
            }
        }
        let mut seen: Vec<&Entry<UnitDraft>> = Vec::new();
        for entry in units.values() {
            for other in &seen {
                if let Some(code) = fit::shared_code(&entry.draft, &other.draft) {
                    let reason = format!("{} bears the code {code} on the same day", other.name);
                    self.add(&format!("{}/codes", entry.path), reason);
                }
            }
            seen.push(entry);
        }
        let mut before = Acts::new();
        for (id, Entry { path, draft, .. }) in successions {
            self.act_faults(path, succession::check(draft, &lineage, &before));
            lineage.edges.extend(draft.edges());
            before.insert(*id, draft.clone());
        }
    }

    /// The file spells the members of an act otherwise than the draft.
    fn act_faults(&mut self, path: &str, checked: Result<(), Error>) {
        let faults = checked.err().map(|error| error.faults).unwrap_or_default();
        for fault in faults {
            let inside = match fault.pointer.as_str() {
                // Of an act's members, or of none: the numbers.
                "/successors" => String::new(),
                "/effective_on" => "/on".to_owned(),
                pointer => pointer.replace("/predecessors", "/from").replace("/successors", "/to"),
            };
            self.add(&format!("{path}{inside}"), fault.en);
        }
    }

    fn succession(
        &mut self,
        at: usize,
        entry: &SuccessionEntry,
        units: &BTreeMap<Uuid, Entry<UnitDraft>>,
    ) -> (Uuid, Entry<SuccessionDraft>) {
        let path = format!("/successions/{at}");
        let mut all = |member: &str, keys: &[String]| -> Vec<Uuid> {
            keys.iter().enumerate().map(|(n, key)| self.id(key, &format!("{path}/{member}/{n}"))).collect()
        };
        let draft = SuccessionDraft {
            kind: entry.kind,
            effective_on: entry.on,
            predecessors: all("from", &entry.from),
            successors: all("to", &entry.to),
            basis: entry.basis.vi.clone(),
        };
        self.act_faults(&path, draft.check());
        for (n, id) in draft.predecessors.iter().enumerate() {
            let ends = units.get(id).map(|unit| unit.draft.exists_to);
            if ends.is_some_and(|to| to != draft.effective_on.pred_opt()) {
                let reason = format!("the unit must end on the day before {}", draft.effective_on);
                self.add(&format!("{path}/from/{n}"), reason);
            }
        }
        (entry.id, Entry { path, name: entry.id.to_string(), draft })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: &str = include_str!("../../campaigns/quynh-nhai-2021-2025/units.yaml");

    #[test]
    fn the_shipped_units_are_read() {
        let file = UnitsFile::read(UNITS).unwrap();
        assert_eq!((file.units.len(), file.successions.len()), (24, 4));
        let township = &file.units[&file.ids["thi-tran-muong-giang"]].draft;
        let kinds: Vec<UnitKind> = township.kinds.iter().map(|dated| dated.value).collect();
        assert_eq!(kinds, [UnitKind::Commune, UnitKind::Township]);
    }

    #[test]
    fn what_was_stored_is_read_although_it_would_be_refused_today() {
        let gap = UNITS.replacen("exists: { from: 2021-01-01", "exists: { from: 2020-01-01", 1);
        assert_ne!(gap, UNITS);
        assert!(UnitsFile::read(&gap).is_err());
        assert_eq!(UnitsFile::stored(&gap).unwrap().units.len(), 24);
        assert!(UnitsFile::stored("units: {").is_err());
    }

    #[test]
    fn what_cannot_be_is_refused_where_it_stands() {
        for (from, to, path) in [
            ("parent: tinh-son-la", "parent: tinh-khac", "/units/1/parents/0/parent"),
            ("key: huyen-quynh-nhai", "key: tinh-son-la", "/units/1/key"),
            ("to: 2025-06-30", "to: 2020-06-30", "/units/1/kinds/0/to"),
            ("[xa-muong-chien-cu, xa-ca-nang", "[xa-muong-chien-cu, tinh-son-la", "/successions/0/from/1"),
            ("kind: merge", "kind: split", "/successions/0"),
            ("[xa-muong-chien-cu, xa-ca-nang", "[xa-muong-chien-cu, xa-muong-chien-cu", "/successions/0/from/1"),
            ("[xa-muong-gion-cu, xa", "[xa-ca-nang, xa", "/successions/1/from/0"),
            ("to: [xa-muong-chien]", "to: [tinh-son-la]", "/successions/0/to/0"),
            (
                "parent: tinh-son-la, from: 2021-01-01, to: 2025-06-30",
                "parent: xa-muong-chien, from: 2021-01-01, to: 2025-06-30",
                "/units/1/parents/0",
            ),
            (
                "parents: []",
                "parents: [ { parent: xa-muong-chien, from: 2025-07-01, to: null } ]",
                "/units/0/parents/0",
            ),
            (
                "parent: huyen-quynh-nhai, from: 2021-01-01, to: 2025-06-30",
                "parent: xa-ca-nang, from: 2021-01-01, to: 2025-06-30",
                "/units/2/parents/0",
            ),
            ("code: '03685'", "code: '03682'", "/units/3/codes"),
            ("kind: township, from: 2025-02-01", "kind: township, from: 2025-02-02", "/units/8/kinds/1/from"),
            ("name: 'Tỉnh Sơn La', from: 2021-01-01", "name: 'Tỉnh Sơn La', from: 2020-01-01", "/units/0/names/0/from"),
            (
                "code: '118', from: 2021-01-01, to: 2025-06-30",
                "code: '118', from: 2021-01-01, to: 2025-07-01",
                "/units/1/codes/0/to",
            ),
            ("format: units/1", "format: units/2", "/format"),
            ("name: 'Tỉnh Sơn La'", "name: ''", "/units/0/names/0"),
            ("area_classes: []", "area_class: I", "/units/0/area_class"),
        ] {
            assert!(UNITS.contains(from), "{from}");
            let findings = UnitsFile::read(&UNITS.replacen(from, to, 1)).unwrap_err();
            assert!(
                findings.iter().any(|finding| finding.path == path && finding.line.is_some()),
                "{path}: {findings:#?}"
            );
        }
    }
}
