//! Which units cover which: the transitive closure over dated parents, extended by succession.
//! Pure.
//!
//! A row says: from `effective_from` on, whoever holds rights over `ancestor` holds them over
//! records of `descendant` dated `from` to `to`. Papers may be dated outside a unit's life, so the
//! first membership reaches back and each lasts until the next begins. A successor, and whoever
//! stands above it then, covers what its predecessor covered.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use uuid::Uuid;

use super::Dated;

/// The first day that the closure knows.
pub const FIRST: NaiveDate = NaiveDate::from_ymd_opt(1, 1, 1).expect("a day");
/// The last day that the closure knows.
pub const LAST: NaiveDate = NaiveDate::from_ymd_opt(9999, 12, 31).expect("a day");

/// One row of `unit_closure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cover {
    /// Who covers.
    pub ancestor: Uuid,
    /// Who is covered.
    pub descendant: Uuid,
    /// First day of the records covered.
    pub from: NaiveDate,
    /// Last day of the records covered.
    pub to: NaiveDate,
    /// When the right begins to count.
    pub effective_from: NaiveDate,
}

/// A unit follows another from a day on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Who ended.
    pub predecessor: Uuid,
    /// Who follows.
    pub successor: Uuid,
    /// The successor's first day.
    pub on: NaiveDate,
}

/// A parent chain that leads back to its own unit.
#[derive(Debug, PartialEq, Eq)]
pub struct Cycle(pub Uuid);

/// Parents are deeper than this nowhere; a longer chain is a cycle.
const DEEPEST: usize = 20;

type Parents = BTreeMap<Uuid, Vec<Dated<Uuid>>>;

/// Every row, in a fixed order.
pub fn closure(parents: &Parents, edges: &[Edge]) -> Result<Vec<Cover>, Cycle> {
    let mut rows = BTreeSet::new();
    let mut by_ancestor: BTreeMap<Uuid, Vec<Cover>> = BTreeMap::new();
    let mut above: BTreeMap<Uuid, Vec<Cover>> = BTreeMap::new();
    for unit in parents.keys() {
        let mut covers = Vec::new();
        climb(parents, *unit, *unit, (FIRST, LAST), 0, &mut covers)?;
        for cover in &covers {
            by_ancestor.entry(cover.ancestor).or_default().push(*cover);
        }
        rows.extend(covers.iter().copied());
        above.insert(*unit, covers);
    }
    let mut edges = edges.to_vec();
    edges.sort_by_key(|edge| (edge.on, edge.predecessor, edge.successor));
    for edge in edges {
        let inherited = by_ancestor.get(&edge.predecessor).cloned().unwrap_or_default();
        let heirs = above.get(&edge.successor).map(Vec::as_slice).unwrap_or_default();
        for heir in heirs.iter().filter(|heir| heir.to >= edge.on) {
            for cover in &inherited {
                let effective_from = edge.on.max(heir.from).max(cover.effective_from);
                let row = Cover { ancestor: heir.ancestor, effective_from, ..*cover };
                if rows.insert(row) {
                    by_ancestor.entry(row.ancestor).or_default().push(row);
                }
            }
        }
    }
    Ok(rows.into_iter().collect())
}

fn climb(
    parents: &Parents,
    unit: Uuid,
    at: Uuid,
    (from, to): (NaiveDate, NaiveDate),
    depth: usize,
    covers: &mut Vec<Cover>,
) -> Result<(), Cycle> {
    if depth > DEEPEST {
        return Err(Cycle(unit));
    }
    covers.push(Cover { ancestor: at, descendant: unit, from, to, effective_from: FIRST });
    for (parent, first, last) in memberships(parents.get(&at).map(Vec::as_slice).unwrap_or_default()) {
        let (first, last) = (first.max(from), last.min(to));
        if first <= last {
            climb(parents, unit, parent, (first, last), depth + 1, covers)?;
        }
    }
    Ok(())
}

