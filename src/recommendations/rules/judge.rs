//! One subject judged: its category's criteria, their combination, and the whole answer put together.
//!
//! Lives here: which criteria are asked, and the order of everything in the answer. Never here: a leaf, or an award's
//! conditions.

use std::collections::{BTreeMap, BTreeSet};

use super::evaluate::Scene;
use super::explain::{
    AwardOutcome, CriterionResult, Missing, NextStep, ReadingUsed, Say, Step, SubjectRef, SubjectResult,
};
use super::inputs::{Inputs, Subject};
use super::model::{Category, Criterion, Decision, SpecialPath};
use super::near_miss::near_miss;
use super::outcome::{self, Awards};
use super::run::{Mode, Run};
use super::say;
use super::status::{Reason, Status};
use super::tree::Tree;
use super::vocabulary::Rule;

/// More conditions than this do not make a sentence clearer.
const DECIDING: usize = 3;

/// The answer over all criteria, before the awards.
pub(super) struct Judged<'a> {
    pub category: Option<&'a str>,
    pub status: Status,
    pub reason: Option<Reason>,
    pub would_be: Option<Status>,
    /// `None` when no rule could be chosen.
    pub tree: Option<Tree>,
    pub uses: Vec<String>,
}

impl<'a> Judged<'a> {
    fn nothing(category: Option<&'a str>, status: Status) -> Self {
        Self { category, status, reason: None, would_be: None, tree: None, uses: Vec::new() }
    }
}

