//! Requests to witnesses: the example of the specification, strictness.

use proptest::prelude::*;

use super::super::checkpoint::Checkpoint;
use super::super::key::{Algorithm, VerifierKey};
use super::super::note;
use super::super::tree::{Hash, verify_consistency};
use super::super::witness::{AddCheckpoint, AddCheckpointError, MAX_HASHES};
use super::{hash, log_key};

const EXAMPLE: &str = "\
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
";

fn checkpoint(size: u64) -> String {
    let text = Checkpoint::new("thidua.example.vn/log", size, [3; 32]).unwrap().to_string();
    note::write(&text, &[log_key().sign(&text).unwrap()]).unwrap()
}

#[test]
fn the_example_of_the_specification_is_read_and_written() {
    let request: AddCheckpoint = EXAMPLE.parse().unwrap();
    assert_eq!((request.old_size(), request.proof().len()), (20_852_014, 4));
    assert!(request.checkpoint().starts_with("example.com/behind-the-sofa\n20852163\n"));
    assert_eq!(request.to_string(), EXAMPLE);
}

/// `FiloSottile/torchwood`, `cmd/litewitness/testdata/litewitness.txt`: the second checkpoint of a Sigsum log.
const SIGSUM: &str = "\
old 1
KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
KgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562
3
RcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=

— sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562 UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=
";

/// The third, for a witness that knows the second.
const SIGSUM_NEXT: &str = "\
old 3
KgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
KgMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
wgiIFdZfYNv6WU1OllBKsWnLYIS/DBMqt8Uh/S4OukE=
KgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562
5
QrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY=

— sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562 UgIomw/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=
";

/// What a witness does with a request, if it cosigned `known` last: the new root, or a status.
fn judge(known: &Hash, request: &str) -> Result<Hash, u16> {
    let public = hash("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f");
    let name = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562";
    let keys = [VerifierKey::new(name, Algorithm::Ed25519, public).unwrap()];
    let request: AddCheckpoint = request.parse().map_err(|_| 400_u16)?;
    let text = note::open(request.checkpoint(), &keys).map_err(|_| 403_u16)?.text;
    let checkpoint: Checkpoint = text.parse().map_err(|_| 400_u16)?;
    let (size, root) = (checkpoint.size(), checkpoint.root());
    verify_consistency(request.old_size(), known, size, root, request.proof()).map_err(|_| 422_u16)?;
    Ok(*root)
}

#[test]
fn what_litewitness_accepts_and_refuses_is_accepted_and_refused() {
    let mut first = [0; 32];
    first[0] = 0x2a;
    let second = judge(&first, SIGSUM).unwrap();
    assert!(judge(&second, SIGSUM_NEXT).is_ok());
    assert_eq!(judge(&first, SIGSUM_NEXT), Err(422));
    let refused = |from: &str, to: &str| judge(&first, &SIGSUM.replacen(from, to, 1)).unwrap_err();
    assert_eq!(refused("Vrx6go=", "Vrx6gx="), 400);
    assert_eq!(refused("Vrx6go=", "Vrx6gw="), 403);
    assert_eq!(refused("0309e562", "0309e563"), 403);
    assert_eq!(refused("KgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", ""), 422);
    assert_eq!(refused("AAAAA=\n\n", "AAABA=\n\n"), 422);
}

#[test]
fn what_is_no_request_is_refused() {
    let refused = |from: &str, to: &str| {
        let changed = EXAMPLE.replacen(from, to, 1);
        assert_ne!(changed, EXAMPLE);
        changed.parse::<AddCheckpoint>().expect_err(&changed)
    };
    for old in ["old 020852014", "old +1", "old -1", "old ", "old", "Old 1", "old  1", "old 1 ", "", " old 1"] {
        assert_eq!(refused("old 20852014", old), AddCheckpointError::OldSize, "{old}");
    }
    let above = AddCheckpointError::OldSizeAbove { old: 20_852_164, size: 20_852_163 };
    assert_eq!(refused("old 20852014", "old 20852164"), above);
    assert_eq!(refused("PlRN", "PlR"), AddCheckpointError::Proof);
    assert_eq!(refused("PlRN", "PlRNPlRN"), AddCheckpointError::Proof);
    assert_eq!(refused("\n\nexample", "\nexample"), AddCheckpointError::Proof);
    assert!(matches!(refused("\n\nexample", "\n\n\nexample"), AddCheckpointError::Checkpoint(_)));
    assert!(matches!(refused("20852163", "020852163"), AddCheckpointError::Checkpoint(_)));
    assert!(matches!(refused("— ", "- "), AddCheckpointError::Note(_)));
    assert!(matches!(refused("qbSzm9Q=\n", "qbSzm9Q="), AddCheckpointError::Note(_)));
    assert_eq!("".parse::<AddCheckpoint>(), Err(AddCheckpointError::OldSize));
}

#[test]
fn at_most_63_hashes_are_sent() {
    let request = |hashes| AddCheckpoint::new(1, vec![[0; 32]; hashes], &checkpoint(9));
    let text = request(MAX_HASHES).unwrap().to_string();
    assert!(text.parse::<AddCheckpoint>().is_ok());
    assert_eq!(request(MAX_HASHES + 1), Err(AddCheckpointError::Proof));
    let more = text.replacen('\n', "\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 1);
    assert_eq!(more.parse::<AddCheckpoint>(), Err(AddCheckpointError::Proof));
}

proptest! {
    #[test]
    fn requests_survive(old in any::<u64>(), more in any::<u64>(), proof in prop::collection::vec(any::<Hash>(), 0..=63)) {
        let request = AddCheckpoint::new(old, proof, &checkpoint(old.saturating_add(more))).unwrap();
        prop_assert_eq!(request.to_string().parse(), Ok(request));
    }
}
