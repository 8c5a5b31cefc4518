//! Bundles that cannot be had, or that are broken or hostile.

use crate::packages::{Shape as _, package, replaced};
use crate::user::{Text, User};
use crate::world::World;
use anyhow::{Context as _, Result, ensure};
use olm_tests::bombs;
use olm_tests::content::PackageContent;
use olm_tests::publish::{self, Publisher};
use olm_tests::wait;
use olm_tree::MemoryTree;
use serde_json::json;
use tar::EntryType;

use super::beside::goes_on;
use super::hostile_images::{Entry, bomb, file, image, link};

/// A bundle that cannot be had, and what is said of it.
struct Case {
    name: &'static str,
    image: String,
    told: Vec<String>,
}

impl Case {
    fn new(name: &'static str, image: impl Into<String>, told: &[&str]) -> Self {
        Self {
            name,
            image: image.into(),
            told: told.iter().map(|text| (*text).to_owned()).collect(),
        }
    }
}

/// The files of the only bundle of a package.
fn files(name: &str) -> MemoryTree {
    package(name, &["1.0.0"]).bundles[0].files.clone()
}

async fn unreachable_bundles(world: &World) -> Result<Vec<Case>> {
    let (host, proxy) = (world.registry.host(), world.proxy.host());
    let publisher = Publisher::new(&world.registry);
    publisher
        .bundle("bad/digest:v1", &files("bad-digest"))
        .await?;
    let zeros = "0".repeat(64);
    world
        .closed_publisher()
        .bundle("bad/closed:v1", &files("bad-closed"))
        .await?;
    // Elsewhere only, so far.
    let late = world
        .closed_publisher()
        .bundle("bad/late:v1", &files("bad-late"))
        .await?;
    let (_, late) = late.split_once('@').context("no digest")?;
    for kind in ["denied", "limited", "half"] {
        let name = format!("{kind}/bundle:v1");
        publisher
            .bundle(&name, &files(&format!("bad-{kind}")))
            .await?;
    }
    let missing = format!("{host}/bad/missing:v1");
    let digest = format!("{host}/bad/digest@sha256:{zeros}");
    let late = format!("{host}/bad/late@{late}");
    let closed = format!("{}/bad/closed:v1", world.closed.host());
    let denied = format!("{proxy}/denied/bundle:v1");
    let limited = format!("{proxy}/limited/bundle:v1");
    let half = format!("{proxy}/half/bundle:v1");
    Ok(vec![
        Case::new(
            "bad-missing",
            &missing,
            &[&format!("image `{missing}` was not found")],
        ),
        Case::new(
            "bad-digest",
            &digest,
            &[&format!("image `{digest}` was not found")],
        ),
        Case::new(
            "bad-late",
            &late,
            &[&format!("image `{late}` was not found")],
        ),
        Case::new(
            "bad-denied",
            &denied,
            &[&format!("access to image `{denied}` was refused (HTTP 401")],
        ),
        Case::new(
            "bad-closed",
            &closed,
            &[&format!("access to image `{closed}` was refused (HTTP 401")],
        ),
        Case::new(
            "bad-limited",
            &limited,
            &["limits the rate of requests", &limited, "HTTP 429"],
        ),
        Case::new("bad-half", &half, &["broke off after", &half]),
    ])
}

