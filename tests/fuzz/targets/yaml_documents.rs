//! A stream of YAML or JSON documents, with anchors and merge keys: within its limits, without panic,
//! and a document that was read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use olm_yaml::{Limits, documents, from_slice};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let limits = Limits {
        max_expansion: 10_000,
        ..Limits::default()
    };
    for document in documents(data, &limits) {
        let Ok(document) = document else { return };
        let text =
            serde_json::to_vec(&document.value).expect("a value that was read can be written");
        let again: Value = from_slice(&text, &limits).expect("what was written can be read");
        assert_eq!(document.value, again);
    }
});
