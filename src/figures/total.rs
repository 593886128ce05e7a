//! The count of a unit for a year: its own confirmed figure, the sum of its villages, or the sum of
//! its predecessors. Pure.
//!
//! A commune's own confirmed figure stands before the sum of its villages; where the two differ,
//! the count is disputed, and so it is where the villages that are known come to more already. A unit
//! that did not exist yet has the sum of those it follows: whole units were merged, so that counts
//! add up exactly. A figure that somebody gave such a unit all the same replaces nothing; where it
//! differs from the sum, the count is disputed. A part that is not known leaves the sum unknown.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use uuid::Uuid;

use crate::units::UnitKind;
use crate::units::lineage::Lineage;

/// A count, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Count {
    /// Known.
    Known(i64),
    /// Some part has no confirmed count: these units.
    Missing(Vec<Uuid>),
    /// The unit's own figure and its parts differ.
    Disputed {
        /// The unit's own confirmed count.
        own: i64,
        /// The sum of those parts that are known.
        sum: i64,
        /// What the parts are.
        of: Parts,
    },
    /// The unit did not exist, and there is no saying from whose counts its own would add up.
    Unmapped,
}

/// What a count is summed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// Villages on that day.
    Villages,
    /// The units that became this one.
    Predecessors,
}

/// The count of `unit` at the end of the year, with the units whose figures it rests on.
pub fn count(lineage: &Lineage, unit: Uuid, day: NaiveDate, own: &dyn Fn(Uuid) -> Option<i64>) -> (Count, Vec<Uuid>) {
    let mut year = Year { lineage, day, own, basis: BTreeSet::new() };
    let count = if lineage.begins_after(unit, day) { year.before_its_time(unit) } else { year.of_its_time(unit) };
    (count, year.basis.into_iter().collect())
}

/// The figures of one year, and which of them were used.
struct Year<'a> {
    lineage: &'a Lineage,
    day: NaiveDate,
    own: &'a dyn Fn(Uuid) -> Option<i64>,
    basis: BTreeSet<Uuid>,
}

impl Year<'_> {
    fn stated(&mut self, unit: Uuid) -> Option<i64> {
        let stated = (self.own)(unit);
        self.basis.extend(stated.map(|_| unit));
        stated
    }

    /// The count of a unit that did not exist yet.
    fn before_its_time(&mut self, unit: Uuid) -> Count {
        let Some(origins) = self.lineage.origins(unit, self.day) else {
            // Nobody before it, and known only from later on: what it counted itself is all there is.
            let alone = self.lineage.predecessors(unit).is_empty();
            return alone.then(|| self.stated(unit)).flatten().map_or(Count::Unmapped, Count::Known);
        };
        let sum = Sum::of(origins.into_iter().map(|origin| self.of_its_time(origin)));
        match self.stated(unit) {
            Some(own) if sum.contradicts(own) => Count::Disputed { own, sum: sum.known, of: Parts::Predecessors },
            _ => sum.count(),
        }
    }

    /// The count of a unit that had begun.
    fn of_its_time(&mut self, unit: Uuid) -> Count {
        let stated = self.stated(unit);
        let villages = self.villages(unit);
        if villages.is_empty() {
            return stated.map_or_else(|| Count::Missing(vec![unit]), Count::Known);
        }
        let sum = Sum::of(villages.into_iter().map(|village| match self.stated(village) {
            Some(count) => Count::Known(count),
            None => Count::Missing(vec![village]),
        }));
        match stated {
            Some(own) if sum.contradicts(own) => Count::Disputed { own, sum: sum.known, of: Parts::Villages },
            Some(own) => Count::Known(own),
            None if self.villages_are_all_known(unit) => sum.count(),
            None => Count::Missing(vec![unit]),
        }
    }

    fn villages(&self, unit: Uuid) -> Vec<Uuid> {
        villages(self.lineage, unit, self.day)
    }

    /// A predecessor whose villages were never registered left villages that the sum would not see:
    /// the fall since the start of the period would look greater than it is.
    fn villages_are_all_known(&self, unit: Uuid) -> bool {
        self.lineage.predecessors(unit).into_iter().all(|predecessor| {
            let last = self.lineage.lives.get(&predecessor).and_then(|life| life.to);
            last.is_none_or(|last| !villages(self.lineage, predecessor, last).is_empty())
        })
    }
}

