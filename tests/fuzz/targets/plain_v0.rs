//! The manifests of a plain+v0 bundle.
#![no_main]

use libfuzzer_sys::fuzz_target;
use olm_tree::MemoryTree;

fuzz_target!(|data: &[u8]| {
    let mut tree = MemoryTree::new();
    tree.insert("manifests/all.yaml", data)
        .expect("a plain path");
    if let Ok(objects) = olm_bundle::plain_v0::load(&tree) {
        assert!(objects.iter().all(serde_json::Value::is_object));
    }
});
