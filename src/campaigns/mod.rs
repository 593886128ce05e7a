//! A campaign (phong trào thi đua) as data: a folder with a campaign file, a unit file and rule files. Loading is
//! idempotent; a changed file is a new version; an invalid one is refused whole, with file, line and reason.
//!
//! Other rooms get a campaign's [`Definition`] and rule sets from [`store`], never from a file. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use unicode_normalization::is_nfc;

use crate::recommendations::rules::RuleSet;
use crate::yaml::{Document, Finding};

mod cache;
mod check;
pub mod definition;
pub mod http;
pub mod load;
pub mod store;
mod three_way;
pub mod units_file;
mod wording;

pub use definition::{ActivityKind, AttestingBody, AwardForm, Clause, Definition, Holder, Named, Round};
pub use units_file::UnitsFile;

/// The name of the campaign file.
pub const CAMPAIGN_FILE: &str = "campaign.yaml";
/// The name of the unit file.
pub const UNITS_FILE: &str = "units.yaml";

/// One thing wrong with a file of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileFinding {
    /// The file's name.
    pub file: String,
    /// What is wrong there.
    pub finding: Finding,
}

impl FileFinding {
    fn of(file: &str, finding: Finding) -> Self {
        Self { file: file.to_owned(), finding }
    }

    fn whole(file: &str, reason: impl Into<String>) -> Self {
        Self::of(file, Finding { line: None, path: String::new(), reason: reason.into() })
    }
}

impl fmt::Display for FileFinding {
    /// `file:line: /path: reason`, as editors understand it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.finding.line {
            write!(f, ":{line}")?;
        }
        if !self.finding.path.is_empty() {
            write!(f, ": {}", self.finding.path)?;
        }
        write!(f, ": {}", self.finding.reason)
    }
}

/// A campaign's folder that was read and checked.
#[derive(Debug)]
pub struct Folder {
    /// The campaign, with its units by id.
    pub definition: Definition,
    /// The units.
    pub units: UnitsFile,
    /// The rule sets, by file.
    pub rules: BTreeMap<String, RuleSet>,
    /// The text of every file that counts, by name.
    pub texts: BTreeMap<String, String>,
}

impl Folder {
    /// Reads the YAML files of a folder, given by name. Nothing that is wrong passes, and everything found is told.
    pub fn read(files: &BTreeMap<String, String>) -> Result<Self, Vec<FileFinding>> {
        let mut reading = Reading { files, findings: Vec::new() };
        let units = reading.text(UNITS_FILE).and_then(|text| reading.keep(UNITS_FILE, UnitsFile::read(text)));
        let document = reading.text(CAMPAIGN_FILE).and_then(|text| reading.keep(CAMPAIGN_FILE, Document::parse(text)));
        let mut campaign = None;
        let mut rules = BTreeMap::new();
        if let Some(document) = document {
            let (definition, findings) = definition::read(&document, units.as_ref().map(|units| &units.ids));
            reading.tell(CAMPAIGN_FILE, findings);
            if let Some(definition) = &definition {
                rules = reading.rules(definition, &document);
                reading.tell(CAMPAIGN_FILE, check::check(&document, definition, units.as_ref(), &rules));
            }
            campaign = definition;
        }
        let (Some(definition), Some(units), []) = (campaign, units, reading.findings.as_slice()) else {
            reading.findings.sort();
            reading.findings.dedup();
            return Err(reading.findings);
        };
        let named = [CAMPAIGN_FILE, UNITS_FILE].into_iter().map(str::to_owned).chain(rules.keys().cloned());
        let texts = named.filter_map(|name| files.get(&name).map(|text| (name.clone(), text.clone()))).collect();
        Ok(Self { definition, units, rules, texts })
    }
}

struct Reading<'a> {
    files: &'a BTreeMap<String, String>,
    findings: Vec<FileFinding>,
}

