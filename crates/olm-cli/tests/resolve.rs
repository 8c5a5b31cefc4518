//! `olmctl resolve` and `olmctl version match` as a user runs them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Exit code, standard output, standard error.
fn run(args: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_olmctl"))
        .args(args)
        .env_remove("REGISTRY_AUTH_FILE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A bundle, and what it requires.
type Row = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// The example of the dependency guarantees: what A requires clashes with what the newest B does.
const ROWS: [Row; 5] = [
    ("A", "0.1.0", &[("C", "0.1.0")]),
    ("B", "0.2.0", &[]),
    ("B", "0.3.0", &[("C", "0.2.0")]),
    ("C", "0.1.0", &[]),
    ("C", "0.2.0", &[]),
];

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("configs")).unwrap();
    let mut text = String::new();
    for (package, version, requires) in ROWS {
        let mut properties = vec![json!({"type": "olm.package",
            "value": {"packageName": package, "version": version}})];
        for (package, range) in requires {
            properties.push(json!({"type": "olm.package.required",
                "value": {"packageName": package, "versionRange": range}}));
        }
        let name = format!("{package}.v{version}");
        let bundle = json!({"schema": "olm.bundle", "package": package, "name": name,
            "image": format!("example.com/{package}:{version}"), "properties": properties});
        text.push_str(&bundle.to_string());
        text.push('\n');
    }
    std::fs::write(folder.path().join("configs/catalog.json"), text).unwrap();
    folder
}

fn operators(folder: &Path, specs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (package, version) in specs {
        let operator = json!({"apiVersion": "operators.operatorframework.io/v1alpha1",
            "kind": "Operator", "metadata": {"name": package.to_lowercase()},
            "spec": {"packageName": package, "version": version}});
        text.push_str("---\n");
        text.push_str(&operator.to_string());
        text.push('\n');
    }
    let path = folder.join("operators.yaml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn catalog(folder: &TempDir) -> String {
    folder.path().join("configs").to_str().unwrap().to_owned()
}

#[test]
fn it_says_what_would_be_installed_and_why_it_is_not_newer() {
    let folder = folder();
    let file = operators(folder.path(), &[("A", "0.1.0"), ("B", "")]);
    let (code, out, _) = run(
        &["resolve", "-f", &file, "--catalog", &catalog(&folder)],
        "",
    );
    assert_eq!(
        out,
        "a: A 0.1.0 from configs\n\
         b: B 0.2.0 from configs\n  \
         newest version 0.3.0 is held back: A 0.1.0 requires C 0.1.0, which conflicts with B 0.3.0 \
         requiring C 0.2.0\n\
         with it: C 0.1.0 from configs, required by A 0.1.0\n"
    );
    assert_eq!(code, 0);
}

#[test]
fn it_says_why_nothing_can_be_installed() {
    let folder = folder();
    let file = operators(folder.path(), &[("A", "0.1.0"), ("B", "0.3.0")]);
    let source = catalog(&folder);
    let args = ["resolve", "-f", &file, "--catalog", &source];
    let (code, out, _) = run(&args, "");
    let text = "constraints not satisfiable:\n  unable to resolve: A 0.1.0 requires C 0.1.0, which \
                conflicts with B 0.3.0 requiring C 0.2.0\n  - you asked for A 0.1.0\n";
    assert!(out.starts_with(&format!("a: refused: {text}")), "{out}");
    assert!(out.contains(&format!("b: refused: {text}")), "{out}");
    assert_eq!(code, 1);
    let (code, out, _) = run(&[args.as_slice(), &["-o", "json"]].concat(), "");
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["operators"][1]["operator"], "b");
    assert!(
        document["operators"][1]["error"]
            .as_str()
            .unwrap()
            .starts_with("constraints not satisfiable:\n")
    );
    assert_eq!(code, 1);
}

