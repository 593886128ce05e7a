//! What the rules say about each award of a round, from the highest down.
//!
//! Lives here: eligibility, one award per achievement, "superseded if". Never here: quotas and ties, which need the
//! whole field; nor a decision, which is the Council's.

use std::collections::BTreeMap;

use super::evaluate::Scene;
use super::explain::{AwardOutcome, AwardResult, Say, Step};
use super::judge::Judged;
use super::labels::Words;
use super::model::{Award, KeyPart};
use super::say;
use super::status::Status;
use super::tree::Tree;

/// The awards of a subject, and the parameters they depended on.
pub(super) struct Awards {
    pub results: Vec<AwardResult>,
    pub uses: Vec<String>,
}

/// Conditions known not to hold, and conditions not decided.
#[derive(Default)]
struct Grounds {
    against: Vec<String>,
    open: Vec<String>,
}

impl Grounds {
    fn outcome(self) -> (AwardOutcome, Vec<String>) {
        if !self.against.is_empty() {
            (AwardOutcome::NotEligible, self.against)
        } else if !self.open.is_empty() {
            (AwardOutcome::InsufficientEvidence, self.open)
        } else {
            (AwardOutcome::Recommended, Vec::new())
        }
    }
}

/// Goes through all awards of the rule set, highest first.
pub(super) fn awards(scene: &Scene<'_>, judged: &Judged<'_>, form: Option<&str>) -> Awards {
    let mut ranked: Vec<(&str, &Award)> = scene.run.model.awards.iter().collect();
    ranked.sort_by_key(|(_, award)| std::cmp::Reverse(award.rank));
    let mut uses = Vec::new();
    let mut results: Vec<AwardResult> = Vec::new();
    for (id, award) in ranked {
        let mut result = one(scene, judged, form, id, award, &mut uses);
        give_way(&mut result, &results);
        result.say = sentence(scene.run.words(), &result);
        results.push(result);
    }
    Awards { results, uses }
}

fn one(
    scene: &Scene<'_>,
    judged: &Judged<'_>,
    form: Option<&str>,
    id: &str,
    award: &Award,
    uses: &mut Vec<String>,
) -> AwardResult {
    let mut result = AwardResult {
        award: id.to_owned(),
        name: award.name.clone(),
        decided_by: award.decided_by.clone(),
        outcome: AwardOutcome::NotInRound,
        because: Vec::new(),
        superseded_if: Vec::new(),
        steps: Vec::new(),
        nomination: Vec::new(),
        say: Say { vi: String::new(), en: String::new() },
    };
    if !scene.run.round.awards.iter().any(|other| other == id) {
        return result;
    }
    let mut grounds = Grounds::default();
    subject_form(scene, form, &mut grounds);
    issuer(scene, award, &mut grounds);
    criteria(judged, &mut grounds);
    if let Some(rule) = &award.extra {
        let tree = scene.walk(rule, &format!("{id}/extra"));
        extra(&tree, &mut grounds);
        uses.extend(tree.uses().into_iter().map(str::to_owned));
        result.steps = tree.steps().into_iter().cloned().collect();
    }
    match scene.inputs.nominations.get(id) {
        Some(nomination) => result.nomination.clone_from(nomination),
        None => grounds.open.push("nomination".to_owned()),
    }
    let given = already_given(scene, &mut grounds, uses);
    (result.outcome, result.because) = grounds.outcome();
    if let Some(given) = given
        && result.outcome != AwardOutcome::NotEligible
    {
        result.outcome = AwardOutcome::WithheldSameAchievement;
        result.because = vec![format!("award:{given}")];
    }
    result
}

/// Ids are said by what they name; a clause and the place of a condition are said as they are.
fn sentence(words: Words<'_>, result: &AwardResult) -> Say {
    let said = |cause: &String| match cause.split_once(':') {
        Some(("award", id)) => words.award(id),
        Some(("parameter", id)) => words.parameter(id),
        _ => super::words::cause(cause).unwrap_or_else(|| words.question(cause)),
    };
    let because: Vec<Say> = result.because.iter().map(said).collect();
    let superseded: Vec<Say> = result.superseded_if.iter().map(|id| words.award(id)).collect();
    say::award(&words.award(&result.award), result.outcome, &because, &superseded)
}

fn subject_form(scene: &Scene<'_>, form: Option<&str>, grounds: &mut Grounds) {
    let run = scene.run;
    let special = run.model.special_path.as_ref().filter(|_| run.special);
    let allowed = special.map_or(&run.round.subject_forms, |path| &path.subject_forms);
    if form.is_none_or(|form| !allowed.iter().any(|other| other == form)) {
        grounds.against.push("subject_form".to_owned());
    }
}

