//! Evidence: a reference to the paper that proves something, by kind, number and digest. The paper itself never lives
//! here, and no name of a person does.

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::words;

words! {
    /// What kind of paper proves it.
    pub enum EvidenceKind {
        /// Văn bản.
        Document = "document",
        /// Số liệu, bảng tổng hợp.
        Figures = "figures",
        /// Biên bản.
        Minutes = "minutes",
        /// Danh sách.
        List = "list",
        /// Ảnh.
        Photo = "photo",
        /// Phiếu thu, biên nhận.
        Receipt = "receipt",
        /// Hồ sơ.
        Dossier = "dossier",
        /// Giấy tờ khác.
        Other = "other",
    }
}

/// The most references that one record may carry.
pub const MOST_EVIDENCE: usize = 20;

/// A reference to a paper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "kind": "minutes", "number": "07/BB" }))]
pub struct Evidence {
    /// The kind of paper.
    #[garde(skip)]
    pub kind: EvidenceKind,
    /// Its number, as printed on it.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 100)))]
    #[schema(min_length = 1, max_length = 100, example = "07/BB")]
    pub number: Option<String>,
    /// SHA-256 of the file, 64 lower-case hex digits.
    #[serde(default)]
    #[garde(inner(pattern("^[0-9a-f]{64}$")))]
    #[schema(min_length = 64, max_length = 64, pattern = "^[0-9a-f]{64}$")]
    pub sha256: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sixty_four_small_hex_digits() {
        let evidence = |sha256: &str| Evidence { kind: EvidenceKind::Photo, number: None, sha256: Some(sha256.into()) };
        assert!(evidence(&"0a".repeat(32)).validate().is_ok());
        for wrong in ["0a".repeat(31), "0A".repeat(32), "0g".repeat(32), String::new()] {
            assert!(evidence(&wrong).validate().is_err(), "{wrong}");
        }
    }
}
