//! Bundles from ConfigMaps.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use super::cluster::{PLAIN, RukpakCluster};
use super::contents;
use super::objects::{config_map, namespace};
use super::status::why;

async fn create(fixture: &RukpakCluster, name: &str, immutable: bool, data: Value) -> Result<()> {
    let map = json!({"metadata": {"name": name}, "immutable": immutable, "data": data});
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), fixture.suite.namespace());
    maps.create(&PostParams::default(), &serde_json::from_value(map)?)
        .await?;
    Ok(())
}

fn source(entries: &[(&str, &str)]) -> Value {
    let entries: Vec<_> = entries
        .iter()
        .map(|(name, path)| json!({"configMap": {"name": name}, "path": path}))
        .collect();
    json!({"type": "configMaps", "configMaps": entries})
}

#[tokio::test]
async fn config_maps_are_files_and_are_kept_when_they_go() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let object = config_map("default", "mapped", "1").to_string();
    create(&fixture, "valid", true, json!({"a.yaml": object})).await?;
    let valid = source(&[("valid", "manifests")]);
    fixture.create("valid", PLAIN, valid.clone()).await?;
    let bundle = fixture.unpacked("valid", "UnpackSuccessful").await?;
    assert_eq!(why(&bundle), "Successfully unpacked the configMaps Bundle");
    let status = bundle.status.context("no status")?;
    assert_eq!(serde_json::to_value(&status.resolved_source)?, valid);

    // The content is stored: it is there when the ConfigMap is not, also after a restart. While the
    // webhook is away, nothing keeps a ConfigMap from going, and nothing waits for it.
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), fixture.suite.namespace());
    fixture.suite.kill("rukpak-webhooks")?;
    maps.delete("valid", &DeleteParams::default()).await?;
    fixture.suite.start_component("rukpak-webhooks").await?;
    fixture.suite.restart("rukpak").await?;
    let template = json!({"template": {"spec": {"provisionerClassName": PLAIN, "source": valid}}});
    create(&fixture, "valid", true, json!({"a.yaml": object})).await?;
    fixture.deploy_with("mapped", PLAIN, "", template).await?;
    fixture.installed("mapped").await?;
    let bundle = fixture.unpacked("valid", "UnpackSuccessful").await?;
    let digest = bundle.status.and_then(|status| status.content_digest);
    let digest = digest.context("no digest")?;
    assert!(contents::holds(fixture.suite.directory(), &digest)?);
    fixture.uninstall("mapped").await?;

    let suite = fixture.suite.namespace();
    let flat =
        json!({".gitignore": "nothing but text\n", "namespace-a.yaml": namespace("a").to_string()});
    create(&fixture, "flat", true, flat).await?;
    create(&fixture, "one", true, json!({"a.yaml": "1"})).await?;
    create(&fixture, "two", true, json!({"a.yaml": "2"})).await?;
    for (name, source, text) in [
        (
            "missing",
            source(&[("non-exist", "manifests")]),
            format!(
                "source bundle content: get configmap {suite}/non-exist: ConfigMap \"non-exist\" \
                 not found"
            ),
        ),
        (
            "twice",
            source(&[("two", "manifests"), ("one", "./manifests/")]),
            "source bundle content: duplicate path \"manifests/a.yaml\" found in configmaps \
             [one two]"
                .to_owned(),
        ),
        (
            "flat",
            source(&[("flat", "manifests")]),
            "json: cannot unmarshal string into Go value".to_owned(),
        ),
    ] {
        fixture.create(name, PLAIN, source).await?;
        let found = why(&fixture.unpacked(name, "UnpackFailed").await?);
        assert!(found.contains(&text), "{found}");
    }
    // One that comes late and may change is refused, and one that may not is taken.
    fixture.suite.kill("rukpak-webhooks")?;
    create(&fixture, "non-exist", false, json!({"a.yaml": object})).await?;
    let text = "configmap \"non-exist\" is not immutable";
    olm_tests::Wait::new("the ConfigMap is found")
        .logs(&fixture.suite)
        .object(&fixture.bundles, "missing", |bundle| {
            why(bundle).ends_with(text)
        })
        .await?;
    maps.delete("non-exist", &DeleteParams::default()).await?;
    create(&fixture, "non-exist", true, json!({"a.yaml": object})).await?;
    fixture.unpacked("missing", "UnpackSuccessful").await?;
    Ok(())
}

#[tokio::test]
async fn config_maps_that_bundles_name_neither_change_nor_go() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let suite = fixture.suite.namespace().to_owned();
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), &suite);
    let data = json!({"a.yaml": config_map("default", "mapped", "1").to_string()});
    for name in ["one", "two"] {
        let entries = source(&[("shared", "manifests")]);
        fixture.create(name, PLAIN, entries).await?;
    }
    let refused = create(&fixture, "shared", false, data.clone()).await;
    let text = format!("{:#}", refused.err().context("created")?);
    let expected = "admission webhook \"vconfigmaps.core.rukpak.io\" denied the request: configmap \
                    \"shared\" is referenced in .spec.source.configMaps[].configMap.name by \
                    bundles [one two]; referenced configmaps must have .immutable == true";
    assert!(text.contains(expected), "{text}");

    // What is missing is waited for without asking again and again.
    fixture.unpacked("one", "UnpackFailed").await?;
    create(&fixture, "shared", true, data.clone()).await?;
    fixture.unpacked("one", "UnpackSuccessful").await?;
    fixture.unpacked("two", "UnpackSuccessful").await?;
    let refused = fixture
        .cluster
        .kubectl(&["-n", &suite, "delete", "configmap", "shared"])
        .await;
    let text = format!("{:#}", refused.err().context("deleted")?);
    let expected = "Error from server (configmap \"shared\" is in-use by bundle \"one\"): \
                    admission webhook \"vconfigmaps.core.rukpak.io\" denied the request: \
                    configmap \"shared\" is in-use by bundle \"one\"";
    assert!(text.contains(expected), "{text}");

    // Others, and those in other namespaces, are nobody's business.
    create(&fixture, "other", false, data).await?;
    maps.delete("other", &DeleteParams::default()).await?;
    let elsewhere: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "default");
    let map = serde_json::from_value(json!({"metadata": {"name": "shared"}}))?;
    elsewhere.create(&PostParams::default(), &map).await?;
    elsewhere.delete("shared", &DeleteParams::default()).await?;
    for name in ["one", "two"] {
        fixture
            .bundles
            .delete(name, &DeleteParams::default())
            .await?;
        olm_tests::Wait::new("the Bundle is gone")
            .logs(&fixture.suite)
            .gone(&fixture.bundles, name)
            .await?;
    }
    maps.delete("shared", &DeleteParams::default()).await?;
    Ok(())
}
