//! What `olmctl bundle render` prints of a plain bundle is what rukpak applies.

use anyhow::{Context as _, Result};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use olm_tests::wait::message;
use serde_json::{Value, json};

use super::cluster::{PLAIN, RukpakCluster};
use super::objects::{config_map, widget, widgets};
use crate::olmctl_catalog::olmctl;

/// A ConfigMap that was exported from a cluster, without its namespace.
fn exported() -> Value {
    let mut map = config_map("", "exported", "1");
    map["metadata"] = json!({
        "name": "exported",
        "labels": {"empty": null},
        "creationTimestamp": "2020-01-01T00:00:00Z",
        "finalizers": ["example.com/never"],
        "managedFields": [],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}],
        "resourceVersion": "1",
        "uid": "1",
    });
    map
}

/// Whether all that is `wanted` is there; what a server adds to objects may be there as well.
fn holds(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| found.get(key).is_some_and(|found| holds(found, wanted))),
        (Value::Array(found), Value::Array(wanted)) => {
            let mut pairs = found.iter().zip(wanted);
            found.len() == wanted.len() && pairs.all(|(found, wanted)| holds(found, wanted))
        }
        (found, wanted) => found == wanted,
    }
}

#[tokio::test]
async fn a_plain_bundle_is_applied_or_refused_as_it_is_printed() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let mut thing = widget("", "thing");
    thing["metadata"] = json!({"name": "thing"});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "printed", "namespace": "placeholder"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    let files = [
        ("manifests/0.yaml", widgets()),
        ("manifests/1.yaml", exported()),
        ("manifests/2.yaml", thing),
        ("manifests/3.yaml", role),
    ];
    let reference = fixture.push("printed:v1", &files).await?;
    let render = ["bundle", "render", &reference, "--plain-http", "-o=json"];

    let refused = olmctl(&render).await?;
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    fixture.deploy("printed", PLAIN, &reference).await?;
    let failed = fixture
        .said("printed", "Installed", "InstallFailed")
        .await?;
    let why = refused
        .said
        .trim_end()
        .strip_prefix("error: ")
        .context("no error")?;
    assert_eq!(message(&failed, "Installed"), why);

    let more = json!({"installNamespace": "home"});
    fixture
        .deploy_with("printed", PLAIN, &reference, more)
        .await?;
    fixture.installed("printed").await?;
    let printed = olmctl(&[&render[..], &["--install-namespace=home"]].concat()).await?;
    assert_eq!((printed.code, printed.said.as_str()), (Some(0), ""));
    let printed: Vec<Value> = serde_json::Deserializer::from_str(&printed.out)
        .into_iter()
        .collect::<Result<_, _>>()?;
    assert_eq!(printed.len(), files.len());
    for wanted in &printed {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let version = text(&wanted["apiVersion"]);
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let kind = GroupVersionKind::gvk(group, version, &text(&wanted["kind"]));
        let resource = ApiResource::from_gvk(&kind);
        let client = fixture.client.clone();
        let api: Api<DynamicObject> = match wanted["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        };
        let found = api.get(&text(&wanted["metadata"]["name"])).await?;
        let found = serde_json::to_value(found)?;
        assert!(holds(&found, wanted), "{wanted}\nis not in\n{found}");
        for field in ["finalizers", "ownerReferences"] {
            let is_definition = wanted["kind"] == "CustomResourceDefinition";
            let claimed = found["metadata"].get(field).filter(|_| !is_definition);
            assert_eq!(claimed, None);
            assert_eq!(wanted["metadata"].get(field), None);
        }
    }
    fixture.uninstall("printed").await
}
