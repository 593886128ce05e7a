//! A rule with the answer of every part.
//!
//! Lives here: the tree a walk leaves behind, and what can be read off it. Never here: how a leaf was decided.

use super::explain::Step;
use super::status::Status;

/// A node: a leaf condition, a combination, or a criterion named by a category.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Leaf(Box<Step>),
    Branch {
        op: Join,
        status: Status,
        would_be: Status,
        members: Vec<Tree>,
        uses: Vec<String>,
    },
    /// A criterion named by a category; its own tree is kept once, beside.
    Criterion {
        id: String,
        status: Status,
        would_be: Status,
    },
}

/// How a branch combines its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    All,
    Any,
    AtLeast(i64),
    /// Two members: the condition, and what it guards.
    When,
}

impl Join {
    fn over(self, statuses: &[Status]) -> Status {
        let members = statuses.iter().copied();
        match self {
            Self::All => Status::all(members),
            Self::Any => Status::any(members),
            Self::AtLeast(n) => Status::at_least(n, members),
            Self::When => Status::when(statuses[0], statuses[1]),
        }
    }
}

impl Tree {
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Leaf(step) => step.status,
            Self::Branch { status, .. } | Self::Criterion { status, .. } => *status,
        }
    }

    /// The answer if everything used were adopted.
    pub(super) fn would_be(&self) -> Status {
        match self {
            Self::Leaf(step) => step.would_be.unwrap_or(step.status),
            Self::Branch { would_be, .. } | Self::Criterion { would_be, .. } => *would_be,
        }
    }

    /// The same, only where it differs from the answer.
    pub(super) fn would_differ(&self) -> Option<Status> {
        Some(self.would_be()).filter(|would_be| *would_be != self.status())
    }

    /// All leaf conditions, in document order.
    pub(super) fn steps(&self) -> Vec<&Step> {
        match self {
            Self::Leaf(step) => vec![step],
            Self::Branch { members, .. } => members.iter().flat_map(Self::steps).collect(),
            Self::Criterion { .. } => Vec::new(),
        }
    }

    /// The criteria it names, in order.
    pub(super) fn criteria(&self) -> Vec<(&str, Status)> {
        match self {
            Self::Leaf(_) => Vec::new(),
            Self::Branch { members, .. } => members.iter().flat_map(Self::criteria).collect(),
            Self::Criterion { id, status, .. } => vec![(id, *status)],
        }
    }

    /// The parameters it used.
    pub(super) fn uses(&self) -> Vec<&str> {
        match self {
            Self::Leaf(step) => step.uses.iter().map(String::as_str).collect(),
            Self::Branch { members, uses, .. } => {
                let own = uses.iter().map(String::as_str);
                own.chain(members.iter().flat_map(Self::uses)).collect()
            }
            Self::Criterion { .. } => Vec::new(),
        }
    }

    pub(super) fn join(op: Join, members: Vec<Self>, uses: Vec<String>) -> Self {
        let now: Vec<Status> = members.iter().map(Self::status).collect();
        let would: Vec<Status> = members.iter().map(Self::would_be).collect();
        Self::Branch { op, status: op.over(&now), would_be: op.over(&would), members, uses }
    }
}
