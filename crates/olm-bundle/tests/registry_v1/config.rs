//! How operators are configured, and what is said of configurations that do not fit.

use crate::fixture::{Fixture, options};
use olm_bundle::registry_v1::{Bundle, CertificateProvider, Config, RenderOptions, render};
use rstest::rstest;
use serde_json::{Value, json};

const NAMESPACE: &str = "ns";

fn bundle(modes: &str) -> Bundle {
    let modes: Vec<String> = modes
        .split_whitespace()
        .map(|mode| format!("{mode}Namespace{}", if mode == "All" { "s" } else { "" }))
        .collect();
    let modes: Vec<&str> = modes.iter().map(String::as_str).collect();
    Fixture::new().modes(&modes).load()
}

fn problem(modes: &str, config: &Value) -> String {
    Config::parse(&bundle(modes), config, Some(NAMESPACE)).map_or_else(
        |error| {
            let text = error.to_string();
            let rest = text.strip_prefix("invalid configuration: ").unwrap();
            rest.to_owned()
        },
        |_| String::new(),
    )
}

const NOT_OWN: &str = "invalid format for field \"watchNamespace\": 'other' is not valid \
    ownNamespaceInstallMode: invalid value \"other\": must be \"ns\" (the namespace where the \
    operator is installed) because this operator only supports OwnNamespace install mode";
const NOT_OTHER: &str = "invalid format for field \"watchNamespace\": 'ns' is not valid \
    singleNamespaceInstallMode: invalid value \"ns\": must be different from \"ns\" (the install \
    namespace) because this operator uses SingleNamespace install mode to watch a different \
    namespace";
const MISSING: &str = "required field \"watchNamespace\" is missing";
const SEVERAL: &str = "must name two or more namespaces, separated by commas, because this operator \
    supports several (MultiNamespace install mode) and no single one";
const UNKNOWN: &str = "unknown field \"watchNamespace\"";
const PATTERN: &str =
    "field \"watchNamespace\" must match pattern \"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$\"";

fn not_null(got: &str, rest: &str) -> String {
    format!(
        "multiple errors found:\n  - invalid value for field \"watchNamespace\"\n  - invalid type \
         for field \"watchNamespace\": got {got}, want null\n  - {rest}"
    )
}

#[rstest]
#[case::nothing("All", json!({}), "")]
#[case::null("All", Value::Null, "")]
#[case::no_field("All", json!({"watchNamespace": "a"}), UNKNOWN)]
#[case::no_field_even_for_null("All", json!({"watchNamespace": null}), UNKNOWN)]
#[case::no_single_one("All Multi", json!({"watchNamespace": "a"}),
    &format!("field \"watchNamespace\" {SEVERAL}"))]
#[case::all_or_several("All Multi", json!({"watchNamespace": null}), "")]
#[case::no_list("All", json!({"watchNamespace": "a,b"}), UNKNOWN)]
#[case::own("Own", json!({"watchNamespace": "ns"}), "")]
#[case::own_missing("Own", json!({}), MISSING)]
#[case::own_null("Own", json!({"watchNamespace": null}), MISSING)]
#[case::own_other("Own", json!({"watchNamespace": "other"}), NOT_OWN)]
#[case::single("Single", json!({"watchNamespace": "other"}), "")]
#[case::single_missing("Single", json!({}), MISSING)]
#[case::single_own("Single", json!({"watchNamespace": "ns"}), NOT_OTHER)]
#[case::both("Own Single", json!({"watchNamespace": "ns"}), "")]
#[case::both_other("Own Single", json!({"watchNamespace": "other"}), "")]
#[case::both_missing("Multi Own Single", json!({"other": 1}), &format!(
    "multiple errors found:\n  - {MISSING}\n  - unknown field \"other\""))]
#[case::multi_missing("Multi", json!({}), &format!("{MISSING}: it {SEVERAL}"))]
#[case::multi_null("Multi", json!({"watchNamespace": null}), &format!("{MISSING}: it {SEVERAL}"))]
#[case::multi_single("Multi", json!({"watchNamespace": "a"}),
    &format!("field \"watchNamespace\" {SEVERAL}"))]
