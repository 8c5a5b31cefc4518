//! `olmctl bundle` as people run it.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "writes its fixtures")]

use std::process::Command;

use tempfile::TempDir;

const CSV: &str = "\
apiVersion: operators.coreos.com/v1alpha1
kind: ClusterServiceVersion
metadata: {name: tea.v1.0.0}
spec:
  version: 1.0.0
  installModes:
  - {type: OwnNamespace, supported: true}
  - {type: SingleNamespace, supported: true}
  - {type: MultiNamespace, supported: true}
  install:
    strategy: deployment
    spec:
      permissions:
      - serviceAccountName: tea
        rules:
        - {apiGroups: [''], resources: [pods], verbs: [get]}
      deployments:
      - name: tea
        spec:
          selector: {matchLabels: {app: tea}}
          template:
            metadata: {labels: {app: tea}}
            spec:
              serviceAccountName: tea
              containers:
              - {name: c, image: i}
  webhookdefinitions:
  - type: ValidatingAdmissionWebhook
    generateName: check.example.com
    deploymentName: tea
    containerPort: 443
    admissionReviewVersions: [v1]
    sideEffects: None
";

const ANNOTATIONS: &str = "\
annotations:
  operators.operatorframework.io.bundle.mediatype.v1: registry+v1
  operators.operatorframework.io.bundle.manifests.v1: manifests/
  operators.operatorframework.io.bundle.metadata.v1: metadata/
  operators.operatorframework.io.bundle.package.v1: tea
  operators.operatorframework.io.bundle.channels.v1: stable
";

