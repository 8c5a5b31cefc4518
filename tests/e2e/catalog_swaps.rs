//! Readers while content is swapped and catalogd is killed: nobody sees torn, mixed or other lines.
//!
//! `OLM_TEST_SWAPS=full` reads 100,000 times over 1,000 swaps and 50 kills; otherwise it is a small
//! part of that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use olm_tests::catalogd::{CATALOGD, Catalogd};
use olm_tests::{Wait, report};
use reqwest::StatusCode;
use serde_json::json;

/// Readers at the same time.
const READERS: usize = 16;
/// Different contents that are swapped in turn.
const CONTENTS: usize = 12;
/// Lines of one content.
const LINES: usize = 400;

/// How much is done.
#[derive(Clone, Copy, Debug)]
struct Size {
    reads: usize,
    swaps: usize,
    kills: usize,
}

impl Size {
    fn of_environment() -> Self {
        match std::env::var("OLM_TEST_SWAPS").as_deref() {
            Ok("full") => Self {
                reads: 100_000,
                swaps: 1_000,
                kills: 50,
            },
            _ => Self {
                reads: 2_000,
                swaps: 24,
                kills: 3,
            },
        }
    }
}

/// One of the contents that are swapped. Their lengths differ, and each line names its content.
#[derive(Debug)]
struct Version {
    reference: String,
    digest: String,
    lines: String,
    bundles: String,
}

/// What the readers share.
#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    url: String,
    versions: BTreeMap<String, Version>,
    stop: AtomicBool,
    reads: AtomicUsize,
    missed: AtomicUsize,
    away: AtomicUsize,
    broken: AtomicUsize,
}

async fn publish(world: &Catalogd, number: usize) -> Result<Version> {
    let mut lines = String::new();
    let mut bundles = String::new();
    for line in 0..LINES + number * 37 {
        let schema = ["olm.bundle", "olm.channel"][line % 2];
        let text = format!(
            "{{\"name\":\"{number}.{line}\",\"package\":\"version-{number}\",\"schema\":\"{schema}\"}}\n"
        );
        if schema == "olm.bundle" {
            bundles.push_str(&text);
        }
        lines.push_str(&text);
    }
    let (reference, image) = world.publish(&format!("swap:v{number}"), &lines).await?;
    let repository = reference.rsplit_once(':').context("no tag")?.0;
    Ok(Version {
        reference: format!("{repository}@{image}"),
        digest: olm_fs::Digest::of(lines.as_bytes()).to_string(),
        lines,
        bundles,
    })
}

/// What a reader asks for.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Everything,
    Selection,
    Certain,
    Part,
}

