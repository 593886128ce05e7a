//! A disclosure shows the personal values behind the commitments of one event: to the few who may, for a purpose that is
//! said beforehand, and never without an event of its own. Present values stand in the records; these are those of then.

use crate::words;

pub mod http;
pub mod store;

words! {
    /// What personal values of the past are looked at for. A word, since it stands in a URL.
    pub enum DisclosurePurpose {
        /// To check that what was done was right.
        Audit = "audit",
        /// To answer a complaint.
        Complaint = "complaint",
        /// To put a record right.
        Correction = "correction",
        /// To tell a person what is kept of them.
        DataSubject = "data_subject",
        /// A court asks for it.
        Court = "court",
    }
}

words! {
    /// What became of the value behind a commitment.
    pub enum CommitmentState {
        /// It is there.
        Disclosed = "disclosed",
        /// It was erased, and an event says so.
        Erased = "erased",
        /// It is not there, and no event says why: somebody withholds it, or lost it.
        Missing = "missing",
    }
}

impl CommitmentState {
    /// Of a commitment whose value is there or not, of a record that was erased afterwards or not.
    pub const fn of(is_there: bool, erased: bool) -> Self {
        match (is_there, erased) {
            (true, _) => Self::Disclosed,
            (false, true) => Self::Erased,
            (false, false) => Self::Missing,
        }
    }
}
