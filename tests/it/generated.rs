//! What is generated and committed is what the code says.

use std::path::PathBuf;

fn same(file: &str, generated: &str, command: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed.trim_end() == generated.trim_end(), "{file} is out of date; refresh it with\n  {command}");
}

#[test]
fn the_contract_is_what_is_served() {
    let generated = serde_json::to_string_pretty(&thidua::app::openapi()).unwrap();
    same("openapi/openapi.json", &generated, "cargo run -- openapi > openapi/openapi.json");
}

#[test]
fn the_policy_table_is_what_decides() {
    same("docs/policy.md", &thidua::auth::policy::print(), "cargo run -- docs policy > docs/policy.md");
}

#[test]
fn the_problem_codes_are_all_documented() {
    same("docs/errors.md", &thidua::docs::print_errors(), "cargo run -- docs errors > docs/errors.md");
}

#[test]
fn the_event_catalogue_names_every_event_and_field() {
    same("docs/events.md", &thidua::docs::print_events(), "cargo run -- docs events > docs/events.md");
}