impl Shared {
    /// Reads once; an error is a lie that catalogd told.
    async fn read(&self, ask: Ask, certain: &str) -> Result<()> {
        let request = match ask {
            Ask::Everything => self.http.get(format!("{}/all.json", self.url)),
            Ask::Selection => {
                let url = format!("{}/api/v1/metas?schema=olm.bundle", self.url);
                self.http.get(url)
            }
            Ask::Certain => {
                let request = self.http.get(format!("{}/api/v1/all", self.url));
                request.header("if-match", format!("\"{certain}\""))
            }
            Ask::Part => {
                let request = self.http.get(format!("{}/api/v1/all", self.url));
                request.header("range", "bytes=1000-")
            }
        };
        // While it is killed nobody answers, and answers under way break off.
        let Ok(answer) = request.send().await else {
            self.away.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            return Ok(());
        };
        let status = answer.status();
        match (ask, status) {
            (Ask::Certain, StatusCode::PRECONDITION_FAILED) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
                self.reads.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            (Ask::Part, StatusCode::PARTIAL_CONTENT) | (_, StatusCode::OK) => {}
            _ => bail!("{ask:?} was answered {status}"),
        }
        let tag = answer.headers().get("etag").context("no entity tag")?;
        let digest = tag.to_str()?.trim_matches('"').to_owned();
        let Ok(body) = answer.bytes().await else {
            self.broken.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        let version = self.versions.get(&digest).context("an unknown digest")?;
        let wanted = match ask {
            Ask::Everything | Ask::Certain => version.lines.as_bytes(),
            Ask::Selection => version.bundles.as_bytes(),
            Ask::Part => &version.lines.as_bytes()[1000..],
        };
        ensure!(
            body == wanted,
            "{ask:?}: {} bytes under the tag of other {} bytes",
            body.len(),
            wanted.len()
        );
        ensure!(
            !matches!(ask, Ask::Certain) || digest == certain,
            "If-Match was passed over"
        );
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn run(self: Arc<Self>, reader: usize) -> Result<()> {
        let digests: Vec<&String> = self.versions.keys().collect();
        let asks = [Ask::Everything, Ask::Selection, Ask::Certain, Ask::Part];
        let mut round = reader;
        while !self.stop.load(Ordering::Relaxed) {
            let ask = asks[round % asks.len()];
            let certain = digests[round % digests.len()];
            self.read(ask, certain).await?;
            round += 1;
        }
        Ok(())
    }
}

#[tokio::test]
async fn readers_see_whole_contents_over_swaps_and_kills() -> Result<()> {
    let size = Size::of_environment();
    let world = Catalogd::start().await?;
    let mut versions = Vec::new();
    for number in 0..CONTENTS {
        versions.push(publish(&world, number).await?);
    }
    let image = json!({"ref": versions[0].reference});
    world.create("swap", image).await?;
    world.unpacked("swap", "True").await?;
    let order: Vec<(String, String)> = versions
        .iter()
        .map(|version| (version.reference.clone(), version.digest.clone()))
        .collect();
    let url = world.url(CATALOGD, "swap", "all.json")?;
    let shared = Arc::new(Shared {
        http: world.http().await?,
        url: url.trim_end_matches("/all.json").to_owned(),
        versions: versions
            .into_iter()
            .map(|version| (version.digest.clone(), version))
            .collect(),
        stop: AtomicBool::new(false),
        reads: AtomicUsize::new(0),
        missed: AtomicUsize::new(0),
        away: AtomicUsize::new(0),
        broken: AtomicUsize::new(0),
    });
    let begun = Instant::now();
    let readers: Vec<_> = (0..READERS)
        .map(|reader| tokio::spawn(Arc::clone(&shared).run(reader)))
        .collect();
    let lied = || readers.iter().any(tokio::task::JoinHandle::is_finished);

    let (mut swaps, mut kills) = (0, 0);
    while (swaps < size.swaps || shared.reads.load(Ordering::Relaxed) < size.reads) && !lied() {
        let (reference, digest) = &order[(swaps + 1) % order.len()];
        world
            .change("swap", json!({"source": {"image": {"ref": reference}}}))
            .await?;
        if kills < size.kills && swaps * size.kills >= kills * size.swaps {
            // Somewhere in the middle of the swap; the restart has to see it through.
            let somewhere = u64::try_from(swaps % 7).unwrap_or(0) * 15;
            tokio::time::sleep(Duration::from_millis(somewhere)).await;
            world.suite.kill(CATALOGD)?;
            world.suite.start_component(CATALOGD).await?;
            kills += 1;
        }
        let catalogs = world.catalogs().await?;
        Wait::new("the swap is done")
            .every(Duration::from_millis(10))
            .logs(&world.suite)
            .object(&catalogs, "swap", |catalog| {
                let status = catalog.status.as_ref();
                status.is_some_and(|status| status.content_digest.as_ref() == Some(digest))
            })
            .await?;
        swaps += 1;
    }
    shared.stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await??;
    }
    let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
    report::line(&format!(
        "{} answers checked ({} of them 412) over {swaps} swaps and {kills} kills in {:.0?}; nobody \
         there {} times, broken off {} times",
        count(&shared.reads),
        count(&shared.missed),
        begun.elapsed(),
        count(&shared.away),
        count(&shared.broken),
    ));
    ensure!(kills == size.kills, "only {kills} kills");
    Ok(())
}
