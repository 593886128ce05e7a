//! `thidua log verify keys`: who signs the log now, by the word of the key that was trusted so far.

use std::path::Path;

use serde::Deserialize;

use super::{Stop, read_policy, refused, text};
use crate::log::proof::rotation::{Rotation, chain};

/// The answer of `GET /v1/log/keys`, as far as it is needed.
#[derive(Deserialize)]
struct Told {
    rotations: Vec<Statement>,
}

#[derive(Deserialize)]
struct Statement {
    statement: String,
}

/// Each step, and what the policy has to say from now on.
pub fn run(keys: &Path, policy: &Path) -> Result<Vec<String>, Stop> {
    let policy = read_policy(policy)?;
    let told: Told = serde_json::from_str(&text(keys)?).map_err(|_| refused("not the answer of /v1/log/keys"))?;
    let mut lines = Vec::new();
    for log in policy.logs() {
        let statements = told.rotations.iter().map(|rotation| rotation.statement.as_str());
        let followed = chain(statements, &log.key).map_err(|error| refused(format_args!("{}: {error}", log.key)))?;
        lines.extend(followed.iter().map(step));
        lines.push(match followed.last() {
            Some(last) => format!("policy: instead of log {} write log {}", log.key, last.new),
            None => format!("nothing to verify: in this list no key took over from {}", log.key),
        });
    }
    Ok(lines)
}

fn step(Rotation { old, new, size, .. }: &Rotation) -> String {
    format!("verified: {new} took over from {old} at {size} events")
}
