//! What a changed entry of a file means for the table: the entry as it was loaded last, as the file says it now, and as
//! the table has it. Pure.
//!
//! The file is not the master of a record that people changed since: what the file did not change it leaves alone, and
//! what both changed is for people to settle.

/// What to do with one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The table does not have it.
    Register,
    /// The file changed it, and nobody else did.
    Amend,
    /// Nothing.
    Keep,
}

/// Decides, or says why nobody but people can.
pub fn decide<T: PartialEq>(loaded: Option<&T>, file: &T, table: Option<&T>) -> Result<Step, &'static str> {
    match (loaded, table) {
        (_, None) => Ok(Step::Register),
        (Some(loaded), Some(_)) if loaded == file => Ok(Step::Keep),
        (_, Some(table)) if table == file => Ok(Step::Keep),
        (Some(loaded), Some(table)) if table == loaded => Ok(Step::Amend),
        (Some(_), Some(_)) => {
            Err("was changed here and in the register since it was loaded; bring the file in line first")
        }
        (None, Some(_)) => Err("the register has this id already and says something else of it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_changes_only_what_it_changed_and_nobody_else_did() {
        for (loaded, file, table, expected) in [
            (None, 1, None, Some(Step::Register)),
            (Some(1), 2, None, Some(Step::Register)),
            (Some(1), 1, Some(1), Some(Step::Keep)),
            (Some(1), 1, Some(2), Some(Step::Keep)),
            (Some(1), 2, Some(2), Some(Step::Keep)),
            (None, 1, Some(1), Some(Step::Keep)),
            (Some(1), 2, Some(1), Some(Step::Amend)),
            (Some(1), 2, Some(3), None),
            (None, 1, Some(2), None),
        ] {
            let decided = decide(loaded.as_ref(), &file, table.as_ref()).ok();
            assert_eq!(decided, expected, "loaded {loaded:?}, file {file}, table {table:?}");
        }
    }
}
