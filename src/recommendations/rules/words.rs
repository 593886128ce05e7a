//! The words of both languages: verdicts, reasons, outcomes, numbers and dates.
//!
//! Never here: a sentence (`say`), or a decision.

use chrono::NaiveDate;

use super::explain::{AwardOutcome, Say};
use super::inputs::{Answer, DateValue};
use super::number::Decimal;
use super::status::{Reason, Status};

/// The language of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Vi,
    En,
}

/// The answer, with its reason and what it would be.
pub(super) fn verdict(status: Status, reason: Option<Reason>, would_be: Option<Status>, language: Language) -> String {
    let mut text = status_words(status, language).to_owned();
    if let Some(reason) = reason {
        text.push_str(&format!(" ({})", reason_words(reason, language)));
    }
    if let Some(would_be) = would_be {
        let if_adopted = pick(language, "nếu được thông qua", "if adopted");
        text.push_str(&format!("; {if_adopted}: {}", status_words(would_be, language)));
    }
    text
}

fn status_words(status: Status, language: Language) -> &'static str {
    let (vi, en) = match status {
        Status::Met => ("đạt", "met"),
        Status::NotMet => ("không đạt", "not met"),
        Status::Insufficient => ("chưa đủ căn cứ", "not enough evidence"),
        Status::NotApplicable => ("không áp dụng", "not applicable"),
    };
    pick(language, vi, en)
}

fn reason_words(reason: Reason, language: Language) -> &'static str {
    let (vi, en) = match reason {
        Reason::MissingValue => ("thiếu số liệu", "value missing"),
        Reason::MissingRecords => ("sổ chưa khóa", "register not closed"),
        Reason::MissingAttestation => ("chưa có xác nhận", "attestation missing"),
        Reason::Disputed => ("ý kiến khác nhau", "disputed"),
        Reason::StandardMismatch => ("khác chuẩn nghèo", "different poverty standards"),
        Reason::ParameterUnset => ("chưa đặt tham số", "parameter unset"),
        Reason::ParameterNotAdopted => ("chưa được thông qua", "not adopted"),
        Reason::UnitLineageUnmapped => ("chưa quy đổi đơn vị cũ", "predecessor unit not mapped"),
        Reason::Stale => ("số liệu đã cũ", "stale"),
    };
    pick(language, vi, en)
}

/// The outcome of an award.
pub(super) fn outcome_words(outcome: AwardOutcome, language: Language) -> &'static str {
    let (vi, en) = match outcome {
        AwardOutcome::Recommended => ("đề nghị xét", "recommended"),
        AwardOutcome::WithheldSameAchievement => {
            ("không xét thêm cho cùng một thành tích", "withheld, same achievement")
        }
        AwardOutcome::NotEligible => ("không đủ điều kiện", "not eligible"),
        AwardOutcome::InsufficientEvidence => ("chưa đủ căn cứ", "not enough evidence"),
        AwardOutcome::NotInRound => ("không thuộc đợt này", "not in this round"),
    };
    pick(language, vi, en)
}

/// A word of `because` that is no id.
pub(super) fn cause(cause: &str) -> Option<Say> {
    let (vi, en) = match cause {
        "subject_form" => ("không thuộc đối tượng của đợt", "subject form not in the round"),
        "no_issuer" => {
            ("tại thời điểm xét không còn cơ quan có thẩm quyền tặng", "no authority can issue it at the cut-off")
        }
        "no_category" => ("không thuộc nhóm tiêu chí nào", "in no category"),
        "not_applicable" => ("không có tiêu chí nào áp dụng", "no criterion applies"),
        "combination" => ("cách kết hợp chưa được thông qua", "combination not adopted"),
        "cut_off" => ("ngày chốt chưa được thông qua", "cut-off not adopted"),
        "nomination" => ("chưa có đề nghị hợp lệ", "no valid nomination"),
        _ => return None,
    };
    Some(Say { vi: vi.to_owned(), en: en.to_owned() })
}

/// What is said in one language.
pub(super) fn said(say: &Say, language: Language) -> &str {
    pick(language, &say.vi, &say.en)
}

/// A person's answer.
pub(super) fn answered(answer: Answer, language: Language) -> &'static str {
    let (vi, en) = match answer {
        Answer::Yes => ("có", "yes"),
        Answer::No => ("không", "no"),
        Answer::Disputed => ("ý kiến khác nhau", "answers differ"),
        Answer::Unknown => ("chưa trả lời", "no answer"),
    };
    pick(language, vi, en)
}

/// A day that may be unknown.
pub(super) fn day(value: DateValue, language: Language) -> String {
    match value {
        DateValue::On(day) => date(day, language),
        DateValue::Never => pick(language, "không có", "never").to_owned(),
        DateValue::Unknown(_) => pick(language, "chưa rõ", "not known").to_owned(),
    }
}

/// A civil date as the language writes it.
pub(super) fn date(day: NaiveDate, language: Language) -> String {
    day.format(pick(language, "%d/%m/%Y", "%Y-%m-%d")).to_string()
}

/// A figure that may be unknown.
pub(super) fn known(value: Option<i128>, language: Language) -> String {
    match value {
        Some(value) => grouped(&value.to_string(), language),
        None => pick(language, "chưa có số liệu", "not known").to_owned(),
    }
}

/// A decimal number.
pub(super) fn decimal(value: Decimal, language: Language) -> String {
    let text = value.to_string();
    match text.split_once('.') {
        Some((whole, fraction)) => {
            let comma = pick(language, ",", ".");
            format!("{}{comma}{fraction}", grouped(whole, language))
        }
        None => grouped(&text, language),
    }
}

/// A decimal point as the language writes it.
pub(super) fn point(text: &str, language: Language) -> String {
    text.replace('.', pick(language, ",", "."))
}

/// Digits in groups of three.
pub(super) fn grouped(digits: &str, language: Language) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut out = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push_str(pick(language, ".", ","));
        }
        out.push(digit);
    }
    out
}

/// The text with a capital first letter.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// The wording of the language.
pub(super) fn pick<'a>(language: Language, vi: &'a str, en: &'a str) -> &'a str {
    match language {
        Language::Vi => vi,
        Language::En => en,
    }
}
