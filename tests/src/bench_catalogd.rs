//! What catalogd costs with a catalog as large as the largest public ones: the time from a registry
//! to what is served, memory, and requests beside servers that do nothing but answer.
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use flate2::read::MultiGzDecoder;
use kube::api::DeleteParams;
use olm_fs::{DirTree, Hasher, pack};
use olm_serve::Server;
use olm_serve::tls::CertificateSource;
use olm_tree::RelPath;
use serde_json::json;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use crate::catalogd::{CATALOGD, Catalogd};
use crate::certificates::Authority;
use crate::ports::Port;
use crate::process::{Process, Program, executables};
use crate::publish::Publisher;
use crate::{Wait, scratch};

/// Bundles of the catalogs that are measured.
const BUNDLES: usize = 6_000;
/// Pause before memory is read as that of a process at rest.
const SETTLE: Duration = Duration::from_secs(5);
/// Reads of the whole content that are timed, of each server.
const READS: usize = 7;
/// Requests for parts, of each server.
const RATE: u32 = 5_000;
const REQUESTS: u32 = 40_000;
/// Connections over which these go.
const CONNECTIONS: u32 = 32;
/// Restarts that are timed.
const RESTARTS: usize = 5;

/// Measures and prints.
///
/// # Errors
/// When something does not come out.
pub async fn run() -> Result<()> {
    println!("\ncatalogd with a catalog of {BUNDLES} bundles:");
    let catalogd = Catalogd::start().await?;
    let http = catalogd.http1().await?;
    tokio::time::sleep(SETTLE).await;
    memory(&catalogd, "at rest, without any catalog", Some(16.0))?;
    for (format, goal) in [("json", 4.0), ("yaml", 9.0)] {
        unpack(&catalogd, &http, format, goal).await?;
    }
    whole(&catalogd, &http).await?;
    parts(&catalogd, &http).await?;
    restarts(&catalogd, &http).await
}

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

