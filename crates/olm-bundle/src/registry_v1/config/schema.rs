//! Checking a value by the schemas that the Kubernetes types declare.
//!
//! Types and required fields are checked, as the configuration schema upstream does; further
//! fields inside Kubernetes types are not an error.

use schemars::SchemaGenerator;
use serde_json::{Map, Value};

/// Name of the schema of quantities among the definitions.
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
/// Where a schema refers to a definition.
const DEFINITIONS: &str = "#/$defs/";

/// The text for a field that must be there.
pub(super) fn missing(field: &str) -> String {
    format!("required field {field:?} is missing")
}

/// The text for a field that does not exist.
pub(super) fn unknown(field: &str) -> String {
    format!("unknown field {field:?}")
}

/// The text for a value of another type; a null is taken for a value that is missing.
pub(super) fn wrong_type(path: &[&str], found: &Value, want: &str) -> String {
    let path = path.join(".");
    if found.is_null() {
        missing(&path)
    } else {
        format!(
            "invalid type for field {path:?}: got {}, want {want}",
            kind(found)
        )
    }
}

/// The type of a value as JSON Schema names it.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A check of one value against schemas that share their definitions.
#[derive(Debug)]
pub(super) struct Checker {
    definitions: Map<String, Value>,
    /// What does not fit, in the order of the fields.
    pub(super) problems: Vec<String>,
    /// Whether a quantity is none, which the schemas do not say.
    pub(super) has_bad_quantity: bool,
}

impl Checker {
    pub(super) fn new(mut generator: SchemaGenerator) -> Self {
        Self {
            definitions: generator.take_definitions(true),
            problems: Vec::new(),
            has_bad_quantity: false,
        }
    }

    /// Checks `value`, which stands at `path`. The recursion follows the value, whose depth its
    /// reader has bounded.
    pub(super) fn check(&mut self, schema: &Value, value: &Value, path: &mut Vec<String>) {
        if let Some(name) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|target| target.strip_prefix(DEFINITIONS))
        {
            if name == QUANTITY && value.as_str().is_some_and(|text| !is_quantity(text)) {
                self.has_bad_quantity = true;
            }
            // Taken out for as long as the value below is walked: the definitions are borrowed.
            if let Some(definition) = self.definitions.get(name).cloned() {
                self.check(&definition, value, path);
            }
            return;
        }
        if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
            if !value.is_string() && !value.is_number() {
                self.wrong_type(path, value, "string or number");
            }
            return;
        }
        let want = schema.get("type").and_then(Value::as_str);
        if let Some(want) = want
            && !is_of(value, want)
        {
            self.wrong_type(path, value, want);
            return;
        }
        match value {
            Value::Object(members) => self.check_members(schema, members, path),
            Value::Array(items) => {
                if let Some(schema) = schema.get("items") {
                    for (index, item) in items.iter().enumerate() {
                        path.push(index.to_string());
                        self.check(schema, item, path);
                        path.pop();
                    }
                }
            }
            _ => {}
        }
    }

    fn check_members(
        &mut self,
        schema: &Value,
        members: &Map<String, Value>,
        path: &mut Vec<String>,
    ) {
        let required = schema.get("required").and_then(Value::as_array);
        for field in required.into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(field) {
                self.problems.push(missing(field));
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        for (key, value) in members {
            let below = properties
                .and_then(|properties| properties.get(key))
                .or_else(|| others.filter(|others| others.is_object()));
            match below {
                Some(below) => {
                    path.push(key.clone());
                    self.check(below, value, path);
                    path.pop();
                }
                None if others == Some(&Value::Bool(false)) => self.problems.push(unknown(key)),
                None => {}
            }
        }
    }

    fn wrong_type(&mut self, path: &[String], found: &Value, want: &str) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        self.problems.push(wrong_type(&path, found, want));
    }
}

fn is_of(value: &Value, want: &str) -> bool {
    match value {
        Value::Number(number) => {
            want == "number"
                || want == "integer"
                    && (number.is_i64()
                        || number.is_u64()
                        || number.as_f64().is_some_and(|float| float.fract() == 0.0))
        }
        other => kind(other) == want,
    }
}

/// Whether a text is a quantity: a signed decimal number and a suffix of powers of ten or two, or
/// an exponent.
fn is_quantity(text: &str) -> bool {
    const SUFFIXES: &[&str] = &[
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    let unsigned = |text: &str| -> usize {
        text.bytes()
            .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
            .count()
    };
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (number, suffix) = text.split_at(unsigned(text));
    let is_number = number.bytes().any(|byte| byte.is_ascii_digit())
        && number.bytes().filter(|byte| *byte == b'.').count() <= 1;
    let is_exponent = || {
        suffix.strip_prefix(['e', 'E']).is_some_and(|digits| {
            let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    is_number && (SUFFIXES.contains(&suffix) || is_exponent())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1", true)]
    #[case("-1.5Gi", true)]
    #[case(".5", true)]
    #[case("5.", true)]
    #[case("100m", true)]
    #[case("1e3", true)]
    #[case("1E-3", true)]
    #[case("1E", true)]
    #[case("", false)]
    #[case(".", false)]
    #[case("1.2.3", false)]
    #[case("1 Gi", false)]
    #[case("1gi", false)]
    #[case("lots", false)]
    #[case("1e", false)]
    fn knows_a_quantity(#[case] text: &str, #[case] is_one: bool) {
        assert_eq!(is_quantity(text), is_one);
    }
}
