//! Tiles, entry bundles and their paths, as in <https://c2sp.org/tlog-tiles>.
//!
//! A tile has 256 neighbouring hashes of level 8 × its own; while fewer are known it is partial. Only full tiles need
//! storing: a partial one of level 0 is made of leaves, a higher one of the roots of full tiles below it.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::decimal;
use super::plan::NodeId;
use super::tree::{HASH_SIZE, Hash, root_of};

/// Hashes in a full tile, entries in a full bundle.
pub const FULL_WIDTH: u16 = 256;

/// The highest level that a path may name.
pub const MAX_LEVEL: u8 = 63;

/// Why something is no tile, no bundle or no path of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Not the one canonical path of a tile or bundle.
    #[error("not the path of a tile")]
    Path,
    /// Level, width or index that no tile has.
    #[error("no tile has these coordinates")]
    Coordinates,
    /// Not as many bytes as the width asks for.
    #[error("a tile of width {width} does not have {length} bytes")]
    Length {
        /// Hashes expected.
        width: u16,
        /// Bytes given.
        length: usize,
    },
    /// Entries are at most 65,535 bytes long.
    #[error("entry {0} is too long for a bundle")]
    EntryTooLong(usize),
    /// A bundle ends within an entry, or has fewer or more than it should.
    #[error("not a bundle of {width} entries")]
    Bundle {
        /// Entries expected.
        width: u16,
    },
}

/// Coordinates of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

impl Tile {
    /// Checks that a tile can have these coordinates.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        if level > MAX_LEVEL || width == 0 || width > FULL_WIDTH {
            return Err(TileError::Coordinates);
        }
        Ok(Self { level, index, width })
    }

    /// The tile as it is in a tree of `size` leaves, if it has a hash there.
    pub fn at_size(level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = hashes_at(level, size).checked_sub(index.checked_mul(u64::from(FULL_WIDTH))?)?;
        let width = u16::try_from(hashes).unwrap_or(FULL_WIDTH).min(FULL_WIDTH);
        Self::new(level, index, width).ok()
    }

    /// The tile, as it is in a tree of `size` leaves, that the root of a perfect subtree is made of.
    pub fn holding(node: NodeId, size: u64) -> Option<Self> {
        let tile = Self::at_size(node.level / 8, node.index >> (8 - node.level % 8), size)?;
        (span(node).end <= usize::from(tile.width)).then_some(tile)
    }

    /// 0 for leaf hashes.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Place within the level.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Hashes in it.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// True if it never changes any more and can be stored.
    pub fn is_full(&self) -> bool {
        self.width == FULL_WIDTH
    }

    /// The full tiles one level below whose roots are its hashes; leaves instead at level 0.
    pub fn children(&self) -> Option<Range<u64>> {
        let start = self.index.checked_mul(u64::from(FULL_WIDTH))?;
        Some(start..start.checked_add(u64::from(self.width))?)
    }
}

/// How many full tiles a level has in a tree of `size` leaves.
pub fn full_tiles(level: u8, size: u64) -> u64 {
    hashes_at(level, size) / u64::from(FULL_WIDTH)
}

/// Width of the partial tile of a level in a tree of `size` leaves; 0 if there is none.
pub fn partial_width(level: u8, size: u64) -> u16 {
    // A remainder of 256 is below 256.
    (hashes_at(level, size) % u64::from(FULL_WIDTH)) as u16
}

/// The tiles that become full while a tree grows, level by level from 0, so that each comes after those it is made of.
pub fn completed(old_size: u64, size: u64) -> impl Iterator<Item = Tile> {
    let tile = |level, index| Tile { level, index, width: FULL_WIDTH };
    let indexes = move |level| full_tiles(level, old_size)..full_tiles(level, size);
    (0..8).flat_map(move |level| indexes(level).map(move |index| tile(level, index)))
}

/// floor(size / 256^level).
fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

/// Where the hashes under a node stand in their tile.
fn span(node: NodeId) -> Range<usize> {
    let height = node.level % 8;
    // The remainder is below 2^(8 - height), so the place is below 256.
    let start = ((node.index % (1 << (8 - height))) << height) as usize;
    start..start + (1 << height)
}

