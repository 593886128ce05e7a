//! One sentence template per operator and language.
//!
//! A sentence is built from the same numbers and the same status as the decision, so the two cannot disagree.
//! Never here: a comparison.

use chrono::NaiveDate;

use super::explain::{AwardOutcome, Say};
use super::inputs::{Answer, DateValue};
use super::number::Decimal;
use super::status::{Reason, Status};
use super::words::Language::{self, En, Vi};
use super::words::{answered, capital, date, day, decimal, grouped, known, outcome_words, pick, point, said, verdict};

/// What a leaf condition saw and asked for.
#[derive(Debug, Clone)]
pub enum Seen {
    Threshold {
        name: Say,
        period: String,
        value: Option<i64>,
        sign: String,
        required: Decimal,
        unit: Say,
    },
    Reduction {
        from: String,
        to: String,
        base: Option<i128>,
        current: Option<i128>,
        percent: Option<String>,
        more_than: Decimal,
        unit: Say,
    },
    Duration {
        name: Say,
        since: DateValue,
        years: i64,
        until: NaiveDate,
    },
    Count {
        name: Say,
        sure: usize,
        maybe: usize,
        closed: bool,
        needed: i64,
    },
    Every {
        name: Say,
        entries: usize,
        failing: usize,
        closed: bool,
    },
    Attested {
        ask: Say,
        by: Say,
        answer: Answer,
    },
    AttributeIn {
        name: Say,
        value: Option<Say>,
        values: Vec<Say>,
    },
    HoldsAward {
        name: Say,
        held: Option<bool>,
    },
    AtLeast {
        needed: i64,
        met: usize,
    },
    Unset {
        parameter: Say,
    },
}

/// The sentence of a leaf condition.
pub fn sentence(seen: &Seen, status: Status, reason: Option<Reason>, would_be: Option<Status>) -> Say {
    let write = |language| {
        let core = template(seen, language);
        let verdict = verdict(status, reason, would_be, language);
        format!("{core} - {verdict}.")
    };
    Say { vi: write(Vi), en: write(En) }
}

/// The sentence of a criterion: its verdict, then the conditions that decided it.
pub fn criterion(status: Status, would_be: Option<Status>, deciding: &[&Say]) -> Say {
    let write = |language: Language, pick: fn(&Say) -> &str| {
        let mut text = capital(&verdict(status, None, would_be, language));
        text.push('.');
        for say in deciding {
            text.push(' ');
            text.push_str(pick(say));
        }
        text
    };
    Say { vi: write(Vi, |say| &say.vi), en: write(En, |say| &say.en) }
}

/// The sentence of an award.
pub fn award(name: &Say, outcome: AwardOutcome, because: &[Say], superseded: &[Say]) -> Say {
    let list = |says: &[Say], between: &str, language| {
        says.iter().map(|say| said(say, language)).collect::<Vec<_>>().join(between)
    };
    let write = |language| {
        let mut text = format!("{}: {}", said(name, language), outcome_words(outcome, language));
        if !because.is_empty() {
            text.push_str(&format!(" ({})", list(because, "; ", language)));
        }
        if !superseded.is_empty() {
            let instead = match language {
                Vi => "sẽ thay bằng hình thức cao hơn nếu đủ căn cứ",
                En => "superseded if a higher award is decided",
            };
            text.push_str(&format!("; {instead}: {}", list(superseded, ", ", language)));
        }
        text + "."
    };
    Say { vi: write(Vi), en: write(En) }
}

/// How far a condition is from holding.
#[derive(Debug, Clone)]
pub enum Distance {
    More { amount: i128, unit: Say },
    Fewer { amount: i128, unit: Say },
    AtMost { name: Say, period: String, value: i128 },
    AtLeast { name: Say, period: String, value: i128 },
    ReachedOn(NaiveDate),
    Failing(usize),
    Ask { who: Say },
    Supply { what: Say, who: Option<Say> },
}

/// The distance in words.
pub fn distance(distance: &Distance) -> Say {
    use Distance::{Ask, AtLeast, AtMost, Failing, Fewer, More, ReachedOn, Supply};
    let number = |value: &i128, language| grouped(&value.to_string(), language);
    let write = |l: Language| match (distance, l) {
        (More { amount, unit }, Vi) => format!("cần thêm {} {}", number(amount, l), unit.vi),
        (More { amount, unit }, En) => format!("{} more needed ({})", number(amount, l), unit.en),
        (Fewer { amount, unit }, Vi) => format!("cần giảm thêm {} {}", number(amount, l), unit.vi),
        (Fewer { amount, unit }, En) => format!("{} fewer needed ({})", number(amount, l), unit.en),
        (AtMost { name, period, value }, _) => {
            format!("{} {period} ≤ {}", said(name, l), number(value, l))
        }
        (AtLeast { name, period, value }, _) => {
            format!("{} {period} ≥ {}", said(name, l), number(value, l))
        }
        (ReachedOn(day), Vi) => format!("đủ thời gian vào ngày {}", date(*day, l)),
        (ReachedOn(day), En) => format!("reached on {}", date(*day, l)),
        (Failing(count), Vi) => format!("{count} mục chưa đúng"),
        (Failing(count), En) => format!("{count} not in order"),
        (Ask { who }, Vi) => format!("cần {} xác nhận", who.vi),
        (Ask { who }, En) => format!("to be confirmed by: {}", who.en),
        (Supply { what, who }, _) => {
            let who = who.as_ref().map_or(String::new(), |who| format!(" ({})", said(who, l)));
            format!("{}: {}{who}", pick(l, "cần có", "needed"), said(what, l))
        }
    };
    Say { vi: write(Vi), en: write(En) }
}

