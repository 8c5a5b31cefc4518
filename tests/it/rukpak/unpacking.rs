//! A Bundle is unpacked and pinned, or says why not.

use anyhow::{Context as _, Result, ensure};
use kube::api::DeleteParams;
use olm_tests::Wait;
use serde_json::json;

use super::cluster::{PLAIN, RukpakCluster};
use super::contents;
use super::objects::{config_map, image, namespace};
use super::status::{pinned, why};

#[tokio::test]
async fn a_bundle_is_unpacked_pinned_and_never_moves() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let first = [("manifests/a.yaml", config_map("a", "first", "1"))];
    let reference = fixture.push("plain:v1", &first).await?;
    fixture.create("plain", PLAIN, image(&reference)).await?;
    let bundle = fixture.unpacked("plain", "UnpackSuccessful").await?;
    let status = bundle.status.clone().context("no status")?;
    assert_eq!(status.phase.as_deref(), Some("Unpacked"));
    assert_eq!(why(&bundle), "Successfully unpacked the image Bundle");
    let url = status.content_url.as_deref().unwrap_or_default();
    assert!(url.ends_with("/bundles/plain.tgz"), "{url}");
    let pin = pinned(&bundle);
    assert!(pin.contains("/plain@sha256:"), "{pin}");

    // The tag moves and the storage is lost: the same content comes back.
    let second = [("manifests/a.yaml", config_map("a", "second", "2"))];
    fixture.push("plain:v1", &second).await?;
    fixture.suite.kill("rukpak")?;
    let storage = fixture.suite.directory().to_owned();
    let removed = contents::remove_all(&storage)?;
    ensure!(
        removed > 0,
        "nothing was stored below {}",
        storage.display()
    );
    fixture.suite.start_component("rukpak").await?;
    Wait::new("the content is fetched again")
        .logs(&fixture.suite)
        .value(async || Ok((contents::count(&storage)? >= removed).then_some(())))
        .await?;
    let again = fixture.unpacked("plain", "UnpackSuccessful").await?;
    assert_eq!(pinned(&again), pin);

    // Its content goes with it.
    fixture
        .bundles
        .delete("plain", &DeleteParams::default())
        .await?;
    Wait::new("the Bundle is gone")
        .logs(&fixture.suite)
        .gone(&fixture.bundles, "plain")
        .await
}

#[tokio::test]
async fn content_that_is_no_bundle_says_so_in_known_words() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let empty = fixture
        .push("empty:v1", &[("emptyfile", json!({}))])
        .await?;
    let object = config_map("a", "a", "1");
    let folders = [
        ("manifests/namespace-a.yaml", namespace("a")),
        ("manifests/subdir/b.yaml", object.clone()),
    ];
    let subdir = fixture.push("subdir:v1", &folders).await?;
    let absent = format!("{}/plain:absent", fixture.registry.host());
    let missing = format!(
        "source bundle content: error fetching image descriptor: image `{absent}` was not found"
    );
    let unknown = json!({"type": "ftp", "image": {"ref": "a"}});
    fixture
        .create("unknown-class", "non-existent-class-name", image(&empty))
        .await?;
    let cases = [
        (
            "empty",
            image(&empty),
            "get objects from bundle manifests: readdir manifests: file does not exist",
        ),
        (
            "subdir",
            image(&subdir),
            "get objects from bundle manifests: subdirectories are not allowed within the \
             \"manifests\" directory of the bundle image filesystem: found \"manifests/subdir\"",
        ),
        (
            "unknown-type",
            unknown,
            "source bundle content: source type \"ftp\" not supported",
        ),
        ("absent", image(&absent), &missing),
        (
            "reference",
            image("not a reference"),
            "source bundle content: error parsing image reference",
        ),
    ];
    for (name, source, text) in cases {
        fixture.create(name, PLAIN, source).await?;
        let bundle = fixture.unpacked(name, "UnpackFailed").await?;
        let status = bundle.status.clone().context("no status")?;
        assert_eq!(status.phase.as_deref(), Some("Failing"));
        assert_eq!(status.resolved_source, None);
        assert!(why(&bundle).starts_with(text), "{name}: {}", why(&bundle));
    }
    // The image that was absent is pushed: nobody has to touch the Bundle.
    fixture
        .push("plain:absent", &[("manifests/a.yaml", object)])
        .await?;
    fixture.unpacked("absent", "UnpackSuccessful").await?;
    let unknown = fixture.bundles.get("unknown-class").await?;
    assert!(unknown.status.is_none(), "{:?}", unknown.status);
    Ok(())
}
