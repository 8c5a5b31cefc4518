//! Owners are told of changes to what is theirs.

use std::time::Duration;

use anyhow::Result;
use kube::api::DeleteParams;
use olm_apply::{ApplyOptions, ManagedWatches, WatchOptions};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::objects::config_map;
use super::owner::BundleOwner;

#[tokio::test]
async fn owners_hear_of_drift_and_not_of_their_own_writes() -> Result<()> {
    let name = "apply-watch";
    let fixture = BundleOwner::new(name).await?;
    let token = CancellationToken::new();
    let (sender, mut owners) = mpsc::channel(16);
    let options = WatchOptions {
        content: Duration::from_millis(100),
        interval: Duration::from_millis(200),
        ..WatchOptions::default()
    };
    let watches = ManagedWatches::new(
        &fixture.applier,
        "BundleDeployment",
        sender,
        options,
        &token,
    );
    let objects = [config_map("config", "x"), config_map("other", "x")];
    let plan = fixture.plan(&objects, &[]).await?;
    let inventory = plan.inventory();
    watches.ensure(&inventory).await?;
    assert_eq!(watches.len(), 2);
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    // Other tests share the cluster; only this owner counts.
    let mut hears = async |within: Duration| {
        let hears = async {
            loop {
                match owners.recv().await {
                    Some(owner) if owner == name => return,
                    Some(_) => {}
                    None => panic!("the channel closed"),
                }
            }
        };
        tokio::time::timeout(within, hears).await.is_ok()
    };
    assert!(
        !hears(Duration::from_secs(1)).await,
        "heard of its own writes"
    );

    let maps = fixture.api("ConfigMap");
    fixture
        .merge(&maps, "config", json!({"data": {"foreign": "y"}}))
        .await?;
    assert!(
        !hears(Duration::from_secs(1)).await,
        "heard of a field that is not its own"
    );
    fixture
        .merge(&maps, "config", json!({"data": {"key": "y"}}))
        .await?;
    assert!(
        hears(Duration::from_secs(10)).await,
        "did not hear of a changed field"
    );
    let plan = fixture.plan(&objects, &inventory).await?;
    assert_eq!(plan.changes().count(), 1);
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    // The repair gives the field back to the owner: at most one more message.
    hears(Duration::from_secs(1)).await;
    assert!(
        !hears(Duration::from_secs(1)).await,
        "hears of its own repair again and again"
    );
    maps.delete("other", &DeleteParams::default()).await?;
    assert!(
        hears(Duration::from_secs(10)).await,
        "did not hear of a deleted object"
    );
    let unlabel = json!({"metadata": {"labels": {"core.rukpak.io/owner-kind": null}}});
    fixture.merge(&maps, "config", unlabel).await?;
    assert!(
        hears(Duration::from_secs(10)).await,
        "did not hear of a lost label"
    );
    let plan = fixture.plan(&objects, &inventory).await?;
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    while hears(Duration::from_secs(1)).await {}
    let unlabel = json!({"metadata": {"labels": {"core.rukpak.io/owner-name": null}}});
    fixture.merge(&maps, "config", unlabel).await?;
    assert!(
        hears(Duration::from_secs(10)).await,
        "did not hear of the other lost label"
    );

    token.cancel();
    watches.closed().await;
    assert!(watches.is_empty());
    Ok(())
}