#[test]
fn what_is_installed_counts() {
    let folder = folder();
    let file = operators(folder.path(), &[("C", "")]);
    let installed = folder.path().join("installed.yaml");
    let rows = "package: C\nname: C.v0.1.0\nversion: 0.1.0\n---\n\
                package: A\nname: A.v0.1.0\nversion: 0.1.0\n";
    std::fs::write(&installed, rows).unwrap();
    let source = catalog(&folder);
    let installed = installed.to_str().unwrap();
    let args = ["resolve", "-f", &file, "--catalog", &source];
    let (code, out, _) = run(&[&args[..], &["--installed", installed]].concat(), "");
    // No edge leads on.
    assert_eq!(out, "c: C 0.1.0 from configs, as installed\n");
    assert_eq!(code, 0);
}

#[test]
fn lines_are_answered_one_for_one() {
    let folder = folder();
    let source = catalog(&folder);
    let args = ["resolve", "--json-lines", "--catalog", &source];
    let lines = "{\"package\":\"B\"}\n{\"package\":\"A\",\"version\":\"9\"}\nnonsense\n\
                 {\"package\":\"C\",\"installed\":{\"name\":\"C.v0.2.0\",\"version\":\"0.2.0\"},\
                 \"version\":\"0.1.0\",\"ignore\":true}\n";
    let (code, out, _) = run(&args, lines);
    let answers: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 4);
    assert_eq!(
        answers[0],
        json!({"package": "B", "bundle": "B.v0.3.0", "answer": "0.3.0"})
    );
    assert_eq!(
        answers[1]["error"],
        "no package \"A\" matching version \"9\" found"
    );
    assert!(answers[2]["error"].is_string());
    assert_eq!(answers[3]["answer"], "0.1.0");
    assert_eq!(code, 0);
}

#[test]
fn a_request_alone_may_leave_dependencies_aside() {
    let folder = folder();
    let own = folder.path().join("own");
    std::fs::create_dir(&own).unwrap();
    let bundle = json!({"schema": "olm.bundle", "package": "A", "name": "A.v1.0.0",
        "image": "example.com/a", "properties": [
            {"type": "olm.package", "value": {"packageName": "A", "version": "1.0.0"}},
            {"type": "olm.package.required", "value": {"packageName": "X", "versionRange": "1.0.0"}}]});
    std::fs::write(own.join("a.json"), bundle.to_string()).unwrap();
    let source = format!("own={}", own.to_str().unwrap());
    let args = ["resolve", "--json-lines", "--catalog", &source];
    let line = "{\"package\":\"A\"}\n";
    let (_, out, _) = run(&args, line);
    assert!(out.contains("which no catalog offers"), "{out}");
    let (_, out, _) = run(&[&args[..], &["--no-dependencies"]].concat(), line);
    assert!(out.contains("\"answer\":\"1.0.0\""), "{out}");
}

#[rstest]
#[case("masterminds", ">=1.2, <2", &["1.5.0"], "1.5.0: match\n", 0)]
#[case("masterminds", "^1", &["1.9.9", "2.0.0"], "1.9.9: match\n2.0.0: no match\n", 1)]
#[case("masterminds", "latest", &["1.0.0"], "1.0.0: error: improper constraint: latest\n", 1)]
#[case("blang", ">=1.0.0 <2.0.0", &["2.0.0-rc.1"], "2.0.0-rc.1: match\n", 0)]
#[case("blang", ">=1.0.0", &["1.0"], "1.0: error: No Major.Minor.Patch elements found\n", 1)]
fn a_range_holds_a_version_or_not(
    #[case] language: &str,
    #[case] range: &str,
    #[case] versions: &[&str],
    #[case] text: &str,
    #[case] exit: i32,
) {
    let args = ["version", "match", "--language", language, range];
    let (code, out, _) = run(&[&args[..], versions].concat(), "");
    assert_eq!((out.as_str(), code), (text, exit));
}

#[test]
fn ranges_are_answered_line_by_line() {
    let lines = "{\"range\":\"1.x\",\"version\":\"1.2.3\"}\n{\"range\":\"1.x\",\"version\":\"2.0.0\"}\n\
                 {\"range\":\"||\",\"version\":\"1.0.0\"}\n";
    let args = ["version", "match", "--language", "blang", "--json-lines"];
    let (code, out, _) = run(&args, lines);
    assert_eq!(
        out,
        "{\"match\":true}\n{\"match\":false}\n{\"error\":\"First element in range is '||'\"}\n"
    );
    assert_eq!(code, 0);
}
