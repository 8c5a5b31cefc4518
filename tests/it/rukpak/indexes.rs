//! Images for several platforms, in the forms that registries hold them in.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use olm_fs::pack;
use olm_tests::Wait;
use olm_tests::raw_images::{DOCKER, Family, OCI, RawRepository, digest};
use olm_tree::MemoryTree;
use serde_json::{Value, json};

use super::cluster::{PLAIN, RukpakCluster};
use super::contents;
use super::objects::{config_map, image};
use super::status::{pinned, why};

/// This machine's architecture in Go's words.
fn own() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A tar that holds a plain bundle of one ConfigMap.
fn layer(name: &str, value: &str) -> Result<Vec<u8>> {
    let mut tree = MemoryTree::new();
    let object = config_map("default", name, value);
    tree.insert("manifests/a.yaml", object.to_string())?;
    let mut bytes = Vec::new();
    pack::tar(&tree, &pack::Options::default(), &mut bytes)?;
    Ok(bytes)
}

fn gzip(tar: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(tar)?;
    Ok(encoder.finish()?)
}

/// An index under the tag `name`, whose members differ in what their ConfigMap `name` says: the
/// number of the member. Its digest.
async fn index(
    into: &RawRepository,
    name: &str,
    family: Family,
    platforms: &[(&str, &str)],
) -> Result<String> {
    let mut members = Vec::new();
    for (number, platform) in platforms.iter().enumerate() {
        let packed = gzip(&layer(name, &number.to_string())?)?;
        let layers = vec![(family.layer, packed)];
        members.push(into.image(None, family, *platform, layers).await?);
    }
    into.index(name, family, &members).await
}

/// Installs the image under the tag `name`; what the ConfigMap says, and to what the Bundle is pinned.
async fn install(fixture: &RukpakCluster, from: &RawRepository, name: &str) -> Result<[String; 2]> {
    let reference = format!("{}:{name}", from.name());
    fixture.deploy(name, PLAIN, &reference).await?;
    fixture.installed(name).await?;
    let bundle = fixture.bundles_of(name).await?.remove(0);
    let bundle = fixture.unpacked(&bundle, "UnpackSuccessful").await?;
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "default");
    let data = maps.get(name).await?.data.unwrap_or_default();
    let value = data.get("key").context("no value")?.clone();
    Ok([value, pinned(&bundle)])
}

