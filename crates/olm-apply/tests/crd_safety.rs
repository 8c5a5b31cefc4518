//! Definitions of real bundles, version after version, and any definition against itself.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "reads the data")]

use std::collections::BTreeMap;
use std::path::Path;

use olm_apply::unsafe_changes;
use olm_bundle::registry_v1::{self, CertificateProvider, Config, RenderOptions};
use olm_semver::Version;
use olm_tree::MemoryTree;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The definitions of a bundle by name, as they are applied.
type Definitions = BTreeMap<String, Value>;

fn definitions(folder: &Path) -> Definitions {
    let mut tree = MemoryTree::default();
    for below in ["manifests", "metadata"] {
        for entry in std::fs::read_dir(folder.join(below)).into_iter().flatten() {
            let entry = entry.unwrap();
            let path = format!("{below}/{}", entry.file_name().into_string().unwrap());
            tree.insert(&path, std::fs::read(entry.path()).unwrap())
                .unwrap();
        }
    }
    // What does not load or render is the business of the tests of bundles.
    let Ok(bundle) = registry_v1::load(&tree) else {
        return BTreeMap::new();
    };
    let modes = [
        Config::default(),
        Config::watching(vec!["operators".to_owned()]),
        Config::watching(vec!["watched".to_owned()]),
    ];
    let rendered = modes.into_iter().find_map(|config| {
        let options = RenderOptions {
            config,
            ..RenderOptions::new("operators", CertificateProvider::Own)
        };
        registry_v1::render(&bundle, &options).ok()
    });
    let Some(rendered) = rendered else {
        return BTreeMap::new();
    };
    rendered
        .objects
        .into_iter()
        .filter(|object| object["kind"] == "CustomResourceDefinition")
        .map(|object| {
            (
                object["metadata"]["name"].as_str().unwrap().to_owned(),
                object,
            )
        })
        .collect()
}

/// A definition as the API server keeps it: every version was stored once.
fn stored(mut definition: Value) -> Value {
    let versions = definition["spec"]["versions"].as_array().unwrap();
    let names: Vec<Value> = versions
        .iter()
        .map(|version| version["name"].clone())
        .collect();
    definition["status"] = json!({"storedVersions": names});
    definition
}

/// The bundles of each package, the oldest first.
fn packages(data: &Path) -> BTreeMap<String, Vec<(Version, Definitions)>> {
    let mut packages: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for package in std::fs::read_dir(data.join("bundles")).unwrap() {
        let package = package.unwrap();
        if !package.file_type().unwrap().is_dir() {
            continue;
        }
        let name = package.file_name().into_string().unwrap();
        for version in std::fs::read_dir(package.path()).unwrap() {
            let version = version.unwrap();
            let number =
                Version::parse_strict(&version.file_name().into_string().unwrap()).unwrap();
            let definitions = definitions(&version.path());
            if !definitions.is_empty() {
                let bundles = packages.entry(name.clone()).or_default();
                bundles.push((number, definitions));
            }
        }
    }
    for bundles in packages.values_mut() {
        bundles.sort_by(|left, right| left.0.cmp(&right.0));
    }
    packages
}

/// What of the definitions that both bundles have the step from one to the other could break, by
/// check; and the number of these definitions.
fn step(
    old: &Definitions,
    new: &Definitions,
) -> (usize, BTreeMap<&'static str, usize>, Vec<String>) {
    let (mut compared, mut checks, mut texts) = (0, BTreeMap::new(), Vec::new());
    for (name, old) in old {
        let Some(new) = new.get(name) else { continue };
        compared += 1;
        for change in unsafe_changes(&stored(old.clone()), new) {
            *checks.entry(change.check).or_default() += 1;
            texts.push(change.to_string());
        }
    }
    (compared, checks, texts)
}

#[test]
fn real_upgrades_are_refused_for_what_they_really_change() {
    let Some(data) = olm_testdata::find("").unwrap() else {
        return;
    };
    let mut outcomes = Vec::new();
    let mut definitions = 0;
    for (package, bundles) in packages(&data) {
        for (version, bundle) in &bundles {
            definitions += bundle.len();
            let (_, _, changes) = step(bundle, bundle);
            assert!(changes.is_empty(), "{package} {version}: {changes:?}");
        }
        for pair in bundles.windows(2) {
            let (old, new) = (&pair[0], &pair[1]);
            let (compared, checks, texts) = step(&old.1, &new.1);
            let checks: Vec<String> = checks
                .iter()
                .map(|(check, count)| format!("{count} {check}"))
                .collect();
            let (old, new, checks) = (&old.0, &new.0, checks.join(", "));
            outcomes.push(format!("{package} {old} -> {new}: {compared}: {checks}"));
            if package == "group-sync-operator" {
                assert_eq!(texts, GROUP_SYNC);
            }
        }
    }
    assert_eq!(outcomes, OUTCOMES);
    assert_eq!(definitions, 260);
}

/// Each upgrade with the number of definitions that both versions have, and what is found by check.
const OUTCOMES: [&str; 7] = [
    "group-sync-operator 0.0.11 -> 0.0.29: 1: 2 default, 1 existingFieldRemoval, 1 required",
    "prometheus 0.27.0 -> 0.37.0: 4: 64 existingFieldRemoval, 4 required, 12 type, 482 unhandled",
    "rabbitmq-cluster-operator 2.21.1 -> 2.22.1: 1: ",
    "rabbitmq-cluster-operator 2.22.1 -> 2.22.2: 1: ",
    "rabbitmq-cluster-operator 2.22.2 -> 2.22.3: 1: ",
    "rabbitmq-messaging-topology-operator 1.18.2 -> 1.19.2: 13: ",
    "rabbitmq-messaging-topology-operator 1.19.2 -> 1.19.3: 13: ",
];

const GROUP_SYNC: [&str; 4] = [
    "existingFieldRemoval: removed field : v1alpha1.^.spec.providers.items.azure.url",
    "v1alpha1: ^.spec.providers.items: required: new required fields : [name]",
    r#"v1alpha1: ^.spec.providers.items.github.url: default: default added when there was none previously : "\"https://api.github.com/\"""#,
    r#"v1alpha1: ^.spec.providers.items.gitlab.url: default: default added when there was none previously : "\"https://gitlab.com\"""#,
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 5, |inner| {
        let name = prop::sample::select(vec![
            "type",
            "properties",
            "items",
            "enum",
            "required",
            "default",
            "additionalProperties",
            "maximum",
            "minLength",
            "pattern",
            "nullable",
            "anyOf",
            "x-kubernetes-validations",
            "description",
            "format",
            "a",
            "b",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_definition_is_refused_against_itself(
        schemas in prop::collection::vec((any::<bool>(), any_json()), 0..4),
        scope in any_json(),
    ) {
        let versions: Vec<Value> = schemas
            .into_iter()
            .enumerate()
            .map(|(index, (served, schema))| json!({"name": format!("v{index}"), "served": served,
                "schema": {"openAPIV3Schema": schema}}))
            .collect();
        let definition = json!({"spec": {"scope": scope, "versions": versions}});
        prop_assert_eq!(unsafe_changes(&stored(definition.clone()), &definition), []);
    }

    #[test]
    fn any_two_values_are_compared_without_a_panic(old in any_json(), new in any_json()) {
        let wrap = |schema: &Value| json!({"spec": {"versions": [
            {"name": "v1", "served": true, "schema": {"openAPIV3Schema": schema}}]}});
        let changes = unsafe_changes(&wrap(&old), &wrap(&new));
        let mut sorted = changes.clone();
        sorted.sort();
        prop_assert_eq!(changes, sorted);
    }
}
