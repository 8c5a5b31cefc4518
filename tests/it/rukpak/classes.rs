//! Provisioner classes that are not built, and those of others.

use anyhow::Result;
use kube::ResourceExt as _;
use olm_tests::wait::message;
use serde_json::json;

use super::cluster::{PLAIN, RukpakCluster};
use super::objects::image;
use super::status::why;

#[tokio::test]
async fn a_class_that_is_not_built_says_so_and_a_foreign_one_is_left_alone() -> Result<()> {
    const HELM: &str = "core-rukpak-io-helm";
    let fixture = RukpakCluster::start().await?;
    let reference = format!("{}/class:v1", fixture.registry.host());
    let class = |class: &str| json!({"provisionerClassName": class});
    fixture
        .create("foreign", "example-com-other", image(&reference))
        .await?;
    fixture
        .deploy_with("foreign", PLAIN, &reference, class("example-com-other"))
        .await?;

    fixture.create("chart", HELM, image(&reference)).await?;
    let bundle = fixture.unpacked("chart", "UnpackFailed").await?;
    let refusal = "provisioner class \"core-rukpak-io-helm\" is not supported; \
                   supported: core-rukpak-io-plain, core-rukpak-io-registry";
    assert_eq!(why(&bundle), refusal);
    let phase = bundle.status.as_ref().and_then(|s| s.phase.as_deref());
    assert_eq!(phase, Some("Failing"));
    assert!(bundle.finalizers().is_empty());

    for (name, own) in [("chart", HELM), ("converted", "core-rukpak-io-registry")] {
        fixture
            .deploy_with(name, own, &reference, class(own))
            .await?;
        let refused = fixture
            .said(name, "HasValidBundle", "BundleLoadFailed")
            .await?;
        let text = message(&refused, "HasValidBundle");
        assert!(text.starts_with(&format!(
            "provisioner class \"{own}\" is not supported for BundleDeployments; \
             supported: core-rukpak-io-plain"
        )));
        assert!(refused.finalizers().is_empty());
        fixture.uninstall(name).await?;
    }
    fixture.deploy("template", HELM, &reference).await?;
    let failed = fixture
        .said("template", "HasValidBundle", "UnpackFailed")
        .await?;
    assert!(message(&failed, "HasValidBundle").ends_with(refusal));
    fixture.uninstall("template").await?;

    // Everything above came after these, and they are untouched.
    assert!(fixture.bundles.get("foreign").await?.status.is_none());
    assert!(fixture.deployments.get("foreign").await?.status.is_none());
    Ok(())
}
