//! What the webhooks of a bundle turn into.

use crate::fixture::{Fixture, PREFIX, find, names, options, watching};
use olm_bundle::registry_v1::{
    CaTarget, CaTargetKind, CertificateProvider, WebhookCertificate, render,
};
use serde_json::{Value, json};

/// The operator with a webhook of each type, and a volume where certificates go.
pub(crate) fn with_webhooks() -> Fixture {
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
