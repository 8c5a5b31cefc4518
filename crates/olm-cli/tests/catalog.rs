//! `olmctl catalog` as a user runs it: folders and served catalogs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::format_collect,
    reason = "tests"
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

const CATALOG: &str = "\
schema: olm.package
name: foo
defaultChannel: stable
---
schema: olm.channel
package: foo
name: stable
entries:
- name: foo.v1.0.0
- {name: foo.v1.1.0, replaces: foo.v1.0.0}
- {name: foo.v1.2.0, replaces: foo.v1.1.0, skips: [foo.v1.0.0, foo.v0.9.0], skipRange: <1.1.0}
---
schema: olm.channel
package: foo
name: beta
entries:
- name: foo.v1.1.0
- name: foo.v1.2.0
---
schema: olm.deprecations
package: foo
entries:
- reference: {schema: olm.bundle, name: foo.v1.0.0}
  message: old
---
schema: own
package: foo
x: 1
";

fn bundle(version: &str) -> String {
    format!(
        "---\nschema: olm.bundle\npackage: foo\nname: foo.v{version}\nimage: quay.io/t/foo:{version}\n\
         own: kept\nproperties:\n- type: olm.package\n  value: {{packageName: foo, version: {version}}}\n\
         - type: olm.csv.metadata\n  value: {{displayName: The Foo {version}}}\n"
    )
}

/// A folder with the catalog, whose channel `beta` has two heads.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let bundles: String = ["1.0.0", "1.1.0", "1.2.0"].map(bundle).concat();
    std::fs::write(
        folder.path().join("catalog.yaml"),
        format!("{CATALOG}{bundles}"),
    )
    .unwrap();
    folder
}

fn olmctl(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_olmctl"))
        .args(args)
        .env_remove("REGISTRY_AUTH_FILE")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code, standard output, standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = olmctl(args);
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

#[rstest]
#[case(&["list", "packages"], "NAME  DISPLAY NAME   DEFAULT CHANNEL\nfoo   The Foo 1.2.0  stable\n")]
#[case(
    &["list", "channels"],
    "PACKAGE  CHANNEL  HEAD\n\
     foo      beta     ERROR: multiple channel heads found in graph: foo.v1.1.0, foo.v1.2.0\n\
     foo      stable   foo.v1.2.0\n"
)]
#[case(
    &["list", "bundles"],
    "PACKAGE  CHANNEL  BUNDLE      REPLACES    SKIPS                  SKIP RANGE  IMAGE\n\
     foo      beta     foo.v1.1.0                                                 quay.io/t/foo:1.1.0\n\
     foo      beta     foo.v1.2.0                                                 quay.io/t/foo:1.2.0\n\
     foo      stable   foo.v1.0.0                                                 quay.io/t/foo:1.0.0\n\
     foo      stable   foo.v1.1.0  foo.v1.0.0                                     quay.io/t/foo:1.1.0\n\
     foo      stable   foo.v1.2.0  foo.v1.1.0  foo.v1.0.0,foo.v0.9.0  <1.1.0      quay.io/t/foo:1.2.0\n"
)]
fn lists_are_columns(#[case] command: &[&str], #[case] expected: &str) {
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    let args = [&["catalog"], command, &[path]].concat();
    assert_eq!(run(&args), (0, expected.to_owned(), String::new()));
    let args = [args.as_slice(), &["foo"]].concat();
    assert_eq!(run(&args), (0, expected.to_owned(), String::new()));
    let last = args.len() - 1;
    let args = [&args[..last], &["bar"]].concat();
    let error = "error: package \"bar\" not found\n".to_owned();
    assert_eq!(run(&args), (1, String::new(), error));
}

#[test]
fn lists_are_json_and_yaml_too() {
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    let (code, out, _) = run(&["catalog", "list", "bundles", path, "-o", "json"]);
    let rows: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert_eq!(
        rows[4],
        json!({"package": "foo", "channel": "stable", "bundle": "foo.v1.2.0", "version": "1.2.0",
            "replaces": "foo.v1.1.0", "skips": ["foo.v1.0.0", "foo.v0.9.0"], "skipRange": "<1.1.0",
            "image": "quay.io/t/foo:1.2.0"})
    );
    let (_, out, _) = run(&["catalog", "list", "channels", path, "-o", "yaml"]);
    assert!(
        out.contains("- channel: stable\n  head: foo.v1.2.0\n  package: foo\n"),
        "{out}"
    );
}

