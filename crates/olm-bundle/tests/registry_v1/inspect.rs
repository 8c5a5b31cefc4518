//! Everything that is wrong with a bundle, by file and line.

use crate::fixture::Fixture;
use olm_bundle::{Severity, inspect};
use olm_tree::MemoryTree;
use rstest::rstest;
use serde_json::json;

const ANNOTATIONS: &str = "\
annotations:
  operators.operatorframework.io.bundle.mediatype.v1: registry+v1
  operators.operatorframework.io.bundle.manifests.v1: manifests/
  operators.operatorframework.io.bundle.metadata.v1: metadata/
  operators.operatorframework.io.bundle.package.v1: memcached
  operators.operatorframework.io.bundle.channels.v1: stable
";

fn found(tree: &MemoryTree) -> Vec<String> {
    inspect(tree).iter().map(ToString::to_string).collect()
}

fn sound() -> Fixture {
    Fixture::new().file("metadata/annotations.yaml", ANNOTATIONS)
}

/// A bundle of these files alone.
fn tree(files: &[(&str, &str)]) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for (path, text) in files {
        tree.insert(path, *text).unwrap();
    }
    tree
}

#[test]
fn nothing_is_found_in_a_sound_bundle() {
    assert_eq!(found(&sound().tree()), [""; 0]);
}

#[test]
fn all_files_are_read_to_their_first_error() {
    let tree = sound()
        .file(
            "manifests/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n---\nmetadata: {}\n",
        )
        .file("manifests/b.yaml", "a: b\n  c: d\n")
        .file("manifests/c.yaml", "- a\n")
        .file("metadata/annotations.yaml", "annotations: {}\n")
        .tree();
    let findings = inspect(&tree);
    let errors: Vec<(&str, usize)> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| (finding.file.as_str(), finding.line))
        .collect();
    assert_eq!(
        errors,
        [
            ("manifests/a.yaml", 5),
            ("manifests/b.yaml", 2),
            ("manifests/c.yaml", 1),
            ("metadata/annotations.yaml", 1),
        ]
    );
    assert_eq!(
        findings[0].message,
        "Object 'Kind' is missing in '{\"metadata\":{}}'"
    );
}

#[test]
fn what_is_wrong_in_the_description_is_found_in_its_text() {
    let csv = "\
apiVersion: operators.coreos.com/v1alpha1
kind: ClusterServiceVersion
metadata:
  name: memcached.v1.0.0
  annotations:
    alm-examples: '[{\"apiVersion\": \"example.com/v1\", \"kind\": \"Tea\"}]'
spec:
  version: 1.0.0
  minKubeVersion: newest
  installModes:
  - {type: AllNamespaces, supported: true}
  - {type: AllNamespaces, supported: true}
  customresourcedefinitions:
    owned:
    - {name: pots.example.com, version: v1, kind: Pot}
  install:
    strategy: deployment
    spec:
      deployments:
      - name: brew
        spec: {}
  webhookdefinitions:
  - type: ValidatingAdmissionWebhook
    generateName: check.example.com
    deploymentName: pour
";
    let tree = tree(&[
        ("manifests/csv.yaml", csv),
        ("metadata/annotations.yaml", ANNOTATIONS),
    ]);
    assert_eq!(
        found(&tree),
        [
            "manifests/csv.yaml:6: warning: alm-examples: example must have a provided API",
            "manifests/csv.yaml:9: warning: csv.Spec.MinKubeVersion has an invalid value: newest",
            "manifests/csv.yaml:10: warning: duplicate install modes present",
            "manifests/csv.yaml:15: error: cluster service definition references owned custom \
             resource definition 'pots.example.com' not found in bundle",
            "manifests/csv.yaml:25: error: webhook of type 'ValidatingAdmissionWebhook' with name \
             'check.example.com' references non-existent deployment 'pour'",
        ]
    );
}

#[test]
fn objects_are_found_where_they_start() {
    let tree = sound()
        .file(
            "manifests/more.yaml",
            "# Two objects.\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n---\nkind: \
             Service\nmetadata: {name: s}\n",
        )
        .object(
            "sa.yaml",
            &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "op"}}),
        )
        .tree();
    assert_eq!(
        found(&tree),
        [
            "manifests/more.yaml:3: error: unsupported resource \"p\" with kind \"Pod\"",
            "manifests/more.yaml:7: error: `manifests/more.yaml`: Service `s` has no apiVersion",
            "manifests/sa.yaml:1: warning: invalid service account found in bundle. This service \
             account op in your bundle is not valid: a Deployment of the operator uses it, and \
             other tools make it themselves",
        ]
    );
}

