//! What an act of succession must fit: the lives of its units, and the acts that were recorded before it. Pure.
//!
//! A unit that takes in or goes on from others is a new unit from that day, even where it keeps name and code: of the
//! communes of 1 July 2025 one kept both. Its counts before that day are then those of whom it follows, whole, and
//! nobody can follow themselves: whoever follows began on the day after the others ended.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use uuid::Uuid;

use super::level::Level;
use super::lineage::{Life, Lineage};
use super::{SuccessionDraft, UnitDraft, at};
use crate::error::{Code, Error, Fault};

/// Recorded acts that were not annulled, by id.
pub type Acts = BTreeMap<Uuid, SuccessionDraft>;

/// Refuses an act that the units or the acts before contradict.
pub fn check(act: &SuccessionDraft, lineage: &Lineage, standing: &Acts) -> Result<(), Error> {
    known(act, lineage)?;
    not_ended_before(act, standing)?;
    let mut faults = Vec::new();
    predecessors(act, lineage, &mut faults);
    successors(act, lineage, &mut faults);
    refuse(faults)
}

/// The members of an act, each with its place in the request.
fn members(list: &'static str, units: &[Uuid]) -> impl Iterator<Item = (String, Uuid)> {
    units.iter().enumerate().map(move |(index, unit)| (format!("/{list}/{index}"), *unit))
}

fn known(act: &SuccessionDraft, lineage: &Lineage) -> Result<(), Error> {
    let all = members("predecessors", &act.predecessors).chain(members("successors", &act.successors));
    let unknown = all.filter(|(_, unit)| !lineage.lives.contains_key(unit));
    refuse(unknown.map(|(pointer, _)| Fault::new(pointer, "không có đơn vị này", "there is no such unit")).collect())
}

/// A unit ends once: a second act that ends it tells the first one again, or contradicts it.
fn not_ended_before(act: &SuccessionDraft, standing: &Acts) -> Result<(), Error> {
    for (pointer, unit) in members("predecessors", &act.predecessors) {
        let before = standing.iter().find(|(_, other)| other.predecessors.contains(&unit));
        if let Some((id, _)) = before {
            let (vi, en) = ("đã có văn bản chấm dứt đơn vị này", "an act that ends this unit is recorded already");
            let fault = Fault::new(pointer, vi, en);
            return Err(Error::at(Code::AlreadyExists, fault).member("succession", id.to_string()));
        }
    }
    Ok(())
}

fn predecessors(act: &SuccessionDraft, lineage: &Lineage, faults: &mut Vec<Fault>) {
    let last = act.effective_on.pred_opt();
    for (pointer, unit) in members("predecessors", &act.predecessors) {
        let Some(life) = lineage.lives.get(&unit) else { continue };
        if act.effective_on <= life.from {
            let (vi, en) = ("không sau ngày đơn vị bắt đầu", "is not after the first day of a unit that it ends");
            faults.push(Fault::new("/effective_on", vi, en));
        } else if life.to.is_some_and(|to| Some(to) < last) {
            faults.push(Fault::new(pointer, "đơn vị đã kết thúc trước đó", "the unit ended before"));
        }
    }
}

fn successors(act: &SuccessionDraft, lineage: &Lineage, faults: &mut Vec<Fault>) {
    let levels: Vec<Level> = act.predecessors.iter().filter_map(|unit| level_at_the_end(lineage, *unit, act)).collect();
    for (pointer, unit) in members("successors", &act.successors) {
        let Some(life) = lineage.lives.get(&unit) else { continue };
        if life.from != act.effective_on {
            let vi = "đơn vị kế tục phải bắt đầu đúng ngày thay đổi có hiệu lực, kể cả khi giữ tên và mã cũ";
            let en = "whoever follows begins on the day when the act takes effect, even with an old name and code";
            faults.push(Fault::new(pointer.clone(), vi, en));
        }
        let level = at(&life.kinds, act.effective_on).copied().map(Level::of);
        if level.is_none_or(|level| levels.iter().any(|other| *other != level)) {
            let vi = "loại đơn vị không tương xứng với đơn vị trước";
            faults.push(Fault::new(pointer.clone(), vi, "is of a kind that cannot follow its predecessors"));
        }
        if act.predecessors.iter().any(|predecessor| lineage.followed(*predecessor).contains(&unit)) {
            faults.push(Fault::new(pointer, "đơn vị sẽ kế tục chính nó", "the unit would follow itself"));
        }
    }
}

