//! What units must be to each other: a parent exists on the days on which it is one and stands higher, and no two units
//! bear one code on one day. Pure.
//!
//! Judged when it is said. An act of succession may later end a parent; its units are then moved one by one.

use chrono::NaiveDate;
use uuid::Uuid;

use super::closure::LAST;
use super::level::Level;
use super::lineage::{Life, Lineage};
use super::{Dated, UnitDraft, UnitKind, lifetime};
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

/// Everything that neither a life nor the parents allow: of a new unit, or of an amendment what differs from `before`.
/// `root` is where the draft stands in the request.
pub fn faults(new: &UnitDraft, before: Option<&UnitDraft>, lineage: &Lineage, root: &str) -> Vec<Fault> {
    let mut faults = lifetime::faults(new, before, root);
    let same_life = before.filter(|before| lifetime::same(before, new));
    let pointer = format!("{root}/parents");
    if same_life.is_none_or(|before| before.parents != new.parents) {
        faults.extend(absent_parents(new, lineage, &pointer));
    }
    if same_life.is_none_or(|before| (&before.parents, &before.kinds) != (&new.parents, &new.kinds)) {
        faults.extend(low_parents(new, lineage, &pointer));
    }
    faults
}

/// The parents that do not exist on every day on which they are said to be.
fn absent_parents(draft: &UnitDraft, lineage: &Lineage, pointer: &str) -> Vec<Fault> {
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

/// The parents that do not stand higher on a day on which they are parents. Of a parent whose kind nobody knows, only a
/// province has too many.
fn low_parents(draft: &UnitDraft, lineage: &Lineage, pointer: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, parent) in draft.parents.iter().enumerate() {
        let Some(days) = days(parent, draft.exists_from, draft.exists_to) else { continue };
        let (vi, en) = if levels(&draft.kinds, days).any(|(level, _)| level == Level::Province) {
            ("tỉnh không có đơn vị cấp trên", "a province has no parent")
        } else if lineage.lives.get(&parent.value).is_some_and(|life| too_low(&life.kinds, &draft.kinds, days)) {
            ("đơn vị cấp trên phải là đơn vị hành chính ở cấp cao hơn", "the parent must be a higher part of the land")
        } else {
            continue;
        };
        faults.push(Fault::new(format!("{pointer}/{index}"), vi, en));
    }
    faults
}

/// The levels of these kinds on some of the days, each with those.
fn levels(kinds: &[Dated<UnitKind>], all: Days) -> impl Iterator<Item = (Level, Days)> {
    let level = move |kind: &Dated<UnitKind>| Some((Level::of(kind.value), days(kind, all.0, Some(all.1))?));
    kinds.iter().filter_map(level)
}

/// True if on one of the days a parent of these kinds may have nobody of those under it.
fn too_low(parent: &[Dated<UnitKind>], child: &[Dated<UnitKind>], days: Days) -> bool {
    levels(child, days).any(|(child, days)| levels(parent, days).any(|(parent, _)| !child.may_stand_under(parent)))
}

/// The units that would stand under `unit` although it is not higher any more.
pub fn outranked(unit: Uuid, new: &UnitDraft, lineage: &Lineage) -> Vec<Uuid> {
    let Some(old) = lineage.lives.get(&unit) else { return Vec::new() };
    let loses = |child: &Life| {
        let said = child.parents.iter().filter(|parent| parent.value == unit);
        let mut said = said.filter_map(|parent| days(parent, child.from, child.to));
        said.any(|days| too_low(&new.kinds, &child.kinds, days) && !too_low(&old.kinds, &child.kinds, days))
    };
    lineage.lives.iter().filter(|(_, child)| loses(child)).map(|(child, _)| *child).collect()
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
    fn a_parent_stands_higher_on_the_days_on_which_it_is_one() {
        use UnitKind::{Agency, Commune, District, Enterprise, Province, Township, Village};
        let kinds = |list: &[(UnitKind, &str, Option<&str>)]| -> Vec<Dated<UnitKind>> {
            list.iter().map(|(kind, from, to)| Dated::new(*kind, day(from), to.map(day))).collect()
        };
        let village_to_2022 = [(Village, "2021-01-01", Some("2022-12-31")), (Commune, "2023-01-01", None)];
        for (kind, parent, from, good) in [
            (Commune, &[(District, "2021-01-01", None)][..], "2021-01-01", true),
            (Commune, &[(Province, "2021-01-01", None)], "2021-01-01", true),
            (Village, &[(Township, "2021-01-01", None)], "2021-01-01", true),
            (Agency, &[(Village, "2021-01-01", None)], "2021-01-01", true),
            (Agency, &[(Enterprise, "2021-01-01", None)], "2021-01-01", true),
            (Commune, &[(Township, "2021-01-01", None)], "2021-01-01", false),
            (District, &[(Village, "2021-01-01", None)], "2021-01-01", false),
            (Village, &[(Enterprise, "2021-01-01", None)], "2021-01-01", false),
            // What the parent was before or after does not matter, nor what nobody knows.
            (Village, &village_to_2022, "2022-12-31", false),
            (Village, &village_to_2022, "2023-01-01", true),
            (Village, &[(Village, "2021-01-01", Some("2022-12-31"))], "2023-01-01", true),
            (Province, &[], "2023-01-01", false),
        ] {
            let mut lineage = lineage();
            lineage.lives.get_mut(&PARENT).unwrap().kinds = kinds(parent);
            let unit = UnitDraft {
                parents: dated(PARENT, from, Some("2025-06-30")),
                kinds: dated(kind, "2021-01-01", None),
                ..draft("2021-01-01", None)
            };
            let faults = low_parents(&unit, &lineage, "/parents");
            assert_eq!(faults.is_empty(), good, "{kind} {parent:?} {from}: {faults:?}");
        }
    }

    #[test]
    fn nobody_sinks_below_whom_they_stand_above() {
        use UnitKind::{Agency, Commune, Township, Village};
        let mut lineage = lineage();
        let kinds = |kind| dated(kind, "2021-01-01", None);
        lineage.lives.get_mut(&CHILD).unwrap().kinds = kinds(Village);
        let outranked = |lineage: &Lineage, now: Vec<Dated<UnitKind>>| {
            outranked(PARENT, &UnitDraft { kinds: now, ..draft("2021-01-01", None) }, lineage)
        };
        lineage.lives.get_mut(&PARENT).unwrap().kinds = kinds(Commune);
        assert_eq!(outranked(&lineage, kinds(Township)), Vec::<Uuid>::new());
        assert_eq!(outranked(&lineage, kinds(Village)), vec![CHILD]);
        assert_eq!(outranked(&lineage, kinds(Agency)), vec![CHILD]);
        let later = [dated(Commune, "2021-01-01", Some("2023-12-31")), dated(Village, "2024-01-01", None)].concat();
        assert_eq!(outranked(&lineage, later), Vec::<Uuid>::new(), "the child has left by then");
        lineage.lives.get_mut(&PARENT).unwrap().kinds = kinds(Village);
        assert_eq!(outranked(&lineage, kinds(Agency)), Vec::<Uuid>::new(), "it was no higher before");
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
