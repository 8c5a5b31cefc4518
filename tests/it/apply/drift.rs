//! What others changed is put back, and nothing else is written.

use std::time::Duration;

use anyhow::Result;
use kube::api::DeleteParams;
use olm_apply::{ApplyError, ApplyOptions, ObjectId, Placement, Uninstall, UninstallOptions};
use serde_json::json;

use super::objects::{config_map, operator};
use super::owner::{BundleOwner, names};

#[tokio::test]
async fn drift_is_found_and_only_drift_is_written() -> Result<()> {
    let name = "apply-drift";
    let fixture = BundleOwner::new(name).await?;
    let (inventory, _) = fixture.install(&operator(name)).await?;
    let maps = fixture.api("ConfigMap");
    let deployments = fixture.api("Deployment");
    fixture
        .merge(
            &maps,
            "config",
            json!({"data": {"key": "theirs", "more": "kept"}}),
        )
        .await?;
    fixture
        .merge(
            &deployments,
            "web",
            json!({"spec": {"replicas": 3}, "metadata": {"annotations": {"note": "kept"}}}),
        )
        .await?;
    // Labels that somebody takes off are put back; the object stays the owner's.
    fixture
        .merge(
            &fixture.api("Secret"),
            "secret",
            json!({"metadata": {"labels": {"core.rukpak.io/owner-kind": null,
                                           "core.rukpak.io/owner-name": null}}}),
        )
        .await?;

    let plan = fixture.plan(&operator(name), &inventory).await?;
    let changes: Vec<ObjectId> = plan.changes().cloned().collect();
    assert_eq!(
        names(&changes),
        ["ConfigMap config", "Secret secret", "Deployment web"]
    );
    let applied = fixture.applier.apply(plan, ApplyOptions::default()).await?;
    assert_eq!(applied.written(), 3);

    let map = fixture.get("ConfigMap", "config").await?;
    assert_eq!(map["data"], json!({"key": "value", "more": "kept"}));
    let web = fixture.get("Deployment", "web").await?;
    assert_eq!(web["spec"]["replicas"], 1);
    assert_eq!(web["metadata"]["annotations"]["note"], "kept");
    let secret = fixture.get("Secret", "secret").await?;
    assert_eq!(
        secret["metadata"]["labels"]["core.rukpak.io/owner-name"],
        name
    );

    maps.delete("config", &DeleteParams::default()).await?;
    let plan = fixture.plan(&operator(name), &inventory).await?;
    assert_eq!(
        names(&plan.changes().cloned().collect::<Vec<_>>()),
        ["ConfigMap config"]
    );
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    assert!(fixture.exists("ConfigMap", "config").await?);
    Ok(())
}

#[tokio::test]
async fn what_lost_labels_is_repaired_and_goes_and_what_others_took_stays() -> Result<()> {
    let name = "apply-unlabelled";
    let fixture = BundleOwner::new(name).await?;
    let objects = [
        config_map("both", "x"),
        config_map("kind", "x"),
        config_map("name", "x"),
        config_map("taken", "x"),
    ];
    let (inventory, _) = fixture.install(&objects).await?;
    let maps = fixture.api("ConfigMap");
    let (kind, of) = ("core.rukpak.io/owner-kind", "core.rukpak.io/owner-name");
    let unlabel = async || {
        let spaces = fixture.api("Namespace");
        for (api, map, labels) in [
            (&spaces, name, json!({of: null})),
            (&maps, "both", json!({kind: null, of: null})),
            (&maps, "kind", json!({kind: null})),
            (&maps, "name", json!({of: null})),
            (&maps, "taken", json!({of: "another"})),
        ] {
            let patch = json!({"metadata": {"labels": labels}});
            fixture.merge(api, map, patch).await?;
        }
        anyhow::Ok(())
    };
    unlabel().await?;

    // One that is refused does not stop the repair of the others.
    let placement = Placement {
        owner: fixture.owner.clone(),
        install_namespace: Some(name.to_owned()),
        protected_namespaces: vec![],
    };
    let set = fixture.applier.prepare(objects.to_vec(), &placement);
    let (plan, refusals) = fixture
        .applier
        .preflight_each(set.await?, &inventory)
        .await?;
    assert_eq!(
        ApplyError::Refused(refusals).to_string(),
        "ConfigMap \"taken\" in namespace \"apply-unlabelled\" exists and is owned by \
         BundleDeployment \"another\", not by BundleDeployment \"apply-unlabelled\""
    );
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    for (object_kind, object) in [
        ("Namespace", name),
        ("ConfigMap", "both"),
        ("ConfigMap", "kind"),
        ("ConfigMap", "name"),
    ] {
        let labels = &fixture.get(object_kind, object).await?["metadata"]["labels"];
        assert_eq!(labels[kind], "BundleDeployment", "{object}");
        assert_eq!(labels[of], name, "{object}");
    }

    unlabel().await?;
    let pruned = fixture
        .applier
        .prune(&fixture.owner, &inventory[1..3], &[])
        .await?;
    assert_eq!(names(&pruned.removed), ["ConfigMap both", "ConfigMap kind"]);
    let done = fixture
        .applier
        .uninstall(
            &fixture.owner,
            &inventory,
            UninstallOptions {
                look_on: Duration::from_secs(10),
                ..Default::default()
            },
        )
        .await?;
    let Uninstall::Done { left } = done else {
        anyhow::bail!("{done}");
    };
    // The namespace stays for what another owner has in it.
    assert_eq!(
        names(&left),
        ["ConfigMap taken", "Namespace apply-unlabelled"]
    );
    assert!(!fixture.exists("ConfigMap", "name").await?);
    assert!(fixture.exists("ConfigMap", "taken").await?);
    Ok(())
}
