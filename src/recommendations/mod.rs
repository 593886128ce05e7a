//! Recommendations: what the rules say of a subject at a position of the log. Computed on request,
//! never stored.

pub mod rules;
