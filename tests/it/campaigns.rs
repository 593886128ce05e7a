//! Campaigns: a folder loaded once, again, changed and broken; its units beside the register; reads over HTTP.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::campaigns::load::{Change, Loading, Report};
use thidua::campaigns::{FileFinding, store};
use thidua::commands::{campaign, rules};
use thidua::db::{Event, Outcome, WriteTx};
use thidua::units::{self, UnitDraft};
use uuid::Uuid;

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::http::send;
use crate::support::{World, day};

const CAMPAIGN: Uuid = Uuid::from_u128(0x01a2_05b3_d001_7306_a710_04bd_c8a0_a609);
const CHIENG_KHAY: Uuid = Uuid::from_u128(0x01a2_05b3_d006_7627_afdb_5bc1_4abe_2a9b);
const MUONG_CHIEN: Uuid = Uuid::from_u128(0x01a2_05b3_d00f_7b88_a2c0_b5e8_b180_b8bc);
const NAM_ET: Uuid = Uuid::from_u128(0x01a2_05b3_d00d_7cad_8fb6_ec34_a1b9_bdac);
const MUONG_SAI: Uuid = Uuid::from_u128(0x01a2_05b3_d012_7454_818e_eeac_cfdc_c222);
const LABOUR: Uuid = Uuid::from_u128(0x01a2_05b3_d014_7d1e_b985_0c53_0e4e_e82f);

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("campaigns/quynh-nhai-2021-2025")
}

/// A copy of the shipped folder that may be changed.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["campaign.yaml", "units.yaml", "rules.yaml"] {
            std::fs::copy(shipped().join(name), directory.path().join(name)).unwrap();
        }
        Self(directory)
    }

    /// Replaces the first place of a passage.
    fn change(&self, name: &str, from: &str, to: &str) {
        let path = self.0.path().join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    /// Loads, and expects it to go through.
    async fn load(&self, world: &World) -> Report {
        load(world, self.0.path()).await
    }

    /// Loads, and expects a refusal.
    async fn refused(&self, world: &World) -> Vec<FileFinding> {
        match campaign::load_directory(&world.db, self.0.path()).await.unwrap() {
            Loading::Refused(findings) => findings,
            Loading::Done(report) => panic!("went through: {report:?}"),
        }
    }
}

async fn load(world: &World, directory: &Path) -> Report {
    match campaign::load_directory(&world.db, directory).await.unwrap() {
        Loading::Done(report) => report,
        Loading::Refused(findings) => panic!("refused: {findings:#?}"),
    }
}

async fn log_size(world: &World) -> i64 {
    let auditor = world.person(Role::Auditor, None).await;
    auditor.get("/v1/events?limit=1").await.is(200).json()["size"].as_i64().unwrap()
}

/// Changes a unit in the register, as somebody would through the API.
async fn amend(world: &World, id: Uuid, change: impl Fn(&mut UnitDraft)) {
    let context = thidua::commands::grant::console();
    let amended = world.db.record(&context, async |tx: &WriteTx<'_>| {
        let old = units::store::locked(tx, id).await?;
        let mut draft = old.draft()?;
        change(&mut draft);
        units::store::amend(tx, &old, &draft, Event::new("unit.amended")).await?;
        units::store::derive(tx.conn()).await?;
        Ok(Outcome::Changed(()))
    });
    amended.await.unwrap();
}

async fn name_of(world: &World, id: Uuid) -> String {
    let row = units::store::find(world.db.reader().conn(), id).await.unwrap().unwrap();
    row.draft().unwrap().names.last().unwrap().value.clone()
}