fn bundle(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn tea() -> TempDir {
    bundle(&[
        ("manifests/csv.yaml", CSV),
        ("metadata/annotations.yaml", ANNOTATIONS),
    ])
}

/// Exit code, standard output and standard error.
fn olmctl(folder: &TempDir, command: &str, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_olmctl"))
        .args(["bundle", command])
        .arg(folder.path())
        .args(args)
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn the_objects_are_printed_in_their_order_without_what_rukpak_makes() {
    let tea = tea();
    let (code, out, said) = olmctl(&tea, "render", &["--watch-namespace=other"]);
    assert_eq!(code, 0, "{said}");
    let kinds: Vec<&str> = out
        .lines()
        .filter_map(|line| line.strip_prefix("kind: "))
        .collect();
    assert_eq!(
        kinds,
        [
            "ServiceAccount",
            "Role",
            "RoleBinding",
            "Deployment",
            "ValidatingWebhookConfiguration",
            "Service"
        ]
    );
    assert!(out.contains("olm.targetNamespaces: other"), "{out}");
    assert!(!out.contains("caBundle"), "{out}");
    assert!(
        said.starts_with("note: rukpak makes the Secret `tea-system/tea-service-cert`"),
        "{said}"
    );
    assert_eq!(
        olmctl(&tea, "render", &["--watch-namespace=other"]).1,
        out,
        "the same every time"
    );
}

#[test]
fn namespaces_provider_and_form_are_chosen() {
    let tea = tea();
    let args = [
        "--install-namespace=home",
        "--watch-namespace=a,b",
        "--certificate-provider=cert-manager",
        "-o=json",
    ];
    let (code, out, said) = olmctl(&tea, "render", &args);
    assert_eq!((code, said.as_str()), (0, ""));
    let objects: Vec<serde_json::Value> = serde_json::Deserializer::from_str(&out)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let of = |kind: &str| {
        objects
            .iter()
            .find(|object| object["kind"] == kind)
            .unwrap()
    };
    assert_eq!(of("Certificate")["metadata"]["namespace"], "home");
    assert_eq!(
        objects
            .iter()
            .filter(|object| object["kind"] == "Role")
            .count(),
        2
    );
}

#[test]
fn a_configuration_that_does_not_fit_is_refused() {
    let tea = tea();
    let (code, out, said) = olmctl(&tea, "render", &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(
        said,
        "error: invalid configuration: required field \"watchNamespace\" is missing\n"
    );
    let config = bundle(&[("config.yaml", "watchNamespace: a\nreplicas: 2\n")]);
    let file = config.path().join("config.yaml");
    let file = format!("--config={}", file.display());
    let (code, _, said) = olmctl(&tea, "render", &[&file]);
    assert_eq!(code, 1);
    assert_eq!(
        said,
        "error: invalid configuration: unknown field \"replicas\"\n"
    );
    let (code, _, _) = olmctl(&tea, "render", &[&file, "--watch-namespace=b"]);
    assert_eq!(code, 2);
}

#[test]
fn a_plain_bundle_is_printed_as_it_is() {
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: b\n";
    let plain = bundle(&[("manifests/a.yaml", object), ("manifests/b.yaml", object)]);
    assert_eq!(
        olmctl(&plain, "render", &[]),
        (0, format!("---\n{object}"), String::new())
    );
    assert_eq!(
        olmctl(&plain, "validate", &[]),
        (0, String::new(), String::new())
    );
}

#[test]
fn a_plain_bundle_is_printed_as_it_is_applied() {
    let plain = bundle(&[
        (
            "manifests/a.yaml",
            "apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  creationTimestamp: null
  finalizers: [x]
  labels: {app: null}
  annotations: {}
  managedFields: []
  ownerReferences: [{apiVersion: v1, kind: Pod, name: p, uid: u}]
data: {status: kept}
status: {phase: Gone}
",
        ),
        (
            "manifests/b.yaml",
            "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: r, namespace: placeholder}
",
        ),
        (
            "manifests/c.yaml",
            "apiVersion: x.io/v1
kind: Thing
metadata: {name: t}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.x.io}
spec:
  group: x.io
  names: {kind: Thing}
  scope: Namespaced
",
        ),
        (
            "manifests/d.yaml",
            "apiVersion: y.io/v1\nkind: Riddle\nmetadata: {name: s}\n",
        ),
    ]);
    let args = ["--install-namespace=home", "--watch-namespace=x"];
    let (code, out, said) = olmctl(&plain, "render", &args);
    assert_eq!(
        out,
        "---
apiVersion: v1
data:
  status: kept
kind: ConfigMap
metadata:
  labels:
    app: \"\"
  name: a
  namespace: home
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: r
---
apiVersion: x.io/v1
kind: Thing
metadata:
  name: t
  namespace: home
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: things.x.io
spec:
  group: x.io
  names:
    kind: Thing
  scope: Namespaced
---
apiVersion: y.io/v1
kind: Riddle
metadata:
  name: s
"
    );
    assert_eq!(
        said,
        "note: Riddle \"s\" is printed without a namespace: whether Riddle objects live in one is \
         known to the cluster only\n\
         note: a plain bundle cannot be configured: what is said is ignored\n"
    );
    assert_eq!(code, 0);
}

#[test]
fn what_rukpak_refuses_of_a_plain_bundle_is_refused_in_its_words() {
    let plain = bundle(&[(
        "manifests/a.yaml",
        "apiVersion: v1
kind: ConfigMap
metadata: {name: homeless}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: b, labels: {x: 1}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: b}
---
kind: Secret
metadata: {name: s}
",
    )]);
    assert_eq!(
        olmctl(&plain, "render", &[]),
        (
            1,
            String::new(),
            "error: ConfigMap \"a\" in namespace \"b\" occurs more than once
ConfigMap \"a\" in namespace \"b\": `metadata.labels` is not a map of strings
ConfigMap \"homeless\": has no namespace, and none is configured
Secret \"s\" has no `apiVersion`
"
            .to_owned()
        )
    );
}

#[test]
fn findings_are_printed_by_file_and_line_and_errors_decide_the_code() {
    assert_eq!(
        olmctl(&tea(), "validate", &[]),
        (0, String::new(), String::new())
    );
    let broken = bundle(&[
        (
            "manifests/csv.yaml",
            &CSV.replace("deploymentName: tea", "deploymentName: pot"),
        ),
        ("manifests/more.yaml", "\nkind: Pod\n"),
        (
            "metadata/annotations.yaml",
            &ANNOTATIONS.replace("stable", "''"),
        ),
    ]);
    let (code, out, said) = olmctl(&broken, "validate", &[]);
    assert_eq!((code, said.as_str()), (1, ""));
    let places: Vec<&str> = out
        .lines()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "manifests/csv.yaml:30",
            "manifests/more.yaml:2",
            "manifests/more.yaml:2",
            "manifests/more.yaml:2",
            "metadata/annotations.yaml:6"
        ],
        "{out}"
    );
    let (code, out, _) = olmctl(&broken, "validate", &["-o", "json"]);
    assert_eq!(code, 1);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(rows[4]["severity"], "warning");

    let (code, _, said) = olmctl(&bundle(&[("x", "")]), "validate", &["-o", "yaml"]);
    assert_eq!((code, said.as_str()), (1, ""));
}
