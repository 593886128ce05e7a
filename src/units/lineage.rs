//! Who stands where, and who follows whom, on a day: what summing over villages and predecessors
//! needs. Pure; built from the tables or from the log alike.

use std::collections::BTreeMap;

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

    /// Units that `unit` follows, by id.
    pub fn predecessors(&self, unit: Uuid) -> Vec<Uuid> {
        let mut found: Vec<Uuid> =
            self.edges.iter().filter(|edge| edge.successor == unit).map(|edge| edge.predecessor).collect();
        found.sort_unstable();
        found
    }

    /// The unit and everything below it on `day`, by id.
    pub fn subtree(&self, unit: Uuid, day: NaiveDate) -> Vec<Uuid> {
        let is_below = |candidate: &Uuid| {
            let mut place = Some(*candidate);
            // No chain of parents is longer than the number of units.
            for _ in 0..=self.lives.len() {
                match place {
                    Some(here) if here == unit => return true,
                    Some(here) => place = self.parent(here, day),
                    None => return false,
                }
            }
            false
        };
        self.lives.keys().copied().filter(is_below).collect()
    }
}
