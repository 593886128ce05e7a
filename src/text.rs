//! Text: folding for search without diacritics. NFC happens at the edge (`http/body.rs`).

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Lower case without diacritics: "Đặng Thị Hường" becomes "dang thi huong".
pub fn fold(text: &str) -> String {
    let stripped = text.nfd().filter(|c| !is_combining_mark(*c));
    stripped.flat_map(char::to_lowercase).map(|c| if c == 'đ' { 'd' } else { c }).collect()
}

/// True for a civil date whose year has not exactly four digits: the two engines order such days differently.
pub fn is_date_out_of_range(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = unsigned.split('-');
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let digits = |part: &str, count: usize| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    let is_date = !year.is_empty() && digits(year, year.len()) && digits(month, 2) && digits(day, 2);
    is_date && (year.len() != 4 || unsigned.len() != text.len() || year == "0000")
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
            ("12345-01-01", true),
            ("0000-01-01", true),
            ("15/2025-01-01", false),
            ("2025-12-31-x", false),
            ("bản", false),
        ] {
            assert_eq!(is_date_out_of_range(text), out, "{text}");
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
