//! Content and objects that are broken or hostile: each is reported where it was asked for, harms
//! nothing else, and is forgotten once it is put right.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use olm_api::catalog::Catalog;
use olm_api::operator::Operator;
use olm_fs::Digest;
use olm_registry::push::{NewImage, NewLayer};
use olm_tests::content::PackageContent;
use olm_tests::publish::{self, Publisher};
use olm_tests::{Wait, wait};
use olm_tree::MemoryTree;
use serde_json::{Value, json};
use tar::{EntryType, Header};

use crate::packages::{Shape as _, alias_bomb, package, replaced};
use crate::user::{PATIENCE, Text, User, apply, message};
use crate::world::World;

/// An entry of a tar, with a path that no archiver would write.
struct Entry<'a> {
    kind: EntryType,
    path: &'a str,
    target: &'a str,
    content: &'a [u8],
}

fn file<'a>(path: &'a str, content: &'a [u8]) -> Entry<'a> {
    Entry {
        kind: EntryType::Regular,
        path,
        target: "",
        content,
    }
}

fn link<'a>(kind: EntryType, path: &'a str, target: &'a str) -> Entry<'a> {
    Entry {
        kind,
        path,
        target,
        content: b"",
    }
}

/// An image of one layer with these entries after those of `tree`.
fn image(tree: &MemoryTree, entries: &[Entry<'_>]) -> Result<NewImage> {
    let mut good = Vec::new();
    olm_fs::pack::tar(tree, &olm_fs::pack::Options::default(), &mut good)?;
    // Without the two empty blocks at its end.
    while good.ends_with(&[0; 512]) {
        good.truncate(good.len() - 512);
    }
    let mut builder = tar::Builder::new(good);
    for entry in entries {
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..entry.path.len()].copy_from_slice(entry.path.as_bytes());
        old.linkname[..entry.target.len()].copy_from_slice(entry.target.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_mode(0o644);
        header.set_size(entry.content.len() as u64);
        header.set_cksum();
        builder.append(&header, entry.content)?;
    }
    Ok(NewImage {
        layers: vec![NewLayer::tar(builder.into_inner()?)],
        ..NewImage::default()
    })
}

/// A file of zeros of this many MiB, packed into almost nothing.
fn bomb(mebibytes: u64) -> Result<NewImage> {
    let mut header = Header::new_gnu();
    header.set_path("manifests/zeros.yaml")?;
    header.set_mode(0o644);
    header.set_size(mebibytes << 20);
    header.set_cksum();
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(header.as_bytes())?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..mebibytes {
        packed.write_all(&zeros)?;
    }
    packed.write_all(&[0; 1024])?;
    let layer = NewLayer::tar_gz(packed.finish()?, Digest::of(b"of nobody's interest"));
    Ok(NewImage {
        layers: vec![layer],
        ..NewImage::default()
    })
}

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
    publisher
        .bundle("limited/bundle:v1", &files("bad-limited"))
        .await?;
    publisher
        .bundle("half/bundle:v1", &files("bad-half"))
        .await?;
    let missing = format!("{host}/bad/missing:v1");
    let digest = format!("{host}/bad/digest@sha256:{zeros}");
    let closed = format!("{}/bad/closed:v1", world.closed.host());
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
    publisher.push("bad/bad-bomb:v1", &bomb(200)?).await?;
    cases.push(Case::new(
        "bad-bomb",
        host(world, "bad-bomb"),
        &["`manifests/zeros.yaml`", "more than"],
    ));
    let bomb = alias_bomb();
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

/// Something else, started and finished while others fail.
async fn goes_on(user: &User<'_>, name: &str) -> Result<()> {
    user.publish(name, &[package(name, &["1.0.0"])]).await?;
    user.ask(name, json!({"packageName": name})).await?;
    user.installed(name, "1.0.0").await?;
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
    world.proxy.recover("limited/bundle");
    world.proxy.recover("half/bundle");
    let publisher = Publisher::new(&world.registry);
    publisher
        .bundle("bad/missing:v1", &files("bad-missing"))
        .await?;
    for name in ["bad-missing", "bad-limited", "bad-half"] {
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

#[tokio::test]
async fn a_broken_package_of_a_catalog_stops_no_other() -> Result<()> {
    let world = World::shared().await?;
    let user = world.user().await?;
    let bomb = alias_bomb();
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
    for (name, told) in [("limited", "HTTP 429"), ("half", "broke off after")] {
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
    for name in ["limited", "half"] {
        world.proxy.recover(&format!("{name}/catalog"));
    }
    for name in ["limited", "half"] {
        user.installed(name, "1.0.0").await?;
    }
    world.is_unharmed()
}

/// Lets the API server take anything as an object of the kind, and gives what it took before.
async fn relaxed(user: &User<'_>, definition: &str) -> Result<Value> {
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    schema(user, definition, anything).await
}

/// Replaces the schema of a kind, and waits until the API server checks by it.
async fn schema(user: &User<'_>, definition: &str, schema: Value) -> Result<Value> {
    let definitions: Api<CustomResourceDefinition> = Api::all(user.client.clone());
    let place = "/spec/versions/0/schema/openAPIV3Schema";
    let before = serde_json::to_value(definitions.get(definition).await?)?;
    let before = before.pointer(place).context("no schema")?.clone();
    let change = json!([{"op": "replace", "path": place, "value": schema}]);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(change)?);
    definitions
        .patch(definition, &PatchParams::default(), &patch)
        .await?;
    Ok(before)
}

#[tokio::test]
async fn objects_that_do_not_decode_stop_nobody_and_keep_what_runs() -> Result<()> {
    let world = World::own().await?;
    let user = &world.user().await?;
    goes_on(user, "well").await?;
    let operators = "operators.operators.operatorframework.io";
    let catalogs = "catalogs.catalogd.operatorframework.io";
    let strict = [
        (operators, relaxed(user, operators).await?),
        (catalogs, relaxed(user, catalogs).await?),
    ];
    let anything: Api<DynamicObject> =
        Api::all_with(user.client.clone(), &ApiResource::erase::<Operator>(&()));
    let any_catalog: Api<DynamicObject> =
        Api::all_with(user.client.clone(), &ApiResource::erase::<Catalog>(&()));
    let odd = |name: &str| {
        json!({"apiVersion": "operators.operatorframework.io/v1alpha1", "kind": "Operator",
            "metadata": {"name": name}, "spec": {"packageName": ["odd"]}})
    };
    let odd_catalog = json!({
        "apiVersion": "catalogd.operatorframework.io/v1alpha1", "kind": "Catalog",
        "metadata": {"name": "odd"},
        "spec": {"source": {"type": "image", "image": {"ref": ["odd"]}}}});
    let image = user.operators.get("well").await?.status.unwrap_or_default();
    let image = image.installed_bundle_resource;
    // The new schema holds a moment after it was accepted.
    for (api, name, object) in [
        (&anything, "odd", odd("odd")),
        (&anything, "well", odd("well")),
        (&any_catalog, "odd", odd_catalog),
    ] {
        Wait::new(format!("the odd `{name}` is taken"))
            .value(async || Ok(Some(apply(api, name, &object).await?)))
            .await?;
    }

    // A list where a text is wanted: what runs is told all the same.
    let told = ["the Operator cannot be read: ", "spec.packageName: "];
    let row = "Resolved=False/ResolutionFailed";
    let operator = user.says(&anything, "odd", row, Text::Has(&told)).await?;
    ensure!(wait::has_condition(&operator, "Installed", "Unknown"));
    let operator = user.says(&anything, "well", row, Text::Has(&told)).await?;
    ensure!(
        wait::has_reason(&operator, "Installed", "True", "Success"),
        "{}",
        wait::yaml(&operator)
    );
    assert_eq!(
        message(&operator, "Installed"),
        format!("installed from {image:?}")
    );
    assert_eq!(operator.data["status"]["installedBundleResource"], image);
    let told = [
        "source bundle content: error parsing catalog: ",
        "spec.source.image.ref: ",
    ];
    let row = "Unpacked=False/UnpackFailed";
    user.says(&any_catalog, "odd", row, Text::Has(&told))
        .await?;
    user.breaks_deployment("well").await?;
    goes_on(user, "fine").await?;

    // They become what they should be; then only such are taken again.
    user.publish("odd", &[package("odd", &["1.0.0"])]).await?;
    for name in ["odd", "well"] {
        user.ask(name, json!({"packageName": name})).await?;
        user.installed(name, "1.0.0").await?;
    }
    for (definition, before) in strict {
        schema(user, definition, before).await?;
    }
    Wait::new("the odd is refused again")
        .within(PATIENCE)
        .value(async || {
            Ok(apply(&anything, "odd-too", &odd("odd-too"))
                .await
                .is_err()
                .then_some(()))
        })
        .await?;
    user.remove(&["odd", "well", "fine"]).await?;
    world.is_unharmed()
}
