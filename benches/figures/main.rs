//! The figures of docs/performance.md: each a ratio, in one run, against a named rival.
//!
//!     cargo bench --bench figures -- writes     PostgreSQL on 127.0.0.1:5432 (or TEST_DATABASE_URL) and pgbench
//!     cargo bench --bench figures -- commits    SQLite
//!     cargo bench --bench figures -- door       both engines in process, and pgbench
//!     cargo bench --bench figures -- pages      10,000 activities against 1,000,000
//!     cargo bench --bench figures -- start      start, memory, size
//!     cargo bench --bench figures -- proofs     both engines: from a write to a verified proof, at half load and saturated
//!     cargo bench --bench figures -- verify     `thidua log verify export` and openssl
//!     cargo bench --bench figures -- filters    both engines: every filter of the log, 10,000 events against 10,000,000
//!     cargo bench --bench figures -- followers  both engines: 1,000 followers
//!     cargo bench --bench figures -- exports    both engines: 1,000,000 events, against psql and sqlite3
//!
//! The service is the released binary in a process of its own, with its shipped defaults but for rates.

use clap::{Parser, Subcommand};

mod bed;
mod commits;
mod door;
mod download;
mod exports;
mod filters;
mod follower;
mod followers;
mod grown;
mod load;
mod pages;
mod proofs;
mod rival;
mod start;
mod verify;
mod writes;

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
    /// Cargo says that this is a benchmark.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum What {
    /// Writes on PostgreSQL, against pgbench doing the same statements and a handler with one INSERT.
    Writes(Rounds),
    /// Writes on SQLite, against one commit per request.
    Commits(Rounds),
    /// Writes in process, against pgbench doing the same two INSERTs and one commit per write.
    Door(Rounds),
    /// One contender of `door`.
    #[command(hide = true)]
    Writer(door::WriterArgs),
    /// A page of 50 in a large log, against the same in a small one.
    Pages {
        /// Activities in the large database; five events each.
        #[arg(long, default_value_t = 1_000_000)]
        activities: u64,
    },
    /// Start, memory and size.
    Start,
    /// From the answer of a write to a verified proof of its event.
    Proofs(proofs::ProofArgs),
    /// `thidua log verify export`, against SHA-256 of the same file.
    Verify(verify::VerifyArgs),
    /// Every filter of the log in a large one, against the same in a small one.
    Filters(filters::FilterArgs),
    /// A thousand followers while events are written.
    Followers(followers::FollowerArgs),
    /// A download of the whole log, against a program that reads the table.
    Exports(exports::ExportArgs),
    /// A rival that the others start.
    #[command(hide = true)]
    Rival(Box<rival::RivalArgs>),
}

/// How long and how often.
#[derive(clap::Args, Clone, Copy)]
struct Rounds {
    /// Rounds, in each of which every contender runs once.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds a contender runs in a round.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
}

fn main() {
    let args = Args::parse();
    if let What::Rival(rival) = args.what {
        rival::run(*rival);
        return;
    }
    // The load generators need one thread; a writer is a contender, and an export needs many writes before it begins.
    let threads = if matches!(args.what, What::Writer(_) | What::Exports(_)) { 2 } else { 1 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap();
    runtime.block_on(async {
        match args.what {
            What::Writes(rounds) => writes::run(rounds).await,
            What::Commits(rounds) => commits::run(rounds).await,
            What::Door(rounds) => door::run(rounds).await,
            What::Writer(args) => door::write(args).await,
            What::Pages { activities } => pages::run(activities).await,
            What::Start => start::run().await,
            What::Proofs(args) => proofs::run(args).await,
            What::Verify(args) => verify::run(&args),
            What::Filters(args) => filters::run(args).await,
            What::Followers(args) => followers::run(args).await,
            What::Exports(args) => exports::run(args).await,
            What::Rival(_) => unreachable!("it ran above"),
        }
    });
}

/// The middle of some measurements, with the least and the most: `1.08 (1.02-1.13)`.
fn middle(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let (first, last) = (values[0], values[values.len() - 1]);
    format!("{:.2} ({first:.2}-{last:.2})", values[values.len() / 2])
}
