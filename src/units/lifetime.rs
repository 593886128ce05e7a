//! What is said of a unit is said of days on which it lives, and a name and a kind of every one of them. Pure.
//!
//! A value without a last day holds as long as the unit does: whoever is ended by an act keeps its last name open.

use chrono::NaiveDate;

use super::closure::LAST;
use super::{Dated, UnitDraft};
use crate::error::Fault;

/// True if both begin and end on the same days.
pub fn same(one: &UnitDraft, other: &UnitDraft) -> bool {
    (one.exists_from, one.exists_to) == (other.exists_from, other.exists_to)
}

/// Everything that does not fit the life: of a new unit, or of an amendment what differs from `before`. The values of
/// each list are in order and do not overlap. `root` is where the draft stands in the request.
pub fn faults(new: &UnitDraft, before: Option<&UnitDraft>, root: &str) -> Vec<Fault> {
    let before = before.filter(|before| same(before, new));
    let mut judging = Judging { from: new.exists_from, to: new.exists_to.unwrap_or(LAST), root, faults: Vec::new() };
    if before.is_none_or(|before| before.codes != new.codes) {
        judging.within(&new.codes, "codes");
    }
    if before.is_none_or(|before| before.names != new.names) {
        judging.within(&new.names, "names");
        judging.without_gaps(&new.names, "names");
    }
    if before.is_none_or(|before| before.kinds != new.kinds) {
        judging.within(&new.kinds, "kinds");
        judging.without_gaps(&new.kinds, "kinds");
    }
    if before.is_none_or(|before| before.parents != new.parents) {
        judging.within(&new.parents, "parents");
    }
    if before.is_none_or(|before| before.area_classes != new.area_classes) {
        judging.within(&new.area_classes, "area_classes");
    }
    judging.faults
}

struct Judging<'a> {
    from: NaiveDate,
    to: NaiveDate,
    root: &'a str,
    faults: Vec<Fault>,
}

impl Judging<'_> {
    fn add(&mut self, place: &str, vi: &'static str, en: &'static str) {
        self.faults.push(Fault::new(format!("{}/{place}", self.root), vi, en));
    }

    fn within<T>(&mut self, history: &[Dated<T>], list: &str) {
        for (index, dated) in history.iter().enumerate() {
            if dated.from < self.from {
                let (vi, en) = ("trước ngày đầu của đơn vị", "is before the unit's first day");
                self.add(&format!("{list}/{index}/from"), vi, en);
            }
            let (vi, en) = ("sau ngày cuối của đơn vị", "is after the unit's last day");
            if dated.from > self.to {
                self.add(&format!("{list}/{index}/from"), vi, en);
            } else if dated.to.is_some_and(|to| to > self.to) {
                self.add(&format!("{list}/{index}/to"), vi, en);
            }
        }
    }

    fn without_gaps<T>(&mut self, history: &[Dated<T>], list: &str) {
        let (vi, en) = ("để trống những ngày trước đó", "leaves days before it without a value");
        let mut next = Some(self.from);
        for (index, dated) in history.iter().enumerate() {
            if next.is_some_and(|next| next < dated.from) {
                self.add(&format!("{list}/{index}/from"), vi, en);
            }
            next = dated.to.and_then(|to| to.succ_opt());
        }
        if next.is_some_and(|next| next <= self.to) {
            let (vi, en) = ("để trống những ngày sau đó", "leaves days after it without a value");
            self.add(&format!("{list}/{}/to", history.len().saturating_sub(1)), vi, en);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::UnitKind;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn dated<T: Clone>(value: &T, periods: &[(&str, Option<&str>)]) -> Vec<Dated<T>> {
        periods.iter().map(|(from, to)| Dated::new(value.clone(), day(from), to.map(day))).collect()
    }

    /// Lives from 2021 to 2025, or on.
    fn draft(exists_to: Option<&str>) -> UnitDraft {
        UnitDraft {
            codes: vec![],
            names: dated(&"Bản Mẫu".to_owned(), &[("2021-01-01", None)]),
            kinds: dated(&UnitKind::Village, &[("2021-01-01", None)]),
            parents: vec![],
            area_classes: vec![],
            exists_from: day("2021-01-01"),
            exists_to: exists_to.map(day),
            fictitious: true,
        }
    }

    fn pointers(unit: &UnitDraft, before: Option<&UnitDraft>) -> Vec<String> {
        faults(unit, before, "/unit").into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn values_lie_within_the_life_and_names_cover_it() {
        let last = Some("2025-12-31");
        for (exists_to, periods, name, code) in [
            (None, &[("2021-01-01", None)][..], None, None),
            (last, &[("2021-01-01", None)], None, None),
            (last, &[("2021-01-01", last)], None, None),
            (last, &[("2021-01-01", Some("2022-12-31")), ("2023-01-01", None)], None, None),
            (None, &[("2020-12-31", None)], Some("0/from"), Some("0/from")),
            (last, &[("2021-01-01", Some("2026-01-01"))], Some("0/to"), Some("0/to")),
            (last, &[("2021-01-01", last), ("2026-01-01", None)], Some("1/from"), Some("1/from")),
            (None, &[("2021-01-02", None)], Some("0/from"), None),
            (None, &[("2021-01-01", Some("2022-12-31")), ("2023-01-02", None)], Some("1/from"), None),
            (last, &[("2021-01-01", Some("2025-12-30"))], Some("0/to"), None),
            (None, &[("2021-01-01", last)], Some("0/to"), None),
        ] {
            let names = dated(&"Bản Mẫu".to_owned(), periods);
            let expected = |list: &str, end: Option<&str>| -> Vec<String> {
                end.map(|end| format!("/unit/{list}/{end}")).into_iter().collect()
            };
            let named = UnitDraft { names: names.clone(), ..draft(exists_to) };
            assert_eq!(pointers(&named, None), expected("names", name), "{exists_to:?} {periods:?}");
            let kinds = UnitDraft { kinds: dated(&UnitKind::Village, periods), ..draft(exists_to) };
            assert_eq!(pointers(&kinds, None), expected("kinds", name), "{exists_to:?} {periods:?}");
            let coded = UnitDraft { codes: names, ..draft(exists_to) };
            assert_eq!(pointers(&coded, None), expected("codes", code), "{exists_to:?} {periods:?}");
        }
    }

    #[test]
    fn an_amendment_is_not_held_to_what_it_leaves_as_it_was() {
        let outside = dated(&"X".to_owned(), &[("2020-01-01", None)]);
        let before = UnitDraft { names: outside.clone(), ..draft(None) };
        let coded = |codes| UnitDraft { codes, ..before.clone() };
        assert_eq!(pointers(&coded(dated(&"1".to_owned(), &[("2021-01-01", None)])), Some(&before)), [""; 0]);
        assert_eq!(pointers(&coded(outside), Some(&before)), ["/unit/codes/0/from"]);
        let ended = UnitDraft { exists_to: Some(day("2025-12-31")), ..before.clone() };
        assert_eq!(pointers(&ended, Some(&before)), ["/unit/names/0/from"]);
    }
}
