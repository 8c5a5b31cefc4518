//! Two replicas of catalogd: both serve, one decides, and neither gives old lines for new.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use olm_tests::catalogd::{CATALOGD, Catalogd, package};
use olm_tests::{Wait, suite};
use reqwest::StatusCode;
use serde_json::json;

/// Contents by digest, as they were published.
type Contents = Arc<Mutex<BTreeMap<String, String>>>;

/// Asks one address again and again for the content whose digest the status names, and checks what
/// comes.
struct Reader {
    url: String,
    http: reqwest::Client,
    contents: Contents,
    wanted: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
}

impl Reader {
    async fn run(self) -> Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            let wanted = self.wanted.lock().unwrap().clone();
            let asked = self.http.get(&self.url);
            let asked = asked.header("if-match", format!("\"{wanted}\""));
            // Connections break while a replica is killed.
            let Ok(answer) = asked.send().await else {
                continue;
            };
            match answer.status() {
                StatusCode::OK => {}
                // The other content is there already, or not yet.
                StatusCode::PRECONDITION_FAILED => continue,
                status => anyhow::bail!("{} answered {status}", self.url),
            }
            let tag = answer.headers()["etag"].to_str()?.to_owned();
            let Ok(body) = answer.text().await else {
                continue;
            };
            ensure!(tag == format!("\"{wanted}\""), "{tag} for {wanted}");
            let expected = self.contents.lock().unwrap().get(&wanted).cloned();
            ensure!(expected == Some(body), "other lines than those of {wanted}");
            self.served.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Who holds the lease.
async fn leader(world: &Catalogd) -> Result<String> {
    let leases = Api::<Lease>::namespaced(world.client().await?, world.suite.namespace());
    let lease = leases.get(CATALOGD).await?;
    let holder = lease.spec.and_then(|spec| spec.holder_identity);
    Ok(holder.unwrap_or_default())
}

/// How many passes over Catalogs a replica has made.
async fn passes(world: &Catalogd, replica: &str) -> Result<u64> {
    let metrics = world.suite.metrics(replica).await?;
    let of_catalogs = metrics.lines().filter(|line| {
        line.starts_with("controller_runtime_reconcile_total") && line.contains("\"catalog\"")
    });
    Ok(of_catalogs
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum())
}

#[tokio::test]
async fn both_replicas_serve_through_a_failover_and_only_the_leader_acts() -> Result<()> {
    let mut world = Catalogd::start().await?;
    let replica = world.suite.add_replica(CATALOGD)?;
    world.suite.start_component(&replica).await?;
    let contents = Contents::default();
    let publish = async |n: usize| {
        let lines = package(&format!("version-{n}"));
        world.publish("swap:latest", &lines).await?;
        let digest = olm_fs::Digest::of(lines.as_bytes()).to_string();
        contents.lock().unwrap().insert(digest.clone(), lines);
        Ok::<_, anyhow::Error>(digest)
    };
    let first = publish(0).await?;
    let reference = format!("{}/swap:latest", world.registry.host());
    world
        .create("swap", json!({"ref": reference, "pollInterval": "1s"}))
        .await?;
    world.unpacked("swap", "True").await?;

    let wanted = Arc::new(Mutex::new(first));
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    let mut counts = Vec::new();
    let http = world.http().await?;
    for of in [CATALOGD, &replica] {
        let url = world.url(of, "swap", "all.json")?;
        Wait::new(format!("{of} serves it"))
            .logs(&world.suite)
            .value(async || Ok((http.get(&url).send().await?.status() == 200).then_some(())))
            .await?;
        let served = Arc::new(AtomicUsize::new(0));
        counts.push(Arc::clone(&served));
        let reader = Reader {
            url,
            http: http.clone(),
            contents: Arc::clone(&contents),
            wanted: Arc::clone(&wanted),
            stop: Arc::clone(&stop),
            served,
        };
        readers.push(tokio::spawn(reader.run()));
    }
    let both_serve = async |digest: &str| {
        *wanted.lock().unwrap() = digest.to_owned();
        for count in &counts {
            let before = count.load(Ordering::Relaxed);
            Wait::new(format!("a reader gets {digest}"))
                .logs(&world.suite)
                .value(async || Ok((count.load(Ordering::Relaxed) > before).then_some(())))
                .await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let swap = async |n: usize| {
        let digest = publish(n).await?;
        let named = |status: &olm_api::catalog::CatalogStatus| {
            status.content_digest.as_deref() == Some(digest.as_str())
        };
        world.status("the new content", "swap", named).await?;
        both_serve(&digest).await
    };

    swap(1).await?;
    // The replica that does not lead has fetched content and made no pass.
    let before = leader(&world).await?;
    assert_eq!(passes(&world, &replica).await?, 0);
    ensure!(passes(&world, CATALOGD).await? > 0, "no pass was made");

    // The leader dies; the other goes on, with reads all the while.
    world.suite.kill(CATALOGD)?;
    let asked = async || leader(&world).await;
    Wait::new("another leads")
        .logs(&world.suite)
        .value(async || Ok((asked().await? != before).then_some(())))
        .await?;
    world.suite.start_component(CATALOGD).await?;
    swap(2).await?;
    swap(3).await?;
    assert_eq!(passes(&world, CATALOGD).await?, 0);

    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await??;
    }
    Ok(())
}

#[tokio::test]
async fn a_new_replica_is_ready_when_it_has_what_the_catalogs_ask_for() -> Result<()> {
    let mut world = Catalogd::start().await?;
    let (reference, _) = world.publish("fill:v1", &package("one")).await?;
    for name in ["fill-a", "fill-b"] {
        world.create(name, json!({"ref": reference})).await?;
        world.unpacked(name, "True").await?;
    }
    // One whose tag has moved on to what is no catalog: what is served is the old.
    let (moving, _) = world.publish("fill:moving", &package("two")).await?;
    let polled = json!({"ref": moving, "pollInterval": "1s"});
    world.create("fill-c", polled).await?;
    world.unpacked("fill-c", "True").await?;
    world.publish("fill:moving", "{\"schema\":").await?;
    let failing = world.unpacked("fill-c", "False").await?;
    assert!(failing.resolved_source.is_none() && failing.content_image.is_some());
    // One that cannot be had at all is not waited for: there is nothing that it serves.
    let nowhere = json!({"ref": format!("{}/nowhere:v1", world.registry.host())});
    world.create("nowhere", nowhere).await?;
    world.unpacked("nowhere", "False").await?;

    let replica = world.suite.add_replica(CATALOGD)?;
    world.registry.kill()?;
    world.suite.start_process(&replica).await?;
    let probes = world.suite.address(&replica, 8081)?;
    Wait::new("it says what it lacks")
        .logs(&world.suite)
        .explained(async || {
            let (status, text) = suite::get(probes, "/readyz").await?;
            let lacks = text
                .contains("[-]content failed: no content of 3 catalogs: fill-a, fill-b, fill-c");
            Ok((status == 500 && lacks).then_some(()).ok_or(text))
        })
        .await?;
    assert_eq!(suite::get(probes, "/healthz").await?.0, 200);
    world.registry.start_again().await?;
    world.suite.wait_ready(&replica).await?;
    for (name, of) in [("fill-a", "one"), ("fill-b", "one"), ("fill-c", "two")] {
        let url = world.url(&replica, name, "all.json")?;
        let served = world.http().await?.get(&url).send().await?.text().await?;
        assert_eq!(served, package(of));
    }
    Ok(())
}

#[tokio::test]
async fn the_one_that_takes_over_finishes_what_the_other_began() -> Result<()> {
    let mut world = Catalogd::start().await?;
    let replica = world.suite.add_replica(CATALOGD)?;
    world.suite.start_component(&replica).await?;
    let (reference, _) = world.publish("left:latest", &package("one")).await?;
    world
        .create("left", json!({"ref": reference, "pollInterval": "2s"}))
        .await?;
    let status = world.unpacked("left", "True").await?;
    let url = world.url(&replica, "left", "all.json")?;
    let http = world.http().await?;
    Wait::new("the replica serves it")
        .logs(&world.suite)
        .value(async || Ok((http.get(&url).send().await?.status() == 200).then_some(())))
        .await?;
    // A leader that ends gives the lease up at once.
    let ended = world.suite.stop(CATALOGD, Duration::from_secs(30)).await?;
    assert!(ended.success(), "{ended}");
    world.publish("left:latest", &package("two")).await?;
    let before = status.content_digest.clone();
    let later = world
        .status("the other replica follows the tag", "left", |status| {
            status.content_digest.is_some() && status.content_digest != before
        })
        .await?;
    let served = http.get(&url).send().await?;
    let tag = served.headers()["etag"].to_str()?.to_owned();
    assert_eq!(
        tag,
        format!("\"{}\"", later.content_digest.context("none")?)
    );
    assert_eq!(served.text().await?, package("two"));
    Ok(())
}
