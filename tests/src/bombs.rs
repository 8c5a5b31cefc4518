//! Images that are small where they come from and large where they are read, or would be.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use olm_fs::Digest;
use olm_registry::push::{NewImage, NewLayer};
use serde_json::json;
use tar::{Builder, EntryType, Header};

const MIB: usize = 1 << 20;

/// A bundle of the format `plain+v0` that must be refused.
#[derive(Clone, Debug)]
pub struct Bomb {
    /// What it does.
    pub name: &'static str,
    /// What is pushed.
    pub image: NewImage,
    /// A part of what is told of it.
    pub told: &'static str,
}

impl Bomb {
    /// Bytes of its layers as they are pushed.
    pub fn size(&self) -> usize {
        self.image.layers.iter().map(NewLayer::size).sum()
    }
}

/// One of each kind.
///
/// # Errors
/// When one cannot be packed.
pub fn bombs() -> Result<Vec<Bomb>> {
    let bomb = |name, layers: Vec<NewLayer>, told| Bomb {
        name,
        image: NewImage {
            layers,
            ..NewImage::default()
        },
        told,
    };
    let text = |text: String| -> Result<Vec<NewLayer>> {
        Ok(vec![packed(&tar(&[(
            "manifests/a.yaml",
            text.as_bytes(),
        )])?)?])
    };
    Ok(vec![
        bomb(
            "tar-count",
            vec![packed(&many()?)?],
            "more than 50000 entries",
        ),
        bomb(
            "tar-size",
            vec![NewLayer::tar(large()?)],
            "bytes kept on disk",
        ),
        bomb(
            "path-length",
            vec![packed(&long_path()?)?],
            "bytes in a path",
        ),
        bomb(
            "sparse-tar",
            vec![packed(&sparse()?)?],
            "sparse files are not supported",
        ),
        bomb("nested-gzip", vec![nested()?], "cannot be read as tar"),
        bomb(
            "gzip-ratio",
            vec![packed(&zeros("zeros", 200 * MIB)?)?],
            "expanded bytes per compressed byte",
        ),
        bomb("zstd-window", vec![wide_window()?], "too much memory"),
        bomb(
            "yaml-aliases",
            text(yaml_aliases())?,
            "repetition limit exceeded",
        ),
        bomb(
            "yaml-depth",
            text("[".repeat(100_000) + &"]".repeat(100_000))?,
            "nests deeper than",
        ),
        bomb(
            "json-depth",
            text("{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000))?,
            "nests deeper than",
        ),
        bomb("huge-scalar", text(huge_scalar())?, "bytes in one file"),
        bomb("layer-count", layers()?, "layers"),
    ])
}

/// A document of 30 lines that would be 10 to the power of 30 nodes.
pub fn yaml_aliases() -> String {
    let first = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    let more = (1..30).map(|level| {
        let ten = vec![format!("*a{}", level - 1); 10].join(", ");
        format!("a{level}: &a{level} [{ten}]\n")
    });
    std::iter::once(first).chain(more).collect()
}

/// A file of zeros, which packs into almost nothing.
///
/// # Errors
/// When the path is too long.
pub fn zeros(path: &str, bytes: usize) -> Result<Vec<u8>> {
    tar(&[(path, &vec![0; bytes])])
}

/// A tar as a layer, compressed as well as can be.
///
/// # Errors
/// None that memory would give.
pub fn packed(tar: &[u8]) -> Result<NewLayer> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(tar)?;
    Ok(NewLayer::tar_gz(packed.finish()?, Digest::of(tar)))
}

fn tar(files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = header(EntryType::Regular, content.len() as u64);
        builder.append_data(&mut header, path, *content)?;
    }
    Ok(builder.into_inner()?)
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header
}

fn many() -> Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for number in 0..60_000 {
        let path = format!("manifests/{number}.yaml");
        builder.append_data(&mut header(EntryType::Regular, 0), path, &[][..])?;
    }
    Ok(builder.into_inner()?)
}

fn large() -> Result<Vec<u8>> {
    let content = vec![b'#'; 15 * MIB];
    let names: Vec<String> = (0..6)
        .map(|number| format!("manifests/{number}.yaml"))
        .collect();
    let files: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), content.as_slice()))
        .collect();
    tar(&files)
}

fn long_path() -> Result<Vec<u8>> {
    let path = format!("manifests/{}a.yaml", "directory/".repeat(120));
    tar(&[(&path, b"a: b")])
}

/// A file of 4 GiB, of which one block is stored (the old sparse form of GNU tar).
fn sparse() -> Result<Vec<u8>> {
    let mut header = header(EntryType::GNUSparse, 512);
    header.set_path("manifests/a.yaml")?;
    let gnu = header.as_gnu_mut().context("no GNU header")?;
    let part = gnu.sparse.first_mut().context("no room for a part")?;
    part.offset.copy_from_slice(b"37777777000\0");
    part.numbytes.copy_from_slice(b"00000001000\0");
    gnu.realsize.copy_from_slice(b"40000000000\0");
    header.set_cksum();
    let mut builder = Builder::new(Vec::new());
    builder.append(&header, &[b'#'; 512][..])?;
    Ok(builder.into_inner()?)
}

fn nested() -> Result<NewLayer> {
    let mut bytes = zeros("manifests/a.yaml", 15 * MIB)?;
    for _ in 0..4 {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&bytes)?;
        bytes = packed.finish()?;
    }
    let digest = Digest::of(&bytes);
    Ok(NewLayer::tar_gz(bytes, digest))
}

/// Whoever reads it has to hold 128 MiB.
fn wide_window() -> Result<NewLayer> {
    let plain = zeros("manifests/a.yaml", 15 * MIB)?;
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1)?;
    encoder.window_log(27)?;
    encoder.write_all(&plain)?;
    Ok(NewLayer::tar_gz(encoder.finish()?, Digest::of(&plain)))
}

fn huge_scalar() -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
        "data": {"a": "#".repeat(17 * MIB)}})
    .to_string()
}

fn layers() -> Result<Vec<NewLayer>> {
    (0..600)
        .map(|number| {
            let path = format!("manifests/{number}.yaml");
            packed(&tar(&[(path.as_str(), b"")])?)
        })
        .collect()
}
