//! Whether the other units have room for what is said of one: what [`fit`] and [`succession`] judge, asked of the tables.
//!
//! Of an amendment only what it changes is judged: what an act or a file did since does not stand in the way of a name.

use uuid::Uuid;

use super::store::{self, unit};
use super::{UnitDraft, fit, lifetime, succession};
use crate::db::WriteTx;
use crate::error::{Code, Error, Fault};

/// Refuses a new unit that others contradict.
pub async fn registration(tx: &WriteTx<'_>, new: &UnitDraft) -> Result<(), Error> {
    refuse(fit::faults(new, None, &store::lineage(tx.conn()).await?, ""))?;
    no_code_twice(tx, None, new).await
}

/// Refuses an amendment that other units or recorded acts contradict.
pub async fn amendment(tx: &WriteTx<'_>, old: &unit::Model, new: &UnitDraft) -> Result<(), Error> {
    let before = old.draft()?;
    let lineage = store::lineage(tx.conn()).await?;
    let moved = !lifetime::same(&before, new);
    if moved {
        succession::keeps(old.id, new, &store::standing(tx.conn()).await?)?;
        let (vi, en) = ("còn đơn vị trực thuộc ngoài thời gian ấy", "other units stand under it outside of these days");
        nobody_loses_it("/unit", vi, en, &fit::orphans(old.id, new, &lineage))?;
    }
    refuse(fit::faults(new, Some(&before), &lineage, "/unit"))?;
    if before.kinds != new.kinds {
        let (vi, en) =
            ("còn đơn vị trực thuộc không thể ở dưới loại này", "units stand under it that cannot under this kind");
        nobody_loses_it("/unit/kinds", vi, en, &fit::outranked(old.id, new, &lineage))?;
    }
    if moved || before.codes != new.codes {
        no_code_twice(tx, Some(old.id), new).await?;
    }
    Ok(())
}

/// Refuses a code that another unit bears on the same day.
pub async fn no_code_twice(tx: &WriteTx<'_>, unit: Option<Uuid>, draft: &UnitDraft) -> Result<(), Error> {
    for code in &draft.codes {
        let bearers = store::candidates(tx.conn(), "code", &code.value).await?;
        for bearer in bearers.iter().filter(|bearer| Some(bearer.unit_id) != unit) {
            let row = store::find(tx.conn(), bearer.unit_id).await?;
            let row = row.ok_or_else(|| Error::internal("a code without its unit"))?;
            if fit::shared_code(draft, &row.draft()?).is_some() {
                return Err(Error::new(Code::AlreadyExists).member("unit", row.id.to_string()));
            }
        }
    }
    Ok(())
}

fn refuse(faults: Vec<Fault>) -> Result<(), Error> {
    if faults.is_empty() { Ok(()) } else { Err(Error::new(Code::InvalidValue).with(faults)) }
}

fn nobody_loses_it(pointer: &'static str, vi: &'static str, en: &'static str, units: &[Uuid]) -> Result<(), Error> {
    if units.is_empty() {
        return Ok(());
    }
    let units: Vec<String> = units.iter().map(Uuid::to_string).collect();
    Err(Error::invalid(pointer, vi, en).member("units", units))
}
