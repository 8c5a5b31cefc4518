//! Layers of an image, applied in order into a fresh directory.
//!
//! The rules are those of the OCI image specification (`layer.md`): a later layer replaces what an
//! earlier one put at the same path, directories merge, `.wh.NAME` removes `NAME` and
//! `.wh..wh..opq` empties its directory, both only of what *lower* layers put there. On top of
//! them:
//!
//! * a path that is absolute, empty, or holds `..` or NUL fails the layer, kept or not;
//! * names that are not UTF-8 or hold a backslash are left out;
//! * symbolic links are left out and never followed, though they still replace what was there;
//! * a hard link needs its target among the kept files;
//! * devices, FIFOs and unknown types fail the layer if they would be kept;
//! * owners, modes, times and extended attributes are not taken over;
//! * every number is capped by [`Caps`], and memory does not grow with the content, only with the
//!   number of kept entries of one layer.

mod caps;
mod decode;
mod error;
mod filter;
mod header;
mod run;

use std::io::Read;

use cap_std::fs::Dir;

pub use self::caps::{Cap, Caps};
pub use self::error::LayerError;
pub use self::filter::PathFilter;

use self::decode::Meter;
use self::run::Run;
use crate::store::{Pending, StoreError};

/// Applies layers to a directory of a [`Store`](crate::Store) that is not committed yet.
///
/// The calls block; async callers move it into a blocking task and feed it through a pipe.
#[derive(Debug)]
pub struct Applier {
    root: Dir,
    filter: PathFilter,
    caps: Caps,
    applied: Applied,
    compressed: u64,
    expanded: u64,
    whiteouts: bool,
}

/// What was applied so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Applied {
    /// Layers.
    pub layers: u64,
    /// Entries seen, kept or not, and directories made.
    pub entries: u64,
    /// Files written; one that a later layer removed counts as well.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Links and unusable names that were left out of the kept part.
    pub skipped: u64,
}

impl Applier {
    /// Begins with an empty directory.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be used.
    pub fn new(into: &Pending, filter: PathFilter, caps: Caps) -> Result<Self, StoreError> {
        Ok(Self {
            root: into.dir()?,
            filter,
            caps,
            applied: Applied::default(),
            compressed: 0,
            expanded: 0,
            whiteouts: true,
        })
    }

    /// Takes the archives for what they are and not for layers of an image: names that begin with
    /// `.wh.` are names like any other.
    #[must_use]
    pub const fn of_archives(mut self) -> Self {
        self.whiteouts = false;
        self
    }

    /// What was applied so far.
    pub const fn applied(&self) -> Applied {
        self.applied
    }

    /// Applies the next layer: tar, tar+gzip or tar+zstd, by its first bytes. `layer` is read to
    /// its end, so that a reader that checks a digest sees every byte.
    ///
    /// # Errors
    /// [`LayerError`]; the directory then holds a part of the layer and must be dropped.
    pub fn apply(&mut self, layer: impl Read) -> Result<(), LayerError> {
        let meter = Meter::new(self.caps, self.compressed, self.expanded);
        let mut run = Run::new(&self.root, &self.filter, &self.caps, &mut self.applied);
        run.whiteouts = self.whiteouts;
        let result = run.layer(layer, &meter);
        self.compressed = meter.compressed();
        self.expanded = meter.expanded();
        result?;
        self.applied.layers += 1;
        Ok(())
    }
}
