//! Trees, lines and what is left of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::format_collect,
    reason = "tests"
)]

use std::ops::ControlFlow;

use olm_fbc::{
    FbcError, Item, Limits, LineError, Meta, Reading, WalkReport, read_item, read_lines, walk,
};
use olm_tree::{MemoryTree, RelPath};
use rstest::rstest;
use serde_json::json;

fn tree(files: &[(&str, &str)]) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for (path, text) in files {
        tree.insert(path, *text).unwrap();
    }
    tree
}

fn load(tree: &MemoryTree) -> Result<(Vec<Meta>, WalkReport), FbcError> {
    let mut metas = Vec::new();
    let report = walk(tree, &RelPath::root(), &Limits::default(), &mut |meta| {
        metas.push(meta.item);
        ControlFlow::Continue(())
    })?;
    Ok((metas, report))
}

#[test]
fn documents_come_in_path_order_and_in_the_order_of_their_file() {
    let tree = tree(&[
        (
            "b/x.yaml",
            "---\nschema: s\nname: two\n---\nschema: s\nname: three\n",
        ),
        (
            "a.json",
            "{\"schema\":\"s\",\"name\":\"one\"}\n{\"Schema\":\"s\",\"NAME\":\"one-b\",\"package\":null}",
        ),
        (
            "b/y/z",
            "schema: s\nname: four\npackage: p\nx: {b: 1.0, a: <&>}\n",
        ),
        ("README.md", "x"),
        (".indexignore", "*.md\n"),
    ]);
    let (metas, report) = load(&tree).unwrap();
    let names: Vec<_> = metas.iter().map(|meta| meta.name.as_str()).collect();
    assert_eq!(names, ["one", "one-b", "two", "three", "four"]);
    assert_eq!(
        metas[1].line,
        r#"{"NAME":"one-b","Schema":"s","package":null}"#
    );
    assert_eq!(
        metas[4].line,
        r#"{"name":"four","package":"p","schema":"s","x":{"a":"<&>","b":1}}"#
    );
    assert_eq!((report.files, report.ignored, report.metas), (3, 1, 5));
}

#[test]
fn a_broken_file_is_left_out_whole_and_the_others_go_on() {
    let tree = tree(&[
        (
            "a/catalog.yaml",
            "schema: s\nname: a\n---\nschema: s\nname: [\n",
        ),
        ("b/catalog.yaml", "schema: s\nname: b\n"),
        ("c/catalog.yaml", "- list\n"),
        ("d/catalog.yaml", "schema: s\nname: 1.0\n"),
        ("e/catalog.yaml", "schema: s\nSchema: s\n"),
    ]);
    let (metas, report) = load(&tree).unwrap();
    assert_eq!(metas.len(), 1);
    assert_eq!(metas[0].name, "b");
    let broken: Vec<_> = report
        .broken
        .iter()
        .map(|broken| {
            let source = std::error::Error::source(&broken.source)
                .unwrap()
                .to_string();
            (broken.file.as_str(), broken.document, source)
        })
        .collect();
    let text = |text: &str| text.to_owned();
    assert_eq!(
        broken,
        [
            ("a/catalog.yaml", Some(1), text("cannot be parsed")),
            (
                "c/catalog.yaml",
                Some(0),
                text("expected an object, got array")
            ),
            (
                "d/catalog.yaml",
                Some(0),
                text("expected value for key \"name\" to be a string, got number")
            ),
            (
                "e/catalog.yaml",
                Some(0),
                text("duplicate keys for key \"schema\": [Schema schema]")
            ),
        ]
    );
}

#[test]
fn a_tree_without_any_readable_document_is_an_error() {
    assert!(
        matches!(load(&tree(&[("a", "- x")])), Err(FbcError::AllBroken { broken }) if broken.len() == 1)
    );
    assert!(matches!(
        load(&tree(&[("a", "# nothing")])),
        Err(FbcError::Empty)
    ));
    assert!(matches!(load(&tree(&[])), Err(FbcError::Empty)));
    let missing = walk(
        &MemoryTree::new(),
        &RelPath::parse("configs").unwrap(),
        &Limits::default(),
        &mut |_| ControlFlow::Continue(()),
    );
    assert!(matches!(missing, Err(FbcError::Tree { .. })));
}

#[test]
fn a_walk_stops_when_told_and_at_its_limits() {
    let tree = tree(&[("a", "schema: s"), ("b/c/d", "schema: s")]);
    let mut seen = 0;
    let report = walk(&tree, &RelPath::root(), &Limits::default(), &mut |_| {
        seen += 1;
        ControlFlow::Break(())
    })
    .unwrap();
    assert!(report.stopped && seen == 1);
    for limits in [
        Limits {
            max_files: 1,
            ..Limits::default()
        },
        Limits {
            max_depth: 1,
            ..Limits::default()
        },
    ] {
        let walked = walk(&tree, &RelPath::root(), &limits, &mut |_| {
            ControlFlow::Continue(())
        });
        assert!(matches!(walked, Err(FbcError::TooMany { .. })));
    }
}

