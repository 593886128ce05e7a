//! `thidua log verify`: what the log gave away, checked without the service, its database or a network.
//!
//! Exit code 0: verified. 1: not verified; one line says why, and names the first bad position where there is one. 2: the
//! command was not understood, or a file cannot be read.

mod export;
mod keys;

use std::fmt::Display;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::error::Error;
use crate::log::anchor::Anchor;
use crate::log::proof::accept;
use crate::log::proof::checkpoint::Checkpoint;
use crate::log::proof::disclosures::Disclosures;
use crate::log::proof::history::{Broken, History};
use crate::log::proof::policy::Policy;
use crate::log::proof::state::{self, Consistency, StateError};
use crate::log::proof::tlog_proof::{self, Proven, TlogProof};
use crate::log::proof::tree::leaf_hash;

/// What is verified.
#[derive(Subcommand)]
pub enum Verify {
    /// One event stands in the log.
    Proof {
        /// The event's leaf, byte for byte; `-` is standard input.
        #[arg(long)]
        leaf: PathBuf,
        /// Its `.tlog-proof`.
        #[arg(long)]
        proof: PathBuf,
        #[command(flatten)]
        trust: Trust,
    },
    /// An export is a range of the log, whole and in order.
    Export(export::ExportArgs),
    /// A record's history has no hole, from its first event to one that stands in the log.
    Stream {
        /// The record's leaves, one a line; `-` is standard input.
        #[arg(long)]
        leaves: PathBuf,
        /// The `.tlog-proof` of the last one.
        #[arg(long)]
        proof: PathBuf,
        #[command(flatten)]
        trust: Trust,
        /// A JSON list of event, path, salt and value: personal values and reasons that the leaves commit to.
        #[arg(long)]
        disclosures: Option<PathBuf>,
    },
    /// The log's key was handed on, from one that the policy names to the one that signs now.
    Keys {
        /// The answer of `GET /v1/log/keys`; `-` is standard input.
        #[arg(long)]
        keys: PathBuf,
        /// Whose signatures were enough so far (C2SP tlog-policy).
        #[arg(long)]
        policy: PathBuf,
    },
    /// A signed checkpoint continues another; if it does not, both are printed as evidence.
    Diff {
        /// The older checkpoint.
        old: PathBuf,
        /// The newer checkpoint.
        new: PathBuf,
        /// Whose signatures are enough (C2SP tlog-policy).
        #[arg(long)]
        policy: PathBuf,
        /// The answer of `GET /v1/log/consistency?from=&to=` between the two.
        #[arg(long)]
        consistency: Option<PathBuf>,
    },
}

/// Whom to believe, and what was believed before.
#[derive(Args)]
pub struct Trust {
    /// Whose signatures are enough (C2SP tlog-policy).
    #[arg(long)]
    policy: PathBuf,
    /// The checkpoint accepted last; made with the first one, and moved forward once everything is verified.
    #[arg(long)]
    state: Option<PathBuf>,
    /// The answer of `GET /v1/log/consistency?from=&to=` from that checkpoint to the new one.
    #[arg(long, requires = "state")]
    consistency: Option<PathBuf>,
}

/// Why the command ends early.
enum Stop {
    /// Exit code 1.
    NotVerified(String),
    /// Exit code 2.
    Unreadable(String),
}

fn refused(why: impl Display) -> Stop {
    Stop::NotVerified(why.to_string())
}

