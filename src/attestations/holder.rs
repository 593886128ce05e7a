//! Which unit answers for a body about a subject on a day: the holder that the campaign names, or one that follows from
//! the subject. Never the subject itself. Pure.

use chrono::NaiveDate;
use uuid::Uuid;

use crate::campaigns::Definition;
use crate::campaigns::definition::Resolves;
use crate::units::UnitKind;
use crate::units::lineage::Lineage;

/// About whom, and when.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The subject.
    pub subject: Uuid,
    /// The day of the answer.
    pub day: NaiveDate,
    /// The unit that received the subject's help, where that unit answers.
    pub receiving: Option<Uuid>,
}

/// True if whoever answers for the body is the unit that received the subject's help.
pub fn asks_receiver(definition: &Definition, body: &str) -> bool {
    definition.body(body).and_then(|body| body.resolves) == Some(Resolves::ReceivingUnit)
}

/// The unit whose head answers; nobody if no unit holds the body that day, or only the subject does.
pub fn holder(definition: &Definition, lineage: &Lineage, body: &str, asked: Asked) -> Option<Uuid> {
    let Asked { subject, day, receiving } = asked;
    // Whoever follows the subject on that day is no third party either.
    let is_subject = |unit: Uuid| unit == subject || present(lineage, subject, day) == Some(unit);
    let above = |kinds: &[UnitKind]| {
        let parent = parent(lineage, subject, day)?;
        let fits = kinds.is_empty() || lineage.kind(parent, day).is_some_and(|kind| kinds.contains(&kind));
        fits.then_some(parent)
    };
    let unit = match definition.body(body)?.resolves {
        None => {
            let held = definition.holder(body, day)?;
            if is_subject(held.unit) { held.alternate } else { Some(held.unit) }
        }
        Some(Resolves::CommuneOfSubject) => above(&[UnitKind::Commune, UnitKind::Township]),
        // A village is asked about those who live in it, not about itself.
        Some(Resolves::SubjectVillage) => above(&[UnitKind::Village]),
        Some(Resolves::ParentOfSubject) => above(&[]),
        Some(Resolves::ReceivingUnit) => receiving.and_then(|unit| present(lineage, unit, day)),
    };
    unit.filter(|unit| !is_subject(*unit))
}

/// The parent on that day of the subject or, once it has ended, of its successor.
fn parent(lineage: &Lineage, subject: Uuid, day: NaiveDate) -> Option<Uuid> {
    let here = present(lineage, subject, day)?;
    present(lineage, lineage.parent(here, day)?, day)
}

