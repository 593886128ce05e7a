//! Whose word is enough, as in <https://c2sp.org/tlog-policy>: known logs, known witnesses, and a quorum of witnesses.

use std::collections::{HashMap, HashSet};

use super::decimal;
use super::key::{Algorithm, KeyError, VerifierKey};

/// Why a policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A line is wrong.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: PolicyProblem,
    },
    /// The policy must say which quorum it asks for, or `none`.
    #[error("the policy has no quorum line")]
    NoQuorum,
}

/// What may be wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyProblem {
    /// A control character other than tab and newline.
    #[error("byte {0:#04x} is not allowed")]
    Byte(u8),
    /// The last line is not ended.
    #[error("the newline is missing")]
    Unfinished,
    /// Not a `log`, `witness`, `group` or `quorum` line, or not with the right number of words.
    #[error("not understood")]
    Syntax,
    /// The vkey cannot be read.
    #[error("the vkey is wrong: {0}")]
    Key(KeyError),
    /// A witness cosigns; this key signs.
    #[error("not the vkey of a witness")]
    NotAWitnessKey,
    /// The same public key twice, under whatever name.
    #[error("this public key has been listed before")]
    DuplicateKey,
    /// Taken, or the predefined `none`.
    #[error("this name is taken")]
    NameTaken,
    /// Not defined on a line before.
    #[error("there is no {0} before")]
    UnknownName(String),
    /// A name counts in one group only.
    #[error("{0} is a member already")]
    MemberTwice(String),
    /// Not `all`, `any`, or a number from 1 to the number of members.
    #[error("not a threshold of this group")]
    Threshold,
    /// There is one quorum.
    #[error("a second quorum")]
    SecondQuorum,
}

/// A log that is trusted to sign its checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Its key; the key's name is the log's origin.
    pub key: VerifierKey,
    /// Where to reach it.
    pub url: Option<String>,
}

/// A witness that is trusted to cosign only what is consistent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Its key.
    pub key: VerifierKey,
    /// Where to submit checkpoints.
    pub url: Option<String>,
}

/// What has a name and can witness a checkpoint. Members of a group are places among those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Party {
    Witness(Witness),
    Group { threshold: usize, members: Vec<usize> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quorum {
    None,
    Party(usize),
}

/// A policy that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<Log>,
    parties: Vec<Party>,
    quorum: Quorum,
}

impl Policy {
    /// Reads a policy, strictly. Names and URLs are bytes; nothing says that they are UTF-8.
    pub fn parse(text: &[u8]) -> Result<Self, PolicyError> {
        let mut reader = Reader::default();
        let mut lines = text.split(|byte| *byte == b'\n').enumerate().peekable();
        while let Some((place, line)) = lines.next() {
            let fail = |problem| PolicyError::Line { line: place + 1, problem };
            if lines.peek().is_some() {
                reader.line(line).map_err(fail)?;
            } else if !line.is_empty() {
                return Err(fail(PolicyProblem::Unfinished));
            }
        }
        let Reader { logs, parties, quorum, .. } = reader;
        Ok(Self { logs, parties, quorum: quorum.ok_or(PolicyError::NoQuorum)? })
    }

    /// The logs, in the file's order.
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// The witnesses, in the file's order.
    pub fn witnesses(&self) -> impl Iterator<Item = &Witness> {
        self.parties.iter().filter_map(|party| match party {
            Party::Witness(witness) => Some(witness),
            Party::Group { .. } => None,
        })
    }

    /// Every key that the policy knows, each once.
    pub fn keys(&self) -> Vec<VerifierKey> {
        let logs = self.logs.iter().map(|log| &log.key);
        let witnesses = self.witnesses().map(|witness| &witness.key);
        let mut seen = HashSet::new();
        logs.chain(witnesses).filter(|key| seen.insert(*key)).cloned().collect()
    }

    /// True if these verified keys are enough. Log keys among them do not matter.
    pub fn quorum_holds(&self, verified: &[&VerifierKey]) -> bool {
        let Quorum::Party(quorum) = self.quorum else { return true };
        let mut held: Vec<bool> = Vec::with_capacity(self.parties.len());
        let holds = |held: &[bool], place: usize| held.get(place).copied().unwrap_or(false);
        for party in &self.parties {
            let witnessed = match party {
                Party::Witness(witness) => verified.contains(&&witness.key),
                Party::Group { threshold, members } => {
                    members.iter().filter(|member| holds(&held, **member)).count() >= *threshold
                }
            };
            held.push(witnessed);
        }
        holds(&held, quorum)
    }
}