fn template(seen: &Seen, language: Language) -> String {
    match seen {
        Seen::Threshold { name, period, value, sign, required, unit } => {
            let value = known(value.map(i128::from), language);
            let required = decimal(*required, language);
            let must = pick(language, "yêu cầu", "required");
            let (name, unit) = (said(name, language), said(unit, language));
            format!("{name} ({period}): {value}; {must} {sign} {required} {unit}")
        }
        Seen::Reduction { .. } => reduction(seen, language),
        Seen::Duration { .. } => duration(seen, language),
        Seen::Count { .. } | Seen::Every { .. } => register(seen, language),
        Seen::Attested { ask, by, answer } => {
            format!("{} {}: {}", said(ask, language), said(by, language), answered(*answer, language))
        }
        Seen::AttributeIn { name, value, values } => {
            let value = value.as_ref().map_or(pick(language, "chưa rõ", "not known"), |value| said(value, language));
            let values: Vec<&str> = values.iter().map(|value| said(value, language)).collect();
            let must = pick(language, "yêu cầu", "required");
            format!("{}: {value}; {must}: {}", said(name, language), values.join(pick(language, " hoặc ", " or ")))
        }
        Seen::HoldsAward { name, held } => {
            let held = match held {
                Some(true) => pick(language, "đã được tặng", "held"),
                Some(false) => pick(language, "chưa được tặng", "not held"),
                None => pick(language, "chưa rõ", "not known"),
            };
            format!("{}: {held}", said(name, language))
        }
        Seen::AtLeast { needed, met } => match language {
            Vi => format!("{met} điều kiện đạt; yêu cầu ít nhất {needed}"),
            En => format!("{met} conditions met; at least {needed} required"),
        },
        Seen::Unset { parameter } => match language {
            Vi => format!("Chưa đặt tham số: {}", parameter.vi),
            En => format!("Parameter not set: {}", parameter.en),
        },
    }
}

fn duration(seen: &Seen, language: Language) -> String {
    let Seen::Duration { name, since, years, until } = seen else {
        return String::new();
    };
    let (since, until) = (day(*since, language), date(*until, language));
    let name = said(name, language);
    match language {
        Vi => format!("{name}: {since}; phải đủ {years} năm tính đến {until}"),
        En => format!("{name}: {since}; {years} years required by {until}"),
    }
}

fn reduction(seen: &Seen, language: Language) -> String {
    let Seen::Reduction { from, to, base, current, percent, more_than, unit } = seen else {
        return String::new();
    };
    // What is not known has no unit.
    let unit = current.map_or(String::new(), |_| format!(" {}", said(unit, language)));
    let (base, current) = (known(*base, language), known(*current, language));
    let more_than = decimal(*more_than, language);
    let percent = percent.as_ref().map_or(String::new(), |p| format!(" ({}%)", point(p, language)));
    match language {
        Vi if percent.starts_with(" (-") => {
            format!("Tăng từ {base} ({from}) lên {current}{unit} ({to}); phải giảm trên {more_than}%")
        }
        Vi => format!("Giảm từ {base} ({from}) xuống {current}{unit} ({to}){percent}; phải giảm trên {more_than}%"),
        En => format!("From {base} ({from}) to {current}{unit} ({to}){percent}; must fall by more than {more_than}%"),
    }
}

fn register(seen: &Seen, language: Language) -> String {
    let open = |closed: bool| match closed {
        true => "",
        false => pick(language, ", chưa khóa sổ", ", register open"),
    };
    match seen {
        Seen::Count { name, sure, maybe, closed, needed } => {
            let maybe = match (*maybe, language) {
                (0, _) => String::new(),
                (n, Vi) => format!(", {n} chưa rõ"),
                (n, En) => format!(", {n} unclear"),
            };
            let must = pick(language, "yêu cầu ít nhất", "required at least");
            let name = said(name, language);
            format!("{name}: {sure}{maybe}{}; {must} {needed}", open(*closed))
        }
        Seen::Every { name, entries, failing, closed } => match language {
            Vi => {
                format!("{}: {entries} mục, {failing} mục không đúng{}; mọi mục đều phải đúng", name.vi, open(*closed))
            }
            En => format!("{}: {entries}, {failing} not in order{}; all must be in order", name.en, open(*closed)),
        },
        _ => String::new(),
    }
}