/// Verifies; says what, or why not.
pub fn run(what: &Verify) -> Result<ExitCode, Error> {
    let said = match what {
        Verify::Proof { leaf, proof, trust } => one(leaf, proof, trust),
        Verify::Export(args) => export::run(args),
        Verify::Stream { leaves, proof, trust, disclosures } => stream(leaves, proof, trust, disclosures.as_deref()),
        Verify::Keys { keys, policy } => keys::run(keys, policy),
        Verify::Diff { old, new, policy, consistency } => diff(old, new, policy, consistency.as_deref()),
    };
    match said {
        Ok(lines) => {
            lines.iter().try_for_each(super::say)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(Stop::NotVerified(why)) => {
            super::say(format_args!("not verified: {why}"))?;
            Ok(ExitCode::FAILURE)
        }
        Err(Stop::Unreadable(why)) => {
            eprintln!("thidua: {why}");
            Ok(ExitCode::from(2))
        }
    }
}

fn one(leaf: &Path, proof: &Path, trust: &Trust) -> Result<Vec<String>, Stop> {
    let trusted = Trusted::read(trust)?;
    let (leaf, proof) = (bytes(leaf)?, text(proof)?);
    // As a line of an export, a leaf may bring its newline along; no leaf has one itself.
    let leaf = leaf.strip_suffix(b"\n").unwrap_or(&leaf);
    if leaf.contains(&b'\n') {
        return Err(refused(Broken::NotALeaf));
    }
    let Proven { checkpoint, index, .. } = tlog_proof::verify(&proof, leaf, &trusted.policy).map_err(refused)?;
    trusted.continued_by(&checkpoint)?;
    let verified = format!("verified: position {index} of {}", under(&checkpoint));
    Ok(vec![verified, trusted.accept(&checkpoint, &note_of(&proof)?)?])
}

fn stream(leaves: &Path, proof: &Path, trust: &Trust, disclosures: Option<&Path>) -> Result<Vec<String>, Stop> {
    let trusted = Trusted::read(trust)?;
    let disclosures = disclosures.map(read_disclosures).transpose()?;
    let mut disclosures = disclosures.map(Disclosures::of_one_record);
    let (leaves, proof) = (bytes(leaves)?, text(proof)?);
    let mut history = History::default();
    let mut last: &[u8] = &[];
    for (place, line) in leaves.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let fail = |why: &dyn Display| refused(format_args!("line {}: {why}", place + 1));
        let leaf = line.strip_suffix(b"\n").ok_or_else(|| fail(&"the newline is missing"))?;
        history.follow(leaf, &leaf_hash(leaf)).map_err(|broken| fail(&broken))?;
        if let Some(disclosures) = &mut disclosures {
            disclosures.meet(leaf);
        }
        last = leaf;
    }
    if history.version() == 0 {
        return Err(refused("there is no event"));
    }
    let proven = tlog_proof::verify(&proof, last, &trusted.policy);
    let Proven { checkpoint, index, .. } =
        proven.map_err(|error| refused(format_args!("version {}: {error}", history.version())))?;
    trusted.continued_by(&checkpoint)?;
    let (stream, version) = (history.stream(), history.version());
    let mut lines = vec![format!(
        "verified: versions 1 to {version} of {stream}, up to position {index} of {}",
        under(&checkpoint)
    )];
    lines.extend(disclosures.map(|disclosures| told(&disclosures)).transpose()?);
    lines.push(trusted.accept(&checkpoint, &note_of(&proof)?)?);
    Ok(lines)
}

fn diff(old: &Path, new: &Path, policy: &Path, consistency: Option<&Path>) -> Result<Vec<String>, Stop> {
    let policy = read_policy(policy)?;
    let proof = consistency.map(read_consistency).transpose()?;
    let notes = (text(old)?, text(new)?);
    let said = |which: &str, note: &str| {
        accept::said(note, &policy).map_err(|error| refused(format_args!("{which}: {error}")))
    };
    let (older, newer) = (said("OLD", &notes.0)?, said("NEW", &notes.1)?);
    match state::continues(&older.checkpoint, &newer.checkpoint, proof.as_ref(), None) {
        Ok(()) => {}
        Err(error @ (StateError::Forked { .. } | StateError::Proof { .. })) => {
            // Signed by one key: whoever is shown two of one size needs to believe nobody else.
            let unless = match error {
                StateError::Forked { .. } => "",
                _ => "; the log forked, unless another proof leads from one to the other",
            };
            return Err(refused(format_args!("{error}{unless}\n\nOLD\n{}\nNEW\n{}", notes.0, notes.1.trim_end())));
        }
        Err(error) => return Err(refused(error)),
    }
    for (which, accepted) in [("OLD", &older), ("NEW", &newer)] {
        if !accepted.quorum {
            return Err(refused(format_args!("{which}: {}", accept::AcceptError::Quorum)));
        }
    }
    let (older, newer) = (&older.checkpoint, &newer.checkpoint);
    let how = if older == newer { "is the same as" } else { "continues" };
    Ok(vec![format!("verified: {} {how} the one of {} events", under(newer), older.size())])
}

