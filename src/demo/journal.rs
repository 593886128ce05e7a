//! Which steps were taken, so that an interrupted start continues: one JSON line a step, after its answer.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Known, Script};
use crate::error::Error;

/// The first line: of which script.
#[derive(Serialize, Deserialize)]
struct Head {
    script: String,
    steps: usize,
}

/// A line: what a step left behind.
#[derive(Serialize, Deserialize)]
struct Line {
    step: usize,
    name: Option<String>,
    id: String,
    etag: String,
}

/// A step that was taken: the name of its record, and the record.
pub type Taken = (Option<String>, Known);

/// The journal of a demonstration.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// The steps taken so far, in their order.
    pub taken: Vec<Taken>,
    /// The script whose steps they are.
    script: String,
    /// Its number of steps.
    steps: usize,
}

impl Journal {
    /// Opens the journal, or begins one for this script.
    pub fn open(path: &Path, script: &Script) -> Result<Self, Error> {
        let failed = |error| Error::internal(format!("{}: {error}", path.display()));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        // A line that was not finished was not written: its step is taken again, which has one effect.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut lines = whole.lines();
        let head = match lines.next() {
            Some(line) => serde_json::from_str(line).map_err(Error::internal)?,
            None => Head { script: script.hash.clone(), steps: script.steps.len() },
        };
        let mut taken = Vec::new();
        for line in lines {
            let line: Line = serde_json::from_str(line).map_err(Error::internal)?;
            taken.push((line.name, Known { id: line.id, etag: line.etag }));
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        file.set_len(whole.len() as u64).map_err(failed)?;
        let mut journal = Self { path: path.to_owned(), file, taken, script: head.script, steps: head.steps };
        if whole.is_empty() {
            let head = Head { script: journal.script.clone(), steps: journal.steps };
            journal.append(&head)?;
        }
        Ok(journal)
    }

    /// True if every step was taken.
    pub fn is_complete(&self) -> bool {
        self.taken.len() >= self.steps
    }

    /// True if the steps belong to this script.
    pub fn is_of(&self, script: &Script) -> bool {
        self.script == script.hash
    }

    /// Writes down that a step was taken.
    pub fn take(&mut self, name: Option<&str>, known: Known) -> Result<(), Error> {
        let (step, name) = (self.taken.len() + 1, name.map(str::to_owned));
        self.append(&Line { step, name: name.clone(), id: known.id.clone(), etag: known.etag.clone() })?;
        self.taken.push((name, known));
        Ok(())
    }

    fn append(&mut self, line: &impl Serialize) -> Result<(), Error> {
        let mut text = serde_json::to_string(line).map_err(Error::internal)?;
        text.push('\n');
        let path = &self.path;
        self.file.write_all(text.as_bytes()).map_err(|error| Error::internal(format!("{}: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_continues_and_forgets_a_line_that_was_not_finished() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let script = Script { steps: vec![], hash: "h".into() };
        let known = |id: &str| Known { id: id.into(), etag: "\"1\"".into() };
        let mut journal = Journal::open(&path, &script).unwrap();
        journal.take(Some("a"), known("1")).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        journal.take(None, known("2")).unwrap();
        let longer = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &longer[..longer.len() - 5]).unwrap();
        let again = Journal::open(&path, &Script { hash: "other".into(), ..script.clone() }).unwrap();
        assert_eq!(again.taken, [(Some("a".to_owned()), known("1"))]);
        assert!(again.is_of(&script));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
    }
}
