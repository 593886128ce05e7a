//! What units must be to each other: a parent exists on the days on which it is one, and no two units bear one code on
//! one day. Pure.
//!
//! Judged when it is said. An act of succession may later end a parent; its units are then moved one by one.

use chrono::NaiveDate;
use uuid::Uuid;

use super::closure::LAST;
use super::lineage::{Life, Lineage};
use super::{Dated, UnitDraft};
use crate::error::Fault;

/// Days, inclusive at both ends.
type Days = (NaiveDate, NaiveDate);

/// The days on which a dated value is said of a unit that lives from `from` to `to`.
fn days<T>(dated: &Dated<T>, from: NaiveDate, to: Option<NaiveDate>) -> Option<Days> {
    let first = dated.from.max(from);
    let last = dated.to.unwrap_or(LAST).min(to.unwrap_or(LAST));
    (first <= last).then_some((first, last))
}

fn lives(life: &Life, (first, last): Days) -> bool {
    life.from <= first && last <= life.to.unwrap_or(LAST)
}

/// The parents that do not exist on every day on which they are said to be.
pub fn absent_parents(draft: &UnitDraft, lineage: &Lineage, pointer: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, parent) in draft.parents.iter().enumerate() {
        let (vi, en) = match (lineage.lives.get(&parent.value), days(parent, draft.exists_from, draft.exists_to)) {
            (None, _) => ("không có đơn vị này", "there is no such unit"),
            (Some(life), Some(days)) if !lives(life, days) => {
                ("đơn vị cấp trên không tồn tại suốt thời gian đó", "the parent does not exist on all of these days")
            }
            _ => continue,
        };
        faults.push(Fault::new(format!("{pointer}/{index}"), vi, en));
    }
    faults
}

/// The units that would stand under `unit` on days on which it no longer lived as it did.
pub fn orphans(unit: Uuid, new: &UnitDraft, lineage: &Lineage) -> Vec<Uuid> {
    let Some(old) = lineage.lives.get(&unit) else { return Vec::new() };
    let new = Life { from: new.exists_from, to: new.exists_to, ..Life::default() };
    let loses = |child: &Life| {
        let said = child.parents.iter().filter(|parent| parent.value == unit);
        let mut said = said.filter_map(|parent| days(parent, child.from, child.to));
        said.any(|days| lives(old, days) && !lives(&new, days))
    };
    lineage.lives.iter().filter(|(_, child)| loses(child)).map(|(child, _)| *child).collect()
}

/// A code that both units bear on one day.
pub fn shared_code<'a>(one: &'a UnitDraft, other: &UnitDraft) -> Option<&'a str> {
    let borne = |unit: &UnitDraft, code: &Dated<String>| days(code, unit.exists_from, unit.exists_to);
    let meets = |code: &Dated<String>, (first, last): Days| {
        let same = other.codes.iter().filter(|theirs| theirs.value == code.value);
        let mut theirs = same.filter_map(|theirs| borne(other, theirs));
        theirs.any(|(from, to)| first <= to && from <= last)
    };
    let shared = one.codes.iter().find(|code| borne(one, code).is_some_and(|days| meets(code, days)));
    shared.map(|code| code.value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: Uuid = Uuid::from_u128(1);
    const CHILD: Uuid = Uuid::from_u128(2);

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn dated<T>(value: T, from: &str, to: Option<&str>) -> Vec<Dated<T>> {
        vec![Dated::new(value, day(from), to.map(day))]
    }

    fn draft(from: &str, to: Option<&str>) -> UnitDraft {
        UnitDraft {
            codes: vec![],
            names: vec![],
            kinds: vec![],
            parents: vec![],
            area_classes: vec![],
            exists_from: day(from),
            exists_to: to.map(day),
            fictitious: true,
        }
    }

    /// The parent lived from 2021 to June 2025, with a child for the first three years.
    fn lineage() -> Lineage {
        let parent = Life { from: day("2021-01-01"), to: Some(day("2025-06-30")), ..Life::default() };
        let parents = dated(PARENT, "2021-01-01", Some("2023-12-31"));
        let child = Life { from: day("2021-01-01"), parents, ..Life::default() };
        Lineage { lives: [(PARENT, parent), (CHILD, child)].into(), edges: vec![] }
    }

    #[test]
    fn a_parent_exists_on_the_days_on_which_it_is_one() {
        for (exists_to, from, to, good) in [
            (None, "2021-01-01", Some("2025-06-30"), true),
            (None, "2021-01-01", Some("2025-07-01"), false),
            (None, "2021-01-01", None, false),
            (None, "2020-12-31", Some("2025-06-30"), true),
            (Some("2025-06-30"), "2021-01-01", None, true),
            (Some("2021-06-30"), "2022-01-01", None, true),
        ] {
            let unit = UnitDraft { parents: dated(PARENT, from, to), ..draft("2021-01-01", exists_to) };
            let faults = absent_parents(&unit, &lineage(), "/parents");
            assert_eq!(faults.is_empty(), good, "{exists_to:?} {from} {to:?}: {faults:?}");
        }
        let early = UnitDraft { parents: dated(PARENT, "2020-12-31", Some("2021-05-31")), ..draft("2020-01-01", None) };
        assert_eq!(absent_parents(&early, &lineage(), "/unit/parents")[0].pointer, "/unit/parents/0");
        let unknown = UnitDraft { parents: dated(Uuid::nil(), "2021-01-01", None), ..draft("2021-01-01", None) };
        assert_eq!(absent_parents(&unknown, &lineage(), "/parents")[0].en, "there is no such unit");
    }

    #[test]
    fn a_life_is_not_cut_short_above_somebody() {
        let orphans = |from, to| orphans(PARENT, &draft(from, to), &lineage());
        assert_eq!(orphans("2021-01-01", Some("2023-12-31")), Vec::<Uuid>::new());
        assert_eq!(orphans("2021-01-01", Some("2023-12-30")), vec![CHILD]);
        assert_eq!(orphans("2021-01-02", None), vec![CHILD]);
    }

    #[test]
    fn a_code_is_borne_by_one_unit_at_a_time() {
        let coded = |code: &str, from: &str, to: Option<&str>, exists_to: Option<&str>| UnitDraft {
            codes: dated(code.to_owned(), from, to),
            ..draft("2021-01-01", exists_to)
        };
        let old = coded("03688", "2021-01-01", Some("2025-06-30"), None);
        for (other, shared) in [
            (coded("03688", "2025-07-01", None, None), None),
            (coded("03688", "2025-06-30", None, None), Some("03688")),
            (coded("3688", "2021-01-01", None, None), None),
            (coded("03688", "2025-01-01", None, Some("2024-12-31")), None),
        ] {
            assert_eq!(shared_code(&old, &other), shared, "{other:?}");
        }
        // A code ends with who bore it.
        let ended = coded("03688", "2021-01-01", None, Some("2025-06-30"));
        assert_eq!(shared_code(&coded("03688", "2025-07-01", None, None), &ended), None);
    }
}
