//! Text: folding for search without diacritics, words, Vietnamese order. NFC happens at the edge (`http/body.rs`).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chrono::NaiveDate;
use icu_collator::CollatorBorrowed;
use icu_collator::options::CollatorOptions;
use icu_locale_core::locale;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::error::Error;

/// Lower case without diacritics: "Đặng Thị Hường" becomes "dang thi huong".
pub fn fold(text: &str) -> String {
    let stripped = text.nfd().filter(|c| !is_combining_mark(*c));
    stripped.flat_map(char::to_lowercase).map(|c| if c == 'đ' { 'd' } else { c }).collect()
}

/// The longest word that is told apart from a longer one, in characters: an index has room for it on both engines.
const LONGEST_WORD: usize = 100;

/// The folded words of a text, each once. Whatever is neither letter nor digit divides them.
pub fn words(text: &str) -> BTreeSet<String> {
    let folded = fold(text);
    let words = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| word.chars().take(LONGEST_WORD).collect()).collect()
}

/// The first text, by bytes, after every text that begins with `prefix`; none if there is no such text.
pub fn after_prefix(prefix: &str) -> Option<String> {
    let mut rest: Vec<char> = prefix.chars().collect();
    while let Some(last) = rest.pop() {
        // Characters in their order are also in the order of their bytes; the surrogates between them are none.
        if let Some(next) = (last..=char::MAX).nth(1) {
            rest.push(next);
            return Some(rest.into_iter().collect());
        }
    }
    None
}

/// The longest sort key, in bytes: it fits into an index and into a cursor. A title of 150 letters is shorter.
const LONGEST_KEY: usize = 512;

static VIETNAMESE: LazyLock<Option<CollatorBorrowed<'static>>> =
    LazyLock::new(|| CollatorBorrowed::try_new(locale!("vi").into(), CollatorOptions::default()).ok());

/// Bytes whose order is the Vietnamese order of texts: a ă â b c d đ e ê …, tones à ả ã á ạ after letters, case last. It
/// is the order that PostgreSQL has as `vi-VN-x-icu`; stored, it is the same on both engines.
pub fn sort_key(text: &str) -> Result<Vec<u8>, Error> {
    let collator = VIETNAMESE.as_ref().ok_or_else(|| Error::internal("the program lacks the Vietnamese collation"))?;
    let mut key = Vec::new();
    let Ok(()) = collator.write_sort_key_to(text, &mut key);
    key.truncate(LONGEST_KEY);
    Ok(key)
}

/// True for a civil date in its one form, `2025-12-31`, from year 1 to 9999.
pub fn is_civil_date(text: &str) -> bool {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    shape && !text.starts_with("0000") && text.parse::<NaiveDate>().is_ok()
}

/// True for a day in another form than the one above. Years of more than four digits, which the parser would take,
/// order differently on the two engines.
pub fn is_odd_date(text: &str) -> bool {
    text.parse::<NaiveDate>().is_ok() && !is_civil_date(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_have_four_digits() {
        for (text, out) in [
            ("2025-12-31", false),
            ("9999-12-31", false),
            ("+12345-01-01", true),
            ("-0001-01-01", true),
            ("+12345-1-1", true),
            ("2025-1-1", true),
            ("0000-01-01", true),
            ("15/2025-01-01", false),
            ("2025-12-31-x", false),
            ("bản", false),
        ] {
            assert_eq!(is_odd_date(text), out, "{text}");
        }
    }

    #[test]
    fn every_vietnamese_letter_folds_to_its_base() {
        assert_eq!(fold("Đặng Thị Hường"), "dang thi huong");
        assert_eq!(fold("ÀÁẠẢÃÂẦẤẬẨẪĂẰẮẶẲẴ ÈÉẸẺẼÊỀẾỆỂỄ ÌÍỊỈĨ"), "aaaaaaaaaaaaaaaaa eeeeeeeeeee iiiii");
        assert_eq!(fold("ÒÓỌỎÕÔỒỐỘỔỖƠỜỚỢỞỠ ÙÚỤỦŨƯỪỨỰỬỮ ỲÝỴỶỸ Đ"), "ooooooooooooooooo uuuuuuuuuuu yyyyy d");
        assert_eq!(fold("e\u{302}\u{301}"), fold("ế"));
    }

    #[test]
    fn words_are_folded_and_divided_by_whatever_is_no_letter_and_no_digit() {
        let words = |text| words(text).into_iter().collect::<Vec<_>>();
        assert_eq!(words("Đặng  Thị-Hường (Đặng)"), ["dang", "huong", "thi"]);
        assert_eq!(words("Quỹ 50% năm_2023, 07/BB"), ["07", "2023", "50", "bb", "nam", "quy"]);
        assert_eq!(words("D\u{323}a\u{306}\u{323}ng"), ["dang"]);
        assert!(words(" %_-– ").is_empty());
        assert_eq!(words(&"ươ".repeat(80)), ["uo".repeat(50)]);
    }

    #[test]
    fn what_begins_with_a_prefix_lies_before_what_comes_after_it() {
        assert_eq!(after_prefix("huong").as_deref(), Some("huonh"));
        assert_eq!(after_prefix("a\u{d7ff}").as_deref(), Some("a\u{e000}"), "no surrogates in between");
        assert_eq!(after_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after_prefix("\u{10ffff}"), None);
        assert_eq!(after_prefix(""), None);
    }

    fn sorted(mut texts: Vec<String>) -> Vec<String> {
        texts.sort_by_cached_key(|text| sort_key(text).unwrap());
        texts
    }

    #[test]
    fn letters_come_before_tones_and_tones_before_case() {
        let alphabet = "aăâbcdđeêghiklmnoôơpqrstuưvxy".chars().map(String::from).collect::<Vec<_>>();
        assert_eq!(sorted(alphabet.iter().rev().cloned().collect()), alphabet);
        for vowel in "aăâeêioôơuưy".chars() {
            let toned =
                ["", "\u{300}", "\u{309}", "\u{303}", "\u{301}", "\u{323}"].map(|tone| format!("{vowel}{tone}"));
            let toned: Vec<String> = toned.iter().map(|text| text.nfc().collect()).collect();
            assert_eq!(sorted(toned.iter().rev().cloned().collect()), toned);
        }
        let names =
            ["An", "Ăn", "Ân", "Ba", "bà", "Bà", "Bả", "Bá", "Bạ", "Bă", "Da", "Đa", "Lò Văn", "Lò Vân", "Lòng"];
        assert_eq!(sorted(names.iter().rev().map(ToString::to_string).collect()), names);
        assert_eq!(sort_key("e\u{302}\u{301}").unwrap(), sort_key("ế").unwrap());
        assert!(sort_key("").unwrap() < sort_key(" ").unwrap() && sort_key(" ").unwrap() < sort_key("0").unwrap());
    }

    #[test]
    fn a_title_of_150_letters_has_a_key_of_its_own() {
        let title = |last: &str| format!("{}{last}", "Ngưỡng ".repeat(20));
        assert!(sort_key(&title("a")).unwrap() < sort_key(&title("ă")).unwrap());
        assert!(sort_key(&"Ặ".repeat(500)).unwrap().len() <= LONGEST_KEY);
    }
}
