//! What cannot or may not be written is said before anything is.

use anyhow::Result;
use kube::api::PostParams;
use olm_apply::{Action, ApplyOptions, Owner, Uninstall, UninstallOptions};
use serde_json::{Value, json};

use super::objects::{config_map, deployment};
use super::owner::{BundleOwner, names, refusal};

#[tokio::test]
async fn objects_of_others_are_refused_and_left_alone() -> Result<()> {
    let name = "apply-foreign";
    let fixture = BundleOwner::new(name).await?;
    let space = json!({"metadata": {"name": name}});
    let spaces = fixture.api("Namespace");
    spaces
        .create(&PostParams::default(), &serde_json::from_value(space)?)
        .await?;
    let maps = fixture.api("ConfigMap");
    for (map, labels) in [
        ("nobodys", json!({})),
        (
            "anothers",
            json!({"core.rukpak.io/owner-kind": "BundleDeployment",
                   "core.rukpak.io/owner-name": "another"}),
        ),
    ] {
        let map = json!({"metadata": {"name": map, "labels": labels}, "data": {"key": "old"}});
        maps.create(&PostParams::default(), &serde_json::from_value(map)?)
            .await?;
    }
    let objects = [
        config_map("nobodys", "old"),
        config_map("anothers", "new"),
        config_map("fresh", "new"),
    ];
    let text = refusal(fixture.plan(&objects, &[]).await);
    assert_eq!(
        text,
        "ConfigMap \"anothers\" in namespace \"apply-foreign\" exists and is owned by \
         BundleDeployment \"another\", not by BundleDeployment \"apply-foreign\"\n\
         ConfigMap \"nobodys\" in namespace \"apply-foreign\" exists and is not owned by \
         BundleDeployment \"apply-foreign\""
    );
    assert!(!fixture.exists("ConfigMap", "fresh").await?);

    // The install namespace is somebody's: it is used, and is neither changed nor owned.
    let (inventory, applied) = fixture.install(&objects[2..]).await?;
    assert_eq!(names(&inventory), ["ConfigMap fresh"]);
    assert_eq!(applied.results[0].action, Action::Left);
    let space = fixture.get("Namespace", name).await?;
    assert_eq!(
        space["metadata"]["labels"]["core.rukpak.io/owner-name"],
        Value::Null
    );
    let done = fixture
        .applier
        .uninstall(&fixture.owner, &inventory, UninstallOptions::default())
        .await?;
    assert_eq!(done, Uninstall::Done { left: vec![] });
    assert!(fixture.exists("Namespace", name).await?);
    assert!(fixture.exists("ConfigMap", "nobodys").await?);
    Ok(())
}

#[tokio::test]
async fn what_somebody_makes_in_the_meantime_is_not_taken_over() -> Result<()> {
    let name = "apply-meantime";
    let first = BundleOwner::new(name).await?;
    first.install(&[config_map("made-before", "x")]).await?;
    let second = BundleOwner {
        owner: Owner::bundle_deployment("apply-meantime-second"),
        ..BundleOwner::new(name).await?
    };
    // Both have looked, and neither has found anything.
    let plans = [
        first.plan(&[config_map("both", "first")], &[]).await?,
        second.plan(&[config_map("both", "second")], &[]).await?,
        second.plan(&[config_map("users", "second")], &[]).await?,
    ];
    let users = json!({"metadata": {"name": "users"}, "data": {"other": "user"}});
    first
        .api("ConfigMap")
        .create(&PostParams::default(), &serde_json::from_value(users)?)
        .await?;
    let [of_first, of_second, over_user] = plans;
    let options = ApplyOptions::default;
    first.applier.apply(of_first, options()).await?;
    // As one process does, in which all passes share what they claim.
    let applier = &first.applier;
    let refused = applier.apply(of_second, options()).await.unwrap_err();
    assert_eq!(
        refused.message(),
        "ConfigMap \"both\" in namespace \"apply-meantime\" exists and is owned by \
         BundleDeployment \"apply-meantime\", not by BundleDeployment \"apply-meantime-second\""
    );
    let refused = applier.apply(over_user, options()).await.unwrap_err();
    assert_eq!(
        refused.message(),
        "ConfigMap \"users\" in namespace \"apply-meantime\" exists and is not owned by \
         BundleDeployment \"apply-meantime-second\""
    );
    let both = first.get("ConfigMap", "both").await?;
    assert_eq!(both["data"], json!({"key": "first"}));
    let users = first.get("ConfigMap", "users").await?;
    assert_eq!(users["data"], json!({"other": "user"}));
    assert_eq!(users["metadata"]["labels"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_before_anything_is_written() -> Result<()> {
    let name = "apply-refused";
    let fixture = BundleOwner::new(name).await?;
    let missing = [
        json!({"apiVersion": "operators.coreos.com/v1alpha1", "kind": "CatalogSource",
               "metadata": {"name": "a"}}),
        json!({"apiVersion": "operators.coreos.com/v1", "kind": "OLMConfig",
               "metadata": {"name": "a"}}),
        config_map("fine", "value"),
    ];
    let text = refusal(fixture.plan(&missing, &[]).await);
    assert_eq!(
        text,
        "required resource not found: \
         no matches for kind \"CatalogSource\" in version \"operators.coreos.com/v1alpha1\"\n\
         no matches for kind \"OLMConfig\" in version \"operators.coreos.com/v1\""
    );

    let mut unknown = deployment(1);
    unknown["metadata"]["namespace"] = json!("default");
    unknown["metadata"]["name"] = json!("apply-refused");
    unknown["spec"]["bogus"] = json!(1);
    let mut invalid = config_map("apply-refused", "x");
    invalid["metadata"]["namespace"] = json!("default");
    invalid["data"] = json!({"not/allowed": "x"});
    let mut nowhere = config_map("apply-refused", "x");
    nowhere["metadata"]["namespace"] = json!("apply-nowhere");
    let text = refusal(
        fixture
            .plan(&[unknown, invalid, nowhere, config_map("fine", "x")], &[])
            .await,
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].contains("ConfigMap \"apply-refused\" in namespace \"apply-nowhere\""));
    assert!(
        lines[0].contains("namespaces \"apply-nowhere\" not found"),
        "{text}"
    );
    assert!(lines[1].contains("data[not/allowed]"), "{text}");
    assert!(
        lines[2].contains(".spec.bogus: field not declared in schema"),
        "{text}"
    );
    assert!(!fixture.exists("Namespace", name).await?);
    Ok(())
}
