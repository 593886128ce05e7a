//! Whether a nomination may be filed as a draft says: round and award form are known, the subject exists at the cut-off, the
//! nominator is entitled and nothing stands yet. In the filing transaction.

use chrono::NaiveDate;
use uuid::Uuid;

use super::view::Sides;
use super::{NominationDraft, NominationPath, store};
use crate::activities;
use crate::auth::Permit;
use crate::auth::policy::permit::Nominate;
use crate::campaigns::{self, definition::AwardForm};
use crate::db::WriteTx;
use crate::error::{Code, Error};
use crate::units;

/// 422 with a pointer unless the campaign knows round and award form and both units exist, the subject at the cut-off.
pub async fn references(tx: &WriteTx<'_>, draft: &NominationDraft, filed_on: NaiveDate) -> Result<(), Error> {
    let definition = campaigns::store::definition(tx.conn(), draft.campaign).await?;
    let round = definition
        .round(&draft.round)
        .ok_or_else(|| Error::invalid("/round", "phong trào không có đợt này", "the campaign has no such round"))?;
    if filed_on < definition.starts_on {
        let (vi, en) = ("trước ngày bắt đầu phong trào", "is before the campaign began");
        return Err(Error::invalid("/filed_on", vi, en));
    }
    let known = match draft.path {
        NominationPath::Normal => round.award_forms.contains(&draft.award_form),
        // A special case is considered at any time, for any form.
        NominationPath::Special => definition.award_form(&draft.award_form).is_some(),
    };
    if !known {
        let (vi, en) = ("đợt này không có hình thức khen thưởng này", "is no award form of this round");
        return Err(Error::invalid("/award_form", vi, en));
    }
    if let Some(form) = definition.award_form(&draft.award_form) {
        can_be_conferred(form, filed_on)?;
    }
    exists_on(tx, draft.unit, round.as_of).await?;
    if draft.path == NominationPath::Normal {
        is_judged(tx, draft, round.as_of).await?;
    }
    files_on(tx, draft.nominator_unit, filed_on).await
}

/// 422 for a form that nobody can confer on the day of the filing.
fn can_be_conferred(form: &AwardForm, day: NaiveDate) -> Result<(), Error> {
    if let Some(last) = form.valid_to.filter(|last| *last < day) {
        let vi = format!("từ sau ngày {last} không còn ai có thẩm quyền tặng hình thức này");
        return Err(Error::invalid("/award_form", vi, format!("nobody can confer it after {last}")));
    }
    if let Some(first) = form.valid_from.filter(|first| *first > day) {
        let vi = format!("trước ngày {first} chưa ai có thẩm quyền tặng hình thức này");
        return Err(Error::invalid("/award_form", vi, format!("nobody can confer it before {first}")));
    }
    Ok(())
}

/// 422 unless the nominator is there on the day of the filing.
async fn files_on(tx: &WriteTx<'_>, nominator: Uuid, day: NaiveDate) -> Result<(), Error> {
    let row = units::store::find(tx.conn(), nominator).await?;
    let row = row.ok_or_else(|| Error::invalid("/nominator_unit", "không có đơn vị này", "there is no such unit"))?;
    if row.exists_from <= day && row.exists_to.is_none_or(|to| day <= to) {
        return Ok(());
    }
    let vi = format!("đơn vị này không tồn tại vào ngày lập hồ sơ {day}");
    Err(Error::invalid("/nominator_unit", vi, format!("the unit does not exist on {day}, when it files")))
}

/// A round's subjects are the units that exist at its cut-off.
async fn exists_on(tx: &WriteTx<'_>, unit: Uuid, day: NaiveDate) -> Result<(), Error> {
    let row = units::store::find(tx.conn(), unit).await?;
    let row = row.ok_or_else(|| Error::invalid("/unit", "không có đơn vị này", "there is no such unit"))?;
    if row.exists_from <= day && row.exists_to.is_none_or(|to| day <= to) {
        return Ok(());
    }
    let vi = format!("đơn vị không tồn tại vào ngày chốt {day}");
    Err(Error::invalid("/unit", vi, format!("the unit does not exist on the cut-off {day}")))
}

/// 422 unless the round's rule set has criteria for a subject of this kind. The special path is open to everybody.
async fn is_judged(tx: &WriteTx<'_>, draft: &NominationDraft, as_of: NaiveDate) -> Result<(), Error> {
    let rule_set = campaigns::store::rule_set(tx.conn(), draft.campaign, &draft.round).await?;
    let lineage = units::store::lineage(tx.conn()).await?;
    let kind = lineage.kind(draft.unit, as_of);
    if kind.is_some_and(|kind| rule_set.model().judges(kind.as_str())) {
        return Ok(());
    }
    let (vi, en) =
        ("đợt này không có nhóm tiêu chí cho loại đơn vị ấy", "no category of this round has units of its kind");
    Err(Error::invalid("/unit", vi, en))
}

/// 403 or 404 unless the caller may nominate from where it stands; 422 if the nominator is not the one that the path asks for.
pub fn nominator(permit: &Permit<Nominate>, draft: &NominationDraft, sides: &Sides) -> Result<(), Error> {
    permit.require(sides.acting(draft.path))?;
    let pointer = "/nominator_unit";
    match draft.path {
        NominationPath::Normal if !sides.subject.covered_by.contains(&draft.nominator_unit) => {
            let vi = "không phải là đối tượng hoặc đơn vị cấp trên của đối tượng";
            Err(Error::invalid(pointer, vi, "is neither the subject nor a unit above it"))
        }
        // Nobody nominates in the name of a unit above its own.
        NominationPath::Normal if !permit.may(&sides.nominator) => Err(Code::Forbidden.into()),
        NominationPath::Special if draft.nominator_unit == draft.unit => {
            let vi = "đơn vị nhận hỗ trợ phải khác đơn vị hỗ trợ";
            Err(Error::invalid(pointer, vi, "the receiving unit is another one than the giver"))
        }
        _ => Ok(()),
    }
}

/// On the special path (III.3.4) the nominator is a unit that received help from the subject.
pub async fn was_helped(tx: &WriteTx<'_>, draft: &NominationDraft, filed_on: NaiveDate) -> Result<(), Error> {
    let NominationDraft { campaign, unit, nominator_unit, .. } = draft;
    if draft.path == NominationPath::Normal
        || activities::store::was_helped(tx.conn(), *campaign, *unit, *nominator_unit, filed_on).await?
    {
        return Ok(());
    }
    let vi = "đơn vị này chưa nhận hỗ trợ của đối tượng";
    Err(Error::invalid("/nominator_unit", vi, "has not received anything from the subject"))
}

/// 409 if a nomination for the same subject, round, path and award form stands.
pub async fn nothing_stands(tx: &WriteTx<'_>, draft: &NominationDraft) -> Result<(), Error> {
    store::lock(tx, draft).await?;
    match store::standing(tx.conn(), draft).await? {
        None => Ok(()),
        // Which one is not said: on the special path it may be one that the caller does not see.
        Some(_) => Err(Code::AlreadyExists.into()),
    }
}
