//! What cannot be used is said on its own Catalog.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use olm_api::catalog::Catalog;
use olm_registry::push::NewImage;
use olm_tests::publish::Publisher;
use olm_tests::{Registry, RegistryOptions, Wait, wait};
use serde_json::json;

use super::cluster::{CatalogdCluster, has, message};
use super::files::{PACKAGE, PACKAGE_LINES, tree};

#[tokio::test]
async fn each_bad_input_is_reported_on_its_own_catalog_and_harms_no_other() -> Result<()> {
    let fixture = CatalogdCluster::start().await?;
    let host = fixture.registry.host();
    let publisher = Publisher::new(&fixture.registry);
    let good = tree(&[("etcd/catalog.yaml", PACKAGE)]);
    let (reference, digest) = publisher.catalog_tree("good:v1", &good).await?;
    let half = tree(&[
        ("etcd/catalog.yaml", PACKAGE),
        ("broken/catalog.yaml", "schema: ["),
    ]);
    let (half, _) = publisher.catalog_tree("half:v1", &half).await?;
    let bad = tree(&[("broken/catalog.yaml", "schema: [")]);
    let (bad, _) = publisher.catalog_tree("bad:v1", &bad).await?;
    let unlabelled = publisher
        .push("unlabelled:v1", &NewImage::default())
        .await?;
    let secret = Registry::start(RegistryOptions::password("user", "geheim")).await?;
    let private = Publisher::with_password(&secret, "user", "geheim");
    // Elsewhere only, so far.
    let (_, late) = private.catalog_tree("late:v1", &good).await?;
    let (private, _) = private.catalog_tree("private:v1", &good).await?;

    let zeros = "0".repeat(64);
    fixture
        .create("missing", json!({"ref": format!("{host}/none:v1")}))
        .await?;
    fixture
        .create(
            "wrong-digest",
            json!({"ref": format!("{host}/good@sha256:{zeros}")}),
        )
        .await?;
    fixture
        .create("late", json!({"ref": format!("{host}/late@{late}")}))
        .await?;
    fixture
        .create(
            "unlabelled-tag",
            json!({"ref": format!("{host}/unlabelled:v1")}),
        )
        .await?;
    fixture
        .create(
            "unlabelled",
            json!({"ref": format!("{host}/unlabelled@{unlabelled}")}),
        )
        .await?;
    fixture
        .create("no-reference", json!({"ref": format!("{host}/UPPER:v1")}))
        .await?;
    fixture
        .create(
            "interval",
            json!({"ref": reference, "pollInterval": "1 day"}),
        )
        .await?;
    fixture.create("half", json!({"ref": half})).await?;
    fixture.create("bad", json!({"ref": bad})).await?;
    fixture.create("anonymous", json!({"ref": private})).await?;
    fixture
        .create("no-secret", json!({"ref": private, "pullSecret": "none"}))
        .await?;
    fixture
        .create("good", json!({"ref": format!("{host}/good@{digest}")}))
        .await?;

    let source = "source bundle content: ";
    let unpacking = "source bundle content: error unpacking image: ";
    let label = "operators.operatorframework.io.index.configs.v1";
    for (name, begin, contains, terminal) in [
        (
            "missing",
            format!("{source}error fetching image descriptor: "),
            "was not found",
            false,
        ),
        (
            "wrong-digest",
            format!("{unpacking}error fetching remote image \"{host}/good@sha256:{zeros}\": "),
            "was not found",
            false,
        ),
        (
            "late",
            format!("{unpacking}error fetching remote image \"{host}/late@{late}\": "),
            "was not found",
            false,
        ),
        (
            "unlabelled-tag",
            format!(
                "{unpacking}catalog image \"{host}/unlabelled:v1\" is missing the required label"
            ),
            label,
            false,
        ),
        (
            "unlabelled",
            format!("{unpacking}catalog image \"{host}/unlabelled@{unlabelled}\" is missing"),
            label,
            true,
        ),
        (
            "no-reference",
            format!("{source}error parsing image reference: "),
            "",
            true,
        ),
        (
            "interval",
            format!("{source}error parsing poll interval: "),
            "1 day",
            true,
        ),
        (
            "bad",
            "failed to store bundle: error storing fbc: error in parsing catalog content files in \
             the filesystem: "
                .to_owned(),
            "broken/catalog.yaml",
            false,
        ),
        (
            "anonymous",
            format!("{source}error fetching image descriptor: "),
            "HTTP 401",
            false,
        ),
        (
            "no-secret",
            format!("{source}error getting auth keychain: "),
            "none",
            false,
        ),
    ] {
        let status = fixture.unpacked(name, "False").await?;
        let text = message(&status);
        ensure!(text.starts_with(&begin), "{name}: {text}");
        ensure!(text.contains(contains), "{name}: {text}");
        assert_eq!(status.phase.as_deref(), Some("Failing"), "{name}");
        assert_eq!(has(&status, "Stalled"), terminal, "{name}: {text}");
        assert_eq!(status.content_url, None, "{name}");
    }

    let status = fixture.unpacked("half", "True").await?;
    ensure!(
        message(&status)
            .contains("except 1 file that cannot be read: configs/broken/catalog.yaml: "),
        "{}",
        message(&status)
    );
    let url = status.content_url.context("no contentURL")?;
    assert_eq!(fixture.get(&url).await?.text().await?, PACKAGE_LINES);
    let status = fixture.unpacked("good", "True").await?;
    let url = status.content_url.context("no contentURL")?;
    assert_eq!(fixture.get(&url).await?.text().await?, PACKAGE_LINES);

    // What comes into the registry is found without a change of the Catalog.
    for name in ["none:v1", "bad:v1", "unlabelled:v1"] {
        publisher.catalog_tree(name, &good).await?;
    }
    let (_, digest) = publisher.catalog_tree("late:v1", &good).await?;
    assert_eq!(digest, late);
    for name in ["missing", "late", "bad", "unlabelled-tag"] {
        fixture.unpacked(name, "True").await?;
    }

    // What is put right is noticed.
    let auths = json!({"auths": {secret.host(): {"username": "user", "password": "geheim"}}});
    let pull: Secret = serde_json::from_value(json!({
        "metadata": {"name": "pull"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": auths.to_string()},
    }))?;
    Api::<Secret>::namespaced(fixture.client.clone(), fixture.suite.namespace())
        .create(&PostParams::default(), &pull)
        .await?;
    let patch = Patch::Merge(json!({"spec": {"source": {"image": {"pullSecret": "pull"}}}}));
    for name in ["anonymous", "no-secret"] {
        fixture
            .catalogs
            .patch(name, &PatchParams::default(), &patch)
            .await?;
        fixture.unpacked(name, "True").await?;
    }
    let patch = Patch::Merge(json!({"spec": {"source": {"image": {"pollInterval": "0s"}}}}));
    fixture
        .catalogs
        .patch("interval", &PatchParams::default(), &patch)
        .await?;
    let status = fixture.unpacked("interval", "True").await?;
    assert!(!has(&status, "Stalled"));
    Ok(())
}

#[tokio::test]
async fn a_catalog_without_spec_says_so_and_can_be_deleted() -> Result<()> {
    let fixture = CatalogdCluster::start().await?;
    let resource = kube::api::ApiResource::erase::<Catalog>(&());
    let api: Api<kube::api::DynamicObject> = Api::all_with(fixture.client.clone(), &resource);
    let object = serde_json::from_value(json!({
        "apiVersion": "catalogd.operatorframework.io/v1alpha1",
        "kind": "Catalog",
        "metadata": {"name": "empty", "finalizers": ["catalogd.operatorframework.io/delete-server-cache"]},
    }))?;
    api.create(&PostParams::default(), &object).await?;
    let object = Wait::new("the object without spec is reported")
        .logs(&fixture.suite)
        .object(&api, "empty", |object| {
            wait::has_condition(object, "Unpacked", "False")
        })
        .await?;
    let row = wait::condition(&object, "Unpacked").unwrap_or_default();
    let text = row["message"].as_str().unwrap_or_default();
    ensure!(
        text.starts_with("source bundle content: error parsing catalog: "),
        "{text}"
    );
    api.delete("empty", &DeleteParams::default()).await?;
    Wait::new("it is gone")
        .logs(&fixture.suite)
        .gone(&api, "empty")
        .await
}
