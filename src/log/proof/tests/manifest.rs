//! Manifests of exports: what is written is read, anything else is refused.

use super::super::manifest::{Manifest, ManifestError, join, split};
use super::super::note;
use super::super::tree::FrontierError;
use super::log_key;

fn manifest() -> Manifest {
    Manifest {
        log: "thidua.example.vn/log".to_owned(),
        export: "01900000-0000-7000-8000-000000000001".to_owned(),
        from: 6,
        to: 9,
        events: 3,
        bytes: 1234,
        sha256: [7; 32],
        left: vec![[1; 32], [2; 32]],
    }
}

#[test]
fn a_manifest_survives_and_so_does_the_served_file() {
    let text = manifest().to_string();
    assert_eq!(Manifest::parse(&text), Ok(manifest()));
    let signed = note::write(&text, &[log_key().sign(&text).unwrap()]).unwrap();
    let file = join(&signed, "checkpoint\n");
    assert_eq!(split(&file), Ok((&*signed, "checkpoint\n")));
    assert_eq!(split(&signed), Err(ManifestError::Separator));
    let empty = Manifest { from: 0, to: 0, events: 0, left: Vec::new(), ..manifest() };
    assert_eq!(Manifest::parse(&empty.to_string()), Ok(empty));
}

#[test]
fn what_is_no_manifest_is_refused() {
    let text = manifest().to_string();
    let refused = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        Manifest::parse(&changed).expect_err(&changed)
    };
    assert_eq!(refused("export/1", "export/2"), ManifestError::Header);
    assert_eq!(refused("log thidua.example.vn/log", "log "), ManifestError::Line("log"));
    assert_eq!(refused("\nexport 0190", "\nexport {0190"), ManifestError::Line("export"));
    assert_eq!(refused("7000", "700A"), ManifestError::Line("export"));
    assert_eq!(refused("from 6", "from 06"), ManifestError::Line("from"));
    assert_eq!(refused("from 6\nto 9", "to 9\nfrom 6"), ManifestError::Line("from"));
    assert_eq!(refused("events 3", "events 4"), ManifestError::Count { from: 6, to: 9, events: 4 });
    assert_eq!(refused("to 9", "to 5"), ManifestError::Count { from: 6, to: 5, events: 3 });
    assert_eq!(refused("bytes 1234\n", ""), ManifestError::Line("bytes"));
    assert_eq!(refused("sha256 B", "sha256 _"), ManifestError::Line("sha256"));
    assert_eq!(refused("\nleft AQ", "\nleft"), ManifestError::Line("left"));
    let left = "left AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n";
    assert_eq!(refused(left, ""), ManifestError::Left(FrontierError::Length { size: 6, length: 32 }));
    assert_eq!(Manifest::parse(&format!("{text}\n")), Err(ManifestError::Line("left")));
    assert_eq!(Manifest::parse(text.trim_end()), Err(ManifestError::End));
}
