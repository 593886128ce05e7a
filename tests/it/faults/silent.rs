//! A PostgreSQL server that vanishes without a word: the system is asked to notice it in half a minute. That it then does is
//! the kernel's word; here is shown that every connection asks (`vendor/README.md`).

use std::process::Command;

use super::syscalls::strace_is_there;
use crate::support::program::Program;
use crate::support::watch::{LONGEST, watch};
use crate::support::{Database, Engine, not_tested};

#[actix_web::test]
async fn every_connection_to_postgresql_notices_a_server_that_is_gone() {
    let Some(database) = Database::create(Engine::Postgres).await else { return };
    if !strace_is_there() {
        return;
    }
    if database.url.contains("host=/") {
        not_tested("a server that vanishes", "it is reached by a socket of this machine");
        return;
    }
    watch(LONGEST);
    let program = Program::around(&database.url);
    let migrate = program.command(&["migrate"]);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-q", "-e", "trace=connect,setsockopt"]).arg(migrate.get_program()).args(migrate.get_args());
    for (name, value) in migrate.get_envs() {
        strace.env(name, value.unwrap_or_default());
    }
    let output = strace.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let calls = |what: &str| told.lines().filter(|line| line.contains(what)).count();
    let connections = calls("TCP_NODELAY, [1]");
    assert!(connections > 0, "{told}");
    for option in [
        "SO_KEEPALIVE, [1]",
        "TCP_KEEPIDLE, [15]",
        "TCP_KEEPINTVL, [5]",
        "TCP_KEEPCNT, [3]",
        "TCP_USER_TIMEOUT, [30000]",
    ] {
        assert_eq!(calls(option), connections, "{option}: {told}");
    }
}
