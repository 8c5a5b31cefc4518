//! Trees of any arrangement and any size: what is read, what is lost, and what it takes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::format_collect,
    reason = "tests"
)]

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use olm_fbc::{FbcError, Limits, Located, Lost, Meta, Receiver, WalkReport, walk, walk_into};
use olm_tree::{Entry, MemoryTree, NodeKind, RelPath, Tree, TreeError};
use proptest::prelude::*;
use rstest::rstest;

fn tree(files: &[(&str, &str)]) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for (path, text) in files {
        tree.insert(path, *text).unwrap();
    }
    tree
}

fn load(tree: &dyn Tree) -> Result<(Vec<Located<Meta>>, WalkReport), FbcError> {
    let mut metas = Vec::new();
    let report = walk(tree, &RelPath::root(), &Limits::default(), &mut |meta| {
        metas.push(meta);
        ControlFlow::Continue(())
    })?;
    Ok((metas, report))
}

fn names(metas: &[Located<Meta>]) -> Vec<&str> {
    metas.iter().map(|meta| meta.item.name.as_str()).collect()
}

fn causes(report: &WalkReport) -> Vec<(&str, Option<usize>, Option<&str>, String)> {
    report
        .broken
        .iter()
        .map(|broken| {
            let mut text = broken.source.to_string();
            let mut source = std::error::Error::source(&broken.source);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            (
                broken.file.as_str(),
                broken.document,
                broken.package.as_deref(),
                text,
            )
        })
        .collect()
}

#[test]
fn a_bad_document_costs_its_package_and_no_other_of_its_file() {
    let tree = tree(&[(
        "catalog.yaml",
        "schema: olm.package\nname: good\n---\n\
         schema: olm.package\nname: bad\n---\n\
         schema: olm.bundle\npackage: good\nname: good.v1\n---\n\
         schema: olm.bundle\npackage: bad\nname: 1\n---\n\
         schema: olm.bundle\npackage: worse\nname: [\n---\n\
         schema: olm.channel\npackage: bad\nname: stable\n---\n\
         schema: olm.channel\npackage: worse\nname: stable\n---\n\
         schema: olm.channel\npackage: good\nname: stable\n",
    )]);
    let (metas, report) = load(&tree).unwrap();
    assert_eq!(names(&metas), ["good", "good.v1", "stable"]);
    assert_eq!((report.metas, report.more_broken), (3, 0));
    let broken = causes(&report);
    assert_eq!(broken[0].1, Some(3));
    assert_eq!(broken[0].2, Some("bad"));
    assert_eq!(
        broken[0].3,
        "document 3 is invalid: expected value for key \"name\" to be a string, got number"
    );
    assert_eq!((broken[1].1, broken[1].2), (Some(4), Some("worse")));
    assert!(
        broken[1]
            .3
            .starts_with("document 4 is invalid: cannot be parsed: document 4 (line "),
        "{}",
        broken[1].3
    );
    assert_eq!(broken.len(), 2);
    // The place of what is handed on is that in the file.
    let places: Vec<_> = metas
        .iter()
        .map(|meta| (meta.document, meta.line))
        .collect();
    assert_eq!(places, [(0, 1), (2, 7), (7, 27)]);
}

#[rstest]
#[case::nobody_knows_whose("schema: s\nname: a\n---\nschema: s\nname: [\n---\n- x\n", &[Some(1), Some(2)])]
#[case::json_has_no_end("{\"schema\":\"s\"}{\"schema\":\"s\"}{\"schema\":}{\"schema\":[]}", &[Some(2)])]
#[case::separator("schema: s\n---\nschema: s\n--- x\nschema: s\n", &[Some(1)])]
fn a_bad_document_of_no_known_package_costs_its_file(
    #[case] text: &str,
    #[case] documents: &[Option<usize>],
) {
    let tree = tree(&[("a", text), ("b", "schema: s\nname: kept\n")]);
    let (metas, report) = load(&tree).unwrap();
    assert_eq!(names(&metas), ["kept"]);
    assert_eq!((report.files, report.metas), (2, 1));
    let broken = causes(&report);
    let found: Vec<_> = broken.iter().map(|broken| broken.1).collect();
    assert_eq!(found, documents);
    assert!(
        broken
            .iter()
            .all(|broken| broken.0 == "a" && broken.2.is_none())
    );
}

