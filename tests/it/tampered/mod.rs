//! Whoever owns the database and the log's key changes the log, in thousands of ways: somebody who holds one older
//! checkpoint and the policy, and nothing else, refuses every one of them offline; what no export shows is named by the
//! check of the live log. Beside every tampering an untouched log is judged as well, and is never refused.
//!
//! 600 tamperings on SQLite and 150 on PostgreSQL; `THIDUA_TAMPERINGS=10000` for a long run, `THIDUA_TAMPER_SEED` for
//! others than these.

mod attacks;
mod beside;
mod given;
mod random;
mod story;
mod tables;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use thidua::clock::Stopwatch;

use crate::support::watch::{LONGEST, watch};
use crate::support::{Engine, World, run};

use random::Random;
use story::Story;

/// What is done to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// An event is taken out.
    Delete,
    /// A leaf says something else.
    Edit,
    /// Two events change places.
    Reorder,
    /// An event that never was.
    Insert,
    /// The newest events are gone.
    Truncate,
    /// Two events have one another's leaves.
    Swap,
    /// An older head is shown again.
    Replay,
    /// Everything from a point on is made anew: chains, tiles, head, signature.
    Rewrite,
    /// Two auditors are shown two logs.
    Views,
    /// An event is thrown away before it is sealed.
    Unsealed,
    /// An erasure that is none.
    Erasure,
    /// A leaf names another one as the one before.
    Previous,
    /// The columns beside a leaf.
    Columns,
    /// The stored hashes.
    Tiles,
    /// The stored checkpoints.
    Checkpoints,
    /// A personal value beside the log.
    Disclosures,
}

const CLASSES: [Class; 16] = [
    Class::Delete,
    Class::Edit,
    Class::Reorder,
    Class::Insert,
    Class::Truncate,
    Class::Swap,
    Class::Replay,
    Class::Rewrite,
    Class::Views,
    Class::Unsealed,
    Class::Erasure,
    Class::Previous,
    Class::Columns,
    Class::Tiles,
    Class::Checkpoints,
    Class::Disclosures,
];

/// What became of a tampering.
pub struct Judged {
    /// What was done.
    what: String,
    /// Why it was refused, or what was believed.
    refused: Result<String, String>,
    /// What was wrongly said of a log that nobody touched.
    alarm: Option<String>,
    /// The first bad position was named, where it can be.
    named: bool,
}

#[derive(Default)]
struct Tally {
    made: usize,
    detected: usize,
    named: usize,
    alarms: usize,
}

async fn judge(story: &Story<'_>, class: Class, random: &mut Random) -> Judged {
    match class {
        Class::Columns => beside::columns(story, random).await,
        Class::Tiles => beside::tiles(story, random).await,
        Class::Checkpoints => beside::checkpoints(story, random).await,
        Class::Disclosures => beside::disclosures(story, random).await,
        Class::Erasure => beside::erasure(story, random).await,
        Class::Unsealed => attacks::unsealed(story, random).await,
        Class::Views => attacks::views(story, random).await,
        Class::Replay => attacks::replay(story, random).await,
        other => attacks::changed(story, other, random).await,
    }
}

async fn fuzz(world: &World, tamperings: usize) {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let tamperings = setting("THIDUA_TAMPERINGS").map_or(tamperings, |number| usize::try_from(number).unwrap());
    watch(LONGEST + Duration::from_millis(500) * u32::try_from(tamperings).unwrap());
    let story = Story::tell(world).await;
    let seed = setting("THIDUA_TAMPER_SEED").unwrap_or(1);
    let (mut tallies, mut faults, started) = (BTreeMap::<Class, Tally>::new(), Vec::new(), Stopwatch::start());
    for number in 0..tamperings {
        let class = CLASSES[number % CLASSES.len()];
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        let Judged { what, refused, alarm, named } = judge(&story, class, &mut random).await;
        let tally = tallies.entry(class).or_default();
        tally.made += 1;
        tally.named += usize::from(named);
        match refused {
            Ok(_) => tally.detected += 1,
            Err(believed) => faults.push(format!("tampering {number}, {class:?}: {what}: NOT DETECTED: {believed}")),
        }
        if let Some(alarm) = alarm {
            tally.alarms += 1;
            faults.push(format!("tampering {number}, {class:?}: FALSE ALARM: {alarm}"));
        }
    }
    let took = started.elapsed();
    let sum = |of: fn(&Tally) -> usize| tallies.values().map(of).sum::<usize>();
    let mut line = format!(
        "tamperings on {:?}: {} of {} events, {} detected, {} false alarms of {}, {} named by position, {took:.1?}:",
        world.database.engine,
        sum(|tally| tally.made),
        story.events.len(),
        sum(|tally| tally.detected),
        sum(|tally| tally.alarms),
        sum(|tally| tally.made),
        sum(|tally| tally.named),
    );
    for (class, tally) in &tallies {
        write!(line, " {class:?} {}/{}", tally.detected, tally.made).unwrap();
    }
    crate::support::said(&line);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    story.end().await;
}

#[actix_web::test]
async fn every_tampering_is_detected_on_sqlite() {
    run(Engine::Sqlite, async |world| fuzz(world, 600).await).await;
}

#[actix_web::test]
async fn every_tampering_is_detected_on_postgres() {
    run(Engine::Postgres, async |world| fuzz(world, 150).await).await;
}
