//! What catalogd costs with a catalog as large as the largest public ones: the time from a registry
//! to what is served, memory, and requests beside servers that do nothing but answer.
//!
//! Other work on the machine slows everything that is measured. So each figure that has a reference
//! is taken in rounds that alternate with it.
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

mod bare;
mod serving;
mod unpack;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::catalogd::{CATALOGD, Catalogd};
use crate::usage::Memory;

pub use self::bare::bare;

/// Bundles of the catalogs that are measured.
const BUNDLES: usize = 6_000;
/// Pause before memory is read as that of a process at rest.
const SETTLE: Duration = Duration::from_secs(5);
/// Resident memory at rest, in MiB.
const REST: f64 = 16.0;
/// Restarts that are timed.
const RESTARTS: usize = 11;

/// Measures and prints.
///
/// # Errors
/// When something does not come out.
pub async fn run() -> Result<()> {
    println!("\ncatalogd with a catalog of {BUNDLES} bundles:");
    let catalogd = Catalogd::measured().await?;
    let http = catalogd.http1().await?;
    tokio::time::sleep(SETTLE).await;
    print_memory(&catalogd, "at rest, without any catalog", REST)?;
    unpack::unpack(&catalogd, &http, "json", 4.0).await?;
    unpack::remove(&catalogd, "json").await?;
    unpack::unpack(&catalogd, &http, "yaml", 9.0).await?;
    serving::whole(&catalogd, &http).await?;
    serving::parts(&catalogd, &http).await?;
    tokio::time::sleep(SETTLE).await;
    print_memory(&catalogd, "at rest after these requests", REST)?;
    restarts(&catalogd, &http).await
}

/// A restart until the first byte, while the registry is away.
async fn restarts(catalogd: &Catalogd, http: &reqwest::Client) -> Result<()> {
    catalogd.registry.kill()?;
    let url = catalogd.url(CATALOGD, "yaml", "all.json")?;
    let process = catalogd.suite.process(CATALOGD)?;
    let mut times = Vec::new();
    for _ in 0..RESTARTS {
        process.kill()?;
        let started = Instant::now();
        process.start()?;
        loop {
            let first = async {
                let mut answer = http.get(&url).send().await?.error_for_status()?;
                answer.chunk().await
            };
            if first.await.is_ok_and(|piece| piece.is_some()) {
                break;
            }
            ensure!(started.elapsed() < Duration::from_mins(1), "nothing served");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.push(started.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let median = median_of(&mut times);
    println!(
        "  restart until the first byte, with the registry away, {RESTARTS} times: least {:.0} ms, \
         median {median:.0} ms, worst {:.0} ms (goal 150)",
        times.first().copied().unwrap_or_default(),
        times.last().copied().unwrap_or_default(),
    );
    tokio::time::sleep(SETTLE).await;
    print_memory(catalogd, "at rest after a restart", REST)
}

/// The median; sorts them.
fn median_of(figures: &mut [f64]) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn print_memory(catalogd: &Catalogd, when: &str, goal: f64) -> Result<()> {
    let Memory { now, own, .. } = catalogd.suite.process(CATALOGD)?.memory()?;
    println!("  {when}: {now:.1} MiB resident, {own:.1} of them its own (goal {goal})");
    Ok(())
}