fn under(checkpoint: &Checkpoint) -> String {
    format!("{}, checkpoint of {} events", checkpoint.origin(), checkpoint.size())
}

/// Policy, remembered checkpoint and consistency proof, read before anything else is.
struct Trusted {
    policy: Policy,
    proof: Option<Consistency>,
    state: Option<State>,
}

/// The file of the remembered checkpoint, and what stands in it.
struct State {
    anchor: Anchor,
    before: Option<(String, Checkpoint)>,
}

impl Trusted {
    fn read(trust: &Trust) -> Result<Self, Stop> {
        let policy = read_policy(&trust.policy)?;
        let proof = trust.consistency.as_deref().map(read_consistency).transpose()?;
        let state = trust.state.as_deref().map(State::read).transpose()?;
        Ok(Self { policy, proof, state })
    }

    fn held(&self) -> Option<&Checkpoint> {
        let (_, held) = self.state.as_ref()?.before.as_ref()?;
        Some(held)
    }

    fn continued_by(&self, checkpoint: &Checkpoint) -> Result<(), Stop> {
        let Some(held) = self.held() else { return Ok(()) };
        state::continues(held, checkpoint, self.proof.as_ref(), None).map_err(refused)
    }

    /// Remembers what was verified. The last step: nothing can be refused any more.
    fn accept(&self, checkpoint: &Checkpoint, note: &str) -> Result<String, Stop> {
        let Some(state) = &self.state else {
            return Ok("state: none; without --state nobody notices a log that is exchanged as a whole".to_owned());
        };
        let before = state.before.as_ref();
        let (size, said) = (
            checkpoint.size(),
            match before {
                None => "the first checkpoint, of".to_owned(),
                Some((_, held)) if held.size() == checkpoint.size() => {
                    return Ok(format!("state: still {} events", held.size()));
                }
                Some((_, held)) => format!("from {} to", held.size()),
            },
        );
        let moved = state.anchor.swap(before.map(|(note, _)| note.as_str()), note);
        match moved {
            Ok(true) => Ok(format!("state: {said} {size} events")),
            Ok(false) => Err(refused("the remembered checkpoint was changed meanwhile; verify again")),
            Err(error) => Err(Stop::Unreadable(format!("the state cannot be written: {error}"))),
        }
    }
}

impl State {
    fn read(path: &Path) -> Result<Self, Stop> {
        let anchor = Anchor::at(path);
        let note = anchor.read().map_err(|error| unreadable(path, &error))?;
        let before = note.map(|note| state::remembered(&note).map(|held| (note, held))).transpose();
        Ok(Self { anchor, before: before.map_err(refused)? })
    }
}

fn note_of(proof: &str) -> Result<String, Stop> {
    let proof: TlogProof = proof.parse().map_err(refused)?;
    Ok(proof.checkpoint().to_owned())
}

fn told(disclosures: &Disclosures) -> Result<String, Stop> {
    Ok(format!("commitments: {}", disclosures.counts().map_err(refused)?))
}

fn read_policy(path: &Path) -> Result<Policy, Stop> {
    let policy = Policy::parse(&bytes(path)?);
    policy.map_err(|error| refused(format_args!("the policy: {error}")))
}

fn read_consistency(path: &Path) -> Result<Consistency, Stop> {
    Consistency::parse(&text(path)?).map_err(refused)
}

fn read_disclosures(path: &Path) -> Result<Disclosures, Stop> {
    Disclosures::parse(&text(path)?).map_err(refused)
}

fn bytes(path: &Path) -> Result<Vec<u8>, Stop> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.map_err(|error| unreadable(path, &error))
}

/// What is no text is nothing that was signed.
fn text(path: &Path) -> Result<String, Stop> {
    String::from_utf8(bytes(path)?).map_err(|_| refused(format_args!("{} is no text", path.display())))
}

fn unreadable(path: &Path, error: &io::Error) -> Stop {
    Stop::Unreadable(format!("{}: {error}", path.display()))
}
