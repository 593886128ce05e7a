//! The demonstration's data in a test's world.

use std::path::Path;

use thidua::demo::journal::Journal;
use thidua::demo::tokens::Signer;
use thidua::demo::{Names, Script, folder, stage};
use uuid::Uuid;

use super::{AUDIENCE, ISSUER, Person, World};

/// The demonstration's data, and what its names stand for.
pub struct Demo {
    pub names: Names,
    pub campaign: Uuid,
}

impl Demo {
    /// What a name stands for.
    pub fn id(&self, name: &str) -> Uuid {
        self.names.get(name).unwrap().id.parse().unwrap()
    }
}

impl World {
    /// Signs as this world's identity provider does.
    pub fn signer(&self) -> Signer {
        Signer {
            key: self.key.clone(),
            issuer: ISSUER.into(),
            audience: AUDIENCE.into(),
            lifetime: std::time::Duration::from_secs(600),
        }
    }

    /// Takes every step that the journal in this directory does not have.
    pub async fn play(&self, directory: &Path, script: &Script) -> Demo {
        let (folder, signer) = (folder().unwrap(), self.signer());
        stage::set(&self.db, &folder, &signer).await.unwrap();
        let mut journal = Journal::open(&directory.join("journal"), &Script::embedded().unwrap()).unwrap();
        let names = stage::play(&self.shared, &signer, &folder, script, &mut journal, |_, _| {}).await.unwrap();
        Demo { names, campaign: folder.definition.id }
    }

    /// All of the demonstration.
    pub async fn demo(&self) -> Demo {
        let directory = tempfile::tempdir().unwrap();
        self.play(directory.path(), &Script::embedded().unwrap()).await
    }

    /// Somebody of the demonstration.
    pub fn somebody(&self, name: &str) -> Person<'_> {
        Person { world: self, account: Uuid::nil(), token: Some(self.token(name)) }
    }
}
