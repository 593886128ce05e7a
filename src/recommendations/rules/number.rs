//! Exact numbers: decimals as scaled integers, intervals that may be open on either side, and the values of data.
//!
//! Never here: floats, or a rounding that a decision could see.

use std::fmt;

use serde::{Deserialize, Serialize};

/// More digits than this after the point are refused, so that products fit 128 bits whatever the figures are.
const MAX_SCALE: usize = 6;

/// A decimal number: `mantissa / 10^scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// All digits, without the point.
    pub mantissa: i64,
    /// How many of them stand after the point.
    pub scale: u32,
}

impl Decimal {
    /// Reads `-?digits(.digits)?`; anything else, or more than the engine can carry exactly, is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole.strip_prefix('-').unwrap_or(whole)) || fraction.len() > MAX_SCALE {
            return None;
        }
        if text.contains('.') && !digits(fraction) {
            return None;
        }
        let mantissa = format!("{whole}{fraction}").parse().ok()?;
        let scale = u32::try_from(fraction.len()).expect("a scale is at most 6");
        Some(Self { mantissa, scale })
    }

    /// The whole number, if it is one.
    pub fn whole(self) -> Option<i64> {
        let unit = self.unit();
        let mantissa = i128::from(self.mantissa);
        (mantissa % unit == 0).then(|| i64::try_from(mantissa / unit).expect("dividing a mantissa keeps it in range"))
    }

    /// `10^scale`.
    pub fn unit(self) -> i128 {
        10_i128.pow(self.scale)
    }
}

impl From<i64> for Decimal {
    fn from(mantissa: i64) -> Self {
        Self { mantissa, scale: 0 }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.mantissa);
        }
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = i128::from(self.mantissa).abs();
        let (whole, fraction) = (digits / self.unit(), digits % self.unit());
        let width = usize::try_from(self.scale).expect("a scale is at most 6");
        write!(f, "{sign}{whole}.{fraction:0width$}")
    }
}

/// What a figure can still turn out to be; `None` is open on that side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Smallest value still possible.
    pub low: Option<i128>,
    /// Largest value still possible.
    pub high: Option<i128>,
}

impl Interval {
    /// A known value.
    pub fn known(value: i64) -> Self {
        let value = Some(i128::from(value));
        Self { low: value, high: value }
    }

    /// Nothing is known but a lower bound.
    pub fn at_least(low: Option<i64>) -> Self {
        Self { low: low.map(i128::from), high: None }
    }

    /// The sum of two independent figures.
    pub fn plus(self, other: Self) -> Self {
        let add = |a: Option<i128>, b: Option<i128>| Some(a? + b?);
        Self { low: add(self.low, other.low), high: add(self.high, other.high) }
    }

    /// The value, when only one is possible.
    pub fn value(self) -> Option<i128> {
        if self.low == self.high { self.low } else { None }
    }
}

/// A value of an attribute or of a record's field. `Null` says "known to have none".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// Known to have none, for example an obligation not fulfilled.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A word, or a civil date written `2025-12-31`.
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_or_not_at_all() {
        for (text, mantissa, scale) in [("50", 50, 0), ("-3", -3, 0), ("12.50", 1250, 2), ("-0.5", -5, 1)] {
            let decimal = Decimal::parse(text).unwrap();
            assert_eq!((decimal.mantissa, decimal.scale), (mantissa, scale));
            assert_eq!(decimal.to_string(), text);
        }
        for text in ["", "-", "1.", ".5", "1e3", "1,5", "--1", "+1", "0.1234567"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        assert_eq!(Decimal::parse("12.00").unwrap().whole(), Some(12));
        assert_eq!(Decimal::parse("12.01").unwrap().whole(), None);
    }
}