impl Run<'_> {
    /// Everything the rules say about one subject.
    pub fn evaluate(&self, subject: &Subject, inputs: &Inputs) -> SubjectResult {
        let category = self.model.categories.iter().find(|(_, category)| category.subjects.contains(&subject.kind));
        let form = category.map_or(subject.form.as_deref(), |(_, c)| Some(&c.subject_form));
        let special = self.model.special_path.as_ref().filter(|_| self.special);
        let (criteria, judged) = match special {
            Some(path) => self.special(path, inputs),
            None => self.ordinary(category, inputs),
        };
        let scene = Scene { run: self, inputs, criteria: &criteria };
        let awards = outcome::awards(&scene, &judged, form);
        self.answer(subject, &criteria, judged, awards)
    }

    /// The answer of one criterion alone.
    pub(super) fn criterion(&self, id: &str, rule: &Rule, inputs: &Inputs) -> Tree {
        let scene = Scene { run: self, inputs, criteria: &BTreeMap::new() };
        scene.walk(rule, id)
    }

    fn special<'b>(&'b self, path: &'b SpecialPath, inputs: &Inputs) -> (BTreeMap<&'b str, Tree>, Judged<'b>) {
        let tree = self.criterion(&path.clause, &path.rule, inputs);
        let named = Tree::Criterion { id: path.clause.clone(), status: tree.status(), would_be: tree.would_be() };
        let mut judged = Judged::nothing(None, tree.status());
        judged.would_be = tree.would_differ();
        judged.tree = Some(named);
        (BTreeMap::from([(path.clause.as_str(), tree)]), judged)
    }

    fn ordinary<'b>(
        &'b self,
        category: Option<(&'b str, &'b Category)>,
        inputs: &Inputs,
    ) -> (BTreeMap<&'b str, Tree>, Judged<'b>) {
        let Some((id, category)) = category else {
            // Nobody's criteria: there is nothing this subject could meet or miss.
            let judged = Judged::nothing(None, Status::NotApplicable);
            return (BTreeMap::new(), judged);
        };
        self.category(id, category, inputs)
    }

    /// The answer of one category, with the trees of the criteria its combination names.
    pub(super) fn category<'b>(
        &'b self,
        id: &'b str,
        category: &'b Category,
        inputs: &Inputs,
    ) -> (BTreeMap<&'b str, Tree>, Judged<'b>) {
        let combine = &category.combine;
        let choose = combine.choose.as_ref().map(|choose| choose.param.as_str());
        let chosen = choose.and_then(|name| self.params.get(name));
        let option = chosen.and_then(|chosen| chosen.value.as_ref());
        let rule = match (choose, option) {
            (None, _) => combine.rule.as_ref(),
            (Some(_), option) => option.and_then(|value| combine.options.get(&value.to_string())),
        };
        let mut judged = Judged::nothing(Some(id), Status::Insufficient);
        judged.uses.extend(choose.map(str::to_owned));
        let Some(rule) = rule else {
            judged.reason = Some(Reason::ParameterUnset);
            return (BTreeMap::new(), judged);
        };
        let criteria = self.named_criteria(rule, inputs);
        let scene = Scene { run: self, inputs, criteria: &criteria };
        let tree = scene.walk(rule, id);
        let adopted = combine.status == Decision::Adopted && choose.is_none_or(|name| !self.holds_back(name));
        if self.mode == Mode::Official && !adopted {
            judged.reason = Some(Reason::ParameterNotAdopted);
            judged.would_be = Some(tree.would_be());
        } else {
            judged.status = tree.status();
            judged.would_be = tree.would_differ();
        }
        judged.tree = Some(tree);
        (criteria, judged)
    }

    fn named_criteria<'b>(&'b self, rule: &'b Rule, inputs: &Inputs) -> BTreeMap<&'b str, Tree> {
        let names: BTreeSet<&str> = rule.criteria().into_iter().collect();
        let asked = self.model.criteria.iter();
        let asked = asked.filter(|(id, _)| names.contains(id));
        asked.map(|(id, criterion)| (id, self.criterion(id, &criterion.rule, inputs))).collect()
    }

    fn answer(
        &self,
        subject: &Subject,
        criteria: &BTreeMap<&str, Tree>,
        judged: Judged<'_>,
        awards: Awards,
    ) -> SubjectResult {
        let near = judged.tree.as_ref().and_then(|tree| near_miss(tree, criteria));
        let own = judged.tree.iter().flat_map(Tree::steps);
        SubjectResult {
            subject: SubjectRef { id: subject.id, kind: subject.kind.clone() },
            category: judged.category.map(str::to_owned),
            round: self.round_id.to_owned(),
            special: self.special,
            as_of: self.as_of.to_string(),
            status: judged.status,
            reason: judged.reason,
            would_be: judged.would_be,
            steps: own.cloned().collect(),
            next: self.next(criteria, &judged, &awards),
            readings_used: self.readings(criteria, &judged, &awards),
            near_miss: near,
            criteria: self.explained(criteria),
            awards: awards.results,
        }
    }

    fn explained(&self, criteria: &BTreeMap<&str, Tree>) -> Vec<CriterionResult> {
        if let Some(path) = self.model.special_path.as_ref().filter(|_| self.special) {
            let trees = criteria.values();
            return trees.map(|tree| explain(&path.clause, &path.target, "mixed", tree)).collect();
        }
        let all = self.model.criteria.iter();
        let asked = all.filter_map(|(id, criterion)| Some((id, criterion, criteria.get(id)?)));
        asked.map(|(id, Criterion { title, kind, .. }, tree)| explain(id, title, kind, tree)).collect()
    }

    /// What would settle what is open; a criterion that is settled asks nobody for anything.
    fn next(&self, criteria: &BTreeMap<&str, Tree>, judged: &Judged<'_>, awards: &Awards) -> Vec<NextStep> {
        let open = |tree: &&Tree| tree.status() == Status::Insufficient;
        let asked = self.model.criteria.iter().filter_map(|(id, _)| criteria.get(id));
        let special = criteria.values().filter(|_| self.special);
        let steps = judged.tree.iter().chain(asked).chain(special).filter(open);
        let pending = awards.results.iter().filter(|award| award.outcome == AwardOutcome::InsufficientEvidence);
        let extra = pending.clone().flat_map(|award| &award.steps);
        let mut next: Vec<NextStep> = Vec::new();
        for step in steps.flat_map(Tree::steps).chain(extra) {
            if step.status == Status::Insufficient {
                next.extend(step.missing.iter().map(next_step));
            }
        }
        // Nobody is asked to nominate for what may still fail on its criteria.
        for award in pending.filter(|award| award.because == ["nomination"]) {
            next.push(nominate(&award.award, self.special_dossier()));
        }
        let mut seen = BTreeSet::new();
        next.retain(|step| seen.insert(step.clone()));
        next
    }

    /// Who completes the file of a special case.
    fn special_dossier(&self) -> Option<String> {
        let path = self.model.special_path.as_ref().filter(|_| self.special)?;
        path.dossier_by.clone()
    }

    fn readings(&self, criteria: &BTreeMap<&str, Tree>, judged: &Judged<'_>, awards: &Awards) -> Vec<ReadingUsed> {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        names.extend(criteria.values().flat_map(Tree::uses));
        names.extend(judged.tree.iter().flat_map(Tree::uses));
        names.extend(judged.uses.iter().chain(&awards.uses).map(String::as_str));
        names.extend(self.cut_off);
        let parameters = names.into_iter().filter_map(|name| {
            let chosen = self.params.get(name)?;
            Some(ReadingUsed {
                kind: "parameter",
                name: name.to_owned(),
                value: chosen.value.as_ref().map(ToString::to_string),
                status: chosen.status,
            })
        });
        let category = judged.category.and_then(|id| self.model.categories.get(id));
        let combination = category.map(|category| ReadingUsed {
            kind: "combination",
            name: category.clause.clone(),
            value: None,
            status: category.combine.status,
        });
        let special = self.model.special_path.as_ref().filter(|_| self.special);
        let clause = special
            .map_or_else(|| category.map(|category| category.clause.as_str()), |path| Some(path.clause.as_str()));
        let clauses: Vec<&str> = clause.into_iter().chain([self.round.clause.as_str()]).collect();
        let readings = self.model.rule_set.readings.iter();
        let readings =
            readings.filter(|reading| clauses.iter().any(|clause| concerns(&reading.clause, clause))).map(|reading| {
                ReadingUsed {
                    kind: "reading",
                    name: reading.clause.clone(),
                    value: Some(reading.reading.clone()),
                    status: reading.status,
                }
            });
        parameters.chain(combination).chain(readings).collect()
    }
}

