//! What the rules say about awards, and the shape of the whole answer.

use super::*;

fn judged(rules: &RuleSet, request: &Request, kind: &str, inputs: &Inputs) -> SubjectResult {
    rules.evaluate(request, &subject(kind), inputs).unwrap()
}

fn outcomes(result: &SubjectResult) -> Vec<(&str, AwardOutcome)> {
    let awards = result.awards.iter();
    awards.map(|a| (a.award.as_str(), a.outcome)).collect()
}

fn award<'a>(result: &'a SubjectResult, id: &str) -> &'a AwardResult {
    result.awards.iter().find(|award| award.award == id).unwrap()
}

fn nominated(mut inputs: Inputs, awards: &[&str]) -> Inputs {
    for award in awards {
        inputs.nominations.insert((*award).to_owned(), evidence(70));
    }
    inputs
}

const ALL: [&str; 4] = ["giay_khen_don_vi", "giay_khen_huyen", "bang_khen_tinh", "bang_khen_ttg"];

#[test]
fn the_highest_award_is_recommended_and_possible_ones_above_it_are_named() {
    use AwardOutcome::{InsufficientEvidence, NotEligible, NotInRound, Recommended};
    let mut inputs = nominated(good_village(), &ALL);
    attest(&mut inputs, "X_round", Answer::Yes);
    let result = judged(&adopted(), &ask("final", Mode::Official), "village", &inputs);
    assert_eq!(result.status, Status::Met);
    assert_eq!(
        outcomes(&result),
        [
            ("huan_chuong_ld", InsufficientEvidence),
            ("bang_khen_ttg", InsufficientEvidence),
            ("bang_khen_tinh", Recommended),
            ("giay_khen_huyen", NotEligible),
            ("giay_khen_don_vi", NotInRound),
        ]
    );
    assert_eq!(award(&result, "huan_chuong_ld").because, ["X_tw", "nomination"]);
    assert_eq!(award(&result, "bang_khen_ttg").because, ["X_tw"]);
    let tinh = award(&result, "bang_khen_tinh");
    assert_eq!(tinh.superseded_if, ["huan_chuong_ld", "bang_khen_ttg"]);
    assert!(tinh.say.vi.contains("đề nghị xét"));
    // The district that gave it had ceased to exist at the cut-off.
    let huyen = award(&result, "giay_khen_huyen");
    assert_eq!(huyen.because, ["no_issuer"]);
    assert!(huyen.say.en.contains("no authority can issue it"));
}

#[test]
fn a_recommended_award_withholds_the_lower_ones() {
    let mut inputs = nominated(good_village(), &ALL);
    attest(&mut inputs, "X_round", Answer::Yes);
    figure(&mut inputs, "poor_households", "2023", 20);
    figure(&mut inputs, "near_poor_households", "2023", 9);
    figure(&mut inputs, "mobilised_vnd", "2023", 1);
    let result = judged(&adopted(), &ask("mid", Mode::Official), "village", &inputs);
    assert_eq!(award(&result, "bang_khen_tinh").outcome, AwardOutcome::Recommended);
    let lower = award(&result, "giay_khen_huyen");
    assert_eq!(lower.outcome, AwardOutcome::WithheldSameAchievement);
    assert_eq!(lower.because, ["award:bang_khen_tinh"]);
}

