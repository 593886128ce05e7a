//! Writers who keep a ledger of what they were told, and its comparison with what is there.

use std::cell::RefCell;
use std::collections::HashSet;
use std::time::Duration;

use thidua::db::Db;
use thidua::log::rebuild;

use crate::support::program::Program;
use crate::support::{Answer, signer};

/// What one writer knows of one village.
struct Entry {
    key: String,
    id: Option<String>,
    /// The newest version that was acknowledged.
    acknowledged: i64,
    /// The newest version that was asked for.
    asked: i64,
}

#[derive(Default)]
pub struct Ledger {
    entries: RefCell<Vec<Entry>>,
    refused: RefCell<Vec<Answer>>,
}

impl Ledger {
    /// How many writes were acknowledged.
    pub fn acknowledged(&self) -> i64 {
        self.entries.borrow().iter().map(|entry| entry.acknowledged).sum()
    }

    /// Every answer that was no success.
    pub fn refused(&self) -> Vec<Answer> {
        self.refused.borrow().clone()
    }

    /// Waits until so many more writes are acknowledged.
    pub async fn grows(&self, writes: i64) {
        let enough = self.acknowledged() + writes;
        for _ in 0..4000 {
            if self.acknowledged() >= enough {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the load is no load: {} writes, refused {:?}", self.acknowledged(), self.refused().last());
    }

    async fn refuse(&self, answer: Answer) {
        self.refused.borrow_mut().push(answer);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    /// Registers villages and renames every other, until told that it is over or the connection breaks.
    pub async fn write(&self, program: &Program, writer: &str, over: impl Fn() -> bool) {
        for n in 0.. {
            if over() || self.village(program, format!("{writer}n{n}"), n % 2 == 0).await.is_none() {
                return;
            }
        }
    }

    async fn village(&self, program: &Program, key: String, rename: bool) -> Option<()> {
        let name = format!("Bản {key}");
        let index = self.entries.borrow().len();
        self.entries.borrow_mut().push(Entry { key: key.clone(), id: None, acknowledged: 0, asked: 1 });
        let made = program.register(&key, &name).await?;
        if made.status != 201 {
            self.refuse(made).await;
            return Some(());
        }
        {
            let entry = &mut self.entries.borrow_mut()[index];
            (entry.id, entry.acknowledged) = (Some(made.id()), 1);
            entry.asked += i64::from(rename);
        }
        if rename {
            let renamed = program.rename(&made.id(), &made.etag(), &format!("{name} mới")).await?;
            match renamed.status {
                200 => self.entries.borrow_mut()[index].acknowledged = 2,
                _ => self.refuse(renamed).await,
            }
        }
        Some(())
    }

    /// Asks for every village again with its key: it is the one that was acknowledged, with every change that was
    /// acknowledged and no other, and as many events as changes.
    /// `beside`: effects that others than the writers had.
    pub async fn holds(&self, program: &Program, url: &str, beside: i64) {
        let (mut ids, mut changes) = (HashSet::new(), 0);
        for entry in self.entries.take() {
            let key = &entry.key;
            let made = program.register(key, &format!("Bản {key}")).await.unwrap().is(201);
            let id = made.id();
            assert!(entry.id.is_none_or(|known| known == id), "{key} was acknowledged and then done again");
            assert!(ids.insert(id.clone()), "two keys, one record");
            let now = program.get(&format!("/v1/units/{id}")).await.unwrap().is(200).json();
            let version = now["version"].as_i64().unwrap();
            assert!((entry.acknowledged.max(1)..=entry.asked).contains(&version), "{key}: {now}");
            let renamed = now["name"].as_str().unwrap().ends_with(" mới");
            assert_eq!(version, 1 + i64::from(renamed), "{key}: {now}");
            changes += version;
        }
        let db = Db::connect(url).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let fresh = format!("sqlite://{}", directory.path().join("fresh.db").display());
        let fresh = Db::connect(&fresh).await.unwrap();
        db.settle().await.unwrap();
        let report = rebuild::check(&db, &fresh, |_| Ok(())).await.unwrap();
        assert_eq!(report.differences, Vec::<String>::new());
        assert_eq!(report.remarks.len(), 0);
        // The administrator's account and grant, then one an effect.
        assert_eq!(i64::try_from(report.events).unwrap(), changes + beside + 2);
        fresh.close().await;
        if program.anchor().exists() {
            assert_eq!(signer(&db, &program.anchor()).await.trouble(), None, "there is one history");
        }
        db.close().await;
    }
}