#[test]
fn validate_says_what_is_wrong_and_how_it_ended() {
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    let tree = "invalid index:\n└── invalid package \"foo\":\n    └── invalid channel \"beta\":\n        \
                └── multiple channel heads found in graph: foo.v1.1.0, foo.v1.2.0";
    let expected = (1, String::new(), format!("{tree}\n"));
    assert_eq!(run(&["catalog", "validate", path]), expected);
    let (code, out, error) = run(&["catalog", "validate", path, "-o", "json"]);
    let result: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, error.as_str()), (1, ""));
    let expected = json!({"passed": false, "error": {"message": tree}, "findings": [tree]});
    assert_eq!(result, expected);
    let file = folder.path().join("catalog.yaml");
    let fixed = std::fs::read_to_string(&file).unwrap().replace(
        "- name: foo.v1.2.0",
        "- {name: foo.v1.2.0, replaces: foo.v1.1.0}",
    );
    std::fs::write(&file, fixed).unwrap();
    let nothing = (0, String::new(), String::new());
    assert_eq!(run(&["catalog", "validate", path]), nothing);
    let (code, out, _) = run(&["catalog", "validate", path, "-o", "yaml"]);
    assert_eq!((code, out.as_str()), (0, "passed: true\n"));
    // A document that cannot be read is named, and the rest is still listed.
    std::fs::write(
        folder.path().join("bad.yaml"),
        "schema: olm.channel\nname: 1\n",
    )
    .unwrap();
    let (code, _, error) = run(&["catalog", "validate", path]);
    assert_eq!(code, 1);
    assert!(
        error.starts_with("file `bad.yaml`, document 0: expected value"),
        "{error}"
    );
    let (code, out, error) = run(&["catalog", "list", "packages", path]);
    assert_eq!((code, out.lines().count()), (1, 2));
    assert!(error.starts_with("warning: file `bad.yaml`"), "{error}");
}

#[test]
fn show_prints_the_documents_of_a_package_as_they_are() {
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    let (code, out, _) = run(&["catalog", "show", path, "foo"]);
    assert_eq!((code, out.matches("---\n").count()), (0, 8));
    assert!(
        out.starts_with("---\ndefaultChannel: stable\nname: foo\n"),
        "{out}"
    );
    assert!(out.contains("own: kept\n"), "{out}");
    let (_, json, _) = run(&["catalog", "show", path, "foo", "-o", "json"]);
    let documents = serde_json::Deserializer::from_str(&json).into_iter::<Value>();
    let schemas: Vec<String> = documents
        .map(|document| document.unwrap()["schema"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(schemas.first().unwrap(), "olm.package");
    assert_eq!(schemas[6..], ["own", "olm.deprecations"]);
    let error = "error: package \"bar\" not found\n".to_owned();
    assert_eq!(
        run(&["catalog", "show", path, "bar"]),
        (1, String::new(), error)
    );
}

#[test]
fn graphs_are_drawn_for_programs_and_for_people() {
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    let (code, out, _) = run(&["catalog", "graph", path, "foo"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("graph LR\n"), "{out}");
    assert!(
        out.ends_with("class foo-stable-foo.v1.0.0 deprecated\n"),
        "{out}"
    );
    let (_, out, _) = run(&[
        "catalog",
        "graph",
        path,
        "foo",
        "--minimum-edge",
        "foo.v1.1.0",
    ]);
    assert!(!out.contains("foo.v1.0.0"), "{out}");
    let (code, out, _) = run(&["catalog", "graph", path, "foo", "-o", "text"]);
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "foo/beta\n  ERROR: multiple channel heads found in graph: foo.v1.1.0, foo.v1.2.0\n  \
         foo.v1.2.0\n  foo.v1.1.0\n\
         foo/stable (default)\n  foo.v1.2.0 (head)\n    replaces foo.v1.1.0\n    \
         skips foo.v1.0.0, foo.v0.9.0\n    skips range <1.1.0: foo.v1.0.0\n  \
         foo.v1.1.0\n    replaces foo.v1.0.0\n  foo.v1.0.0 (skipped, deprecated)\n"
    );
    let args = [
        "catalog",
        "graph",
        path,
        "foo",
        "-o",
        "text",
        "--draw-v0-semantics",
    ];
    assert_eq!(run(&args).0, 2);
}

#[rstest]
#[case(&["catalog", "validate", "/nothing/here"], 1, "error: \"/nothing/here\" is not a directory\n")]
#[case(&["catalog", "validate", "A B"], 1, "error: `A B` is neither a folder nor an image nor a URL")]
#[case(&["catalog", "show", "."], 2, "error: the following required arguments")]
#[case(&["catalog", "list", "packages", ".", "-o", "xml"], 2, "error: invalid value 'xml'")]
#[case(&["nothing"], 2, "error: unrecognized subcommand")]
#[case(&["catalog", "validate", "http://127.0.0.1:1/all.json"], 1,
    "error: cannot get `http://127.0.0.1:1/all.json`: ")]
#[case(&["catalog", "validate", "--plain-http", "127.0.0.1:1/a:b"], 1,
    "error: cannot pull `127.0.0.1:1/a:b`: ")]
