//! What layers do to a directory, and what they cannot do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::io::{self, Read, Write};

use olm_fs::layers::{Applier, Cap, Caps, LayerError, PathFilter};
use olm_fs::{DirTree, Pending, Store};
use olm_tree::{NodeKind, RelPath, Tree};
use proptest::prelude::*;
use rstest::rstest;
use tar::{EntryType, Header};
use tempfile::TempDir;

/// A tar whose names are written as they are, also those that a well-behaved archiver refuses.
#[derive(Default)]
struct Layer(Vec<u8>);

impl Layer {
    fn raw(mut self, kind: EntryType, name: &[u8], link: &[u8], size: u64, data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(kind);
        header.set_mode(0o4777);
        header.set_uid(1234);
        header.set_size(size);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, data: &str) -> Self {
        self.raw(
            EntryType::Regular,
            name.as_bytes(),
            b"",
            data.len() as u64,
            data.as_bytes(),
        )
    }

    fn dir(self, name: &str) -> Self {
        self.raw(EntryType::Directory, name.as_bytes(), b"", 0, b"")
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.raw(
            EntryType::Symlink,
            name.as_bytes(),
            target.as_bytes(),
            0,
            b"",
        )
    }

    fn hard_link(self, name: &str, target: &str) -> Self {
        self.raw(EntryType::Link, name.as_bytes(), target.as_bytes(), 0, b"")
    }

