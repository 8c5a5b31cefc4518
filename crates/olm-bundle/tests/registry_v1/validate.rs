//! What makes a `registry+v1` bundle unreadable or invalid.

use crate::fixture::{Fixture, PREFIX};
use rstest::rstest;
use serde_json::{Value, json};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn webhook(kind: &str, name: &str, more: &Value) -> Value {
    let mut webhook = json!({"type": kind, "generateName": name, "deploymentName": "manager"});
    for (key, value) in more.as_object().unwrap() {
        webhook[key] = value.clone();
    }
    webhook
}

fn rule(group: &str, resource: &str) -> Value {
    json!({"rules": [{"apiGroups": [group], "resources": [resource], "operations": ["CREATE"]}]})
}

#[test]
fn a_sound_bundle_is_valid() {
    assert_eq!(Fixture::new().errors(), [""; 0]);
}

#[rstest]
#[case::api_services(
    Fixture::new().set("/spec/apiservicedefinitions", json!({"owned": [{"name": "x"}]})),
    &["apiServiceDefintions are not supported".to_owned()]
)]
#[case::deployments(
    Fixture::new().deployments(&["b", "a", "b", "a", "A"]),
    &[
        "cluster service version contains duplicate strategy deployment spec 'a'".to_owned(),
        "cluster service version contains duplicate strategy deployment spec 'b'".to_owned(),
        format!("invalid cluster service version strategy deployment name 'A': {SUBDOMAIN}"),
    ]
)]
#[case::long_deployment_name(
    Fixture::new().deployments(&[&"-".repeat(254)]),
    &[format!(
        "invalid cluster service version strategy deployment name '{}': {SUBDOMAIN}, must be no \
         more than 253 characters", "-".repeat(254))]
)]
#[case::owned_definition_missing(
    Fixture::new().set("/spec/customresourcedefinitions/owned", json!([{"name": "x.y"}])),
    &["cluster service definition references owned custom resource definition 'x.y' not found in \
       bundle".to_owned()]
)]
#[case::definition_twice(
    Fixture::new().object("other.yaml", &json!({"apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition", "metadata": {"name": "caches.example.com"}})),
    &["bundle contains duplicate custom resource definition 'caches.example.com'".to_owned()]
)]
#[case::package(
    Fixture::new().file("metadata/annotations.yaml", "annotations: {}"),
    &["package name is empty".to_owned()]
)]
#[case::conversion_with_other_modes(
    Fixture::new().modes(&["SingleNamespace", "AllNamespaces"])
        .webhooks(json!([webhook("ConversionWebhook", "c", &json!({}))])),
    &["bundle contains conversion webhook \"c\" and supports install modes [AllNamespaces \
       SingleNamespace] - conversion webhooks are only supported for bundles that only support \
       AllNamespaces install mode".to_owned()]
)]
#[case::webhook_deployment(
    Fixture::new().webhooks(json!([
        webhook("ValidatingAdmissionWebhook", "v", &json!({"deploymentName": "nobody"}))])),
    &["webhook of type 'ValidatingAdmissionWebhook' with name 'v' references non-existent \
       deployment 'nobody'".to_owned()]
)]
#[case::webhook_deployments_in_order(
    Fixture::new().webhooks(json!([
        webhook("ValidatingAdmissionWebhook", "b", &json!({"deploymentName": "y"})),
        webhook("ValidatingAdmissionWebhook", "a", &json!({"deploymentName": "y"})),
        webhook("MutatingAdmissionWebhook", "c", &json!({"deploymentName": "y"})),
        webhook("ValidatingAdmissionWebhook", "d", &json!({"deploymentName": "x"}))])),
    &[("ValidatingAdmissionWebhook", "d", "x"), ("MutatingAdmissionWebhook", "c", "y"),
      ("ValidatingAdmissionWebhook", "a", "y"), ("ValidatingAdmissionWebhook", "b", "y")]
        .map(|(type_, name, deployment)| format!(
            "webhook of type '{type_}' with name '{name}' references non-existent deployment \
             '{deployment}'"))
)]
#[case::webhook_twice(
    Fixture::new().webhooks(json!([
        webhook("ValidatingAdmissionWebhook", "v", &json!({})),
        webhook("MutatingAdmissionWebhook", "v", &json!({})),
        webhook("ValidatingAdmissionWebhook", "v", &json!({}))])),
    &["duplicate webhook 'v' of type 'ValidatingAdmissionWebhook'".to_owned()]
)]
#[case::webhook_name(
    Fixture::new().webhooks(json!([webhook("MutatingAdmissionWebhook", "a-", &json!({}))])),
    &[format!("webhook of type 'MutatingAdmissionWebhook' has invalid name 'a-': {SUBDOMAIN}")]
)]
#[case::shared_conversion(
    Fixture::new().webhooks(json!([
        webhook("ConversionWebhook", "d", &json!({"conversionCRDs": ["caches.example.com"]})),
        webhook("ConversionWebhook", "c", &json!({"conversionCRDs": ["caches.example.com"]}))])),
    &["conversion webhooks [c,d] reference same custom resource definition \
       'caches.example.com'".to_owned()]
)]
#[case::twice_in_one_conversion(
    Fixture::new().webhooks(json!([webhook("ConversionWebhook", "c",
        &json!({"conversionCRDs": ["caches.example.com", "caches.example.com"]}))])),
    &["conversion webhooks [c,c] reference same custom resource definition \
       'caches.example.com'".to_owned()]
)]
#[case::foreign_conversion(
    Fixture::new().webhooks(json!([
        webhook("ConversionWebhook", "c", &json!({"conversionCRDs": ["z.y", "a.y"]}))])),
    &[
        "conversion webhook 'c' references custom resource definition 'a.y' not owned bundle"
            .to_owned(),
        "conversion webhook 'c' references custom resource definition 'z.y' not owned bundle"
            .to_owned(),
    ]
)]
#[case::all_groups(
    Fixture::new().webhooks(json!([webhook("MutatingAdmissionWebhook", "w", &rule("*", "x"))])),
    &["webhook \"w\" contains forbidden rule: admission webhook rules cannot reference API group \
       \"*\"".to_owned()]
)]
#[case::the_group_of_olm(
    Fixture::new().webhooks(json!([
        webhook("ValidatingAdmissionWebhook", "w", &rule("olm.operatorframework.io", "x"))])),
    &["webhook \"w\" contains forbidden rule: admission webhook rules cannot reference API group \
       \"olm.operatorframework.io\"".to_owned()]
)]
#[case::all_about_admission(
    Fixture::new().webhooks(json!([webhook("MutatingAdmissionWebhook", "w", &json!({"rules": [
        {"apiGroups": ["admissionregistration.k8s.io"], "operations": ["CREATE"], "resources": [
            "*", "mutatingwebhookconfiguration", "mutatingWebhookConfigurations",
            "validatingwebhookconfiguration", "validatingadmissionpolicies"]}]}))])),
    &["*", "mutatingwebhookconfiguration", "mutatingWebhookConfigurations",
      "validatingwebhookconfiguration"].map(|resource| format!(
        "webhook \"w\" contains forbidden rule: admission webhook rules cannot reference resource \
         \"{resource}\" for API group \"admissionregistration.k8s.io\""))
)]
#[case::webhooks_about_webhooks(
    Fixture::new().webhooks(json!([webhook("ValidatingAdmissionWebhook", "w",
        &rule("admissionregistration.k8s.io", "ValidatingWebhookConfigurations"))])),
    &["webhook \"w\" contains forbidden rule: admission webhook rules cannot reference resource \
       \"ValidatingWebhookConfigurations\" for API group \"admissionregistration.k8s.io\""
        .to_owned()]
)]
#[case::conversion_rules_do_not_matter(
    Fixture::new().webhooks(json!([webhook("ConversionWebhook", "w", &rule("*", "x"))])),
    &[]
)]
#[case::kind(
    Fixture::new().object("x.yaml",
        &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}})),
    &["unsupported resource \"p\" with kind \"Pod\"".to_owned()]
)]
#[case::api_version(
    Fixture::new().object("x.yaml", &json!({"kind": "Secret", "metadata": {"name": "s"}})),
    &["`manifests/x.yaml`: Secret `s` has no apiVersion".to_owned()]
)]
#[case::name(
    Fixture::new().object("x.yaml", &json!({"kind": "Secret", "apiVersion": "v1"})),
    &["`manifests/x.yaml`: Secret has no metadata.name".to_owned()]
)]
#[case::old_definition(
    Fixture::new().object("crd.yaml", &json!({"apiVersion": "apiextensions.k8s.io/v1beta1",
        "kind": "CustomResourceDefinition", "metadata": {"name": "caches.example.com"},
        "spec": {"version": "v1", "validation": {"openAPIV3Schema": {"$ref": "x"}}}})),
    &["`manifests/crd.yaml`: custom resource definition `caches.example.com` is of \
       `apiextensions.k8s.io/v1beta1`, which clusters no longer serve, and cannot be converted to \
       `apiextensions.k8s.io/v1` without loss: `spec.versions[v1].schema.openAPIV3Schema.$ref` has \
       no place in a structural schema".to_owned()]
)]
#[case::unknown_definition(
    Fixture::new().object("crd.yaml", &json!({"apiVersion": "apiextensions.k8s.io/v2",
        "kind": "CustomResourceDefinition", "metadata": {"name": "caches.example.com"}})),
    &["`manifests/crd.yaml`: custom resource definition `caches.example.com` is of \
       `apiextensions.k8s.io/v2`, which clusters do not serve; only `apiextensions.k8s.io/v1` is \
       supported".to_owned()]
)]
fn names_what_is_wrong(#[case] fixture: Fixture, #[case] expected: &[String]) {
    assert_eq!(fixture.errors(), expected);
}