/// The unit, or the one that follows it on that day; nobody if it ended without a single successor.
fn present(lineage: &Lineage, unit: Uuid, day: NaiveDate) -> Option<Uuid> {
    let mut here = unit;
    // No chain of successions is longer than their number.
    for _ in 0..=lineage.edges.len() {
        if lineage.exists(here, day) {
            return Some(here);
        }
        let mut next = lineage.edges.iter().filter(|edge| edge.predecessor == here && edge.on <= day);
        match (next.next(), next.next()) {
            (Some(edge), None) => here = edge.successor,
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaigns::{AttestingBody, Folder, Holder};
    use crate::units::closure::Edge;
    use crate::units::lineage::Life;
    use crate::units::{Dated, at};

    const DISTRICT: Uuid = Uuid::from_u128(1);
    const OLD: Uuid = Uuid::from_u128(2);
    const NEW: Uuid = Uuid::from_u128(3);
    const VILLAGE: Uuid = Uuid::from_u128(4);
    const OFFICE: Uuid = Uuid::from_u128(5);
    const OTHER_OFFICE: Uuid = Uuid::from_u128(6);
    const GIVER: Uuid = Uuid::from_u128(7);

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// A commune that became another on 1 July 2025, when the district ended; the village's row was never amended.
    fn lineage() -> Lineage {
        let life = |kind, parent: Option<Uuid>, from: &str, to: Option<&str>| {
            let (from, to) = (day(from), to.map(day));
            let parents = parent.map(|value| Dated::new(value, from, to)).into_iter().collect();
            Life { kinds: vec![Dated::new(kind, from, to)], parents, from, to }
        };
        let (first, last) = ("2021-01-01", Some("2025-06-30"));
        let lives = [
            (DISTRICT, life(UnitKind::District, None, first, last)),
            (OLD, life(UnitKind::Commune, Some(DISTRICT), first, last)),
            (NEW, life(UnitKind::Commune, None, "2025-07-01", None)),
            (VILLAGE, life(UnitKind::Village, Some(OLD), first, None)),
            (OFFICE, life(UnitKind::Agency, Some(DISTRICT), first, last)),
            (OTHER_OFFICE, life(UnitKind::Agency, Some(DISTRICT), first, last)),
            (GIVER, life(UnitKind::Enterprise, Some(DISTRICT), first, None)),
        ];
        let edges = vec![Edge { predecessor: OLD, successor: NEW, on: day("2025-07-01") }];
        Lineage { lives: lives.into(), edges }
    }

    fn definition() -> Definition {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let files = [
            file("campaign.yaml", include_str!("../../campaigns/quynh-nhai-2021-2025/campaign.yaml")),
            file("units.yaml", include_str!("../../campaigns/quynh-nhai-2021-2025/units.yaml")),
            file("rules.yaml", include_str!("../../campaigns/quynh-nhai-2021-2025/rules.yaml")),
        ];
        let mut definition = Folder::read(&files.into()).unwrap().definition;
        let office = definition.attesting_bodies.iter_mut().find(|body| body.body == "phong_noi_vu").unwrap();
        let to = Some(day("2025-06-30"));
        let held = Holder { unit: OFFICE, from: day("2021-01-01"), to, alternate: Some(OTHER_OFFICE) };
        *office = AttestingBody { holders: vec![held], ..office.clone() };
        definition
    }

    #[test]
    fn the_holder_follows_from_the_body_the_day_and_the_subject() {
        let (definition, lineage) = (definition(), lineage());
        assert_eq!(at(&lineage.lives[&VILLAGE].parents, day("2026-01-01")), Some(&OLD), "as the test wants it");
        for (body, subject, on, receiving, expected, why) in [
            ("phong_noi_vu", VILLAGE, "2023-12-20", None, Some(OFFICE), "the campaign names it"),
            ("phong_noi_vu", OFFICE, "2023-12-20", None, Some(OTHER_OFFICE), "the alternate answers for the subject"),
            ("phong_noi_vu", VILLAGE, "2025-07-01", None, None, "the district has ended"),
            ("phong_noi_vu", VILLAGE, "2020-12-31", None, None, "not yet"),
            ("ubnd_xa", VILLAGE, "2023-12-20", None, Some(OLD), "its commune then"),
            ("ubnd_xa", VILLAGE, "2025-07-01", None, Some(NEW), "the commune's successor"),
            ("ubnd_xa", OLD, "2023-12-20", None, None, "a district is no commune"),
            ("thu_truong", OLD, "2023-12-20", None, Some(DISTRICT), "whatever stands above it"),
            ("thu_truong", OLD, "2025-07-01", None, None, "the successor has nobody above it here"),
            ("thu_truong", GIVER, "2025-07-01", None, None, "the district ended without a successor"),
            ("truong_ban", VILLAGE, "2023-12-20", None, None, "never the subject itself"),
            ("don_vi_nhan", GIVER, "2023-12-20", Some(OLD), Some(OLD), "who received it"),
            ("don_vi_nhan", GIVER, "2025-07-01", Some(OLD), Some(NEW), "the receiver's successor"),
            ("don_vi_nhan", GIVER, "2023-12-20", Some(GIVER), None, "nobody receives from itself"),
            ("don_vi_nhan", NEW, "2025-07-01", Some(OLD), None, "nor from its predecessor"),
            ("don_vi_nhan", GIVER, "2023-12-20", None, None, "nobody received anything"),
            ("nobody", VILLAGE, "2023-12-20", None, None, "there is no such body"),
        ] {
            let asked = Asked { subject, day: day(on), receiving };
            assert_eq!(holder(&definition, &lineage, body, asked), expected, "{body} {on}: {why}");
        }
    }
}
