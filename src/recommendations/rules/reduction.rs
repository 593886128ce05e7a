//! The leaf condition "fell by more than p per cent since the start of the period".
//!
//! Lives here: cross multiplication in 128 bits over intervals, strict. Never here: division before a decision; the
//! percentage shown is rounded for people only.

use serde_json::json;

use super::evaluate::Scene;
use super::explain::Gap;
use super::leaf::{Draft, FigureSeen, Leaf, gap, show_number, shown};
use super::number::{Decimal, Interval};
use super::operators::counted;
use super::say::{Distance, Seen};
use super::status::{Reason, Status};
use super::vocabulary::Reduction;

/// The two factors of `keep · base > whole · current`, which is "fell by more than p per cent".
#[derive(Clone, Copy)]
struct Factors {
    keep: i128,
    whole: i128,
}

impl Factors {
    fn of(percent: Decimal) -> Self {
        let whole = 100 * percent.unit();
        Self { keep: whole - i128::from(percent.mantissa), whole }
    }

    fn passes(self, base: i128, current: i128) -> bool {
        self.keep * base > self.whole * current
    }

    /// The largest end that still passes.
    fn most(self, base: i128) -> i128 {
        (self.keep * base - 1).div_euclid(self.whole)
    }

    /// The smallest start that passes; a fall of 100 per cent never exceeds itself.
    fn least_base(self, current: i128) -> Option<i128> {
        (self.keep > 0).then(|| (self.whole * current).div_euclid(self.keep) + 1)
    }

    /// The answer, if all pairs still possible agree on it.
    fn over(self, base: Interval, current: Interval, zero_base: Status) -> Status {
        let mut possible = Vec::new();
        if base.low.is_none_or(|low| low <= 0) {
            possible.push(zero_base);
        }
        if base.high.is_none_or(|high| high > 0) {
            let lowest = base.low.unwrap_or(1).max(1);
            let best = match (base.high, current.low) {
                (Some(base), Some(current)) => self.passes(base, current),
                // An open start, or an end with no smallest value, can always still pass, except at 100 per cent.
                (None, Some(current)) => self.keep > 0 || self.passes(lowest, current),
                (_, None) => true,
            };
            let worst = current.high.is_some_and(|current| self.passes(lowest, current));
            if best {
                possible.push(Status::Met);
            }
            if !worst {
                possible.push(Status::NotMet);
            }
        }
        Status::agreed(possible)
    }
}

/// The figures of one comparison: one indicator, or several added up.
struct Pair<'a> {
    base: Vec<FigureSeen<'a>>,
    current: Vec<FigureSeen<'a>>,
}

impl Pair<'_> {
    fn sum(figures: &[FigureSeen<'_>]) -> Interval {
        figures.iter().map(|figure| figure.interval).fold(Interval::known(0), Interval::plus)
    }

    fn figures(&self) -> impl Iterator<Item = &FigureSeen<'_>> {
        self.base.iter().chain(&self.current)
    }

    fn status(&self, factors: Factors, zero_base: Status) -> Status {
        factors.over(Self::sum(&self.base), Self::sum(&self.current), zero_base)
    }
}

/// A fall of more than a percentage.
pub(super) fn reduction(scene: &Scene<'_>, rule: &Reduction) -> Leaf {
    Leaf::of(|uses| {
        let percent = uses.number(scene, &rule.more_than_percent)?;
        let from = uses.text(scene, &rule.from)?;
        let each = match &rule.scope {
            Some(scope) => uses.text(scene, scope)? == "each",
            None => false,
        };
        let factors = Factors::of(percent);
        let pairs = pairs(scene, rule, &from, each);
        let mismatch = rule.same_dim.is_some() && mismatched(&pairs);
        let status = match mismatch {
            true => Status::Insufficient,
            false => Status::all(pairs.iter().map(|pair| pair.status(factors, rule.zero_base))),
        };
        let mut draft = describe(scene, &pairs, status, percent, &from);
        draft.required = show_number(scene, "more_than_percent", &rule.more_than_percent, percent);
        draft.required["from"] = json!(from);
        draft.required["to"] = json!(scene.run.period);
        draft.required["scope"] = json!(if each { "each" } else { "sum" });
        if mismatch {
            draft.because(Reason::StandardMismatch);
        } else {
            let open = draft.missing.first().map(|missing| missing.reason);
            draft.because(open.unwrap_or(Reason::MissingValue));
            draft.gap = distance(&pairs, factors, status, rule.zero_base);
        }
        Some(draft)
    })
}

fn pairs<'a>(scene: &Scene<'a>, rule: &Reduction, from: &str, each: bool) -> Vec<Pair<'a>> {
    let to = &scene.run.period;
    let at = |indicators: &[String], period: &str| -> Vec<FigureSeen<'a>> {
        let figure = |name: &String| FigureSeen::of(scene, name, period);
        indicators.iter().map(figure).collect()
    };
    let size = if each { 1 } else { rule.indicators.len().max(1) };
    rule.indicators
        .chunks(size)
        .map(|indicators| Pair { base: at(indicators, from), current: at(indicators, to) })
        .collect()
}

