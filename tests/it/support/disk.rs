//! A small disk of a test's own, which can be filled.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{not_tested, required};

pub struct Disk(tempfile::TempDir);

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still holds a file there lets go of it when it ends.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

impl Disk {
    /// Of this many megabytes; nothing where disks cannot be mounted and need not be.
    pub fn mount(megabytes: u32) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(directory.path());
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !mounted {
            assert!(!required("REQUIRE_FAULT_TOOLS"), "REQUIRE_FAULT_TOOLS=1, but a tmpfs cannot be mounted");
            not_tested("a full disk", "a tmpfs cannot be mounted here");
            return None;
        }
        Some(Self(directory))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all space that is left.
    pub fn fill(&self) {
        let mut file = File::create(self.path().join("filler")).unwrap();
        for size in [1 << 20, 1 << 12] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    /// Gives it back.
    pub fn free(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}