#[case::multi_number("Multi", json!({"watchNamespace": 1}),
    "invalid type for field \"watchNamespace\": got number, want string")]
#[case::multi("Multi", json!({"watchNamespace": "a,b"}), "")]
#[case::multi_and_own("All Multi Own", json!({"watchNamespace": "a, ns"}), "")]
#[case::multi_with_a_bad_name("Multi", json!({"watchNamespace": "a,B"}), PATTERN)]
#[case::all_own_null("All Own", json!({"watchNamespace": null}), "")]
#[case::all_own_other("All Own", json!({"watchNamespace": "other"}), &not_null("string", NOT_OWN))]
#[case::all_single_own("All Single", json!({"watchNamespace": "ns"}), &not_null("string", NOT_OTHER))]
#[case::all_number("All Own Single", json!({"watchNamespace": 1}), &not_null("number",
    "invalid type for field \"watchNamespace\": got number, want string"))]
#[case::object("Single", json!({"watchNamespace": {"a": "b"}}),
    "invalid type for field \"watchNamespace\": got object, want string")]
#[case::list("Multi Own Single", json!({"watchNamespace": ["a"]}),
    "invalid type for field \"watchNamespace\": got array, want string")]
#[case::pattern("Own Single", json!({"watchNamespace": "-a"}), PATTERN)]
#[case::no_list_where_one_is_expected("Own Single", json!({"watchNamespace": "a,b"}), PATTERN)]
#[case::short("Own Single", json!({"watchNamespace": ""}), &format!(
    "multiple errors found:\n  - field \"watchNamespace\" must have minimum length of 1 (len=0)\n  \
     - {PATTERN}"))]
#[case::long("Own Single", json!({"watchNamespace": "a".repeat(64)}),
    "field \"watchNamespace\" must have maximum length of 63 (len=64)")]
#[case::not_an_object("All", json!(true), "invalid type: got boolean, want object")]
#[case::unknown("All", json!({"watch": 1}), "unknown field \"watch\"")]
fn the_namespaces_to_watch_follow_the_install_modes(
    #[case] modes: &str,
    #[case] config: Value,
    #[case] expected: &str,
) {
    assert_eq!(problem(modes, &config), expected);
}

#[test]
fn without_an_install_namespace_the_relation_to_it_is_not_checked() {
    let config = json!({"watchNamespace": "other"});
    let parsed = Config::parse(&bundle("Own"), &config, None).unwrap();
    assert_eq!(parsed.target_namespaces(), Some(&["other".to_owned()][..]));
}

#[test]
fn several_names_are_watched_once_each_in_their_order() {
    let config = json!({"watchNamespace": "b, a,b"});
    let parsed = Config::parse(&bundle("All Multi"), &config, Some(NAMESPACE)).unwrap();
    assert_eq!(
        parsed.target_namespaces(),
        Some(&["b".to_owned(), "a".to_owned()][..])
    );
    let all = Config::parse(&bundle("All Multi"), &json!({}), Some(NAMESPACE)).unwrap();
    assert_eq!(all.target_namespaces(), None);
}

#[rstest]
#[case::no_object(json!([]), "invalid type for field \"deploymentConfig\": got array, want object")]
#[case::null(json!(null), "required field \"deploymentConfig\" is missing")]
#[case::selector(json!({"selector": {}}), "unknown field \"selector\"")]
#[case::env(json!({"env": {}}),
    "invalid type for field \"deploymentConfig.env\": got object, want array")]
#[case::null_env(json!({"env": null}), "required field \"deploymentConfig.env\" is missing")]
#[case::env_without_name(json!({"env": [{"value": "x"}]}), "required field \"name\" is missing")]
#[case::env_value(json!({"env": [{"name": "x", "value": 1}]}),
    "invalid type for field \"deploymentConfig.env.0.value\": got number, want string")]
#[case::key_reference(json!({"env": [{"name": "x", "valueFrom": {"secretKeyRef": {"name": "s"}}}]}),
    "required field \"key\" is missing")]