#[test]
fn thousands_of_bad_documents_are_counted_and_some_are_named() {
    let text = "schema: s\nname: 5\n---\n".repeat(3000);
    let (_, report) = load(&tree(&[("a", &text), ("b", "schema: s")])).unwrap();
    assert_eq!((report.broken.len(), report.more_broken), (1000, 2000));
}

#[test]
fn the_documents_of_a_tree_have_a_limit() {
    let tree = tree(&[("a", "{}{}{}"), ("b", "schema: s\n---\nschema: s\n")]);
    let walked = |max_documents| {
        let limits = Limits {
            max_documents,
            ..Limits::default()
        };
        walk(&tree, &RelPath::root(), &limits, &mut |_| {
            ControlFlow::Continue(())
        })
    };
    assert_eq!(walked(5).unwrap().metas, 5);
    let error = walked(4).unwrap_err().to_string();
    assert_eq!(error, "catalog has more than 4 documents");
}

#[derive(Debug, Default)]
struct Seen(Vec<String>);

impl Receiver for Seen {
    fn meta(&mut self, meta: Located<Meta>) -> ControlFlow<()> {
        self.0.push(meta.item.name);
        ControlFlow::Continue(())
    }

    fn end(&mut self, lost: Lost<'_>) -> ControlFlow<()> {
        self.0.push(format!("{lost:?}"));
        ControlFlow::Continue(())
    }
}

#[test]
fn a_receiver_is_told_at_the_end_of_each_file_what_of_it_is_lost() {
    let tree = tree(&[
        ("a", "{\"name\":\"a\"}"),
        (
            "b",
            "{\"name\":\"b\",\"schema\":\"s\",\"package\":\"p\"}\n---\n{\"schema\":\"s\",\"package\":\"p\",\"name\":1}",
        ),
        ("c", "name: c\n---\nname: 1\n"),
        ("d", ""),
    ]);
    let mut seen = Seen::default();
    let report = walk_into(&tree, &RelPath::root(), &Limits::default(), &mut seen).unwrap();
    assert_eq!(
        seen.0,
        [
            "a",
            "Nothing",
            "b",
            "Packages({\"p\"})",
            "c",
            "Everything",
            "Nothing"
        ]
    );
    assert_eq!((report.files, report.metas), (4, 1));
}

/// One file whose content is made as it is read, and how much of it was.
struct Endless {
    head: &'static str,
    size: u64,
    read: AtomicU64,
}

struct Making<'a>(&'a Endless, u64);

impl Read for Making<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self(endless, at) = self;
        let head = endless.head.as_bytes().iter().copied();
        let skipped = usize::try_from(*at).unwrap().min(endless.head.len());
        let mut content = head.skip(skipped).chain(std::iter::repeat(b'x'));
        let left = usize::try_from(endless.size - *at).unwrap();
        let count = buffer.len().min(left);
        buffer[..count].fill_with(|| content.next().unwrap());
        *at += count as u64;
        endless.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Tree for Endless {
    fn list(&self, _: &RelPath) -> Result<Vec<Entry>, TreeError> {
        let file = |name: &str, size| Entry {
            name: name.to_owned(),
            kind: NodeKind::File,
            size,
        };
        Ok(vec![file("big", self.size), file("small", 20)])
    }

    fn read(&self, file: &RelPath, _: u64) -> Result<Vec<u8>, TreeError> {
        assert_eq!(file.as_str(), "small", "no large file is read whole");
        Ok(b"schema: s\nname: kept".to_vec())
    }

    fn reader(&self, file: &RelPath) -> Result<Box<dyn Read + Send + '_>, TreeError> {
        if file.as_str() == "big" {
            return Ok(Box::new(Making(self, 0)));
        }
        Ok(Box::new(io::Cursor::new(self.read(file, 0)?)))
    }
}

