//! The shipped campaign, loaded into a test's world beside the world's own units.

use std::path::Path;

use serde_json::json;
use thidua::auth::Role;
use thidua::campaigns::load::Loading;
use thidua::commands::campaign::load_directory;
use uuid::Uuid;

use super::World;

/// The campaign of 2021-2025.
pub const CAMPAIGN: Uuid = Uuid::from_u128(0x01a2_05b3_d001_7306_a710_04bd_c8a0_a609);
/// The bank's transaction office, which holds the body that owns loans.
pub const BANK: Uuid = Uuid::from_u128(0x01a2_05b3_d018_7a70_8994_da6e_808b_60db);

/// Loads it; a second time changes nothing.
pub async fn load(world: &World) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("campaigns/quynh-nhai-2021-2025");
    match load_directory(&world.db, &folder).await.unwrap() {
        Loading::Done(_) => {}
        Loading::Refused(findings) => panic!("refused: {findings:#?}"),
    }
}

/// The enterprise helped this unit, and home affairs accepted the report.
pub async fn helped(world: &World, receiver: Uuid) {
    let giver = world.person(Role::UnitReporter, Some(world.units.enterprise)).await;
    let office = world.person(Role::HomeAffairs, Some(world.units.district)).await;
    let content = json!({ "clause_kind": "II.a", "support_kind": "cash", "held_on": "2023-05-01", "title": "Hỗ trợ",
        "households_helped": 1, "pupils_helped": 0, "beneficiary_area": "poor_person", "receiving_unit": receiver,
        "resources": [{ "giver_unit": world.units.enterprise, "cash_vnd": 1_000_000 }] });
    let body = json!({ "campaign": CAMPAIGN, "unit": world.units.enterprise, "content": content });
    let made = giver.create("/v1/activities", &body).await.is(201);
    let path = format!("/v1/activities/{}", made.id());
    let submitted = giver.change(&format!("{path}:submit"), &made.etag(), &json!({})).await.is(200);
    office.change(&format!("{path}:accept"), &submitted.etag(), &json!({})).await.is(200);
}