    fn pax(self, key: &str, value: &str) -> Self {
        let mut length = key.len() + value.len() + 3;
        length += length.to_string().len();
        let mut record = format!("{length} {key}={value}\n");
        if record.len() != length {
            record = format!("{} {key}={value}\n", record.len());
        }
        self.raw(
            EntryType::XHeader,
            b"pax",
            b"",
            record.len() as u64,
            record.as_bytes(),
        )
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

struct Target {
    _scratch: TempDir,
    pending: Pending,
}

fn target() -> Target {
    let scratch = tempfile::tempdir().unwrap();
    let pending = Store::open(scratch.path()).unwrap().begin().unwrap();
    Target {
        _scratch: scratch,
        pending,
    }
}

fn apply(layers: &[Vec<u8>], filter: PathFilter, caps: Caps) -> Result<String, LayerError> {
    let target = target();
    let mut applier = Applier::new(&target.pending, filter, caps).unwrap();
    for layer in layers {
        applier.apply(layer.as_slice())?;
    }
    Ok(listing(&target.pending.tree().unwrap()))
}

fn all(layers: &[Vec<u8>]) -> Result<String, LayerError> {
    apply(layers, PathFilter::all(), Caps::BUNDLE)
}

/// `path=content` of every file and `path/` of every directory without files, separated by blanks.
fn listing(tree: &DirTree) -> String {
    fn walk(tree: &DirTree, at: &RelPath, out: &mut Vec<String>) {
        let entries = tree.list(at).unwrap();
        if entries.is_empty() && !at.as_str().is_empty() {
            out.push(format!("{at}/"));
        }
        for entry in entries {
            let path = at.join(&entry.name).unwrap();
            if entry.kind == NodeKind::Directory {
                walk(tree, &path, out);
            } else {
                let content = tree.read(&path, 1 << 20).unwrap();
                out.push(format!("{path}={}", String::from_utf8_lossy(&content)));
            }
        }
    }
    let mut out = Vec::new();
    walk(tree, &RelPath::root(), &mut out);
    out.join(" ")
}

#[rstest]
#[case::later_layers_replace_files(
    vec![Layer::default().file("a", "1").file("b", "1"), Layer::default().file("./a", "2")],
    "a=2 b=1"
)]
#[case::directories_merge(
    vec![Layer::default().dir("d/").file("d/x", "1"), Layer::default().dir("d/").file("d/y", "2")],
    "d/x=1 d/y=2"
)]
#[case::parents_are_made_on_demand(vec![Layer::default().file("p/q/r", "1")], "p/q/r=1")]
#[case::a_whiteout_removes_what_a_lower_layer_put_there(
    vec![Layer::default().file("a", "1").file("d/x", "1").file("d/y", "1"),
         Layer::default().file(".wh.a", "").file("d/.wh.x", "")],
    "d/y=1"
)]
#[case::a_whiteout_removes_a_directory(
    vec![Layer::default().file("d/e/x", "1").file("d/f", "1"), Layer::default().file("d/.wh.e", "")],
    "d/f=1"
)]
#[case::a_whiteout_leaves_its_own_layer_alone(
    vec![Layer::default().file("d/x", "1"), Layer::default().file("d/x", "2").file("d/.wh.x", "")],
    "d/x=2"
)]
#[case::an_opaque_directory_keeps_only_its_own_layer_in_any_order(
    vec![Layer::default().file("d/x", "1").file("d/e/y", "1"),
         Layer::default().dir("d").file("d/e/z", "2").file("d/.wh..wh..opq", "")],
    "d/e/z=2"
)]
#[case::an_opaque_root_empties_everything(
    vec![Layer::default().file("d/x", "1"), Layer::default().file(".wh..wh..opq", "").file("n", "2")],
    "n=2"
)]
#[case::a_whiteout_of_nothing_that_exists_is_fine(vec![Layer::default().file(".wh.none", "")], "")]
#[case::bookkeeping_of_old_union_file_systems_is_ignored(
    vec![Layer::default().dir(".wh..wh.plnk").file("a", "1")], "a=1"
)]
#[case::a_file_replaces_a_directory(
    vec![Layer::default().file("d/x", "1"), Layer::default().file("d", "2")], "d=2"
)]
#[case::a_directory_replaces_a_file(
    vec![Layer::default().file("d", "1"), Layer::default().dir("d").file("d/x", "2")], "d/x=2"
)]
#[case::symbolic_links_are_left_out(
    vec![Layer::default().file("a", "1").symlink("l", "a").symlink("out", "/etc")], "a=1"
)]
#[case::a_symbolic_link_replaces_what_was_there(
    vec![Layer::default().file("a", "1").file("b", "1"), Layer::default().symlink("a", "b")], "b=1"
)]
#[case::a_file_below_a_symbolic_link_lands_in_a_real_directory(
    vec![Layer::default().symlink("d", "/tmp").file("d/x", "1")], "d/x=1"
)]
#[case::hard_links_resolve_inside_the_root(
    vec![Layer::default().file("d/a", "1").hard_link("b", "d/a"), Layer::default().hard_link("c", "/b")],
    "b=1 c=1 d/a=1"
)]
#[case::replacing_one_name_of_a_hard_link_leaves_the_other(
    vec![Layer::default().file("a", "1").hard_link("b", "a"), Layer::default().file("a", "2")],
    "a=2 b=1"
)]
#[case::a_file_whose_name_ends_with_a_slash_is_a_directory(
    vec![Layer::default().file("d/", "")], "d/"
)]
#[case::long_names_come_from_extension_headers(
    vec![Layer::default().pax("path", "p/q").file("ignored", "1")
        .raw(EntryType::GNULongName, b"././@LongLink", b"", 4, b"r/s\0").file("ignored", "2")],
    "p/q=1 r/s=2"
)]
#[case::global_headers_are_ignored(
    vec![Layer::default().raw(EntryType::XGlobalHeader, b"g", b"", 12, b"12 path=oth\n").file("a", "1")],
    "a=1"
)]
#[case::names_that_no_tree_can_hold_are_left_out(
    vec![Layer::default().raw(EntryType::Regular, b"\xff", b"", 1, b"x").file("a\\b", "1").file("c", "1")],
    "c=1"
)]
#[case::the_root_itself_may_be_named(vec![Layer::default().dir("./").file("./a", "1")], "a=1")]
fn layers_build_a_tree(#[case] layers: Vec<Layer>, #[case] expected: &str) {
    let layers: Vec<_> = layers.into_iter().map(Layer::end).collect();
    assert_eq!(all(&layers).unwrap(), expected);
}

