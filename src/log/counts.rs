//! What an operator's alarms read of the log: witnesses that do not answer, and re-checks of what was signed.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    witness: String,
}

/// Counters at zero.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    cosigned: Family<Labels, Counter>,
    failed: Family<Labels, Counter>,
    conflicts: Family<Labels, Counter>,
    checked: Counter,
    differing: Counter,
    trouble: Gauge,
}

impl Counts {
    /// A series for each witness, so that one which never answered is seen.
    pub fn of<'w>(witnesses: impl Iterator<Item = &'w str>) -> Self {
        let counts = Self::default();
        for witness in witnesses {
            for family in [&counts.cosigned, &counts.failed, &counts.conflicts] {
                drop(family.get_or_create(&label(witness)));
            }
        }
        counts
    }

    pub(super) fn cosigned(&self, witness: &str) {
        self.cosigned.get_or_create(&label(witness)).inc();
    }

    pub(super) fn failed(&self, witness: &str) {
        self.failed.get_or_create(&label(witness)).inc();
    }

    pub(super) fn conflict(&self, witness: &str) {
        self.conflicts.get_or_create(&label(witness)).inc();
    }

    pub(super) fn checked(&self, events: u64) {
        self.checked.inc_by(events);
    }

    pub(super) fn differs(&self) {
        self.differing.inc();
    }

    pub(super) fn trouble(&self) {
        self.trouble.set(1);
    }

    /// How often a witness said that it knows another history.
    pub fn conflicts(&self, witness: &str) -> u64 {
        self.conflicts.get_or_create(&label(witness)).get()
    }

    /// How many answers of a witness were of no use.
    pub fn failures(&self, witness: &str) -> u64 {
        self.failed.get_or_create(&label(witness)).get()
    }

    /// How often a record's row was not what its events say.
    pub fn differing(&self) -> u64 {
        self.differing.get()
    }

    /// Adds the series to what is served.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("log_cosignatures", "Checkpoints that a witness cosigned", self.cosigned.clone());
        registry.register("log_witness_failures", "Answers of a witness that were of no use", self.failed.clone());
        let conflicts = "Answers of a witness that knows another history of the log";
        registry.register("log_witness_conflicts", conflicts, self.conflicts.clone());
        registry.register(
            "log_events_checked",
            "Sealed events compared again with what was signed",
            self.checked.clone(),
        );
        registry.register(
            "log_rows_differing",
            "Records that were looked at and whose row was not what their events say",
            self.differing.clone(),
        );
        let trouble = "1 if the log is not the one that was signed: nothing is signed or written any more";
        registry.register("log_trouble", trouble, self.trouble.clone());
    }
}

fn label(witness: &str) -> Labels {
    Labels { witness: witness.to_owned() }
}
