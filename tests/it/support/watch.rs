//! No test waits for ever: one that takes longer than it may ends the run, and is named.
//!
//! A thread watches, not a timer of the test's own runtime: what hangs may be a call that blocks that runtime, or the
//! end of the runtime itself, which waits for every blocking call.

use std::cell::RefCell;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

/// Far more than any test takes that says nothing else.
pub const LONGEST: Duration = Duration::from_secs(300);

thread_local! {
    /// Dropped when the test's thread ends, after everything that the test started there.
    static WATCHED: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
}

/// From now on this test may take `limit`; what was allowed before is forgotten.
pub fn watch(limit: Duration) {
    let (ends, ended) = mpsc::channel();
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    std::thread::spawn(move || {
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{test} has not ended after {limit:?}");
            // Not `exit`, which would run what may be what hangs.
            std::process::abort();
        }
    });
    WATCHED.set(Some(ends));
}

/// Waits for a program that should end by itself now; one that does not is killed.
pub fn ended(child: &mut Child) -> ExitStatus {
    for _ in 0..1200 {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    panic!("process {} did not end within a minute", child.id());
}

/// Asks a program to stop, as an operator or a container does, and waits until it has.
pub fn stopped(child: &mut Child) -> ExitStatus {
    signal(child, "TERM");
    ended(child)
}

/// Sends a signal by its name.
pub fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(status.unwrap().success());
}
