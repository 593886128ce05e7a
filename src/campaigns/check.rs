//! Every name in a campaign file resolves: clauses, legal bases, forms, bodies, units, rule files; and dates are in
//! order. Pure.
//!
//! What a rule set names outside itself (roles, awards, rounds, clauses, laws) is looked up in the campaign here, so that
//! no room meets a rule set that speaks of something else.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde_json::Value;

use super::definition::{AttestingBody, Definition, FORMAT};
use super::units_file::UnitsFile;
use super::wording;
use crate::recommendations::rules::{Header, Model, RuleSet};
use crate::yaml::{Document, Finding};

/// The longest text of a campaign file, in characters.
const LONGEST_TEXT: usize = 2000;
/// The longest id.
const LONGEST_ID: usize = 100;
/// The most entries of a list.
const MOST: usize = 1000;

/// The highest rank of an award form.
const HIGHEST_RANK: u16 = 1000;

/// Every finding about one campaign file, in document order.
pub fn check(
    document: &Document,
    file: &Definition,
    units: Option<&UnitsFile>,
    rules: &BTreeMap<String, RuleSet>,
) -> Vec<Finding> {
    let mut check = Check { document, file, findings: Vec::new() };
    check.sizes(&document.value, &mut String::new());
    check.frame();
    check.ids();
    check.clauses();
    check.rounds_and_forms();
    check.bodies(units);
    check.rule_files(rules);
    let mut findings = check.findings;
    findings.sort();
    findings.dedup();
    findings
}

