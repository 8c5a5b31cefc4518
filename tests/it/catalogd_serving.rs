//! What readers of a catalog get: over either HTTP, whole and in part.

use std::io::Read as _;

use anyhow::{Context as _, Result, ensure};
use olm_tests::catalogd::{CATALOGD, Catalogd};
use olm_tests::publish::Publisher;
use olm_tests::wait::Wait;
use olm_tree::MemoryTree;
use reqwest::{StatusCode, Version};
use serde_json::{Value, json};

/// A catalog of 40 packages with 20 bundles each.
fn files() -> Result<MemoryTree> {
    let mut tree = MemoryTree::default();
    for package in 0..40 {
        let name = format!("package-{package}");
        let mut text = json!({"schema": "olm.package", "name": name}).to_string();
        for version in 0..20 {
            let bundle = json!({"schema": "olm.bundle", "package": name,
                "name": format!("{name}.v{version}"), "image": format!("quay.io/{name}:{version}")});
            text.push('\n');
            text.push_str(&bundle.to_string());
        }
        tree.insert(&format!("{name}/catalog.json"), text)?;
    }
    Ok(tree)
}

#[tokio::test]
async fn readers_get_the_lines_that_the_status_names_whole_and_in_part() -> Result<()> {
    let world = Catalogd::start().await?;
    let publisher = Publisher::new(&world.registry);
    let (reference, _) = publisher.catalog_tree("real:v1", &files()?).await?;
    world.create("real", json!({"ref": reference})).await?;
    let status = world.unpacked("real", "True").await?;
    let digest = status.content_digest.clone().context("no contentDigest")?;
    let http = world.http().await?;
    let url = |endpoint: &str| world.url(CATALOGD, "real", endpoint);

    // Whole: the same bytes at both addresses, over HTTP/2 and HTTP/1.1.
    let lines = http.get(url("all.json")?).send().await?;
    assert_eq!(lines.version(), Version::HTTP_2);
    let lines = lines.text().await?;
    assert_eq!(olm_fs::Digest::of(lines.as_bytes()).as_str(), digest);
    let old = world.http1().await?.get(url("api/v1/all")?).send().await?;
    assert_eq!(old.version(), Version::HTTP_11);
    ensure!(old.text().await? == lines, "the two addresses differ");

    // In part: what a reader of everything would have kept, in the same order.
    let parsed: Vec<(Value, &str)> = lines
        .split_inclusive('\n')
        .map(|line| Ok((serde_json::from_str(line)?, line)))
        .collect::<Result<_>>()?;
    let package = parsed
        .iter()
        .find(|(value, _)| value["schema"] == "olm.package")
        .and_then(|(value, _)| value["name"].as_str())
        .context("no package")?;
    for query in [
        vec![("schema", "olm.package")],
        vec![("schema", "olm.bundle"), ("package", package)],
        vec![("package", package)],
        vec![("name", package)],
        vec![("schema", "olm.package"), ("name", package)],
        vec![("schema", "none")],
    ] {
        let wanted: String = parsed
            .iter()
            .filter(|(value, _)| query.iter().all(|(field, wanted)| value[*field] == *wanted))
            .map(|(_, line)| *line)
            .collect();
        let text: Vec<String> = query.iter().map(|(f, v)| format!("{f}={v}")).collect();
        let asked = http.get(format!("{}?{}", url("api/v1/metas")?, text.join("&")));
        let answer = asked
            .header("if-match", format!("\"{digest}\""))
            .send()
            .await?;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["etag"], format!("\"{digest}\"").as_str());
        ensure!(answer.text().await? == wanted, "{query:?}");
    }
    for (endpoint, code) in [
        ("all.json", 412),
        ("api/v1/all", 412),
        ("api/v1/metas?schema=olm.package", 412),
        ("api/v1/metas?flavour=sweet", 400),
        ("api/v1/none", 404),
    ] {
        let asked = http.get(url(endpoint)?).header("if-match", "\"sha256:00\"");
        assert_eq!(asked.send().await?.status().as_u16(), code, "{endpoint}");
    }

    // Compressed, once the compressed forms are made.
    for name in ["gzip", "zstd"] {
        let bytes = Wait::new(format!("the form {name} is made"))
            .logs(&world.suite)
            .value(async || {
                let asked = http.get(url("all.json")?);
                let asked = asked
                    .header("accept-encoding", name)
                    .header("if-match", format!("\"{digest}\""));
                let answer = asked.send().await?;
                let told = answer.headers().get("content-encoding");
                let made = told.is_some_and(|told| told == name);
                assert_eq!(answer.headers()["vary"], "accept-encoding");
                let tag = answer.headers()["etag"].to_str()?.to_owned();
                let bytes = answer.bytes().await?;
                let wanted = format!("\"{digest}-{name}\"");
                ensure!(!made || tag == wanted, "the entity tag is {tag}");
                Ok(made.then_some(bytes))
            })
            .await?;
        ensure!(bytes.len() < lines.len() / 2, "{name} saves little");
        if name == "gzip" {
            let mut plain = String::new();
            flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut plain)?;
            ensure!(plain == lines, "{name} is of other lines");
        }
    }
    Ok(())
}
