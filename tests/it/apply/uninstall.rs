//! Everything goes, in order, but what others need.

use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::core::GroupVersionKind;
use olm_apply::{Applier, ObjectId, Owner, Uninstall, UninstallOptions};
use olm_tests::{ControlPlane, Wait};
use serde_json::json;

use super::objects::{config_map, definition, group, operator, thing};
use super::owner::{BundleOwner, names};

#[tokio::test]
async fn an_uninstall_waits_for_instances_while_everything_still_runs() -> Result<()> {
    let name = "apply-uninstall";
    let fixture = BundleOwner::new(name).await?;
    let (inventory, _) = fixture.install(&operator(name)).await?;
    let mut held = thing(name, "held", &json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    fixture
        .things()
        .create(&PostParams::default(), &serde_json::from_value(held)?)
        .await?;
    let counts = fixture
        .applier
        .remaining_instances(&fixture.owner, &inventory)
        .await?;
    assert_eq!(counts[0].count, 2);

    let options = UninstallOptions {
        look_on: Duration::from_secs(1),
        ..Default::default()
    };
    let step = fixture
        .applier
        .uninstall(&fixture.owner, &inventory, options)
        .await?;
    assert_eq!(
        step.to_string(),
        "waiting for custom resources to be deleted: \
         things.apply-uninstall.example.com (1 left: apply-uninstall/held)"
    );
    assert!(fixture.exists("Deployment", "web").await?);

    let free = json!({"metadata": {"finalizers": null}});
    fixture.merge(&fixture.things(), "held", free).await?;
    let uninstall = async || {
        let step = fixture
            .applier
            .uninstall(&fixture.owner, &inventory, options)
            .await?;
        Ok(step.is_done().then_some(step))
    };
    let done = Wait::new("everything is gone")
        .logs(&fixture.cluster)
        .value(uninstall)
        .await?;
    assert_eq!(done, Uninstall::Done { left: vec![] });
    assert!(
        !fixture
            .exists("CustomResourceDefinition", &inventory[4].name)
            .await?
    );
    assert!(!fixture.exists("Namespace", name).await?);
    Ok(())
}

#[tokio::test]
async fn abandoned_and_retained_definitions_stay_with_their_instances() -> Result<()> {
    let name = "apply-abandon";
    let fixture = BundleOwner::new(name).await?;
    let text = json!({"text": {"type": "string"}});
    let objects = [definition(name, &text), config_map("config", "x")];
    let (inventory, _) = fixture.install(&objects).await?;
    let crd = inventory
        .iter()
        .find(|id| id.kind == "CustomResourceDefinition");
    let crd = crd.context("the definition is in the inventory")?.clone();
    let (maps, crds): (Vec<ObjectId>, Vec<ObjectId>) = inventory
        .into_iter()
        .filter(|id| id.kind != "Namespace")
        .partition(|id| *id != crd);
    let mut held = thing(name, "held", &json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    fixture
        .things()
        .create(&PostParams::default(), &serde_json::from_value(held)?)
        .await?;

    let retain = UninstallOptions {
        delete_definitions: false,
        ..Default::default()
    };
    let all: Vec<ObjectId> = maps.iter().chain(&crds).cloned().collect();
    let done = fixture
        .applier
        .uninstall(&fixture.owner, &all, retain)
        .await?;
    assert_eq!(
        done,
        Uninstall::Done {
            left: vec![crd.clone()]
        }
    );
    assert!(!fixture.exists("ConfigMap", "config").await?);
    assert!(
        fixture
            .things()
            .get("held")
            .await?
            .metadata
            .deletion_timestamp
            .is_none()
    );

    let abandon = UninstallOptions {
        abandon_instances: true,
        ..Default::default()
    };
    let done = fixture
        .applier
        .uninstall(&fixture.owner, &all, abandon)
        .await?;
    assert_eq!(
        done,
        Uninstall::Done {
            left: vec![crd.clone()]
        }
    );
    assert!(
        fixture
            .exists("CustomResourceDefinition", &crd.name)
            .await?
    );
    let free = json!({"metadata": {"finalizers": null}});
    fixture.merge(&fixture.things(), "held", free).await?;
    Ok(())
}

#[tokio::test]
async fn a_namespace_that_another_owner_uses_survives_its_maker() -> Result<()> {
    let name = "apply-shared";
    let first = BundleOwner::new(name).await?;
    let (inventory, _) = first.install(&[config_map("first", "x")]).await?;
    assert_eq!(
        names(&inventory),
        ["Namespace apply-shared", "ConfigMap first"]
    );
    let owner = Owner::bundle_deployment("apply-shared-second");
    let second = BundleOwner {
        owner,
        ..BundleOwner::new(name).await?
    };
    let (theirs, _) = second.install(&[config_map("second", "x")]).await?;
    assert_eq!(names(&theirs), ["ConfigMap second"]);

    let options = UninstallOptions::default();
    let done = first
        .applier
        .uninstall(&first.owner, &inventory, options)
        .await?;
    assert_eq!(
        done,
        Uninstall::Done {
            left: vec![inventory[0].clone()]
        }
    );
    assert!(second.exists("ConfigMap", "second").await?);
    Ok(())
}

#[tokio::test]
async fn custom_resources_that_no_webhook_converts_any_more_are_named_and_can_be_abandoned()
-> Result<()> {
    let name = "apply-broken";
    // A kind that cannot be listed is in everybody's way.
    let fixture = BundleOwner::on(ControlPlane::own().await?, name).await?;
    let text = json!({"text": {"type": "string"}});
    let (inventory, _) = fixture
        .install(&[definition(name, &text), config_map("config", "x")])
        .await?;
    let users = serde_json::from_value(thing(name, "users", &json!({})))?;
    fixture
        .things()
        .create(&PostParams::default(), &users)
        .await?;
    let crd = inventory
        .iter()
        .find(|id| id.kind == "CustomResourceDefinition");
    let crd = crd.context("the definition is in the inventory")?.clone();
    let mut newer = definition(name, &text)["spec"]["versions"][0].clone();
    let mut older = newer.clone();
    newer["name"] = json!("v2");
    newer["storage"] = json!(false);
    older["storage"] = json!(true);
    let nowhere = json!({"spec": {
        "versions": [newer, older],
        "conversion": {"strategy": "Webhook", "webhook": {
            "conversionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://127.0.0.1:1/convert"}}}}});
    let crds = fixture.api("CustomResourceDefinition");
    fixture.merge(&crds, &crd.name, nowhere).await?;
    let kind = GroupVersionKind::gvk(&group(name), "v2", "Thing");
    let newer = ApiResource::from_gvk(&kind);
    let newer: Api<DynamicObject> = Api::all_with(fixture.client.clone(), &newer);
    Wait::new("nothing converts the custom resources")
        .value(async || {
            // Without a limit it would be answered from a cache that never gets ready.
            let listed = newer.list_metadata(&ListParams::default().limit(1)).await;
            Ok(matches!(listed, Err(kube::Error::Api(status)) if status.code == 500).then_some(()))
        })
        .await?;
    // The kinds that are served are looked at anew.
    let applier = Applier::new(fixture.client.clone(), "rukpak-apply");
    let options = UninstallOptions::default();
    let waits = applier
        .uninstall(&fixture.owner, &inventory, options)
        .await?;
    let said = waits.to_string();
    let wanted = format!(
        "waiting for custom resources to be deleted: {} (they cannot be listed: ",
        crd.name
    );
    assert!(said.starts_with(&wanted), "{said}");
    assert!(said.contains("conversion webhook"), "{said}");
    assert!(fixture.exists("ConfigMap", "config").await?);

    let abandon = UninstallOptions {
        abandon_instances: true,
        look_on: Duration::from_mins(1),
        ..options
    };
    let rest: Vec<ObjectId> = inventory
        .iter()
        .filter(|id| id.kind != "Namespace")
        .cloned()
        .collect();
    let done = applier.uninstall(&fixture.owner, &rest, abandon).await?;
    assert_eq!(done, Uninstall::Done { left: vec![crd] });
    assert!(!fixture.exists("ConfigMap", "config").await?);
    Ok(())
}