#[rstest]
#[case::yaml("schema: s\npackage: p\ntext: ")]
#[case::json("{\"schema\":\"s\",\"text\":\"")]
#[case::blank_json("{}{}{}  {")]
fn a_document_of_half_a_gigabyte_is_refused_by_name_without_being_read(#[case] head: &'static str) {
    let endless = Endless {
        head,
        size: 500 << 20,
        read: AtomicU64::new(0),
    };
    let (metas, report) = load(&endless).unwrap();
    assert_eq!(names(&metas), ["kept"]);
    let broken = causes(&report);
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0].0, "big");
    assert!(
        broken[0].3.ends_with("it has more than 16777216 bytes"),
        "{}",
        broken[0].3
    );
    assert!(endless.read.into_inner() < 17 << 20);
}

/// The documents of a file as a reader of the whole file finds them.
fn whole(text: &str) -> Option<Vec<Meta>> {
    let documents = olm_yaml::documents(text.as_bytes(), &olm_yaml::Limits::default());
    documents
        .map(|document| Meta::from_value(&document.ok()?.value).ok())
        .collect()
}

fn document() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "1",
        "0x1F",
        "1.50",
        "yes",
        "~",
        "\"q\\u00e9\"",
        "'s'",
        "[a, {b: c}]",
        "|\n    ---\n    x\n",
        ">-\n    folded\n    text\n",
        "2024-01-01",
        "{}",
    ]);
    (value, 0..4_u8, 0..50_u32).prop_map(|(value, kind, n)| match kind {
        0 => format!("schema: s\nname: n{n}\nz: {value}\na:\n- {n}\n"),
        1 => format!("{{\"schema\":\"s\",\"name\":\"n{n}\",\"a\":[{n}.0,1e3],\"A\":{{\"d\":1,\"c\":\"<\\u003e\"}}}}\n"),
        2 => format!("{{schema: s, name: n{n}, x: [a, 'b']}}\n"),
        _ => format!("# comment\nname: n{n}\nschema: s\n"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn documents_of_any_arrangement_are_those_of_a_reader_of_whole_files(
        documents in prop::collection::vec((document(), 0..4_usize), 1..8),
        dos in any::<bool>(),
    ) {
        let separators = ["", "---\n", "\n--- # next\n", "---\n---\n"];
        let text: String = documents
            .iter()
            .map(|(document, separator)| format!("{}{document}", separators[*separator]))
            .collect();
        let text = if dos { text.replace('\n', "\r\n") } else { text };
        let read = load(&tree(&[("f", &text)]));
        match whole(&text) {
            Some(expected) if !expected.is_empty() => {
                let (metas, report) = read.unwrap();
                prop_assert!(report.broken.is_empty());
                let metas: Vec<_> = metas.into_iter().map(|meta| meta.item).collect();
                prop_assert_eq!(metas, expected);
            }
            _ => prop_assert!(read.is_err()),
        }
    }
}

#[test]
fn real_catalogs_are_read_as_a_reader_of_whole_files_reads_them() {
    let Some(catalogs) = olm_testdata::find("catalogs").unwrap() else {
        return;
    };
    let mut read = 0;
    for catalog in std::fs::read_dir(catalogs).unwrap() {
        let (mut yaml, mut json) = (MemoryTree::new(), MemoryTree::new());
        let mut expected = Vec::new();
        let mut packages: Vec<_> = std::fs::read_dir(catalog.unwrap().path())
            .unwrap()
            .map(|package| package.unwrap().path())
            .collect();
        packages.sort();
        for package in packages {
            let text = std::fs::read_to_string(package.join("catalog.yaml")).unwrap();
            let name = package.file_name().unwrap().to_str().unwrap();
            yaml.insert(&format!("{name}/catalog.yaml"), text.as_str())
                .unwrap();
            let mut documents = String::new();
            for document in olm_yaml::documents(text.as_bytes(), &olm_yaml::Limits::default()) {
                let value = document.unwrap().value;
                documents += &serde_json::to_string_pretty(&value).unwrap();
                expected.push(Meta::from_value(&value).unwrap());
            }
            json.insert(&format!("{name}/catalog.json"), documents)
                .unwrap();
        }
        for tree in [yaml, json] {
            let (metas, report) = load(&tree).unwrap();
            assert!(report.broken.is_empty());
            assert_eq!(metas.len(), expected.len());
            for (meta, expected) in metas.into_iter().zip(&expected) {
                assert_eq!(meta.item, *expected);
            }
        }
        read += expected.len();
    }
    assert!(read > 925, "both catalogs are there");
}
