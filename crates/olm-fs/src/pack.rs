//! Trees as tar archives, the same bytes for the same content.
//!
//! Entries are in path order (depth first, names by their bytes), directories before what is in
//! them; owner 0:0, no names, time 0, files 0644, directories 0755, GNU headers. gzip headers carry
//! neither time nor operating system, and level and encoder are fixed, so digests of layers are
//! stable; a test pins one.

use std::io::{self, Write};

use flate2::{Compression, GzBuilder};
use olm_tree::{NodeKind, RelPath, Tree, TreeError};
use tar::{Builder, EntryType, Header};

/// gzip level of every archive.
const LEVEL: u32 = 6;
/// "Unknown" in the operating system field of a gzip header (RFC 1952, 2.3.1).
const UNKNOWN_OS: u8 = 255;
/// Deepest tree that is packed.
const MAX_DEPTH: usize = 128;

/// A tree that could not be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The tree could not be read; a file above the limit is such a case.
    #[error("cannot pack the tree")]
    Tree(#[from] TreeError),
    /// The directories are nested more than 128 deep.
    #[error("directory `{0}` is nested too deep")]
    TooDeep(RelPath),
    /// The archive could not be written.
    #[error("cannot write the archive at `{path}`")]
    Write {
        /// The entry.
        path: String,
        /// What the writer says.
        source: io::Error,
    },
}

/// What to pack, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where the tree stands in the archive; the directories above it become entries as well.
    /// Default: the root.
    pub prefix: RelPath,
    /// Largest file in bytes. Default: 64 MiB.
    pub file_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: RelPath::root(),
            file_bytes: 64 << 20,
        }
    }
}

/// Writes the tree as an uncompressed tar.
///
/// # Errors
/// [`PackError`].
pub fn tar(tree: &dyn Tree, options: &Options, out: impl Write) -> Result<(), PackError> {
    let mut builder = Builder::new(out);
    let mut prefix = RelPath::root();
    for component in options.prefix.components() {
        prefix = append_component(&prefix, component)?;
        append_directory(&mut builder, &prefix)?;
    }
    directory(&mut builder, tree, &RelPath::root(), options, 0)?;
    builder
        .into_inner()
        .and_then(|mut out| out.flush())
        .map_err(failed("(end)"))
}

/// Writes the tree as a tar compressed with gzip.
///
/// # Errors
/// [`PackError`].
pub fn tar_gz(tree: &dyn Tree, options: &Options, out: impl Write) -> Result<(), PackError> {
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .operating_system(UNKNOWN_OS)
        .write(out, Compression::new(LEVEL));
    tar(tree, options, &mut encoder)?;
    encoder
        .finish()
        .and_then(|mut out| out.flush())
        .map_err(failed("(end)"))
}

fn directory<W: Write>(
    builder: &mut Builder<W>,
    tree: &dyn Tree,
    at: &RelPath,
    options: &Options,
    depth: usize,
) -> Result<(), PackError> {
    if depth > MAX_DEPTH {
        return Err(PackError::TooDeep(at.clone()));
    }
    for entry in tree.list(at)? {
        let path = append_component(at, &entry.name)?;
        let target = append_component(&options.prefix, path.as_str())?;
        match entry.kind {
            NodeKind::Directory => {
                append_directory(builder, &target)?;
                directory(builder, tree, &path, options, depth + 1)?;
            }
            NodeKind::File => {
                let bytes = tree.read(&path, options.file_bytes)?;
                let mut header = header(EntryType::Regular, 0o644, bytes.len() as u64);
                builder
                    .append_data(&mut header, target.as_str(), bytes.as_slice())
                    .map_err(failed(target.as_str()))?;
            }
        }
    }
    Ok(())
}

fn append_component(path: &RelPath, name: &str) -> Result<RelPath, PackError> {
    path.join(name)
        .map_err(|e| failed(name)(io::Error::other(e)))
}

fn append_directory<W: Write>(builder: &mut Builder<W>, path: &RelPath) -> Result<(), PackError> {
    let mut header = header(EntryType::Directory, 0o755, 0);
    builder
        .append_data(&mut header, format!("{path}/"), io::empty())
        .map_err(failed(path.as_str()))
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn failed(path: &str) -> impl FnOnce(io::Error) -> PackError + use<> {
    let path = path.to_owned();
    move |source| PackError::Write { path, source }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests"
    )]
    use super::*;
    use olm_tree::MemoryTree;

    fn sample() -> MemoryTree {
        let mut tree = MemoryTree::new();
        for path in ["b/y", "a", "b/x", "c"] {
            tree.insert(path, path).unwrap();
        }
        tree
    }

    #[test]
    fn entries_are_in_path_order_below_the_prefix_and_carry_no_owner_or_time() {
        let mut bytes = Vec::new();
        let options = Options {
            prefix: RelPath::parse("p/q").unwrap(),
            ..Options::default()
        };
        tar(&sample(), &options, &mut bytes).unwrap();
        let mut archive = ::tar::Archive::new(bytes.as_slice());
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                assert_eq!(header.mtime().unwrap(), 0);
                assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
                entry.path().unwrap().to_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(
            seen,
            [
                "p/", "p/q/", "p/q/a", "p/q/b/", "p/q/b/x", "p/q/b/y", "p/q/c"
            ]
        );
    }

    #[test]
    fn the_same_tree_gives_the_same_bytes() {
        let mut bytes = Vec::new();
        tar_gz(&sample(), &Options::default(), &mut bytes).unwrap();
        assert_eq!(
            crate::Digest::of(&bytes).as_str(),
            "sha256:7a87b5a37d30ea9f15d31b30bebf17f274f0dad46cd4d6c62b8a077f5e9d2b32"
        );
    }

    #[test]
    fn a_file_above_the_limit_is_refused() {
        let options = Options {
            file_bytes: 0,
            ..Options::default()
        };
        let error = tar(&sample(), &options, io::sink()).unwrap_err();
        assert!(
            matches!(error, PackError::Tree(TreeError::TooLarge { .. })),
            "{error}"
        );
    }
}