async fn hostile_bundles(world: &World) -> Result<Vec<Case>> {
    let publisher = Publisher::new(&world.registry);
    let mut cases = Vec::new();
    let tars: [(&'static str, Entry<'_>, &[&str]); 5] = [
        (
            "bad-parent",
            file("../outside.yaml", b"a: b"),
            &["`../outside.yaml`", "its path holds `..`"],
        ),
        (
            "bad-absolute",
            file("/etc/outside.yaml", b"a: b"),
            &["`/etc/outside.yaml`", "its path is absolute"],
        ),
        (
            "bad-link",
            link(EntryType::Link, "manifests/x.yaml", "../../etc/passwd"),
            &[
                "manifests/x.yaml -> ../../etc/passwd",
                "its path holds `..`",
            ],
        ),
        (
            "bad-folder",
            file("manifests/csv.yaml/x.yaml", b"a: b"),
            &["`manifests/csv.yaml/x.yaml` lies below a file"],
        ),
        (
            "bad-device",
            link(EntryType::Char, "manifests/x.yaml", ""),
            &["`manifests/x.yaml`", "it is a character device"],
        ),
    ];
    for (name, entry, told) in tars {
        let image = image(&files(name), &[entry])?;
        publisher.push(&format!("bad/{name}:v1"), &image).await?;
        cases.push(Case::new(name, host(world, name), told));
    }
    // A link is not followed: where it stands there is nothing.
    let tree = replaced(&files("bad-symlink"), "manifests/csv.yaml", b"");
    let away = link(EntryType::Symlink, "manifests/csv.yaml", "/etc/passwd");
    let image = image(&tree, &[away])?;
    publisher.push("bad/bad-symlink:v1", &image).await?;
    cases.push(Case::new(
        "bad-symlink",
        host(world, "bad-symlink"),
        &["no ClusterServiceVersion found in \"manifests\""],
    ));
    let zeros = bomb("manifests/zeros.yaml", 200)?;
    publisher.push("bad/bad-bomb:v1", &zeros).await?;
    cases.push(Case::new(
        "bad-bomb",
        host(world, "bad-bomb"),
        &["`manifests/zeros.yaml`", "more than"],
    ));
    let bomb = bombs::yaml_aliases();
    let texts: [(&'static str, &[u8], &[&str]); 2] = [
        (
            "bad-yaml",
            b"kind: [",
            &["read \"csv.yaml\": document 0", "is not valid YAML"],
        ),
        (
            "bad-aliases",
            bomb.as_bytes(),
            &["read \"csv.yaml\": document 0"],
        ),
    ];
    for (name, text, told) in texts {
        let tree = replaced(&files(name), "manifests/csv.yaml", text);
        let image = publish::image(&tree, "", [])?;
        publisher.push(&format!("bad/{name}:v1"), &image).await?;
        cases.push(Case::new(name, host(world, name), told));
    }
    Ok(cases)
}

fn host(world: &World, name: &str) -> String {
    format!("{}/bad/{name}:v1", world.registry.host())
}

/// A catalog of one package for each case, whose only bundle is that image.
fn packages(cases: &[Case]) -> Vec<PackageContent> {
    cases
        .iter()
        .map(|case| package(case.name, &["1.0.0"]).with_image("1.0.0", &case.image))
        .collect()
}

/// Asks for every case and waits until each says what is wrong.
async fn all_are_told(user: &User<'_>, cases: &[Case]) -> Result<()> {
    for case in cases {
        user.ask(case.name, json!({"packageName": case.name}))
            .await?;
    }
    for case in cases {
        let told: Vec<&str> = case.told.iter().map(String::as_str).collect();
        let row = "HasValidBundle=False/UnpackFailed";
        user.deployment_says(case.name, row, Text::Has(&told))
            .await?;
        let mut told = told;
        told.push("bundledeployment status is unknown: Failed to unpack the ");
        let row = "Installed=Unknown/InstallationStatusUnknown";
        let operator = user.said(case.name, row, Text::Has(&told)).await?;
        ensure!(wait::has_reason(&operator, "Resolved", "True", "Success"));
        ensure!(wait::has_condition(&operator, "Ready", "False"));
    }
    Ok(())
}

#[tokio::test]
async fn bundles_that_cannot_be_fetched_are_told_and_fetched_once_they_can() -> Result<()> {
    let world = World::shared().await?;
    let user = world.user().await?;
    let cases = unreachable_bundles(world).await?;
    user.publish("unreachable", &packages(&cases)).await?;
    all_are_told(&user, &cases).await?;
    goes_on(&user, "good-beside").await?;

    // Some causes go away by themselves, the others by another catalog.
    for kind in ["denied", "limited", "half"] {
        world.proxy.recover(&format!("{kind}/bundle"));
    }
    let publisher = Publisher::new(&world.registry);
    publisher
        .bundle("bad/missing:v1", &files("bad-missing"))
        .await?;
    let late = publisher.bundle("bad/late:v1", &files("bad-late")).await?;
    ensure!(cases.iter().any(|case| case.image == late), "{late}");
    for name in [
        "bad-missing",
        "bad-late",
        "bad-denied",
        "bad-limited",
        "bad-half",
    ] {
        user.installed(name, "1.0.0").await?;
    }
    let good: Vec<PackageContent> = cases
        .iter()
        .map(|case| match case.name {
            "bad-digest" | "bad-closed" => package(case.name, &["1.0.0"]),
            name => package(name, &["1.0.0"]).with_image("1.0.0", &case.image),
        })
        .collect();
    user.publish("unreachable", &good).await?;
    for case in &cases {
        user.installed(case.name, "1.0.0").await?;
    }
    world.is_unharmed()
}

#[tokio::test]
async fn hostile_bundles_are_refused_and_replaced_by_good_ones() -> Result<()> {
    let world = World::shared().await?;
    let user = world.user().await?;
    let cases = hostile_bundles(world).await?;
    user.publish("hostile", &packages(&cases)).await?;
    all_are_told(&user, &cases).await?;
    goes_on(&user, "good-among").await?;
    let good: Vec<PackageContent> = cases
        .iter()
        .map(|case| package(case.name, &["1.0.0", "1.0.1"]).with_image("1.0.0", &case.image))
        .collect();
    user.publish("hostile", &good).await?;
    for case in &cases {
        user.installed(case.name, "1.0.1").await?;
    }
    world.is_unharmed()
}
