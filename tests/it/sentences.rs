//! Every sentence of every recommendation of the demonstration, in both rounds and modes and on the special path: the
//! English has no Vietnamese in it, the Vietnamese no key of the rule set.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::both_engines;
use crate::support::World;
use crate::support::demo::Demo;

const PATH: &str = "/v1/recommendations";

/// All `say` members below `value`, in both languages.
fn sentences(value: &Value, vi: &mut BTreeSet<String>, en: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| sentences(item, vi, en)),
        Value::Object(members) => {
            if let Some(say) = members.get("say") {
                vi.insert(say["vi"].as_str().unwrap().to_owned());
                en.insert(say["en"].as_str().unwrap().to_owned());
            }
            members.values().for_each(|member| sentences(member, vi, en));
        }
        _ => {}
    }
}

async fn everything(world: &World, demo: &Demo) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut vi, mut en) = (BTreeSet::new(), BTreeSet::new());
    for round in ["mid", "final"] {
        for mode in ["simulation", "official"] {
            for special_on in [Value::Null, json!("2024-05-01")] {
                let mut body = json!({ "campaign": demo.campaign, "round": round, "mode": mode });
                body["scope"] = json!({ "unit": demo.id("tinh-son-la") });
                body["special_on"] = special_on;
                let answer = world.somebody("province_officer").post(PATH, &body).await.is(200).json();
                sentences(&answer["subjects"], &mut vi, &mut en);
            }
        }
    }
    assert!(vi.len() > 300 && en.len() > 300, "{} and {}", vi.len(), en.len());
    (vi, en)
}

/// A clause, a year, or a place in the rule set such as `xa/all/1/count` is no word of a language.
fn words(sentence: &str) -> impl Iterator<Item = &str> {
    sentence.split([' ', ':', ';', ',', '(', ')', '?']).filter(|word| !word.contains('/'))
}

both_engines! {
    async fn each_language_speaks_only_itself(world: World) {
        let demo = world.demo().await;
        let (vi, en) = everything(world, &demo).await;
        for sentence in &en {
            let plain = |letter: char| letter.is_ascii() || matches!(letter, '≤' | '≥');
            assert!(sentence.chars().all(plain), "not English: {sentence}");
        }
        for sentence in vi.iter().chain(&en) {
            let key = words(sentence).find(|word| word.contains('_') || *word == "true" || *word == "false");
            assert_eq!(key, None, "a key stands in: {sentence}");
        }
    }

    async fn a_sentence_names_what_it_speaks_of(world: World) {
        let demo = world.demo().await;
        let (vi, en) = everything(world, &demo).await;
        for said in [
            "1 fewer needed (households)",
            "Documents and reports due by a day (settlement of accounts): 1, 0 not in order; all must be in order - met.",
            "to be confirmed by: District committee of the Fatherland Front",
            "Class of area (ethnic minority and mountainous areas): area III; required: area I or area II or area III - met.",
        ] {
            assert!(en.contains(said), "{said}: {en:#?}");
        }
        for said in [
            "cần giảm thêm 1 hộ",
            "Khu vực vùng đồng bào dân tộc thiểu số và miền núi: khu vực III; yêu cầu: khu vực I hoặc khu vực II hoặc khu vực III - đạt.",
        ] {
            assert!(vi.contains(said), "{said}: {vi:#?}");
        }
    }
}
