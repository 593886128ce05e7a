//! The last signed checkpoint, remembered outside the database: whoever restores an old copy, or fails over to a server
//! that lags behind, would otherwise have the service sign a second history of the same log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that only ever moves forward. Replicas on one machine, or on one file system with locks, may share it.
#[derive(Clone, Debug)]
pub struct Anchor {
    path: PathBuf,
}

impl Anchor {
    /// The anchor in this file, which is made with the first signature.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The last signed note, if any was signed.
    pub fn read(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(&self.path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Compare and swap: puts `note` in the place of `before`, on the disk when this returns. False if something else
    /// stands there by now.
    pub fn swap(&self, before: Option<&str>, note: &str) -> io::Result<bool> {
        let lock = self.beside("lock")?;
        lock.lock()?;
        if self.read()?.as_deref() != before {
            return Ok(false);
        }
        let draft = self.path.with_added_extension("draft");
        // What an interrupted swap left; nobody else writes it while we have the lock.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(true)
    }

    fn beside(&self, extension: &str) -> io::Result<File> {
        let path = self.path.with_added_extension(extension);
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_only_from_what_was_read() {
        let directory = tempfile::tempdir().unwrap();
        let anchor = Anchor::at(&directory.path().join("anchor"));
        assert_eq!(anchor.read().unwrap(), None);
        assert!(!anchor.swap(Some("x"), "a").unwrap());
        assert!(anchor.swap(None, "a").unwrap());
        assert!(!anchor.swap(None, "b").unwrap());
        assert!(anchor.swap(Some("a"), "b").unwrap());
        assert_eq!(anchor.read().unwrap().as_deref(), Some("b"));
    }

    #[test]
    fn of_many_at_once_each_step_is_taken_by_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchor");
        let climb = |_| {
            let path = path.clone();
            std::thread::spawn(move || {
                let anchor = Anchor::at(&path);
                let mut taken = 0;
                while taken < 20 {
                    let before = anchor.read().unwrap();
                    let next = before.as_deref().map_or(0, |text| text.parse::<u32>().unwrap()) + 1;
                    taken += u32::from(anchor.swap(before.as_deref(), &next.to_string()).unwrap());
                }
            })
        };
        let climbers: Vec<_> = (0..4).map(climb).collect();
        climbers.into_iter().for_each(|climber| climber.join().unwrap());
        assert_eq!(Anchor::at(&path).read().unwrap().as_deref(), Some("80"));
    }
}
