//! What the log says up to a position, indexed for the rules. Pure: built from leaves, never from
//! tables, and only from fields that stand in them; a personal value cannot get here.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::rules::Evidence;
use crate::log::fold::{FoldError, Folded};
use crate::units::Dated;
use crate::units::closure::Edge;
use crate::units::lineage::{Life, Lineage};

/// Kinds of record that the rules read.
pub const STREAMS: [&str; 11] = [
    "activity",
    "attestation",
    "campaign",
    "figure",
    "initiative",
    "nomination",
    "obligation",
    "observation",
    "register",
    "succession",
    "unit",
];

/// Records of one kind that concern one unit.
type ByUnit = BTreeMap<(&'static str, Uuid), Vec<Uuid>>;

/// Everything known at one position.
#[derive(Debug, Default)]
pub struct Knowledge {
    records: BTreeMap<(&'static str, Uuid), Folded>,
    by_unit: ByUnit,
    /// Activities by the units that gave or mobilised resources.
    by_giver: BTreeMap<Uuid, Vec<Uuid>>,
    by_mobiliser: BTreeMap<Uuid, Vec<Uuid>>,
    /// Who stood where and who followed whom.
    pub lineage: Lineage,
}

/// One record as the rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    stream: &'static str,
    folded: &'a Folded,
}

impl Knowledge {
    /// Applies one leaf; leaves come in the order of the log.
    pub fn apply(&mut self, position: i64, leaf: &str) -> Result<(), FoldError> {
        let Some((stream, id)) = stream_of(leaf) else { return Ok(()) };
        self.records.entry((stream, id)).or_default().apply(position, leaf)
    }

    /// Builds the indexes, after the last leaf; again if more leaves came since.
    pub fn index(&mut self) {
        self.by_unit.clear();
        self.by_giver.clear();
        self.by_mobiliser.clear();
        for ((stream, id), folded) in &self.records {
            let known = Known { stream, folded };
            if let Some(unit) = known.id("unit_id") {
                self.by_unit.entry((stream, unit)).or_default().push(*id);
            }
            if *stream == "activity" {
                for resource in known.list("resources") {
                    let unit = |key: &str| resource[key].as_str().and_then(|unit| Uuid::parse_str(unit).ok());
                    for (index, key) in [(&mut self.by_giver, "giver_unit"), (&mut self.by_mobiliser, "mobiliser_unit")]
                    {
                        let list = unit(key).map(|unit| index.entry(unit).or_default());
                        if let Some(list) = list.filter(|list| list.last() != Some(id)) {
                            list.push(*id);
                        }
                    }
                }
            }
        }
        self.lineage = self.lineage_of();
    }

    /// Who stood where and who followed whom, by the leaves so far.
    pub fn lineage_of(&self) -> Lineage {
        let mut lineage = Lineage::default();
        for unit in self.all("unit") {
            let life = Life {
                kinds: unit.typed("kinds").unwrap_or_default(),
                parents: unit.typed("parents").unwrap_or_default(),
                from: unit.date("exists_from").unwrap_or_default(),
                to: unit.date("exists_to"),
            };
            lineage.lives.insert(unit.record_id(), life);
        }
        for succession in self.all("succession").filter(|act| act.date("annulled_on").is_none()) {
            let units = |field| succession.typed::<Vec<Uuid>>(field).unwrap_or_default();
            let on = succession.date("effective_on").unwrap_or_default();
            for predecessor in units("predecessors") {
                let edge = |successor| Edge { predecessor, successor, on };
                lineage.edges.extend(units("successors").into_iter().map(edge));
            }
        }
        lineage
    }

    /// Every record of a kind, by id.
    pub fn all(&self, stream: &'static str) -> impl Iterator<Item = Known<'_>> {
        let range = (stream, Uuid::nil())..=(stream, Uuid::max());
        self.records.range(range).map(|((stream, _), folded)| Known { stream, folded })
    }

    /// One record.
    pub fn get(&self, stream: &'static str, id: Uuid) -> Option<Known<'_>> {
        self.records.get(&(stream, id)).map(|folded| Known { stream, folded })
    }

    /// Records of a kind that concern a unit, by id.
    pub fn of(&self, stream: &'static str, unit: Uuid) -> impl Iterator<Item = Known<'_>> {
        let ids = self.by_unit.get(&(stream, unit)).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(move |id| self.get(stream, *id))
    }

    /// Activities to which a unit gave resources.
    pub fn given(&self, unit: Uuid) -> impl Iterator<Item = Known<'_>> {
        let ids = self.by_giver.get(&unit).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| self.get("activity", *id))
    }

    /// Activities for which a unit mobilised resources.
    pub fn mobilised(&self, unit: Uuid) -> impl Iterator<Item = Known<'_>> {
        let ids = self.by_mobiliser.get(&unit).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| self.get("activity", *id))
    }

    /// The unit's name on a day.
    pub fn name(&self, unit: Uuid, day: NaiveDate) -> Option<String> {
        let names: Vec<Dated<String>> = self.get("unit", unit)?.typed("names")?;
        crate::units::at(&names, day).cloned()
    }
}

