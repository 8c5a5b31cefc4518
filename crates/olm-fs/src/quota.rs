//! How much a store may hold.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Digest;

/// What disks keep of even the smallest file; what a file is counted as is a multiple of it.
const BLOCK: u64 = 4096;

/// The bytes on disk of each content, and how many they may be together.
#[derive(Debug)]
pub(crate) struct Quota {
    bytes: u64,
    sizes: Mutex<HashMap<Digest, u64>>,
}

/// More than the quota leaves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) used: u64,
    pub(crate) quota: u64,
}

impl Quota {
    /// `stored` is there already, and may be more than `bytes`.
    pub(crate) fn new(bytes: u64, stored: HashMap<Digest, u64>) -> Self {
        Self {
            bytes,
            sizes: Mutex::new(stored),
        }
    }

    /// Counts `digest`, unless that would be too much. One that is counted already costs nothing.
    pub(crate) fn take(&self, digest: &Digest, size: u64) -> Result<(), Exceeded> {
        let mut sizes = self.sizes();
        if sizes.contains_key(digest) {
            return Ok(());
        }
        let used = sum(&sizes);
        if used.saturating_add(size) > self.bytes {
            return Err(Exceeded {
                used,
                quota: self.bytes,
            });
        }
        sizes.insert(digest.clone(), size);
        Ok(())
    }

    /// No longer counts `digest`.
    pub(crate) fn give_back(&self, digest: &Digest) {
        self.sizes().remove(digest);
    }

    /// The bytes of all that is counted.
    pub(crate) fn used(&self) -> u64 {
        sum(&self.sizes())
    }

    fn sizes(&self) -> MutexGuard<'_, HashMap<Digest, u64>> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sum(sizes: &HashMap<Digest, u64>) -> u64 {
    let each = sizes.values();
    each.fold(0, |sum, size| sum.saturating_add(*size))
}

/// What a file or directory of `length` bytes is counted as.
pub(crate) fn on_disk(length: u64) -> u64 {
    length.div_ceil(BLOCK).max(1).saturating_mul(BLOCK)
}
