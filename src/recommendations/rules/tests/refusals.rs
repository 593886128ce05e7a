//! What a rule file may not say, and where the finding points.

use super::*;

/// Loads the rule set with one passage changed and returns the findings.
fn refused(from: &str, to: &str) -> Vec<Finding> {
    assert!(RULES.contains(from), "the rule set has no {from}");
    RuleSet::load(&RULES.replacen(from, to, 1)).expect_err(to)
}

/// The line of the rule set that holds the passage.
fn line(passage: &str) -> u64 {
    let line = RULES.lines().position(|line| line.contains(passage));
    u64::try_from(line.unwrap()).unwrap() + 1
}

#[test]
fn mistakes_of_shape_are_refused_with_their_line() {
    let rule = "rule: { attested: A242good }";
    let threshold = "{ indicator: contribution_vnd, op: '>', value: 0 }";
    for (what, from, to) in [
        ("unknown operator", rule, "rule: { not: { attested: A242good } }"),
        ("two operators in a node", rule, "rule: { attested: A242good, any: [ { attested: A242good } ] }"),
        ("wrong comparison", threshold, "{ indicator: contribution_vnd, op: '=', value: 0 }"),
        ("expr without reads", rule, "rule: { expr: { cel: 'true', explain: 'x' } }"),
        ("float percentage", "reduction_percent:      { value: '50'", "reduction_percent:      { value: 50.5"),
    ] {
        let findings = refused(from, to);
        assert_eq!(findings.len(), 1, "{what}: {findings:#?}");
        assert_eq!(findings[0].line, Some(line(from)), "{what}: {}", findings[0]);
    }
}

#[test]
fn a_criterion_without_a_title_is_refused() {
    let title = "    title: 'Làm ăn hiệu quả, có việc làm, tăng thu nhập'\n";
    let findings = refused(title, "");
    assert!(findings[0].reason.contains("title"), "{findings:#?}");
    assert_eq!(findings[0].path, "/criteria/III.2.4.b");
}

#[test]
fn a_refused_comparison_names_the_deepest_place() {
    let findings = refused(
        "{ indicator: contribution_vnd, op: '>', value: 0 }",
        "{ indicator: contribution_vnd, op: '=', value: 0 }",
    );
    assert_eq!(findings[0].path, "/criteria/III.2.6.a/rule/all/0/threshold/op");
}

#[test]
fn names_that_point_nowhere_are_refused_with_their_place() {
    for (from, to, path) in [
        ("rule: { attested: A242good }", "rule: { attested: A242 }", "/criteria/III.2.4.b/rule/attested"),
        (
            "at_least: { param: min_policy_reviews }",
            "at_least: { param: min_reviews }",
            "/criteria/III.2.1.b/rule/all/0/count/at_least",
        ),
        ("since: poverty_exit_on", "since: exit", "/criteria/III.2.4.c/rule/all/0/duration/since"),
        (
            "values: [I, II, III] } }, then",
            "values: [I, II, IV] } }, then",
            "/criteria/III.2.2.d/rule/when/if/attribute_in/values",
        ),
        ("records: linkage, at_least", "records: link, at_least", "/criteria/III.2.6.b/rule/all/0/count/records"),
        (
            "where: { kind: settlement }",
            "where: { sort: settlement }",
            "/criteria/III.2.2.b/rule/all/1/every/where/sort",
        ),
        ("indicator: helped_relapsed", "indicator: relapsed", "/criteria/III.2.1.c/rule/all/3/threshold/indicator"),
        ("rule: { all: ['III.2.5.a'] }", "rule: { all: ['III.2.5.b'] }", "/categories/can_bo/combine/rule/all/0"),
        ("rule: { all: ['III.2.5.a'] }", "rule: { all: ['III.2.6.a'] }", "/categories/can_bo/combine"),
        ("awards: [giay_khen_huyen,", "awards: [giay_khen_tinh,", "/rounds/final/awards/0"),
        ("law: LUAT2003 }", "law: LUAT1999 }", "/rounds/mid/law"),
        ("dossier_by: don_vi_nhan", "dossier_by: don_vi", "/special_path/dossier_by"),
        ("by: nhcsxh, evidence", "by: ngan_hang, evidence", "/attestations/A244eff/by"),
        ("clause: III.2.2.d, reading", "clause: III.2.2.z, reading", "/rule_set/readings/2/clause"),
        ("data: { area_class: none }", "data: { area: none }", "/tests/6/data/area"),
        ("value: sum, status", "value: some, status", "/parameters/reduction_scope/value"),
    ] {
        let findings = refused(from, to);
        assert!(findings.iter().any(|f| f.path == path), "{path}: {findings:#?}");
        assert!(findings.iter().all(|f| f.line.is_some()), "{findings:#?}");
    }
}

#[test]
fn what_this_version_does_not_serve_is_refused_plainly() {
    let expr = "rule: { expr: { cel: 'true', reads: [], explain: 'x' } }";
    let findings = refused("rule: { attested: A242good }", expr);
    assert!(findings[0].reason.contains("expr is not supported by this version"));
    let findings = refused("quotas: []", "quotas: [ { max: 3 } ]");
    assert!(findings[0].reason.contains("quotas are not supported by this version"));
    let findings = refused("ranking: { keys: [],", "ranking: { keys: [ { order: desc } ],");
    assert!(findings[0].reason.contains("ranking is not supported by this version"));
}

#[test]
fn text_that_is_no_rule_file_is_refused() {
    let broken = RuleSet::load("format: [").unwrap_err();
    assert!(broken[0].reason.starts_with("not readable as YAML"));
    assert!(broken[0].line.is_some());
    let twice = format!("{RULES}\nformat: award-rules/1\n");
    assert!(RuleSet::load(&twice).unwrap_err()[0].reason.contains("format"));
    assert!(RuleSet::load("").is_err());
    assert!(RuleSet::load("format: award-rules/2").unwrap_err().len() > 1);
}

#[test]
fn the_published_schema_is_json() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(schema["properties"]["format"]["const"], "award-rules/1");
}