#[rstest]
#[case::parent(Layer::default().file("../x", "1"), "entry `../x` is refused: its path holds `..`")]
#[case::parent_in_the_middle(
    Layer::default().file("a/../../x", "1"), "entry `a/../../x` is refused: its path holds `..`"
)]
#[case::absolute(Layer::default().file("/etc/passwd", "1"), "entry `/etc/passwd` is refused: its path is absolute")]
#[case::empty(Layer::default().file("", "1"), "entry `` is refused: its path is empty")]
#[case::nul(
    Layer::default().pax("path", "a\0b").file("x", "1"), "entry `a\\0b` is refused: its path holds a NUL"
)]
#[case::parent_by_extension_header(
    Layer::default().pax("path", "../x").file("x", "1"), "entry `../x` is refused: its path holds `..`"
)]
#[case::whiteout_of_the_parent(
    Layer::default().file("d/.wh...", ""), "entry `d/.wh...` is refused: it is a whiteout of nothing"
)]
#[case::device(
    Layer::default().raw(EntryType::Char, b"null", b"", 0, b""), "entry `null` is refused: it is a character device"
)]
#[case::fifo(Layer::default().raw(EntryType::Fifo, b"f", b"", 0, b""), "entry `f` is refused: it is a FIFO")]
#[case::file_used_as_a_directory(
    Layer::default().file("a", "1").file("a/b", "1"), "entry `a/b` lies below a file"
)]
#[case::file_used_as_a_directory_by_a_directory(
    Layer::default().file("a", "1").dir("a/b/c"), "entry `a/b/c` lies below a file"
)]
#[case::hard_link_to_nothing(
    Layer::default().hard_link("a", "etc/passwd"),
    "entry `a` is a hard link to `etc/passwd`, which is not among the kept files"
)]
#[case::hard_link_out(
    Layer::default().hard_link("a", "../../etc/passwd"),
    "entry `a -> ../../etc/passwd` is refused: its path holds `..`"
)]
#[case::hard_link_to_a_directory(
    Layer::default().dir("d").hard_link("a", "d"),
    "entry `a` is a hard link to `d`, which is not among the kept files"
)]
#[case::hard_link_below_its_target(
    Layer::default().file("a", "1").hard_link("a/b", "a"), "entry `a/b` lies below a file"
)]
#[case::sparse(
    Layer::default().raw(EntryType::GNUSparse, b"s", b"", 0, b""),
    "entry `s` is refused: sparse files are not supported"
)]
#[case::two_sizes(
    Layer::default().pax("size", "0").file("a", "1"),
    "entry `a` is refused: two different sizes in its headers"
)]
fn an_entry_that_is_refused_is_named(#[case] layer: Layer, #[case] expected: &str) {
    let error = all(&[layer.end()]).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert!(error.is_content());
}

#[rstest]
#[case::only_the_folder(
    vec![Layer::default().file("configs/a", "1").file("bin/x", "1").file("configs2/x", "1")],
    "/configs", "configs/a=1"
)]
#[case::a_nested_folder_by_its_full_path(
    vec![Layer::default().file("a/configs/x", "1").file("configs/y", "1")], "a/configs", "a/configs/x=1"
)]
#[case::whiteouts_reach_into_it(
    vec![Layer::default().file("a/configs/x", "1"), Layer::default().file(".wh.a", "")], "a/configs", ""
)]
#[case::a_file_in_place_of_its_parent_removes_it(
    vec![Layer::default().file("a/configs/x", "1"), Layer::default().file("a", "1")], "a/configs", ""
)]
#[case::devices_outside_do_not_matter(
    vec![Layer::default().raw(EntryType::Block, b"dev/sda", b"", 0, b"").file("configs/a", "1")],
    "configs", "configs/a=1"
)]
fn a_filter_keeps_one_folder(
    #[case] layers: Vec<Layer>,
    #[case] label: &str,
    #[case] expected: &str,
) {
    let layers: Vec<_> = layers.into_iter().map(Layer::end).collect();
    let filter = PathFilter::from_label(label).unwrap();
    let listed = apply(&layers, filter, Caps::CATALOG).unwrap();
    assert_eq!(listed, expected);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

#[test]
fn compression_is_found_out_by_the_first_bytes() {
    let plain = Layer::default().file("a", "1").end();
    let (first, second) = plain.split_at(700);
    let members = [gzip(first), gzip(second)].concat();
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9][..], &zstd(&plain)].concat();
    for layer in [
        gzip(&plain),
        zstd(&plain),
        members,
        skippable,
        plain,
        Vec::new(),
    ] {
        let expected = if layer.is_empty() { "" } else { "a=1" };
        assert_eq!(all(&[layer]).unwrap(), expected);
    }
}

