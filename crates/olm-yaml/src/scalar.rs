//! What a plain scalar means in YAML 1.1 where YAML 1.2 reads text.

use serde_json::{Number, Value};

/// The value of plain text in YAML 1.1 as Go reads it, where it is not the text itself.
pub(crate) fn resolve_plain(text: &str) -> Option<Value> {
    if let Some(boolean) = boolean(text) {
        return Some(Value::Bool(boolean));
    }
    number(text)
}

/// The booleans that YAML 1.2 dropped.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// Numbers with a leading zero (octal where the digits allow it, else a float) and numbers with
/// underscores between their digits.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit())
        || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'_')
    {
        return None;
    }
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    let negative = text.starts_with('-');
    let octal = digits.len() > 1
        && digits.starts_with('0')
        && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let integer = if octal {
        u64::from_str_radix(&digits, 8).ok()
    } else if digits.len() > 1 && digits.starts_with('0') {
        None
    } else {
        digits.parse().ok()
    };
    if let Some(integer) = integer {
        if !negative {
            return Some(Value::from(integer));
        }
        if let Some(value) = 0i64.checked_sub_unsigned(integer) {
            return Some(Value::from(value));
        }
    }
    let float: f64 = digits.parse().ok()?;
    Some(from_float(if negative { -float } else { float }))
}

/// A float as JSON written by Go: integral values up to 2^53 have no fraction; what JSON cannot
/// hold is null.
pub(crate) fn from_float(float: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if float.fract() == 0.0 && float.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "integral and within 2^53")]
        return Value::from(float as i64);
    }
    Number::from_f64(float).map_or(Value::Null, Value::Number)
}
