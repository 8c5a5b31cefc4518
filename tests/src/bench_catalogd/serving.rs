//! Requests beside servers of the same stack that do nothing but answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::bare::Bare;
use super::{median_of, megabytes};
use crate::catalogd::{CATALOGD, Catalogd};

/// Reads of the whole content that are timed, of each server in turn.
const READS: usize = 15;
/// Requests for parts in a second.
const RATE: u32 = 5_000;
/// Requests for parts in one round.
const REQUESTS: u32 = 20_000;
/// Connections over which these go.
const CONNECTIONS: u32 = 32;
/// Rounds of requests for parts, of each server in turn.
const ROUNDS: usize = 7;

/// The whole content beside a file that is served by the same stack.
pub(super) async fn whole(catalogd: &Catalogd, http: &reqwest::Client) -> Result<()> {
    let url = catalogd.url(CATALOGD, "yaml", "all.json")?;
    let content = http.get(&url).send().await?.bytes().await?;
    let bare = Bare::start(&content).await?;
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..READS {
        // Whoever is second finds warmer caches.
        let (our, their) = if round % 2 == 0 {
            let our = read(http, &url).await?;
            (our, read(&bare.http, &bare.url("content")).await?)
        } else {
            let their = read(&bare.http, &bare.url("content")).await?;
            (read(http, &url).await?, their)
        };
        ratios.push(100.0 * their / our);
        ours.push(our);
        theirs.push(their);
    }
    let rate = |seconds: f64| megabytes(content.len() as u64) / seconds;
    println!(
        "  whole content, median of {READS}: {:.0} MB/s, of a bare file server {:.0} MB/s: {:.0} % \
         (goal 90)",
        rate(median_of(&mut ours)),
        rate(median_of(&mut theirs)),
        median_of(&mut ratios),
    );
    Ok(())
}

/// Reads everything; gives the seconds that it took.
async fn read(http: &reqwest::Client, url: &str) -> Result<f64> {
    let started = Instant::now();
    let mut answer = http.get(url).send().await?.error_for_status()?;
    let mut size = 0;
    while let Some(piece) = answer.chunk().await? {
        size += piece.len();
    }
    ensure!(size > 0, "`{url}` is empty");
    Ok(started.elapsed().as_secs_f64())
}

/// Metas by package and name beside a handler that answers the same from memory.
pub(super) async fn parts(catalogd: &Catalogd, http: &reqwest::Client) -> Result<()> {
    let all = http
        .get(catalogd.url(CATALOGD, "yaml", "all.json")?)
        .send()
        .await?;
    let lines = all.text().await?;
    let mut names = Vec::new();
    let mut sample = String::new();
    for line in lines.lines().step_by(7) {
        let meta: serde_json::Value = serde_json::from_str(line)?;
        let field = |name: &str| meta[name].as_str().unwrap_or_default();
        if field("schema") == "olm.channel" {
            names.push(format!(
                "package={}&name={}",
                field("package"),
                field("name")
            ));
            sample = format!("{line}\n");
        }
    }
    ensure!(!names.is_empty(), "the catalog has no channels");
    let bare = Bare::start(sample.as_bytes()).await?;
    let metas = catalogd.url(CATALOGD, "yaml", "api/v1/metas")?;
    let ours: Vec<String> = names.iter().map(|name| format!("{metas}?{name}")).collect();
    let theirs: Vec<String> = names
        .iter()
        .map(|name| format!("{}?{name}", bare.url("memory")))
        .collect();
    let (mut our, mut their) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        their.push(load(&bare.http, &theirs).await?);
        our.push(load(http, &ours).await?);
    }
    for (what, at) in [("median", 0), ("p99", 1)] {
        let of = |rounds: &[[f64; 2]]| {
            let mut times: Vec<f64> = rounds.iter().map(|round| round[at] * 1e3).collect();
            (
                median_of(&mut times),
                times.first().copied().unwrap_or_default(),
            )
        };
        let ((our, our_least), (their, their_least)) = (of(&our), of(&their));
        println!(
            "  metas by package and name at {RATE} requests/s, {what} of {ROUNDS} rounds in ms: \
             median {our:.2}, of a bare handler {their:.2}, {:.2} times; least {our_least:.2} and \
             {their_least:.2}, {:.2} times{}",
            our / their,
            our_least / their_least,
            if at == 1 { " (goal 2)" } else { "" }
        );
    }
    Ok(())
}

/// Median and 99th percentile, in seconds, of requests that are sent at a fixed rate.
async fn load(http: &reqwest::Client, urls: &[String]) -> Result<[f64; 2]> {
    let urls: Arc<[String]> = urls.into();
    let begin = tokio::time::Instant::now() + Duration::from_millis(50);
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..CONNECTIONS {
        let (http, urls) = (http.clone(), Arc::clone(&urls));
        workers.spawn(async move {
            let mut times = Vec::new();
            for request in (worker..REQUESTS).step_by(CONNECTIONS as usize) {
                let due = begin + Duration::from_secs(1) / RATE * request;
                tokio::time::sleep_until(due).await;
                // The timer counts milliseconds; what it is late by is not the server's.
                let sent = tokio::time::Instant::now();
                let late = sent.saturating_duration_since(due) > Duration::from_millis(5);
                let url = &urls[request as usize % urls.len()];
                let answer = http.get(url).send().await?.error_for_status()?;
                ensure!(!answer.bytes().await?.is_empty(), "nothing at `{url}`");
                times.push(if late { due.elapsed() } else { sent.elapsed() });
            }
            Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = workers.join_next().await {
        times.extend(done??);
    }
    times.sort_unstable();
    let at = |percent: usize| {
        let time = times.get(times.len() * percent / 100);
        time.map(Duration::as_secs_f64)
            .context("no request was sent")
    };
    Ok([at(50)?, at(99)?])
}
