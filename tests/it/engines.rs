//! Which engines the behaviour tests ran on; see the line `engines: …` on standard error.

use crate::support::database::server;

#[test]
fn postgres_is_there_if_it_is_required() {
    server();
}