struct Check<'a> {
    document: &'a Document,
    file: &'a Definition,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn add(&mut self, path: &str, reason: impl Into<String>) {
        self.findings.push(self.document.finding(path, reason));
    }

    fn unless(&mut self, known: bool, path: &str, what: &str, name: &str) {
        if !known {
            self.add(path, format!("there is no {what} {name}"));
        }
    }

    fn clause(&mut self, path: &str, id: &str) {
        let known = self.file.clause(id).is_some();
        self.unless(known, path, "clause", id);
    }

    fn order(&mut self, path: &str, from: Option<NaiveDate>, to: Option<NaiveDate>) {
        if let (Some(from), Some(to)) = (from, to)
            && to < from
        {
            self.add(path, format!("{to} is before {from}"));
        }
    }

    /// Answers and their schema promise these limits.
    fn sizes(&mut self, value: &Value, path: &mut String) {
        let length = path.len();
        match value {
            Value::String(text) => {
                let characters = text.chars().count();
                if characters == 0 || characters > LONGEST_TEXT || text.trim() != text {
                    let reason = format!("needs 1 to {LONGEST_TEXT} characters without spaces at the ends");
                    self.add(path, reason);
                }
            }
            Value::Array(items) => {
                if items.len() > MOST {
                    self.add(path, format!("has more than {MOST} entries"));
                }
                for (at, item) in items.iter().enumerate() {
                    crate::canonical::push_pointer(path, &at.to_string());
                    self.sizes(item, path);
                    path.truncate(length);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    crate::canonical::push_pointer(path, name);
                    self.sizes(member, path);
                    path.truncate(length);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn frame(&mut self) {
        let file = self.file;
        if file.format != FORMAT {
            self.add("/format", format!("this version reads {FORMAT}"));
        }
        if !is_id(&file.code) {
            self.add("/code", "needs letters, digits, `.`, `_` or `-` only");
        }
        self.order("/ends_on", Some(file.starts_on), Some(file.ends_on));
        for (at, basis) in file.legal_bases.iter().enumerate() {
            self.order(&format!("/legal_bases/{at}/valid_to"), basis.valid_from, basis.valid_to);
        }
        for (at, reading) in file.readings_open.iter().enumerate() {
            self.clause(&format!("/readings_open/{at}/clause"), &reading.clause);
        }
        for (at, kind) in file.activity_kinds.iter().enumerate() {
            self.clause(&format!("/activity_kinds/{at}/id"), &kind.id);
            if kind.open_to.is_empty() {
                self.add(&format!("/activity_kinds/{at}/open_to"), "is open to nobody");
            }
        }
    }

    /// Ids are well-formed and stand once in their list.
    fn ids(&mut self) {
        for (list, member) in [
            ("linked_movements", "id"),
            ("legal_bases", "id"),
            ("clauses", "id"),
            ("activity_kinds", "id"),
            ("support_kinds", "id"),
            ("beneficiary_areas", "id"),
            ("rounds", "id"),
            ("award_forms", "id"),
            ("titles", "id"),
            ("attesting_bodies", "body"),
            ("rule_sets", "file"),
        ] {
            let mut seen = BTreeSet::new();
            let document = self.document;
            for (at, entry) in document.value[list].as_array().into_iter().flatten().enumerate() {
                let path = format!("/{list}/{at}/{member}");
                let id = entry[member].as_str().unwrap_or_default();
                if !is_id(id) {
                    self.add(&path, "needs letters, digits, `.`, `_` or `-` only");
                }
                if !seen.insert(id) {
                    self.add(&path, format!("{id} stands here twice"));
                }
            }
        }
    }

    /// A clause stands after its parent and carries the parent's number.
    fn clauses(&mut self) {
        let file = self.file;
        let mut seen = BTreeSet::new();
        for (at, clause) in file.clauses.iter().enumerate() {
            let path = format!("/clauses/{at}/parent");
            match &clause.parent {
                Some(parent) if !seen.contains(parent.as_str()) => {
                    self.add(&path, format!("there is no clause {parent} before this one"));
                }
                Some(parent) if !clause.id.strip_prefix(parent.as_str()).is_some_and(|rest| rest.starts_with('.')) => {
                    self.add(&path, format!("{} is not numbered under {parent}", clause.id));
                }
                None if clause.id.contains('.') => self.add(&path, "only a section has no parent"),
                _ => {}
            }
            seen.insert(clause.id.as_str());
        }
    }

    fn rounds_and_forms(&mut self) {
        let file = self.file;
        let mut before = None;
        for (at, round) in file.rounds.iter().enumerate() {
            let path = format!("/rounds/{at}");
            self.clause(&format!("{path}/clause"), &round.clause);
            if round.as_of < file.starts_on || round.as_of > file.ends_on {
                self.add(&format!("{path}/as_of"), "lies outside the campaign");
            }
            if before.is_some_and(|before| round.as_of <= before) {
                self.add(&format!("{path}/as_of"), "rounds stand in order of time");
            }
            before = Some(round.as_of);
            for (n, form) in round.award_forms.iter().enumerate() {
                let known = file.award_form(form).is_some();
                self.unless(known, &format!("{path}/award_forms/{n}"), "award form", form);
            }
        }
        for (at, form) in file.award_forms.iter().enumerate() {
            let path = format!("/award_forms/{at}");
            self.clause(&format!("{path}/clause"), &form.clause);
            let known = file.legal_basis(&form.legal_basis).is_some();
            self.unless(known, &format!("{path}/legal_basis"), "legal basis", &form.legal_basis);
            self.order(&format!("{path}/valid_to"), form.valid_from, form.valid_to);
            if !(1..=HIGHEST_RANK).contains(&form.rank) {
                self.add(&format!("{path}/rank"), format!("a rank lies between 1 and {HIGHEST_RANK}"));
            }
            if at > 0 && file.award_forms.get(at - 1).is_some_and(|lower| lower.rank >= form.rank) {
                self.add(&format!("{path}/rank"), "award forms stand from low to high, each with its own rank");
            }
        }
    }

    fn bodies(&mut self, units: Option<&UnitsFile>) {
        let file = self.file;
        for (at, body) in file.attesting_bodies.iter().enumerate() {
            let path = format!("/attesting_bodies/{at}");
            if body.resolves.is_some() && !body.holders.is_empty() {
                self.add(&format!("{path}/holders"), "a body that follows from the subject has no holders");
            }
            self.holders(&path, body, units);
        }
    }

    fn holders(&mut self, path: &str, body: &AttestingBody, units: Option<&UnitsFile>) {
        for (n, held) in body.holders.iter().enumerate() {
            let path = format!("{path}/holders/{n}");
            self.order(&format!("{path}/to"), Some(held.from), held.to);
            let next = body.holders.get(n + 1);
            if next.is_some_and(|next| held.to.is_none_or(|to| next.from <= to)) {
                self.add(&format!("{path}/to"), "holders stand in order of time and do not overlap");
            }
            // A unit file that cannot be read has findings of its own, and then no unit is known.
            let Some(units) = units else { continue };
            if held.alternate == Some(held.unit) {
                self.add(&format!("{path}/alternate"), "the alternate is the holder itself");
            }
            let ends = units.units.get(&held.unit).and_then(|unit| unit.draft.exists_to);
            if let Some(ends) = ends
                && held.to.is_none_or(|to| to > ends)
            {
                self.add(&format!("{path}/unit"), format!("the unit ends on {ends} already"));
            }
        }
    }

    /// Each round has one rule file, and what the file names is in the campaign.
    fn rule_files(&mut self, rules: &BTreeMap<String, RuleSet>) {
        let file = self.file;
        for (at, round) in file.rounds.iter().enumerate() {
            let files = file.rule_sets.iter().filter(|rule_file| rule_file.rounds.contains(&round.id)).count();
            if files != 1 {
                self.add(&format!("/rounds/{at}"), format!("has {files} rule files; it needs one"));
            }
        }
        for (at, rule_file) in file.rule_sets.iter().enumerate() {
            let path = format!("/rule_sets/{at}");
            for (n, round) in rule_file.rounds.iter().enumerate() {
                let known = file.round(round).is_some();
                self.unless(known, &format!("{path}/rounds/{n}"), "round", round);
            }
            if let Some(rule_set) = rules.get(&rule_file.file) {
                for reason in strangers(file, rule_set.model(), &rule_file.rounds) {
                    self.add(&format!("{path}/file"), format!("{}: {reason}", rule_file.file));
                }
                for (place, reason) in wording::check(file, &rule_file.words, rule_set.model()) {
                    self.add(&format!("{path}{place}"), reason);
                }
            }
        }
    }
}

/// Letters, digits and the few signs that stand in ids, paths and queries unescaped.
fn is_id(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.len() <= LONGEST_ID && text.chars().all(plain)
}

/// What a rule set names and the campaign does not have, or says otherwise.
fn strangers(file: &Definition, model: &Model, rounds: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let Header { id, version, .. } = &model.rule_set;
    if id.chars().count() > LONGEST_ID || version.chars().count() > LONGEST_ID {
        found.push(format!("its id or version has more than {LONGEST_ID} characters"));
    }
    let mut unless = |known: bool, what: &str, name: &str| {
        if !known {
            found.push(format!("the campaign has no {what} {name}"));
        }
    };
    for (role, _) in model.roles.iter() {
        unless(file.body(role).is_some(), "attesting body", role);
    }
    for (id, award) in model.awards.iter() {
        unless(file.award_form(id).is_some(), "award form", id);
        unless(file.clause(&award.clause).is_some(), "clause", &award.clause);
    }
    for law in &model.rule_set.legal_basis {
        unless(file.legal_basis(&law.id).is_some(), "legal basis", &law.id);
    }
    for (clause, _) in model.criteria.iter() {
        unless(file.clause(clause).is_some(), "clause", clause);
    }
    for (_, category) in model.categories.iter() {
        unless(file.clause(&category.clause).is_some(), "clause", &category.clause);
    }
    for (id, award) in model.awards.iter() {
        let days = file.award_form(id).map(|form| (form.valid_from, form.valid_to));
        if days.is_some_and(|days| days != (award.valid_from, award.valid_to)) {
            found.push(format!("the days of its award {id} are not those of the campaign's form"));
        }
    }
    for id in rounds {
        match (file.round(id), model.rounds.get(id)) {
            (Some(round), Some(rule)) => {
                let parameter = model.parameters.get(&rule.as_of.param);
                let cut_off = parameter.and_then(|parameter| parameter.value.as_ref()?.date());
                if cut_off.is_some_and(|day| day != round.as_of) {
                    found.push(format!("its cut-off of round {id} is not {}", round.as_of));
                }
                let (ours, theirs): (BTreeSet<_>, BTreeSet<_>) =
                    (round.award_forms.iter().collect(), rule.awards.iter().collect());
                if ours != theirs {
                    found.push(format!("its awards of round {id} are not those of the campaign"));
                }
            }
            (Some(_), None) => found.push(format!("it has no round {id}")),
            (None, _) => {}
        }
    }
    found
}
