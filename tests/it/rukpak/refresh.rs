//! What lets a Bundle be unpacked again: its annotation for that, and what it waited for.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use olm_fs::pack;
use olm_tests::certificates::Authority;
use olm_tests::git::{GitServer, GitServerOptions};
use olm_tests::{Wait, scratch};
use olm_tree::MemoryTree;
use serde_json::json;

use super::cluster::{PLAIN, RukpakCluster};
use super::objects::{config_map, image};
use super::status::{pinned, why};

#[tokio::test]
async fn an_annotation_lets_a_tag_be_resolved_again_and_what_runs_follows() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let push = async |value: &str| {
        let object = config_map("default", "refreshed", value);
        fixture
            .push("refresh:v1", &[("manifests/a.yaml", object)])
            .await
    };
    let reference = push("1").await?;
    fixture.deploy("refreshed", PLAIN, &reference).await?;
    fixture.installed("refreshed").await?;
    let bundle = fixture.bundles_of("refreshed").await?.remove(0);
    let first = fixture.bundles.get(&bundle).await?;

    // The tag moves, which nobody is to notice before it is asked for.
    push("2").await?;
    fixture.suite.restart("rukpak").await?;
    let still = fixture.unpacked(&bundle, "UnpackSuccessful").await?;
    assert_eq!(pinned(&still), pinned(&first));
    let annotate = async |value: &str| {
        let patch = json!({"metadata": {"annotations": {"core.rukpak.io/refresh": value}}});
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patched = fixture.bundles.patch(&bundle, &parameters, &patch);
        patched.await
    };
    annotate("once").await?;
    let now = Wait::new("the tag is resolved again")
        .logs(&fixture.suite)
        .object(&fixture.bundles, &bundle, |bundle| {
            let status = bundle.status.as_ref();
            status.is_some_and(|status| status.refreshed.as_deref() == Some("once"))
        })
        .await?;
    assert_ne!(pinned(&now), pinned(&first));
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "default");
    Wait::new("what runs follows")
        .logs(&fixture.suite)
        .object(&maps, "refreshed", |map| {
            let data = map.data.as_ref();
            data.and_then(|data| data.get("key")).map(String::as_str) == Some("2")
        })
        .await?;

    // Where the source is gone, what runs stays, and the status says why.
    fixture.registry.kill()?;
    annotate("twice").await?;
    let failed = fixture.unpacked(&bundle, "UnpackFailed").await?;
    assert_eq!(pinned(&failed), pinned(&now));
    let installed = fixture.deployments.get("refreshed").await?;
    let active = installed.status.and_then(|status| status.active_bundle);
    assert_eq!(active.as_deref(), Some(bundle.as_str()));
    Ok(())
}

#[tokio::test]
async fn a_bundle_goes_on_when_its_secret_comes_and_when_it_changes() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let authority = Authority::new("olm-test-refresh")?;
    let identity = authority.server(&["localhost"])?;
    let folder = scratch::subdirectory("refresh")?;
    let options = GitServerOptions {
        user: Some(("ann".to_owned(), "geheim".to_owned())),
        identity: Some((identity.certificate, identity.key)),
        ..GitServerOptions::default()
    };
    let server = GitServer::start(&folder, options).await?;
    let mut tree = MemoryTree::new();
    let object = config_map("default", "late", "1").to_string();
    tree.insert("manifests/a.yaml", object)?;
    let mut bytes = Vec::new();
    pack::tar_gz(&tree, &pack::Options::default(), &mut bytes)?;
    std::fs::write(folder.join("a.tgz"), bytes)?;
    let suite = fixture.suite.namespace();
    let secrets: Api<Secret> = Api::namespaced(fixture.client.clone(), suite);
    let source = json!({"type": "http", "http": {
        "url": server.url("a.tgz"), "auth": {"secret": {"name": "late"}},
    }});
    fixture.create("late", PLAIN, source).await?;
    let failed = fixture.unpacked("late", "UnpackFailed").await?;
    assert!(
        why(&failed).contains("cannot read secret"),
        "{}",
        why(&failed)
    );
    let mut secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "late", "annotations": {"core.rukpak.io/allowed-hosts": "other"}},
        "type": "kubernetes.io/basic-auth",
        "stringData": {
            "username": "ann", "password": "geheim", "ca.crt": authority.certificate(),
        },
    });
    let created = serde_json::from_value(secret.clone())?;
    secrets.create(&PostParams::default(), &created).await?;
    Wait::new("the Secret is looked at")
        .logs(&fixture.suite)
        .object(&fixture.bundles, "late", |bundle| {
            why(bundle).ends_with("its annotation `core.rukpak.io/allowed-hosts` lacks it")
        })
        .await?;
    secret["metadata"]["annotations"]["core.rukpak.io/allowed-hosts"] = json!("localhost");
    let parameters = PatchParams::apply("tests").force();
    secrets
        .patch("late", &parameters, &Patch::Apply(&secret))
        .await?;
    fixture.unpacked("late", "UnpackSuccessful").await?;

    // The same for images.
    let mut image = image("registry.example.com/a:v1");
    image["image"]["pullSecret"] = json!("pull");
    fixture.create("image", PLAIN, image).await?;
    fixture.unpacked("image", "UnpackFailed").await?;
    let auths = json!({"auths": {"registry.example.com": {"username": "a", "password": "b"}}});
    let secret = serde_json::from_value(json!({
        "metadata": {"name": "pull", "annotations": {"core.rukpak.io/allowed-hosts": "quay.io"}},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": auths.to_string()},
    }))?;
    secrets.create(&PostParams::default(), &secret).await?;
    let found = Wait::new("the pull secret is looked at")
        .logs(&fixture.suite)
        .object(&fixture.bundles, "image", |bundle| {
            !why(bundle).contains("cannot read secret")
        })
        .await?;
    let text = format!(
        "source bundle content: secret `{suite}/pull` is not for the host `registry.example.com`: \
         its annotation `core.rukpak.io/allowed-hosts` lacks it"
    );
    assert_eq!(why(&found), text);
    found.status.context("no status")?;
    Ok(())
}
