//! Bundles that lie in a directory of an image.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use olm_tests::Wait;
use olm_tree::MemoryTree;
use serde_json::{Value, json};

use super::cluster::{PLAIN, RukpakCluster};
use super::contents;
use super::objects::{config_map, image};
use super::status::{pinned, why};

fn within(reference: &str, directory: &str) -> Value {
    json!({"type": "image", "image": {"ref": reference, "directory": directory}})
}

#[tokio::test]
async fn a_directory_of_an_image_is_a_bundle_of_its_own() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let mut tree = MemoryTree::new();
    for (path, name) in [
        ("manifests/a.yaml", "whole"),
        ("deploy/manifests/a.yaml", "part"),
    ] {
        tree.insert(path, config_map("default", name, "1").to_string())?;
    }
    tree.insert("deploy/README", "no bundle")?;
    let reference = fixture.push_tree("parts:v1", &tree).await?;

    // Both parts of one image are there at once.
    let part = within(&reference, "./deploy/");
    fixture.create("whole", PLAIN, image(&reference)).await?;
    fixture.create("part", PLAIN, part.clone()).await?;
    let whole = fixture.unpacked("whole", "UnpackSuccessful").await?;
    let bundle = fixture.unpacked("part", "UnpackSuccessful").await?;
    assert_eq!(pinned(&bundle), pinned(&whole));
    let status = bundle.status.clone().context("no status")?;
    assert_eq!(
        serde_json::to_value(&status.resolved_source)?,
        within(&pinned(&whole), "./deploy/")
    );
    let digest = status.content_digest.context("no digest")?;
    let whole = whole.status.and_then(|status| status.content_digest);
    assert_ne!(Some(&digest), whole.as_ref());

    // What was lost comes back the same although the tag has moved.
    fixture
        .push(
            "parts:v1",
            &[("manifests/b.yaml", config_map("default", "b", "1"))],
        )
        .await?;
    fixture.suite.kill("rukpak")?;
    assert!(contents::remove_all(fixture.suite.directory())? > 0);
    fixture.suite.start_component("rukpak").await?;
    let storage = fixture.suite.directory().to_owned();
    Wait::new("the content is fetched again")
        .logs(&fixture.suite)
        .value(async || Ok(contents::holds(&storage, &digest)?.then_some(())))
        .await?;

    // It is installed, and nothing of the image besides it.
    let by_digest = within(&pinned(&bundle), "deploy");
    let template =
        json!({"template": {"spec": {"provisionerClassName": PLAIN, "source": by_digest}}});
    fixture.deploy_with("part", PLAIN, "", template).await?;
    fixture.installed("part").await?;
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "default");
    assert!(maps.get_opt("part").await?.is_some());
    assert!(maps.get_opt("whole").await?.is_none());
    fixture.uninstall("part").await?;

    // What is no directory, or none with a bundle, is named.
    let by_digest = pinned(&bundle);
    for (name, directory) in [
        ("absent", "absent"),
        ("file", "deploy/README"),
        ("below", "deploy/README/manifests"),
    ] {
        fixture
            .create(name, PLAIN, within(&by_digest, directory))
            .await?;
        let failed = fixture.unpacked(name, "UnpackFailed").await?;
        let text = format!(
            "source bundle content: error unpacking image: image \"{by_digest}\": its directory \
             \"{directory}\" is not there or holds nothing at \"manifests, metadata\""
        );
        assert_eq!(why(&failed), text);
    }
    let outside = fixture.create("outside", PLAIN, within(&reference, "a/../.."));
    let refused = outside.await.err().context("created")?.to_string();
    let text = "bundle.spec.source.image.directory begins with \"../\": directory must define path \
                within the image";
    assert!(refused.contains(text), "{refused}");
    Ok(())
}
