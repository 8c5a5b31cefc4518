//! Numbers of bundles by where they are: names may repeat, and there are thousands to look up.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::model::Bundle;

/// A number for each bundle.
#[derive(Debug, Default)]
pub(super) struct Addresses(HashMap<usize, usize, BuildHasherDefault<Spread>>);

impl Addresses {
    pub(super) fn reserve(&mut self, more: usize) {
        self.0.reserve(more);
    }

    pub(super) fn insert(&mut self, bundle: &Arc<Bundle>, number: usize) {
        self.0.insert(address(bundle), number);
    }

    /// The place of a bundle, which may be free.
    pub(super) fn entry(&mut self, bundle: &Arc<Bundle>) -> Entry<'_, usize, usize> {
        self.0.entry(address(bundle))
    }

    pub(super) fn get(&self, bundle: &Arc<Bundle>) -> Option<usize> {
        self.0.get(&address(bundle)).copied()
    }
}

pub(super) fn address(bundle: &Arc<Bundle>) -> usize {
    Arc::as_ptr(bundle).addr()
}

/// Nobody chooses addresses, so spreading them is enough.
#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, number: usize) {
        // The golden ratio, as Fibonacci hashing has it.
        self.0 = (self.0 ^ number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
