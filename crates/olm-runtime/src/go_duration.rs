//! Durations as Go reads and prints them (`time.ParseDuration`, `Duration.String`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The largest duration that Go can hold, in nanoseconds (about 292 years).
const MAX_NANOSECONDS: u128 = i64::MAX as u128;

/// A duration of zero or more, written `1h30m`, `250ms`, `1.5s` or `0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GoDuration(Duration);

/// Why a text is no [`GoDuration`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// Not a sequence of numbers with units.
    #[error("`{text}` is not a duration such as `1h30m`, `15s` or `250ms`")]
    Syntax {
        /// The text as given.
        text: String,
    },
    /// A number has no unit.
    #[error("a number in the duration `{text}` has no unit")]
    MissingUnit {
        /// The text as given.
        text: String,
    },
    /// Below zero.
    #[error("the duration `{text}` is negative")]
    Negative {
        /// The text as given.
        text: String,
    },
    /// More than about 292 years.
    #[error("the duration `{text}` is too long")]
    TooLong {
        /// The text as given.
        text: String,
    },
}

impl GoDuration {
    /// Whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The value for the standard library.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for GoDuration {
    fn from(value: Duration) -> Self {
        Self(value)
    }
}

impl From<GoDuration> for Duration {
    fn from(value: GoDuration) -> Self {
        value.0
    }
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given = || text.chars().take(64).collect::<String>();
        let syntax = || DurationError::Syntax { text: given() };
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if unsigned == "0" {
            return Ok(Self::default());
        }
        if unsigned.is_empty() {
            return Err(syntax());
        }
        let mut rest = unsigned;
        let mut total: u128 = 0;
        while !rest.is_empty() {
            let (whole, after) = split_digits(rest);
            let (fraction, after) = match after.strip_prefix('.') {
                Some(after) => split_digits(after),
                None => ("", after),
            };
            if whole.is_empty() && fraction.is_empty() {
                return Err(syntax());
            }
            let end = after
                .find(|c: char| c == '.' || c.is_ascii_digit())
                .unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            let unit: u128 = match unit {
                "ns" => 1,
                "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                "" => return Err(DurationError::MissingUnit { text: given() }),
                _ => return Err(syntax()),
            };
            let too_long = || DurationError::TooLong { text: given() };
            let whole: u128 = match whole {
                "" => 0,
                digits => digits.parse().map_err(|_overflow| too_long())?,
            };
            total = whole
                .checked_mul(unit)
                .and_then(|whole| total.checked_add(whole))
                .and_then(|total| total.checked_add(fraction_of(fraction, unit)))
                .filter(|total| *total <= MAX_NANOSECONDS)
                .ok_or_else(too_long)?;
            rest = after;
        }
        if negative && total > 0 {
            return Err(DurationError::Negative { text: given() });
        }
        let nanoseconds = u64::try_from(total).unwrap_or(u64::MAX);
        Ok(Self(Duration::from_nanos(nanoseconds)))
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

/// Nanoseconds of a decimal fraction; digits below a nanosecond fall away.
fn fraction_of(digits: &str, unit: u128) -> u128 {
    let mut value = 0_u128;
    let mut places = 1_u128;
    for digit in digits.bytes().take(18) {
        value = value * 10 + u128::from(digit - b'0');
        places *= 10;
    }
    value * unit / places
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.as_nanos();
        if nanoseconds == 0 {
            return f.write_str("0s");
        }
        if nanoseconds < 1_000 {
            return write!(f, "{nanoseconds}ns");
        }
        if nanoseconds < 1_000_000 {
            return write!(f, "{}\u{b5}s", decimal(nanoseconds, 1_000));
        }
        if nanoseconds < 1_000_000_000 {
            return write!(f, "{}ms", decimal(nanoseconds, 1_000_000));
        }
        let (hours, rest) = (
            nanoseconds / 3_600_000_000_000,
            nanoseconds % 3_600_000_000_000,
        );
        let (minutes, rest) = (rest / 60_000_000_000, rest % 60_000_000_000);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", decimal(rest, 1_000_000_000))
    }
}

/// `value / unit` in decimals without trailing zeros; `unit` is a power of ten.
fn decimal(value: u128, unit: u128) -> String {
    let (whole, fraction) = (value / unit, value % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let places = unit.ilog10() as usize;
    format!("{whole}.{fraction:0places$}")
        .trim_end_matches('0')
        .to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0", "0s")]
    #[case("15s", "15s")]
    #[case("90s", "1m30s")]
    #[case("1m30s", "1m30s")]
    #[case("24h", "24h0m0s")]
    #[case("1.5h", "1h30m0s")]
    #[case("1.5s", "1.5s")]
    #[case(".5s", "500ms")]
    #[case("1.s", "1s")]
    #[case("250ms", "250ms")]
    #[case("1500us", "1.5ms")]
    #[case("3\u{b5}s", "3\u{b5}s")]
    #[case("7ns", "7ns")]
    #[case("+2m", "2m0s")]
    #[case("1h0.000000001s", "1h0m0.000000001s")]
    #[case("0.3333333333333333333h", "19m59.999999999s")]
    fn prints_what_go_prints(#[case] text: &str, #[case] printed: &str) {
        assert_eq!(text.parse::<GoDuration>().unwrap().to_string(), printed);
    }

    #[rstest]
    #[case("")]
    #[case("s")]
    #[case("3")]
    #[case("1d")]
    #[case("1 s")]
    #[case("-5s")]
    #[case("1s-1s")]
    #[case(".s")]
    #[case("9999999999h")]
    #[case("99999999999999999999999999999999999999999999s")]
    fn refuses_what_is_no_duration(#[case] text: &str) {
        assert!(text.parse::<GoDuration>().is_err());
    }

    #[rstest]
    #[case(0)]
    #[case(999)]
    #[case(1_000)]
    #[case(86_399_999_999_999)]
    #[case(3_600_000_000_000)]
    fn reads_back_what_it_printed(#[case] nanoseconds: u64) {
        let duration = GoDuration::from(Duration::from_nanos(nanoseconds));
        assert_eq!(
            duration.to_string().parse::<GoDuration>().unwrap(),
            duration
        );
    }
}