/// A village has none.
fn villages(lineage: &Lineage, unit: Uuid, day: NaiveDate) -> Vec<Uuid> {
    if lineage.kind(unit, day) == Some(UnitKind::Village) { vec![] } else { lineage.villages(unit, day) }
}

/// What parts come to.
#[derive(Default)]
struct Sum {
    known: i64,
    missing: Vec<Uuid>,
    /// A part that is disputed or unmapped.
    other: Option<Count>,
}

impl Sum {
    fn of(parts: impl Iterator<Item = Count>) -> Self {
        let mut sum = Self::default();
        for part in parts {
            match part {
                Count::Known(count) => sum.known += count,
                Count::Missing(units) => sum.missing.extend(units),
                disputed_or_unmapped => sum.other = sum.other.or(Some(disputed_or_unmapped)),
            }
        }
        sum
    }

    /// True if the whole cannot be `own`: no part is less than nothing.
    fn contradicts(&self, own: i64) -> bool {
        let whole = self.missing.is_empty() && self.other.is_none();
        self.known > own || (whole && self.known < own)
    }

    /// Known if every part is; a dispute or a gap anywhere is one of the whole.
    fn count(self) -> Count {
        match self.other {
            Some(other) => other,
            None if self.missing.is_empty() => Count::Known(self.known),
            None => Count::Missing(self.missing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Dated;
    use crate::units::closure::Edge;
    use crate::units::lineage::Life;

    const OLD_A: Uuid = Uuid::from_u128(1);
    const OLD_B: Uuid = Uuid::from_u128(2);
    const NEW: Uuid = Uuid::from_u128(3);
    const V1: Uuid = Uuid::from_u128(4);
    const V2: Uuid = Uuid::from_u128(5);

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// A (with two villages) and B became NEW on 1 July 2025.
    fn lineage() -> Lineage {
        let life = |kind, parents: Vec<Dated<Uuid>>, from: &str, to: Option<&str>| Life {
            kinds: vec![Dated::new(kind, day(from), to.map(day))],
            parents,
            from: day(from),
            to: to.map(day),
        };
        let village = || {
            let before = Dated::new(OLD_A, day("2021-01-01"), Some(day("2025-06-30")));
            vec![before, Dated::new(NEW, day("2025-07-01"), None)]
        };
        let edge = |predecessor| Edge { predecessor, successor: NEW, on: day("2025-07-01") };
        Lineage {
            lives: [
                (OLD_A, life(UnitKind::Commune, vec![], "2021-01-01", Some("2025-06-30"))),
                (OLD_B, life(UnitKind::Commune, vec![], "2021-01-01", Some("2025-06-30"))),
                (NEW, life(UnitKind::Commune, vec![], "2025-07-01", None)),
                (V1, life(UnitKind::Village, village(), "2021-01-01", None)),
                (V2, life(UnitKind::Village, village(), "2021-01-01", None)),
            ]
            .into(),
            edges: vec![edge(OLD_A), edge(OLD_B)],
        }
    }

    fn of(unit: Uuid, on: &str, figures: &[(Uuid, i64)]) -> Count {
        count_in(&lineage(), unit, on, figures)
    }

    fn count_in(lineage: &Lineage, unit: Uuid, on: &str, figures: &[(Uuid, i64)]) -> Count {
        let own = |unit: Uuid| figures.iter().find(|(id, _)| *id == unit).map(|(_, count)| *count);
        count(lineage, unit, day(on), &own).0
    }

    #[test]
    fn own_figure_villages_predecessors() {
        let end_of_2021 = "2021-12-31";
        for (unit, on, figures, expected, why) in [
            (V1, end_of_2021, vec![(V1, 7)], Count::Known(7), "a village has its own"),
            (V1, end_of_2021, vec![], Count::Missing(vec![V1]), "or none"),
            (OLD_A, end_of_2021, vec![(V1, 7), (V2, 3)], Count::Known(10), "the sum of the villages"),
            (OLD_A, end_of_2021, vec![(OLD_A, 12), (V1, 7)], Count::Known(12), "own figure, villages incomplete"),
            (
                OLD_A,
                end_of_2021,
                vec![(OLD_A, 12), (V1, 50)],
                Count::Disputed { own: 12, sum: 50, of: Parts::Villages },
                "one village alone has more",
            ),
            (OLD_A, end_of_2021, vec![(V1, 7)], Count::Missing(vec![V2]), "a village is missing"),
            (
                OLD_A,
                end_of_2021,
                vec![(OLD_A, 12), (V1, 7), (V2, 3)],
                Count::Disputed { own: 12, sum: 10, of: Parts::Villages },
                "own and villages differ",
            ),
            (NEW, end_of_2021, vec![(V1, 7), (V2, 3), (OLD_B, 5)], Count::Known(15), "the sum of the predecessors"),
            (NEW, end_of_2021, vec![(V1, 7), (V2, 3)], Count::Missing(vec![OLD_B]), "a predecessor is missing"),
            (
                NEW,
                end_of_2021,
                vec![(NEW, 999), (V1, 7), (V2, 3), (OLD_B, 5)],
                Count::Disputed { own: 999, sum: 15, of: Parts::Predecessors },
                "a figure for a year before the unit replaces nothing",
            ),
            (NEW, end_of_2021, vec![(NEW, 15), (V1, 7), (V2, 3), (OLD_B, 5)], Count::Known(15), "nor does it disturb"),
            (
                NEW,
                end_of_2021,
                vec![(NEW, 999), (V1, 7), (V2, 3)],
                Count::Missing(vec![OLD_B]),
                "nor fill in for a predecessor",
            ),
            (
                NEW,
                end_of_2021,
                vec![(NEW, 9), (V1, 7), (V2, 3)],
                Count::Disputed { own: 9, sum: 10, of: Parts::Predecessors },
                "the predecessors that are known come to more",
            ),
            (
                NEW,
                "2025-12-31",
                vec![(V1, 2), (V2, 1)],
                Count::Missing(vec![NEW]),
                "B's villages were never registered",
            ),
            (NEW, "2025-12-31", vec![(NEW, 4)], Count::Known(4), "its own figure"),
            (OLD_B, end_of_2021, vec![], Count::Missing(vec![OLD_B]), "no villages, no figure"),
        ] {
            assert_eq!(of(unit, on, &figures), expected, "{why}");
        }
    }
    #[test]
    fn an_act_that_is_told_twice_counts_once() {
        let mut twice = lineage();
        twice.edges.extend(lineage().edges);
        let figures = [(V1, 7), (V2, 3), (OLD_B, 5)];
        assert_eq!(count_in(&twice, NEW, "2021-12-31", &figures), Count::Known(15));
    }

    #[test]
    fn units_that_follow_each_other_in_a_circle_have_no_count() {
        let mut circle = lineage();
        circle.edges = [(OLD_A, NEW), (NEW, OLD_A)]
            .map(|(predecessor, successor)| Edge { predecessor, successor, on: day("2025-07-01") })
            .to_vec();
        circle.lives.entry(OLD_A).and_modify(|life| life.from = day("2025-07-01"));
        assert_eq!(count_in(&circle, NEW, "2021-12-31", &[]), Count::Unmapped);
    }
}