async fn unpack(
    catalogd: &Catalogd,
    http: &reqwest::Client,
    name: &'static str,
    goal: f64,
) -> Result<()> {
    let made = tokio::task::spawn_blocking(move || make(name)).await??;
    let publisher = Publisher::new(&catalogd.registry);
    let image = format!("bench/{name}:v1");
    let (reference, _) = publisher.catalog_tree(&image, &made.tree).await?;
    let (before, size) = inflate(&made.layer)?;
    forget_peak(catalogd)?;
    let url = catalogd.url(CATALOGD, name, "all.json")?;
    let started = Instant::now();
    catalogd.create(name, json!({"ref": reference})).await?;
    let served = loop {
        let answer = http.head(&url).send().await?;
        if answer.status().is_success() {
            break started.elapsed();
        }
        ensure!(started.elapsed() < Duration::from_mins(3), "nothing served");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let (after, _) = inflate(&made.layer)?;
    let base = (before + after) / 2;
    println!(
        "  {name}, {:.0} MB in a layer of {:.0} MB: Catalog applied until it is served {:.2} s, \
         inflating and hashing twice {:.2} s, ratio {:.1} (goal {goal})",
        megabytes(size),
        megabytes(made.layer.len() as u64),
        served.as_secs_f64(),
        base.as_secs_f64(),
        served.as_secs_f64() / base.as_secs_f64(),
    );
    memory(catalogd, "    when it is served", None)?;
    let folder = catalogd.cache(CATALOGD).join("content");
    Wait::new("the content is compressed")
        .within(Duration::from_mins(2))
        .value(async || Ok(compressed(&folder).then_some(())))
        .await?;
    tokio::time::sleep(SETTLE).await;
    memory(catalogd, "    at rest, once it is compressed", Some(16.0))?;
    if name == "json" {
        let objects = catalogd.catalogs().await?;
        objects.delete(name, &DeleteParams::default()).await?;
        Wait::new("the catalog is gone")
            .gone(&objects, name)
            .await?;
    }
    Ok(())
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

/// The whole content beside a file that is served by the same stack.
async fn whole(catalogd: &Catalogd, http: &reqwest::Client) -> Result<()> {
    let url = catalogd.url(CATALOGD, "yaml", "all.json")?;
    let content = http.get(&url).send().await?.bytes().await?;
    let bare = Bare::start(&content).await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..READS {
        ours.push(read(http, &url).await?);
        theirs.push(read(&bare.http, &bare.url("content")).await?);
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    let rate = |time: Duration| megabytes(content.len() as u64) / time.as_secs_f64();
    println!(
        "  whole content: {:.0} MB/s, of a bare file server {:.0} MB/s: {:.0} % (goal 90)",
        rate(ours),
        rate(theirs),
        100.0 * theirs.as_secs_f64() / ours.as_secs_f64()
    );
    Ok(())
}

async fn read(http: &reqwest::Client, url: &str) -> Result<Duration> {
    let started = Instant::now();
    let mut answer = http.get(url).send().await?.error_for_status()?;
    let mut size = 0;
    while let Some(piece) = answer.chunk().await? {
        size += piece.len();
    }
    ensure!(size > 0, "`{url}` is empty");
    Ok(started.elapsed())
}

/// Metas by package and name beside a handler that answers the same from memory.
async fn parts(catalogd: &Catalogd, http: &reqwest::Client) -> Result<()> {
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
    let (mut best_ours, mut best_theirs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        best_theirs.push(load(&bare.http, &theirs).await?);
        best_ours.push(load(http, &ours).await?);
    }
    let (ours, theirs) = (median(&mut best_ours), median(&mut best_theirs));
    println!(
        "  metas by package and name at {RATE} requests/s: p99 {:.2} ms, of a bare handler \
         {:.2} ms: {:.2} times (goal 2)",
        ours.as_secs_f64() * 1e3,
        theirs.as_secs_f64() * 1e3,
        ours.as_secs_f64() / theirs.as_secs_f64()
    );
    Ok(())
}

/// The 99th percentile of requests that are sent at a fixed rate, from when each was due.
async fn load(http: &reqwest::Client, urls: &[String]) -> Result<Duration> {
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
    times
        .get(times.len() * 99 / 100)
        .copied()
        .context("no request was sent")
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
        times.push(started.elapsed());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let worst = times.iter().max().copied().unwrap_or_default();
    println!(
        "  restart until the first byte, with the registry away: median {} ms, worst {} ms (goal 150)",
        median(&mut times).as_millis(),
        worst.as_millis()
    );
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn process_file(catalogd: &Catalogd, file: &str) -> Result<PathBuf> {
    let pid = catalogd.suite.process(CATALOGD)?.pid();
    let pid = pid.context("catalogd does not run")?;
    Ok(PathBuf::from(format!("/proc/{pid}/{file}")))
}

/// Lets the peak of the resident memory begin anew (proc(5), `clear_refs`).
fn forget_peak(catalogd: &Catalogd) -> Result<()> {
    Ok(std::fs::write(process_file(catalogd, "clear_refs")?, "5")?)
}

fn memory(catalogd: &Catalogd, when: &str, goal: Option<f64>) -> Result<()> {
    let status = std::fs::read_to_string(process_file(catalogd, "status")?)?;
    let mebibytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u32>().ok());
        f64::from(number.unwrap_or_default()) / 1024.0
    };
    let goal = goal.map_or_else(|| "peak goal 32".to_owned(), |goal| format!("goal {goal}"));
    println!(
        "  {when}: {:.1} MiB resident, {:.1} at the peak ({goal})",
        mebibytes("VmRSS:"),
        mebibytes("VmHWM:")
    );
    Ok(())
}

/// A server of the same stack that knows nothing of catalogs, in a process of its own.
struct Bare {
    _process: Process,
    port: Port,
    http: reqwest::Client,
}

impl Bare {
    async fn start(content: &[u8]) -> Result<Self> {
        let folder = scratch::subdirectory("bare")?;
        let authority = Authority::new("bare")?;
        let identity = authority.server(&["127.0.0.1"])?;
        scratch::write(folder.join("tls.crt"), identity.certificate)?;
        scratch::write(folder.join("tls.key"), identity.key)?;
        scratch::write(folder.join("content"), content)?;
        let port = Port::reserve()?;
        let program = Program {
            path: std::env::current_exe()?,
            arguments: vec![
                "bare".to_owned(),
                folder.display().to_string(),
                port.local(),
            ],
            ..Program::default()
        };
        let process = Process::new("bare", program, &folder);
        process.start()?;
        let root = reqwest::Certificate::from_pem(authority.certificate().as_bytes())?;
        let http = reqwest::Client::builder()
            .tls_certs_only([root])
            .no_gzip()
            .http1_only()
            .build()?;
        let bare = Self {
            _process: process,
            port,
            http,
        };
        Wait::new("the bare server answers")
            .value(async || {
                let answer = bare.http.get(bare.url("memory")).send().await;
                Ok(answer.is_ok().then_some(()))
            })
            .await?;
        Ok(bare)
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}/{path}", self.port.local())
    }
}

/// Serves the file `content` of a folder, and the same from memory, until it is killed.
///
/// # Errors
/// When it cannot be started.
pub async fn bare(folder: &Path, address: &str) -> Result<()> {
    crate::certificates::install_provider();
    let source = CertificateSource::new();
    source.set_pem(
        &std::fs::read(folder.join("tls.crt"))?,
        &std::fs::read(folder.join("tls.key"))?,
    )?;
    let path = folder.join("content");
    let memory = axum::body::Bytes::from(std::fs::read(&path)?);
    let memory = if memory.len() > 1 << 20 {
        axum::body::Bytes::new()
    } else {
        memory
    };
    let file = move || async move {
        match tokio::fs::File::open(path).await {
            Ok(file) => Body::from_stream(ReaderStream::with_capacity(file, 64 << 10)),
            Err(_) => Body::empty(),
        }
    };
    let router = Router::new()
        .route("/content", get(file))
        .route("/memory", get(move || async move { memory }));
    let server = Server::bind("bare", address, router).await?.tls(&source)?;
    server.run(CancellationToken::new()).await;
    Ok(())
}
