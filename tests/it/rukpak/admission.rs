//! The webhook for Bundles.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use super::cluster::{PLAIN, RukpakCluster};
use super::objects::image;

#[tokio::test]
async fn the_webhook_refuses_in_the_words_that_users_know() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    fixture
        .create("combo", PLAIN, image("example.com/a:v1"))
        .await?;
    let patch = r#"{"spec":{"source":{"image":{"ref":"example.com/a:v2"}}}}"#;
    let arguments = ["patch", "bundle", "combo", "--type=merge", "-p", patch];
    let refused = fixture
        .cluster
        .kubectl(&arguments)
        .await
        .err()
        .context("the patch went through")?;
    let text = format!("{refused:#}");
    let wanted = "Error from server (bundle.spec is immutable): admission webhook \
                  \"vbundles.core.rukpak.io\" denied the request: bundle.spec is immutable";
    assert!(text.contains(wanted), "{text}");
    let class = r#"{"spec":{"provisionerClassName":"core-rukpak-io-registry"}}"#;
    let arguments = ["patch", "bundle", "combo", "--type=merge", "-p", class];
    let refused = fixture
        .cluster
        .kubectl(&arguments)
        .await
        .err()
        .context("the class was changed")?;
    assert!(format!("{refused:#}").contains(wanted), "{refused:#}");
    let labels = ["label", "bundle", "combo", "a=b"];
    fixture.cluster.kubectl(&labels).await?;

    let git = json!({"repository": "https://example.com/a", "ref": {"tag": "v1"}});
    let outside =
        json!({"repository": "https://example.com/a", "ref": {"tag": "v1"}, "directory": ".."});
    let cases = [
        (
            json!({"type": "git", "image": {"ref": "a"}}),
            "bundle.spec.source.git must be set for source type \"git\"",
        ),
        (
            json!({"type": "image", "git": git}),
            "bundle.spec.source.image must be set for source type \"image\"",
        ),
        (
            json!({"type": "git", "git": outside}),
            "bundle.spec.source.git.directory begins with \"../\": directory must define path within the repository",
        ),
        (
            json!({"type": "http", "image": {"ref": "a"}}),
            "bundle.spec.source.http must be set for source type \"http\"",
        ),
    ];
    for (source, text) in cases {
        let error = fixture
            .create("refused", PLAIN, source)
            .await
            .err()
            .context("created")?;
        assert!(error.to_string().contains(text), "{error}");
    }
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), fixture.suite.namespace());
    let open = serde_json::from_value(json!({"metadata": {"name": "open"}}))?;
    maps.create(&PostParams::default(), &open).await?;
    let source = json!({"type": "configMaps", "configMaps": [{"configMap": {"name": "open"}}]});
    let error = fixture
        .create("maps", PLAIN, source)
        .await
        .err()
        .context("created")?;
    let text = "bundle.spec.source.configmaps[0].configmap.name is invalid: configmap \"open\" is not immutable";
    assert!(error.to_string().contains(text), "{error}");
    Ok(())
}