/// Figures counted under different standards are never compared; a standard that is not stated is not the same as one
/// that is.
fn mismatched(pairs: &[Pair<'_>]) -> bool {
    let mut standards = pairs
        .iter()
        .flat_map(Pair::figures)
        .filter(|figure| figure.value.is_ok())
        .filter_map(|figure| figure.figure)
        .map(|figure| figure.poverty_standard.as_deref());
    let first = standards.next();
    first.is_some_and(|first| standards.any(|other| other != first))
}

fn describe(scene: &Scene<'_>, pairs: &[Pair<'_>], status: Status, percent: Decimal, from: &str) -> Draft {
    let total = |side: fn(&'_ Pair<'_>) -> Interval| {
        let known = pairs.iter().map(side).fold(Interval::known(0), Interval::plus);
        known.value()
    };
    let base = total(|pair| Pair::sum(&pair.base));
    let current = total(|pair| Pair::sum(&pair.current));
    let fall = match (base, current) {
        (Some(base), Some(current)) if base > 0 => Some(one_digit(base, current)),
        _ => None,
    };
    let unit = pairs.first().and_then(|pair| pair.base.first()).map_or("", |figure| figure.unit);
    let unit = scene.run.words().unit(unit);
    let mut draft = Draft::new(
        status,
        Seen::Reduction {
            from: from.to_owned(),
            to: scene.run.period.clone(),
            base,
            current,
            percent: fall.clone(),
            more_than: percent,
            unit,
        },
    );
    draft.computed = json!({
        "baseline": base.and_then(shown),
        "current": current.and_then(shown),
        "reduction_percent": fall,
    });
    draft.evidence = pairs.iter().flat_map(Pair::figures).filter_map(FigureSeen::row).collect();
    draft.evidence.sort_by(|a, b| (&a.name, &a.period).cmp(&(&b.name, &b.period)));
    draft.missing = pairs.iter().flat_map(Pair::figures).filter_map(FigureSeen::missing).collect();
    draft
}

/// The fall in per cent, rounded half up to one digit; only shown, never compared.
fn one_digit(base: i128, current: i128) -> String {
    let tenths = (2 * 1000 * (base - current) + base).div_euclid(2 * base);
    let sign = if tenths < 0 { "-" } else { "" };
    let (whole, digit) = (tenths.abs() / 10, tenths.abs() % 10);
    match digit {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{digit}"),
    }
}

/// How many too many, or the bound that the one missing figure must keep.
fn distance(pairs: &[Pair<'_>], factors: Factors, status: Status, zero_base: Status) -> Option<Gap> {
    match status {
        Status::Met | Status::NotApplicable => None,
        Status::NotMet => too_many(pairs, factors, zero_base),
        Status::Insufficient => residual(pairs, factors, zero_base),
    }
}

fn too_many(pairs: &[Pair<'_>], factors: Factors, zero_base: Status) -> Option<Gap> {
    let mut amount = 0;
    let mut of = None;
    for pair in pairs {
        if pair.status(factors, zero_base) != Status::NotMet {
            continue;
        }
        // Where the end is known only from below, this many are too many in any case.
        let base = Pair::sum(&pair.base).value().filter(|base| *base > 0)?;
        amount += Pair::sum(&pair.current).low? - factors.most(base);
        of = pair.current.first();
    }
    let words = Distance::Fewer { amount, unit: of?.unit_words.clone() };
    Some(counted(amount, of?.unit, words))
}

fn residual(pairs: &[Pair<'_>], factors: Factors, zero_base: Status) -> Option<Gap> {
    let mut open = pairs.iter().filter(|pair| pair.status(factors, zero_base) == Status::Insufficient);
    let pair = open.next()?;
    let mut missing = pair.figures().filter(|figure| figure.value.is_err());
    let figure = missing.next()?;
    if open.next().is_some() || missing.next().is_some() {
        return None;
    }
    let known = |figures: &[FigureSeen<'_>]| -> i128 {
        let values = figures.iter().filter_map(|figure| figure.value.ok());
        values.map(i128::from).sum()
    };
    let (base, current) = (known(&pair.base), known(&pair.current));
    let (name, period) = (figure.name.clone(), figure.period.clone());
    let at_end = pair.current.iter().any(|figure| figure.value.is_err());
    let mut found = if at_end {
        let value = factors.most(base) - current;
        let words = Distance::AtMost { name, period, value };
        Gap { need_max: shown(value), ..gap(&words) }
    } else {
        let value = factors.least_base(current)? - base;
        let words = Distance::AtLeast { name, period, value };
        Gap { need_min: shown(value), ..gap(&words) }
    };
    found.figure = Some(figure.indicator.clone());
    found.period = Some(figure.period.clone());
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fall_shown_is_rounded_half_up_to_one_digit() {
        for (base, current, shown) in
            [(60, 29, "51.7"), (60, 30, "50"), (3, 2, "33.3"), (3, 1, "66.7"), (10, 12, "-20"), (2000, 1999, "0.1")]
        {
            assert_eq!(one_digit(base, current), shown);
        }
    }

    #[test]
    fn exactly_the_percentage_does_not_pass() {
        let half = Factors::of(Decimal::parse("50").unwrap());
        assert!(half.passes(60, 29) && !half.passes(60, 30));
        assert_eq!((half.most(60), half.most(61)), (29, 30));
        let third = Factors::of(Decimal::parse("33.3").unwrap());
        assert!(third.passes(1000, 666) && !third.passes(1000, 667));
        assert_eq!(half.least_base(29), Some(59));
    }
}
