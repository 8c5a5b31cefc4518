//! Content from strangers gives a bundle or an error, never a panic.

use crate::fixture::{Fixture, options, watching};
use olm_bundle::plain_v0;
use olm_bundle::registry_v1::{CertificateProvider, load, render};
use olm_tree::MemoryTree;
use proptest::prelude::*;
use serde_json::{Value, json};

fn use_tree(tree: &MemoryTree) {
    let _ = plain_v0::load(tree);
    if let Ok(bundle) = load(tree) {
        let _ = bundle.validate();
        let _ = bundle.provided_apis();
        let _ = bundle.required_apis();
        let _ = render(&bundle, &options(CertificateProvider::Own));
        let _ = render(&bundle, &watching(&["a", "b"]));
    }
}

/// Any JSON of moderate size, with words that mean something to the reader.
fn json_value() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("kind"),
        Just("items"),
        Just("metadata"),
        Just("name"),
        Just("spec"),
        Just("annotations"),
        Just("limits"),
        Just("é\u{2028}<&>"),
        Just(""),
        Just("-")
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..4).prop_map(|members| {
                Value::Object(
                    members
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

/// All places of a JSON value.
fn pointers(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(value, &format!("{path}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{path}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn full() -> Fixture {
    Fixture::new().webhooks(json!([
        {"type": "MutatingAdmissionWebhook", "generateName": "m", "deploymentName": "manager",
         "containerPort": 1, "targetPort": 2, "objectSelector": {"matchLabels": {"a": "b"}},
         "rules": [{"apiGroups": ["x"], "resources": ["y"]}]},
        {"type": "ConversionWebhook", "generateName": "c", "deploymentName": "manager",
         "conversionCRDs": ["caches.example.com"]}]))
}

proptest! {
    #[test]
    fn random_files_never_panic(
        files in prop::collection::vec(
            (
                prop_oneof![
                    Just("metadata/annotations.yaml"), Just("metadata/properties.yaml"),
                    Just("manifests/a.yaml"), Just("manifests/b"), Just("manifests/c/d"),
                    Just("manifests")
                ],
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..200),
                    "[-a-z:{}\\[\\]&*!|>'\"#, \n]{0,200}".prop_map(String::into_bytes),
                    json_value().prop_map(|value| value.to_string().into_bytes()),
                ],
            ),
            0..5,
        ),
    ) {
        let mut tree = MemoryTree::new();
        for (path, content) in files {
            // A file may be in the way of a directory.
            let _ = tree.insert(path, content);
        }
        use_tree(&tree);
    }

    #[test]
    fn a_bundle_with_one_wrong_value_never_panics(
        place in any::<prop::sample::Index>(),
        value in json_value(),
    ) {
        let mut fixture = full();
        let mut places = Vec::new();
        pointers(&fixture.csv, "", &mut places);
        *fixture.csv.pointer_mut(&places[place.index(places.len())]).unwrap() = value;
        use_tree(&fixture.tree());
    }

    #[test]
    fn a_definition_with_one_wrong_value_never_panics(
        place in any::<prop::sample::Index>(),
        value in json_value(),
    ) {
        let mut crd = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "caches.example.com", "labels": {"a": "b"}},
            "spec": {"preserveUnknownFields": false, "versions": [{"name": "v1", "schema": {
                "openAPIV3Schema": {"properties": {"a": {"items": {}, "enum": [1]}}}}}]}});
        let mut places = Vec::new();
        pointers(&crd, "", &mut places);
        *crd.pointer_mut(&places[place.index(places.len())]).unwrap() = value;
        use_tree(&full().object("crd.yaml", &crd).tree());
    }
}

#[test]
fn deep_nesting_is_refused_or_read_but_does_not_end_the_process() {
    for depth in [50, 200, 2_000] {
        let schema = format!(
            "{}{}",
            r#"{"items":"#.repeat(depth),
            "{}".to_owned() + &"}".repeat(depth)
        );
        let crd = format!(
            r#"{{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
                "metadata":{{"name":"a.b"}},"spec":{{"versions":[{{"schema":{{
                "openAPIV3Schema":{schema}}}}}]}}}}"#
        );
        use_tree(&full().file("manifests/crd.yaml", &crd).tree());
    }
}
