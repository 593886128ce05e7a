//! Tiles: the examples of the specification, strictness of paths, and proofs out of full tiles only.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::plan::{NodeId, Plan};
use super::super::tile::{
    FULL_WIDTH, Tile, TileError, TilePath, completed, decode_entries, decode_tile, encode_entries, encode_tile,
    full_tiles, node_in_tile, partial_width, tile_root,
};
use super::super::tree::{Hash, leaf_hash, root_of};
use super::{Numbers, Roots};

fn hashes(level: u8, index: u64, width: u16) -> TilePath {
    TilePath::Hashes(Tile::new(level, index, width).unwrap())
}

fn entries(index: u64, width: u16) -> TilePath {
    TilePath::Entries(Tile::new(0, index, width).unwrap())
}

#[test]
fn paths_are_those_of_the_specification() {
    let paths = [
        (hashes(0, 1_234_067, 256), "tile/0/x001/x234/067"),
        (hashes(63, 5, 1), "tile/63/005.p/1"),
        (hashes(1, 0, 255), "tile/1/000.p/255"),
        (hashes(0, 999, 256), "tile/0/999"),
        (hashes(0, 1000, 256), "tile/0/x001/000"),
        (hashes(0, u64::MAX, 256), "tile/0/x018/x446/x744/x073/x709/x551/615"),
        (entries(1_234_067, 256), "tile/entries/x001/x234/067"),
        (entries(0, 112), "tile/entries/000.p/112"),
    ];
    for (path, text) in paths {
        assert_eq!(path.to_string(), text);
        assert_eq!(text.parse(), Ok(path));
    }
}

#[test]
fn every_other_way_to_write_a_path_is_refused() {
    let refused = [
        "",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1000",
        "tile/0/x000",
        "tile/0/x000/001",
        "tile/0/001/067",
        "tile/0/x001/x067",
        "tile/0/xx01/067",
        "tile/0/X001/067",
        "tile/0/x001//067",
        "tile/0/+01",
        "tile/0/-01",
        "tile/0/ 01",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/00/000",
        "tile/+0/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/256/000",
        "tile/data/000",
        "tile/Entries/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/65537",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/000.P/1",
        "tile/entries/000.p/256",
        "tile/8/0/000",
        "tile/0/٠٠٠",
    ];
    for path in refused {
        assert_eq!(path.parse::<TilePath>(), Err(TileError::Path), "{path}");
    }
    for (level, width) in [(64, 1), (0, 0), (0, 257)] {
        assert_eq!(Tile::new(level, 0, width), Err(TileError::Coordinates));
    }
}

#[test]
fn a_tree_has_the_tiles_of_the_specification() {
    let tiles = |size| [0, 1, 2, 3].map(|level| (full_tiles(level, size), partial_width(level, size)));
    assert_eq!(tiles(70_000), [(273, 112), (1, 17), (0, 1), (0, 0)]);
    assert_eq!(tiles(256), [(1, 0), (0, 1), (0, 0), (0, 0)]);
    assert_eq!(tiles(0), [(0, 0); 4]);
    assert_eq!((full_tiles(7, u64::MAX), partial_width(7, u64::MAX)), (0, 255));
    assert_eq!((full_tiles(63, u64::MAX), partial_width(63, u64::MAX)), (0, 0));
    let width = |level, index, size| Tile::at_size(level, index, size).map(|tile| tile.width());
    assert_eq!([0, 272, 273, 274].map(|index| width(0, index, 70_000)), [Some(256), Some(256), Some(112), None]);
    assert_eq!([0, 1, u64::MAX].map(|index| width(1, index, 70_000)), [Some(256), Some(17), None]);
    assert_eq!(Tile::at_size(0, 1, 256), None);
}