/// An award outside its validity has nobody who could give it.
fn issuer(scene: &Scene<'_>, award: &Award, grounds: &mut Grounds) {
    let day = scene.run.as_of;
    let early = award.valid_from.is_some_and(|from| day < from);
    let late = award.valid_to.is_some_and(|to| day > to);
    let dated = award.valid_from.is_some() || award.valid_to.is_some();
    let held_back = scene.run.cut_off.filter(|cut_off| scene.run.holds_back(cut_off));
    match held_back {
        Some(_) if dated => grounds.open.push("cut_off".to_owned()),
        _ if early || late => grounds.against.push("no_issuer".to_owned()),
        _ => {}
    }
}

fn criteria(judged: &Judged<'_>, grounds: &mut Grounds) {
    let named = |status: Status| -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for (id, other) in judged.tree.iter().flat_map(Tree::criteria) {
            if other == status && !ids.iter().any(|known| known == id) {
                ids.push(id.to_owned());
            }
        }
        let own = judged.tree.iter().flat_map(Tree::steps);
        ids.extend(own.filter(|step| step.status == status).map(|step| step.path.clone()));
        ids
    };
    match judged.status {
        Status::Met => {}
        Status::NotApplicable if judged.category.is_none() && judged.tree.is_none() => {
            grounds.against.push("no_category".to_owned());
        }
        Status::NotApplicable => grounds.against.push("not_applicable".to_owned()),
        Status::NotMet => grounds.against.extend(named(Status::NotMet)),
        Status::Insufficient => {
            let open = named(Status::Insufficient);
            if judged.reason.is_some() {
                grounds.open.push("combination".to_owned());
            }
            grounds.open.extend(open);
        }
    }
}

fn extra(tree: &Tree, grounds: &mut Grounds) {
    let named = |status: Status| {
        let steps = tree.steps().into_iter();
        let steps = steps.filter(move |step| step.status == status);
        steps.map(statement).collect::<Vec<String>>()
    };
    match tree.status() {
        Status::Met | Status::NotApplicable => {}
        Status::NotMet => grounds.against.extend(named(Status::NotMet)),
        Status::Insufficient => grounds.open.extend(named(Status::Insufficient)),
    }
}

/// An attestation is named by its id, any other condition by its place.
fn statement(step: &Step) -> String {
    let statement = step.required.get("statement").and_then(|id| id.as_str());
    statement.unwrap_or(&step.path).to_owned()
}

/// The award already given for the same achievement, if any.
fn already_given(scene: &Scene<'_>, grounds: &mut Grounds, uses: &mut Vec<String>) -> Option<String> {
    let rule = scene.run.model.allocation.one_award_per_achievement.as_ref()?;
    let held = scene.inputs.held_awards.iter();
    let held: BTreeMap<&str, &str> = held
        .filter(|(_, award)| award.held == Some(true))
        .filter_map(|(id, award)| Some((id.as_str(), award.round.as_deref()?)))
        .collect();
    let here = held.iter().find(|(_, round)| **round == scene.run.round_id);
    if let Some((id, _)) = here {
        return Some((*id).to_owned());
    }
    let (id, _) = held.first_key_value()?;
    // Only an award of another round makes the reading of "one achievement" matter.
    let scope = rule.key.iter().find_map(|part| match part {
        KeyPart::Param(reference) => Some(reference.param.as_str()),
        KeyPart::Word(_) => None,
    })?;
    uses.push(scope.to_owned());
    let value = scene.run.params.get(scope).and_then(|c| c.value.as_ref());
    if value.is_none() || scene.run.holds_back(scope) {
        grounds.open.push(format!("parameter:{scope}"));
        return None;
    }
    let whole = value.is_some_and(|value| value.to_string() == "whole_campaign");
    whole.then(|| (*id).to_owned())
}

/// One achievement, one award: below a recommended one all others are withheld; below a possible one the lower award
/// is still recommended, for nobody loses a certificate to a pending paper.
fn give_way(result: &mut AwardResult, higher: &[AwardResult]) {
    let open = matches!(result.outcome, AwardOutcome::Recommended | AwardOutcome::InsufficientEvidence);
    if !open {
        return;
    }
    let recommended = |other: &&AwardResult| other.outcome == AwardOutcome::Recommended;
    if let Some(taken) = higher.iter().find(recommended) {
        result.outcome = AwardOutcome::WithheldSameAchievement;
        result.because = vec![format!("award:{}", taken.award)];
    } else if result.outcome == AwardOutcome::Recommended {
        let possible = higher.iter().filter(|other| other.outcome == AwardOutcome::InsufficientEvidence);
        result.superseded_if = possible.map(|other| other.award.clone()).collect();
    }
}
