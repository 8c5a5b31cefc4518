//! What `spec.config` of a BundleDeployment changes.

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::rbac::v1::{ClusterRole, Role};
use kube::Api;
use kube::api::ListParams;
use olm_tests::chart;
use olm_tests::fixture::{Package, Version};
use olm_tests::publish::Publisher;
use olm_tests::wait::message;
use serde_json::{Value, json};

use super::cluster::{OWNER_NAME, REGISTRY, RukpakCluster};
use super::objects::namespace;

const HOME: &str = "scope-operator-system";

/// The annotation by which the operator's pods know which namespaces to watch.
async fn targets(fixture: &RukpakCluster) -> Result<Value> {
    let workloads: Api<Deployment> = Api::namespaced(fixture.client.clone(), HOME);
    let workload = serde_json::to_value(workloads.get("scope-operator").await?)?;
    Ok(workload["spec"]["template"]["metadata"]["annotations"]["olm.targetNamespaces"].clone())
}

/// Namespaces of the roles of the BundleDeployment, and how many it has in the whole cluster.
async fn roles(fixture: &RukpakCluster) -> Result<(Vec<String>, usize)> {
    let ours = ListParams::default().labels(&format!("{OWNER_NAME}=scope"));
    let roles: Api<Role> = Api::all(fixture.client.clone());
    let mut namespaces: Vec<String> = roles
        .list(&ours)
        .await?
        .into_iter()
        .filter_map(|role| role.metadata.namespace)
        .collect();
    namespaces.sort_unstable();
    let everywhere: Api<ClusterRole> = Api::all(fixture.client.clone());
    Ok((namespaces, everywhere.list(&ours).await?.items.len()))
}

#[tokio::test]
async fn an_operator_watches_what_it_is_configured_to_in_every_mode() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    for name in ["team-a", "team-b"] {
        chart::apply(&fixture.client, &namespace(name), "default").await?;
    }
    let version = Version::new("1.0.0").supporting(&[
        "AllNamespaces",
        "OwnNamespace",
        "SingleNamespace",
        "MultiNamespace",
    ]);
    let package = Package::new("scope-operator", [version]);
    let content = package.content();
    let reference = Publisher::new(&fixture.registry)
        .bundle("scope:v1", &content.bundle("1.0.0")?.files)
        .await?;
    for (config, target, namespaces, everywhere) in [
        (json!({}), "", vec![], 2),
        (json!({"watchNamespace": HOME}), HOME, vec![HOME], 1),
        (
            json!({"watchNamespace": "team-a"}),
            "team-a",
            vec!["team-a"],
            1,
        ),
        (
            json!({"watchNamespace": "team-b,team-a"}),
            "team-b,team-a",
            vec!["team-a", "team-b"],
            1,
        ),
        (json!({"watchNamespace": null}), "", vec![], 2),
    ] {
        let more = json!({"config": config});
        fixture
            .deploy_with("scope", REGISTRY, &reference, more)
            .await?;
        fixture.installed("scope").await?;
        assert_eq!(targets(&fixture).await?, target, "{config}");
        let expected: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(roles(&fixture).await?, (expected, everywhere), "{config}");
    }

    // What does not fit is refused by name, and what runs stays.
    let refused = json!({"config": {"watchNamespace": "Team A", "replicas": 2}});
    fixture
        .deploy_with("scope", REGISTRY, &reference, refused)
        .await?;
    let refused = fixture
        .said("scope", "HasValidBundle", "BundleLoadFailed")
        .await?;
    assert_eq!(
        message(&refused, "HasValidBundle"),
        "invalid configuration: multiple errors found:\n  - unknown field \"replicas\"\n  - \
         invalid value for field \"watchNamespace\"\n  - invalid type for field \
         \"watchNamespace\": got string, want null\n  - field \"watchNamespace\" must match \
         pattern \"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$\""
    );
    assert_eq!(targets(&fixture).await?, "");
    fixture.uninstall("scope").await
}

#[tokio::test]
async fn deployments_are_changed_as_configured_and_back() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let content = Package::new("tuned-operator", [Version::new("1.0.0")]).content();
    let reference = Publisher::new(&fixture.registry)
        .bundle("tuned:v1", &content.bundle("1.0.0")?.files)
        .await?;
    let config = json!({"config": {"deploymentConfig": {
        "env": [{"name": "LEVEL", "value": "debug"}],
        "resources": {"limits": {"memory": "1Gi"}},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "annotations": {"team": "a"}}}});
    fixture
        .deploy_with("tuned", REGISTRY, &reference, config)
        .await?;
    let deployment = fixture.installed("tuned").await?;
    let workloads: Api<Deployment> =
        Api::namespaced(fixture.client.clone(), "tuned-operator-system");
    let workload = serde_json::to_value(workloads.get("tuned-operator").await?)?;
    assert_eq!(workload["metadata"]["annotations"]["team"], "a");
    let pod = &workload["spec"]["template"]["spec"];
    assert_eq!(
        pod["containers"][0]["env"],
        json!([{"name": "LEVEL", "value": "debug"}])
    );
    assert_eq!(pod["containers"][0]["resources"]["limits"]["memory"], "1Gi");
    assert_eq!(pod["nodeSelector"], json!({"kubernetes.io/os": "linux"}));
    assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]));
    let inventory = deployment.status.context("no status")?.inventory;
    let applied = inventory.and_then(|inventory| inventory.installed);
    let config = applied.and_then(|applied| applied.config);
    assert!(
        config
            .context("no configuration")?
            .contains_key("deploymentConfig")
    );

    fixture.deploy("tuned", REGISTRY, &reference).await?;
    fixture.installed("tuned").await?;
    let workload = serde_json::to_value(workloads.get("tuned-operator").await?)?;
    assert_eq!(workload["metadata"]["annotations"]["team"], Value::Null);
    let pod = &workload["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["env"], Value::Null);
    assert_eq!(pod["nodeSelector"], Value::Null);
    fixture.uninstall("tuned").await
}
