//! A recommendation says of a subject, criterion by criterion, whether it meets the rules at a
//! position of the log: met, not met, not enough evidence, not applicable; on which evidence, by
//! which clause, and what is missing. It is computed on request and never stored; judgement is never
//! automatic, and a recommendation is not a decision.

pub mod compute;
pub mod gather;
pub mod http;
pub mod knowledge;
pub mod rules;
pub mod store;
