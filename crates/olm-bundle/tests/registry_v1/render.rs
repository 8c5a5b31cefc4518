//! What a small `registry+v1` bundle turns into.

use crate::fixture::{Fixture, PREFIX, find, names, options, watching};
use crate::webhooks::with_webhooks;
use olm_bundle::registry_v1::{Api, CertificateProvider, RenderError, render};
use rstest::rstest;
use serde_json::{Value, json};

#[test]
fn helpers_tell_what_the_bundle_is() {
    let bundle = Fixture::new().load();
    assert_eq!(bundle.package_name(), "memcached");
    assert_eq!(bundle.csv_name(), "memcached-operator.v0.0.1");
    assert_eq!(bundle.version().unwrap().to_string(), "0.0.1");
    assert_eq!(bundle.suggested_namespace(), None);
    assert_eq!(bundle.default_install_namespace(), "memcached-system");
    assert!(!bundle.uses_webhooks());
    assert!(!bundle.uses_conversion_webhooks());
    assert!(with_webhooks().load().uses_conversion_webhooks());
    let api = |group: &str, version: &str, kind: &str| Api {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
    };
    assert_eq!(bundle.provided_apis(), [api("example.com", "v1", "Cache")]);
    assert_eq!(bundle.required_apis(), [api("other.io", "v2", "Store")]);
    let suggested = Fixture::new()
        .set(
            "/metadata/annotations",
            json!({"operatorframework.io/suggested-namespace": "here"}),
        )
        .load();
    assert_eq!(suggested.default_install_namespace(), "here");
}

#[test]
fn objects_come_in_the_order_of_the_reference() {
    let rendered = render(&Fixture::new().load(), &options(CertificateProvider::None)).unwrap();
    let kinds: Vec<&str> = rendered
        .objects
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "ServiceAccount",
            "ClusterRole",
            "ClusterRoleBinding",
            "ClusterRole",
            "ClusterRoleBinding",
            "CustomResourceDefinition",
            "Deployment"
        ]
    );
    assert_eq!(names(&rendered)[0], "ServiceAccount ns/op");
    assert_eq!(
        rendered.objects[3]["metadata"]["name"],
        "memcached-operator.-dd11waf1qsr7twkkf4qql8pm1vfr6twyz3tncoc3v9p"
    );
    assert_eq!(
        rendered.objects[3]["rules"][1]["resources"],
        json!(["namespaces"])
    );
    assert_eq!(
        rendered.objects[4]["subjects"],
        json!([{"kind": "ServiceAccount", "name": "op", "namespace": "ns"}])
    );
    let crd = find(&rendered, "CustomResourceDefinition");
    assert_eq!(crd["status"], Value::Null);
    assert_eq!(crd["metadata"], json!({"name": "caches.example.com"}));
}

#[test]
fn pods_know_their_scope_and_their_own_annotations_win() {
    let bundle = Fixture::new()
        .modes(&["OwnNamespace", "MultiNamespace", "AllNamespaces"])
        .load();
    let template = |targets: &[&str]| {
        let rendered = render(&bundle, &watching(targets)).unwrap();
        let deployment = find(&rendered, "Deployment");
        assert_eq!(deployment["spec"]["revisionHistoryLimit"], 1);
        assert_eq!(deployment["metadata"]["annotations"], Value::Null);
        deployment
            .pointer("/spec/template/metadata/annotations")
            .unwrap()
            .clone()
    };
    assert_eq!(
        template(&[""]),
        json!({"note": "pod", "olm.operatorNamespace": "ns", "olm.targetNamespaces": ""})
    );
    assert_eq!(
        template(&["b", "a", "ns"])["olm.targetNamespaces"],
        "b,a,ns"
    );
}

#[test]
fn permissions_are_granted_in_the_watched_namespaces_only() {
    let bundle = Fixture::new().modes(&["MultiNamespace"]).load();
    let rendered = render(&bundle, &watching(&["b", "a"])).unwrap();
    let name = "memcached-operator-11fsg7v8m5wv8gioqomjkgwp55bc3tb4a1ninhqvab2x";
    assert_eq!(
        names(&rendered)[1..5],
        [
            format!("Role b/{name}"),
            format!("RoleBinding b/{name}"),
            format!("Role a/{name}"),
            format!("RoleBinding a/{name}")
        ]
    );
    assert_eq!(rendered.objects[2]["subjects"][0]["namespace"], "ns");
}

