//! Images from mirrors of their registries.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use olm_api::bundle::Bundle;
use olm_tests::publish::Publisher;
use olm_tests::{ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, wait};
use olm_tree::MemoryTree;
use serde_json::json;

use super::cluster::PLAIN;
use super::objects::config_map;
use super::status::{pinned, why};

/// A bundle with one ConfigMap.
fn bundle(name: &str) -> Result<MemoryTree> {
    let mut tree = MemoryTree::default();
    let object = config_map("default", name, "1").to_string();
    tree.insert("manifests/a.yaml", object)?;
    Ok(tree)
}

#[tokio::test]
async fn mirrors_are_asked_first_with_their_own_credentials_and_the_source_last() -> Result<()> {
    let mirror = Registry::start(RegistryOptions::password("ann", "geheim")).await?;
    let empty = Registry::start(RegistryOptions::default()).await?;
    let source = Registry::start(RegistryOptions::default()).await?;
    let pushed = Publisher::with_password(&mirror, "ann", "geheim")
        .bundle("quay/team/a:v1", &bundle("mirrored")?)
        .await?;
    let (_, digest) = pushed.split_once('@').context("no digest")?;
    Publisher::new(&source)
        .bundle("team/only:v1", &bundle("source")?)
        .await?;
    let hosts = [mirror.host(), empty.host(), source.host()];
    let mut options = SuiteOptions::plain_http(hosts);
    // Nobody answers for the first source; of the second there is a mirror that lacks the image.
    let mirrors = [
        format!("--registry-mirror=registry.invalid={}", empty.host()),
        format!("--registry-mirror=registry.invalid={}/quay", mirror.host()),
        format!("--registry-mirror={}={}", source.host(), empty.host()),
    ];
    options
        .arguments
        .insert("rukpak".to_owned(), mirrors.to_vec());
    let cluster = ControlPlane::own().await?;
    let suite = Suite::start_only(&cluster, options, &["rukpak-webhooks", "rukpak"]).await?;
    let client = cluster.client().await?;
    let auths = json!({"auths": {mirror.host(): {"username": "ann", "password": "geheim"}}});
    let secret = serde_json::from_value(json!({
        "metadata": {"name": "mirror"}, "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": auths.to_string()},
    }))?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), suite.namespace());
    secrets.create(&PostParams::default(), &secret).await?;
    let bundles: Api<Bundle> = Api::all(client);
    for (name, reference, reason) in [
        (
            "mirrored",
            "registry.invalid/team/a:v1".to_owned(),
            "UnpackSuccessful",
        ),
        (
            "source",
            format!("{}/team/only:v1", source.host()),
            "UnpackSuccessful",
        ),
        (
            "neither",
            format!("{}/team/neither:v1", source.host()),
            "UnpackFailed",
        ),
    ] {
        let object = serde_json::from_value(json!({
            "apiVersion": "core.rukpak.io/v1alpha1", "kind": "Bundle", "metadata": {"name": name},
            "spec": {"provisionerClassName": PLAIN, "source": {
                "type": "image", "image": {"ref": reference, "pullSecret": "mirror"},
            }},
        }))?;
        bundles.create(&PostParams::default(), &object).await?;
        let found = Wait::new(format!("Bundle `{name}` is {reason}"))
            .logs(&suite)
            .object(&bundles, name, |bundle| {
                wait::is_because(bundle, "Unpacked", reason)
            })
            .await?;
        // Whoever gave it: what it is pinned to is what was asked for.
        let (repository, _tag) = reference.rsplit_once(':').context("no tag")?;
        match name {
            "mirrored" => assert_eq!(pinned(&found), format!("{repository}@{digest}")),
            "source" => ensure!(pinned(&found).starts_with(repository), "{}", pinned(&found)),
            _ => ensure!(why(&found).contains(&reference), "{}", why(&found)),
        }
    }
    ensure!(!suite.log("rukpak")?.contains("geheim"));
    Ok(())
}
