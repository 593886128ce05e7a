//! What an export says of itself: a signed note, and beside it the checkpoint that the export ends at.
//!
//! ```text
//! thidua.export/1
//! log <origin>
//! export <uuid>
//! from <decimal>
//! to <decimal>
//! events <decimal>
//! bytes <decimal>
//! sha256 <base64>
//! left <base64>       one line for each bit set in `from`
//! ```
//!
//! No checkpoint reads like that, so a signature over one is never taken for one over the other.

use std::fmt;

use uuid::Uuid;

use super::tree::{Frontier, FrontierError, Hash};
use super::{decimal, decode_hash, encode_base64, has_control};

const HEADER: &str = "thidua.export/1";

/// The line between the two notes of a served manifest.
const SEPARATOR: &str = "--\n";

/// Why a text is no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not a manifest of this version.
    #[error("the first line is not {HEADER}")]
    Header,
    /// A line is missing or malformed, or stands where another one should.
    #[error("the manifest's {0} line is missing or malformed")]
    Line(&'static str),
    /// Something follows, or the last newline is missing.
    #[error("the manifest does not end as it should")]
    End,
    /// The numbers contradict each other.
    #[error("from {from} to {to} are not {events} events")]
    Count {
        /// First position.
        from: u64,
        /// The position after the last.
        to: u64,
        /// Events claimed.
        events: u64,
    },
    /// The tree before the export cannot be made of these.
    #[error("the left lines: {0}")]
    Left(#[from] FrontierError),
    /// The served file is not two notes with a line `--` between them.
    #[error("no line -- between the manifest and the checkpoint")]
    Separator,
}

/// The events at `from` up to, without, `to`, as NDJSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The log's name.
    pub log: String,
    /// The export's id.
    pub export: String,
    /// Position of the first event.
    pub from: u64,
    /// The position after the last event: the size of the checkpoint.
    pub to: u64,
    /// How many events; lines of the content.
    pub events: u64,
    /// Length of the content.
    pub bytes: u64,
    /// SHA-256 of the content.
    pub sha256: Hash,
    /// Roots of the perfect subtrees of the `from` leaves before, largest first.
    pub left: Vec<Hash>,
}

impl Manifest {
    /// Reads the text that [`Manifest`] is displayed as, strictly.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut lines = text.strip_suffix('\n').ok_or(ManifestError::End)?.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(ManifestError::Header);
        }
        let mut line = |name| {
            let line = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.ok_or(ManifestError::Line(name))
        };
        let (log, export) = (line("log")?, line("export")?);
        let mut number = |name| line(name).and_then(|text| decimal(text).ok_or(ManifestError::Line(name)));
        let (from, to, events, bytes) = (number("from")?, number("to")?, number("events")?, number("bytes")?);
        let sha256 = decode_hash(line("sha256")?).ok_or(ManifestError::Line("sha256"))?;
        let left =
            lines.map(|line| line.strip_prefix("left ").and_then(decode_hash).ok_or(ManifestError::Line("left")));
        let left = left.collect::<Result<Vec<Hash>, ManifestError>>()?;
        let (log, export) = (log.to_owned(), export.to_owned());
        let manifest = Self { log, export, from, to, events, bytes, sha256, left };
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let Self { from, to, events, .. } = *self;
        if self.log.is_empty() || has_control(&self.log) {
            return Err(ManifestError::Line("log"));
        }
        if Uuid::parse_str(&self.export).ok().is_none_or(|id| id.to_string() != self.export) {
            return Err(ManifestError::Line("export"));
        }
        if to.checked_sub(from) != Some(events) {
            return Err(ManifestError::Count { from, to, events });
        }
        self.before().map(drop)
    }

    /// The tree of the events before the export.
    pub fn before(&self) -> Result<Frontier, ManifestError> {
        Ok(Frontier::from_parts(self.from, &self.left.concat())?)
    }
}

/// The note text.
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\nlog {}\nexport {}", self.log, self.export)?;
        writeln!(f, "from {}\nto {}\nevents {}\nbytes {}", self.from, self.to, self.events, self.bytes)?;
        writeln!(f, "sha256 {}", encode_base64(&self.sha256))?;
        self.left.iter().try_for_each(|root| writeln!(f, "left {}", encode_base64(root)))
    }
}

/// The file that is served: the signed manifest, and the signed checkpoint of `to` events.
pub fn join(manifest_note: &str, checkpoint_note: &str) -> String {
    format!("{manifest_note}{SEPARATOR}{checkpoint_note}")
}

/// The two notes of a served file: manifest, checkpoint. Nothing in them is verified.
pub fn split(file: &str) -> Result<(&str, &str), ManifestError> {
    // No line of a manifest or of its signatures reads like that.
    let place = file.find("\n--\n").ok_or(ManifestError::Separator)? + 1;
    let (manifest, rest) = file.split_at(place);
    Ok((manifest, rest.strip_prefix(SEPARATOR).unwrap_or(rest)))
}