/// Parents without gaps: the first reaches back, each lasts until the next begins.
fn memberships(history: &[Dated<Uuid>]) -> impl Iterator<Item = (Uuid, NaiveDate, NaiveDate)> {
    history.iter().enumerate().map(|(index, dated)| {
        let from = if index == 0 { FIRST } else { dated.from };
        let to = history.get(index + 1).and_then(|next| next.from.pred_opt()).unwrap_or(LAST);
        (dated.value, from, to)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVINCE: Uuid = Uuid::from_u128(1);
    const DISTRICT: Uuid = Uuid::from_u128(2);
    const OLD_A: Uuid = Uuid::from_u128(3);
    const OLD_B: Uuid = Uuid::from_u128(4);
    const NEW: Uuid = Uuid::from_u128(5);
    const VILLAGE: Uuid = Uuid::from_u128(6);
    const MOVED: Uuid = Uuid::from_u128(7);

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn under(periods: &[(Uuid, &str, Option<&str>)]) -> Vec<Dated<Uuid>> {
        let dated = |&(value, from, to): &(Uuid, &str, Option<&str>)| Dated::new(value, day(from), to.map(day));
        periods.iter().map(dated).collect()
    }

    /// Two communes of a district become one under the province; a village changed commune before.
    fn rows() -> Vec<Cover> {
        let parents = Parents::from([
            (PROVINCE, vec![]),
            (DISTRICT, under(&[(PROVINCE, "2021-01-01", Some("2025-06-30"))])),
            (OLD_A, under(&[(DISTRICT, "2021-01-01", Some("2025-06-30"))])),
            (OLD_B, under(&[(DISTRICT, "2021-01-01", Some("2025-06-30"))])),
            (NEW, under(&[(PROVINCE, "2025-07-01", None)])),
            (VILLAGE, under(&[(OLD_A, "2021-01-01", Some("2025-06-30")), (NEW, "2025-07-01", None)])),
            (MOVED, under(&[(OLD_A, "2021-01-01", Some("2022-12-31")), (OLD_B, "2023-01-01", None)])),
        ]);
        let edge = |predecessor| Edge { predecessor, successor: NEW, on: day("2025-07-01") };
        closure(&parents, &[edge(OLD_A)]).unwrap()
    }

    fn covers(ancestor: Uuid, descendant: Uuid, record: &str, today: &str) -> bool {
        rows().iter().any(|row| {
            row.ancestor == ancestor
                && row.descendant == descendant
                && row.from <= day(record)
                && day(record) <= row.to
                && row.effective_from <= day(today)
        })
    }

    #[test]
    fn rights_follow_the_record_s_date_and_succession() {
        for (ancestor, descendant, record, today, expected, why) in [
            (OLD_A, VILLAGE, "2023-05-01", "2023-06-01", true, "under its commune then"),
            (DISTRICT, VILLAGE, "2023-05-01", "2026-06-01", true, "still, for the old record"),
            (OLD_A, VILLAGE, "2025-08-01", "2026-06-01", false, "no longer under it"),
            (NEW, VILLAGE, "2025-08-01", "2026-06-01", true, "under the new one now"),
            (NEW, VILLAGE, "2023-05-01", "2025-06-30", false, "not before the merger"),
            (NEW, VILLAGE, "2023-05-01", "2025-07-01", true, "by succession after it"),
            (NEW, OLD_A, "2023-05-01", "2025-07-01", true, "the predecessor's own records"),
            (NEW, OLD_B, "2023-05-01", "2025-07-01", false, "B was not merged"),
            (NEW, MOVED, "2022-05-01", "2025-07-01", true, "it was A's then"),
            (NEW, MOVED, "2024-05-01", "2025-07-01", false, "it was B's then"),
            (OLD_A, OLD_A, "2025-12-31", "2026-06-01", true, "a paper dated after its end"),
            (DISTRICT, OLD_A, "2025-12-31", "2026-06-01", true, "likewise"),
            (VILLAGE, VILLAGE, "2019-01-01", "2026-06-01", true, "a paper dated before its first day"),
        ] {
            assert_eq!(covers(ancestor, descendant, record, today), expected, "{why}");
        }
    }

    #[test]
    fn a_cycle_is_refused() {
        let parents = Parents::from([
            (OLD_A, under(&[(OLD_B, "2021-01-01", None)])),
            (OLD_B, under(&[(OLD_A, "2021-01-01", None)])),
        ]);
        assert_eq!(closure(&parents, &[]), Err(Cycle(OLD_A)));
    }
}
