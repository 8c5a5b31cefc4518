//! When the registry is asked again.

use anyhow::Result;
use kube::api::{Patch, PatchParams};
use olm_tests::publish::Publisher;
use serde_json::json;

use super::cluster::{CatalogdCluster, last_poll};
use super::files::{PACKAGE, tree};

#[tokio::test]
async fn polling_of_zero_never_asks_again() -> Result<()> {
    let fixture = CatalogdCluster::start().await?;
    let publisher = Publisher::new(&fixture.registry);
    let first = tree(&[("etcd/catalog.yaml", PACKAGE)]);
    let (reference, _) = publisher.catalog_tree("still:latest", &first).await?;
    let image = json!({"ref": reference, "pollInterval": "0s"});
    fixture.create("still", image).await?;
    let status = fixture.unpacked("still", "True").await?;
    // Neither an event nor a restart asks the registry; a change of the spec does.
    let patch = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    fixture
        .catalogs
        .patch("still", &PatchParams::default(), &patch)
        .await?;
    fixture.registry.kill()?;
    fixture.suite.restart("catalogd").await?;
    let after = fixture.unpacked("still", "True").await?;
    assert_eq!(last_poll(&after), last_poll(&status));
    fixture.registry.start_again().await?;
    let second = tree(&[(
        "etcd/catalog.json",
        r#"{"schema":"olm.package","name":"two"}"#,
    )]);
    publisher.catalog_tree("still:latest", &second).await?;
    let image = json!({"insecureSkipTLSVerify": true});
    let patch = Patch::Merge(json!({"spec": {"source": {"image": image}}}));
    fixture
        .catalogs
        .patch("still", &PatchParams::default(), &patch)
        .await?;
    let before = status.content_digest;
    fixture
        .status("the new content", "still", |status| {
            status.content_digest != before
        })
        .await?;
    Ok(())
}