impl<'a> Reading<'a> {
    /// The text of a file that must be there. Names are compared by bytes, so text is in one normal form.
    fn text(&mut self, name: &str) -> Option<&'a str> {
        let Some(text) = self.files.get(name) else {
            self.findings.push(FileFinding::whole(name, "there is no such file"));
            return None;
        };
        for (line, content) in (1..).zip(text.lines()) {
            if !is_nfc(content) || content.contains('\0') {
                let reason = "the text must be in Unicode normal form C, without NUL".to_owned();
                self.findings.push(FileFinding::of(name, Finding { line: Some(line), path: String::new(), reason }));
                return None;
            }
        }
        Some(text)
    }

    fn tell(&mut self, name: &str, findings: Vec<Finding>) {
        self.findings.extend(findings.into_iter().map(|finding| FileFinding::of(name, finding)));
    }

    fn keep<T>(&mut self, name: &str, read: Result<T, Vec<Finding>>) -> Option<T> {
        read.map_err(|findings| self.tell(name, findings)).ok()
    }

    /// The rule files that the campaign names; each must pass its own tests.
    fn rules(&mut self, file: &Definition, document: &Document) -> BTreeMap<String, RuleSet> {
        let mut rules = BTreeMap::new();
        let names: BTreeSet<&str> = file.rule_sets.iter().map(|rule_file| rule_file.file.as_str()).collect();
        for (at, rule_file) in file.rule_sets.iter().enumerate() {
            let name = rule_file.file.as_str();
            if !self.files.contains_key(name) {
                let finding = document.finding(&format!("/rule_sets/{at}/file"), format!("there is no file {name}"));
                self.tell(CAMPAIGN_FILE, vec![finding]);
            }
        }
        for name in names.into_iter().filter(|name| self.files.contains_key(*name)) {
            let Some(rule_set) = self.text(name).and_then(|text| self.keep(name, RuleSet::load(text))) else {
                continue;
            };
            for result in rule_set.check().iter().filter(|result| !result.passed()) {
                self.findings.push(FileFinding::whole(name, result.to_string()));
            }
            rules.insert(name.to_owned(), rule_set);
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &str); 3] = [
        (CAMPAIGN_FILE, include_str!("../../campaigns/quynh-nhai-2021-2025/campaign.yaml")),
        (UNITS_FILE, include_str!("../../campaigns/quynh-nhai-2021-2025/units.yaml")),
        ("rules.yaml", include_str!("../../campaigns/quynh-nhai-2021-2025/rules.yaml")),
    ];

    fn files() -> BTreeMap<String, String> {
        FILES.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    /// The findings after one passage of one file was changed.
    fn refused(file: &str, from: &str, to: &str) -> Vec<FileFinding> {
        let mut files = files();
        let text = files[file].replacen(from, to, 1);
        assert_ne!(text, files[file], "{from}");
        files.insert(file.to_owned(), text);
        Folder::read(&files).expect_err(to)
    }

    #[test]
    fn the_shipped_campaign_is_read() {
        let folder = Folder::read(&files()).unwrap();
        let definition = &folder.definition;
        assert_eq!((definition.clauses.len(), definition.rounds.len(), definition.award_forms.len()), (76, 2, 5));
        let day = |text: &str| text.parse().unwrap();
        let holder = |on: &str| definition.holder("phong_ldtbxh", day(on)).map(|holder| holder.unit);
        assert_eq!(holder("2025-06-30"), Some(folder.units.ids["phong-ldtbxh"]));
        assert_eq!(holder("2025-07-01"), None, "the district has ended");
        assert_eq!(definition.holder("ubnd_xa", day("2023-01-01")), None, "it follows from the subject");
        assert_eq!(definition.body("ubnd_xa").unwrap().role, Some(crate::auth::Role::CommuneCommittee));
        assert_eq!(definition.clause("III.2.2.d").unwrap().kind, definition::ClauseKind::Computed);
        assert!(definition.activity_kind("II.a").is_some() && definition.support_kind("capital").is_some());
        assert!(definition.beneficiary_area("poor_person").is_some() && definition.round("middle").is_none());
    }

    #[test]
    fn a_name_that_points_nowhere_is_refused_with_its_place() {
        for (from, to, path) in [
            ("\n    parent: I.1\n", "\n    parent: I.9\n", "/clauses/2/parent"),
            ("award_forms: [giay_khen_don_vi,", "award_forms: [giay_khen,", "/rounds/0/award_forms/0"),
            ("legal_basis: KH", "legal_basis: KH2", "/award_forms/0/legal_basis"),
            ("owner: huyen-quynh-nhai", "owner: huyen-khac", "/owner"),
            ("alternate: phong-ldtbxh", "alternate: phong-khac", "/attesting_bodies/0/holders/0/alternate"),
            ("- file: rules.yaml", "- file: missing.yaml", "/rule_sets/0/file"),
            ("        linkage: ", "        linkages: ", "/rule_sets/0/words/records"),
            ("        linkage: ", "        linkages: ", "/rule_sets/0/words/records/linkages"),
            (
                "            newly_out: {",
                "            newly_in: {",
                "/rule_sets/0/words/attributes/household_status/values",
            ),
            ("rounds: [mid, final]", "rounds: [mid]", "/rounds/1"),
            ("as_of: 2023-12-31", "as_of: 2026-12-31", "/rounds/0/as_of"),
            ("as_of: 2023-12-31", "as_of: 2023-12-30", "/rule_sets/0/file"),
            ("body: so_noi_vu", "body: so_khac", "/rule_sets/0/file"),
            ("ends_on: 2025-12-31", "ends_on: 2020-12-31", "/ends_on"),
            ("id: capital", "id: goods", "/support_kinds/7/id"),
            ("from: 2021-01-01, to: 2025-06-30", "from: 2021-01-01, to: null", "/attesting_bodies/0/holders/0/unit"),
            ("rank: 1\n", "rank: 0\n", "/award_forms/0/rank"),
            ("role: home_affairs", "role: king", "/attesting_bodies/0/role"),
            ("issued_on: 2022-07-12", "issued_on: 2022-02-30", "/legal_bases/1/issued_on"),
            ("code: quynh-nhai-2021-2025", "code: quynh-nhai-2021-2025\ncolour: red", "/colour"),
        ] {
            let findings = refused(CAMPAIGN_FILE, from, to);
            let found = findings.iter().find(|found| found.file == CAMPAIGN_FILE && found.finding.path == path);
            assert!(found.is_some_and(|found| found.finding.line.is_some()), "{path}: {findings:#?}");
        }
    }

    #[test]
    fn every_file_is_read_before_a_refusal() {
        let mut files = files();
        files.insert(CAMPAIGN_FILE.into(), FILES[0].1.replace("starts_on: 2021-01-01", "starts_on: 2021-13-01"));
        files.remove(UNITS_FILE);
        let told: Vec<String> = Folder::read(&files).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("campaign.yaml:9: /starts_on: \"2021-13-01\""), "{told:?}");
        assert_eq!(told[1], "units.yaml: there is no such file");
        let decomposed = refused(UNITS_FILE, "Tỉnh Sơn La", "Ti\u{309}nh Sơn La");
        assert!(decomposed[0].to_string().starts_with("units.yaml:10: the text"), "{decomposed:?}");
    }

    #[test]
    fn a_rule_file_that_fails_its_own_tests_is_refused() {
        let findings = refused("rules.yaml", "expect: not_met, short: 1", "expect: met");
        assert!(findings[0].finding.reason.starts_with("FAIL"), "{findings:?}");
    }
}
