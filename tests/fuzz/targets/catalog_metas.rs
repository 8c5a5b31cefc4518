//! The documents of a catalog file, normalised to lines: one line each, which reads back as itself,
//! and the same lines that reading the whole file at once gives.
#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use olm_fbc::{FbcError, Limits, Meta, Reading, read_lines, walk};
use olm_tree::{MemoryTree, RelPath};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let mut tree = MemoryTree::new();
    tree.insert("p/catalog.yaml", data).expect("a plain path");
    let mut lines = String::new();
    let walked = walk(&tree, &RelPath::root(), &Limits::default(), &mut |meta| {
        assert!(!meta.item.line.contains('\n'));
        let value: Value = serde_json::from_str(&meta.item.line).expect("a line is JSON");
        let again = Meta::from_value(&value).expect("a line is a meta");
        assert_eq!(meta.item.line, again.line);
        lines.push_str(&meta.item.line);
        lines.push('\n');
        ControlFlow::Continue(())
    });
    match walked {
        Ok(_) | Err(FbcError::Empty | FbcError::AllBroken { .. }) => {}
        Err(error) => panic!("a tree in memory can be walked: {error}"),
    }
    if let Some(whole) = read_whole(data) {
        assert_eq!(lines, whole);
    }
    for item in read_lines(lines.as_bytes(), Reading::default()) {
        if item.is_err() {
            return;
        }
    }
});

/// The lines of a file that is held and decoded whole; `None` unless all of it can be read.
fn read_whole(data: &[u8]) -> Option<String> {
    let mut lines = String::new();
    for document in olm_yaml::documents(data, &Limits::default().document) {
        lines.push_str(&Meta::from_value(&document.ok()?.value).ok()?.line);
        lines.push('\n');
    }
    Some(lines)
}
