//! Loading of `plain+v0` bundles.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use olm_bundle::plain_v0;
use olm_tree::MemoryTree;
use rstest::rstest;
use serde_json::Value;

fn tree(files: &[(&str, &str)]) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for (path, content) in files {
        tree.insert(path, *content).unwrap();
    }
    tree
}

fn names(objects: &[Value]) -> Vec<String> {
    objects
        .iter()
        .map(|object| {
            format!(
                "{} {} {}",
                object["apiVersion"].as_str().unwrap_or("-"),
                object["kind"].as_str().unwrap(),
                object
                    .pointer("/metadata/name")
                    .and_then(Value::as_str)
                    .unwrap_or("-")
            )
        })
        .collect()
}

#[test]
fn objects_keep_their_order_and_lists_are_flattened() {
    let tree = tree(&[
        (
            "manifests/b.yaml",
            "---\n# nothing\n---\nkind: B\napiVersion: v1\nmetadata: {name: two}\n---\n\
             kind: A\nmetadata: {name: three}\n",
        ),
        (
            "manifests/a.json",
            r#"{"kind": "List", "apiVersion": "v1", "items": [
                {"kind": "RoleList", "apiVersion": "rbac/v1", "items": [
                    {"metadata": {"name": "r"}}]},
                {"kind": "C", "metadata": {"name": "one"}}]}"#,
        ),
        ("README.md", "not a manifest"),
    ]);
    assert_eq!(
        names(&plain_v0::load(&tree).unwrap()),
        ["rbac/v1 Role r", "- C one", "v1 B two", "- A three"]
    );
}

#[test]
fn template_syntax_is_plain_text() {
    let tree = tree(&[("manifests/a.yaml", "kind: A\nspec: '{{ .Values.x }}'\n")]);
    assert_eq!(plain_v0::load(&tree).unwrap()[0]["spec"], "{{ .Values.x }}");
}

#[rstest]
#[case::no_directory(
    &[("README.md", "")],
    "get objects from bundle manifests: readdir manifests: file does not exist"
)]
#[case::sub_directory(
    &[("manifests/a.yaml", "kind: A"), ("manifests/emptydir/x", "")],
    "get objects from bundle manifests: subdirectories are not allowed within the \"manifests\" \
     directory of the bundle image filesystem: found \"manifests/emptydir\""
)]
#[case::stray_file(
    &[("manifests/.gitignore", "target\n")],
    "get objects from bundle manifests: error parsing \"manifests/.gitignore\": json: cannot \
     unmarshal string into Go value of type map[string]interface {}"
)]
#[case::no_kind(
    &[("manifests/a.yaml", "metadata: {name: a}")],
    "get objects from bundle manifests: error parsing \"manifests/a.yaml\": Object 'Kind' is \
     missing in '{\"metadata\":{\"name\":\"a\"}}'"
)]
#[case::no_objects(
    &[("manifests/a.yaml", "---\n# nothing\n")],
    "invalid bundle: found zero objects: plain+v0 bundles are required to contain at least one \
     object"
)]
fn says_why_a_tree_is_no_bundle(#[case] files: &[(&str, &str)], #[case] expected: &str) {
    assert_eq!(
        plain_v0::load(&tree(files)).unwrap_err().to_string(),
        expected
    );
}

#[test]
fn a_syntax_error_names_the_file() {
    let tree = tree(&[("manifests/a.yaml", "kind: [")]);
    let text = plain_v0::load(&tree).unwrap_err().to_string();
    assert!(
        text.starts_with("get objects from bundle manifests: error parsing \"manifests/a.yaml\": "),
        "{text}"
    );
}

#[test]
fn aliases_cannot_inflate_a_bundle_by_many_files() {
    // Each file alone is within what aliases may add.
    let list = |item: &str, count: usize| vec![item; count].join(", ");
    let file = format!(
        "kind: A\na: &a [{}]\nb: [{}]\n",
        list("0", 1000),
        list("*a", 150)
    );
    let one = [("manifests/0.yaml", file.as_str())];
    plain_v0::load(&tree(&one)).unwrap();
    let names: Vec<String> = (0..10).map(|at| format!("manifests/{at}.yaml")).collect();
    let many: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), file.as_str()))
        .collect();
    let text = plain_v0::load(&tree(&many)).unwrap_err().to_string();
    assert!(
        text.contains("/3.yaml\": ") && text.contains("aliases expand to too much"),
        "{text}"
    );
}

#[test]
fn a_quoted_object_is_cut() {
    let long = format!("metadata: {{name: '{}'}}", "é".repeat(5000));
    let tree = tree(&[("manifests/a.yaml", long.as_str())]);
    assert!(plain_v0::load(&tree).unwrap_err().to_string().len() < 1200);
}