/// A description that is sound, with an annotation and a definition that it owns.
const TEA: &str = "\
apiVersion: operators.coreos.com/v1alpha1
kind: ClusterServiceVersion
metadata:
  name: tea.v1.0.0
  annotations:
    alm-examples: '[]'
spec:
  version: 1.0.0
  installModes:
  - {type: AllNamespaces, supported: true}
  customresourcedefinitions:
    owned:
    - {name: pots.example.com, version: v1, kind: Pot}
";
const POT: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: pots.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Pot, plural: pots}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object}}
";
const POD: &str = "# Not for bundles.\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n";
const NO_POD: &str = "manifests/pod.yaml:3: error: unsupported resource \"p\" with kind \"Pod\"";

/// A sound bundle with these files added or in the place of its own.
fn tea(files: &[(&str, &str)]) -> MemoryTree {
    let mut tree = tree(&[
        ("manifests/csv.yaml", TEA),
        ("manifests/crd.yaml", POT),
        ("metadata/annotations.yaml", ANNOTATIONS),
    ]);
    for (path, text) in files {
        tree.insert(path, *text).unwrap();
    }
    tree
}

#[rstest]
#[case::sound("metadata/properties.yaml", "properties: []\n", "")]
#[case::syntax(
    "metadata/annotations.yaml",
    "annotations:\n  a: b\n c: d\n",
    "metadata/annotations.yaml:3: error: read \"annotations.yaml\": "
)]
#[case::no_map(
    "metadata/annotations.yaml",
    "# None.\nannotations: []\n",
    "metadata/annotations.yaml:2: error: read \"annotations.yaml\": json: cannot unmarshal array \
     into field `annotations`"
)]
#[case::no_text("metadata/annotations.yaml",
    &ANNOTATIONS.replace("package.v1: memcached", "package.v1: [memcached]"),
    "metadata/annotations.yaml:5: error: read \"annotations.yaml\": json: cannot unmarshal array \
     into field `operators.operatorframework.io.bundle.package.v1`")]
#[case::properties(
    "metadata/properties.yaml",
    "properties:\n- {type: a\n",
    "metadata/properties.yaml:3: error: failed to unmarshal metadata/properties.yaml: "
)]
#[case::no_properties(
    "metadata/properties.yaml",
    "# Two.\nother: 1\nproperties: 2\n",
    "metadata/properties.yaml:3: error: failed to unmarshal metadata/properties.yaml: "
)]
#[case::described_properties("manifests/csv.yaml", &TEA.replace("alm-examples: '[]'", "olm.properties: '{'"),
    "manifests/csv.yaml:6: error: failed to unmarshal \
     csv.metadata.annotations['olm.properties']: ")]
fn what_is_wrong_in_metadata_is_found_in_its_file(
    #[case] path: &str,
    #[case] text: &str,
    #[case] expected: &str,
) {
    let findings = found(&tea(&[(path, text)]));
    let errors: Vec<&String> = findings
        .iter()
        .filter(|text| text.contains(": error: "))
        .collect();
    match expected {
        "" => assert_eq!(errors, [""; 0]),
        expected => {
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert!(errors[0].starts_with(expected), "{errors:?}");
        }
    }
}

#[rstest]
#[case::description("manifests/csv.yaml")]
#[case::definition("manifests/crd.yaml")]
fn what_is_in_a_file_that_cannot_be_read_is_not_missing(#[case] path: &str) {
    let findings = found(&tea(&[
        (path, "kind: A\n  b: c\n"),
        ("manifests/pod.yaml", POD),
    ]));
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(
        findings[0].starts_with(&format!("{path}:2: error: ")),
        "{findings:?}"
    );
    assert_eq!(findings[1], NO_POD);
}

#[rstest]
#[case::description("manifests/csv.yaml", &TEA.replace("version: 1.0.0", "version: [1]"),
    "manifests/csv.yaml:1: error: cannot decode ClusterServiceVersion: ", &[NO_POD])]
