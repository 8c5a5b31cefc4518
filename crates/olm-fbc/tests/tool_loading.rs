//! Loading for tools: what is read, what is said of the rest, and real catalogs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::path::Path;

use olm_fbc::load::{Keep, Loaded, Loader, StreamError};
use olm_fbc::model::Level;
use olm_fbc::{FbcError, Limits};
use olm_tree::{MemoryTree, RelPath};
use rstest::rstest;

fn tree(files: &[(&str, &str)]) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for (path, text) in files {
        tree.insert(path, *text).unwrap();
    }
    tree
}

fn load(files: &[(&str, &str)], keep: Keep) -> Loaded {
    let loader = Loader::new(keep, None);
    loader
        .tree(&tree(files), &RelPath::root(), &Limits::default())
        .unwrap()
}

fn findings(loaded: Loaded) -> Vec<String> {
    loaded.validate(Level::Current).1.texts()
}

#[rstest]
#[case::neither_yaml_nor_json("a: [", "file `f`, document 0: ")]
#[case::list("[]", "expected an object, got array")]
#[case::text("hello", "expected an object, got string")]
#[case::no_schema(
    "{\"name\": \"x\"}",
    "object '{\"name\":\"x\"}\n' is missing root schema field"
)]
#[case::empty_schema(
    "{\"schema\": \"\"}",
    "object '{\"schema\":\"\"}\n' is missing root schema field"
)]
#[case::package(
    "{\"schema\": \"olm.package\", \"name\": \"p\", \"defaultChannel\": 1}",
    "parse package: defaultChannel: invalid type: integer `1`, expected a string"
)]
#[case::icon(
    "{\"schema\": \"olm.package\", \"icon\": {\"base64data\": \"ab%d\"}}",
    "parse package: illegal base64 data at input byte 2"
)]
#[case::channel(
    "{\"schema\": \"olm.channel\", \"entries\": [{\"name\": \"a\", \"skips\": \"b\"}]}",
    "parse channel: entries[0].skips: invalid type: string \"b\", expected a sequence"
)]
#[case::bundle(
    "{\"schema\": \"olm.bundle\", \"relatedImages\": [{\"image\": []}]}",
    "parse bundle: relatedImages[0].image: invalid type: sequence, expected a string"
)]
#[case::a_list_for_an_object(
    "{\"schema\": \"olm.channel\", \"entries\": [{\"name\": \"a\"}, [\"b\"]]}",
    "parse channel: entries[1]: invalid type: sequence, expected an object"
)]
#[case::deprecations(
    "{\"schema\": \"olm.deprecations\", \"entries\": {}}",
    "parse deprecation: entries: invalid type: map, expected a sequence"
)]
#[case::object(
    "{\"schema\": \"olm.bundle\", \"package\": \"p\", \"name\": \"b\", \"properties\": \
    [{\"type\": \"olm.bundle.object\", \"value\": {\"data\": \"!\"}}]}",
    "read bundle objects: package \"p\", bundle \"b\": parse property at index 0 as bundle object: \
     illegal base64 data at input byte 0"
)]
#[case::object_content(
    "{\"schema\": \"olm.bundle\", \"package\": \"p\", \"name\": \"b\", \"properties\": \
    [{\"type\": \"x\", \"value\": 1}, {\"type\": \"olm.bundle.object\", \"value\": {\"data\": \"YTogWw==\"}}]}",
    "read bundle objects: package \"p\", bundle \"b\": convert bundle object property at index 1 to \
     JSON: "
)]
#[case::duplicate_keys(
    "{\"schema\": \"s\", \"Schema\": \"s\"}",
    "duplicate keys for key \"schema\": [Schema schema]"
)]
fn what_cannot_be_read_is_named(#[case] text: &str, #[case] message: &str) {
    let good = "schema: x\nname: fine\n";
    let found = findings(load(&[("f", text), ("good", good)], Keep::Graph));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("file `f`, document 0"), "{}", found[0]);
    assert!(found[0].contains(message.trim_end()), "{}", found[0]);
}

