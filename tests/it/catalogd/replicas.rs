//! Two replicas of catalogd.

use std::time::Duration;

use anyhow::Result;
use olm_tests::Wait;
use olm_tests::publish::Publisher;
use reqwest::StatusCode;
use serde_json::json;

use super::cluster::{CatalogdCluster, last_poll};
use super::files::{PACKAGE, tree};

/// Longest time that a leader needs to end and another to take over.
const TAKE_OVER: Duration = Duration::from_secs(30);

#[tokio::test]
async fn another_replica_takes_over_with_what_it_has() -> Result<()> {
    let mut fixture = CatalogdCluster::start().await?;
    let replica = fixture.suite.add_replica("catalogd")?;
    fixture.suite.start_component(&replica).await?;
    let publisher = Publisher::new(&fixture.registry);
    let files = tree(&[("etcd/catalog.yaml", PACKAGE)]);
    let (reference, _) = publisher.catalog_tree("two:v1", &files).await?;
    fixture
        .create("two", json!({"ref": reference, "pollInterval": "2s"}))
        .await?;
    let status = fixture.unpacked("two", "True").await?;
    let address = fixture.suite.address(&replica, 8443)?;
    let url = format!("https://{address}/catalogs/two/all.json");
    Wait::new("the replica serves it")
        .logs(&fixture.suite)
        .value(async || Ok((fixture.get(&url).await?.status() == StatusCode::OK).then_some(())))
        .await?;
    let ended = fixture.suite.stop("catalogd", TAKE_OVER).await?;
    assert!(ended.success(), "{ended}");
    let polled = last_poll(&status);
    let later = fixture
        .status("the other replica polls", "two", |status| {
            last_poll(status) > polled
        })
        .await?;
    assert_eq!(later.content_digest, status.content_digest);
    assert_eq!(later.last_unpacked, status.last_unpacked);
    Ok(())
}