#[case::mount(json!({"volumeMounts": [{"name": "x"}]}), "required field \"mountPath\" is missing")]
#[case::volume(json!({"volumes": [{"name": "v", "hostPath": {}}]}),
    "required field \"path\" is missing")]
#[case::claim(json!({"volumes": [{"name": "v", "persistentVolumeClaim": {}}]}),
    "required field \"claimName\" is missing")]
#[case::toleration(json!({"tolerations": [{"tolerationSeconds": "1"}]}),
    "invalid type for field \"deploymentConfig.tolerations.0.tolerationSeconds\": got string, want \
     integer")]
#[case::fraction(json!({"tolerations": [{"tolerationSeconds": 1.5}]}),
    "invalid type for field \"deploymentConfig.tolerations.0.tolerationSeconds\": got number, want \
     integer")]
#[case::selector_value(json!({"nodeSelector": {"a": true}}),
    "invalid type for field \"deploymentConfig.nodeSelector.a\": got boolean, want string")]
#[case::affinity(json!({"affinity": {"podAffinity":
    {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": {}}]}}}),
    "required field \"topologyKey\" is missing")]
#[case::quantity_type(json!({"resources": {"limits": {"cpu": true}}}),
    "invalid type for field \"deploymentConfig.resources.limits.cpu\": got boolean, want string or \
     number")]
#[case::quantity(json!({"resources": {"limits": {"cpu": "lots"}}}),
    "invalid deploymentConfig: failed to unmarshal deploymentConfig: quantities must match the \
     regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
#[case::several(json!({"env": [{}], "selector": 1}),
    "multiple errors found:\n  - required field \"name\" is missing\n  - unknown field \"selector\"")]
#[case::further_fields_below(json!({"env": [{"name": "x", "more": 1}]}), "")]
#[case::numbers(json!({"resources": {"limits": {"cpu": 1}, "requests": {"memory": "1Gi"}},
    "volumes": [{"name": "e", "emptyDir": {"sizeLimit": 5}}],
    "tolerations": [{"tolerationSeconds": 3.0}]}), "")]
fn what_is_changed_in_deployments_follows_their_schema(
    #[case] deployment: Value,
    #[case] expected: &str,
) {
    let config = json!({"deploymentConfig": deployment});
    assert_eq!(problem("All", &config), expected);
}

/// The operator's Deployment and its pod, shipped with `pod` and configured with `config`.
fn configured(pod: Value, config: &Value) -> (Value, Value) {
    let fixture = Fixture::new().set("/spec/install/spec/deployments/0/spec/template/spec", pod);
    let bundle = fixture.load();
    let config = json!({"deploymentConfig": config});
    let options = RenderOptions {
        config: Config::parse(&bundle, &config, Some(NAMESPACE)).unwrap(),
        ..options(CertificateProvider::None)
    };
    let rendered = render(&bundle, &options).unwrap();
    let deployment = rendered
        .objects
        .into_iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    let pod = deployment["spec"]["template"]["spec"].clone();
    (deployment, pod)
}