#[test]
fn documents_of_any_arrangement_are_merged() {
    let loaded = load(
        &[
            ("README.md", "# not parsed"),
            (".indexignore", "*.md\n"),
            (
                "a/package.yaml",
                "schema: olm.package\nname: p\ndefaultChannel: c\n",
            ),
            (
                "b/deep/rest.json",
                "{\"schema\":\"olm.channel\",\"package\":\"p\",\"name\":\"c\",\"entries\":[{\"name\":\"b\"}]}\n\
                 {\"schema\":\"olm.bundle\",\"package\":\"p\",\"name\":\"b\",\"image\":\"i\",\"properties\":\
                 [{\"type\":\"olm.package\",\"value\":{\"packageName\":\"p\",\"version\":\"1.0.0\"}}]}",
            ),
            (
                "c",
                "schema: olm.deprecations\npackage: p\nentries: []\n---\nschema: own\npackage: p\n",
            ),
        ],
        Keep::Everything,
    );
    let config = &loaded.config;
    let counts = [
        config.packages.len(),
        config.channels.len(),
        config.bundles.len(),
        config.deprecations.len(),
        config.others.len(),
    ];
    assert_eq!(counts, [1, 1, 1, 1, 1]);
    assert_eq!(
        config.others[0].line,
        "{\"package\":\"p\",\"schema\":\"own\"}"
    );
    assert_eq!(findings(loaded), Vec::<String>::new());
}

#[test]
fn names_of_fields_are_found_in_any_case() {
    let loaded = load(
        &[(
            "f",
            "Schema: olm.package\nNAME: p\nDefaultChannel: c\nIcon: {Base64Data: '', MediaType: m}\n\
             ---\nSchema: olm.channel\nPackage: p\nName: c\nEntries: [{Name: b, SkipRange: <1.0.0}]\n\
             ---\nSchema: olm.bundle\nPackage: p\nName: b\nImage: i\nProperties:\n\
             - Type: olm.package\n  Value: {PackageName: p, Version: 1.0.0}\n\
             ---\nSchema: olm.deprecations\nPackage: p\nEntries:\n- Reference: {Schema: olm.package}\n  \
             Message: gone\n",
        )],
        Keep::Graph,
    );
    assert_eq!(
        loaded.config.packages[0].icon.as_ref().unwrap().media_type,
        "m"
    );
    assert_eq!(
        loaded.config.channels[0].entries[0].skip_range.as_deref(),
        Some("<1.0.0")
    );
    let (model, found) = loaded.validate(Level::Current);
    assert!(found.is_empty(), "{found}");
    assert_eq!(model.packages["p"].deprecation.as_deref(), Some("gone"));
}

#[test]
fn an_incomplete_package_is_not_judged_and_hides_no_other() {
    let package = "schema: olm.package\nname: p\ndefaultChannel: c\n---\n\
                   schema: olm.channel\npackage: p\nname: c\nentries: [{name: b}]\n";
    let other = package
        .replace("name: p", "name: q")
        .replace("package: p", "package: q");
    let bad = "schema: olm.bundle\npackage: p\nname: b\nimage: []\n";
    let found = findings(load(
        &[("p/a", package), ("p/b", bad), ("q/a", &other)],
        Keep::Graph,
    ));
    assert_eq!(
        found,
        [
            "file `p/b`, document 0 (line 1): parse bundle: image: invalid type: sequence, expected \
             a string",
            "no olm.bundle blobs found in package \"q\" for olm.channel entries [b]",
        ]
    );
    // Where the file cannot be read at all, nobody knows whose it was: those beside it, perhaps.
    let found = findings(load(
        &[("p/a", package), ("p/b", "x: ["), ("q/a", &other)],
        Keep::Graph,
    ));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("file `p/b`, document 0"), "{found:#?}");
    assert!(found[1].contains("\"q\""), "{found:#?}");
}