fn level_at_the_end(lineage: &Lineage, unit: Uuid, act: &SuccessionDraft) -> Option<Level> {
    let life = lineage.lives.get(&unit)?;
    at(&life.kinds, last_day(life, act.effective_on)?).copied().map(Level::of)
}

fn last_day(life: &Life, effective_on: NaiveDate) -> Option<NaiveDate> {
    let last = effective_on.pred_opt()?;
    Some(life.to.map_or(last, |to| to.min(last)))
}

/// Refuses a first or last day that a recorded act contradicts.
pub fn keeps(unit: Uuid, new: &UnitDraft, standing: &Acts) -> Result<(), Error> {
    for (id, act) in standing {
        let ends = act.predecessors.contains(&unit) && new.exists_to != act.effective_on.pred_opt();
        let begins = act.successors.contains(&unit) && new.exists_from != act.effective_on;
        if ends || begins {
            let pointer = if ends { "/unit/exists_to" } else { "/unit/exists_from" };
            let vi = "ngày này theo một văn bản đã ghi; muốn đổi phải hủy văn bản ấy trước";
            let en = "a recorded act of succession fixes this day; annul it first";
            return Err(Error::invalid(pointer, vi, en).member("succession", id.to_string()));
        }
    }
    Ok(())
}

fn refuse(faults: Vec<Fault>) -> Result<(), Error> {
    if faults.is_empty() { Ok(()) } else { Err(Error::new(Code::InvalidValue).with(faults)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::closure::Edge;
    use crate::units::{Dated, SuccessionKind, UnitKind};

    const OLD_A: Uuid = Uuid::from_u128(1);
    const OLD_B: Uuid = Uuid::from_u128(2);
    const NEW: Uuid = Uuid::from_u128(3);
    const OTHER: Uuid = Uuid::from_u128(4);
    const VILLAGE: Uuid = Uuid::from_u128(5);
    const PROVINCE: Uuid = Uuid::from_u128(6);

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn life(kind: UnitKind, from: &str, to: Option<&str>) -> Life {
        let (from, to) = (day(from), to.map(day));
        Life { kinds: vec![Dated::new(kind, from, None)], parents: vec![], from, to }
    }

    fn lineage() -> Lineage {
        Lineage {
            lives: [
                (OLD_A, life(UnitKind::Commune, "2021-01-01", None)),
                (OLD_B, life(UnitKind::Township, "2021-01-01", Some("2025-06-30"))),
                (NEW, life(UnitKind::Commune, "2025-07-01", None)),
                (OTHER, life(UnitKind::Commune, "2021-01-01", Some("2022-12-31"))),
                (VILLAGE, life(UnitKind::Village, "2025-07-01", None)),
                (PROVINCE, life(UnitKind::Province, "2021-01-01", None)),
            ]
            .into(),
            edges: vec![],
        }
    }

    fn act(kind: SuccessionKind, on: &str, predecessors: &[Uuid], successors: &[Uuid]) -> SuccessionDraft {
        SuccessionDraft {
            kind,
            effective_on: day(on),
            predecessors: predecessors.to_vec(),
            successors: successors.to_vec(),
            basis: "x".into(),
        }
    }

    #[test]
    fn an_act_fits_the_lives_of_its_units() {
        use SuccessionKind::{Abolish, Merge, Rename};
        let first_of_july = "2025-07-01";
        for (act, pointer, why) in [
            (act(Merge, first_of_july, &[OLD_A, OLD_B], &[NEW]), None, "a commune and a township become a commune"),
            (act(Abolish, first_of_july, &[OLD_A], &[]), None, "one ends"),
            (act(Abolish, "2021-01-02", &[OLD_A], &[]), None, "after its first day"),
            (act(Abolish, "2021-01-01", &[OLD_A], &[]), Some("/effective_on"), "on its first day"),
            (act(Abolish, "2020-06-01", &[OLD_A], &[]), Some("/effective_on"), "before it began"),
            (act(Merge, first_of_july, &[OLD_A, OTHER], &[NEW]), Some("/predecessors/1"), "one had ended"),
            (act(Merge, first_of_july, &[OLD_A, OLD_B], &[OTHER]), Some("/successors/0"), "the successor had ended"),
            (act(Merge, "2025-06-01", &[OLD_A, OLD_B], &[NEW]), Some("/successors/0"), "it begins later"),
            (
                act(Merge, first_of_july, &[OLD_A, OLD_B], &[PROVINCE]),
                Some("/successors/0"),
                "a province is no commune",
            ),
            (act(Rename, first_of_july, &[OLD_A], &[VILLAGE]), Some("/successors/0"), "a village is no commune"),
            (act(Rename, first_of_july, &[OLD_A], &[Uuid::nil()]), Some("/successors/0"), "nobody knows it"),
        ] {
            let found = check(&act, &lineage(), &Acts::new()).err().map(|error| error.faults[0].pointer.clone());
            assert_eq!(found.as_deref(), pointer, "{why}");
        }
    }

    #[test]
    fn a_unit_ends_once() {
        let told = act(SuccessionKind::Merge, "2025-07-01", &[OLD_A, OLD_B], &[NEW]);
        let standing = Acts::from([(OTHER, told.clone())]);
        let error = check(&told, &lineage(), &standing).unwrap_err();
        assert_eq!((error.code, &error.extra["succession"]), (Code::AlreadyExists, &OTHER.to_string().into()));
        let error =
            check(&act(SuccessionKind::Abolish, "2025-01-01", &[OLD_B], &[]), &lineage(), &standing).unwrap_err();
        assert_eq!(error.code, Code::AlreadyExists);
        assert!(check(&told, &lineage(), &Acts::new()).is_ok());
    }

    #[test]
    fn nobody_follows_themselves() {
        let mut lineage = lineage();
        lineage.lives.insert(OTHER, life(UnitKind::Commune, "2025-07-01", None));
        lineage.edges.push(Edge { predecessor: OTHER, successor: OLD_A, on: day("2021-01-01") });
        let error = check(&act(SuccessionKind::Rename, "2025-07-01", &[OLD_A], &[OTHER]), &lineage, &Acts::new());
        assert_eq!(error.unwrap_err().faults[0].en, "the unit would follow itself");
    }

    #[test]
    fn a_recorded_act_fixes_the_days_of_its_units() {
        let standing = Acts::from([(OTHER, act(SuccessionKind::Merge, "2025-07-01", &[OLD_A, OLD_B], &[NEW]))]);
        let draft = |from: &str, to: Option<&str>| -> UnitDraft {
            serde_json::from_value(
                serde_json::json!({ "names": [], "kinds": [], "exists_from": from, "exists_to": to }),
            )
            .unwrap()
        };
        for (unit, from, to, pointer) in [
            (OLD_A, "2021-01-01", Some("2025-06-30"), None),
            (OLD_A, "2020-01-01", Some("2025-06-30"), None),
            (OLD_A, "2021-01-01", None, Some("/unit/exists_to")),
            (OLD_A, "2021-01-01", Some("2025-07-01"), Some("/unit/exists_to")),
            (NEW, "2025-07-01", Some("2030-01-01"), None),
            (NEW, "2025-07-02", None, Some("/unit/exists_from")),
            (PROVINCE, "2020-01-01", None, None),
        ] {
            let found = keeps(unit, &draft(from, to), &standing).err().map(|error| error.faults[0].pointer.clone());
            assert_eq!(found.as_deref(), pointer, "{unit} {from} {to:?}");
        }
    }
}
