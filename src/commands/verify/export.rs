//! `thidua log verify export`: read in blocks; two threads share the work, and the memory does not grow with the file.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};

use clap::Args;

use super::{Stop, Trust, Trusted, read_disclosures, refused, text, told, under, unreadable};
use crate::log::proof::disclosures::Disclosures;
use crate::log::proof::export::{Content, Export, Tree};
use crate::log::proof::manifest;
use crate::log::proof::tile::{FULL_WIDTH, Tile, TilePath, decode_tile};
use crate::log::proof::tree::{HASH_SIZE, Hash};

/// Bytes read at once. A line is shorter, or it is no leaf.
const BLOCK: usize = 1 << 20;
/// Blocks on their way from one thread to the other.
const WAITING: usize = 4;

/// What an export consists of.
#[derive(Args)]
pub struct ExportArgs {
    /// The content: NDJSON; `-` is standard input.
    #[arg(long)]
    content: PathBuf,
    /// The signed manifest and checkpoint.
    #[arg(long)]
    manifest: PathBuf,
    #[command(flatten)]
    trust: Trust,
    /// Hashes of the log's events, so that the first bad position can be named exactly: tiles of level 0 one after
    /// another from position 0, or a directory with `tile/0/…` below it.
    #[arg(long)]
    tiles: Option<PathBuf>,
    /// A JSON list of event, path, salt and value: personal values and reasons that the leaves commit to.
    #[arg(long)]
    disclosures: Option<PathBuf>,
}

/// Verifies an export.
pub fn run(args: &ExportArgs) -> Result<Vec<String>, Stop> {
    let trusted = Trusted::read(&args.trust)?;
    let mut disclosures = args.disclosures.as_deref().map(read_disclosures).transpose()?;
    let file = text(&args.manifest)?;
    let export = Export::open(&file, &trusted.policy, trusted.held().cloned()).map_err(refused)?;
    let tiles = args.tiles.as_deref().map(|path| Tiles::open(path, &export)).transpose()?;
    let (mut tree, content) = (export.tree().map_err(refused)?, export.content());
    let content = read(&args.content, &mut tree, content, tiles, disclosures.as_mut())?;
    if args.tiles.is_some() && !export.lists_the_tree(&tree) {
        eprintln!("thidua: the tile hashes are not those of the checkpoint, and tell nothing");
    }
    let verified = export.verdict(&tree, content, trusted.proof.as_ref()).map_err(refused)?;
    let (from, to, records) = (export.manifest().from, export.manifest().to, verified.records);
    let mut lines = vec![format!(
        "verified: {} events of {records} records, positions {from} up to, without, {to} of {}",
        verified.events,
        under(export.checkpoint())
    )];
    lines.extend(disclosures.map(|disclosures| told(&disclosures)).transpose()?);
    let (_, checkpoint) = manifest::split(&file).map_err(refused)?;
    lines.push(trusted.accept(export.checkpoint(), checkpoint)?);
    Ok(lines)
}

/// Some lines, where each of them ends, and the hashes of their leaves.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    hashes: Vec<Hash>,
}

impl Block {
    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.bytes.get(start..*end))
    }

    /// Reads whole lines, after the piece of one that the block before left over. False at the end.
    fn fill(&mut self, from: &mut impl Read, piece: &mut Vec<u8>) -> io::Result<bool> {
        self.bytes.clear();
        self.bytes.append(piece);
        from.take(BLOCK as u64).read_to_end(&mut self.bytes)?;
        self.ends.clear();
        let mut rest = self.bytes.as_slice();
        while !rest.is_empty() {
            let length = rest.skip_until(b'\n')?;
            self.ends.push(self.ends.last().unwrap_or(&0) + length);
        }
        // Whatever follows the last newline belongs to the next block, unless nothing comes any more.
        let whole = self.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        if whole > 0 && whole < self.bytes.len() {
            piece.extend_from_slice(&self.bytes[whole..]);
            self.bytes.truncate(whole);
            self.ends.pop();
        }
        Ok(!self.bytes.is_empty())
    }
}