#[test]
fn permissions_for_all_namespaces_come_with_the_right_to_find_them() {
    let bundle = Fixture::new().load();
    let rendered = render(&bundle, &options(CertificateProvider::None)).unwrap();
    let of = |kind: &str| {
        let found = rendered
            .objects
            .iter()
            .filter(|object| object["kind"] == kind);
        found.map(|role| role["rules"].clone()).collect::<Vec<_>>()
    };
    assert!(of("Role").is_empty());
    let nodes = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]);
    let promoted = json!([
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]},
    ]);
    let roles = of("ClusterRole");
    assert!(
        roles.contains(&nodes) && roles.contains(&promoted),
        "{roles:?}"
    );
    assert_eq!(roles.len(), 2);
}

#[test]
fn install_modes_are_checked() {
    let bundle = Fixture::new().modes(&["OwnNamespace"]).load();
    let error = render(&bundle, &options(CertificateProvider::None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{PREFIX}AllNamespace install mode must be enabled")
    );
    assert_eq!(
        bundle
            .check_install_mode("ns", None)
            .unwrap_err()
            .to_string(),
        error.to_string()
    );
    let error = render(&bundle, &watching(&["a"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{PREFIX}invalid option(s): invalid target namespaces [a]: supported install modes \
             [OwnNamespace] do not support target namespaces [a]"
        )
    );
    assert!(render(&bundle, &watching(&["ns"])).is_ok());
}

#[test]
fn accounts_are_generated_unless_shipped_or_default() {
    let pod = "/spec/install/spec/deployments/0/spec/template/spec/serviceAccountName";
    let accounts = |fixture: Fixture| {
        let rendered = render(&fixture.load(), &options(CertificateProvider::None)).unwrap();
        names(&rendered)
            .into_iter()
            .filter(|name| name.starts_with("ServiceAccount"))
            .collect::<Vec<String>>()
    };
    assert_eq!(
        accounts(Fixture::new().set(pod, json!("worker"))),
        ["ServiceAccount ns/op", "ServiceAccount ns/worker"]
    );
    assert_eq!(
        accounts(Fixture::new().set(pod, json!("default"))),
        ["ServiceAccount ns/op"]
    );
    let shipped = Fixture::new().object(
        "sa.yaml",
        &json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "op", "namespace": "elsewhere", "labels": {"a": "b"}}}),
    );
    assert_eq!(accounts(shipped), ["ServiceAccount ns/op"]);
}

#[test]
fn shipped_objects_go_to_the_install_namespace_and_lose_what_servers_write() {
    let bundle = Fixture::new()
        .object(
            "a.yaml",
            &json!({"apiVersion": "autoscaling.k8s.io/v1", "kind": "VerticalPodAutoscaler",
                    "metadata": {"name": "v", "creationTimestamp": null, "uid": "u"},
                    "spec": {"kept": null}, "status": {}}),
        )
        .object(
            "b.yaml",
            &json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                    "metadata": {"name": "p"}}),
        )
        .load();
    let rendered = render(&bundle, &options(CertificateProvider::None)).unwrap();
    assert_eq!(
        *find(&rendered, "VerticalPodAutoscaler"),
        json!({"apiVersion": "autoscaling.k8s.io/v1", "kind": "VerticalPodAutoscaler",
               "metadata": {"name": "v", "namespace": "ns"}, "spec": {"kept": null}})
    );
    assert_eq!(
        find(&rendered, "PriorityClass")["metadata"],
        json!({"name": "p"})
    );
}