#[test]
fn entries_of_a_name_are_replaced_in_place_and_others_appended() {
    let entry = |name: &str, value: &str| json!({"name": name, "value": value});
    let volume = |name: &str, map: &str| json!({"name": name, "configMap": {"name": map}});
    let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path});
    let shipped = json!({
        "initContainers": [{"name": "i", "image": "i"}],
        "containers": [
            {"name": "c", "image": "i", "env": [entry("A", "1"), entry("B", "1"), entry("A", "2")],
             "envFrom": [{"configMapRef": {"name": "m"}}],
             "volumeMounts": [mount("v", "/v"), mount("w", "/w")]},
            {"name": "d", "image": "i"}],
        "volumes": [volume("v", "old"), volume("w", "old")],
        "tolerations": [{"key": "t"}]});
    let config = json!({
        "env": [entry("A", "new"), entry("N", "1"), entry("N", "2")],
        "envFrom": [{"configMapRef": {"name": "m"}}, {"secretRef": {"name": "s"}}],
        "volumes": [volume("w", "new"), volume("x", "new")],
        "volumeMounts": [mount("w", "/elsewhere"), mount("x", "/x")],
        "tolerations": [{"key": "t"}, {"key": "u"}]});
    let (_, pod) = configured(shipped, &config);
    let containers = &pod["containers"];
    assert_eq!(
        containers[0]["env"],
        json!([
            entry("A", "1"),
            entry("B", "1"),
            entry("A", "new"),
            entry("N", "1"),
            entry("N", "2")
        ])
    );
    assert_eq!(
        containers[1]["env"],
        json!([entry("A", "new"), entry("N", "1"), entry("N", "2")])
    );
    assert_eq!(
        containers[0]["envFrom"],
        json!([{"configMapRef": {"name": "m"}}, {"secretRef": {"name": "s"}}])
    );
    assert_eq!(
        containers[0]["volumeMounts"],
        json!([mount("v", "/v"), mount("w", "/elsewhere"), mount("x", "/x")])
    );
    assert_eq!(
        pod["volumes"],
        json!([volume("v", "old"), volume("w", "new"), volume("x", "new")])
    );
    assert_eq!(pod["tolerations"], json!([{"key": "t"}, {"key": "u"}]));
    assert_eq!(pod["initContainers"], json!([{"name": "i", "image": "i"}]));
}

#[rstest]
#[case::kept(json!({}), json!({"limits": {"cpu": "1"}}), json!({"a": "b"}))]
#[case::replaced(
    json!({"resources": {"requests": {"cpu": 2}}, "nodeSelector": {"c": "d"}}),
    json!({"requests": {"cpu": "2"}}),
    json!({"c": "d"})
)]
#[case::cleared(json!({"resources": {}, "nodeSelector": {}}), Value::Null, Value::Null)]
fn resources_and_node_selector_are_replaced_as_a_whole(
    #[case] config: Value,
    #[case] resources: Value,
    #[case] selector: Value,
) {
    let shipped = json!({
        "containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}}],
        "nodeSelector": {"a": "b"}});
    let (_, pod) = configured(shipped, &config);
    assert_eq!(pod["containers"][0]["resources"], resources);
    assert_eq!(pod["nodeSelector"], selector);
}

#[rstest]
#[case::kept(json!({}), &["nodeAffinity", "podAffinity"])]
#[case::removed(json!({"affinity": {}}), &[])]
#[case::part_removed(json!({"affinity": {"nodeAffinity": {}}}), &["podAffinity"])]
#[case::part_removed_by_empty_terms(json!({"affinity": {"nodeAffinity":
    {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}}),
    &["podAffinity"])]
#[case::all_parts_removed(json!({"affinity": {"nodeAffinity": {}, "podAffinity":
    {"requiredDuringSchedulingIgnoredDuringExecution": []}}}), &[])]
#[case::part_added(json!({"affinity": {"podAntiAffinity":
    {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "z"}]}}}),
    &["nodeAffinity", "podAffinity", "podAntiAffinity"])]
fn parts_of_the_affinity_are_replaced_one_by_one(#[case] config: Value, #[case] parts: &[&str]) {
    let shipped = json!({
        "containers": [{"name": "c", "image": "i"}],
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "Exists"}]}]}},
            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                [{"topologyKey": "z"}]}}});
    let (_, pod) = configured(shipped, &config);
    let left: Vec<&String> = pod["affinity"]
        .as_object()
        .map(|parts| parts.keys().collect())
        .unwrap_or_default();
    assert_eq!(left, parts);
}

#[test]
fn annotations_are_added_where_there_are_none_of_the_key() {
    let pod = json!({"containers": [{"name": "c", "image": "i"}]});
    let config = json!({"annotations": {"note": "config", "new": "config",
        "olm.targetNamespaces": "config"}});
    let (deployment, _) = configured(pod, &config);
    assert_eq!(
        deployment["metadata"]["annotations"],
        json!({"note": "config", "new": "config", "olm.targetNamespaces": "config"})
    );
    assert_eq!(
        deployment["spec"]["template"]["metadata"]["annotations"],
        json!({"note": "pod", "new": "config", "olm.operatorNamespace": "ns",
               "olm.targetNamespaces": ""})
    );
}