/// This thread reads and hashes leaves; the other one hashes the content and follows the records.
fn read(
    path: &Path,
    tree: &mut Tree,
    mut content: Content,
    mut tiles: Option<Tiles>,
    disclosures: Option<&mut Disclosures>,
) -> Result<Content, Stop> {
    let failed = |error: io::Error| unreadable(path, &error);
    let mut file: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(File::open(path).map_err(failed)?),
    };
    let (full, filled) = mpsc::sync_channel(WAITING);
    let (empty, emptied) = mpsc::sync_channel(WAITING + 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(move || {
            follow(&filled, &empty, &mut content, disclosures);
            content
        });
        let mut piece = Vec::new();
        loop {
            let mut block: Block = emptied.try_recv().unwrap_or_default();
            if !block.fill(&mut file, &mut piece).map_err(failed)? {
                break;
            }
            hash(&mut block, tree, tiles.as_mut())?;
            if full.send(block).is_err() {
                break;
            }
        }
        drop(full);
        if let Some(tiles) = &mut tiles {
            tiles.rest(tree)?;
        }
        other.join().map_err(|_| refused("the content could not be followed"))
    })
}

fn hash(block: &mut Block, tree: &mut Tree, mut tiles: Option<&mut Tiles>) -> Result<(), Stop> {
    let mut hashes = std::mem::take(&mut block.hashes);
    hashes.clear();
    for line in block.lines() {
        let hash = tree.append(line.strip_suffix(b"\n").unwrap_or(line));
        if let Some(tiles) = &mut tiles {
            tiles.compare(tree, Some(hash))?;
        }
        hashes.push(hash);
    }
    block.hashes = hashes;
    Ok(())
}

fn follow(
    filled: &Receiver<Block>,
    empty: &SyncSender<Block>,
    content: &mut Content,
    mut disclosures: Option<&mut Disclosures>,
) {
    while let Ok(block) = filled.recv() {
        content.bytes(&block.bytes);
        for (line, hash) in block.lines().zip(&block.hashes) {
            content.line(line, hash);
            if let Some(disclosures) = &mut disclosures {
                disclosures.meet(line);
            }
        }
        // Nobody wants it back at the end.
        let _ = empty.try_send(block);
    }
}

/// Leaf hashes out of the log's tiles, position by position.
struct Tiles {
    path: PathBuf,
    position: u64,
    to: u64,
    source: Source,
}

enum Source {
    /// One tile after another.
    File(BufReader<File>),
    /// The tile that was read last.
    Directory(Vec<Hash>),
}

impl Tiles {
    fn open(path: &Path, export: &Export) -> Result<Self, Stop> {
        let failed = |error: io::Error| unreadable(path, &error);
        let (position, to) = (export.manifest().from, export.manifest().to);
        let source = if path.is_dir() {
            Source::Directory(Vec::new())
        } else {
            let mut file = File::open(path).map_err(failed)?;
            file.seek(SeekFrom::Start(position.saturating_mul(HASH_SIZE as u64))).map_err(failed)?;
            Source::File(BufReader::new(file))
        };
        Ok(Self { path: path.to_owned(), position, to, source })
    }

    fn rest(&mut self, tree: &mut Tree) -> Result<(), Stop> {
        while self.position < self.to {
            self.compare(tree, None)?;
        }
        Ok(())
    }

    fn compare(&mut self, tree: &mut Tree, found: Option<Hash>) -> Result<(), Stop> {
        if self.position < self.to {
            let hash = self.next()?;
            tree.compare(hash, found);
            self.position += 1;
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Hash, Stop> {
        let width = u64::from(FULL_WIDTH);
        // The remainder is below 256.
        let (index, place) = (self.position / width, (self.position % width) as usize);
        match &mut self.source {
            Source::File(file) => {
                let mut hash = [0; HASH_SIZE];
                file.read_exact(&mut hash).map_err(|error| unreadable(&self.path, &error))?;
                Ok(hash)
            }
            Source::Directory(hashes) => {
                if hashes.is_empty() || place == 0 {
                    *hashes = tile(&self.path, index, self.to)?;
                }
                hashes.get(place).copied().ok_or_else(|| Stop::Unreadable(format!("a tile of {index} is too short")))
            }
        }
    }
}

/// The tile as it is in a tree of `size` events, or full.
fn tile(directory: &Path, index: u64, size: u64) -> Result<Vec<Hash>, Stop> {
    let missing = || Stop::Unreadable(format!("{}: tile {index} is missing", directory.display()));
    let now = Tile::at_size(0, index, size).ok_or_else(missing)?;
    let full = Tile::new(0, index, FULL_WIDTH).map_err(|_| missing())?;
    for tile in [now, full] {
        let path = directory.join(TilePath::Hashes(tile).to_string());
        match std::fs::read(&path) {
            Ok(bytes) => {
                let tile = decode_tile(&bytes, tile.width());
                return tile.map_err(|error| Stop::Unreadable(format!("{}: {error}", path.display())));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&path, &error)),
        }
    }
    Err(missing())
}
