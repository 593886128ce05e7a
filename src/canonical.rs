//! Canonical JSON (RFC 8785, restricted) and the one digest used on it.
//!
//! What is hashed or compared byte for byte is written here, and nowhere else. The restriction makes the
//! standard's number rule harmless: only integers within ±(2^53 − 1) exist, so no float is ever printed.
//! Never here: parsing, I/O, keys, signatures, or any knowledge of what a document means.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

/// The largest integer that every JSON reader agrees on.
pub const MAX_SAFE: i64 = (1 << 53) - 1;

/// Why a document has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A number that is not an integer.
    #[error("{path}: {number} is not an integer; write a decimal as a string")]
    Float {
        /// JSON pointer to the number.
        path: String,
        /// The number as it was read.
        number: String,
    },
    /// An integer that some readers would round.
    #[error("{path}: {number} lies outside ±(2^53 - 1)")]
    TooLarge {
        /// JSON pointer to the number.
        path: String,
        /// The number as it was read.
        number: String,
    },
}

impl CanonicalError {
    /// JSON pointer to the value at fault.
    pub fn path(&self) -> &str {
        match self {
            Self::Float { path, .. } | Self::TooLarge { path, .. } => path,
        }
    }
}

/// Writes `value` in its one canonical form: sorted keys, no spaces, shortest escapes.
pub fn canonical(value: &Value) -> Result<String, CanonicalError> {
    let mut out = String::new();
    write_value(&mut out, &mut String::new(), value)?;
    Ok(out)
}

/// SHA-256 of the bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// Appends one member name or index to a JSON pointer (RFC 6901).
pub fn push_pointer(path: &mut String, part: &str) {
    path.push('/');
    for c in part.chars() {
        match c {
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            other => path.push(other),
        }
    }
}

fn write_value(out: &mut String, path: &mut String, value: &Value) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(out, path, number)?,
        Value::String(text) => write_string(out, text),
        Value::Array(items) => write_array(out, path, items)?,
        Value::Object(members) => write_object(out, path, members)?,
    }
    Ok(())
}

fn write_number(out: &mut String, path: &str, number: &Number) -> Result<(), CanonicalError> {
    match number.as_i64() {
        Some(n) if (-MAX_SAFE..=MAX_SAFE).contains(&n) => {
            out.push_str(&n.to_string());
            Ok(())
        }
        None if !number.is_u64() => Err(CanonicalError::Float { path: path.to_owned(), number: number.to_string() }),
        _ => Err(CanonicalError::TooLarge { path: path.to_owned(), number: number.to_string() }),
    }
}

fn write_array(out: &mut String, path: &mut String, items: &[Value]) -> Result<(), CanonicalError> {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let length = path.len();
        push_pointer(path, &index.to_string());
        write_value(out, path, item)?;
        path.truncate(length);
    }
    out.push(']');
    Ok(())
}

fn write_object(out: &mut String, path: &mut String, members: &Map<String, Value>) -> Result<(), CanonicalError> {
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    // The standard sorts by UTF-16 code units, which differs from byte order above the basic plane.
    sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    out.push('{');
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(out, key);
        out.push(':');
        let length = path.len();
        push_pointer(path, key);
        write_value(out, path, value)?;
        path.truncate(length);
    }
    out.push('}');
    Ok(())
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => {
                write!(out, "\\u{:04x}", u32::from(control)).expect("writing to a string never fails");
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_by_utf16_code_units() {
        // The vector of RFC 8785 section 3.2.3.
        let value = json!({
            "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
            "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control",
            "\u{f6}": "Latin Small Letter O With Diaeresis"
        });
        let text = canonical(&value).unwrap();
        let order = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"];
        let places: Vec<usize> = order.iter().map(|word| text.find(word).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn vietnamese_is_written_as_it_is_and_controls_are_escaped() {
        let value = json!({ "tên": "Bản Pá Uôn / xã", "a": "\"\\\u{8}\t\n\u{c}\r\u{1}\u{7f}" });
        assert_eq!(
            canonical(&value).unwrap(),
            "{\"a\":\"\\\"\\\\\\b\\t\\n\\f\\r\\u0001\u{7f}\",\"tên\":\"Bản Pá Uôn / xã\"}"
        );
    }

    #[test]
    fn literals_arrays_and_the_safe_integers_are_written() {
        let value = json!([null, true, false, 0, -1, 9_007_199_254_740_991_i64, -9_007_199_254_740_991_i64, [], {}]);
        assert_eq!(canonical(&value).unwrap(), "[null,true,false,0,-1,9007199254740991,-9007199254740991,[],{}]");
    }

    #[test]
    fn floats_and_large_integers_are_refused_with_their_path() {
        let float = canonical(&json!({ "a/b": [1, 0.5] })).unwrap_err();
        assert!(matches!(float, CanonicalError::Float { .. }));
        assert_eq!(float.path(), "/a~1b/1");
        for large in [json!(9_007_199_254_740_992_i64), json!(-9_007_199_254_740_992_i64), json!(u64::MAX)] {
            assert!(matches!(canonical(&large), Err(CanonicalError::TooLarge { .. })));
        }
    }

    #[test]
    fn the_digest_is_the_published_one() {
        assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(hex(&[0, 255, 16]), "00ff10");
    }
}
