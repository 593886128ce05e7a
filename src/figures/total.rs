//! The count of a unit for a year: its own confirmed figure, the sum of its villages, or the sum of
//! its predecessors. Pure.
//!
//! A commune's own confirmed figure stands before the sum of its villages; where the two differ,
//! the count is disputed. A unit that did not exist yet has the sum of those it follows: whole units
//! were merged, so that counts add up exactly. A part that is not known leaves the sum unknown.

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
    /// Own figure and villages differ.
    Disputed {
        /// The unit's own confirmed count.
        own: i64,
        /// The sum of its villages.
        villages: i64,
    },
    /// The unit did not exist and follows nobody.
    Unmapped,
}

/// The count of `unit` at the end of the year, with the units whose figures it rests on.
pub fn count(lineage: &Lineage, unit: Uuid, day: NaiveDate, own: &dyn Fn(Uuid) -> Option<i64>) -> (Count, Vec<Uuid>) {
    let mut basis = Vec::new();
    let count = at_depth(lineage, unit, day, own, &mut basis, 0);
    basis.sort_unstable();
    basis.dedup();
    (count, basis)
}

/// Successions deeper than this are a cycle.
const DEEPEST: usize = 20;

fn at_depth(
    lineage: &Lineage,
    unit: Uuid,
    day: NaiveDate,
    own: &dyn Fn(Uuid) -> Option<i64>,
    basis: &mut Vec<Uuid>,
    depth: usize,
) -> Count {
    let stated = own(unit);
    if stated.is_some() {
        basis.push(unit);
    }
    let not_yet = lineage.lives.get(&unit).is_none_or(|life| day < life.from);
    if not_yet && stated.is_none() {
        let parts = lineage.predecessors(unit);
        if parts.is_empty() || depth > DEEPEST {
            return Count::Unmapped;
        }
        return sum(parts.iter().map(|part| at_depth(lineage, *part, day, own, basis, depth + 1)));
    }
    let villages = match lineage.kind(unit, day) {
        Some(UnitKind::Village) => vec![],
        _ => lineage.villages(unit, day),
    };
    let counted = villages.iter().map(|village| match own(*village) {
        Some(count) => {
            basis.push(*village);
            Count::Known(count)
        }
        None => Count::Missing(vec![*village]),
    });
    let counted: Vec<Count> = counted.collect();
    match (stated, sum(counted)) {
        (Some(own), Count::Known(villages)) if !is_empty(lineage, unit, day) && own != villages => {
            Count::Disputed { own, villages }
        }
        (Some(own), _) => Count::Known(own),
        (None, _) if is_empty(lineage, unit, day) || !villages_are_all_known(lineage, unit) => {
            Count::Missing(vec![unit])
        }
        (None, sum) => sum,
    }
}

fn is_empty(lineage: &Lineage, unit: Uuid, day: NaiveDate) -> bool {
    lineage.kind(unit, day) == Some(UnitKind::Village) || lineage.villages(unit, day).is_empty()
}

/// A predecessor whose villages were never registered left villages that the sum would not see:
/// the fall since the start of the period would look greater than it is.
fn villages_are_all_known(lineage: &Lineage, unit: Uuid) -> bool {
    lineage.predecessors(unit).iter().all(|predecessor| {
        let last = lineage.lives.get(predecessor).and_then(|life| life.to);
        last.is_none_or(|last| !is_empty(lineage, *predecessor, last))
    })
}

/// Known if every part is; a dispute or a gap anywhere is one of the whole.
fn sum(parts: impl IntoIterator<Item = Count>) -> Count {
    let (mut total, mut missing, mut other) = (0, Vec::new(), None);
    for part in parts {
        match part {
            Count::Known(count) => total += count,
            Count::Missing(units) => missing.extend(units),
            disputed_or_unmapped => other = other.or(Some(disputed_or_unmapped)),
        }
    }
    match other {
        Some(other) => other,
        None if missing.is_empty() => Count::Known(total),
        None => Count::Missing(missing),
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
            kinds: vec![Dated { value: kind, from: day(from), to: to.map(day) }],
            parents,
            from: day(from),
            to: to.map(day),
        };
        let village = || {
            let before = Dated { value: OLD_A, from: day("2021-01-01"), to: Some(day("2025-06-30")) };
            vec![before, Dated { value: NEW, from: day("2025-07-01"), to: None }]
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
        let own = |unit: Uuid| figures.iter().find(|(id, _)| *id == unit).map(|(_, count)| *count);
        count(&lineage(), unit, day(on), &own).0
    }

    #[test]
    fn own_figure_villages_predecessors() {
        let end_of_2021 = "2021-12-31";
        for (unit, on, figures, expected, why) in [
            (V1, end_of_2021, vec![(V1, 7)], Count::Known(7), "a village has its own"),
            (V1, end_of_2021, vec![], Count::Missing(vec![V1]), "or none"),
            (OLD_A, end_of_2021, vec![(V1, 7), (V2, 3)], Count::Known(10), "the sum of the villages"),
            (OLD_A, end_of_2021, vec![(OLD_A, 12), (V1, 7)], Count::Known(12), "own figure, villages incomplete"),
            (OLD_A, end_of_2021, vec![(V1, 7)], Count::Missing(vec![V2]), "a village is missing"),
            (
                OLD_A,
                end_of_2021,
                vec![(OLD_A, 12), (V1, 7), (V2, 3)],
                Count::Disputed { own: 12, villages: 10 },
                "own and villages differ",
            ),
            (NEW, end_of_2021, vec![(V1, 7), (V2, 3), (OLD_B, 5)], Count::Known(15), "the sum of the predecessors"),
            (NEW, end_of_2021, vec![(V1, 7), (V2, 3)], Count::Missing(vec![OLD_B]), "a predecessor is missing"),
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
}