#[rstest]
fn shipped_objects_are_told_apart_by_kind_alone(
    #[values(
        ("ConfigMap", true),
        ("NetworkPolicy", true),
        ("PodDisruptionBudget", true),
        ("PodMonitor", true),
        ("PrometheusRule", true),
        ("Role", true),
        ("RoleBinding", true),
        ("Secret", true),
        ("Service", true),
        ("ServiceAccount", true),
        ("ServiceMonitor", true),
        ("VerticalPodAutoscaler", true),
        ("ClusterRole", false),
        ("ClusterRoleBinding", false),
        ("ConsoleCLIDownload", false),
        ("ConsoleLink", false),
        ("ConsolePlugin", false),
        ("ConsoleQuickStart", false),
        ("ConsoleYAMLSample", false),
        ("PriorityClass", false),
    )]
    (kind, is_namespaced): (&str, bool),
    #[values("v1", "somebody.example.com/v1")] api_version: &str,
) {
    let object = |namespace: Option<&str>| {
        let mut object = json!({"apiVersion": api_version, "kind": kind,
            "metadata": {"name": "shipped"}, "unknown": {"field": "{{ kept }}"}});
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = json!(namespace);
        }
        object
    };
    let bundle = Fixture::new()
        .object(
            "shipped.yaml",
            &object(is_namespaced.then_some("elsewhere")),
        )
        .load();
    let rendered = render(&bundle, &options(CertificateProvider::None)).unwrap();
    let wanted = object(is_namespaced.then_some("ns"));
    assert!(rendered.objects.contains(&wanted), "{wanted}");
}

#[test]
fn equal_objects_collapse_and_different_ones_of_one_identity_are_refused() {
    let map = |data: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"},
               "data": {"k": data}})
    };
    let equal = Fixture::new()
        .object("a.yaml", &map("1"))
        .object("b.yaml", &map("1"))
        .load();
    let rendered = render(&equal, &options(CertificateProvider::None)).unwrap();
    assert_eq!(
        names(&rendered)
            .iter()
            .filter(|name| *name == "ConfigMap ns/m")
            .count(),
        1
    );
    let different = Fixture::new()
        .object("a.yaml", &map("1"))
        .object("b.yaml", &map("2"))
        .load();
    let error = render(&different, &options(CertificateProvider::None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{PREFIX}`manifests/a.yaml` and `manifests/b.yaml` differ but are both ConfigMap `ns/m`"
        )
    );
}

#[test]
fn an_invalid_bundle_or_namespace_is_refused() {
    let bundle = Fixture::new()
        .file("metadata/annotations.yaml", "{}")
        .load();
    assert!(matches!(
        render(&bundle, &options(CertificateProvider::None)),
        Err(RenderError::Invalid(_))
    ));
    let options = |namespace: &str| olm_bundle::registry_v1::RenderOptions {
        install_namespace: namespace.to_owned(),
        ..options(CertificateProvider::None)
    };
    let bundle = Fixture::new().load();
    for name in ["", "A", "-a", "a.b", &"a".repeat(64)] {
        assert!(matches!(
            render(&bundle, &options(name)),
            Err(RenderError::InstallNamespace(_))
        ));
    }
}

#[test]
fn what_is_of_an_older_version_and_means_the_same_is_renewed() {
    let bundle = Fixture::new()
        .object(
            "crd.yaml",
            &json!({"apiVersion": "apiextensions.k8s.io/v1beta1",
                    "kind": "CustomResourceDefinition", "metadata": {"name": "caches.example.com"},
                    "spec": {"group": "example.com", "version": "v1",
                             "names": {"plural": "caches", "kind": "Cache"}}}),
        )
        .object(
            "role.yaml",
            &json!({"apiVersion": "rbac.authorization.k8s.io/v1beta1", "kind": "Role",
                    "metadata": {"name": "r"}, "rules": []}),
        )
        .load();
    let rendered = render(&bundle, &options(CertificateProvider::None)).unwrap();
    let definition = find(&rendered, "CustomResourceDefinition");
    assert_eq!(definition["apiVersion"], "apiextensions.k8s.io/v1");
    assert_eq!(
        definition["spec"]["versions"],
        json!([{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}])
    );
    assert_eq!(
        find(&rendered, "Role")["apiVersion"],
        "rbac.authorization.k8s.io/v1"
    );
}
