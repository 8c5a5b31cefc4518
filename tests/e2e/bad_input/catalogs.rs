//! Catalogs with a broken package, and behind an ill registry.

use crate::packages::package;
use crate::user::Text;
use crate::world::World;
use anyhow::{Result, ensure};
use olm_registry::push::NewImage;
use olm_tests::bombs;
use olm_tests::publish::Publisher;
use olm_tests::wait;
use olm_tree::MemoryTree;
use serde_json::json;
use tar::EntryType;

use super::beside::goes_on;
use super::hostile_images::{Entry, bomb, catalog, file, image, link};

#[tokio::test]
async fn a_broken_package_of_a_catalog_stops_no_other() -> Result<()> {
    let world = World::shared().await?;
    let user = world.user().await?;
    let bomb = bombs::yaml_aliases();
    let broken = [
        ("shaky-bomb/catalog.yaml", bomb.as_str()),
        ("shaky-text/catalog.yaml", "schema: ["),
    ];
    user.publish_with("shaky", &[package("shaky", &["1.0.0"])], &broken)
        .await?;
    let told = ["shaky-bomb/catalog.yaml", "shaky-text/catalog.yaml"];
    let row = "Unpacked=True/UnpackSuccessful";
    user.says(&user.catalogs, "shaky", row, Text::Has(&told))
        .await?;
    for name in ["shaky", "shaky-bomb", "shaky-text"] {
        user.ask(name, json!({"packageName": name})).await?;
    }
    user.installed("shaky", "1.0.0").await?;
    for name in ["shaky-bomb", "shaky-text"] {
        user.refused(name, &format!("no package {name:?} found"))
            .await?;
    }
    let all = ["shaky", "shaky-bomb", "shaky-text"].map(|name| package(name, &["1.0.0"]));
    user.publish("shaky", &all).await?;
    for name in ["shaky", "shaky-bomb", "shaky-text"] {
        user.installed(name, "1.0.0").await?;
    }
    world.is_unharmed()
}

#[tokio::test]
async fn catalogs_behind_an_ill_registry_are_told_and_served_once_it_is_well() -> Result<()> {
    let world = World::shared().await?;
    let user = world.user().await?;
    let publisher = Publisher::new(&world.registry);
    let ill = [
        ("denied", "HTTP 401"),
        ("limited", "HTTP 429"),
        ("half", "broke off after"),
    ];
    for (name, told) in ill {
        let repository = format!("{name}/catalog:v1");
        publisher
            .catalog(&repository, &[package(name, &["1.0.0"])])
            .await?;
        let reference = format!("{}/{repository}", world.proxy.host());
        user.catalog(name, &reference).await?;
        let told = ["source bundle content: ", told, &reference];
        let row = "Unpacked=False/UnpackFailed";
        let catalog = user
            .says(&user.catalogs, name, row, Text::Has(&told))
            .await?;
        ensure!(wait::condition(&catalog, "Stalled").is_none());
        user.ask(name, json!({"packageName": name})).await?;
        user.refused(name, &format!("no package {name:?} found"))
            .await?;
    }
    goes_on(&user, "well-beside").await?;
    for (name, _) in ill {
        world.proxy.recover(&format!("{name}/catalog"));
    }
    for (name, _) in ill {
        user.installed(name, "1.0.0").await?;
    }
    world.is_unharmed()
}

/// Catalogs that nobody can unpack, by name, and what is said of each.
fn hostile_catalogs() -> Result<Vec<(&'static str, NewImage, &'static [&'static str])>> {
    let mut tree = MemoryTree::default();
    tree.insert("configs/a/catalog.yaml", "schema: olm.package\nname: a\n")?;
    let tars: [(&'static str, Entry<'_>, &'static [&'static str]); 4] = [
        (
            "evil-parent",
            file("configs/../../outside.yaml", b"a: b"),
            &["`configs/../../outside.yaml`", "its path holds `..`"],
        ),
        (
            "evil-absolute",
            file("/etc/outside.yaml", b"a: b"),
            &["`/etc/outside.yaml`", "its path is absolute"],
        ),
        (
            "evil-link",
            link(EntryType::Link, "configs/x.yaml", "../../etc/passwd"),
            &["configs/x.yaml -> ../../etc/passwd", "its path holds `..`"],
        ),
        (
            "evil-folder",
            file("configs/a/catalog.yaml/x.yaml", b"a: b"),
            &["`configs/a/catalog.yaml/x.yaml` lies below a file"],
        ),
    ];
    let mut catalogs = Vec::new();
    for (name, entry, told) in tars {
        catalogs.push((name, catalog(image(&tree, &[entry])?), told));
    }
    let zeros = bomb("configs/zeros.yaml", 200)?;
    catalogs.push((
        "evil-bomb",
        catalog(zeros),
        &["`configs/zeros.yaml`", "more than"],
    ));
    Ok(catalogs)
}

#[tokio::test]
async fn hostile_catalogs_are_refused_and_served_once_their_tag_names_good_ones() -> Result<()> {
    let world = World::shared().await?;
    let user = world.user().await?;
    let publisher = Publisher::new(&world.registry);
    let hostile = hostile_catalogs()?;
    for (name, image, _) in &hostile {
        let repository = format!("evil/{name}:v1");
        publisher.push(&repository, image).await?;
        let reference = format!("{}/{repository}", world.registry.host());
        user.catalog(name, &reference).await?;
    }
    for (name, _, told) in &hostile {
        let mut told = told.to_vec();
        told.push("source bundle content: error unpacking image: ");
        let row = "Unpacked=False/UnpackFailed";
        let catalog = user
            .says(&user.catalogs, name, row, Text::Has(&told))
            .await?;
        // Another image may come under the tag.
        ensure!(wait::condition(&catalog, "Stalled").is_none());
        let status = catalog.status.unwrap_or_default();
        ensure!(status.content_url.is_none(), "{name} is served");
    }
    goes_on(&user, "well-among-evil").await?;
    for (name, _, _) in &hostile {
        let repository = format!("evil/{name}:v1");
        let good = [package(name, &["1.0.0"])];
        publisher.catalog(&repository, &good).await?;
        user.ask(name, json!({"packageName": name})).await?;
    }
    for (name, _, _) in &hostile {
        user.installed(name, "1.0.0").await?;
    }
    world.is_unharmed()
}
