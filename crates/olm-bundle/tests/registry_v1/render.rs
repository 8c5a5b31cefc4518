//! What a small `registry+v1` bundle turns into.

use crate::fixture::{Fixture, PREFIX, options, watching};
use olm_bundle::registry_v1::{
    Api, CaTarget, CaTargetKind, CertificateProvider, RenderError, Rendered, WebhookCertificate,
    render,
};
use rstest::rstest;
use serde_json::{Value, json};

fn names(rendered: &Rendered) -> Vec<String> {
    rendered
        .objects
        .iter()
        .map(|object| {
            let text = |path| object.pointer(path).and_then(Value::as_str).unwrap_or("-");
            format!(
                "{} {}/{}",
                text("/kind"),
                text("/metadata/namespace"),
                text("/metadata/name")
            )
        })
        .collect()
}

fn find<'a>(rendered: &'a Rendered, kind: &str) -> &'a Value {
    rendered
        .objects
        .iter()
        .find(|object| object["kind"] == kind)
        .unwrap()
}

fn with_webhooks() -> Fixture {
    Fixture::new()
        .set(
            "/spec/install/spec/deployments/0/spec/template/spec/containers/0/volumeMounts",
            json!([
                {"name": "own", "mountPath": "/tmp/k8s-webhook-server/serving-certs/"},
                {"name": "kept", "mountPath": "/tmp"}]),
        )
        .set(
            "/spec/install/spec/deployments/0/spec/template/spec/volumes",
            json!([{"name": "own", "emptyDir": {}}, {"name": "kept", "emptyDir": {}}]),
        )
        .webhooks(json!([
            {"type": "MutatingAdmissionWebhook", "generateName": "m.x", "deploymentName": "manager",
             "containerPort": 443, "targetPort": 9443, "webhookPath": "/mutate",
             "sideEffects": "None", "admissionReviewVersions": ["v1"],
             "reinvocationPolicy": "Never",
             "rules": [{"apiGroups": ["example.com"], "apiVersions": ["v1"],
                        "resources": ["caches"], "operations": ["CREATE"], "unknown": 1}]},
            {"type": "ValidatingAdmissionWebhook", "generateName": "v.x",
             "deploymentName": "manager", "targetPort": "https",
             "sideEffects": "None", "admissionReviewVersions": ["v1"]},
            {"type": "ConversionWebhook", "generateName": "c.x", "deploymentName": "manager",
             "containerPort": 8443, "admissionReviewVersions": ["v1"],
             "conversionCRDs": ["caches.example.com"]},
        ]))
}

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
fn containers_that_run_first_keep_their_mounts() {
    let mount = json!([{"name": "webhook-cert", "mountPath": "/early"}]);
    let bundle = with_webhooks()
        .set(
            "/spec/install/spec/deployments/0/spec/template/spec/initContainers",
            json!([{"name": "first", "image": "i", "volumeMounts": mount}]),
        )
        .load();
    let rendered = render(&bundle, &options(CertificateProvider::Own)).unwrap();
    let first = find(&rendered, "Deployment")
        .pointer("/spec/template/spec/initContainers/0/volumeMounts")
        .unwrap();
    assert_eq!(*first, mount);
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
fn webhooks_get_configurations_a_service_and_a_certificate_volume() {
    let bundle = with_webhooks().load();
    let rendered = render(&bundle, &options(CertificateProvider::Own)).unwrap();
    assert_eq!(
        names(&rendered)[6..],
        [
            "Deployment ns/manager",
            "ValidatingWebhookConfiguration -/v.x",
            "MutatingWebhookConfiguration -/m.x",
            "Service ns/manager-service"
        ]
    );
    assert_eq!(
        find(&rendered, "MutatingWebhookConfiguration")["webhooks"],
        json!([{
            "name": "m.x",
            "clientConfig": {"service": {
                "namespace": "ns", "name": "manager-service", "port": 443, "path": "/mutate"}},
            "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "reinvocationPolicy": "Never",
            "rules": [{"apiGroups": ["example.com"], "apiVersions": ["v1"],
                       "resources": ["caches"], "operations": ["CREATE"]}]}])
    );
    let port = find(&rendered, "ValidatingWebhookConfiguration")
        .pointer("/webhooks/0/clientConfig/service/port");
    assert_eq!(port, Some(&json!(443)), "the default where none is given");
    assert_eq!(
        find(&rendered, "Service")["spec"],
        json!({
            "ports": [
                {"name": "443", "port": 443, "targetPort": "https"},
                {"name": "443", "port": 443, "targetPort": 9443},
                {"name": "8443", "port": 8443, "targetPort": 8443}],
            "selector": {"app": "m"}})
    );
    let crd = find(&rendered, "CustomResourceDefinition");
    assert_eq!(
        crd["spec"]["conversion"],
        json!({"strategy": "Webhook", "webhook": {
            "clientConfig": {"service": {
                "namespace": "ns", "name": "manager-service", "path": "/", "port": 8443}},
            "conversionReviewVersions": ["v1"]}})
    );
    let pod = find(&rendered, "Deployment")
        .pointer("/spec/template/spec")
        .unwrap()
        .clone();
    let mounted: Vec<&str> = pod["containers"][0]["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| mount["name"].as_str().unwrap())
        .collect();
    assert_eq!(mounted, ["kept", "webhook-cert", "apiservice-cert"]);
    assert_eq!(
        pod["volumes"][1],
        json!({"name": "webhook-cert", "secret": {
            "secretName": "manager-service-cert",
            "items": [{"key": "tls.crt", "path": "tls.crt"},
                      {"key": "tls.key", "path": "tls.key"}]}})
    );
    assert_eq!(
        rendered.certificates,
        [WebhookCertificate {
            service: "manager-service".to_owned(),
            secret: "manager-service-cert".to_owned(),
            namespace: "ns".to_owned(),
            dns_names: vec![
                "manager-service.ns".to_owned(),
                "manager-service.ns.svc".to_owned(),
                "manager-service.ns.svc.cluster.local".to_owned(),
            ],
            ca_targets: vec![
                CaTarget {
                    kind: CaTargetKind::ValidatingWebhookConfiguration,
                    name: "v.x".to_owned()
                },
                CaTarget {
                    kind: CaTargetKind::MutatingWebhookConfiguration,
                    name: "m.x".to_owned()
                },
                CaTarget {
                    kind: CaTargetKind::CustomResourceDefinition,
                    name: "caches.example.com".to_owned()
                },
            ],
        }]
    );
}

#[test]
fn other_providers_are_asked_in_their_own_way() {
    let bundle = with_webhooks().load();
    let with = |provider| render(&bundle, &options(provider)).unwrap();

    let rendered = with(CertificateProvider::CertManager);
    assert!(rendered.certificates.is_empty());
    for kind in ["ValidatingWebhookConfiguration", "CustomResourceDefinition"] {
        assert_eq!(
            find(&rendered, kind)["metadata"]["annotations"],
            json!({"cert-manager.io/inject-ca-from": "ns/manager-service-cert"})
        );
    }
    let certificate = find(&rendered, "Certificate");
    assert_eq!(
        certificate["spec"]["issuerRef"]["name"],
        find(&rendered, "Issuer")["metadata"]["name"]
    );

    let rendered = with(CertificateProvider::ServiceCa);
    assert_eq!(
        find(&rendered, "Service")["metadata"]["annotations"],
        json!({"service.beta.openshift.io/serving-cert-secret-name": "manager-service-cert"})
    );

    let rendered = with(CertificateProvider::None);
    let volumes = find(&rendered, "Deployment")
        .pointer("/spec/template/spec/volumes")
        .unwrap();
    assert_eq!(volumes.as_array().unwrap().len(), 2, "as shipped");
}

#[test]
fn the_generated_service_replaces_a_shipped_one() {
    let bundle = with_webhooks()
        .object(
            "svc.yaml",
            &json!({"apiVersion": "v1", "kind": "Service",
                    "metadata": {"name": "manager-service", "labels": {"a": "b"}}}),
        )
        .load();
    let rendered = render(&bundle, &options(CertificateProvider::Own)).unwrap();
    let services: Vec<&Value> = rendered
        .objects
        .iter()
        .filter(|object| object["kind"] == "Service")
        .collect();
    assert_eq!(services.len(), 1);
    assert_eq!(services[0]["metadata"]["labels"], Value::Null);
    assert_eq!(
        rendered.notices,
        [
            "Service `manager-service` of `manifests/svc.yaml` is replaced by the one generated for \
          webhooks"
        ]
    );
}

#[test]
fn webhooks_decide_about_the_watched_namespaces_only() {
    let bundle = with_webhooks().modes(&["MultiNamespace"]);
    let webhooks = bundle.csv["spec"]["webhookdefinitions"].as_array().unwrap()[..2].to_vec();
    let bundle = bundle.webhooks(Value::Array(webhooks)).load();
    let rendered = render(&bundle, &watching(&["b", "a"])).unwrap();
    assert_eq!(
        find(&rendered, "ValidatingWebhookConfiguration")["webhooks"][0]["namespaceSelector"],
        json!({"matchExpressions": [{
            "key": "kubernetes.io/metadata.name", "operator": "In", "values": ["b", "a"]}]})
    );
}

#[test]
fn a_definition_that_keeps_unknown_fields_cannot_be_converted() {
    let bundle = with_webhooks()
        .object(
            "crd.yaml",
            &json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                    "metadata": {"name": "caches.example.com"},
                    "spec": {"preserveUnknownFields": true}}),
        )
        .load();
    let error = render(&bundle, &options(CertificateProvider::Own)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{PREFIX}custom resource definition 'caches.example.com' must have \
             .spec.preserveUnknownFields set to false to let API Server call webhook to do the \
             conversion"
        )
    );
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
