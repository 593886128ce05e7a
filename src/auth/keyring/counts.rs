//! What an operator's alarms read of the keys.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::clock::now;

/// Looks at the source, and what the last good one gave.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    good: Counter,
    failed: Counter,
    keys: Gauge,
    last: Gauge,
}

impl Counts {
    pub(super) fn read(&self, keys: usize) {
        self.good.inc();
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        self.last.set(now() / 1_000_000);
    }

    pub(super) fn failed(&self) {
        self.failed.inc();
    }

    /// Adds the series to what is served.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("jwks_reads", "Key sets read", self.good.clone());
        registry.register("jwks_failures", "Looks for a key set that failed", self.failed.clone());
        registry.register("jwks_keys", "Keys by which tokens are judged", self.keys.clone());
        let last = "When the key set was last read, in Unix seconds; 0 if never";
        registry.register("jwks_read_timestamp_seconds", last, self.last.clone());
    }
}
