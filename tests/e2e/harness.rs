//! How the suite is run, shown on a chart and a program of the test's own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{ListParams, PostParams};
use olm_tests::{Chart, ControlPlane, Suite, SuiteOptions, Wait, scratch};

const DEPLOYMENT: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: catalogd}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: catalogd}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: catalogd}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: catalogd}
subjects: [{kind: ServiceAccount, name: catalogd, namespace: {{ .Release.Namespace }}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: catalogd}
spec:
  replicas: 2
  selector: {matchLabels: {app: catalogd}}
  template:
    metadata: {labels: {app: catalogd}}
    spec:
      serviceAccountName: catalogd
      containers:
      - name: catalogd
        image: example.com/olm/catalogd:v1
        args: [--leader-elect=true, "--metrics-bind-address=:8080", --cache-dir=/var/cache]
        env:
        - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        - {name: POD_ACCOUNT, valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}}
"#;

/// Writes down what it was given and waits to be killed.
const PROGRAM: &str = "#!/bin/sh\necho \"arguments: $*\"\nenv\nexec sleep 3600\n";

fn chart(folder: &Path) -> Result<PathBuf> {
    let chart = folder.join("chart");
    std::fs::create_dir_all(chart.join("templates"))?;
    std::fs::write(
        chart.join("Chart.yaml"),
        "apiVersion: v2\nname: tiny\nversion: 0.1.0\n",
    )?;
    std::fs::write(chart.join("templates/all.yaml"), DEPLOYMENT)?;
    Ok(chart)
}

fn program(folder: &Path, name: &str) -> Result<()> {
    let program = folder.join(name);
    std::fs::write(&program, PROGRAM)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

#[tokio::test]
async fn the_chart_installs_and_gives_every_component_its_own_account() -> Result<()> {
    let cluster = ControlPlane::own().await?;
    let folder = scratch::subdirectory("programs")?;
    for name in ["operator-controller", "catalogd", "rukpak"] {
        program(&folder, name)?;
    }
    let options = SuiteOptions {
        binaries: Some(folder),
        ..SuiteOptions::default()
    };
    let suite = Suite::install(&cluster, options).await?;
    let mut components = suite.components();
    components.sort();
    assert_eq!(
        components,
        [
            "catalogd",
            "operator-controller",
            "rukpak",
            "rukpak-webhooks"
        ]
    );
    for component in components {
        suite.start_process(&component).await?;
        let account = format!("system:serviceaccount:olm-system:{component}");
        let client = suite.client_as(&component).await?;
        let review = Api::<SelfSubjectReview>::all(client)
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await?;
        let user = review.status.and_then(|status| status.user_info);
        assert_eq!(user.and_then(|user| user.username), Some(account));
        assert!(suite.address(&component, 8081)?.ip().is_loopback());
    }
    let arguments = suite.process("rukpak-webhooks")?.program().arguments;
    assert_eq!(arguments[0], "webhooks");
    let webhooks = format!(
        "--webhook-bind-address={}",
        suite.address("rukpak-webhooks", 9443)?
    );
    assert!(arguments.contains(&webhooks), "{arguments:?}");
    Ok(())
}

#[tokio::test]
async fn a_rendered_deployment_runs_as_a_local_process_with_its_own_account() -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    let folder = scratch::subdirectory("tiny")?;
    program(&folder, "catalogd")?;
    let namespace = "harness-suite".to_owned();
    let chart = Chart {
        path: chart(&folder)?,
        namespace,
        ..Chart::default()
    };
    let options = SuiteOptions {
        chart,
        binaries: Some(folder),
        plain_http_registries: vec!["127.0.0.1:5".to_owned()],
        ..SuiteOptions::default()
    };
    let suite = Suite::install(&cluster, options).await?;
    suite.start_process("catalogd").await?;
    let log = Wait::new("the program has written what it was given")
        .value(async || {
            let log = suite.log("catalogd")?;
            Ok(log.contains("POD_ACCOUNT=").then_some(log))
        })
        .await?;
    for expected in [
        "--leader-elect=true ",
        "--leader-elect-lease-duration=3s",
        "--system-namespace=harness-suite",
        "--http-external-address=https://127.0.0.1:",
        "--plain-http-registry=127.0.0.1:5",
        "--tls-san=127.0.0.1",
        "POD_NAMESPACE=harness-suite\n",
        "POD_ACCOUNT=catalogd\n",
    ] {
        assert!(log.contains(expected), "{expected} is not in\n{log}");
    }
    assert!(!log.contains("--cache-dir=/var/cache"), "{log}");

    // Simulated pods would pretend to be the suite.
    let deployments = Api::<Deployment>::namespaced(cluster.client().await?, "harness-suite");
    assert_eq!(
        deployments.get("catalogd").await?.spec.unwrap().replicas,
        Some(0)
    );

    // The rights are those of the rendered roles, no more.
    let client = suite.client_as("catalogd").await?;
    let maps = Api::<ConfigMap>::namespaced(client.clone(), "harness-suite");
    maps.list(&ListParams::default()).await?;
    let secrets = Api::<Secret>::namespaced(client, "harness-suite");
    let error = secrets
        .list(&ListParams::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("system:serviceaccount:harness-suite:catalogd"),
        "{error}"
    );

    assert!(suite.process("catalogd")?.pid().is_some());
    suite.kill("catalogd")?;
    assert!(suite.process("catalogd")?.pid().is_none());
    Ok(())
}
