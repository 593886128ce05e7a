//! What is said of a column beside it, in [`record!`](crate::record!): its class, and what records are found by.

/// Who may learn a field's value, and in which form it enters the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Readable by everyone who may read the record; stands in the leaf.
    Public,
    /// For the offices concerned; stands in the leaf, which is read with permission only.
    Internal,
    /// Personal data or free text: only a salted commitment enters the leaf. With subjects' keys it is sealed in the row,
    /// too; what is searched or looked up by it is not (docs/operations.md).
    Personal,
}

/// A column and its class.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The column's name, and the key in `changes`.
    pub name: &'static str,
    /// Its class.
    pub class: Class,
    /// True if records are found by its words.
    pub searched: bool,
    /// True if a record is looked up by its very value, which therefore stands in the row as it is.
    pub looked_up: bool,
}

/// The class of a field, by its word.
#[macro_export]
macro_rules! class {
    (public) => {
        $crate::db::Class::Public
    };
    (internal) => {
        $crate::db::Class::Internal
    };
    (personal) => {
        $crate::db::Class::Personal
    };
}

/// A field's place in the row, if it is personal.
#[macro_export]
macro_rules! personal {
    (personal, $place:expr) => {
        Some($crate::db::Personal::from(&mut $place))
    };
    ($other:ident, $place:expr) => {
        None::<$crate::db::Personal<'_>>
    };
}

/// True for a field that is marked as searched.
#[macro_export]
macro_rules! searched {
    () => {
        false
    };
    (searched) => {
        true
    };
    (looked_up) => {
        false
    };
}

/// True for a field that is marked as looked up.
#[macro_export]
macro_rules! looked_up {
    (looked_up) => {
        true
    };
    ($($other:ident)?) => {
        false
    };
}
