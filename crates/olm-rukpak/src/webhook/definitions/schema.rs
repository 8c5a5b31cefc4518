//! Custom resources held against the schema of a definition, with the words of the API server.
//!
//! The API server's own rules for schemas of definitions apply (Kubernetes documentation, "Specifying
//! a structural schema"): `nullable`, `x-kubernetes-int-or-string`, and defaults, which are filled in
//! where objects are read. Rules in CEL and formats are not judged, nor are patterns that this
//! program cannot read.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

/// Most problems of one object that are named.
const MAX_ERRORS: usize = 10;

/// Longest value in a text, in characters.
const MAX_VALUE: usize = 100;

/// Most memory for one pattern, and most patterns that are kept.
const MAX_PATTERN: usize = 1 << 20;
const MAX_PATTERNS: usize = 256;

/// Schemas by the version that they are of.
#[derive(Debug)]
pub(super) struct Schemas {
    schemas: Vec<(String, Value)>,
    patterns: Mutex<HashMap<String, Option<Regex>>>,
}

impl Schemas {
    pub(super) fn new(schemas: Vec<(String, Value)>) -> Self {
        Self {
            schemas,
            patterns: Mutex::default(),
        }
    }

    /// The first schema that `object` does not satisfy, and why not.
    pub(super) fn violated_by(&self, object: &Value) -> Option<(String, Vec<String>)> {
        self.schemas.iter().find_map(|(version, schema)| {
            let mut check = Check {
                schemas: self,
                errors: Vec::new(),
            };
            check.value(schema, object, "");
            (!check.errors.is_empty()).then(|| (version.clone(), check.errors))
        })
    }

    fn matches(&self, pattern: &str, text: &str) -> bool {
        let mut known = self.patterns.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_PATTERNS && !known.contains_key(pattern) {
            known.clear();
        }
        let compiled = known.entry(pattern.to_owned()).or_insert_with(|| {
            let mut builder = RegexBuilder::new(pattern);
            builder.size_limit(MAX_PATTERN).build().ok()
        });
        compiled
            .as_ref()
            .is_none_or(|compiled| compiled.is_match(text))
    }
}

struct Check<'a> {
    schemas: &'a Schemas,
    errors: Vec<String>,
}

