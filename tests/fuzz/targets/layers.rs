//! Image layers, compressed or not, applied into a store: nothing outside it, nothing past a cap.
#![no_main]

use libfuzzer_sys::fuzz_target;
use olm_fs::Store;
use olm_fs::layers::{Applier, Caps, PathFilter};

fuzz_target!(|data: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(folder.path()).expect("an empty store");
    let pending = store.begin().expect("a pending tree");
    let caps = Caps {
        expanded_bytes: 4 << 20,
        kept_bytes: 1 << 20,
        file_bytes: 1 << 20,
        entries: 500,
        ..Caps::BUNDLE
    };
    let mut applier = Applier::new(&pending, PathFilter::all(), caps).expect("a directory");
    // The first byte says where the second layer begins.
    let (layers, rest) = data
        .split_first()
        .map_or((0, data), |(cut, rest)| (usize::from(*cut), rest));
    let cut = rest.len() * layers / 255;
    let (first, second) = rest.split_at(cut.min(rest.len()));
    if applier.apply(first).is_ok() {
        let _ = applier.apply(second);
    }
    let applied = applier.applied();
    assert!(applied.bytes <= caps.kept_bytes && applied.entries <= caps.entries + 1);
});
