//! Small worlds of catalogs and Operators: the answer is that of trying everything.
#![no_main]

#[allow(
    clippy::unwrap_used,
    reason = "tests of the resolver have their own lints"
)]
#[path = "../../../crates/olm-resolver/tests/documents/mod.rs"]
mod documents;
#[allow(dead_code, reason = "tests of the resolver need more of it")]
#[path = "../../../crates/olm-resolver/tests/joint/small.rs"]
mod small;
#[allow(
    dead_code,
    clippy::needless_pass_by_value,
    clippy::redundant_closure_for_method_calls,
    reason = "tests of the resolver need more of it, and have their own lints"
)]
#[path = "../../../crates/olm-resolver/tests/joint/world.rs"]
mod world;

use libfuzzer_sys::fuzz_target;

use crate::small::{Choices, compare};

/// The input decides; where it ends, everything is 0 until nothing more is added.
struct Bytes<'a>(&'a [u8]);

impl Choices for Bytes<'_> {
    fn below(&mut self, end: usize) -> usize {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                usize::from(first) % end
            }
            // Never a chance that is taken: loops that wait for one not to be taken end.
            None => end - 1,
        }
    }
}

fuzz_target!(|data: &[u8]| {
    if data.len() <= 512 {
        compare(&small::small(&mut Bytes(data)));
    }
});