impl Check<'_> {
    fn says(&mut self, path: &str, text: &str) {
        if self.errors.len() < MAX_ERRORS {
            let dot = if path.is_empty() || path.starts_with('[') {
                ""
            } else {
                "."
            };
            self.errors.push(format!("[]{dot}{path}: {text}"));
        }
    }

    fn invalid(&mut self, path: &str, value: &Value, text: &str) {
        let value = short(value);
        self.says(
            path,
            &format!("Invalid value: {value}: {path} in body {text}"),
        );
    }

    /// The recursion is bounded by the depth to which the decoder of the object went.
    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(schema) = schema.as_object() else {
            return;
        };
        if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
            return;
        }
        if !self.has_type(schema, value, path) {
            return;
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
            && !allowed.contains(value)
        {
            let allowed: Vec<String> = allowed.iter().map(short).collect();
            let (value, allowed) = (short(value), allowed.join(", "));
            self.says(
                path,
                &format!("Unsupported value: {value}: supported values: {allowed}"),
            );
        }
        match value {
            Value::Number(number) => self.number(schema, value, number.as_f64(), path),
            Value::String(text) => self.text(schema, value, text, path),
            Value::Array(items) => self.items(schema, value, items, path),
            Value::Object(members) => self.members(schema, value, members, path),
            Value::Null | Value::Bool(_) => {}
        }
        self.junctors(schema, value, path);
    }

    fn has_type(&mut self, schema: &Map<String, Value>, value: &Value, path: &str) -> bool {
        let actual = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if is_whole(number) => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let either = schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
        let wanted = schema
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let fits = match wanted {
            _ if either => matches!(actual, "integer" | "string"),
            "" => true,
            "number" => matches!(actual, "number" | "integer"),
            wanted => wanted == actual,
        };
        if !fits {
            let wanted = if either { "integer,string" } else { wanted };
            self.says(
                path,
                &format!("Invalid value: \"{actual}\": {path} in body must be of type {wanted}: \"{actual}\""),
            );
        }
        fits
    }

    fn number(
        &mut self,
        schema: &Map<String, Value>,
        value: &Value,
        number: Option<f64>,
        path: &str,
    ) {
        let bound = |name: &str| schema.get(name).filter(|bound| bound.is_number());
        let Some(number) = number else { return };
        let is_set = |name: &str| schema.get(name) == Some(&Value::Bool(true));
        if let Some((bound, limit)) = bound("maximum").and_then(|b| Some((b, b.as_f64()?))) {
            if is_set("exclusiveMaximum") && number >= limit {
                self.invalid(path, value, &format!("should be less than {bound}"));
            } else if number > limit {
                self.invalid(
                    path,
                    value,
                    &format!("should be less than or equal to {bound}"),
                );
            }
        }
        if let Some((bound, limit)) = bound("minimum").and_then(|b| Some((b, b.as_f64()?))) {
            if is_set("exclusiveMinimum") && number <= limit {
                self.invalid(path, value, &format!("should be greater than {bound}"));
            } else if number < limit {
                self.invalid(
                    path,
                    value,
                    &format!("should be greater than or equal to {bound}"),
                );
            }
        }
        if let Some((bound, step)) = bound("multipleOf").and_then(|b| Some((b, b.as_f64()?)))
            && step > 0.0
        {
            let times = number / step;
            if (times - times.round()).abs() > 1e-9 * times.abs().max(1.0) {
                self.invalid(path, value, &format!("should be a multiple of {bound}"));
            }
        }
    }

    fn text(&mut self, schema: &Map<String, Value>, value: &Value, text: &str, path: &str) {
        let length = || u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        if let Some(most) = limit(schema, "maxLength")
            && length() > most
        {
            self.says(
                path,
                &format!("Too long: may not be more than {most} bytes"),
            );
        }
        if let Some(least) = limit(schema, "minLength")
            && length() < least
        {
            self.invalid(
                path,
                value,
                &format!("should be at least {least} chars long"),
            );
        }
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && !self.schemas.matches(pattern, text)
        {
            self.invalid(path, value, &format!("should match '{pattern}'"));
        }
    }

    fn items(&mut self, schema: &Map<String, Value>, value: &Value, items: &[Value], path: &str) {
        self.count(
            schema,
            value,
            items.len(),
            ("maxItems", "minItems", "items"),
            path,
        );
        if let Some(each) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                self.value(each, item, &format!("{path}[{index}]"));
            }
        }
    }

    fn members(
        &mut self,
        schema: &Map<String, Value>,
        value: &Value,
        members: &Map<String, Value>,
        path: &str,
    ) {
        let names = ("maxProperties", "minProperties", "properties");
        self.count(schema, value, members.len(), names, path);
        let below = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        let fields = schema.get("properties").and_then(Value::as_object);
        let field = |name: &str| fields.and_then(|fields| fields.get(name));
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            // What is missing is filled in when it is read.
            let has_default = field(name).is_some_and(has_default);
            if !members.contains_key(name) && !has_default {
                self.says(&below(name), "Required value");
            }
        }
        let others = schema.get("additionalProperties");
        for (name, value) in members {
            match (field(name), others) {
                // Null where it is not allowed gives way to the default.
                (Some(schema), _) if value.is_null() && has_default(schema) => {}
                (Some(schema), _) | (None, Some(schema)) => {
                    self.value(schema, value, &below(name));
                }
                (None, None) => {}
            }
        }
    }

    fn count(
        &mut self,
        schema: &Map<String, Value>,
        value: &Value,
        count: usize,
        (most, least, what): (&str, &str, &str),
        path: &str,
    ) {
        let size = u64::try_from(count).unwrap_or(u64::MAX);
        if let Some(most) = limit(schema, most)
            && size > most
        {
            self.says(
                path,
                &format!("Too many: {count}: must have at most {most} items"),
            );
        }
        if let Some(least) = limit(schema, least)
            && size < least
        {
            self.invalid(path, value, &format!("should have at least {least} {what}"));
        }
    }

    fn junctors(&mut self, schema: &Map<String, Value>, value: &Value, path: &str) {
        let branches = |name: &str| schema.get(name).and_then(Value::as_array);
        for branch in branches("allOf").into_iter().flatten() {
            self.value(branch, value, path);
        }
        let satisfied = |branches: &[Value]| {
            let branches = branches.iter();
            branches
                .filter(|branch| self.satisfies(branch, value))
                .count()
        };
        let any = branches("anyOf").map(|branches| satisfied(branches));
        let one = branches("oneOf").map(|branches| satisfied(branches));
        let not = schema
            .get("not")
            .is_some_and(|not| self.satisfies(not, value));
        if any == Some(0) {
            self.invalid(path, value, "must validate at least one schema (anyOf)");
        }
        match one {
            None | Some(1) => {}
            Some(0) => self.invalid(
                path,
                value,
                "must validate one and only one schema (oneOf). Found none valid",
            ),
            Some(count) => self.invalid(
                path,
                value,
                &format!("must validate one and only one schema (oneOf). Found {count} valid alternatives"),
            ),
        }
        if not {
            self.invalid(path, value, "must not validate the schema (not)");
        }
    }

    fn satisfies(&self, schema: &Value, value: &Value) -> bool {
        let mut check = Check {
            schemas: self.schemas,
            errors: Vec::new(),
        };
        check.value(schema, value, "");
        check.errors.is_empty()
    }
}

