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
fn every_reference_in_the_contract_resolves() {
    fn references<'a>(value: &'a serde_json::Value, found: &mut Vec<&'a str>) {
        match value {
            serde_json::Value::Object(members) => {
                found.extend(members.get("$ref").and_then(|reference| reference.as_str()));
                members.values().for_each(|member| references(member, found));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let contract = thidua::app::openapi();
    let mut found = Vec::new();
    references(&contract, &mut found);
    let dangling: Vec<&&str> =
        found.iter().filter(|reference| contract.pointer(reference.trim_start_matches('#')).is_none()).collect();
    assert!(dangling.is_empty(), "{dangling:?}");
    assert!(found.len() > 50, "the contract refers to its schemas");
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

#[test]
fn the_configuration_page_names_every_variable() {
    let generated = thidua::commands::serve::print_configuration();
    same("docs/configuration.md", &generated, "cargo run -- docs configuration > docs/configuration.md");
}
