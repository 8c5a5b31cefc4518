//! Images that no tool would make.

use anyhow::Result;
use olm_registry::push::{NewImage, NewLayer};
use olm_tests::bombs;
use olm_tests::publish::CATALOG_LABEL;
use olm_tree::MemoryTree;
use tar::{EntryType, Header};

/// An entry of a tar, with a path that no archiver would write.
pub(super) struct Entry<'a> {
    pub(super) kind: EntryType,
    pub(super) path: &'a str,
    pub(super) target: &'a str,
    pub(super) content: &'a [u8],
}

pub(super) fn file<'a>(path: &'a str, content: &'a [u8]) -> Entry<'a> {
    Entry {
        kind: EntryType::Regular,
        path,
        target: "",
        content,
    }
}

pub(super) fn link<'a>(kind: EntryType, path: &'a str, target: &'a str) -> Entry<'a> {
    Entry {
        kind,
        path,
        target,
        content: b"",
    }
}

/// An image of one layer with these entries after those of `tree`.
pub(super) fn image(tree: &MemoryTree, entries: &[Entry<'_>]) -> Result<NewImage> {
    let mut good = Vec::new();
    olm_fs::pack::tar(tree, &olm_fs::pack::Options::default(), &mut good)?;
    // Without the two empty blocks at its end.
    while good.ends_with(&[0; 512]) {
        good.truncate(good.len() - 512);
    }
    let mut builder = tar::Builder::new(good);
    for entry in entries {
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..entry.path.len()].copy_from_slice(entry.path.as_bytes());
        old.linkname[..entry.target.len()].copy_from_slice(entry.target.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_mode(0o644);
        header.set_size(entry.content.len() as u64);
        header.set_cksum();
        builder.append(&header, entry.content)?;
    }
    Ok(NewImage {
        layers: vec![NewLayer::tar(builder.into_inner()?)],
        ..NewImage::default()
    })
}

/// The same as the image of a catalog below `/configs`.
pub(super) fn catalog(mut image: NewImage) -> NewImage {
    let label = (CATALOG_LABEL.to_owned(), "/configs".to_owned());
    image.labels.extend([label]);
    image
}

/// A file of zeros of this many MiB, packed into almost nothing.
pub(super) fn bomb(path: &str, mebibytes: usize) -> Result<NewImage> {
    Ok(NewImage {
        layers: vec![bombs::packed(&bombs::zeros(path, mebibytes << 20)?)?],
        ..NewImage::default()
    })
}
