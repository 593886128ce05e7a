//! What a campaign file says, typed: clauses, legal bases, rounds, award forms, kinds of activity and support, and who
//! answers for what from when. Pure.
//!
//! Nothing legal is a constant in code: other rooms ask the [`Definition`].

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::wording::{self, Wording};
use crate::auth::Role;
use crate::recommendations::rules::{Decision, Labels};
use crate::units::UnitKind;
use crate::words;
use crate::yaml::{Document, Finding};

/// The format that this version reads.
pub const FORMAT: &str = "campaign/1";

words! {
    /// How a clause is proven.
    pub enum ClauseKind {
        /// A number that can be computed.
        Computed = "computed",
        /// Kept in time.
        Timeliness = "timeliness",
        /// A fact proven by a document.
        Document = "document",
        /// The judgement of an assessor.
        Judgement = "judgement",
        /// No criterion of its own.
        None = "none",
    }
}

words! {
    /// How sure a legal basis is.
    pub enum Certainty {
        /// The text itself or an official page quoting it was read.
        High = "high",
        /// A law portal, the press, or two weaker sources.
        Medium = "medium",
        /// One unofficial source or an unverified reading.
        Low = "low",
    }
}

words! {
    /// How the holder of a body follows from the subject.
    pub enum Resolves {
        /// The commune of the subject.
        CommuneOfSubject = "commune_of_subject",
        /// The village of the subject.
        SubjectVillage = "subject_village",
        /// The unit that directly manages the subject.
        ParentOfSubject = "parent_of_subject",
        /// The unit that received the help.
        ReceivingUnit = "receiving_unit",
    }
}

/// A text in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BilingualText)]
pub struct Text {
    /// Vietnamese.
    #[schema(max_length = 2000, example = "Sơ kết năm 2023")]
    pub vi: String,
    /// English.
    #[schema(max_length = 2000, example = "Mid-term round 2023")]
    pub en: String,
}

/// Something with an id and a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CampaignEntry)]
pub struct Named {
    /// Stable id.
    #[schema(max_length = 100, example = "capital")]
    pub id: String,
    /// Its name.
    pub title: Text,
}

/// A legal document with the days on which it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LegalBasis {
    /// Stable id.
    #[schema(max_length = 100, example = "LUAT2022")]
    pub id: String,
    /// Its number.
    #[schema(max_length = 2000, example = "06/2022/QH15")]
    pub number: String,
    /// Its title in own words.
    pub title: Text,
    /// The day of issue, if known.
    pub issued_on: Option<NaiveDate>,
    /// Who issued it.
    pub issuer: Text,
    /// First day; not known if null.
    pub valid_from: Option<NaiveDate>,
    /// Last day; open or not known if null.
    pub valid_to: Option<NaiveDate>,
    /// How sure this entry is.
    pub certainty: Certainty,
    /// Where it was read.
    #[schema(max_length = 2000)]
    pub source: String,
    /// What to mind.
    pub note: Option<Text>,
}

/// A clause of the plan in own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// The plan's numbering.
    #[schema(max_length = 100, example = "III.2.2.d")]
    pub id: String,
    /// The clause around it.
    #[schema(max_length = 100, example = "III.2.2")]
    pub parent: Option<String>,
    /// A short restatement, never a quotation.
    pub text: Text,
    /// How it is proven.
    pub kind: ClauseKind,
    /// Where the reading differs from the damaged scan.
    pub corrections: Option<Text>,
}

/// A kind of activity that is reported (plan II).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivityKind {
    /// The clause that asks for it.
    #[schema(max_length = 100, example = "II.d")]
    pub id: String,
    /// Its name.
    pub title: Text,
    /// Kinds of units that may report it.
    #[schema(max_items = 1000)]
    pub open_to: Vec<UnitKind>,
}

