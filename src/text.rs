//! Text: folding for search without diacritics. NFC happens at the edge (`http/body.rs`).

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Lower case without diacritics: "Đặng Thị Hường" becomes "dang thi huong".
pub fn fold(text: &str) -> String {
    let stripped = text.nfd().filter(|c| !is_combining_mark(*c));
    stripped.flat_map(char::to_lowercase).map(|c| if c == 'đ' { 'd' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vietnamese_letter_folds_to_its_base() {
        assert_eq!(fold("Đặng Thị Hường"), "dang thi huong");
        assert_eq!(fold("ÀÁẠẢÃÂẦẤẬẨẪĂẰẮẶẲẴ ÈÉẸẺẼÊỀẾỆỂỄ ÌÍỊỈĨ"), "aaaaaaaaaaaaaaaaa eeeeeeeeeee iiiii");
        assert_eq!(fold("ÒÓỌỎÕÔỒỐỘỔỖƠỜỚỢỞỠ ÙÚỤỦŨƯỪỨỰỬỮ ỲÝỴỶỸ Đ"), "ooooooooooooooooo uuuuuuuuuuu yyyyy d");
        assert_eq!(fold("e\u{302}\u{301}"), fold("ế"));
    }
}