#[tokio::test]
async fn of_an_index_the_own_platform_is_unpacked_and_the_index_is_pinned() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let into = RawRepository::new(&fixture.registry, "team/indexes")?;
    let own = ("linux", own());
    for (name, family, platforms, expected) in [
        (
            "own",
            OCI,
            &[
                ("unknown", "unknown"),
                ("linux", "s390x"),
                own,
                ("windows", own.1),
            ][..],
            "2",
        ),
        (
            "amd64",
            OCI,
            &[("linux", "s390x"), ("linux", "riscv64"), ("linux", "amd64")],
            "2",
        ),
        (
            "first-linux",
            OCI,
            &[
                ("windows", "amd64"),
                ("linux", "s390x"),
                ("linux", "riscv64"),
            ],
            "1",
        ),
        (
            "docker",
            DOCKER,
            &[("windows", own.1), ("linux", "s390x"), own],
            "2",
        ),
        (
            "docker-first-linux",
            DOCKER,
            &[("windows", "amd64"), ("linux", "s390x")],
            "1",
        ),
    ] {
        let index = index(&into, name, family, platforms).await?;
        let [value, pin] = install(&fixture, &into, name).await?;
        assert_eq!(value, expected, "{name}");
        assert_eq!(pin, format!("{}@{index}", into.name()), "{name}");
    }

    // An image for nobody here is refused by name, and nothing of it is taken.
    let for_others = [("windows", "amd64"), ("freebsd", own.1)];
    let others = index(&into, "others", OCI, &for_others).await?;
    let reference = format!("{}:others", into.name());
    fixture.create("others", PLAIN, image(&reference)).await?;
    let failed = fixture.unpacked("others", "UnpackFailed").await?;
    let text = format!(
        "image `{}@{others}` has no linux member in its index",
        into.name()
    );
    ensure!(why(&failed).contains(&text), "{}", why(&failed));

    // What was lost comes back by what is pinned, wherever the tags have moved.
    for name in ["own", "docker"] {
        index(&into, name, OCI, &[("linux", "s390x")]).await?;
    }
    fixture.suite.kill("rukpak")?;
    let storage = fixture.suite.directory().to_owned();
    let removed = contents::remove_all(&storage)?;
    ensure!(removed >= 5, "only {removed} contents were stored");
    fixture.suite.start_component("rukpak").await?;
    Wait::new("the content is fetched again")
        .logs(&fixture.suite)
        .value(async || Ok((contents::count(&storage)? >= removed).then_some(())))
        .await?;
    for name in ["own", "docker"] {
        let deployment = fixture.installed(name).await?;
        assert_eq!(deployment.metadata.generation, Some(1), "{name}");
        let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "default");
        let data = maps.get(name).await?.data.unwrap_or_default();
        assert_eq!(data.get("key").map(String::as_str), Some("2"), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn layers_are_unpacked_however_they_are_compressed() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let into = RawRepository::new(&fixture.registry, "team/layers")?;
    let platform = ("linux", own());
    let zstd = |tar: &[u8]| zstd::encode_all(tar, 3);
    let zstd_type = "application/vnd.oci.image.layer.v1.tar+zstd";
    let tar_type = "application/vnd.oci.image.layer.v1.tar";
    let images = [
        (
            "zstd",
            OCI,
            vec![
                (zstd_type, zstd(&layer("zstd", "below")?)?),
                (zstd_type, zstd(&layer("zstd", "above")?)?),
            ],
        ),
        (
            "mixed",
            OCI,
            vec![
                (zstd_type, zstd(&layer("mixed", "below")?)?),
                (OCI.layer, gzip(&layer("mixed", "between")?)?),
                (tar_type, layer("mixed", "above")?),
            ],
        ),
        (
            "docker",
            DOCKER,
            vec![
                (DOCKER.layer, gzip(&layer("docker", "below")?)?),
                (DOCKER.layer, gzip(&layer("docker", "above")?)?),
            ],
        ),
    ];
    for (name, family, layers) in images {
        let manifest = into.image(Some(name), family, platform, layers).await?;
        let [value, pin] = install(&fixture, &into, name).await?;
        assert_eq!(value, "above", "{name}");
        let expected = format!("{}@{}", into.name(), digest(&manifest)?);
        assert_eq!(pin, expected, "{name}");
    }

    // Within an index, too; and a layer that is damaged is refused.
    let layers = vec![(zstd_type, zstd(&layer("index", "inside")?)?)];
    let member = into.image(None, OCI, platform, layers).await?;
    let index = into.index("index", OCI, &[member]).await?;
    let [value, pin] = install(&fixture, &into, "index").await?;
    assert_eq!(
        [value, pin],
        ["inside".to_owned(), format!("{}@{index}", into.name())]
    );
    let mut torn = zstd(&layer("torn", "1")?)?;
    torn.truncate(torn.len() / 2);
    into.image(Some("torn"), OCI, platform, vec![(zstd_type, torn)])
        .await?;
    let reference = format!("{}:torn", into.name());
    fixture.create("torn", PLAIN, image(&reference)).await?;
    let failed = fixture.unpacked("torn", "UnpackFailed").await?;
    let text = "error unpacking image: error applying layer to archive";
    ensure!(why(&failed).contains(text), "{}", why(&failed));
    let status: Value = json!(failed.status);
    assert_eq!(status.get("resolvedSource"), None, "{status}");
    Ok(())
}