/// Whether a reading of `III.2.2.d`, `III.2.2` or `III.2.1-III.2.6` concerns the clause `III.2.2`.
fn concerns(reading: &str, clause: &str) -> bool {
    match reading.split_once('-') {
        Some((first, last)) => first <= clause && clause <= last,
        None => {
            let inside = reading.strip_prefix(clause);
            inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }
    }
}

fn explain(id: &str, text: &str, kind: &str, tree: &Tree) -> CriterionResult {
    let status = tree.status();
    let steps: Vec<Step> = tree.steps().into_iter().cloned().collect();
    let deciding: Vec<&Say> =
        steps.iter().filter(|step| step.status == status).map(|step| &step.say).take(DECIDING).collect();
    CriterionResult {
        id: id.to_owned(),
        clause: id.to_owned(),
        text: text.to_owned(),
        kind: kind.to_owned(),
        status,
        would_be: tree.would_differ(),
        say: say::criterion(status, tree.would_differ(), &deciding),
        steps,
    }
}

fn next_step(missing: &Missing) -> NextStep {
    let verb = match (missing.kind, missing.reason) {
        ("parameter", _) => "decide",
        (_, Reason::Disputed) => "resolve",
        ("attestation", _) => "attest",
        ("record", Reason::MissingRecords) => "close_register",
        _ => "report",
    };
    NextStep {
        r#do: verb,
        kind: missing.kind,
        name: missing.name.clone(),
        period: missing.period.clone(),
        by: missing.owner.clone(),
        reason: Some(missing.reason),
    }
}

fn nominate(award: &str, by: Option<String>) -> NextStep {
    NextStep { r#do: "nominate", kind: "nomination", name: award.to_owned(), period: None, by, reason: None }
}
