//! Writing YAML.
//!
//! The YAML library writes text such as `yes` without quotes, which YAML 1.1 readers take for a
//! boolean; so text is written here.

use serde::Serialize;
use serde_json::Value;

use crate::YamlError;
use crate::scalar::resolve_plain;

/// Writes a value as one YAML document with sorted keys, ending in a line feed and without a
/// `---` line. Text is quoted unless every YAML reader, 1.1 or 1.2, takes it for text.
///
/// # Errors
/// [`YamlError::Encode`] for values that JSON cannot express, such as maps with keys that are
/// neither text nor numbers.
pub fn to_string<T: Serialize>(value: &T) -> Result<String, YamlError> {
    let value = serde_json::to_value(value).map_err(|source| YamlError::Encode { source })?;
    let mut out = String::new();
    write(&mut out, &value, 0, false);
    if out.starts_with('\n') {
        out.remove(0);
    }
    Ok(out)
}

/// Writes a value after `key:` or `-`, up to and including its line end. In a sequence the first
/// line of a nested collection stands on the line of the dash.
fn write(out: &mut String, value: &Value, indent: usize, after_dash: bool) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                line(out, indent, after_dash && at == 0);
                out.push('-');
                write(out, item, indent + 1, true);
            }
        }
        Value::Object(map) if !map.is_empty() => {
            for (at, (key, value)) in map.iter().enumerate() {
                line(out, indent, after_dash && at == 0);
                text(out, key, None);
                out.push(':');
                // A sequence stands at the level of its key, as the Go writers do it.
                let deeper = if value.is_array() { indent } else { indent + 1 };
                write(out, value, deeper, false);
            }
        }
        scalar => {
            if out.ends_with([':', '-']) {
                out.push(' ');
            }
            match scalar {
                Value::String(string) => text(out, string, Some(indent)),
                other => out.push_str(&other.to_string()),
            }
            if !out.ends_with('\n') {
                out.push('\n');
            }
        }
    }
}

fn line(out: &mut String, indent: usize, after_dash: bool) {
    if after_dash {
        out.push(' ');
        return;
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out.extend(std::iter::repeat_n("  ", indent));
}

/// Writes text plain, as a literal block where `block` gives its indent, or quoted.
fn text(out: &mut String, value: &str, block: Option<usize>) {
    if is_plain(value) {
        out.push_str(value);
    } else if let (Some(indent), true) = (block, is_block(value)) {
        let lines = value.strip_suffix('\n');
        out.push_str(if lines.is_some() { "|" } else { "|-" });
        for line in lines.unwrap_or(value).split('\n') {
            out.push('\n');
            if !line.is_empty() {
                out.extend(std::iter::repeat_n("  ", indent.max(1)));
                out.push_str(line);
            }
        }
        out.push('\n');
    } else {
        quoted(out, value);
    }
}

/// Text that is text without quotes: words of plain characters that no reader takes for something
/// else. Everything that starts like a number or date is quoted.
fn is_plain(value: &str) -> bool {
    let word =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ' | ',');
    value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/')
        && !value.ends_with(' ')
        && value
            .chars()
            .all(|c| word(c) || matches!(c, '(' | ')' | '=' | '+' | '@'))
        && resolve_plain(value).is_none()
        && !matches!(
            value.to_ascii_lowercase().as_str(),
            "null" | "true" | "false"
        )
}

/// Text of several lines that a literal block holds without loss.
fn is_block(value: &str) -> bool {
    value.contains('\n')
        && !value.starts_with([' ', '\n', '\t'])
        && !value.ends_with("\n\n")
        && value.len() > 1
        && value.chars().all(|c| {
            matches!(c, '\n' | ' '..='~' | '\u{a1}'..='\u{d7ff}')
                && !matches!(c, '\u{2028}' | '\u{2029}')
        })
        && value.split('\n').all(|line| !line.ends_with(' '))
}

fn quoted(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            ' '..='~'
            | '\u{a1}'..='\u{2027}'
            | '\u{202a}'..='\u{d7ff}'
            | '\u{e000}'..='\u{fefe}' => {
                out.push(c);
            }
            c if u32::from(c) > 0xffff => out.extend(["\\U", &format!("{:08x}", u32::from(c))]),
            c => out.extend(["\\u", &format!("{:04x}", u32::from(c))]),
        }
    }
    out.push('"');
}
