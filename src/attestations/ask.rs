//! Whether a question may be answered as a draft says: campaign, round, subject and statement are known, the statement
//! concerns the subject, some unit holds the body, and it has not answered yet. In the answering transaction.

use std::sync::Arc;

use chrono::NaiveDate;
use uuid::Uuid;

use super::AttestationDraft;
use super::holder::{self, Asked};
use super::store::{self, Question};
use crate::activities;
use crate::auth::scope;
use crate::campaigns::{self, Definition};
use crate::db::WriteTx;
use crate::error::{Code, Error, Fault};
use crate::units;

/// A question that the round's rule set asks about the subject, and the body that it asks.
pub struct Ask {
    definition: Arc<Definition>,
    /// The body.
    pub body: String,
}

impl Ask {
    /// 422 with a pointer unless the round asks this about a subject of this kind.
    pub async fn read(tx: &WriteTx<'_>, draft: &AttestationDraft, today: NaiveDate) -> Result<Self, Error> {
        let definition = campaigns::store::definition(tx.conn(), draft.campaign).await?;
        let rule_set = campaigns::store::rule_set(tx.conn(), draft.campaign, &draft.round).await?;
        let round = definition.round(&draft.round).ok_or_else(unknown_round)?;
        counts(&definition, round.as_of, draft.attested_on)?;
        let question = rule_set.model().attestations.get(&draft.statement).ok_or_else(unknown_statement)?;
        known(tx, draft.unit, "/unit").await?;
        let subject = scope::place(tx.conn(), draft.unit, round.as_of, today).await?;
        let kind = subject.kind.map(|kind| kind.as_str()).unwrap_or_default();
        if !rule_set.model().statements(&draft.round, kind).contains(draft.statement.as_str()) {
            let (vi, en) = ("câu hỏi này không dành cho loại đơn vị này", "is not asked about units of this kind");
            return Err(Error::invalid("/statement", vi, en));
        }
        let ask = Self { body: question.by.clone(), definition };
        ask.check_receiver(tx, draft).await?;
        Ok(ask)
    }

    /// A receiving unit is named exactly where it answers.
    async fn check_receiver(&self, tx: &WriteTx<'_>, draft: &AttestationDraft) -> Result<(), Error> {
        let pointer = "/receiving_unit";
        match (holder::asks_receiver(&self.definition, &self.body), draft.receiving_unit) {
            (false, None) => Ok(()),
            (false, Some(_)) => {
                let (vi, en) = ("câu hỏi này không do đơn vị nhận trả lời", "the receiving unit does not answer this");
                Err(Error::invalid(pointer, vi, en))
            }
            (true, None) => {
                let (vi, en) = ("cần nêu đơn vị đã nhận hỗ trợ", "the unit that received the help is needed");
                Err(Error::invalid(pointer, vi, en))
            }
            (true, Some(receiver)) => {
                known(tx, receiver, pointer).await?;
                if receiver == draft.unit {
                    return Err(about_itself(pointer));
                }
                Ok(())
            }
        }
    }

    /// A receiving unit answers only for help that it received. Asked once the caller may answer in its name: whether
    /// it was helped is not everybody's to know.
    pub async fn was_helped(&self, tx: &WriteTx<'_>, draft: &AttestationDraft) -> Result<(), Error> {
        let AttestationDraft { campaign, unit, attested_on, .. } = draft;
        let Some(receiver) = draft.receiving_unit else { return Ok(()) };
        if activities::store::was_helped(tx.conn(), *campaign, *unit, receiver, *attested_on).await? {
            return Ok(());
        }
        let (vi, en) = ("đơn vị này chưa nhận hỗ trợ của đối tượng", "has not received anything from the subject");
        Err(Error::invalid("/receiving_unit", vi, en))
    }

    /// The unit whose head answers; 409 if nobody holds the body that day.
    pub async fn holder(&self, tx: &WriteTx<'_>, draft: &AttestationDraft) -> Result<Uuid, Error> {
        let lineage = units::store::lineage(tx.conn()).await?;
        let asked = Asked { subject: draft.unit, day: draft.attested_on, receiving: draft.receiving_unit };
        let unit = holder::holder(&self.definition, &lineage, &self.body, asked);
        unit.ok_or_else(|| Error::new(Code::NoHolder).member("body", self.body.as_str()))
    }

    /// 409 if the unit's own answer to the same question stands: it is revoked first.
    pub async fn unanswered(&self, tx: &WriteTx<'_>, draft: &AttestationDraft, unit: Uuid) -> Result<(), Error> {
        let question = Question {
            campaign: draft.campaign,
            round: draft.round.clone(),
            unit: draft.unit,
            statement: draft.statement.clone(),
        };
        question.lock(tx).await?;
        let answers = store::valid(tx.conn(), &question).await?;
        match answers.iter().find(|row| row.attester_unit == unit) {
            None => Ok(()),
            Some(row) => Err(Error::new(Code::AlreadyExists).member("attestation", row.id.to_string())),
        }
    }
}

/// 422 unless an answer of this day counts in a round: the rules read what is dated from the campaign's first day to the
/// cut-off, and an answer that they do not read would only look like one.
fn counts(definition: &Definition, cut_off: NaiveDate, day: NaiveDate) -> Result<(), Error> {
    let pointer = "/attested_on";
    if day > cut_off {
        let (vi, en) =
            (format!("sau ngày chốt của đợt, {cut_off}"), format!("is after the round's cut-off, {cut_off}"));
        Err(Error::invalid(pointer, vi, en))
    } else if day < definition.starts_on {
        Err(Error::invalid(pointer, "trước ngày bắt đầu phong trào", "is before the campaign began"))
    } else {
        Ok(())
    }
}

async fn known(tx: &WriteTx<'_>, unit: Uuid, pointer: &str) -> Result<(), Error> {
    match units::store::find(tx.conn(), unit).await? {
        Some(_) => Ok(()),
        None => Err(Error::invalid(pointer, "không có đơn vị này", "there is no such unit")),
    }
}

/// The subject would answer about itself.
pub fn about_itself(pointer: &str) -> Error {
    let (vi, en) = ("đối tượng không tự xác nhận về mình", "the subject does not attest about itself");
    Error::at(Code::SeparationOfDuties, Fault::new(pointer, vi, en))
}

/// The campaign has no such round.
pub fn unknown_round() -> Error {
    Error::invalid("/round", "phong trào không có đợt này", "the campaign has no such round")
}

/// The round's rule set has no such question.
pub fn unknown_statement() -> Error {
    Error::invalid("/statement", "bộ quy tắc không có câu hỏi này", "the rule set has no such question")
}
