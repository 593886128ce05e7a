//! The shipped campaign, loaded into a test's world beside the world's own units.

use std::path::Path;

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
