//! A Catalog is served whole, from its creation to its removal.

use anyhow::{Context as _, Result, ensure};
use kube::api::DeleteParams;
use olm_tests::publish::Publisher;
use olm_tests::{Wait, content};
use olm_tree::{RelPath, Tree as _};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::cluster::{CatalogdCluster, has, last_poll, message};
use super::files::{PACKAGE, PACKAGE_LINES, tree};

#[tokio::test]
async fn a_catalog_is_served_through_restarts_polls_and_replicas_until_it_is_deleted() -> Result<()>
{
    let mut fixture = CatalogdCluster::start().await?;
    let publisher = Publisher::new(&fixture.registry);
    let first = tree(&[
        ("etcd/catalog.yaml", PACKAGE),
        (".indexignore", "*.md\n"),
        ("README.md", ": no YAML : at all"),
    ]);
    let (reference, digest) = publisher.catalog_tree("cat:latest", &first).await?;
    fixture
        .create("life", json!({"ref": reference, "pollInterval": "2s"}))
        .await?;

    let status = fixture.unpacked("life", "True").await?;
    let repository = reference.trim_end_matches(":latest");
    let resolved = format!("{repository}@{digest}");
    assert_eq!(
        message(&status),
        format!("successfully unpacked the catalog image \"{resolved}\"")
    );
    assert_eq!(status.phase.as_deref(), Some("Unpacked"));
    assert!(has(&status, "Ready"));
    let image = status.resolved_source.clone().unwrap().image.unwrap();
    assert_eq!((image.reference, image.resolved_ref), (reference, resolved));
    let url = status.content_url.clone().context("no contentURL")?;
    ensure!(url.ends_with("/catalogs/life/all.json"), "{url}");
    let content_digest = status.content_digest.clone().context("no contentDigest")?;

    // The bytes, their tag, and the other path.
    let response = fixture.get(&url).await?;
    assert_eq!(header(&response, "etag"), format!("\"{content_digest}\""));
    assert_eq!(header(&response, "content-type"), "application/json");
    let modified = header(&response, "last-modified").to_owned();
    assert_eq!(response.text().await?, PACKAGE_LINES);
    let lines = url.replace("all.json", "api/v1/all");
    assert_eq!(fixture.get(&lines).await?.text().await?, PACKAGE_LINES);
    let known = fixture.http().await?.get(&url);
    let known = known.header("if-none-match", format!("\"{content_digest}\""));
    assert_eq!(known.send().await?.status(), StatusCode::NOT_MODIFIED);
    let posted = fixture.http().await?.post(&url).send().await?;
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);

    // A poll without news moves the time of the poll and nothing else.
    let polled = last_poll(&status).unwrap();
    let later = fixture
        .status("a poll", "life", |status| last_poll(status) > Some(polled))
        .await?;
    assert_eq!(later.content_digest, status.content_digest);
    assert_eq!(later.last_unpacked, status.last_unpacked);
    assert_eq!(header(&fixture.get(&url).await?, "last-modified"), modified);

    // After a crash the content is there before anything else: the registry is away.
    fixture.registry.kill()?;
    fixture.suite.restart("catalogd").await?;
    assert_eq!(fixture.get(&url).await?.text().await?, PACKAGE_LINES);
    let away = fixture.unpacked("life", "False").await?;
    ensure!(
        message(&away).starts_with("source bundle content: error fetching image descriptor: "),
        "{}",
        message(&away)
    );
    let kept = format!("; still serving the content {content_digest} of the image {digest}");
    ensure!(message(&away).ends_with(&kept), "{}", message(&away));
    assert_eq!(away.phase.as_deref(), Some("Failing"));
    assert_eq!(away.resolved_source, None);
    assert_eq!(away.content_url, status.content_url);
    assert_eq!(away.content_digest, status.content_digest);
    assert!(!has(&away, "Stalled"));
    assert_eq!(fixture.get(&url).await?.text().await?, PACKAGE_LINES);
    fixture.registry.start_again().await?;
    fixture.unpacked("life", "True").await?;

    // A tag that moves is followed.
    let second = tree(&[(
        "etcd/catalog.json",
        r#"{"schema":"olm.package","name":"two"}"#,
    )]);
    publisher.catalog_tree("cat:latest", &second).await?;
    let moved = fixture
        .status("the new content", "life", |status| {
            status.content_digest.is_some() && status.content_digest != Some(content_digest.clone())
        })
        .await?;
    let response = fixture.get(&url).await?;
    assert_eq!(
        header(&response, "etag"),
        format!("\"{}\"", moved.content_digest.clone().unwrap())
    );
    assert_eq!(
        response.text().await?,
        "{\"name\":\"two\",\"schema\":\"olm.package\"}\n"
    );

    // Another replica makes the same content for itself.
    let replica = fixture.suite.add_replica("catalogd")?;
    fixture.suite.start_component(&replica).await?;
    let address = fixture.suite.address(&replica, 8443)?;
    let other = format!("https://{address}/catalogs/life/all.json");
    let tag = format!("\"{}\"", moved.content_digest.clone().unwrap());
    Wait::new("the replica serves the same")
        .logs(&fixture.suite)
        .value(async || {
            let response = fixture.get(&other).await?;
            Ok((header(&response, "etag") == tag).then_some(()))
        })
        .await?;

    // Metrics count the requests.
    let metrics = fixture.suite.metrics("catalogd").await?;
    ensure!(
        metrics.contains("catalogd_http_request_duration_seconds_count{code=\"200\"}"),
        "{metrics}"
    );

    // Deleted, it is served nowhere.
    fixture
        .catalogs
        .delete("life", &DeleteParams::default())
        .await?;
    Wait::new("the Catalog is gone")
        .logs(&fixture.suite)
        .gone(&fixture.catalogs, "life")
        .await?;
    for url in [&url, &other] {
        Wait::new("its content is gone")
            .logs(&fixture.suite)
            .value(async || {
                let response = fixture.get(url).await?;
                let gone = response.status() == StatusCode::NOT_FOUND;
                Ok((gone && response.text().await? == "404 page not found\n").then_some(()))
            })
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_real_catalog_is_served_whole() -> Result<()> {
    let folder = content::data()?.map(|data| data.join("catalogs/community-v4.20"));
    let files = match &folder {
        Some(folder) => content::files(folder)?,
        None => tree(&[("etcd/catalog.yaml", PACKAGE)]),
    };
    let fixture = CatalogdCluster::start().await?;
    let publisher = Publisher::new(&fixture.registry);
    let (reference, _) = publisher.catalog_tree("real:v1", &files).await?;
    fixture.create("real", json!({"ref": reference})).await?;
    let status = fixture.unpacked("real", "True").await?;
    ensure!(!message(&status).contains("except"), "{}", message(&status));
    let response = fixture
        .get(&status.content_url.context("no contentURL")?)
        .await?;
    let text = response.error_for_status()?.text().await?;
    let digest = olm_fs::Digest::of(text.as_bytes());
    assert_eq!(status.content_digest.as_deref(), Some(digest.as_str()));
    let packages = files.list(&RelPath::root())?;
    let served = text.lines().filter(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["schema"] == "olm.package"
    });
    assert_eq!(served.count(), packages.len());
    Ok(())
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