/// Hands out one byte at a time and notes how many were taken.
struct Slow<'a>(&'a [u8], &'a mut usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read(&mut buffer[..1])?;
        *self.1 += n;
        Ok(n)
    }
}

#[test]
fn a_layer_is_read_to_its_last_byte() {
    let mut plain = Layer::default().file("a", "1").end();
    plain.resize(20_480, 0);
    for layer in [gzip(&plain), zstd(&plain), plain] {
        let target = target();
        let mut applier = Applier::new(&target.pending, PathFilter::all(), Caps::BUNDLE).unwrap();
        let mut taken = 0;
        applier.apply(Slow(&layer, &mut taken)).unwrap();
        assert_eq!(taken, layer.len());
    }
}

#[rstest]
#[case::tar_in_a_file(Layer::default().file("a", "1").file("b", "123").0[..1700].to_vec())]
#[case::tar_in_a_header(Layer::default().file("a", "1").file("b", "123").0[..1100].to_vec())]
#[case::gzip(gzip(&Layer::default().file("a", "1").end())[..60].to_vec())]
#[case::zstd(zstd(&Layer::default().file("a", "1").end())[..40].to_vec())]
#[case::size_beyond_the_end(Layer::default().raw(EntryType::Regular, b"a", b"", 1 << 20, b"1").end())]
#[case::no_tar_at_all(vec![7; 2000])]
#[case::text(b"<html>not found</html>".to_vec())]
fn a_layer_that_ends_early_or_is_no_tar_is_an_error(#[case] layer: Vec<u8>) {
    let error = all(&[layer]).unwrap_err();
    assert!(matches!(error, LayerError::Format { .. }), "{error:?}");
    assert!(error.is_content());
}

#[test]
fn a_corrupted_checksum_of_the_compression_is_an_error() {
    let mut layer = gzip(&Layer::default().file("a", "1").end());
    let at = layer.len() - 6;
    layer[at] ^= 1;
    assert!(matches!(all(&[layer]), Err(LayerError::Format { .. })));
}

#[test]
fn a_reader_that_fails_is_not_the_fault_of_the_content() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let bytes = gzip(&Layer::default().file("a", "1").end());
    let target = target();
    let mut applier = Applier::new(&target.pending, PathFilter::all(), Caps::BUNDLE).unwrap();
    let error = applier.apply(bytes[..30].chain(Broken)).unwrap_err();
    assert!(
        matches!(error, LayerError::Read { .. }) && !error.is_content(),
        "{error:?}"
    );
}

const SMALL: Caps = Caps {
    compressed_bytes: 8 << 10,
    expanded_bytes: 80 << 20,
    kept_bytes: 100,
    file_bytes: 60,
    entries: 8,
    path_bytes: 40,
    ratio: 500,
};

