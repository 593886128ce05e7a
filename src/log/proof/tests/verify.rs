//! What verification refuses: every change to a proof.

use super::super::plan::Plan;
use super::super::tree::{EMPTY_ROOT, Hash, VerifyError, leaf_hash, root_of, verify_consistency, verify_inclusion};
use super::Roots;

fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|leaf| leaf_hash(&leaf.to_be_bytes())).collect()
}

/// All proofs that differ from this one in a single bit.
fn flipped(proof: &[Hash]) -> impl Iterator<Item = Vec<Hash>> {
    (0..proof.len() * 256).map(|bit| {
        let mut changed = proof.to_vec();
        changed[bit / 256][bit % 256 / 8] ^= 1 << (bit % 8);
        changed
    })
}

/// A hash left out, put in or exchanged; never the proof itself.
fn rearranged(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut found = Vec::new();
    let stranger = leaf_hash(b"stranger");
    for place in 0..=proof.len() {
        let known = proof.iter().copied().chain([stranger, EMPTY_ROOT]);
        found.extend(known.map(|hash| {
            let mut changed = proof.to_vec();
            changed.insert(place, hash);
            changed
        }));
    }
    for place in 0..proof.len() {
        let mut changed = proof.to_vec();
        changed.remove(place);
        found.push(changed);
        for other in place + 1..proof.len() {
            let mut changed = proof.to_vec();
            changed.swap(place, other);
            found.push(changed);
        }
    }
    let mut reversed = proof.to_vec();
    reversed.reverse();
    found.push(reversed);
    found.retain(|changed| changed != proof);
    found
}

/// A wrong length is seen as such, before any root is compared.
fn refusal(proof: &[Hash], changed: &[Hash]) -> VerifyError {
    if changed.len() == proof.len() {
        VerifyError::RootMismatch
    } else {
        VerifyError::ProofLength { length: changed.len() }
    }
}

#[test]
fn no_inclusion_proof_can_be_changed() {
    for size in 1..=33 {
        let leaves = leaves(size);
        let (known, root) = (Roots::new(leaves.clone()), root_of(&leaves));
        for index in 0..size {
            let proof = Plan::inclusion(index, size).unwrap().hashes(|node| known.get(node)).unwrap();
            let leaf = &leaves[index as usize];
            assert_eq!(verify_inclusion(leaf, index, size, &proof, &root), Ok(()));
            for changed in rearranged(&proof) {
                let verified = verify_inclusion(leaf, index, size, &changed, &root);
                assert_eq!(verified, Err(refusal(&proof, &changed)), "{index} {size}");
            }
            if [3, 7, 8, 13, 33].contains(&size) {
                let accepted = |changed: &Vec<Hash>| verify_inclusion(leaf, index, size, changed, &root).is_ok();
                assert!(!flipped(&proof).any(|changed| accepted(&changed)));
            }
            for other in (0..=size).filter(|other| *other != index) {
                assert!(verify_inclusion(leaf, other, size, &proof, &root).is_err(), "{index} as {other} of {size}");
            }
            assert!(verify_inclusion(&root, index, size, &proof, &root).is_err() || size == 1);
            assert_eq!(verify_inclusion(leaf, index, size, &proof, leaf).is_ok(), size == 1);
        }
    }
}

#[test]
fn no_consistency_proof_can_be_changed() {
    for size2 in 1..=33 {
        let leaves = leaves(size2);
        let (known, root2) = (Roots::new(leaves.clone()), root_of(&leaves));
        for size1 in 1..=size2 {
            let root1 = root_of(&leaves[..size1 as usize]);
            let proof = Plan::consistency(size1, size2).unwrap().hashes(|node| known.get(node)).unwrap();
            assert_eq!(verify_consistency(size1, &root1, size2, &root2, &proof), Ok(()));
            for changed in rearranged(&proof) {
                let verified = verify_consistency(size1, &root1, size2, &root2, &changed);
                let older = changed.len() == proof.len() && verified == Err(VerifyError::OldRootMismatch);
                assert!(older || verified == Err(refusal(&proof, &changed)), "{size1} {size2}");
            }
            if [3, 7, 8, 13, 33].contains(&size2) {
                let check = |changed: Vec<Hash>| verify_consistency(size1, &root1, size2, &root2, &changed);
                assert!(!flipped(&proof).any(|changed| check(changed).is_ok()));
            }
            let other = leaf_hash(b"other");
            assert!(verify_consistency(size1, &other, size2, &root2, &proof).is_err());
            assert!(verify_consistency(size1, &root1, size2, &other, &proof).is_err());
            assert_eq!(verify_consistency(size1, &root2, size2, &root1, &proof).is_ok(), size1 == size2);
        }
    }
}

#[test]
fn outside_the_rfc_only_the_obvious_is_consistent() {
    let (one, two) = (root_of(&leaves(1)), root_of(&leaves(2)));
    let check = verify_consistency;
    assert_eq!(check(0, &EMPTY_ROOT, 0, &EMPTY_ROOT, &[]), Ok(()));
    assert_eq!(check(0, &EMPTY_ROOT, 2, &two, &[]), Ok(()));
    assert_eq!(check(2, &two, 2, &two, &[]), Ok(()));
    assert_eq!(check(0, &one, 2, &two, &[]), Err(VerifyError::OldRootMismatch));
    assert_eq!(check(0, &EMPTY_ROOT, 0, &two, &[]), Err(VerifyError::RootMismatch));
    assert_eq!(check(0, &EMPTY_ROOT, 2, &two, &[two]), Err(VerifyError::ProofLength { length: 1 }));
    assert_eq!(check(2, &two, 2, &two, &[two]), Err(VerifyError::ProofLength { length: 1 }));
    assert_eq!(check(2, &two, 2, &one, &[]), Err(VerifyError::RootMismatch));
    assert_eq!(check(2, &two, 1, &one, &[]), Err(VerifyError::SizesReversed { size1: 2, size2: 1 }));
    // Between different trees an empty proof is never enough.
    assert_eq!(check(1, &one, 2, &two, &[]), Err(VerifyError::ProofLength { length: 0 }));
    assert_eq!(check(3, &one, 4, &two, &[]), Err(VerifyError::ProofLength { length: 0 }));
    let nothing = verify_inclusion(&one, 0, 0, &[], &EMPTY_ROOT);
    assert_eq!(nothing, Err(VerifyError::IndexOutside { index: 0, size: 0 }));
}