#[case::version("manifests/csv.yaml", &TEA.replace("version: 1.0.0", "version: one\n  minKubeVersion: new"),
    "manifests/csv.yaml:1: error: cannot decode ClusterServiceVersion: `spec.version` is `one`: ",
    &["manifests/csv.yaml:9: warning: csv.Spec.MinKubeVersion has an invalid value: new", NO_POD])]
#[case::definition("manifests/crd.yaml", &POT.replace("scope: Namespaced", "scope: [Namespaced]"),
    "manifests/crd.yaml:1: error: cannot decode CustomResourceDefinition: ", &[NO_POD])]
fn what_cannot_be_decoded_hides_nothing_else(
    #[case] path: &str,
    #[case] text: &str,
    #[case] first: &str,
    #[case] rest: &[&str],
) {
    let findings = found(&tea(&[(path, text), ("manifests/pod.yaml", POD)]));
    let (found, others) = findings.split_first().unwrap();
    assert!(found.starts_with(first), "{findings:?}");
    assert_eq!(others, rest);
}

#[test]
fn contradictions_that_show_when_it_is_rendered_are_found() {
    let map = |data: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"},
               "data": {"k": data}})
    };
    let tree = sound()
        .object("x.yaml", &map("1"))
        .object("y.yaml", &map("2"))
        .tree();
    assert_eq!(
        found(&tree),
        [
            "manifests/y.yaml:1: error: `manifests/x.yaml` and `manifests/y.yaml` differ but are both \
          ConfigMap `memcached-system/m`"
        ]
    );
}

#[test]
fn an_operator_that_supports_no_mode_cannot_be_installed() {
    let tree = sound().modes(&[]).tree();
    assert_eq!(
        found(&tree),
        [
            "manifests/csv.yaml:1: error: none of InstallModeTypes are supported",
            "manifests/csv.yaml:1: warning: install modes not found",
        ]
    );
}

#[test]
fn metadata_is_checked_as_tools_of_catalogs_do() {
    let tree = sound()
        .file(
            "metadata/annotations.yaml",
            "annotations:\n  operators.operatorframework.io.bundle.mediatype.v1: plain\n  \
             operators.operatorframework.io.bundle.package.v1: p\n  \
             operators.operatorframework.io.bundle.channels.v1: ''\n",
        )
        .file(
            "metadata/dependencies.yaml",
            "dependencies:\n- type: olm.package\n  value: {packageName: p}\n- type: olm.magic\n",
        )
        .tree();
    let key = |name: &str| format!("\"operators.operatorframework.io.bundle.{name}.v1\"");
    assert_eq!(
        found(&tree),
        [
            format!(
                "metadata/annotations.yaml:1: warning: Missing annotation {}",
                key("manifests")
            ),
            format!(
                "metadata/annotations.yaml:1: warning: Missing annotation {}",
                key("metadata")
            ),
            format!(
                "metadata/annotations.yaml:2: warning: Expecting annotation {} to have value \
                 \"registry+v1\" instead of \"plain\"",
                key("mediatype")
            ),
            format!(
                "metadata/annotations.yaml:4: warning: Expecting annotation {} to have non-empty \
                 value",
                key("channels")
            ),
            "metadata/dependencies.yaml:2: warning: Package version is empty".to_owned(),
            "metadata/dependencies.yaml:4: warning: couldn't parse dependency of type olm.magic"
                .to_owned(),
        ]
    );
}

#[rstest]
#[case::nothing(&[], &["manifests:1: error: readdir manifests: file does not exist"])]
#[case::no_objects(&[("manifests/a.yaml", "")], &["manifests:1: error: invalid bundle: found zero \
    objects: plain+v0 bundles are required to contain at least one object"])]
#[case::sound(&[("manifests/a.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n")], &[])]
#[case::bare(&[("manifests/a.yaml", "kind: Pod\n")], &[
    "manifests/a.yaml:1: error: Pod has no apiVersion",
    "manifests/a.yaml:1: error: Pod has no metadata.name"])]
#[case::folder(&[("manifests/sub/a.yaml", "kind: Pod\n")], &[
    "manifests/sub:1: error: subdirectories are not allowed within the \"manifests\" directory of \
     the bundle image filesystem: found \"manifests/sub\""])]
fn plain_bundles_are_inspected_as_such(#[case] files: &[(&str, &str)], #[case] expected: &[&str]) {
    assert_eq!(found(&tree(files)), expected);
}
