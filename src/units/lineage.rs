//! Who stands where, and who follows whom, on a day: what summing over villages and predecessors
//! needs. Pure; built from the tables or from the log alike.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use uuid::Uuid;

use super::closure::Edge;
use super::{Dated, UnitKind, at};

/// One unit's life.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Life {
    /// Kinds.
    pub kinds: Vec<Dated<UnitKind>>,
    /// Parents.
    pub parents: Vec<Dated<Uuid>>,
    /// First day.
    pub from: NaiveDate,
    /// Last day; open if none.
    pub to: Option<NaiveDate>,
}

/// Every unit's life and every act of succession.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lineage {
    /// Lives by unit.
    pub lives: BTreeMap<Uuid, Life>,
    /// Acts of succession.
    pub edges: Vec<Edge>,
}

impl Lineage {
    /// True if the unit exists on `day`.
    pub fn exists(&self, unit: Uuid, day: NaiveDate) -> bool {
        self.lives.get(&unit).is_some_and(|life| life.from <= day && life.to.is_none_or(|to| day <= to))
    }

    /// The unit's kind on `day`.
    pub fn kind(&self, unit: Uuid, day: NaiveDate) -> Option<UnitKind> {
        at(&self.lives.get(&unit)?.kinds, day).copied()
    }

    /// The unit's parent on `day`.
    pub fn parent(&self, unit: Uuid, day: NaiveDate) -> Option<Uuid> {
        at(&self.lives.get(&unit)?.parents, day).copied()
    }

    /// Villages whose parent is `unit` on `day`, by id.
    pub fn villages(&self, unit: Uuid, day: NaiveDate) -> Vec<Uuid> {
        let under = |candidate: &Uuid| {
            self.parent(*candidate, day) == Some(unit)
                && self.kind(*candidate, day) == Some(UnitKind::Village)
                && self.exists(*candidate, day)
        };
        self.lives.keys().copied().filter(under).collect()
    }

    /// Units that `unit` follows, by id, each once however many acts say so.
    pub fn predecessors(&self, unit: Uuid) -> BTreeSet<Uuid> {
        self.edges.iter().filter(|edge| edge.successor == unit).map(|edge| edge.predecessor).collect()
    }

    /// Units that follow `unit`, by id.
    pub fn successors(&self, unit: Uuid) -> BTreeSet<Uuid> {
        self.edges.iter().filter(|edge| edge.predecessor == unit).map(|edge| edge.successor).collect()
    }

    /// The unit and everyone it follows, however far back.
    pub fn followed(&self, unit: Uuid) -> BTreeSet<Uuid> {
        reached(unit, |unit| self.predecessors(unit))
    }

    /// The unit and everyone who follows it, however far on.
    pub fn following(&self, unit: Uuid) -> BTreeSet<Uuid> {
        reached(unit, |unit| self.successors(unit))
    }

    /// True if the unit's first day comes after `day`, or nobody knows it.
    pub fn begins_after(&self, unit: Uuid, day: NaiveDate) -> bool {
        self.lives.get(&unit).is_none_or(|life| day < life.from)
    }

    /// The units that had begun by `day` and together became `unit`, which had not: what its counts were then.
    ///
    /// None if that cannot be said: the unit follows nobody, or only a part of somebody who went into others as well.
    pub fn origins(&self, unit: Uuid, day: NaiveDate) -> Option<BTreeSet<Uuid>> {
        let between = reached(unit, |unit| match self.begins_after(unit, day) {
            true => self.predecessors(unit),
            false => BTreeSet::new(),
        });
        let mut origins = BTreeSet::new();
        for part in &between {
            if *part != unit && !self.successors(*part).is_subset(&between) {
                return None;
            }
            if !self.begins_after(*part, day) {
                origins.insert(*part);
            } else if self.predecessors(*part).is_empty() {
                return None;
            }
        }
        // Those who only follow each other in a circle come from nobody.
        (!origins.is_empty()).then_some(origins)
    }

    /// The unit and everything above it on `day`, from below.
    fn chain(&self, unit: Uuid, day: NaiveDate) -> impl Iterator<Item = Uuid> {
        let upwards = std::iter::successors(Some(unit), move |here| self.parent(*here, day));
        // No chain of parents is longer than the number of units.
        upwards.take(self.lives.len() + 1)
    }

    /// The unit and everything below it on `day`, by id.
    pub fn subtree(&self, unit: Uuid, day: NaiveDate) -> Vec<Uuid> {
        let is_below = |candidate: &Uuid| self.chain(*candidate, day).any(|here| here == unit);
        self.lives.keys().copied().filter(is_below).collect()
    }

    /// True if `unit` is `other`, follows it, or stands below whoever is or does on `day`: no third party to it.
    pub fn is_of(&self, unit: Uuid, other: Uuid, day: NaiveDate) -> bool {
        self.chain(unit, day).any(|here| self.followed(here).contains(&other))
    }
}