#[test]
fn criteria_met_without_a_nomination_are_not_enough() {
    let mut inputs = good_village();
    attest(&mut inputs, "X_round", Answer::Yes);
    let result = judged(&adopted(), &ask("final", Mode::Official), "village", &inputs);
    let tinh = award(&result, "bang_khen_tinh");
    assert_eq!(tinh.outcome, AwardOutcome::InsufficientEvidence);
    assert_eq!(tinh.because, ["nomination"]);
    assert!(result.next.iter().any(|n| n.r#do == "nominate" && n.name == "bang_khen_tinh"));
}

#[test]
fn a_failed_criterion_and_a_missing_one_are_named() {
    let mut inputs = nominated(good_village(), &ALL);
    figure(&mut inputs, "near_poor_households", "2025", 10);
    inputs.attestations.remove("A231stable");
    let result = judged(&adopted(), &ask("final", Mode::Official), "village", &inputs);
    assert_eq!(result.status, Status::NotMet);
    assert_eq!(award(&result, "bang_khen_tinh").because, ["III.2.3.d"]);
    let near = result.near_miss.unwrap();
    assert_eq!((near.blocking, near.unknown), (1, 1));
    assert_eq!(near.unlock[0][1].say.vi, "cần giảm thêm 1 hộ");
    assert!(result.next.iter().any(|n| n.r#do == "attest" && n.name == "A231stable"));
    let fall = result.criteria.iter().find(|c| c.id == "III.2.3.d").unwrap();
    assert_eq!(fall.say.vi, "Không đạt. Giảm từ 60 (2021) xuống 30 hộ (2025) (50%); phải giảm trên 50% - không đạt.");
    inputs.indicators.remove("near_poor_households");
    let result = judged(&adopted(), &ask("final", Mode::Official), "village", &inputs);
    let because = &award(&result, "bang_khen_tinh").because;
    assert_eq!(because, &["III.2.3.a", "III.2.3.d", "X_round"]);
}

#[test]
fn an_award_already_given_withholds_all_for_the_same_achievement() {
    let mut inputs = nominated(good_village(), &ALL);
    attest(&mut inputs, "X_round", Answer::Yes);
    let held = |round: &str| HeldAward { held: Some(true), round: Some(round.to_owned()), evidence: evidence(60) };
    let rules = adopted();
    let final_round = ask("final", Mode::Simulation);
    inputs.held_awards.insert("bang_khen_tinh".to_owned(), held("mid"));
    let result = judged(&rules, &final_round, "village", &inputs);
    assert_eq!(award(&result, "bang_khen_tinh").outcome, AwardOutcome::Recommended);
    let mut whole = final_round.clone();
    let value = ParameterValue::Text("whole_campaign".to_owned());
    whole.overrides.insert("achievement_scope".to_owned(), value);
    let result = judged(&rules, &whole, "village", &inputs);
    let tinh = award(&result, "bang_khen_tinh");
    assert_eq!(tinh.outcome, AwardOutcome::WithheldSameAchievement);
    inputs.held_awards.insert("bang_khen_tinh".to_owned(), held("final"));
    let result = judged(&rules, &final_round, "village", &inputs);
    let ttg = award(&result, "bang_khen_ttg");
    assert_eq!(ttg.outcome, AwardOutcome::WithheldSameAchievement);
}

#[test]
fn an_official_run_refuses_what_is_only_proposed_and_shows_what_would_be() {
    let inputs = nominated(good_village(), &ALL);
    let rules = rules();
    let official = judged(&rules, &ask("final", Mode::Official), "village", &inputs);
    assert_eq!(official.status, Status::Insufficient);
    assert_eq!(official.reason, Some(Reason::ParameterNotAdopted));
    assert_eq!(official.would_be, Some(Status::Met));
    let tinh = award(&official, "bang_khen_tinh");
    assert_eq!(tinh.outcome, AwardOutcome::InsufficientEvidence);
    assert_eq!(tinh.because[0], "combination");
    let tried = judged(&rules, &ask("final", Mode::Simulation), "village", &inputs);
    assert_eq!((tried.status, tried.would_be), (Status::Met, None));
    let used = |kind: &str, name: &str| {
        let mut used = tried.readings_used.iter();
        used.any(|r| r.kind == kind && r.name == name)
    };
    assert!(used("parameter", "baseline_period"));
    assert!(used("parameter", "reduction_percent"));
    assert!(used("parameter", "final_as_of"));
    assert!(used("combination", "III.2.3"));
    assert!(used("reading", "III.2.3.b"));
    assert!(used("reading", "III.2.1-III.2.6"));
    assert!(!used("reading", "III.2.2.d"));
}

#[test]
fn a_household_still_poor_is_judged_by_its_situation() {
    let mut inputs = Inputs::default();
    let value = Ok(Scalar::Text("poor".to_owned()));
    let attribute = Attribute { value, evidence: evidence(1) };
    inputs.attributes.insert("household_status".to_owned(), attribute);
    register(&mut inputs, "exit_registration", true, &[&[("registered_on", "2024-01-05")]]);
    register(&mut inputs, "loan", true, &[]);
    attest(&mut inputs, "A241will", Answer::Yes);
    attest(&mut inputs, "A242good", Answer::Yes);
    let result = judged(&adopted(), &ask("final", Mode::Official), "household", &inputs);
    assert_eq!(result.status, Status::Met);
    assert_eq!(result.steps[0].path, "ho_gia_dinh/any/0/when/if/attribute_in");
    let ids: Vec<&str> = result.criteria.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["III.2.4.a", "III.2.4.b", "III.2.4.c", "III.2.4.d"]);
    assert_eq!(result.criteria[3].status, Status::NotApplicable);
}

#[test]
fn a_subject_of_no_category_is_told_so_and_may_still_take_the_special_path() {
    let rules = adopted();
    let mut person = subject("other_individual");
    person.form = Some("individual".to_owned());
    let mut inputs = nominated(Inputs::default(), &ALL);
    register(
        &mut inputs,
        "support_activity",
        false,
        &[&[("kind", "capital"), ("beneficiary_area", "special_village")]],
    );
    attest(&mut inputs, "S34out", Answer::Yes);
    attest(&mut inputs, "X_round", Answer::Yes);
    let mut request = ask("final", Mode::Official);
    let result = rules.evaluate(&request, &person, &inputs).unwrap();
    assert_eq!(result.status, Status::NotApplicable);
    assert_eq!(award(&result, "bang_khen_tinh").because, ["no_category"]);
    request.special = "2024-05-01".parse().ok();
    let result = rules.evaluate(&request, &person, &inputs).unwrap();
    assert_eq!((result.status, result.criteria[0].id.as_str()), (Status::Met, "III.3.4"));
    assert_eq!(award(&result, "bang_khen_tinh").outcome, AwardOutcome::Recommended);
    // In 2024 the district still existed.
    let huyen = award(&result, "giay_khen_huyen");
    assert_eq!(huyen.outcome, AwardOutcome::WithheldSameAchievement);
    person.form = None;
    let result = rules.evaluate(&request, &person, &inputs).unwrap();
    assert_eq!(award(&result, "bang_khen_tinh").because, ["subject_form"]);
}

#[test]
fn the_answer_has_the_published_shape() {
    let inputs = nominated(good_village(), &ALL);
    let result = judged(&adopted(), &ask("final", Mode::Official), "village", &inputs);
    let json = serde_json::to_value(&result).unwrap();
    let step = &json["criteria"][3]["steps"][0];
    assert_eq!(step["path"], "III.2.3.d/reduction");
    assert_eq!(step["computed"]["baseline"], 60);
    assert_eq!(step["computed"]["reduction_percent"], "51.7");
    assert_eq!(step["required"]["parameter"], "reduction_percent");
    assert_eq!(step["required"]["decided_by"], "KH");
    assert_eq!(step["evidence"][0]["name"], "near_poor_households");
    assert_eq!(step["evidence"][0]["basis"][0]["position"], 21);
    assert_eq!(json["subject"]["type"], "village");
    assert!(json.get("near_miss").is_none());
}

#[test]
fn a_subject_is_asked_what_its_category_its_round_and_the_special_path_ask() {
    let rules = rules();
    let asked = |round: &str, kind: &str| {
        let asked = rules.model().statements(round, kind);
        asked.into_iter().map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(asked("mid", "village"), "A231stable A233eff S34out X_round");
    assert_eq!(asked("final", "township"), "A221eff A222fin A223mob S34out X_round X_tw");
    assert_eq!(asked("mid", "household"), "A241will A242good A244eff S34out X_round");
    assert_eq!(asked("nowhere", "province"), "S34out");
}