fn what_cannot_be_done_is_said(#[case] args: &[&str], #[case] code: i32, #[case] error: &str) {
    let (found, out, said) = run(args);
    assert_eq!((found, out.as_str()), (code, ""));
    assert!(said.starts_with(error), "{said}");
}

#[test]
fn a_reader_that_has_enough_ends_the_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let many: String = (0..2_000)
        .map(|at| format!("---\nschema: olm.package\nname: p{at}\n"))
        .collect();
    std::fs::write(folder.path().join("many"), many).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_olmctl"))
        .args(["catalog", "list", "packages"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::with_capacity(16, child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    drop(out);
    let mut error = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut error)
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert!(line.starts_with("NAME"), "{line}");
    assert_eq!(error, "");
}

/// The words of each line but the heading.
fn words(text: &str) -> Vec<Vec<String>> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    text.lines().skip(1).map(words).collect()
}

fn reference(data: &Path, name: &str) -> String {
    std::fs::read_to_string(data.join("opm").join(name)).unwrap()
}

#[test]
fn a_real_catalog_is_listed_as_the_reference_lists_it() {
    let Some(data) = olm_testdata::find("").unwrap() else {
        return;
    };
    let folder = data.join("catalogs/community-v4.20");
    let list = |what: &str, form: &str| {
        let source = folder.to_str().unwrap();
        let (code, out, said) = run(&["catalog", "list", what, source, "-o", form]);
        assert_eq!((code, said.as_str()), (0, ""));
        out
    };
    assert_eq!(
        words(&list("channels", "table")),
        words(&reference(&data, "channels.txt"))
    );
    let rows: Vec<Value> = serde_json::from_str(&list("packages", "json")).unwrap();
    let packages: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            ["name", "defaultChannel"]
                .map(|key| row[key].as_str().unwrap().to_owned())
                .to_vec()
        })
        .collect();
    // The reference has no display names for catalogs of this form.
    assert_eq!(packages, words(&reference(&data, "packages.txt")));
    assert!(rows.iter().all(|row| row["displayName"] != ""));
    let rows: Vec<Value> = serde_json::from_str(&list("bundles", "json")).unwrap();
    let bundles: Vec<String> = rows
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let skips = row["skips"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let skips: Vec<&str> = skips.iter().map(|skip| skip.as_str().unwrap()).collect();
            [
                text("package"),
                text("channel"),
                text("bundle"),
                text("replaces"),
                skips.join(","),
                text("skipRange"),
                text("image"),
            ]
            .join("\t")
        })
        .collect();
    let expected = reference(&data, "bundles.tsv");
    assert_eq!(bundles, expected.lines().skip(1).collect::<Vec<_>>());
}

#[test]
fn a_real_catalog_with_embedded_manifests_has_display_names() {
    let Some(data) = olm_testdata::find("").unwrap() else {
        return;
    };
    let folder = data.join("catalogs/community-v4.16-bundle-objects");
    let source = folder.to_str().unwrap();
    assert_eq!(
        run(&["catalog", "validate", source]),
        (0, String::new(), String::new())
    );
    let (_, out, _) = run(&["catalog", "list", "packages", source, "-o", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&out).unwrap();
    assert!(rows.iter().all(|row| row["displayName"] != ""), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_served_catalog_is_read_like_a_folder() {
    let folder = folder();
    let path = folder.path().to_str().unwrap().to_owned();
    let (_, shown, _) = run(&["catalog", "show", &path, "foo", "-o", "json"]);
    let lines: String = serde_json::Deserializer::from_str(&shown)
        .into_iter::<Value>()
        .map(|document| format!("{}\n", document.unwrap()))
        .collect();
    let app = axum::Router::new().route(
        "/catalogs/c/all.json",
        axum::routing::get(|| async { lines }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let url = format!("http://{address}/catalogs/c/all.json");
    for command in [
        vec!["list", "packages"],
        vec!["list", "channels"],
        vec!["list", "bundles"],
        vec!["validate"],
    ] {
        let (url, path, command) = (url.clone(), path.clone(), command.clone());
        let (remote, local) = tokio::task::spawn_blocking(move || {
            let of = |source: &str| run(&[&["catalog"], command.as_slice(), &[source]].concat());
            (of(&url), of(&path))
        })
        .await
        .unwrap();
        assert_eq!(remote, local);
    }
    let missing = format!("http://{address}/catalogs/other/all.json");
    let found = tokio::task::spawn_blocking(move || run(&["catalog", "validate", &missing]));
    let (code, _, said) = found.await.unwrap();
    assert_eq!(code, 1);
    assert!(said.contains("the server answered 404 Not Found"), "{said}");
    server.abort();
}
