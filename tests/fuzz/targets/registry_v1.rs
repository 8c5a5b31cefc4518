//! A registry+v1 bundle whose manifests are somebody else's: loaded, validated and rendered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use olm_bundle::registry_v1::{self, CertificateProvider, RenderOptions};
use olm_tree::MemoryTree;

fuzz_target!(|data: &[u8]| {
    let mut tree = MemoryTree::new();
    tree.insert(
        "metadata/annotations.yaml",
        "annotations: {operators.operatorframework.io.bundle.package.v1: p}",
    )
    .expect("a plain path");
    tree.insert("manifests/all.yaml", data)
        .expect("a plain path");
    let Ok(bundle) = registry_v1::load(&tree) else {
        return;
    };
    if bundle.validate().is_err() {
        return;
    }
    let namespace = bundle.default_install_namespace();
    let options = RenderOptions::new(namespace, CertificateProvider::Own);
    let Ok(first) = registry_v1::render(&bundle, &options) else {
        return;
    };
    let second = registry_v1::render(&bundle, &options).expect("rendered once, rendered twice");
    assert_eq!(first.objects, second.objects);
});
