//! The index file of a catalog: whatever it holds, ranges are inside the content and in order.
//!
//! The checksum is made right first, or nothing else would ever be looked at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use olm_fbc::index::Index;
use sha2::{Digest as _, Sha256};

/// Bytes before the checksum, and with it; see the format in [`olm_fbc::index`].
const HEAD: usize = 80;
const HEADER: usize = 112;
const CONTENT: &str = "sha256:content";

fuzz_target!(|data: &[u8]| {
    let mut file = data.to_vec();
    let mut length = 1 << 20;
    if file.len() >= HEADER {
        file[HEAD - 32..HEAD].copy_from_slice(&Sha256::digest(CONTENT));
        let sum = Sha256::new()
            .chain_update(&file[..HEAD])
            .chain_update(&file[HEADER..])
            .finalize();
        file[HEAD..HEADER].copy_from_slice(&sum);
        let mut of_length = [0; 8];
        of_length.copy_from_slice(&file[HEAD - 40..HEAD - 32]);
        length = u64::from_le_bytes(of_length);
    }
    let Ok(index) = Index::open(file, CONTENT, length) else {
        return;
    };
    for schema in [None, Some("olm.package"), Some("olm.bundle")] {
        for package in [None, Some("p")] {
            for name in [None, Some("p"), Some("p.v1.0.0")] {
                let Ok(ranges) = index.select(schema, package, name) else {
                    continue;
                };
                let mut end = 0;
                for range in ranges {
                    assert!(range.start >= end && range.start < range.end);
                    assert!(range.end <= length);
                    end = range.end;
                }
            }
        }
    }
});