#[rstest]
#[case::file(Layer::default().file("big", &"x".repeat(61)).end(), Cap::FileBytes, "big")]
#[case::kept(
    Layer::default().file("a", &"x".repeat(60)).file("b", &"x".repeat(41)).end(), Cap::KeptBytes, "b"
)]
#[case::hard_links_count_as_copies(
    Layer::default().file("a", &"x".repeat(60)).hard_link("b", "a").end(), Cap::KeptBytes, "b"
)]
#[case::path(Layer::default().file(&"p".repeat(41), "").end(), Cap::PathBytes, "ppp")]
#[case::entries(
    (0..9).fold(Layer::default(), |layer, i| layer.file(&format!("f{i}"), "")).end(), Cap::Entries, "f7"
)]
#[case::directories_count_as_entries(
    Layer::default().file("a/b/c/d/e/f/g/h/i", "").end(), Cap::Entries, "a/b/c"
)]
#[case::extension_header(
    Layer::default().file("a", "").raw(EntryType::GNULongName, b"l", b"", 2 << 20, b"x").end(),
    Cap::HeaderBytes, "a"
)]
fn crossing_a_cap_names_the_cap_and_the_entry(
    #[case] layer: Vec<u8>,
    #[case] expected: Cap,
    #[case] at: &str,
) {
    let error = apply(&[layer], PathFilter::all(), SMALL).unwrap_err();
    let LayerError::Cap { cap, ref entry, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(cap, expected);
    assert!(entry.starts_with(at), "{error}");
}

#[test]
fn a_bomb_is_stopped_by_its_ratio_its_expansion_or_its_arrival() {
    let layer = |size: u64| {
        Layer::default()
            .raw(
                EntryType::Regular,
                b"zeros",
                b"",
                size,
                &vec![0; usize::try_from(size).unwrap()],
            )
            .end()
    };
    let outside = || PathFilter::from_label("configs").unwrap();
    let caps = Caps {
        compressed_bytes: 1 << 30,
        ..SMALL
    };
    let cap_of = |layer: Vec<u8>, caps: Caps| match apply(&[layer], outside(), caps) {
        Err(LayerError::Cap { cap, .. }) => cap,
        other => panic!("{other:?}"),
    };
    assert_eq!(cap_of(zstd(&layer(70 << 20)), caps), Cap::Ratio);
    let lax = Caps {
        ratio: u64::MAX,
        ..caps
    };
    assert_eq!(cap_of(zstd(&layer(81 << 20)), lax), Cap::ExpandedBytes);
    assert_eq!(cap_of(layer(9 << 10), SMALL), Cap::CompressedBytes);
    assert_eq!(
        apply(&[zstd(&layer(60 << 20))], outside(), caps).unwrap(),
        ""
    );
}

#[test]
fn caps_are_summed_over_layers() {
    let layer = || Layer::default().file("a", &"x".repeat(60)).end();
    let error = apply(&[layer(), layer()], PathFilter::all(), SMALL).unwrap_err();
    assert_eq!(
        error.to_string(),
        "at entry `a`: more than 100 bytes kept on disk"
    );
}

#[test]
fn a_zstd_window_above_32_mib_is_refused() {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder
        .write_all(&Layer::default().file("a", "1").end())
        .unwrap();
    let layer = encoder.finish().unwrap();
    assert!(matches!(all(&[layer]), Err(LayerError::Format { .. })));
}

#[test]
fn nothing_is_written_through_a_link_that_was_planted_in_the_directory() {
    let outside = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let pending = Store::open(scratch.path()).unwrap().begin().unwrap();
    let inside = std::fs::read_dir(scratch.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::os::unix::fs::symlink(outside.path(), inside.join("d")).unwrap();
    let mut applier = Applier::new(&pending, PathFilter::all(), Caps::BUNDLE).unwrap();
    let _refused = applier.apply(Layer::default().file("d/x", "1").end().as_slice());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the names and kinds, nothing panics and nothing appears beside the directory.
    #[test]
    fn random_archives_stay_inside(
        entries in proptest::collection::vec(
            ("[ab.]{1,2}(/([ab]|\\.\\.|\\.wh\\.[ab.]|\\.wh\\.\\.wh\\.\\.opq)){0,3}", 0..5_u8),
            0..12,
        ),
        junk in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let scratch = tempfile::tempdir().unwrap();
        let pending = Store::open(scratch.path()).unwrap().begin().unwrap();
        let mut layer = Layer::default();
        for (name, kind) in &entries {
            layer = match kind {
                0 | 1 => layer.file(name, "x"),
                2 => layer.dir(name),
                3 => layer.symlink(name, "../a"),
                _ => layer.hard_link(name, "a"),
            };
        }
        let mut bytes = layer.0;
        bytes.extend(junk);
        let mut applier = Applier::new(&pending, PathFilter::all(), Caps::BUNDLE).unwrap();
        let _result = applier.apply(bytes.as_slice());
        prop_assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
}

#[test]
fn an_archive_that_is_no_layer_has_no_whiteouts() {
    let target = target();
    let applier = Applier::new(&target.pending, PathFilter::all(), Caps::BUNDLE).unwrap();
    let archive = Layer::default().file("a", "1").file(".wh.a", "2").end();
    applier.of_archives().apply(archive.as_slice()).unwrap();
    assert_eq!(listing(&target.pending.tree().unwrap()), ".wh.a=2 a=1");
}