#[test]
fn a_stream_of_lines_is_loaded_like_a_tree() {
    let lines = "{\"schema\":\"olm.package\",\"name\":\"p\",\"defaultChannel\":\"c\"}\n\n[]\n{\n\
                 {\"schema\":\"olm.channel\",\"package\":\"p\",\"name\":\"c\",\"entries\":7}\n\
                 {\"schema\":\"own\"}";
    let loaded = Loader::new(Keep::Graph, None)
        .lines(lines.as_bytes())
        .unwrap();
    assert_eq!((loaded.documents, loaded.config.others.len()), (5, 1));
    let found = findings(loaded);
    assert_eq!(found[0], "line 3: expected an object, got array");
    assert!(
        found[1].starts_with("line 4: cannot be parsed: "),
        "{}",
        found[1]
    );
    assert_eq!(
        found[2],
        "line 5: parse channel: entries: invalid type: integer `7`, expected a sequence"
    );
    assert_eq!(found.len(), 3);
    let empty = Loader::new(Keep::Graph, None).lines("\n \n".as_bytes());
    assert!(matches!(empty, Err(StreamError::Empty)));
}

#[test]
fn one_package_alone_is_kept_where_it_is_named() {
    let files = tree(&[(
        "f",
        "schema: olm.package\nname: p\n---\nschema: olm.package\nname: q\n---\nschema: own\n",
    )]);
    let loaded = Loader::new(Keep::Graph, Some("q"))
        .tree(&files, &RelPath::root(), &Limits::default())
        .unwrap();
    assert_eq!(loaded.config.package_names(), ["q"]);
    assert_eq!((loaded.documents, loaded.config.others.len()), (3, 0));
}

#[test]
fn an_empty_document_is_told_and_hides_nothing() {
    let package = "schema: own\npackage: p\n";
    let text = format!("---\n{package}---\n\n--- # x\n# nothing\n---\nschema: own\n---\n");
    let loaded = load(&[("a/f.yaml", &text), ("b.yaml", "---\n")], Keep::Graph);
    assert!(loaded.incomplete.is_empty(), "{:?}", loaded.incomplete);
    assert_eq!(loaded.config.others.len(), 2);
    assert_eq!(
        findings(loaded),
        [
            "file `a/f.yaml` (line 6): object 'null\n' is missing root schema field",
            "file `a/f.yaml` (line 7): object 'null\n' is missing root schema field",
        ]
    );
}

#[test]
fn a_missing_or_empty_tree_is_an_error() {
    let load = |tree: &MemoryTree, root: &str| {
        let root = RelPath::parse(root).unwrap();
        Loader::new(Keep::Graph, None).tree(tree, &root, &Limits::default())
    };
    assert!(matches!(
        load(&MemoryTree::new(), "configs"),
        Err(FbcError::Tree { .. })
    ));
    assert!(matches!(
        load(&tree(&[("a", "")]), ""),
        Err(FbcError::Empty)
    ));
    // A tree of which nothing can be read is not an error of its own: its files are findings.
    assert_eq!(load(&tree(&[("a", "- x")]), "").unwrap().findings.len(), 1);
}

fn real(folder: &Path) -> MemoryTree {
    let mut tree = MemoryTree::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            let relative = path.strip_prefix(folder).unwrap().to_str().unwrap();
            tree.insert(relative, std::fs::read(&path).unwrap())
                .unwrap();
        }
    }
    tree
}

#[rstest]
#[case("catalogs/community-v4.20", 803, 37)]
#[case("catalogs/community-v4.16-bundle-objects", 0, 1)]
fn real_catalogs_are_valid(#[case] folder: &str, #[case] bundles: usize, #[case] packages: usize) {
    let Some(path) = olm_testdata::find(folder).unwrap() else {
        return;
    };
    let tree = real(&path);
    for keep in [Keep::Graph, Keep::Everything] {
        let loader = Loader::new(keep, None);
        let loaded = loader
            .tree(&tree, &RelPath::root(), &Limits::default())
            .unwrap();
        let named = loaded
            .config
            .bundles
            .iter()
            .all(|bundle| !bundle.summary.display_name.is_empty());
        assert!(named, "every bundle of {folder} has a display name");
        let (model, findings) = loaded.validate(Level::Current);
        assert!(findings.is_empty(), "{findings}");
        assert_eq!(model.packages.len(), packages);
        let found: usize = model
            .packages
            .values()
            .map(|package| package.bundles.len())
            .sum();
        assert!(bundles == 0 || found == bundles, "{found}");
    }
}
