//! The directory of a demonstration: its database, its key, its journal, and what it tells about itself.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::tokens::Signer;
use crate::auth::Role;
use crate::auth::sign::SigningKey;
use crate::clock::now;
use crate::config;
use crate::error::Error;
use crate::log::anchor::Anchor;
use crate::log::proof::key::SigningKey as LogKey;
use crate::log::signer::{Keys, new_key as new_log_key};

/// The database.
const DATABASE: &str = "thidua.db";
/// The signing key, PKCS#8 PEM.
const KEY: &str = "demo-key.pem";
/// The key of the log.
const LOG_KEY: &str = "demo-log.key";
/// The last signed checkpoint.
const LOG_ANCHOR: &str = "demo-log.anchor";
/// Which steps were taken.
const JOURNAL: &str = "demo-steps.jsonl";
/// Where the demonstration is and how to enter.
const ABOUT: &str = "demo.json";
/// The same while it is being written.
const DRAFT: &str = "demo.json.draft";
/// Everything that a demonstration writes; SQLite adds the two in the middle.
const CREATED: [&str; 10] = [
    DATABASE,
    "thidua.db-wal",
    "thidua.db-shm",
    KEY,
    JOURNAL,
    ABOUT,
    DRAFT,
    LOG_KEY,
    LOG_ANCHOR,
    "demo-log.anchor.lock",
];

/// A demonstration's directory. While one runs there, no other does.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Locked, until the process ends at the latest.
    _lock: fs::File,
}

/// What `demo.json` says.
#[derive(Debug, Serialize)]
pub struct About {
    /// Where the service answers.
    pub base_url: String,
    /// Its documentation, authorised already.
    pub docs_url: String,
    /// A token for each role.
    pub tokens: BTreeMap<&'static str, String>,
}

impl Directory {
    /// The directory, made if it is not there; `fresh` removes what an earlier demonstration wrote, and nothing else.
    pub fn open(path: &Path, fresh: bool) -> Result<Self, Error> {
        config::private_directory(path)?;
        let lock = fs::File::open(path).map_err(|error| told(path, &error))?;
        if let Err(fs::TryLockError::WouldBlock) = lock.try_lock() {
            return Err(Error::internal(format!("{}: a demonstration is running here already", path.display())));
        }
        let directory = Self { path: path.to_owned(), _lock: lock };
        if fresh {
            for name in CREATED {
                let file = directory.file(name);
                match fs::remove_file(&file) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(told(&file, &error)),
                    _ => {}
                }
            }
        }
        Ok(directory)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The URL of its database, whose file is its owner's alone; SQLite gives the two beside it the same permissions.
    pub fn database_url(&self) -> Result<String, Error> {
        let path = self.file(DATABASE);
        config::keep_private(&path)?;
        Ok(format!("sqlite://{}", path.display()))
    }

    /// True if a demonstration began here.
    pub fn has_begun(&self) -> bool {
        self.file(JOURNAL).exists()
    }

    /// The journal's path; the file is its owner's alone.
    pub fn journal(&self) -> Result<PathBuf, Error> {
        let path = self.file(JOURNAL);
        config::keep_private(&path)?;
        Ok(path)
    }

    /// Signs with the directory's key, which is made once.
    pub fn signer(&self) -> Result<Signer, Error> {
        let path = self.file(KEY);
        if !path.exists() {
            let new = SigningKey::generate_demo().map_err(Error::internal)?;
            config::write_secret(&path, new.private_pem.expose())?;
        }
        Signer::demo(&config::read(&path)?)
    }

    /// Signs the log with the directory's key, which is made once.
    pub fn log_keys(&self) -> Result<Keys, Error> {
        let path = self.file(LOG_KEY);
        if !path.exists() {
            let key = new_log_key(super::LOG_ORIGIN).map_err(Error::internal)?;
            config::write_secret(&path, &key.to_skey().map_err(Error::internal)?)?;
        }
        let key = LogKey::from_skey(config::read(&path)?.trim())
            .map_err(|error| Error::internal(format!("{LOG_KEY}: {error}")))?;
        Keys::new(vec![key], Anchor::at(&self.file(LOG_ANCHOR)), None).map_err(Error::internal)
    }

    /// Fresh tokens, a role each, and where to use them; written to `demo.json` as well.
    pub fn tell(&self, base_url: &str, signer: &Signer) -> Result<About, Error> {
        let at = now();
        let token = |role: &Role| Ok((role.as_str(), signer.token(role.as_str(), at)?));
        let about = About {
            base_url: base_url.to_owned(),
            docs_url: format!("{base_url}/docs"),
            tokens: Role::ALL.iter().map(token).collect::<Result<_, Error>>()?,
        };
        let path = self.file(ABOUT);
        let mut text = serde_json::to_string_pretty(&about).map_err(Error::internal)?;
        text.push('\n');
        // Whoever waits for the file finds all of it.
        let draft = self.file(DRAFT);
        // A draft that an interrupted start left behind; the tokens are for the owner of the directory only.
        let _ = fs::remove_file(&draft);
        config::write_secret(&draft, &text)?;
        fs::rename(&draft, &path).map_err(|error| told(&path, &error))?;
        Ok(about)
    }
}

fn told(path: &Path, error: &std::io::Error) -> Error {
    Error::internal(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_removes_what_a_demo_wrote_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/b");
        let directory = Directory::open(&path, false).unwrap();
        let signer = directory.signer().unwrap();
        directory.tell("http://127.0.0.1:1", &signer).unwrap();
        fs::write(path.join("mine.txt"), "x").unwrap();
        assert_eq!(directory.signer().unwrap().key.kid(), signer.key.kid(), "the key is made once");
        for fresh in [false, true] {
            let second = Directory::open(&path, fresh).unwrap_err();
            assert!(second.source.unwrap().to_string().ends_with("running here already"));
        }
        drop(directory);
        Directory::open(&path, true).unwrap();
        let left: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["mine.txt"]);
    }
}