#[test]
fn all_errors_are_told_at_once() {
    let errors = Fixture::new()
        .set(
            "/spec/apiservicedefinitions",
            json!({"owned": [{"name": "x"}]}),
        )
        .file("metadata/annotations.yaml", "annotations: {}")
        .load()
        .validate()
        .unwrap_err();
    assert_eq!(
        errors.to_string(),
        format!("{PREFIX}apiServiceDefintions are not supported\npackage name is empty")
    );
}

#[rstest]
#[case::annotations(
    Fixture::new().file("metadata/annotations.yaml",
        "annotations: {operators.operatorframework.io.bundle.package.v1: [a]}"),
    "read \"annotations.yaml\": json: cannot unmarshal array into field \
     `operators.operatorframework.io.bundle.package.v1`"
)]
#[case::sub_directory(
    Fixture::new().file("manifests/sub/x.yaml", ""),
    "subdirectories are not allowed within the \"manifests\" directory of the bundle image \
     filesystem: found \"manifests/sub\""
)]
#[case::kind(
    Fixture::new().file("manifests/x.yaml", "{}"),
    "read \"x.yaml\": Object 'Kind' is missing in '{}'"
)]
#[case::scalar(
    Fixture::new().file("manifests/x.yaml", "just text"),
    "read \"x.yaml\": json: cannot unmarshal string into Go value of type map[string]interface {}"
)]
#[case::no_csv(
    Fixture::new().set("/kind", json!("Secret")),
    "no ClusterServiceVersion found in \"manifests\""
)]
#[case::definition(
    Fixture::new().object("x.yaml", &json!({"apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition", "spec": {"versions": [{"name": 1}]}})),
    "read \"x.yaml\": cannot decode CustomResourceDefinition: `spec.versions.0.name`: cannot \
     convert number to string"
)]
#[case::properties(
    Fixture::new().file("metadata/properties.yaml", "properties: 1"),
    "failed to unmarshal metadata/properties.yaml: invalid type: integer `1`, expected a sequence"
)]
fn says_why_a_tree_is_no_bundle(#[case] fixture: Fixture, #[case] expected: &str) {
    assert_eq!(
        fixture.try_load().unwrap_err().to_string(),
        format!("{PREFIX}{expected}")
    );
}

#[rstest]
#[case::type_mismatch("/spec/install/spec/deployments", json!("x"))]
#[case::version("/spec/version", json!("not a version"))]
fn a_broken_description_names_its_file(#[case] pointer: &str, #[case] value: Value) {
    let text = Fixture::new()
        .set(pointer, value)
        .try_load()
        .unwrap_err()
        .to_string();
    let start = format!("{PREFIX}read \"csv.yaml\": cannot decode ClusterServiceVersion: ");
    assert!(text.starts_with(&start), "{text}");
}

#[test]
fn a_missing_file_is_named_as_the_file_system_does() {
    let error = olm_bundle::registry_v1::load(&olm_tree::MemoryTree::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{PREFIX}open metadata/annotations.yaml: file does not exist")
    );
}