fn types(history: &Value) -> Vec<&str> {
    history["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

both_engines! {
    async fn the_shipped_folder_loads_once_and_then_changes_nothing(world: World) {
        let first = load(world, &shipped()).await;
        let expected = Report { units_registered: 24, successions_recorded: 4, campaign: Change::Loaded, version: 1, ..Report::default() };
        assert_eq!(first, expected);
        assert!(campaign::told(&first).starts_with("units: 24 registered, 0 amended, 0 unchanged\n"));
        let size = log_size(world).await;
        let again = load(world, &shipped()).await;
        let expected = Report { units_unchanged: 24, successions_unchanged: 4, version: 1, ..Report::default() };
        assert_eq!(again, expected);
        assert_eq!(log_size(world).await, size, "no event");
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn two_loads_at_once_have_one_effect(world: World) {
        let folder = shipped();
        let (one, other) = futures_util::future::join(load(world, &folder), load(world, &folder)).await;
        assert_eq!(one.units_registered + other.units_registered, 24);
        assert_eq!((one.version, other.version), (1, 1));
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn a_changed_file_is_a_revision(world: World) {
        let folder = Folder::new();
        folder.load(world).await;
        let before = store::definition(world.db.reader().conn(), CAMPAIGN).await.unwrap();
        folder.change("campaign.yaml", "vi: 'Phong trào thi đua \"Vì", "vi: 'Phong trào \"Vì");
        let report = folder.load(world).await;
        assert_eq!((report.campaign, report.version, report.units_unchanged), (Change::Revised, 2, 24));
        let after = store::definition(world.db.reader().conn(), CAMPAIGN).await.unwrap();
        assert!(before.title.vi.starts_with("Phong trào thi đua") && after.title.vi.starts_with("Phong trào \""));

        let hash = async || store::rule_set(world.db.reader().conn(), CAMPAIGN, "mid").await.unwrap().hash().to_owned();
        let old = hash().await;
        folder.change("rules.yaml", "version: 0.1.0", "version: 0.1.1");
        assert_eq!(folder.load(world).await.campaign, Change::Revised);
        assert_ne!(hash().await, old);

        let reader = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let history = reader.get(&format!("/v1/campaigns/{CAMPAIGN}/events")).await.is(200).json();
        assert_eq!(types(&history), ["campaign.loaded", "campaign.revised", "campaign.revised"]);
        let changes = &history["items"][2]["changes"];
        assert_eq!(changes.as_object().unwrap().keys().collect::<Vec<_>>(), ["rule_sets"]);
        assert_eq!(changes["rule_sets"][1][0]["version"], "0.1.1");
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn what_is_wrong_is_refused_whole_with_its_line(world: World) {
        let size = log_size(world).await;
        for (name, from, to, expected) in [
            ("campaign.yaml", "starts_on: 2021-01-01", "starts_on: 2021-02-30", "campaign.yaml:9: /starts_on: \"2021-02-30\""),
            ("campaign.yaml", "titles: []", "titles: []\ncolour: red", ": /colour: "),
            ("campaign.yaml", "clause: III.3.2", "clause: III.9", "there is no clause III.9"),
            ("campaign.yaml", "valid_to: 2025-06-30\n    legal_basis: KH", "valid_to: 2022-06-30\n    legal_basis: KH",
                "the days of its award giay_khen_huyen are not those of the campaign's form"),
            ("units.yaml", "code: '03685'", "code: '03682'", "units.yaml:38: /units/3/codes: xa-muong-chien-cu bears the code 03682"),
            ("units.yaml", "    source: 'danh", "    note: x\n    source: 'danh", "units.yaml:14: /units/0/note: "),
            ("units.yaml", "parent: tinh-son-la", "parent: tinh-khac", "units.yaml:20: /units/1/parents/0/parent: there is no unit tinh-khac"),
            ("rules.yaml", "- { clause: III.3.4, reading", "- { klause: III.3.4, reading", "rules.yaml"),
        ] {
            let folder = Folder::new();
            folder.change(name, from, to);
            let told: Vec<String> = folder.refused(world).await.iter().map(ToString::to_string).collect();
            assert!(told.iter().any(|line| line.contains(expected)), "{expected}: {told:#?}");
        }
        assert_eq!(log_size(world).await, size, "nothing was written");
        let reader = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        assert_eq!(reader.get("/v1/campaigns").await.is(200).json()["items"], json!([]));
    }

    async fn the_file_changes_a_unit_only_if_nobody_else_did(world: World) {
        let folder = Folder::new();
        folder.load(world).await;
        // Changed in the register only: the file leaves it alone.
        amend(world, NAM_ET, |draft| draft.names[0].value = "Xã Nậm Ét (sửa)".into()).await;
        assert_eq!(folder.load(world).await.units_unchanged, 24);
        assert_eq!(name_of(world, NAM_ET).await, "Xã Nậm Ét (sửa)");
        // Changed in the file only: amended.
        folder.change("units.yaml", "name: 'Xã Cà Nàng'", "name: 'Xã Cà Nàng Mới'");
        let report = folder.load(world).await;
        assert_eq!((report.units_amended, report.units_unchanged, report.campaign), (1, 23, Change::Revised));
        assert_eq!(name_of(world, NAM_ET).await, "Xã Nậm Ét (sửa)");
        // Changed in both: refused where it stands, and nothing is written.
        let size = log_size(world).await;
        folder.change("units.yaml", "name: 'Xã Nậm Ét'", "name: 'Xã Nậm Ét Khác'");
        folder.change("units.yaml", "name: 'Xã Cà Nàng Mới'", "name: 'Xã Cà Nàng'");
        let findings = folder.refused(world).await;
        assert_eq!((findings.len(), findings[0].finding.path.as_str()), (1, "/units/11"), "{findings:?}");
        assert!(findings[0].finding.line.is_some() && findings[0].finding.reason.contains("xa-nam-et"));
        assert_eq!(log_size(world).await, size);
        // Brought in line with the register: accepted.
        folder.change("units.yaml", "name: 'Xã Nậm Ét Khác'", "name: 'Xã Nậm Ét (sửa)'");
        assert_eq!(folder.load(world).await.units_amended, 1);
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn what_vanishes_or_rewrites_the_past_is_refused(world: World) {
        Folder::new().load(world).await;
        let (gone, rewritten) = (Folder::new(), Folder::new());
        let text = std::fs::read_to_string(shipped().join("units.yaml")).unwrap();
        let unit = text.find("  - key: phong-gddt").unwrap()..text.find("  - key: nhcsxh").unwrap();
        gone.change("units.yaml", &text[unit], "");
        gone.change("campaign.yaml", "      - { unit: phong-gddt, from: 2021-01-01, to: 2025-06-30, alternate: phong-noi-vu }", "      []");
        gone.change("campaign.yaml", "    holders:\n      []", "    holders: []");
        let findings = gone.refused(world).await;
        assert!(findings[0].finding.reason.starts_with("phong-gddt (01a205b3"), "{findings:?}");
        let act = text[text.find("  - id: 01a205b3-d01d").unwrap()..].to_owned();
        let last = Folder::new();
        last.change("units.yaml", &act, "");
        assert!(last.refused(world).await[0].finding.reason.contains("01a205b3-d01d"));
        rewritten.change("units.yaml", "vi: 'Nghị quyết 1681", "vi: 'Nghị định 1681");
        let findings = rewritten.refused(world).await;
        assert_eq!(findings[0].finding.path, "/successions/0", "{findings:?}");
        assert!(findings[0].finding.line.is_some());
    }

    async fn an_act_that_somebody_recorded_before_is_not_told_again_by_the_file(world: World) {
        let text = std::fs::read_to_string(shipped().join("units.yaml")).unwrap();
        let act = text[text.find("  - id: 01a205b3-d01d").unwrap()..].to_owned();
        let folder = Folder::new();
        folder.change("units.yaml", &act, "");
        folder.load(world).await;
        let administrator = world.person(Role::Administrator, None).await;
        let old = administrator.get("/v1/units:resolve?code=03709").await.is(200).id();
        let merger = json!({ "kind": "merge", "effective_on": "2025-07-01", "predecessors": [old, NAM_ET],
            "successors": [MUONG_SAI], "basis": "Nghị quyết 1681" });
        let made = administrator.create("/v1/successions", &merger).await.is(201);
        let size = log_size(world).await;
        let findings = Folder::new().refused(world).await;
        assert_eq!((findings.len(), findings[0].finding.path.as_str()), (1, "/successions/3"), "{findings:?}");
        assert!(findings[0].finding.reason.contains("already_exists"), "{findings:?}");
        assert_eq!(log_size(world).await, size, "nothing is written");
        // Annulled, it makes room for the file's.
        let path = format!("/v1/successions/{}:annul", made.id());
        administrator.change(&path, &made.etag(), &json!({ "reason": "Đã có trong tệp" })).await.is(200);
        assert_eq!(Folder::new().load(world).await.successions_recorded, 1);
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn another_campaign_shares_the_units_but_not_the_code(world: World) {
        Folder::new().load(world).await;
        let next = Folder::new();
        next.change("campaign.yaml", "id: 01a205b3-d001", "id: 01a205b3-dfff");
        assert!(next.refused(world).await[0].finding.reason.contains("is the code of campaign"));
        next.change("campaign.yaml", "code: quynh-nhai-2021-2025", "code: quynh-nhai-2026-2030");
        let report = next.load(world).await;
        assert_eq!((report.units_unchanged, report.campaign, report.version), (24, Change::Loaded, 1));
        // A third that says something else of a registered unit is refused.
        next.change("campaign.yaml", "id: 01a205b3-dfff", "id: 01a205b3-dffe");
        next.change("campaign.yaml", "code: quynh-nhai-2026-2030", "code: quynh-nhai-2031-2035");
        next.change("units.yaml", "name: 'Tỉnh Sơn La'", "name: 'Tỉnh Khác'");
        assert_eq!(next.refused(world).await[0].finding.path, "/units/0");
    }

    async fn codes_that_were_reused_need_a_date(world: World) {
        load(world, &shipped()).await;
        let reader = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let refused = reader.get("/v1/units:resolve?code=03688").await.problem(400, "ambiguous_unit").json();
        let candidates = refused["candidates"].to_string();
        assert!(candidates.contains(&CHIENG_KHAY.to_string()) && candidates.contains(&MUONG_CHIEN.to_string()));
        // The test world has units under 03688 as well, so that code stays ambiguous here on any day.
        reader.get("/v1/units:resolve?code=03712").await.problem(400, "ambiguous_unit");
        for (code, on, expected) in [("03712", "2025-06-30", NAM_ET), ("03712", "2025-07-01", MUONG_SAI)] {
            let answer = reader.get(&format!("/v1/units:resolve?code={code}&on={on}")).await.is(200);
            assert_eq!(answer.id(), expected.to_string(), "{code} on {on}");
        }
        let candidates = units::store::candidates(world.db.reader().conn(), "code", "03688").await.unwrap();
        let on = |day| candidates.iter().filter(move |c| c.valid_from <= day && c.valid_to.is_none_or(|to| day <= to));
        assert!(on(day("2025-06-30")).any(|c| c.unit_id == CHIENG_KHAY) && on(day("2025-07-01")).any(|c| c.unit_id == MUONG_CHIEN));
        let township = reader.get("/v1/units:resolve?code=03703&on=2025-02-01").await.is(200).json();
        assert_eq!((township["kind"].as_str(), township["name"].as_str()), (Some("township"), Some("Thị trấn Mường Giàng")));
        let before = reader.get("/v1/units:resolve?code=03703&on=2025-01-31").await.is(200).json();
        assert_eq!((before["kind"].as_str(), before["name"].as_str()), (Some("commune"), Some("Xã Mường Giàng")));
    }

    async fn every_grant_holder_reads_campaigns(world: World) {
        load(world, &shipped()).await;
        world.nobody().get("/v1/campaigns").await.problem(401, "unauthenticated");
        let reader = world.person(Role::Integration, Some(world.units.enterprise)).await;
        let list = reader.get("/v1/campaigns").await.is(200).json();
        assert_eq!((list["items"][0]["id"].as_str(), list["items"].as_array().unwrap().len()), (Some(CAMPAIGN.to_string().as_str()), 1));
        for (query, count) in [("code=quynh-nhai-2021-2025", 1), ("code=x", 0), ("changed_since=0", 1), ("changed_since=99999", 0)] {
            let found = reader.get(&format!("/v1/campaigns?{query}")).await.is(200).json();
            assert_eq!(found["items"].as_array().unwrap().len(), count, "{query}");
        }
        reader.get("/v1/campaigns?colour=red").await.problem(400, "invalid_query");

        let path = format!("/v1/campaigns/{CAMPAIGN}");
        let read = reader.get(&path).await.is(200);
        let view = read.json();
        let text = std::fs::read(shipped().join("campaign.yaml")).unwrap();
        assert_eq!(view["content_sha256"], json!(thidua::canonical::hex(&thidua::canonical::sha256(&text))));
        assert_eq!(view["rounds"][1]["as_of"], "2025-12-31");
        assert_eq!(view["award_forms"].as_array().unwrap().len(), 5);
        assert_eq!((&view["titles"], &view["allowed_actions"]), (&json!([]), &json!([])));
        assert_eq!(view["attesting_bodies"][1]["holders"][0]["unit"], json!(LABOUR));
        assert_eq!(view["attesting_bodies"][1]["role"], "labour_office");
        assert_eq!(view["legal_bases"].as_array().unwrap().len(), 33);
        assert_eq!(view["readings_open"].as_array().unwrap().len(), 17);
        assert_eq!(view["rule_sets"][0]["rounds"], json!(["mid", "final"]));
        let rule_set = store::rule_set(world.db.reader().conn(), CAMPAIGN, "final").await.unwrap();
        assert_eq!(view["rule_sets"][0]["hash"], rule_set.hash());
        send(reader.request("GET", &path).header("If-None-Match", read.etag())).await.is(304);

        let clauses = reader.get(&format!("{path}/clauses")).await.is(200).json();
        let ids: Vec<&str> = clauses["items"].as_array().unwrap().iter().map(|clause| clause["id"].as_str().unwrap()).collect();
        assert_eq!((ids.len(), ids[0], ids[75]), (76, "I", "IV.4"));
        assert_eq!(types(&reader.get(&format!("{path}/events")).await.is(200).json()), ["campaign.loaded"]);
        let missing = format!("/v1/campaigns/{}", Uuid::nil());
        for path in [missing.clone(), format!("{missing}/clauses"), format!("{missing}/events")] {
            reader.get(&path).await.problem(404, "not_found");
        }
        let unknown = store::definition(world.db.reader().conn(), Uuid::nil()).await.unwrap_err();
        assert_eq!(unknown.faults[0].pointer, "/campaign");
        let unknown = store::rule_set(world.db.reader().conn(), CAMPAIGN, "spring").await.unwrap_err();
        assert_eq!(unknown.faults[0].pointer, "/round");
    }
}

#[test]
fn the_shipped_rules_pass_their_check() {
    let text = std::fs::read_to_string(shipped().join("rules.yaml")).unwrap();
    let checked = rules::check("rules.yaml", &text);
    assert_eq!((checked.sound, checked.passed, checked.examples), (true, 22, 22), "{checked:#?}");
    assert_eq!(checked.lines.len(), 24);
    assert_eq!(checked.lines[..2], ["ok    schema", "ok    references"]);

    let bent = rules::check("rules.yaml", &text.replacen("expect: not_met, short: 1", "expect: met", 1));
    assert_eq!((bent.sound, bent.passed), (false, 21));
    assert!(bent.lines.iter().any(|line| line.starts_with("FAIL  đúng 50%")), "{bent:#?}");
    let lost = rules::check("rules.yaml", &text.replacen("since: poverty_exit_on", "since: exit", 1));
    assert!(!lost.sound && lost.lines[1].starts_with("FAIL  references rules.yaml:"), "{lost:#?}");
    let shapeless = rules::check("rules.yaml", &text.replacen("rank: 1,", "", 1));
    assert!(!shapeless.sound && shapeless.lines[0].starts_with("FAIL  schema rules.yaml:"), "{shapeless:#?}");
}