/// A time at which subjects are considered (plan III.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CampaignRound)]
pub struct Round {
    /// Stable id.
    #[schema(max_length = 100, example = "mid")]
    pub id: String,
    /// Its name.
    pub title: Text,
    /// The clause that sets it.
    #[schema(max_length = 100, example = "III.3.2")]
    pub clause: String,
    /// The cut-off: the day at which everything is read.
    pub as_of: NaiveDate,
    /// Whether the cut-off was decided.
    pub as_of_status: Decision,
    /// Award forms that it can lead to.
    #[schema(max_items = 1000)]
    pub award_forms: Vec<String>,
}

/// A form of award (hình thức khen thưởng); titles are another list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AwardForm {
    /// Stable id.
    #[schema(max_length = 100, example = "bang_khen_tinh")]
    pub id: String,
    /// Higher is higher.
    #[schema(minimum = 1, maximum = 1000)]
    pub rank: u16,
    /// Its name.
    pub title: Text,
    /// The clause that names it.
    #[schema(max_length = 100, example = "III.3.1.c")]
    pub clause: String,
    /// Who decides it.
    pub authority: Text,
    /// First day on which somebody can decide it.
    pub valid_from: Option<NaiveDate>,
    /// Last day on which somebody can decide it.
    pub valid_to: Option<NaiveDate>,
    /// The legal document that it rests on.
    #[schema(max_length = 100, example = "KH")]
    pub legal_basis: String,
}

/// Who holds an attesting body, and from when to when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The unit.
    pub unit: Uuid,
    /// First day.
    pub from: NaiveDate,
    /// Last day; open if null.
    pub to: Option<NaiveDate>,
    /// Who answers when the holder is itself the subject.
    pub alternate: Option<Uuid>,
}

/// A body that answers questions and owns what the rules read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestingBody {
    /// Stable id; the rule set's role.
    #[schema(max_length = 100, example = "phong_noi_vu")]
    pub body: String,
    /// Its name.
    pub title: Text,
    /// True if the plan itself names it.
    pub in_plan: bool,
    /// How the holder follows from the subject; null if `holders` says it.
    pub resolves: Option<Resolves>,
    /// The role whose holders, over the subject, confirm what the body owns; null: the head of the holding unit.
    #[serde(default)]
    pub role: Option<Role>,
    /// Holders in order of time.
    #[schema(max_items = 1000)]
    pub holders: Vec<Holder>,
}

/// A rule file and the rounds that it serves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// The file's name beside the campaign file.
    pub file: String,
    /// Its rounds.
    pub rounds: Vec<String>,
    /// What its names are called; campaigns that were loaded before there were words have none.
    #[serde(default)]
    pub words: Wording,
}

/// A place where the plan is not clear and somebody has to decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenReading {
    /// The clause.
    #[schema(max_length = 100, example = "III.2.2.d")]
    pub clause: String,
    /// What has to be decided.
    pub question: Text,
}

/// Everything that a campaign file says, with its units by id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// `campaign/1`.
    pub format: String,
    /// Identity, for ever.
    pub id: Uuid,
    /// A readable name for commands and folders.
    pub code: String,
    /// The campaign's name.
    pub title: Text,
    /// First day.
    pub starts_on: NaiveDate,
    /// Last day.
    pub ends_on: NaiveDate,
    /// The unit that runs it.
    pub owner: Uuid,
    /// Movements that it is linked with.
    pub linked_movements: Vec<Named>,
    /// Legal documents.
    pub legal_bases: Vec<LegalBasis>,
    /// Every clause, each after its parent.
    pub clauses: Vec<Clause>,
    /// Kinds of activity.
    pub activity_kinds: Vec<ActivityKind>,
    /// Kinds of support.
    pub support_kinds: Vec<Named>,
    /// Where or who the beneficiaries are.
    pub beneficiary_areas: Vec<Named>,
    /// Rounds in order of time.
    pub rounds: Vec<Round>,
    /// Forms of award, from low to high.
    pub award_forms: Vec<AwardForm>,
    /// Emulation titles.
    pub titles: Vec<Named>,
    /// Bodies that answer.
    pub attesting_bodies: Vec<AttestingBody>,
    /// Rule files by round.
    pub rule_sets: Vec<RuleFile>,
    /// What is not decided.
    pub readings_open: Vec<OpenReading>,
}