fn limit(schema: &Map<String, Value>, name: &str) -> Option<u64> {
    schema.get(name).and_then(Value::as_u64)
}

fn has_default(schema: &Value) -> bool {
    schema
        .get("default")
        .is_some_and(|default| !default.is_null())
}

fn is_whole(number: &serde_json::Number) -> bool {
    number.as_f64().is_none_or(|number| number.fract() == 0.0)
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn errors(schema: Value, object: &Value) -> Vec<String> {
        let schemas = Schemas::new(vec![("v1".to_owned(), schema)]);
        schemas
            .violated_by(object)
            .map(|(_, errors)| errors)
            .unwrap_or_default()
    }

    fn with(schema: &Value) -> Value {
        json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"x": schema}}}})
    }

    #[rstest]
    #[case::type_(json!({"type": "integer"}), json!("a"), r#"Invalid value: "string": spec.x in body must be of type integer: "string""#)]
    #[case::null(json!({"type": "string"}), json!(null), r#"Invalid value: "null": spec.x in body must be of type string: "null""#)]
    #[case::either(json!({"x-kubernetes-int-or-string": true}), json!(true), r#"Invalid value: "boolean": spec.x in body must be of type integer,string: "boolean""#)]
    #[case::enum_(json!({"enum": ["a", "b"]}), json!("c"), r#"Unsupported value: "c": supported values: "a", "b""#)]
    #[case::maximum(json!({"maximum": 5}), json!(6), "Invalid value: 6: spec.x in body should be less than or equal to 5")]
    #[case::below(json!({"maximum": 5, "exclusiveMaximum": true}), json!(5), "Invalid value: 5: spec.x in body should be less than 5")]
    #[case::minimum(json!({"minimum": 5}), json!(4), "Invalid value: 4: spec.x in body should be greater than or equal to 5")]
    #[case::multiple(json!({"multipleOf": 0.1}), json!(0.25), "Invalid value: 0.25: spec.x in body should be a multiple of 0.1")]
    #[case::long(json!({"maxLength": 1}), json!("ab"), "Too long: may not be more than 1 bytes")]
    #[case::short(json!({"minLength": 2}), json!("ä"), r#"Invalid value: "ä": spec.x in body should be at least 2 chars long"#)]
    #[case::pattern(json!({"pattern": "^a$"}), json!("b"), r#"Invalid value: "b": spec.x in body should match '^a$'"#)]
    #[case::many(json!({"maxItems": 1}), json!([1, 2]), "Too many: 2: must have at most 1 items")]
    #[case::few(json!({"minItems": 1}), json!([]), "Invalid value: []: spec.x in body should have at least 1 items")]
    #[case::few_members(json!({"minProperties": 1}), json!({}), "Invalid value: {}: spec.x in body should have at least 1 properties")]
    #[case::any(json!({"anyOf": [{"type": "string"}]}), json!(1), "Invalid value: 1: spec.x in body must validate at least one schema (anyOf)")]
    #[case::one(json!({"oneOf": [{"minimum": 0}, {"maximum": 2}]}), json!(1), "Invalid value: 1: spec.x in body must validate one and only one schema (oneOf). Found 2 valid alternatives")]
    #[case::not(json!({"not": {"enum": [1]}}), json!(1), "Invalid value: 1: spec.x in body must not validate the schema (not)")]
    fn a_value_that_does_not_fit_is_named(
        #[case] schema: Value,
        #[case] value: Value,
        #[case] text: &str,
    ) {
        let found = errors(with(&schema), &json!({"spec": {"x": value}}));
        assert_eq!(found, [format!("[].spec.x: {text}")]);
    }

    #[rstest]
    #[case::nothing(json!({}), json!({"a": [1, null]}))]
    #[case::whole(json!({"type": "integer"}), json!(1.0))]
    #[case::number(json!({"type": "number"}), json!(1))]
    #[case::nullable(json!({"type": "string", "nullable": true, "enum": ["a"]}), json!(null))]
    #[case::null_with_default(json!({"type": "string", "default": "a"}), json!(null))]
    #[case::int_or_string(json!({"x-kubernetes-int-or-string": true}), json!("10%"))]
    #[case::unreadable_pattern(json!({"pattern": "(?=a)"}), json!("b"))]
    #[case::required_with_default(
        json!({"required": ["a"], "properties": {"a": {"default": 1}}}), json!({}))]
    #[case::format(json!({"type": "string", "format": "date"}), json!("x"))]
    #[case::map(json!({"additionalProperties": {"type": "string"}}), json!({"a": "b"}))]
    fn what_the_api_server_takes_fits(#[case] schema: Value, #[case] value: Value) {
        assert_eq!(
            errors(with(&schema), &json!({"spec": {"x": value}})),
            Vec::<String>::new()
        );
    }

    #[test]
    fn places_in_lists_and_maps_and_missing_fields_are_named() {
        let each =
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}});
        let schema = json!({"required": ["exampleProperty"], "properties": {
            "list": {"items": each}, "map": {"additionalProperties": each}}});
        let object = json!({"list": [{"a": "x"}, {"a": 1}], "map": {"k": {}}});
        assert_eq!(
            errors(schema, &object),
            [
                "[].exampleProperty: Required value",
                "[].list[1].a: Invalid value: \"integer\": list[1].a in body must be of type string: \"integer\"",
                "[].map.k.a: Required value",
            ]
        );
    }

    #[test]
    fn errors_and_values_are_limited() {
        let object: Map<String, Value> = (0..99)
            .map(|index| (format!("k{index}"), json!("x".repeat(1000))))
            .collect();
        let found = errors(
            json!({"additionalProperties": {"minLength": 2000}}),
            &object.into(),
        );
        assert_eq!(found.len(), MAX_ERRORS);
        assert!(found.iter().all(|text| text.len() < 300));
    }
}
