//! Text: folding for search without diacritics. NFC happens at the edge (`http/body.rs`).

use chrono::NaiveDate;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Lower case without diacritics: "Đặng Thị Hường" becomes "dang thi huong".
pub fn fold(text: &str) -> String {
    let stripped = text.nfd().filter(|c| !is_combining_mark(*c));
    stripped.flat_map(char::to_lowercase).map(|c| if c == 'đ' { 'd' } else { c }).collect()
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
}
