#![allow(clippy::unwrap_used, reason = "tests")]

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

/// A definition with one version `v1` whose field `^.spec.x` has this schema.
fn with_field(schema: &Value) -> Value {
    with_spec(&json!({"type": "object", "properties": {"x": schema}}))
}

fn with_spec(schema: &Value) -> Value {
    definition(&[("v1", true, schema.clone())], None)
}

fn definition(versions: &[(&str, bool, Value)], conversion: Option<&str>) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|(name, served, spec)| {
            json!({"name": name, "served": served, "storage": false, "schema": {
                "openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}})
        })
        .collect();
    json!({"spec": {"scope": "Namespaced", "versions": versions,
                    "conversion": {"strategy": conversion.unwrap_or("None")}},
           "status": {"storedVersions": []}})
}

fn texts(old: &Value, new: &Value) -> Vec<String> {
    unsafe_changes(old, new)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[rstest]
#[case::default_added(json!({"type": "string"}), json!({"type": "string", "default": "a"}),
    r#"default: default added when there was none previously : "\"a\"""#)]
#[case::default_removed(json!({"default": 1}), json!({}), r#"default: default value removed : "1""#)]
#[case::default_changed(json!({"default": {"a": 1}}), json!({"default": {"a": 2}}),
    r#"default: default value changed : "{\"a\":1}" -> "{\"a\":2}""#)]
#[case::enum_added(json!({}), json!({"enum": ["b", "a"]}),
    r#"enum: enum constraint added when there was none previously : ["a" "b"]"#)]
#[case::enum_removed(json!({"enum": ["a", "b", 3]}), json!({"enum": ["a", "c"]}),
    r#"enum: allowed enum values removed : ["b" 3]"#)]
#[case::required(json!({"required": ["a"]}), json!({"required": ["c", "b", "a"]}),
    "required: new required fields : [b c]")]
#[case::type_changed(json!({"type": "string"}), json!({"type": "integer"}),
    r#"type: type changed : "string" -> "integer""#)]
#[case::type_gone(json!({"type": "string"}), json!({}), r#"type: type changed : "string" -> """#)]
#[case::maximum_added(json!({}), json!({"maximum": 5}),
    "maximum: maximum constraint added when there was none previously : 5")]
#[case::maximum_lowered(json!({"maximum": 5.5}), json!({"maximum": 5.0}),
    "maximum: maximum decreased : 5.5 -> 5")]
#[case::max_items_added(json!({}), json!({"maxItems": 5}),
    "maxItems: maximum constraint added when there was none previously : 5")]
#[case::max_items_lowered(json!({"maxItems": 5}), json!({"maxItems": 4}),
    "maxItems: maximum decreased : 5 -> 4")]
#[case::max_length(json!({"maxLength": 5}), json!({"maxLength": 4}),
    "maxLength: maximum decreased : 5 -> 4")]
#[case::max_properties(json!({"maxProperties": 5}), json!({"maxProperties": 0}),
    "maxProperties: maximum decreased : 5 -> 0")]
#[case::minimum_added(json!({}), json!({"minimum": 0}),
    "minimum: minimum constraint added when there was none previously : 0")]
#[case::minimum_raised(json!({"minimum": -1}), json!({"minimum": 0.5}),
    "minimum: minimum increased : -1 -> 0.5")]
#[case::min_items(json!({}), json!({"minItems": 1}),
    "minItems: minimum constraint added when there was none previously : 1")]
#[case::min_length(json!({"minLength": 1}), json!({"minLength": 2}),
    "minLength: minimum increased : 1 -> 2")]
#[case::min_properties(json!({"minProperties": 1}), json!({"minProperties": 2}),
    "minProperties: minimum increased : 1 -> 2")]
#[case::pattern_added(json!({}), json!({"pattern": "^a\\d$"}),
    r#"pattern: pattern added : "" -> "^a\\d$""#)]
#[case::pattern_removed(json!({"pattern": "a"}), json!({}), r#"pattern: pattern removed : "a" -> """#)]
#[case::pattern_changed(json!({"pattern": "a"}), json!({"pattern": "b"}),
    r#"pattern: pattern changed : "a" -> "b""#)]
#[case::nullable_added(json!({}), json!({"nullable": true}),
    "nullable: nullable added : false -> true")]
#[case::nullable_removed(json!({"nullable": true}), json!({"nullable": false}),
    "nullable: nullable removed : true -> false")]
#[case::format(json!({}), json!({"format": "date"}),
    r#"unhandled: unhandled changes found (format <empty> -> "date")"#)]
#[case::several(json!({"format": "a", "uniqueItems": true}), json!({"format": "b"}),
    r#"unhandled: unhandled changes found (format "a" -> "b"; uniqueItems true -> <empty>)"#)]
#[case::rule(json!({}), json!({"x-kubernetes-validations": [{"rule": "self > 1"}]}),
    "unhandled: unhandled changes found (x-kubernetes-validations <empty> -> <complex value>)")]
#[case::junctor(json!({"anyOf": [{"type": "string"}]}), json!({"anyOf": [{"type": "integer"}]}),
    "unhandled: unhandled changes found (anyOf <complex value> -> <complex value>)")]
#[case::closed(json!({"additionalProperties": {"type": "string"}}), json!({"additionalProperties": false}),
    "unhandled: unhandled changes found (additionalProperties <complex value> -> false)")]
#[case::items_appear(json!({}), json!({"items": {"type": "string"}}),
    "unhandled: unhandled changes found (items <empty> -> <complex value>)")]
fn says_what_changes_of_a_field_could_break(
    #[case] old: Value,
    #[case] new: Value,
    #[case] text: &str,
) {
    let changes = texts(&with_field(&old), &with_field(&new));
    assert_eq!(changes, [format!("v1: ^.spec.x: {text}")]);
}