/// The root of a perfect subtree out of the tile that [`Tile::holding`] names.
pub fn node_in_tile(node: NodeId, hashes: &[Hash]) -> Option<Hash> {
    hashes.get(span(node)).map(root_of)
}

/// The root of a full tile: one hash of the tile above it.
pub fn tile_root(hashes: &[Hash; FULL_WIDTH as usize]) -> Hash {
    root_of(hashes)
}

/// The bytes of a tile: the hashes one after another.
pub fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// The hashes of a tile of this width.
pub fn decode_tile(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    let (hashes, rest) = bytes.as_chunks::<HASH_SIZE>();
    if !rest.is_empty() || hashes.len() != usize::from(width) {
        return Err(TileError::Length { width, length: bytes.len() });
    }
    Ok(hashes.to_vec())
}

/// A bundle: each entry after its length in two bytes, big-endian.
pub fn encode_entries<T: AsRef<[u8]>>(entries: &[T]) -> Result<Vec<u8>, TileError> {
    if entries.is_empty() || entries.len() > usize::from(FULL_WIDTH) {
        return Err(TileError::Coordinates);
    }
    let mut bytes = Vec::new();
    for (place, entry) in entries.iter().map(AsRef::as_ref).enumerate() {
        let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong(place))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The entries of a bundle of this width, and nothing after them.
pub fn decode_entries(mut bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let malformed = || TileError::Bundle { width };
    if width > FULL_WIDTH {
        return Err(malformed());
    }
    let mut entries = Vec::with_capacity(usize::from(width));
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(malformed)?;
        if entries.len() == usize::from(width) {
            return Err(malformed());
        }
        entries.push(entry);
        bytes = rest;
    }
    if !bytes.is_empty() || entries.len() != usize::from(width) {
        return Err(malformed());
    }
    Ok(entries)
}

/// What a path below the log's prefix names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TilePath {
    /// `tile/<L>/<N>[.p/<W>]`
    Hashes(Tile),
    /// `tile/entries/<N>[.p/<W>]`, by the coordinates of the tile that has its leaf hashes.
    Entries(Tile),
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tile = match self {
            Self::Hashes(tile) => {
                write!(f, "tile/{}/", tile.level)?;
                tile
            }
            Self::Entries(tile) => {
                f.write_str("tile/entries/")?;
                tile
            }
        };
        write_index(f, tile.index)?;
        if tile.is_full() { Ok(()) } else { write!(f, ".p/{}", tile.width) }
    }
}

/// Three digits an element, an `x` before all but the last.
fn write_index(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    let mut groups = vec![index % 1000];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(rest % 1000);
        rest /= 1000;
    }
    for (place, group) in groups.iter().enumerate().rev() {
        if place == 0 { write!(f, "{group:03}")? } else { write!(f, "x{group:03}/")? }
    }
    Ok(())
}

impl FromStr for TilePath {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Self, TileError> {
        // Whatever was read too kindly is not what is written back.
        parse_path(path).filter(|tile| tile.to_string() == path).ok_or(TileError::Path)
    }
}

fn parse_path(path: &str) -> Option<TilePath> {
    let (level, place) = path.strip_prefix("tile/")?.split_once('/')?;
    let (index, width) = match place.split_once(".p/") {
        Some((index, width)) => (index, u16::try_from(decimal(width)?).ok()?),
        None => (place, FULL_WIDTH),
    };
    let index = parse_index(index)?;
    if level == "entries" {
        return Tile::new(0, index, width).ok().map(TilePath::Entries);
    }
    let level = u8::try_from(decimal(level)?).ok()?;
    Tile::new(level, index, width).ok().map(TilePath::Hashes)
}

fn parse_index(path: &str) -> Option<u64> {
    path.split('/').try_fold(0_u64, |index, group| {
        let digits = group.trim_start_matches('x');
        let group: u64 = digits.parse().ok().filter(|group| *group < 1000)?;
        index.checked_mul(1000)?.checked_add(group)
    })
}
