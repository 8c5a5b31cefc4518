//! Values in the form in which the known texts hold them.

use serde_json::{Number, Value};

/// Longest part of a value that a text holds, in characters: a schema may be megabytes.
const MAX_VALUE: usize = 120;

/// A text in quotation marks, quotation marks in it escaped.
pub(super) fn quoted(text: &str) -> String {
    short(&format!("{text:?}"))
}

/// A JSON value in quotation marks.
pub(super) fn quoted_json(value: &Value) -> String {
    quoted(&value.to_string())
}

/// Texts in brackets, with blanks between them.
pub(super) fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<T> = items.into_iter().collect();
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    short(&format!("[{}]", items.join(" ")))
}

/// A number; a whole one without a fraction.
pub(super) fn number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if !number.is_i64() && !number.is_u64() => float.to_string(),
        _ => number.to_string(),
    }
}

/// A value of a field that no check knows, as far as it says something.
pub(super) fn value(value: Option<&Value>) -> String {
    match value {
        None => "<empty>".to_owned(),
        Some(Value::Object(_)) => "<complex value>".to_owned(),
        Some(Value::Array(items)) if items.iter().any(Value::is_object) => {
            "<complex value>".to_owned()
        }
        Some(value) => short(&value.to_string()),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
