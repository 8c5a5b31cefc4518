//! A bundle is installed, at one go or through many interruptions.

use std::time::Duration;

use anyhow::Result;
use olm_apply::{Action, ApplyError, ApplyOptions, ObjectId};
use olm_tests::Wait;
use serde_json::{Value, json};

use super::objects::operator;
use super::owner::{BundleOwner, names};

#[tokio::test]
async fn a_bundle_is_installed_in_order_and_a_second_pass_writes_nothing() -> Result<()> {
    let name = "apply-install";
    let fixture = BundleOwner::new(name).await?;
    let (inventory, applied) = fixture.install(&operator(name)).await?;
    assert_eq!(
        names(&inventory),
        [
            "Namespace apply-install",
            "ServiceAccount web",
            "ConfigMap config",
            "Secret secret",
            "CustomResourceDefinition things.apply-install.example.com",
            "ClusterRole apply-install",
            "ClusterRoleBinding apply-install",
            "Service web",
            "Thing first",
            "Deployment web",
            "PodDisruptionBudget web",
            "ValidatingWebhookConfiguration apply-install",
        ]
    );
    assert_eq!(applied.written(), 12);
    let applied_in_order: Vec<ObjectId> = applied
        .results
        .iter()
        .map(|result| result.id.clone())
        .collect();
    assert_eq!(applied_in_order, inventory);
    let map = fixture.get("ConfigMap", "config").await?;
    assert_eq!(
        map["metadata"]["labels"],
        json!({"core.rukpak.io/owner-kind": "BundleDeployment",
               "core.rukpak.io/owner-name": name})
    );
    assert_eq!(map["metadata"]["ownerReferences"], Value::Null);

    let plan = fixture.plan(&operator(name), &inventory).await?;
    assert_eq!(plan.changes().collect::<Vec<_>>(), Vec::<&ObjectId>::new());
    assert_eq!(plan.inventory(), inventory);
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let before = version(
        &fixture
            .get("CustomResourceDefinition", &inventory[4].name)
            .await?,
    );
    let applied = fixture.applier.apply(plan, ApplyOptions::default()).await?;
    assert!(
        applied
            .results
            .iter()
            .all(|result| result.action == Action::Unchanged)
    );
    let after = version(
        &fixture
            .get("CustomResourceDefinition", &inventory[4].name)
            .await?,
    );
    assert_eq!(before, after);

    // The inventory can be made again from the cluster alone.
    assert_eq!(fixture.applier.find_owned(&fixture.owner).await?, inventory);

    let health = Wait::new("the bundle is healthy")
        .logs(&fixture.cluster)
        .value(async || {
            let health = fixture.applier.read_health(&inventory).await?;
            Ok(health.is_healthy().then_some(health))
        })
        .await?;
    assert_eq!(health.message(), "");
    Ok(())
}

#[tokio::test]
async fn a_pass_that_was_killed_anywhere_is_finished_by_the_next() -> Result<()> {
    let name = "apply-killed";
    let fixture = BundleOwner::new(name).await?;
    let objects = operator(name);
    let mut rounds = 0;
    let inventory = loop {
        rounds += 1;
        let pass = async {
            let plan = fixture.plan(&objects, &[]).await?;
            let inventory = plan.inventory();
            let settled = plan.is_settled();
            fixture.applier.apply(plan, ApplyOptions::default()).await?;
            Ok::<_, ApplyError>((settled, inventory))
        };
        // Each round lives a little longer than the one before.
        match tokio::time::timeout(Duration::from_millis(20 * rounds), pass).await {
            Ok(Ok((true, inventory))) => break inventory,
            Err(_) | Ok(Ok((false, _))) => {}
            Ok(Err(error)) if error.is_transient() => {}
            Ok(Err(error)) => return Err(error.into()),
        }
        assert!(rounds < 500, "never settles");
    };
    assert_eq!(inventory.len(), 12);
    Ok(())
}
