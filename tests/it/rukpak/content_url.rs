//! The content of Bundles, read at `status.contentURL`.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use olm_tests::git::{GitRepository, GitServer, GitServerOptions};
use olm_tests::scratch;
use serde_json::{Value, json};

use super::cluster::{PLAIN, RukpakCluster};
use super::contents;
use super::objects::config_map;
use super::people::Person;

/// The files of a tar.gz archive.
fn files(archive: &[u8]) -> Result<Vec<String>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let mut files = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        if entry.header().entry_type().is_file() {
            files.push(entry.path()?.display().to_string());
        }
    }
    Ok(files)
}

fn git(url: &str, reference: &Value) -> Value {
    json!({"type": "git", "git": {"repository": url, "ref": reference}})
}

#[tokio::test]
async fn the_content_of_a_bundle_is_served_to_those_who_may_read_it() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let folder = scratch::subdirectory("content-url")?;
    let repository = GitRepository::create(&folder, "combo.git").await?;
    let names = [
        "00_namespace",
        "01_cluster_role",
        "01_service_account",
        "02_deployment",
        "03_cluster_role_binding",
        "combo.io_combinations",
        "combo.io_templates",
    ];
    let expected = names.map(|name| format!("manifests/{name}.yaml"));
    let objects = names.map(|name| config_map("default", &name.replace('_', "-"), "1").to_string());
    let mut tree: Vec<_> = expected
        .iter()
        .zip(&objects)
        .map(|(path, object)| (path.as_str(), object.as_str()))
        .collect();
    tree.push(("README.md", "Not a part of the bundle."));
    repository.commit("main", &tree).await?;
    let server = GitServer::start(&folder, GitServerOptions::default()).await?;
    let url = server.url("combo.git");
    fixture
        .create("combo", PLAIN, git(&url, &json!({"branch": "main"})))
        .await?;
    fixture
        .create("none", PLAIN, git(&url, &json!({"tag": "v9"})))
        .await?;
    let bundle = fixture.unpacked("combo", "UnpackSuccessful").await?;
    let url = bundle.status.and_then(|status| status.content_url);
    let url = url.context("no contentURL")?;
    assert!(
        url.starts_with("https://") && url.ends_with("/bundles/combo.tgz"),
        "{url}"
    );

    // Whoever has the role, and whoever may get the Bundle.
    let reader = Person::new(&fixture, "reader", Some("bundle-reader")).await?;
    let viewer = Person::new(&fixture, "viewer", Some("olm-rs-viewer")).await?;
    let nobody = Person::new(&fixture, "nobody", None).await?;
    let stranger = Person::with_token(&fixture, "no-token".to_owned()).await?;
    assert_eq!(stranger.get(&url).await?.status(), 401);
    assert_eq!(nobody.get(&url).await?.status(), 403);
    let answer = reader.get(&url).await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/gzip");
    let tag = answer.headers()["etag"].to_str()?.to_owned();
    let archive = answer.bytes().await?;
    assert_eq!(files(&archive)?, expected);
    assert_eq!(viewer.get(&url).await?.bytes().await?, archive);

    // The tag is the digest of what is sent, which is sent in parts and only to who lacks it.
    assert_eq!(tag, format!("\"{}\"", olm_fs::Digest::of(&archive)));
    let part = reader
        .get_with(&url, &[("range", "bytes=10-19"), ("if-range", &tag)])
        .await?;
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await?, archive[10..20]);
    let known = reader.get_with(&url, &[("if-none-match", &tag)]).await?;
    assert_eq!(known.status(), 304);

    // What is not unpacked, not there or not asked for in the right way.
    fixture.unpacked("none", "UnpackFailed").await?;
    let none = fixture
        .bundles
        .get("none")
        .await?
        .status
        .context("no status")?;
    assert_eq!(none.content_url, None);
    for other in ["none", "absent"] {
        let other = url.replace("combo.tgz", &format!("{other}.tgz"));
        assert_eq!(reader.get(&other).await?.status(), 404);
    }
    assert_eq!(
        reader.get(&url.replace("combo.tgz", "")).await?.status(),
        404
    );
    assert_eq!(reader.put(&url, Vec::new()).await?.0, 405);

    // The same bytes after everything on disk was lost.
    fixture.suite.kill("rukpak")?;
    assert!(contents::remove_all(fixture.suite.directory())? > 0);
    std::fs::remove_dir_all(fixture.suite.directory().join("rukpak/data/archives"))?;
    fixture.suite.start_component("rukpak").await?;
    let again = olm_tests::Wait::new("the content is served again")
        .logs(&fixture.suite)
        .value(async || {
            let answer = reader.get(&url).await?;
            Ok((answer.status() == 200).then_some(answer))
        })
        .await?;
    assert_eq!(again.headers()["etag"].to_str()?, tag);
    assert_eq!(again.bytes().await?, archive);
    Ok(())
}
