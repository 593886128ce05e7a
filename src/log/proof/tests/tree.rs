//! Roots and proofs: the vectors of RFC 6962 implementations, ct-merkle as oracle, and RFC 9162 word for word.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::{Digest as _, Sha256};

use super::super::plan::{Plan, PlanError};
use super::super::tree::{
    EMPTY_ROOT, Frontier, FrontierError, Hash, leaf_hash, node_hash, root_of, verify_consistency, verify_inclusion,
};
use super::{Numbers, Roots, hash, unhex, uniform};

/// transparency-dev/merkle, `testonly/constants.go`; they come from the reference implementation of CT.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// Index, size, proof: `testonly/reference_test.go`.
const INCLUSION: [(u64, u64, &[&str]); 7] = [
    (0, 1, &[]),
    (0, 2, &["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"]),
    (1, 2, &["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"]),
    (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        &[
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
    (
        0,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
];

/// Sizes and proof, from the same file.
const CONSISTENCY: [(u64, u64, &[&str]); 4] = [
    (1, 1, &[]),
    (
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        2,
        5,
        &[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
    (
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
];

#[test]
fn the_vectors_of_certificate_transparency_hold() {
    let leaves: Vec<Hash> = LEAVES.iter().map(|leaf| leaf_hash(&unhex(leaf))).collect();
    for (size, root) in ROOTS.iter().enumerate() {
        assert_eq!(root_of(&leaves[..size]), hash(root), "{size}");
    }
    let roots = Roots::new(leaves.clone());
    for (index, size, proof) in INCLUSION {
        let proof: Vec<Hash> = proof.iter().copied().map(hash).collect();
        assert_eq!(Plan::inclusion(index, size).unwrap().hashes(|node| roots.get(node)).unwrap(), proof);
        let (leaf, root) = (leaves[index as usize], hash(ROOTS[size as usize]));
        assert_eq!(verify_inclusion(&leaf, index, size, &proof, &root), Ok(()));
    }
    for (size1, size2, proof) in CONSISTENCY {
        let proof: Vec<Hash> = proof.iter().copied().map(hash).collect();
        assert_eq!(Plan::consistency(size1, size2).unwrap().hashes(|node| roots.get(node)).unwrap(), proof);
        let (older, newer) = (hash(ROOTS[size1 as usize]), hash(ROOTS[size2 as usize]));
        assert_eq!(verify_consistency(size1, &older, size2, &newer, &proof), Ok(()));
    }
}

#[test]
fn every_proof_up_to_260_leaves_is_that_of_ct_merkle() {
    let leaves: Vec<[u8; 8]> = (0..260_u64).map(u64::to_be_bytes).collect();
    let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    let known = Roots::new(hashes.clone());
    let mut roots = vec![EMPTY_ROOT];
    let (mut oracle, mut frontier) = (MemoryBackedTree::<Sha256, [u8; 8]>::new(), Frontier::new());
    for size in 1..=260 {
        oracle.push(leaves[size - 1]);
        frontier.push(hashes[size - 1]).unwrap();
        let root = frontier.root();
        assert_eq!(root.as_slice(), oracle.root().as_bytes().as_slice());
        assert_eq!(Plan::root(size as u64).hashes(|node| known.get(node)), Ok(vec![root]));
        roots.push(root);
        let known = |node| known.get(node);
        let length = size as u64;
        for (index, leaf) in hashes[..size].iter().enumerate() {
            let proof = Plan::inclusion(index as u64, length).unwrap().hashes(known).unwrap();
            assert_eq!(proof.concat(), oracle.prove_inclusion(index).as_bytes(), "{index} {size}");
            assert_eq!(verify_inclusion(leaf, index as u64, length, &proof, &root), Ok(()));
        }
        for (older, older_root) in roots.iter().enumerate() {
            let proof = Plan::consistency(older as u64, length).unwrap().hashes(known).unwrap();
            if older > 0 {
                assert_eq!(proof.concat(), oracle.prove_consistency(size - older).as_bytes(), "{older} {size}");
            }
            assert_eq!(verify_consistency(older as u64, older_root, length, &root, &proof), Ok(()));
        }
    }
}

/// RFC 9162, section 2.1.1, with another SHA-256.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest(b"").into(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            Sha256::new_with_prefix([1]).chain_update(mth(left)).chain_update(mth(right)).finalize().into()
        }
    }
}

/// The largest power of two smaller than n.
fn split(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

/// Section 2.1.3.1.
fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) =
        if m < left.len() { (path(m, left), mth(right)) } else { (path(m - left.len(), right), mth(left)) };
    path.push(sibling);
    path
}

/// Section 2.1.4.1.
fn subproof(m: usize, leaves: &[Hash], complete: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if complete { Vec::new() } else { vec![mth(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, sibling) = if m <= left.len() {
        (subproof(m, left, complete), mth(right))
    } else {
        (subproof(m - left.len(), right, false), mth(left))
    };
    proof.push(sibling);
    proof
}

#[test]
fn proofs_of_large_trees_are_those_of_the_rfc() {
    let leaves: Vec<Hash> = (0..70_000_u64).map(|leaf| leaf_hash(&leaf.to_be_bytes())).collect();
    let known = Roots::new(leaves.clone());
    let mut numbers = Numbers(6962);
    for _ in 0..10 {
        let size = 1 + numbers.below(70_000);
        let tree = &leaves[..size as usize];
        let root = root_of(tree);
        assert_eq!(root, mth(tree));
        for _ in 0..2 {
            let index = numbers.below(size);
            let proof = Plan::inclusion(index, size).unwrap().hashes(|node| known.get(node)).unwrap();
            assert_eq!(proof, path(index as usize, tree), "{index} {size}");
            assert_eq!(verify_inclusion(&tree[index as usize], index, size, &proof, &root), Ok(()));
            let older = 1 + numbers.below(size);
            let proof = Plan::consistency(older, size).unwrap().hashes(|node| known.get(node)).unwrap();
            assert_eq!(proof, subproof(older as usize, tree, true), "{older} {size}");
            assert_eq!(verify_consistency(older, &mth(&tree[..older as usize]), size, &root, &proof), Ok(()));
        }
    }
}

#[test]
fn any_size_is_counted_without_overflow() {
    let lookup = uniform(b"leaf");
    let root = |size| Plan::root(size).hashes(&lookup).unwrap()[0];
    let mut sizes = vec![1, 2, 3, 100_000_000, u64::MAX / 3, u64::MAX - 1, u64::MAX];
    sizes.extend((31..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]));
    for &size in &sizes {
        for index in [0, 1, size / 3, size / 2, size - 1].into_iter().filter(|index| *index < size) {
            let proof = Plan::inclusion(index, size).unwrap().hashes(&lookup).unwrap();
            assert!(proof.len() <= 64);
            assert_eq!(verify_inclusion(&leaf_hash(b"leaf"), index, size, &proof, &root(size)), Ok(()));
        }
        for &older in sizes.iter().filter(|older| **older <= size) {
            let proof = Plan::consistency(older, size).unwrap().hashes(&lookup).unwrap();
            assert_eq!(verify_consistency(older, &root(older), size, &root(size), &proof), Ok(()), "{older} {size}");
        }
    }
    assert_eq!(Plan::inclusion(12_345_678, 100_000_000).unwrap().hashes(&lookup).unwrap().len(), 27);
}

#[test]
fn there_is_no_proof_of_what_is_not_there() {
    assert_eq!(Plan::inclusion(3, 3), Err(PlanError::IndexOutside { index: 3, size: 3 }));
    assert_eq!(Plan::inclusion(0, 0), Err(PlanError::IndexOutside { index: 0, size: 0 }));
    assert_eq!(Plan::consistency(4, 3), Err(PlanError::SizesReversed { size1: 4, size2: 3 }));
    assert_eq!(Plan::root(0).hashes(|_| None), Ok(Vec::new()));
    let plan = Plan::inclusion(0, 2).unwrap();
    let node = plan.nodes().next().unwrap();
    assert_eq!(plan.hashes(|_| None), Err(PlanError::Missing(node)));
}

#[test]
fn a_frontier_survives_storage() {
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root(), EMPTY_ROOT);
    for leaf in 0..300_u64 {
        let (size, bytes) = (frontier.size(), frontier.to_bytes());
        assert_eq!(size, leaf);
        assert_eq!(Frontier::from_parts(size, &bytes), Ok(frontier.clone()));
        let wrong = Err(FrontierError::Length { size, length: bytes.len() + 1 });
        assert_eq!(Frontier::from_parts(size, &[bytes.as_slice(), &[0]].concat()), wrong);
        let wrong = Err(FrontierError::Length { size, length: bytes.len() + 32 });
        assert_eq!(Frontier::from_parts(size, &[bytes.as_slice(), &[0; 32]].concat()), wrong);
        frontier.push(leaf_hash(&leaf.to_be_bytes())).unwrap();
    }
    let mut last = Frontier::from_parts(u64::MAX - 1, &[7; 63 * 32]).unwrap();
    assert_eq!(last.push([0; 32]), Ok(()));
    assert_eq!(last.push([0; 32]), Err(FrontierError::Full));
    assert_eq!((last.size(), last.to_bytes().len()), (u64::MAX, 64 * 32));
}

#[test]
fn leaves_and_nodes_are_told_apart() {
    let (left, right) = (leaf_hash(b"a"), leaf_hash(b"b"));
    assert_ne!(node_hash(&left, &right), leaf_hash(&[left, right].concat()));
    assert_ne!(node_hash(&left, &right), node_hash(&right, &left));
}
