//! What the next version no longer has goes, unless somebody uses it.

use std::time::Duration;

use anyhow::Result;
use kube::api::{DeleteParams, PostParams};
use olm_apply::{ApplyOptions, ObjectId, UninstallOptions};
use serde_json::{Value, json};

use super::objects::{config_map, definition, thing};
use super::owner::{BundleOwner, names};

#[tokio::test]
async fn an_upgrade_prunes_what_left_and_keeps_definitions_that_are_used() -> Result<()> {
    let name = "apply-upgrade";
    let fixture = BundleOwner::new(name).await?;
    let text = json!({"text": {"type": "string"}});
    let old = [
        definition(name, &text),
        thing(name, "bundled", &json!({"text": "a"})),
        config_map("leaves", "x"),
        config_map("stays", "x"),
        config_map("released", "x"),
    ];
    let (inventory, _) = fixture.install(&old).await?;

    // A definition that changes with an instance that needs the change.
    let both = json!({"text": {"type": "string"}, "more": {"type": "string"}});
    let new = [
        definition(name, &both),
        thing(name, "bundled", &json!({"more": "b"})),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stays"},
               "data": {"other": "y"}}),
    ];
    let gone = json!({"metadata": {"labels": {"core.rukpak.io/owner-name": "another"}}});
    fixture
        .merge(&fixture.api("ConfigMap"), "released", gone)
        .await?;
    let plan = fixture.plan(&new, &inventory).await?;
    let wanted = plan.inventory();
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    let pruned = fixture
        .applier
        .prune(&fixture.owner, &inventory, &wanted)
        .await?;
    assert_eq!(names(&pruned.removed), ["ConfigMap leaves"]);
    assert_eq!(names(&pruned.released), ["ConfigMap released"]);
    assert!(!fixture.exists("ConfigMap", "leaves").await?);
    assert!(fixture.exists("ConfigMap", "released").await?);
    assert_eq!(
        fixture.get("ConfigMap", "stays").await?["data"],
        json!({"other": "y"})
    );
    let bundled = fixture.things().get("bundled").await?;
    assert_eq!(bundled.data["spec"], json!({"more": "b"}));

    // The next version has no definition any more, and a user has an object of the kind.
    let user = serde_json::from_value(thing(name, "users", &json!({})))?;
    fixture
        .things()
        .create(&PostParams::default(), &user)
        .await?;
    let last = [config_map("stays", "z")];
    let plan = fixture.plan(&last, &wanted).await?;
    let last = plan.inventory();
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    let pruned = fixture
        .applier
        .prune(&fixture.owner, &wanted, &last)
        .await?;
    assert_eq!(names(&pruned.removed), ["Thing bundled"]);
    let kept: Vec<ObjectId> = pruned.remaining().cloned().collect();
    assert_eq!(
        names(&kept),
        ["CustomResourceDefinition things.apply-upgrade.example.com"]
    );
    assert_eq!(pruned.kept[0].1.examples, ["apply-upgrade/users"]);
    fixture
        .things()
        .delete("users", &DeleteParams::default())
        .await?;
    let pruned = fixture.applier.prune(&fixture.owner, &kept, &last).await?;
    assert_eq!(names(&pruned.removed), names(&kept));
    Ok(())
}

#[tokio::test]
async fn a_namespace_that_left_the_bundle_stays_while_the_bundle_lives_in_it() -> Result<()> {
    let name = "apply-moved-in";
    let fixture = BundleOwner::new(name).await?;
    let home = "apply-moved-in-home";
    let mut map = config_map("lives-there", "x");
    map["metadata"]["namespace"] = json!(home);
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}});
    let empty = json!({"apiVersion": "v1", "kind": "Namespace",
                       "metadata": {"name": "apply-moved-out"}});
    let (inventory, _) = fixture.install(&[space, empty, map.clone()]).await?;
    let plan = fixture.plan(&[map], &inventory).await?;
    let new = plan.inventory();
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    let applier = &fixture.applier;
    let pruned = applier.prune(&fixture.owner, &inventory, &new).await?;
    assert_eq!(names(&pruned.removed), ["Namespace apply-moved-out"]);
    let remaining: Vec<ObjectId> = pruned.remaining().cloned().collect();
    assert_eq!(names(&remaining), ["Namespace apply-moved-in-home"]);
    let live = fixture.get("Namespace", home).await?;
    assert_eq!(live["metadata"]["deletionTimestamp"], Value::Null);

    // It is still the bundle's, and goes with it.
    let all: Vec<ObjectId> = new.iter().chain(&remaining).cloned().collect();
    let options = UninstallOptions {
        look_on: Duration::from_mins(1),
        ..UninstallOptions::default()
    };
    let done = applier.uninstall(&fixture.owner, &all, options).await?;
    assert!(done.is_done(), "{done}");
    assert!(!fixture.exists("Namespace", home).await?);
    Ok(())
}