#[derive(Default)]
struct Reader<'a> {
    logs: Vec<Log>,
    parties: Vec<Party>,
    quorum: Option<Quorum>,
    names: HashMap<&'a [u8], usize>,
    log_keys: HashSet<[u8; 32]>,
    witness_keys: HashSet<[u8; 32]>,
    members: HashSet<usize>,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: &'a [u8]) -> Result<(), PolicyProblem> {
        if let Some(byte) = line.iter().find(|byte| matches!(byte, 0..=8 | 10..=31 | 127)) {
            return Err(PolicyProblem::Byte(*byte));
        }
        let words: Vec<&[u8]> =
            line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", vkey] => self.log(vkey, None),
            [b"log", vkey, url] => self.log(vkey, Some(url)),
            [b"witness", name, vkey] => self.witness(name, vkey, None),
            [b"witness", name, vkey, url] => self.witness(name, vkey, Some(url)),
            [b"group", name, threshold, members @ ..] if !members.is_empty() => self.group(name, threshold, members),
            [b"quorum", name] => self.quorum(name),
            _ => Err(PolicyProblem::Syntax),
        }
    }

    fn log(&mut self, vkey: &[u8], url: Option<&[u8]>) -> Result<(), PolicyProblem> {
        let key = parse_key(vkey)?;
        if !self.log_keys.insert(*key.public_key()) {
            return Err(PolicyProblem::DuplicateKey);
        }
        self.logs.push(Log { key, url: url.map(lossy) });
        Ok(())
    }

    fn witness(&mut self, name: &'a [u8], vkey: &[u8], url: Option<&[u8]>) -> Result<(), PolicyProblem> {
        let key = parse_key(vkey)?;
        if key.algorithm() != Algorithm::CosignatureV1 {
            return Err(PolicyProblem::NotAWitnessKey);
        }
        if !self.witness_keys.insert(*key.public_key()) {
            return Err(PolicyProblem::DuplicateKey);
        }
        self.define(name, Party::Witness(Witness { key, url: url.map(lossy) }))
    }

    fn group(&mut self, name: &'a [u8], threshold: &[u8], names: &[&[u8]]) -> Result<(), PolicyProblem> {
        let mut members = Vec::with_capacity(names.len());
        for name in names {
            let member = self.party(name)?;
            if !self.members.insert(member) {
                return Err(PolicyProblem::MemberTwice(lossy(name)));
            }
            members.push(member);
        }
        let threshold = match threshold {
            b"all" => members.len(),
            b"any" => 1,
            number => parse_threshold(number, members.len()).ok_or(PolicyProblem::Threshold)?,
        };
        self.define(name, Party::Group { threshold, members })
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), PolicyProblem> {
        let quorum = if name == b"none" { Quorum::None } else { Quorum::Party(self.party(name)?) };
        match self.quorum.replace(quorum) {
            None => Ok(()),
            Some(_) => Err(PolicyProblem::SecondQuorum),
        }
    }

    fn define(&mut self, name: &'a [u8], party: Party) -> Result<(), PolicyProblem> {
        if name == b"none" || self.names.insert(name, self.parties.len()).is_some() {
            return Err(PolicyProblem::NameTaken);
        }
        self.parties.push(party);
        Ok(())
    }

    fn party(&self, name: &[u8]) -> Result<usize, PolicyProblem> {
        self.names.get(name).copied().ok_or_else(|| PolicyProblem::UnknownName(lossy(name)))
    }
}

fn parse_key(vkey: &[u8]) -> Result<VerifierKey, PolicyProblem> {
    let vkey = std::str::from_utf8(vkey).map_err(|_| PolicyProblem::Key(KeyError::Format))?;
    vkey.parse().map_err(PolicyProblem::Key)
}

fn parse_threshold(number: &[u8], members: usize) -> Option<usize> {
    let number = usize::try_from(decimal(std::str::from_utf8(number).ok()?)?).ok()?;
    (1..=members).contains(&number).then_some(number)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
