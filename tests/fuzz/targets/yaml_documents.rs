//! A stream of YAML or JSON documents, with anchors and merge keys: within its limits, without panic,
//! and a document that was read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use olm_yaml::{Limits, documents, from_slice};
use serde_json::{Value, json};

fuzz_target!(|data: &[u8]| {
    let limits = Limits {
        max_expansion: 10_000,
        ..Limits::default()
    };
    let deeper = Limits {
        max_bytes: usize::MAX,
        max_depth: limits.max_depth + 1,
        ..limits
    };
    for document in documents(data, &limits) {
        let Ok(document) = document else { return };
        // As a member of an object, as it stands wherever it goes: a bare text would be read as YAML.
        let value = json!({ "value": document.value });
        let text = serde_json::to_vec(&value).expect("a value that was read can be written");
        let again: Value = from_slice(&text, &deeper).expect("what was written can be read");
        assert_eq!(value, again);
    }
});
