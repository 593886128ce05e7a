//! How near a subject is: the cheapest ways through the tree.
//!
//! Distances in different units are never added up; ways are compared by how many conditions are known not to hold,
//! then by how many are unknown. Never here: who may see it, which is the caller's duty, for a hint on a published
//! count tempts people to adjust it.

use std::collections::BTreeMap;

use super::explain::{NearMiss, Step, Unlock};
use super::status::Status;
use super::tree::{Join, Tree};

/// More alternatives than this help nobody.
const ALTERNATIVES: usize = 3;

type Way<'a> = Vec<&'a Step>;

/// The ways to make `tree` hold; `None` when it holds, or does not apply.
pub(super) fn near_miss(tree: &Tree, criteria: &BTreeMap<&str, Tree>) -> Option<NearMiss> {
    if matches!(tree.status(), Status::Met | Status::NotApplicable) {
        return None;
    }
    let ways = ways(tree, criteria);
    let (blocking, unknown) = ways.first().map_or((0, 0), |way| cost(way));
    let unlock = ways.iter().map(|way| way.iter().map(|step| unlock(step)).collect()).collect();
    Some(NearMiss { blocking, unknown, unlock })
}

fn unlock(step: &Step) -> Unlock {
    Unlock {
        path: step.path.clone(),
        blocking: step.status == Status::NotMet,
        say: step.gap.as_ref().map_or(&step.say, |gap| &gap.say).clone(),
    }
}

fn cost(way: &Way<'_>) -> (usize, usize) {
    let blocking = way.iter().filter(|step| step.status == Status::NotMet);
    let blocking = blocking.count();
    (blocking, way.len() - blocking)
}

fn ways<'a>(tree: &'a Tree, criteria: &'a BTreeMap<&str, Tree>) -> Vec<Way<'a>> {
    if matches!(tree.status(), Status::Met | Status::NotApplicable) {
        return vec![Vec::new()];
    }
    match tree {
        Tree::Leaf(step) => vec![vec![step.as_ref()]],
        Tree::Criterion { id, .. } => criteria.get(id.as_str()).map_or_else(Vec::new, |tree| ways(tree, criteria)),
        Tree::Branch { op, members, .. } => branch(*op, members, criteria),
    }
}

fn branch<'a>(op: Join, members: &'a [Tree], criteria: &'a BTreeMap<&str, Tree>) -> Vec<Way<'a>> {
    // A member that does not apply cannot make the branch hold.
    let applies = |tree: &&Tree| tree.status() != Status::NotApplicable;
    let each = members.iter().filter(applies);
    match op {
        Join::All | Join::When => together(members.iter().map(|tree| ways(tree, criteria))),
        Join::Any => cheapest(each.flat_map(|tree| ways(tree, criteria)).collect()),
        Join::AtLeast(n) => {
            let mut lists: Vec<Vec<Way<'a>>> = each.map(|tree| ways(tree, criteria)).collect();
            lists.sort_by_key(|list| list.first().map_or((usize::MAX, 0), cost));
            together(lists.into_iter().take(usize::try_from(n).unwrap_or(0)))
        }
    }
}

/// One way out of each list, joined.
fn together<'a>(lists: impl Iterator<Item = Vec<Way<'a>>>) -> Vec<Way<'a>> {
    let mut joined: Vec<Way<'a>> = vec![Vec::new()];
    for list in lists {
        let pairs = joined.iter().flat_map(|before| {
            list.iter().map(|way| {
                let mut both = before.clone();
                for step in way {
                    if !both.iter().any(|other| other.path == step.path) {
                        both.push(step);
                    }
                }
                both
            })
        });
        joined = cheapest(pairs.collect());
    }
    joined
}

fn cheapest(mut ways: Vec<Way<'_>>) -> Vec<Way<'_>> {
    ways.sort_by_key(cost);
    ways.truncate(ALTERNATIVES);
    ways
}
