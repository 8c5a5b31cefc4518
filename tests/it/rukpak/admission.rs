//! The webhook for Bundles.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use olm_api::bundle::Bundle;
use olm_tests::Wait;
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

/// Creates Bundles without keeping them, one after the other, until one is refused.
async fn create_on(bundles: &Api<Bundle>) -> Result<()> {
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    for number in 0_u64.. {
        let bundle = serde_json::from_value(json!({
            "apiVersion": "core.rukpak.io/v1alpha1",
            "kind": "Bundle",
            "metadata": {"name": format!("tried-{number}")},
            "spec": {"provisionerClassName": PLAIN, "source": image("example.com/a:v1")},
        }))?;
        let created = bundles.create(&parameters, &bundle).await;
        created.with_context(|| format!("after {number} that were not refused"))?;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

#[tokio::test]
async fn no_request_is_lost_while_the_authority_of_the_webhook_changes() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(fixture.client.clone());
    let trusted = async || {
        let name = olm_api::names::WEBHOOK_CONFIGURATION;
        let found = configurations.get(name).await?;
        let webhook = found.webhooks.unwrap_or_default().into_iter().next();
        let bundle = webhook.and_then(|webhook| webhook.client_config.ca_bundle);
        bundle.context("no authority is written")
    };
    let before: ByteString = trusted().await?;
    let secrets: Api<Secret> = Api::namespaced(fixture.client.clone(), fixture.suite.namespace());
    let change = async {
        // Long enough for connections to be open.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let parameters = DeleteParams::default();
        secrets.delete("rukpak-webhooks-tls", &parameters).await?;
        Wait::new("another authority is written")
            .within(Duration::from_mins(2))
            .logs(&fixture.suite)
            .value(async || Ok((trusted().await? != before).then_some(())))
            .await?;
        // Long enough for the certificate to change, too.
        tokio::time::sleep(Duration::from_secs(10)).await;
        anyhow::Ok(())
    };
    tokio::select! {
        changed = change => changed?,
        lost = create_on(&fixture.bundles) => lost?,
        lost = create_on(&fixture.bundles) => lost?,
    }
    let log = fixture.suite.log("rukpak-webhooks")?;
    let loaded = log.matches("serving certificate loaded").count();
    ensure!(loaded == 2, "certificates were loaded {loaded} times");
    Ok(())
}
