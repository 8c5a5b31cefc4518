//! From a registry to what is served, beside inflating and hashing the same bytes.

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use flate2::read::MultiGzDecoder;
use kube::api::DeleteParams;
use olm_fs::{DirTree, Hasher, pack};
use olm_tree::RelPath;
use serde_json::json;

use super::{BUNDLES, REST, SETTLE, median_of, megabytes, print_memory};
use crate::catalogd::{CATALOGD, Catalogd};
use crate::process::executables;
use crate::publish::Publisher;
use crate::{Wait, scratch};

/// Times that a catalog is unpacked.
const ROUNDS: usize = 5;
/// Resident memory while a catalog is unpacked and while it is compressed, in MiB.
const PEAK: f64 = 32.0;

/// A catalog on disk and as a layer.
struct Made {
    tree: DirTree,
    layer: Vec<u8>,
}

/// Makes a catalog with `cargo xtask synth-catalog`.
fn make(format: &str) -> Result<Made> {
    let folder = scratch::subdirectory("synth")?;
    let status = std::process::Command::new(executables()?.join("xtask"))
        .args(["synth-catalog", "--format", format, "--bundles"])
        .arg(BUNDLES.to_string())
        .arg("--out")
        .arg(&folder)
        .stdout(Stdio::null())
        .status()
        .context("cannot run xtask")?;
    ensure!(status.success(), "xtask made no catalog");
    let tree = DirTree::open(&folder)?;
    let mut layer = Vec::new();
    let prefix = RelPath::parse("configs")?;
    let options = pack::Options {
        prefix,
        ..pack::Options::default()
    };
    pack::tar_gz(&tree, &options, &mut layer)?;
    Ok(Made { tree, layer })
}

/// The time of inflating a layer and hashing what comes out twice, and how much that is.
fn inflate(layer: &[u8]) -> Result<(Duration, u64)> {
    let started = Instant::now();
    let mut decoder = MultiGzDecoder::new(layer);
    let mut hashers = [Hasher::new(), Hasher::new()];
    let mut piece = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        let count = decoder.read(&mut piece)?;
        if count == 0 {
            break;
        }
        size += count as u64;
        for hasher in &mut hashers {
            hasher.update(&piece[..count]);
        }
    }
    let [first, second] = hashers.map(Hasher::finish);
    ensure!(first == second, "a digest is no digest");
    Ok((started.elapsed(), size))
}

/// Unpacks a catalog some times and leaves the last one there.
pub(super) async fn unpack(
    catalogd: &Catalogd,
    http: &reqwest::Client,
    name: &'static str,
    goal: f64,
) -> Result<()> {
    let made = tokio::task::spawn_blocking(move || make(name)).await??;
    let publisher = Publisher::new(&catalogd.registry);
    let image = format!("bench/{name}:v1");
    let (reference, _) = publisher.catalog_tree(&image, &made.tree).await?;
    let (mut all_served, mut all_base, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut peak, mut peak_compressed, mut size) = (0.0_f64, 0.0_f64, 0);
    let process = catalogd.suite.process(CATALOGD)?;
    for round in 0..ROUNDS {
        if round > 0 {
            remove(catalogd, name).await?;
        }
        let before = inflate(&made.layer)?.0;
        process.forget_peak()?;
        let served = serve(catalogd, http, name, &reference).await?;
        peak = peak.max(process.memory()?.peak);
        let folder = catalogd.cache(CATALOGD).join("content");
        Wait::new("the content is compressed")
            .within(Duration::from_mins(2))
            .value(async || Ok(compressed(&folder).then_some(())))
            .await?;
        peak_compressed = peak_compressed.max(process.memory()?.peak);
        let (after, bytes) = inflate(&made.layer)?;
        let base = (before + after) / 2;
        size = bytes;
        ratios.push(served.as_secs_f64() / base.as_secs_f64());
        all_served.push(served.as_secs_f64());
        all_base.push(base.as_secs_f64());
    }
    println!(
        "  {name}, {:.0} MB in a layer of {:.0} MB, {ROUNDS} rounds:",
        megabytes(size),
        megabytes(made.layer.len() as u64),
    );
    let least = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "    Catalog applied until it is served: least {:.2} s, median {:.2} s; inflating and \
         hashing twice: least {:.2} s, median {:.2} s",
        least(&all_served),
        median_of(&mut all_served),
        least(&all_base),
        median_of(&mut all_base),
    );
    println!(
        "    ratio: of the least {:.1}, of the rounds median {:.1} and least {:.1} (goal {goal})",
        least(&all_served) / least(&all_base),
        median_of(&mut ratios),
        least(&ratios),
    );
    println!(
        "    resident at the peak, worst of the rounds: {peak:.1} MiB until it is served, \
         {peak_compressed:.1} until it is compressed (goal {PEAK})"
    );
    tokio::time::sleep(SETTLE).await;
    print_memory(catalogd, "  at rest with this catalog", REST)
}

/// Makes a Catalog; gives how long it takes until it is served.
async fn serve(
    catalogd: &Catalogd,
    http: &reqwest::Client,
    name: &str,
    reference: &str,
) -> Result<Duration> {
    let url = catalogd.url(CATALOGD, name, "all.json")?;
    let started = Instant::now();
    catalogd.create(name, json!({"ref": reference})).await?;
    loop {
        if http.head(&url).send().await?.status().is_success() {
            return Ok(started.elapsed());
        }
        ensure!(started.elapsed() < Duration::from_mins(3), "nothing served");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Removes a Catalog with its content.
pub(super) async fn remove(catalogd: &Catalogd, name: &str) -> Result<()> {
    let objects = catalogd.catalogs().await?;
    objects.delete(name, &DeleteParams::default()).await?;
    Wait::new("the catalog is gone")
        .gone(&objects, name)
        .await?;
    let folder = catalogd.cache(CATALOGD).join("content");
    Wait::new("its content is gone")
        .value(async || Ok((std::fs::read_dir(&folder)?.count() == 0).then_some(())))
        .await
}

/// Whether there is content, all of it in all forms.
fn compressed(folder: &Path) -> bool {
    let Ok(contents) = std::fs::read_dir(folder) else {
        return false;
    };
    let contents: Vec<_> = contents.flatten().collect();
    let whole = |content: &std::fs::DirEntry| {
        ["lines.gz", "lines.zst"]
            .iter()
            .all(|name| content.path().join(name).exists())
    };
    !contents.is_empty() && contents.iter().all(whole)
}
