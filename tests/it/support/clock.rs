//! Another clock for a program: libfaketime, told by a file, so that the clock also jumps while the program runs.

use std::path::{Path, PathBuf};

use super::program::Program;
use super::{not_tested, required};

pub struct Clock {
    file: PathBuf,
}

impl Clock {
    /// For the processes that this program starts from now on; nothing if libfaketime is not here and need not be.
    pub fn of(program: &mut Program, directory: &Path) -> Option<Self> {
        let library = ["x86_64", "aarch64"].map(|cpu| format!("/usr/lib/{cpu}-linux-gnu/faketime/libfaketime.so.1"));
        let library = library.into_iter().find(|path| Path::new(path).exists());
        let Some(library) = library else {
            assert!(!required("REQUIRE_FAULT_TOOLS"), "REQUIRE_FAULT_TOOLS=1, but libfaketime is not found");
            not_tested("another clock", "libfaketime is not found");
            return None;
        };
        let clock = Self { file: directory.join("clock") };
        clock.off_by(0);
        let file = clock.file.display().to_string();
        for (name, value) in [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", &file),
            ("FAKETIME_NO_CACHE", "1"),
            // Clocks on the wall jump; the one that timeouts go by does not.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ] {
            program.environment.push((name.to_owned(), value.to_owned()));
        }
        Some(clock)
    }

    /// From now on the clock is off by so many seconds.
    pub fn off_by(&self, seconds: i64) {
        // Whoever reads it at this moment must find all of it.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(new, &self.file).unwrap();
    }
}
