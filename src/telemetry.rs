//! Logs: one JSON line an event, on standard error. `RUST_LOG` chooses.

use tracing_subscriber::EnvFilter;

/// Starts logging for a service.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn,sea_orm=warn"));
    let format =
        tracing_subscriber::fmt().json().flatten_event(true).with_writer(std::io::stderr).with_env_filter(filter);
    // A second start in one process keeps the first.
    let _ = format.try_init();
}