#[rstest]
#[case::same(json!({"type": "string"}), json!({"type": "string"}))]
#[case::documentation(json!({"description": "a", "example": 1}), json!({"title": "b"}))]
#[case::zero_values(json!({"nullable": false, "required": [], "format": "", "default": null}), json!({}))]
#[case::notation_of_numbers(json!({"multipleOf": 1, "default": 2}), json!({"multipleOf": 1.0, "default": 2.0}))]
#[case::enum_extended(json!({"enum": ["a"]}), json!({"enum": ["a", "b"]}))]
#[case::enum_dropped(json!({"enum": ["a"]}), json!({}))]
#[case::no_longer_required(json!({"required": ["a", "b"]}), json!({"required": ["b"]}))]
#[case::wider(json!({"maximum": 1, "minimum": 1}), json!({"maximum": 2, "minimum": 0}))]
#[case::unbounded(json!({"maxItems": 1, "minLength": 1}), json!({}))]
#[case::new_fields(json!({"properties": {}}), json!({"properties": {"n": {"required": ["y"], "enum": [1]}}}))]
#[case::words_of_a_rule(
    json!({"x-kubernetes-validations": [{"rule": "a", "message": "x"}, {"rule": "b"}]}),
    json!({"x-kubernetes-validations": [{"rule": "b", "reason": "y"}, {"rule": "a"}]}))]
fn lets_through_what_breaks_nothing(#[case] old: Value, #[case] new: Value) {
    assert_eq!(
        texts(&with_field(&old), &with_field(&new)),
        Vec::<String>::new()
    );
}

#[test]
fn fields_that_go_are_named_once_by_their_version_and_path() {
    let inner = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {}}});
    let old = json!({"type": "object", "properties": {
        "gone": inner, "list": {"type": "array", "items": inner},
        "map": {"type": "object", "additionalProperties": inner},
        "open": {"type": "object", "additionalProperties": inner}}});
    let less = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let new = json!({"type": "object", "properties": {
        "list": {"type": "array", "items": less},
        "map": {"type": "object", "additionalProperties": less},
        "open": {"type": "object"}}});
    assert_eq!(
        texts(&with_spec(&old), &with_spec(&new)),
        [
            "existingFieldRemoval: removed field : v1.^.spec.gone",
            "existingFieldRemoval: removed field : v1.^.spec.list.items.b",
            "existingFieldRemoval: removed field : v1.^.spec.map.additionalProperties.b",
            "existingFieldRemoval: removed field : v1.^.spec.open.additionalProperties",
        ]
    );
}

#[test]
fn what_every_object_has_need_not_be_declared() {
    let mut old = with_spec(&json!({}));
    let schema = &mut old["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    for name in ["apiVersion", "kind", "metadata"] {
        schema["properties"][name] = json!({"type": "object"});
    }
    assert_eq!(texts(&old, &with_spec(&json!({}))), Vec::<String>::new());
}

#[test]
fn the_scope_and_stored_versions_stay() {
    let mut old = with_spec(&json!({}));
    old["status"]["storedVersions"] = json!(["v1beta1", "v1", "v1alpha1"]);
    let mut new = with_spec(&json!({}));
    new["spec"]["scope"] = json!("Cluster");
    assert_eq!(
        texts(&old, &new),
        [
            r#"scope: scope changed : "Namespaced" -> "Cluster""#,
            "storedVersionRemoval: stored versions removed : [v1alpha1 v1beta1]",
        ]
    );
}

#[rstest]
#[case::none(None, &["v1alpha1 -> v1: ^.spec.x: maximum: maximum decreased : 5 -> 3",
                     "v1beta1 -> v1: ^.spec.x: maximum: maximum decreased : 4 -> 3"])]
#[case::webhook(Some("Webhook"), &[])]
fn versions_served_at_once_agree_unless_a_webhook_converts(
    #[case] conversion: Option<&str>,
    #[case] expected: &[&str],
) {
    let spec = |maximum: u32| json!({"properties": {"x": {"maximum": maximum}}});
    // What is wrong between the first two was so before.
    let old = [("v1beta1", true, spec(4)), ("v1alpha1", true, spec(5))];
    let mut new = old.to_vec();
    new.push(("v1", true, spec(3)));
    new.push(("v1alpha2", false, spec(1)));
    let (old, new) = (definition(&old, None), definition(&new, conversion));
    assert_eq!(texts(&old, &new), expected);
}

#[test]
fn a_field_that_a_newer_version_lacks_is_named_with_both() {
    let spec = json!({"properties": {"x": {}}});
    let old = definition(&[("v1", true, spec.clone())], None);
    let both = [("v2", true, json!({})), ("v1", true, spec)];
    assert_eq!(
        texts(&old, &definition(&both, None)),
        ["existingFieldRemoval: removed field : v1 -> v2.^.spec.x"]
    );
}

#[test]
fn a_version_that_is_not_stored_may_go() {
    let old = definition(&[("v1", true, json!({})), ("v2", true, json!({}))], None);
    let new = definition(&[("v2", true, json!({}))], None);
    assert_eq!(texts(&old, &new), Vec::<String>::new());
}

#[test]
fn what_is_no_definition_has_no_changes() {
    for value in [json!(null), json!([]), json!({"spec": {"versions": {}}})] {
        assert_eq!(texts(&value, &value), Vec::<String>::new());
    }
}

#[test]
fn long_values_are_cut() {
    let long = "ä".repeat(1000);
    let changes = texts(
        &with_field(&json!({})),
        &with_field(&json!({"pattern": long})),
    );
    assert!(changes[0].chars().count() < 200 && changes[0].ends_with('…'));
}
