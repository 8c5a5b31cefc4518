//! A ClusterServiceVersion whose metadata and spec are somebody else's, as JSON, so that no input is
//! lost on the syntax of YAML: decoded, asked everything, and what is wrong with it said.
#![no_main]

use libfuzzer_sys::fuzz_target;
use olm_bundle::registry_v1::{self, Config};
use olm_tree::MemoryTree;
use serde_json::{Value, json};

fuzz_target!(|data: &[u8]| {
    let Ok(mut csv) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let Some(members) = csv.as_object_mut() else {
        return;
    };
    members.insert("kind".to_owned(), json!("ClusterServiceVersion"));
    members.insert(
        "apiVersion".to_owned(),
        json!("operators.coreos.com/v1alpha1"),
    );
    let mut tree = MemoryTree::new();
    tree.insert(
        "metadata/annotations.yaml",
        "annotations: {operators.operatorframework.io.bundle.package.v1: p}",
    )
    .expect("a plain path");
    tree.insert("manifests/csv.yaml", csv.to_string())
        .expect("a plain path");
    let bundle = match registry_v1::load(&tree) {
        Ok(bundle) => bundle,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let namespace = bundle.default_install_namespace();
    let _ = (bundle.csv_name(), bundle.version(), bundle.annotations());
    let _ = (bundle.provided_apis(), bundle.required_apis());
    let _ = (bundle.uses_webhooks(), bundle.uses_conversion_webhooks());
    for mode in bundle.install_modes() {
        let _ = mode.to_string();
    }
    let _ = Config::parse(&bundle, &json!({"watchNamespace": "ns"}), Some(&namespace));
    if let Err(errors) = bundle.validate() {
        assert!(!errors.to_string().is_empty());
    }
    // The same bytes are the same bundle.
    let again = registry_v1::load(&tree).expect("loaded once, loaded twice");
    assert_eq!(format!("{again:?}"), format!("{bundle:?}"));
});
