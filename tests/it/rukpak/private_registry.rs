//! Bundles from a registry with TLS of its own authority and a password.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use olm_api::bundle::Bundle;
use olm_tests::publish::Publisher;
use olm_tests::{
    ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, scratch, wait,
};
use olm_tree::MemoryTree;
use serde_json::json;

use super::cluster::PLAIN;
use super::objects::config_map;
use super::status::{pinned, why};

#[tokio::test]
async fn a_private_registry_opens_to_the_entry_that_fits_the_repository_best() -> Result<()> {
    let registry = Registry::start(RegistryOptions {
        tls: true,
        ..RegistryOptions::password("ann", "geheim")
    })
    .await?;
    let authority = registry.authority().context("no authority")?;
    let file = scratch::subdirectory("authority")?.join("ca.crt");
    std::fs::write(&file, authority)?;
    let options = SuiteOptions {
        registry_ca_file: Some(file),
        ..SuiteOptions::default()
    };
    let cluster = ControlPlane::own().await?;
    let suite = Suite::start_only(&cluster, options, &["rukpak-webhooks", "rukpak"]).await?;
    let client = cluster.client().await?;
    let mut tree = MemoryTree::default();
    let object = config_map("default", "private", "1").to_string();
    tree.insert("manifests/a.yaml", object)?;
    Publisher::with_password(&registry, "ann", "geheim")
        .bundle("team/private:v1", &tree)
        .await?;
    let host = registry.host();
    let entry = |password: &str| json!({"username": "ann", "password": password});
    let secrets: Api<Secret> = Api::namespaced(client.clone(), suite.namespace());
    for (name, kind, key, content) in [
        (
            "modern",
            "kubernetes.io/dockerconfigjson",
            ".dockerconfigjson",
            json!({"auths": {
                host.as_str(): entry("falsch"), format!("{host}/team"): entry("geheim"),
            }}),
        ),
        (
            "old",
            "kubernetes.io/dockercfg",
            ".dockercfg",
            json!({host.as_str(): entry("geheim")}),
        ),
        (
            "other",
            "kubernetes.io/dockerconfigjson",
            ".dockerconfigjson",
            json!({"auths": {format!("{host}/other"): entry("geheim")}}),
        ),
        (
            "opaque",
            "Opaque",
            ".dockerconfigjson",
            json!({"auths": {host.as_str(): entry("geheim")}}),
        ),
        (
            "labelled",
            "Opaque",
            ".dockerconfigjson",
            json!({"auths": {host.as_str(): entry("geheim")}}),
        ),
        (
            "bound",
            "kubernetes.io/dockerconfigjson",
            ".dockerconfigjson",
            json!({"auths": {host.as_str(): entry("geheim")}}),
        ),
        (
            "elsewhere",
            "kubernetes.io/dockerconfigjson",
            ".dockerconfigjson",
            json!({"auths": {host.as_str(): entry("geheim")}}),
        ),
    ] {
        let mut metadata = json!({"name": name});
        match name {
            "labelled" => metadata["labels"] = json!({"core.rukpak.io/source-secret": "true"}),
            "bound" => metadata["annotations"] = json!({"core.rukpak.io/allowed-hosts": host}),
            "elsewhere" => {
                metadata["annotations"] = json!({"core.rukpak.io/allowed-hosts": "quay.io"});
            }
            _ => {}
        }
        let secret = serde_json::from_value(json!({
            "metadata": metadata, "type": kind, "stringData": {key: content.to_string()},
        }))?;
        secrets.create(&PostParams::default(), &secret).await?;
    }
    let bundles: Api<Bundle> = Api::all(client);
    for (name, reason, text) in [
        (
            "modern",
            "UnpackSuccessful",
            "Successfully unpacked the image Bundle",
        ),
        (
            "old",
            "UnpackSuccessful",
            "Successfully unpacked the image Bundle",
        ),
        ("other", "UnpackFailed", "401"),
        ("opaque", "UnpackFailed", "is of type `Opaque`"),
        (
            "labelled",
            "UnpackSuccessful",
            "Successfully unpacked the image Bundle",
        ),
        (
            "bound",
            "UnpackSuccessful",
            "Successfully unpacked the image Bundle",
        ),
        (
            "elsewhere",
            "UnpackFailed",
            "its annotation `core.rukpak.io/allowed-hosts` lacks it",
        ),
        ("none", "UnpackFailed", "401"),
    ] {
        let mut image = json!({"ref": format!("{host}/team/private:v1")});
        if name != "none" {
            image["pullSecret"] = json!(name);
        }
        let bundle = serde_json::from_value(json!({
            "apiVersion": "core.rukpak.io/v1alpha1", "kind": "Bundle", "metadata": {"name": name},
            "spec": {"provisionerClassName": PLAIN, "source": {"type": "image", "image": image}},
        }))?;
        bundles.create(&PostParams::default(), &bundle).await?;
        let bundle = Wait::new(format!("Unpacked of Bundle `{name}` is {reason}"))
            .logs(&suite)
            .object(&bundles, name, |bundle| {
                wait::is_because(bundle, "Unpacked", reason)
            })
            .await?;
        assert!(why(&bundle).contains(text), "{name}: {}", why(&bundle));
        let is_pinned = pinned(&bundle).starts_with(&format!("{host}/team/private@sha256:"));
        assert_eq!(is_pinned, reason == "UnpackSuccessful", "{name}");
    }
    assert!(!suite.log("rukpak")?.contains("geheim"));
    Ok(())
}