#[test]
fn tiles_are_completed_once_and_from_below() {
    let mut numbers = Numbers(256);
    let (mut size, mut seen) = (0, Vec::new());
    while size < 200_000 {
        let next = size + numbers.below(3000);
        seen.extend(completed(size, next));
        size = next;
    }
    let place = |tile: &Tile| seen.iter().position(|other| other == tile);
    for tile in &seen {
        assert!(tile.is_full());
        if tile.level() > 0 {
            let children = tile.children().unwrap().map(|index| Tile::new(tile.level() - 1, index, 256).unwrap());
            assert!(children.map(|child| place(&child)).all(|child| child.is_some() && child < place(tile)));
        }
    }
    let mut all: Vec<Tile> = completed(0, size).collect();
    all.sort();
    seen.sort();
    assert_eq!(seen, all);
    assert_eq!(completed(u64::MAX - 1, u64::MAX).count(), 0);
    assert_eq!(completed((1 << 56) - 1, 1 << 56).map(|tile| tile.level()).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
}

/// What a server keeps: full tiles, their roots, the leaves after the last full tile.
struct Store {
    tiles: HashMap<(u8, u64), (Vec<Hash>, Hash)>,
    tail: Vec<Hash>,
}

impl Store {
    fn new(leaves: &[Hash]) -> Self {
        let mut tiles: HashMap<(u8, u64), (Vec<Hash>, Hash)> = HashMap::new();
        for tile in completed(0, leaves.len() as u64) {
            let children = tile.children().unwrap();
            let hashes: Vec<Hash> = match tile.level().checked_sub(1) {
                None => leaves[children.start as usize..children.end as usize].to_vec(),
                Some(below) => children.map(|index| tiles[&(below, index)].1).collect(),
            };
            let root = tile_root(hashes.as_slice().try_into().unwrap());
            tiles.insert((tile.level(), tile.index()), (hashes, root));
        }
        Self { tiles, tail: leaves[leaves.len() / 256 * 256..].to_vec() }
    }

    /// As a server would with SQL, for any size up to its own.
    fn tile(&self, tile: Tile) -> Option<Vec<Hash>> {
        if let Some((hashes, _)) = self.tiles.get(&(tile.level(), tile.index())) {
            return hashes.get(..usize::from(tile.width())).map(<[Hash]>::to_vec);
        }
        match tile.level().checked_sub(1) {
            None => self.tail.get(..usize::from(tile.width())).map(<[Hash]>::to_vec),
            Some(below) => tile.children()?.map(|index| self.tiles.get(&(below, index)).map(|tile| tile.1)).collect(),
        }
    }

    fn node(&self, node: NodeId, size: u64) -> Option<Hash> {
        node_in_tile(node, &self.tile(Tile::holding(node, size)?)?)
    }
}

#[test]
fn full_tiles_and_the_last_leaves_answer_everything() {
    let leaves: Vec<Hash> = (0..70_000_u64).map(|leaf| leaf_hash(&leaf.to_be_bytes())).collect();
    let (store, known) = (Store::new(&leaves), Roots::new(leaves.clone()));
    let mut numbers = Numbers(70_000);
    for round in 0..300 {
        let size = if round % 3 == 0 { 70_000 } else { 1 + numbers.below(70_000) };
        let index = numbers.below(size);
        for plan in [Plan::inclusion(index, size), Plan::consistency(index, size), Ok(Plan::root(size))] {
            let plan = plan.unwrap();
            assert_eq!(plan.hashes(|node| store.node(node, size)), plan.hashes(|node| known.get(node)));
        }
    }
    assert_eq!(Plan::root(70_000).hashes(|node| store.node(node, 70_000)), Ok(vec![root_of(&leaves)]));
}

#[test]
fn a_node_outside_the_tree_is_in_no_tile() {
    assert_eq!(Tile::holding(NodeId { level: 0, index: 3 }, 3), None);
    assert_eq!(Tile::holding(NodeId { level: 2, index: 0 }, 3), None);
    assert_eq!(Tile::holding(NodeId { level: 1, index: 0 }, 3), Tile::new(0, 0, 3).ok());
    assert_eq!(Tile::holding(NodeId { level: 63, index: 1 }, u64::MAX), None);
    assert_eq!(Tile::holding(NodeId { level: 63, index: 0 }, u64::MAX), Tile::new(7, 0, 255).ok());
    assert_eq!(node_in_tile(NodeId { level: 1, index: 1 }, &[[0; 32]; 3]), None);
}

#[test]
fn bundles_are_read_to_the_byte() {
    let bundle = encode_entries(&[b"".as_slice(), b"ab"]).unwrap();
    assert_eq!(bundle, [0, 0, 0, 2, b'a', b'b']);
    assert_eq!(decode_entries(&bundle, 2), Ok(vec![b"".as_slice(), b"ab"]));
    for width in [0, 1, 3, 256, 257, u16::MAX] {
        assert_eq!(decode_entries(&bundle, width), Err(TileError::Bundle { width }));
    }
    for end in 0..bundle.len() {
        assert_eq!(decode_entries(&bundle[..end], 2), Err(TileError::Bundle { width: 2 }));
    }
    assert_eq!(decode_entries(&[0, 0, 0], 1), Err(TileError::Bundle { width: 1 }));
    assert_eq!(encode_entries(&[vec![0; 65_535]]).map(|bundle| bundle.len()), Ok(65_537));
    assert_eq!(encode_entries(&[vec![], vec![0; 65_536]]), Err(TileError::EntryTooLong(1)));
    assert_eq!(encode_entries::<Vec<u8>>(&[]), Err(TileError::Coordinates));
    assert_eq!(encode_entries(&vec![b"x"; 257]), Err(TileError::Coordinates));
}

proptest! {
    #[test]
    fn paths_survive(level in 0..=63_u8, index in any::<u64>(), width in 1..=256_u16) {
        for path in [hashes(level, index, width), entries(index, width)] {
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
    }

    #[test]
    fn only_written_paths_are_read(path in "tile/(entries|[0-9]{1,2})/[x0-9/]{1,16}(\\.p/[0-9]{1,3})?") {
        if let Ok(read) = path.parse::<TilePath>() {
            prop_assert_eq!(read.to_string(), path);
        }
    }

    #[test]
    fn bundles_survive(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..=256)) {
        let bundle = encode_entries(&entries).unwrap();
        prop_assert_eq!(decode_entries(&bundle, entries.len() as u16).unwrap(), entries);
    }

    #[test]
    fn tiles_survive(hashes in prop::collection::vec(any::<[u8; 32]>(), 1..=256)) {
        let (bytes, width) = (encode_tile(&hashes), hashes.len() as u16);
        prop_assert_eq!(decode_tile(&bytes, width), Ok(hashes));
        prop_assert!(decode_tile(&bytes, width + 1).is_err());
        prop_assert!(decode_tile(&bytes[1..], width).is_err());
    }
}

#[test]
fn what_is_stored_to_prove_a_hundred_million_is_33_bytes_an_event() {
    let size: u64 = 100_000_000;
    // A row has level and index, its hashes, and the root over them.
    let row = 2 * 8 + u64::from(FULL_WIDTH) * 32 + 32;
    let rows: u64 = (0..8).map(|level| full_tiles(level, size)).sum();
    assert_eq!(rows, completed(0, size).count() as u64);
    // And one head: a hash for each bit of the size.
    let bytes = rows * row + 2 * 8 + u64::from(size.count_ones()) * 32;
    assert!(bytes <= 33 * size, "{bytes} bytes");
    assert!(bytes > 32 * size, "hashes are 32 bytes: {bytes}");
}