/// Everyone who is reached from `start` by steps of `next`, and `start`; nobody is visited twice, so that a circle ends.
fn reached(start: Uuid, next: impl Fn(Uuid) -> BTreeSet<Uuid>) -> BTreeSet<Uuid> {
    let mut seen = BTreeSet::from([start]);
    let mut waiting = vec![start];
    while let Some(here) = waiting.pop() {
        waiting.extend(next(here).into_iter().filter(|unit| seen.insert(*unit)));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_u128(1);
    const B: Uuid = Uuid::from_u128(2);
    const C: Uuid = Uuid::from_u128(3);
    const D: Uuid = Uuid::from_u128(4);

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// Units with their first days, and who follows whom.
    fn lineage(lives: &[(Uuid, &str)], edges: &[(Uuid, Uuid)]) -> Lineage {
        let on = NaiveDate::MIN;
        Lineage {
            lives: lives.iter().map(|(unit, from)| (*unit, Life { from: day(from), ..Life::default() })).collect(),
            edges: edges
                .iter()
                .map(|(predecessor, successor)| Edge { predecessor: *predecessor, successor: *successor, on })
                .collect(),
        }
    }

    #[test]
    fn whom_a_unit_came_from_counts_once_and_whole() {
        let origins = |lives: &[(Uuid, &str)], edges: &[(Uuid, Uuid)], unit| {
            lineage(lives, edges).origins(unit, day("2021-12-31")).map(|units| units.into_iter().collect::<Vec<_>>())
        };
        let merged = [(A, "2021-01-01"), (B, "2021-01-01"), (C, "2025-07-01")];
        assert_eq!(origins(&merged, &[(A, C), (B, C)], C), Some(vec![A, B]));
        assert_eq!(origins(&merged, &[(A, C), (B, C), (A, C), (B, C)], C), Some(vec![A, B]), "an act told twice");
        let parted = [(A, "2021-01-01"), (B, "2023-01-01"), (C, "2023-01-01"), (D, "2025-07-01")];
        let split = [(A, B), (A, C)];
        assert_eq!(origins(&parted, &split, B), None, "nobody knows which part of A");
        assert_eq!(origins(&parted, &[(A, B), (A, C), (B, D), (C, D)], D), Some(vec![A]), "parted and joined again");
        assert_eq!(origins(&parted, &split, D), None, "follows nobody");
        let late = [(A, "2023-01-01"), (B, "2023-01-01")];
        assert_eq!(origins(&late, &[(A, B), (B, A)], A), None, "a circle comes from nobody");
    }

    #[test]
    fn a_circle_or_a_thicket_of_acts_is_walked_once() {
        let circle = lineage(&[(A, "2021-01-01")], &[(A, B), (B, A)]);
        assert_eq!((circle.followed(A), circle.following(B)), (BTreeSet::from([A, B]), BTreeSet::from([A, B])));
        // Forty generations of two, each following both of the one before: 2^40 paths.
        let id = |n: u128| Uuid::from_u128(n);
        let generation =
            |n: u128| [(2 * n, 2 * n + 2), (2 * n, 2 * n + 3), (2 * n + 1, 2 * n + 2), (2 * n + 1, 2 * n + 3)];
        let edges: Vec<_> = (0..40).flat_map(generation).map(|(before, after)| (id(before), id(after))).collect();
        assert_eq!(lineage(&[], &edges).followed(id(80)).len(), 81);
    }
}

#[cfg(test)]
mod third_parties {
    use super::*;

    const DISTRICT: Uuid = Uuid::from_u128(1);
    const OLD: Uuid = Uuid::from_u128(2);
    const NEW: Uuid = Uuid::from_u128(3);
    const VILLAGE: Uuid = Uuid::from_u128(4);
    const OTHER: Uuid = Uuid::from_u128(5);

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// A village below a commune that becomes another on 1 July 2025; another commune stands beside.
    fn lineage() -> Lineage {
        let (before, after) = (day("2025-06-30"), day("2025-07-01"));
        let life = |parents: &[(Uuid, NaiveDate, Option<NaiveDate>)]| {
            let parents = parents.iter().map(|(value, from, to)| Dated::new(*value, *from, *to));
            Life { parents: parents.collect(), from: day("2021-01-01"), ..Life::default() }
        };
        let first = day("2021-01-01");
        let lives = [
            (DISTRICT, life(&[])),
            (OLD, life(&[(DISTRICT, first, Some(before))])),
            (NEW, life(&[])),
            (VILLAGE, life(&[(OLD, first, Some(before)), (NEW, after, None)])),
            (OTHER, life(&[(DISTRICT, first, None)])),
        ];
        Lineage { lives: lives.into(), edges: vec![Edge { predecessor: OLD, successor: NEW, on: after }] }
    }

    #[test]
    fn whoever_is_follows_or_stands_below_is_no_third_party() {
        let lineage = lineage();
        for (unit, other, on, expected) in [
            (OLD, OLD, "2023-01-01", true),
            (VILLAGE, OLD, "2023-01-01", true),
            (VILLAGE, OLD, "2026-01-01", true),
            (NEW, OLD, "2026-01-01", true),
            (DISTRICT, OLD, "2023-01-01", false),
            (OTHER, OLD, "2023-01-01", false),
            (OLD, VILLAGE, "2023-01-01", false),
            (OLD, NEW, "2023-01-01", false),
            (Uuid::nil(), OLD, "2023-01-01", false),
        ] {
            assert_eq!(lineage.is_of(unit, other, day(on)), expected, "{unit} of {other} on {on}");
        }
        assert_eq!(lineage.followed(NEW), BTreeSet::from([OLD, NEW]));
        assert_eq!(lineage.subtree(OLD, day("2023-01-01")), [OLD, VILLAGE]);
        assert_eq!(lineage.subtree(NEW, day("2026-01-01")), [NEW, VILLAGE]);
    }
}
