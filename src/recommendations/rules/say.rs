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
use super::words::{answered, capital, cause, date, day, decimal, grouped, known, outcome_words, pick, point, verdict};

/// What a leaf condition saw and asked for.
#[derive(Debug, Clone)]
pub enum Seen {
    Threshold {
        name: String,
        period: String,
        value: Option<i64>,
        sign: String,
        required: Decimal,
        unit: String,
    },
    Reduction {
        from: String,
        to: String,
        base: Option<i128>,
        current: Option<i128>,
        percent: Option<String>,
        more_than: Decimal,
        unit: String,
    },
    Duration {
        name: String,
        since: DateValue,
        years: i64,
        until: NaiveDate,
    },
    Count {
        name: String,
        sure: usize,
        maybe: usize,
        closed: bool,
        needed: i64,
    },
    Every {
        name: String,
        entries: usize,
        failing: usize,
        closed: bool,
    },
    Attested {
        ask: String,
        by: String,
        answer: Answer,
    },
    AttributeIn {
        name: String,
        value: Option<String>,
        values: String,
    },
    HoldsAward {
        name: String,
        held: Option<bool>,
    },
    AtLeast {
        needed: i64,
        met: usize,
    },
    Unset {
        parameter: String,
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
pub fn award(name: &str, outcome: AwardOutcome, because: &[String], superseded: &[String]) -> Say {
    let write = |language| {
        let mut text = format!("{name}: {}", outcome_words(outcome, language));
        if !because.is_empty() {
            let words: Vec<String> = because.iter().map(|b| cause(b, language)).collect();
            text.push_str(&format!(" ({})", words.join("; ")));
        }
        if !superseded.is_empty() {
            let instead = match language {
                Vi => "sẽ thay bằng hình thức cao hơn nếu đủ căn cứ",
                En => "superseded if a higher award is decided",
            };
            text.push_str(&format!("; {instead}: {}", superseded.join(", ")));
        }
        text + "."
    };
    Say { vi: write(Vi), en: write(En) }
}

/// How far a condition is from holding.
#[derive(Debug, Clone)]
pub enum Distance {
    More { amount: i128, unit: String },
    Fewer { amount: i128, unit: String },
    AtMost { name: String, period: String, value: i128 },
    AtLeast { name: String, period: String, value: i128 },
    ReachedOn(NaiveDate),
    Failing(usize),
    Ask { who: String },
    Supply { what: String, who: String },
}

/// The distance in words.
pub fn distance(distance: &Distance) -> Say {
    use Distance::{Ask, AtLeast, AtMost, Failing, Fewer, More, ReachedOn, Supply};
    let number = |value: &i128, language| grouped(&value.to_string(), language);
    let write = |l: Language| match (distance, l) {
        (More { amount, unit }, Vi) => format!("cần thêm {} {unit}", number(amount, l)),
        (More { amount, unit }, En) => format!("{} {unit} more needed", number(amount, l)),
        (Fewer { amount, unit }, Vi) => format!("cần giảm thêm {} {unit}", number(amount, l)),
        (Fewer { amount, unit }, En) => format!("{} {unit} fewer needed", number(amount, l)),
        (AtMost { name, period, value }, _) => {
            format!("{name} {period} ≤ {}", number(value, l))
        }
        (AtLeast { name, period, value }, _) => {
            format!("{name} {period} ≥ {}", number(value, l))
        }
        (ReachedOn(day), Vi) => format!("đủ thời gian vào ngày {}", date(*day, l)),
        (ReachedOn(day), En) => format!("reached on {}", date(*day, l)),
        (Failing(count), Vi) => format!("{count} mục chưa đúng"),
        (Failing(count), En) => format!("{count} not in order"),
        (Ask { who }, Vi) => format!("cần {who} xác nhận"),
        (Ask { who }, En) => format!("to be confirmed by {who}"),
        (Supply { what, who }, Vi) => format!("cần có: {what} ({who})"),
        (Supply { what, who }, En) => format!("needed: {what} ({who})"),
    };
    Say { vi: write(Vi), en: write(En) }
}

fn template(seen: &Seen, language: Language) -> String {
    match seen {
        Seen::Threshold { name, period, value, sign, required, unit } => {
            let value = known(value.map(i128::from), language);
            let required = decimal(*required, language);
            let must = pick(language, "yêu cầu", "required");
            format!("{name} ({period}): {value}; {must} {sign} {required} {unit}")
        }
        Seen::Reduction { .. } => reduction(seen, language),
        Seen::Duration { .. } => duration(seen, language),
        Seen::Count { .. } | Seen::Every { .. } => register(seen, language),
        Seen::Attested { ask, by, answer } => {
            format!("{ask} {by}: {}", answered(*answer, language))
        }
        Seen::AttributeIn { name, value, values } => {
            let value = value.as_deref().unwrap_or(pick(language, "chưa rõ", "not known"));
            let among = pick(language, "thuộc một trong", "one of");
            format!("{name}: {value}; {among}: {values}")
        }
        Seen::HoldsAward { name, held } => {
            let held = match held {
                Some(true) => pick(language, "đã được tặng", "held"),
                Some(false) => pick(language, "chưa được tặng", "not held"),
                None => pick(language, "chưa rõ", "not known"),
            };
            format!("{name}: {held}")
        }
        Seen::AtLeast { needed, met } => match language {
            Vi => format!("{met} điều kiện đạt; yêu cầu ít nhất {needed}"),
            En => format!("{met} conditions met; at least {needed} required"),
        },
        Seen::Unset { parameter } => match language {
            Vi => format!("Chưa có giá trị của tham số {parameter}"),
            En => format!("Parameter {parameter} has no value"),
        },
    }
}

fn duration(seen: &Seen, language: Language) -> String {
    let Seen::Duration { name, since, years, until } = seen else {
        return String::new();
    };
    let (since, until) = (day(*since, language), date(*until, language));
    match language {
        Vi => format!("{name}: {since}; phải đủ {years} năm tính đến {until}"),
        En => format!("{name}: {since}; {years} years required by {until}"),
    }
}

fn reduction(seen: &Seen, language: Language) -> String {
    let Seen::Reduction { from, to, base, current, percent, more_than, unit } = seen else {
        return String::new();
    };
    let (base, current) = (known(*base, language), known(*current, language));
    let more_than = decimal(*more_than, language);
    let percent = percent.as_ref().map_or(String::new(), |p| format!(" ({}%)", point(p, language)));
    match language {
        Vi => format!("Giảm từ {base} ({from}) xuống {current} {unit} ({to}){percent}; phải giảm trên {more_than}%"),
        En => format!("From {base} ({from}) to {current} {unit} ({to}){percent}; must fall by more than {more_than}%"),
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
            format!("{name}: {sure}{maybe}{}; {must} {needed}", open(*closed))
        }
        Seen::Every { name, entries, failing, closed } => match language {
            Vi => format!("{name}: {entries} mục, {failing} mục không đúng{}; mọi mục đều phải đúng", open(*closed)),
            En => format!("{name}: {entries}, {failing} not in order{}; all must be in order", open(*closed)),
        },
        _ => String::new(),
    }
}
