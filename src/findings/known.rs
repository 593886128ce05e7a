//! What the log has said so far of units and campaigns: what an event is judged by is what stood there when it came,
//! never what was said later. Pure.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use uuid::Uuid;

use super::Event;
use crate::campaigns::Definition;
use crate::log::fold::Folded;
use crate::recommendations::knowledge::Knowledge;
use crate::units::lineage::Lineage;

/// Kinds of record that are folded here.
const STREAMS: [&str; 3] = ["campaign", "succession", "unit"];

/// Units, acts of succession and campaigns as they stand.
#[derive(Default)]
pub struct Known {
    folded: Knowledge,
    lineage: OnceCell<Lineage>,
    /// What the campaigns' documents say.
    pub campaigns: BTreeMap<Uuid, Arc<Definition>>,
    /// The day of the newest event: there is no other today.
    pub today: NaiveDate,
}

impl Known {
    /// Takes in the next event. A leaf that does not continue its record tells nothing here.
    pub fn take(&mut self, event: &Event, leaf: &str) {
        self.today = self.today.max(event.day());
        if STREAMS.contains(&event.stream.as_str()) && self.folded.apply(event.position, leaf).is_ok() {
            self.lineage.take();
        }
    }

    /// A campaign's record as its leaves describe it.
    pub fn campaign(&self, id: Uuid) -> Option<&Folded> {
        self.folded.get("campaign", id).map(|known| known.folded())
    }

    /// Who stood where and who followed whom; built when it is asked for.
    pub fn lineage(&self) -> &Lineage {
        self.lineage.get_or_init(|| self.folded.lineage_of())
    }

    /// With another lineage and other campaigns, as a test wants them.
    #[cfg(test)]
    pub fn of(lineage: Lineage, definition: Definition) -> Self {
        let campaigns = BTreeMap::from([(definition.id, Arc::new(definition))]);
        Self { lineage: OnceCell::from(lineage), campaigns, ..Self::default() }
    }
}