#[test]
fn only_what_resolution_needs_is_kept_of_a_bundle() {
    let line = json!({
        "schema": "olm.bundle", "package": "p", "name": "p.v1", "image": "i",
        "properties": [
            {"type": "olm.package", "value": {"packageName": "p", "version": "1.0.0"}},
            {"type": "olm.csv.metadata", "value": {
                "minKubeVersion": "1.30.0", "annotations": {"olm.substitutesFor": "p.v0", "x": "y"}}},
            {"type": "olm.bundle.object", "value": {"data": "x"}},
            {"type": "odd"},
        ],
        "relatedImages": [{"name": "", "image": "r"}],
    })
    .to_string();
    let read = |drop_descriptions| {
        let reading = Reading {
            drop_descriptions,
            ..Reading::default()
        };
        match read_item(line.as_bytes(), 1, &reading).unwrap() {
            Item::Bundle(bundle) => bundle,
            other => panic!("{other:?}"),
        }
    };
    let small = read(true);
    let types: Vec<_> = small.properties.iter().map(|p| p.type_.as_str()).collect();
    assert_eq!(types, ["olm.package", "odd"]);
    assert_eq!(small.properties[1].value.get(), "null");
    assert_eq!(small.csv.min_kube_version.as_deref(), Some("1.30.0"));
    assert_eq!(small.csv.substitutes_for.as_deref(), Some("p.v0"));
    assert!(small.related_images.is_empty());
    let whole = read(false);
    assert_eq!((whole.properties.len(), whole.related_images.len()), (4, 1));
}

#[rstest]
#[case(
    "{\"schema\":\"olm.channel\",\"package\":\"p\",\"name\":\"c\",\"entries\":5}",
    Some("p")
)]
#[case(
    "{\"schema\":\"olm.package\",\"name\":\"p\",\"defaultChannel\":[]}",
    Some("p")
)]
#[case("[]x", None)]
fn a_bad_line_names_its_package_and_the_others_are_read(
    #[case] line: &str,
    #[case] package: Option<&str>,
) {
    let text = format!("{line}\n\n{{\"schema\":\"x\",\"name\":\"n\"}}");
    let items: Vec<_> = read_lines(text.as_bytes(), Reading::default()).collect();
    let error = items[0].as_ref().unwrap_err();
    assert_eq!((error.package(), error.is_fatal()), (package, false));
    assert!(
        matches!(&items[1], Ok(Item::Other { schema, name, .. }) if schema == "x" && name == "n")
    );
    assert_eq!(items.len(), 2);
}

#[test]
fn a_line_is_read_up_to_its_limit_and_not_beyond() {
    let read = |text: &str| -> Vec<_> {
        read_lines(
            text.as_bytes(),
            Reading {
                max_line: 14,
                ..Reading::default()
            },
        )
        .collect()
    };
    assert!(
        read("{\"schema\":\"x\"}\n{\"schema\":\"x\"}")
            .iter()
            .all(Result::is_ok)
    );
    let items = read("{\"schema\":\"xy\"}\n{}");
    assert!(matches!(
        items.as_slice(),
        [Err(LineError::TooLong { line: 1, limit: 14 })]
    ));
}

#[test]
fn a_real_catalog_is_read_whole() {
    let Some(catalog) = olm_testdata::find("catalogs/community-v4.20").unwrap() else {
        return;
    };
    let mut tree = MemoryTree::new();
    for package in std::fs::read_dir(catalog).unwrap() {
        let package = package.unwrap();
        let text = std::fs::read(package.path().join("catalog.yaml")).unwrap();
        tree.insert(
            &format!("{}/catalog.yaml", package.file_name().to_str().unwrap()),
            text,
        )
        .unwrap();
    }
    let (metas, report) = load(&tree).unwrap();
    assert_eq!((report.files, report.broken.len()), (37, 0));
    let stream: String = metas
        .iter()
        .map(|meta| format!("{}\n", meta.line))
        .collect();
    let items: Vec<_> = read_lines(stream.as_bytes(), Reading::default())
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        items
            .iter()
            .filter(|item| matches!(item, Item::Bundle(_)))
            .count(),
        803
    );
    assert_eq!(
        items
            .iter()
            .filter(|item| matches!(item, Item::Package(_)))
            .count(),
        37
    );
    // Reading the lines as a catalog again changes nothing.
    let mut again = MemoryTree::new();
    again.insert("all.json", stream).unwrap();
    assert_eq!(load(&again).unwrap().0, metas);
}
