//! Evidence: a reference to the paper that proves something, by kind, number and digest. The paper itself never lives
//! here, and no name of a person does.

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

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

/// The number and symbol of an official paper (số, ký hiệu văn bản; Decree 30/2020/NĐ-CP): `15/QĐ-UBND`,
/// `24/2021/QĐ-TTg`, `05-NQ/HU`. It stands in the log as it is, so nothing else fits in: no words, and no run of digits
/// as long as a telephone or identity number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(transparent)]
#[garde(transparent)]
pub struct PaperNumber(
    #[garde(
        length(chars, max = 50),
        pattern(
            "^[0-9]{1,5}[A-Za-z]?(/(19|20)[0-9]{2})?([-/&][A-ZĐƠƯ]{1,12}[gr]?[0-9]{0,2})*(\\([A-ZĐƠƯ]{1,12}\\))?$"
        )
    )]
    pub String,
);

impl PartialSchema for PaperNumber {
    fn schema() -> RefOr<Schema> {
        let pattern =
            "^[0-9]{1,5}[A-Za-z]?(/(19|20)[0-9]{2})?([-/&][A-ZĐƠƯ]{1,12}[gr]?[0-9]{0,2})*(\\([A-ZĐƠƯ]{1,12}\\))?$";
        let text = ObjectBuilder::new().schema_type(Type::String).max_length(Some(50)).pattern(Some(pattern));
        text.examples(["15/QĐ-UBND"]).into()
    }
}

impl ToSchema for PaperNumber {}

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
    #[garde(dive)]
    #[schema(inline, example = "07/BB")]
    pub number: Option<PaperNumber>,
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
    fn a_paper_number_has_room_for_nothing_else() {
        let valid = |number: &str| PaperNumber(number.to_owned()).validate().is_ok();
        for number in [
            "1",
            "07/BB",
            "15/QĐ-UBND",
            "24/2021/QĐ-TTg",
            "05-NQ/HU",
            "15-CTr/TW",
            "12a/BC-PC06",
            "2/TTr-HĐND",
            "31/QĐ-ƯDCN",
            "35A/QĐ-UBND",
            "78/QĐ-SNV&KT",
            "09/BC-UBND(KT)",
        ] {
            assert!(valid(number), "{number}");
        }
        for number in [
            "",
            "QĐ",
            "15 QĐ",
            "0912345678",
            "040099012345",
            "091-234-5678",
            "15/Nguyễn",
            "15/Hường",
            "15/",
            "15/QĐ(Hường)",
            "15/QĐ()",
            "15/QĐ-UBND của Hường",
            "15/1899/QĐ",
            "15/qđ",
            "15/QĐ\n",
        ] {
            assert!(!valid(number), "{number}");
        }
    }

    #[test]
    fn a_digest_is_sixty_four_small_hex_digits() {
        let evidence = |sha256: &str| Evidence { kind: EvidenceKind::Photo, number: None, sha256: Some(sha256.into()) };
        assert!(evidence(&"0a".repeat(32)).validate().is_ok());
        for wrong in ["0a".repeat(31), "0A".repeat(32), "0g".repeat(32), String::new()] {
            assert!(evidence(&wrong).validate().is_err(), "{wrong}");
        }
    }
}