impl Definition {
    /// What sentences about a round call things.
    pub fn labels(&self, round: &str) -> Labels {
        let serves = |file: &&RuleFile| file.rounds.iter().any(|known| known == round);
        self.rule_sets.iter().find(serves).map_or_else(Labels::default, |file| wording::labels(self, file))
    }

    /// A round.
    pub fn round(&self, id: &str) -> Option<&Round> {
        self.rounds.iter().find(|round| round.id == id)
    }

    /// True if what is dated `day` counts in a round: from the campaign's first day to the round's cut-off.
    pub fn counts(&self, round: &str, day: NaiveDate) -> bool {
        self.round(round).is_some_and(|round| self.starts_on <= day && day <= round.as_of)
    }

    /// A kind of activity.
    pub fn activity_kind(&self, id: &str) -> Option<&ActivityKind> {
        self.activity_kinds.iter().find(|kind| kind.id == id)
    }

    /// A kind of support.
    pub fn support_kind(&self, id: &str) -> Option<&Named> {
        self.support_kinds.iter().find(|kind| kind.id == id)
    }

    /// Where or who beneficiaries are.
    pub fn beneficiary_area(&self, id: &str) -> Option<&Named> {
        self.beneficiary_areas.iter().find(|area| area.id == id)
    }

    /// A form of award.
    pub fn award_form(&self, id: &str) -> Option<&AwardForm> {
        self.award_forms.iter().find(|form| form.id == id)
    }

    /// A clause.
    pub fn clause(&self, id: &str) -> Option<&Clause> {
        self.clauses.iter().find(|clause| clause.id == id)
    }

    /// A legal document.
    pub fn legal_basis(&self, id: &str) -> Option<&LegalBasis> {
        self.legal_bases.iter().find(|basis| basis.id == id)
    }

    /// An attesting body.
    pub fn body(&self, id: &str) -> Option<&AttestingBody> {
        self.attesting_bodies.iter().find(|body| body.body == id)
    }

    /// Who holds a body on `day`; nobody if it resolves from the subject or has no holder then.
    pub fn holder(&self, body: &str, day: NaiveDate) -> Option<&Holder> {
        let holders = &self.body(body)?.holders;
        holders.iter().find(|held| held.from <= day && held.to.is_none_or(|to| day <= to))
    }
}

/// Reads a campaign file whose units are keys of the unit file. Without a unit file, which then has findings of its own,
/// the keys are not looked up.
pub fn read(document: &Document, units: Option<&BTreeMap<String, Uuid>>) -> (Option<Definition>, Vec<Finding>) {
    let mut value = document.value.clone();
    let mut findings = Vec::new();
    for path in unit_paths(&value) {
        let Some(place) = value.pointer_mut(&path) else { continue };
        let Some(key) = place.as_str() else { continue };
        let id = units.map_or(Some(Uuid::nil()), |units| units.get(key).copied());
        if id.is_none() {
            findings.push(document.finding(&path, format!("there is no unit {key}")));
        }
        *place = Value::String(id.unwrap_or_default().to_string());
    }
    match document.typed_as(&value) {
        Ok(definition) => (Some(definition), findings),
        Err(finding) => {
            findings.push(finding);
            (None, findings)
        }
    }
}

/// Where a campaign file names units.
fn unit_paths(value: &Value) -> Vec<String> {
    let mut paths = vec!["/owner".to_owned()];
    let entries = |value: &Value| value.as_array().map_or(0, Vec::len);
    for body in 0..entries(&value["attesting_bodies"]) {
        for holder in 0..entries(&value["attesting_bodies"][body]["holders"]) {
            let path = format!("/attesting_bodies/{body}/holders/{holder}");
            paths.extend([format!("{path}/unit"), format!("{path}/alternate")]);
        }
    }
    paths
}
