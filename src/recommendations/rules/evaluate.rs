//! The walk over a rule that gives every leaf its answer.
//!
//! Lives here: combining answers, and holding back what was not adopted. Never here: what one operator decides
//! (`operators`, `reduction`, `registers`).

use std::collections::BTreeMap;

use serde_json::json;

use super::explain::Step;
use super::inputs::Inputs;
use super::leaf::{Draft, Leaf, Uses};
use super::run::Run;
use super::say::{self, Seen};
use super::status::Status;
use super::tree::{Join, Tree};
use super::vocabulary::{Number, Operator, Rule};
use super::{operators, reduction, registers};

/// A run looking at one subject's facts.
pub(super) struct Scene<'a> {
    pub run: &'a Run<'a>,
    pub inputs: &'a Inputs,
    /// The trees of the criteria a combination may name.
    pub criteria: &'a BTreeMap<&'a str, Tree>,
}

impl Scene<'_> {
    /// Walks a rule.
    pub(super) fn walk(&self, rule: &Rule, path: &str) -> Tree {
        let operator = match rule {
            Rule::Criterion(id) => return self.named(id),
            Rule::Operator(operator) => operator.as_ref(),
        };
        match operator {
            Operator::All(members) => self.branch(Join::All, members, path, "all"),
            Operator::Any(members) => self.branch(Join::Any, members, path, "any"),
            Operator::AtLeast { n, of } => self.at_least(n, of, path),
            Operator::When { r#if, then } => Tree::join(
                Join::When,
                vec![self.walk(r#if, &format!("{path}/when/if")), self.walk(then, &format!("{path}/when/then"))],
                Vec::new(),
            ),
            Operator::Threshold(rule) => self.leaf(path, "threshold", operators::threshold(self, rule)),
            Operator::Reduction(rule) => self.leaf(path, "reduction", reduction::reduction(self, rule)),
            Operator::Duration(rule) => self.leaf(path, "duration", operators::duration(self, rule)),
            Operator::Count(rule) => self.leaf(path, "count", registers::count(self, rule)),
            Operator::Every(rule) => self.leaf(path, "every", registers::every(self, rule)),
            Operator::Attested(id) => self.leaf(path, "attested", operators::attested(self, id)),
            Operator::AttributeIn { attribute, values } => {
                let draft = operators::attribute_in(self, attribute, values);
                self.leaf(path, "attribute_in", draft)
            }
            Operator::HoldsAward(rule) => self.leaf(path, "holds_award", operators::holds_award(self, rule)),
            Operator::Expr(_) => unreachable!("loading refuses expr"),
        }
    }

    fn named(&self, id: &str) -> Tree {
        let tree = self.criteria.get(id).expect("loading resolves every criterion a category names");
        Tree::Criterion { id: id.to_owned(), status: tree.status(), would_be: tree.would_be() }
    }

    fn members(&self, members: &[Rule], path: &str) -> Vec<Tree> {
        let walk = |(index, rule)| self.walk(rule, &format!("{path}/{index}"));
        members.iter().enumerate().map(walk).collect()
    }

    fn branch(&self, op: Join, members: &[Rule], path: &str, name: &str) -> Tree {
        Tree::join(op, self.members(members, &format!("{path}/{name}")), Vec::new())
    }

    /// A number that is not settled leaves nothing to combine, so the branch shows itself as a leaf.
    fn at_least(&self, n: &Number, of: &[Rule], path: &str) -> Tree {
        let mut uses = Uses::default();
        let number = uses.whole(self, n);
        let members = self.members(of, &format!("{path}/at_least"));
        let tree = number.map(|n| Tree::join(Join::AtLeast(n), members, uses.names.clone()));
        match (tree, number) {
            (Some(tree), Some(needed)) if self.held_back(&uses).is_some() => {
                let met = tree.steps().iter().filter(|s| s.status == Status::Met).count();
                let mut draft = Draft::new(tree.would_be(), Seen::AtLeast { needed, met });
                draft.required = json!({ "n": needed });
                let draft = Some(draft);
                self.leaf(path, "at_least", Leaf { draft, uses })
            }
            (Some(tree), _) => tree,
            (None, _) => self.leaf(path, "at_least", Leaf { draft: None, uses }),
        }
    }

    /// The first thing used that an official run must hold back.
    fn held_back<'u>(&self, uses: &'u Uses) -> Option<&'u str> {
        let mut names = uses.names.iter().map(String::as_str);
        names.find(|name| self.run.holds_back(name))
    }

    /// Turns a draft into a step, holding back what an official run may not use. Whatever its operator, a leaf reads
    /// facts dated up to the cut-off, so the cut-off is added here and no operator can forget it.
    fn leaf(&self, path: &str, op: &'static str, leaf: Leaf) -> Tree {
        let Leaf { draft, mut uses } = leaf;
        uses.cut_off(self.run);
        let mut would_be = None;
        let draft = match draft {
            None => Draft::unset(self, &uses),
            Some(mut draft) => {
                if let Some(parameter) = self.held_back(&uses) {
                    would_be = Some(draft.status);
                    draft.hold_back(parameter);
                }
                draft
            }
        };
        Tree::Leaf(Box::new(Step {
            path: format!("{path}/{op}"),
            op,
            status: draft.status,
            reason: draft.reason,
            would_be,
            say: say::sentence(&draft.seen, draft.status, draft.reason, would_be),
            computed: draft.computed,
            required: draft.required,
            evidence: draft.evidence,
            missing: draft.missing,
            gap: draft.gap,
            uses: uses.names,
        }))
    }
}