/// The record that a leaf belongs to, if the rules read its kind.
fn stream_of(leaf: &str) -> Option<(&'static str, Uuid)> {
    // The member is always there and never inside a value: leaves are canonical and quotes escaped.
    let rest = leaf.rsplit_once("\"stream\":\"")?.1;
    let (kind, id) = rest.split_once('"')?.0.split_once('/')?;
    let stream = STREAMS.iter().find(|stream| **stream == kind)?;
    Some((stream, Uuid::parse_str(id).ok()?))
}

impl<'a> Known<'a> {
    /// The record's id.
    pub fn record_id(&self) -> Uuid {
        self.folded.row.id
    }

    fn value(&self, field: &str) -> &'a Value {
        self.folded.state.get(field).unwrap_or(&Value::Null)
    }

    /// A text field.
    pub fn text(&self, field: &str) -> Option<&'a str> {
        self.value(field).as_str()
    }

    /// True if a text field has this value.
    pub fn is(&self, field: &str, value: &str) -> bool {
        self.text(field) == Some(value)
    }

    /// An integer field.
    pub fn integer(&self, field: &str) -> Option<i64> {
        self.value(field).as_i64()
    }

    /// A boolean field.
    pub fn boolean(&self, field: &str) -> Option<bool> {
        self.value(field).as_bool()
    }

    /// An id field.
    pub fn id(&self, field: &str) -> Option<Uuid> {
        self.text(field).and_then(|id| Uuid::parse_str(id).ok())
    }

    /// A civil date.
    pub fn date(&self, field: &str) -> Option<NaiveDate> {
        self.text(field).and_then(|day| day.parse().ok())
    }

    /// A list.
    pub fn list(&self, field: &str) -> &'a [Value] {
        self.value(field).as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// An object.
    pub fn object(&self, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.value(field).as_object().into_iter().flatten()
    }

    /// A field of a known type.
    pub fn typed<T: DeserializeOwned>(&self, field: &str) -> Option<T> {
        serde_json::from_value(self.value(field).clone()).ok()
    }

    /// The record as its leaves describe it.
    pub fn folded(&self) -> &'a Folded {
        self.folded
    }

    /// The event on which the record's present state stands.
    pub fn evidence(&self) -> Evidence {
        Evidence {
            position: self.folded.position,
            event: self.folded.event,
            record: format!("{}/{}", self.stream, self.record_id()),
            unit: self.id("unit_id"),
            document: self.text("decision_number").or(self.text("document_number")).map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::db::event::leaf_hash;

    #[test]
    fn a_leaf_names_its_record_once() {
        let leaf = r#"{"changes":{"title":[null,"\"stream\":\"unit/x"]},"stream":"unit/00000000-0000-0000-0000-000000000001","type":"t"}"#;
        assert_eq!(stream_of(leaf), Some(("unit", Uuid::from_u128(1))));
        assert_eq!(stream_of(r#"{"stream":"account/00000000-0000-0000-0000-000000000001"}"#), None);
    }

    #[test]
    fn an_annulled_act_makes_nobody_follow_anybody() {
        let leaf = |ver: i64, prev: &str, changes: &str| {
            format!(
                r#"{{"at":"2025-07-01T00:00:00.000000Z","changes":{changes},"id":"{id}","prev":{prev},"stream":"succession/{id}","type":"t","ver":{ver}}}"#,
                id = Uuid::from_u128(9)
            )
        };
        let (old, new) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let told = format!(
            r#"{{"effective_on":[null,"2025-07-01"],"predecessors":[null,["{old}"]],"successors":[null,["{new}"]]}}"#
        );
        let first = leaf(1, "null", &told);
        let known = |leaves: &[&str]| {
            let mut knowledge = Knowledge::default();
            for (position, leaf) in (0..).zip(leaves) {
                knowledge.apply(position, leaf).unwrap();
            }
            knowledge.index();
            knowledge.lineage.predecessors(new).len()
        };
        assert_eq!(known(&[&first]), 1);
        let tip = URL_SAFE_NO_PAD.encode(leaf_hash(&first));
        let second = leaf(2, &format!("\"{tip}\""), r#"{"annulled_on":[null,"2025-07-02"]}"#);
        assert_eq!(known(&[&first, &second]), 0);
    }
}
