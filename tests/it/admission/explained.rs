//! `kubectl explain` knows every field.

use anyhow::Result;
use olm_tests::{ControlPlane, Wait, chart};

#[tokio::test]
async fn every_field_of_every_kind_is_explained() -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    chart::define(&cluster.client().await?, &olm_api::crds()).await?;
    for kind in [
        "operators.operators.operatorframework.io",
        "catalogs.catalogd.operatorframework.io",
        "bundles.core.rukpak.io",
        "bundledeployments.core.rukpak.io",
    ] {
        // The API server publishes a new kind's schema a moment after it serves the kind.
        let text = Wait::new(format!("kubectl explains {kind}"))
            .value(async || {
                Ok(cluster
                    .kubectl(&["explain", kind, "--recursive"])
                    .await
                    .ok())
            })
            .await?;
        assert!(text.contains("conditions"), "{text}");
        for field in ["spec", "status"] {
            let text = cluster
                .kubectl(&["explain", &format!("{kind}.{field}")])
                .await?;
            assert!(
                !text.contains("<no description>") && text.contains("DESCRIPTION"),
                "{text}"
            );
        }
    }
    Ok(())
}
