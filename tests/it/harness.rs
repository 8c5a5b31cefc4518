//! The harness itself: what the other tests stand on.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::{Json, Router, routing::post};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use olm_tests::certificates::Authority;
use olm_tests::ports::Port;
use olm_tests::{Component, ControlPlane, Registry, RegistryOptions, Wait, chart, wait};
use serde_json::{Value, json};

async fn namespace(client: &Client, name: &str) -> Result<()> {
    let namespace = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
    Api::<Namespace>::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await?;
    Ok(())
}

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap()
}

#[tokio::test]
async fn a_deployment_of_two_replicas_becomes_available() -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    let client = cluster.client().await?;
    namespace(&client, "harness-deployment").await?;
    let web = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": "example.com/web:v1" }] },
            },
        },
    });
    chart::apply(&client, &web, "harness-deployment").await?;
    let api = Api::<Deployment>::namespaced(client, "harness-deployment");
    let web = Wait::new("the Deployment is Available")
        .logs(&cluster)
        .object(&api, "web", |web| {
            web.status
                .as_ref()
                .and_then(|status| status.available_replicas)
                == Some(2)
        })
        .await?;
    assert!(wait::has_condition(&web, "Available", "True"));
    let listed = cluster
        .kubectl(&["get", "pods", "-n", "harness-deployment", "-o", "name"])
        .await?;
    assert_eq!(listed.lines().count(), 2);
    Ok(())
}

#[tokio::test]
async fn a_deleted_namespace_goes_away_with_its_content() -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    let client = cluster.client().await?;
    namespace(&client, "harness-deleted").await?;
    let maps = Api::<ConfigMap>::namespaced(client.clone(), "harness-deleted");
    maps.create(&PostParams::default(), &config_map("content"))
        .await?;
    let namespaces = Api::<Namespace>::all(client);
    namespaces
        .delete("harness-deleted", &DeleteParams::default())
        .await?;
    Wait::new("the namespace is gone")
        .logs(&cluster)
        .gone(&namespaces, "harness-deleted")
        .await?;
    assert!(maps.get_opt("content").await?.is_none());
    Ok(())
}

/// Answers every `AdmissionReview` with a refusal that says who refused.
async fn refuse(Json(review): Json<Value>) -> Json<Value> {
    Json(json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {
            "uid": review["request"]["uid"], "allowed": false,
            "status": { "message": "refused by the local listener" },
        },
    }))
}

#[tokio::test]
async fn a_webhook_behind_a_service_reaches_a_local_listener() -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    let client = cluster.client().await?;
    namespace(&client, "harness-egress").await?;
    let authority = Authority::new("harness-webhook")?;
    let identity = authority.server(&["hook.harness-egress.svc"])?;
    let tls = axum_server::tls_rustls::RustlsConfig::from_pem(
        identity.certificate.into_bytes(),
        identity.key.into_bytes(),
    )
    .await?;
    let port = Port::reserve()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
    let app = Router::new().route("/refuse", post(refuse));
    let server = axum_server::bind_rustls(address, tls).serve(app.into_make_service());
    let server = tokio::spawn(server);
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "hook" },
        "spec": { "ports": [{ "port": 443, "targetPort": 9443 }] },
    });
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": "harness-egress" },
        "webhooks": [{
            "name": "hook.harness.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "timeoutSeconds": 5,
            "clientConfig": {
                "service": { "namespace": "harness-egress", "name": "hook", "path": "/refuse" },
                "caBundle": base64(&authority.certificate()),
            },
            "namespaceSelector": {
                "matchLabels": { "kubernetes.io/metadata.name": "harness-egress" },
            },
            "rules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                "resources": ["configmaps"],
            }],
        }],
    });
    chart::apply(&client, &service, "harness-egress").await?;
    chart::apply(&client, &configuration, "").await?;
    let maps = Api::<ConfigMap>::namespaced(client, "harness-egress");
    let mut number = 0;
    let mut create = async || {
        number += 1;
        let map = config_map(&format!("try-{number}"));
        maps.create(&PostParams::default(), &map)
            .await
            .err()
            .map(|error| error.to_string())
    };

    // Not mapped yet: refused, and at once rather than after the webhook's timeout.
    let error = Wait::new("the webhook configuration is in force")
        .value(async || Ok(create().await))
        .await?;
    assert!(error.contains("failed calling webhook"), "{error}");
    let start = Instant::now();
    assert!(create().await.unwrap().contains("failed calling webhook"));
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );

    cluster
        .expose("harness-egress", "hook", 443, &[address])
        .await?;
    let error = create().await.expect("the webhook refuses");
    assert!(error.contains("refused by the local listener"), "{error}");

    cluster
        .kubectl(&["delete", "validatingwebhookconfiguration", "harness-egress"])
        .await?;
    server.abort();
    Ok(())
}

#[tokio::test]
async fn data_and_clients_survive_a_killed_api_server_and_a_killed_etcd() -> Result<()> {
    let cluster = ControlPlane::own().await?;
    let client = cluster.client().await?;
    let maps = Api::<ConfigMap>::namespaced(client.clone(), "default");
    maps.create(&PostParams::default(), &config_map("kept"))
        .await?;
    for component in [Component::ApiServer, Component::Etcd] {
        let pid = cluster.process(component)?.pid();
        cluster.restart(component).await?;
        assert_ne!(cluster.process(component)?.pid(), pid);
        Wait::new("the data is there")
            .logs(&cluster)
            .object(&maps, "kept", |_| true)
            .await?;
    }
    let memory = cluster.process(Component::ApiServer)?.memory()?;
    assert!(memory.now > 50.0, "{memory:?}");
    let pods = Api::<Pod>::all(client).list(&ListParams::default()).await?;
    assert!(pods.items.is_empty());
    Ok(())
}

async fn status(registry: &Registry, user: Option<(&str, &str)>) -> Result<u16> {
    let mut builder = reqwest::Client::builder();
    if let Some(authority) = registry.authority() {
        let certificate = reqwest::Certificate::from_pem(authority.as_bytes())?;
        builder = builder.add_root_certificate(certificate);
    }
    let mut request = builder.build()?.get(format!("{}/v2/", registry.url()));
    if let Some((user, password)) = user {
        request = request.basic_auth(user, Some(password));
    }
    Ok(request.send().await?.status().as_u16())
}

#[tokio::test]
async fn a_registry_answers_and_answers_again_after_a_restart() -> Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    assert_eq!(status(&registry, None).await?, 200);
    registry.kill()?;
    assert!(status(&registry, None).await.is_err());
    registry.start_again().await?;
    assert_eq!(status(&registry, None).await?, 200);
    Ok(())
}

#[tokio::test]
async fn a_registry_with_tls_and_a_password_lets_only_its_user_in() -> Result<()> {
    let options = RegistryOptions {
        tls: true,
        ..RegistryOptions::password("ann", "secret")
    };
    let registry = Registry::start(options).await?;
    assert_eq!(status(&registry, None).await?, 401);
    assert_eq!(status(&registry, Some(("ann", "wrong"))).await?, 401);
    assert_eq!(status(&registry, Some(("ann", "secret"))).await?, 200);
    Ok(())
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
