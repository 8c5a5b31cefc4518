//! Hundreds of Operators at once: one broken request, catalog or bundle changes nothing for the
//! others, and nobody is written to who has nothing to say.
//!
//! There is no rukpak: what is asked for is decided and handed over, and stays there. So all that is
//! written, the controller writes by itself.

mod place;

use anyhow::{Context as _, Result, ensure};
use kube::api::DeleteParams;
use olm_tests::crowd::{self, Bundle};
use olm_tests::report;
use serde_json::{Value, json};

use self::place::{CONTROLLER, Crowd, Look, MEMBERS, VERSIONS};

/// What is wrong with a bundle, and the newest version that may be chosen beside it.
fn broken_bundles() -> [(&'static str, Bundle); 4] {
    let rule = json!({"failureMessage": "no", "cel": {"rule": "properties.exists("}});
    [
        ("a version", Bundle::new("1.1")),
        (
            "a property",
            Bundle::new("1.1.0").with("olm.package", &json!({"version": 7})),
        ),
        (
            "a range",
            Bundle::new("1.1.0").requiring("crowd-0001", "from 1 to 2"),
        ),
        ("a rule", Bundle::new("1.1.0").with("olm.constraint", &rule)),
    ]
}

#[tokio::test]
async fn one_that_is_broken_changes_nothing_for_three_hundred_others() -> Result<()> {
    let crowd = Crowd::start().await?;
    crowd.publish_all(VERSIONS, &[]).await?;
    for name in &crowd.members {
        crowd.ask(name, json!({"packageName": name})).await?;
    }
    crowd.all_resolve("1.2.0").await?;
    // A new version of every package: all move, and then rest.
    crowd.publish_all(VERSIONS + 1, &[]).await?;
    crowd.all_resolve("1.3.0").await?;
    crowd.quiet().await?;
    let before = crowd.look().await?;
    let handed_over = before
        .keys()
        .filter(|name| name.starts_with("bundledeployments/"));
    let handed_over = handed_over.count();
    report::line(&format!(
        "{MEMBERS} Operators, {handed_over} BundleDeployments"
    ));
    // Those that wait for what they require have none yet.
    ensure!(handed_over > MEMBERS * 3 / 4);
    crowd.proxy.count();

    requests(&crowd, &before).await?;
    catalogs(&crowd, &before).await?;
    bundles(&crowd, &before).await?;

    for line in crowd.suite.log(CONTROLLER)?.lines() {
        ensure!(!line.contains("panicked"), "{line}");
    }
    Ok(())
}

/// Requests that cannot be followed.
async fn requests(crowd: &Crowd, before: &Look) -> Result<()> {
    let holder = crowd.members.last().context("nobody is there")?;
    let refused = "False/ResolutionFailed";
    let odd: [(&str, Value, &str, &str); 5] = [
        (
            "odd-range",
            json!({"packageName": "spare", "version": "|"}),
            "Unknown/ResolutionUnknown",
            "spec is invalid",
        ),
        (
            "odd-package",
            json!({"packageName": "nowhere"}),
            refused,
            "no package \"nowhere\" found",
        ),
        (
            "odd-channel",
            json!({"packageName": holder, "channel": "nowhere"}),
            refused,
            "duplicate identifier",
        ),
        (
            "odd-contradiction",
            json!({"packageName": "spare", "version": ">2.0.0 <1.0.0"}),
            refused,
            "spare",
        ),
        (
            "odd-requirement",
            json!({"packageName": "spare-needs"}),
            refused,
            "requires package \"crowd-0000\" in range \">=9.0.0\"",
        ),
    ];
    let spare = crowd::package("spare", &[Bundle::new("1.0.0")]);
    let needs = Bundle::new("1.0.0").requiring("crowd-0000", ">=9.0.0");
    let needs = crowd::package("spare-needs", &[needs]);
    crowd.publish("spare", &(spare + &needs)).await?;
    for (name, spec, row, text) in odd {
        crowd.ask(name, spec).await?;
        crowd
            .says(name, row, text)
            .await
            .with_context(|| name.to_owned())?;
        crowd.only_changed(&ODD, before).await.context(name)?;
    }
    Ok(())
}

/// All Operators that may be written to.
const ODD: [&str; 8] = [
    "odd-range",
    "odd-package",
    "odd-channel",
    "odd-contradiction",
    "odd-requirement",
    "spare",
    "brittle",
    "shattered",
];

/// Catalogs that cannot be read, appear or go.
async fn catalogs(crowd: &Crowd, before: &Look) -> Result<()> {
    crowd.ask("spare", json!({"packageName": "spare"})).await?;
    // The one that asked for it in vain may have been there first.
    for name in ["odd-range", "odd-contradiction"] {
        crowd
            .operators
            .delete(name, &DeleteParams::default())
            .await?;
    }
    crowd.resolves("spare", "1.0.0").await?;
    crowd.only_changed(&ODD, before).await?;
    crowd.quiet().await?;
    let mut beside = crowd.look().await?;
    beside.retain(|name, _| before.contains_key(name) || name.ends_with("/spare"));
    // What it offers cannot be read any more: what could be read stays.
    crowd.publish_unreadable("spare").await?;
    crowd
        .only_changed(&ODD, &beside)
        .await
        .context("unreadable")?;
    // It appears, and never was there.
    let nowhere = format!("{}/catalogs/nowhere:latest", crowd.registry.host());
    crowd.refer("nowhere", &nowhere).await?;
    crowd.is_not_unpacked("nowhere").await?;
    crowd.only_changed(&ODD, &beside).await.context("nowhere")?;
    // It goes.
    for name in ["spare", "nowhere"] {
        crowd
            .catalogs
            .delete(name, &DeleteParams::default())
            .await?;
    }
    let gone = "no package \"spare\" found";
    crowd.says("spare", "False/ResolutionFailed", gone).await?;
    crowd.only_changed(&ODD, before).await.context("gone")
}

/// Bundles that cannot be used: beside one that can, alone, and in the catalog of all.
async fn bundles(crowd: &Crowd, before: &Look) -> Result<()> {
    crowd
        .ask("brittle", json!({"packageName": "brittle"}))
        .await?;
    crowd
        .ask("shattered", json!({"packageName": "shattered"}))
        .await?;
    for (what, broken) in broken_bundles() {
        let good = Bundle::new("1.0.0");
        let brittle = crowd::package("brittle", &[good.clone(), broken.clone()]);
        let shattered = crowd::package("shattered", &[broken]);
        crowd.publish("brittle", &(brittle + &shattered)).await?;
        crowd.resolves("brittle", "1.0.0").await?;
        let refused = "False/ResolutionFailed";
        crowd.says("shattered", refused, "shattered").await?;
        crowd.only_changed(&ODD, before).await.context(what)?;
        crowd
            .publish("brittle", &crowd::package("brittle", &[good]))
            .await?;
        let text = "no package \"shattered\" found";
        crowd.says("shattered", refused, text).await?;
        crowd.only_changed(&ODD, before).await.context(what)?;
    }
    // In the midst of all: its own Operator keeps the newest that can be used.
    let victim = crowd::name(7);
    let mut versions: Vec<Bundle> = (0..=VERSIONS)
        .map(|minor| Bundle::new(&format!("1.{minor}.0")))
        .collect();
    let broken = broken_bundles().into_iter().map(|(_, bundle)| bundle);
    versions.extend(broken.enumerate().map(|(at, mut bundle)| {
        if bundle.version != "1.1" {
            bundle.version = format!("1.{}.0", VERSIONS + 1 + at);
        }
        bundle
    }));
    // And the next one after it, by which it is told that this was read.
    let next = crowd::name(8);
    let newer: Vec<Bundle> = (0..=VERSIONS + 1)
        .map(|minor| Bundle::new(&format!("1.{minor}.0")))
        .collect();
    crowd
        .publish_all(VERSIONS + 1, &[(&victim, &versions), (&next, &newer)])
        .await?;
    crowd.resolves(&next, "1.4.0").await?;
    let mut others = before.clone();
    for kind in ["operators", "bundledeployments"] {
        others.remove(&format!("{kind}/{next}"));
    }
    let mut may: Vec<&str> = ODD.to_vec();
    may.push(&next);
    crowd.only_changed(&may, &others).await.context("among all")
}
