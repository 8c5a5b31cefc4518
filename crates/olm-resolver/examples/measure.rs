//! What resolution costs, on a made-up catalog of the size of a community catalog, as times and as
//! multiples of a fixed piece of work done in the same run. Build it for release.
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use olm_fbc::{Reading, read_lines};
use olm_resolver::{Catalog, DEFAULT_BUDGET, EdgeMode, Facts, Member, Problem, Request};
use serde_json::{Value, json};

/// Packages of the catalog.
const PACKAGES: usize = 328;

/// Bundles of the catalog.
const BUNDLES: usize = 6_000;

/// Repetitions of what is measured.
const ROUNDS: usize = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let unit = best(|| black_box(fixed_work()));
    println!("fixed piece of work: {unit:?}");
    let lines = lines();
    let mut read = None;
    let reading = best(|| read = Catalog::read("community", 0, documents(&lines)).ok());
    say("read 6,000 bundles into the model", reading, unit);
    let catalog = read.ok_or("the catalog cannot be read")?;
    let facts = Facts::default();
    let members: Vec<Member> = (0..PACKAGES).map(|at| member(&package(at))).collect();
    let problem = |operators: &[Member]| {
        Problem {
            catalogs: &[&catalog],
            operators,
            adopted: &[],
            mode: EdgeMode::Catalog,
            facts: &facts,
            budget: DEFAULT_BUDGET,
        }
        .solve()
    };
    let mut times: Vec<Duration> = members
        .iter()
        .map(|member| best(|| black_box(problem(std::slice::from_ref(member)))))
        .collect();
    times.sort();
    say("one Operator, median", times[times.len() / 2], unit);
    say("one Operator, 99 %", times[times.len() * 99 / 100], unit);
    let joint = best(|| black_box(problem(&members)));
    say("328 Operators together", joint, unit);
    let solved = problem(&members);
    let answered = solved
        .answers
        .iter()
        .filter(|answer| answer.is_ok())
        .count();
    println!("  {answered} answered, {} groups", solved.groups.len());
    Ok(())
}

/// The shortest time of several.
fn best<T>(mut work: impl FnMut() -> T) -> Duration {
    let times = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        black_box(work());
        started.elapsed()
    });
    times.min().unwrap_or_default()
}

fn say(what: &str, time: Duration, unit: Duration) {
    let ratio = time.as_secs_f64() / unit.as_secs_f64();
    println!(
        "{what:36} {:>9.3} ms  {ratio:>8.3} x",
        time.as_secs_f64() * 1e3
    );
}

/// Sorting a million numbers.
fn fixed_work() -> u64 {
    let mut state = 88_172_645_463_325_252_u64;
    let mut numbers: Vec<u64> = (0..1_000_000)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        })
        .collect();
    numbers.sort_unstable();
    numbers[numbers.len() / 2]
}

fn package(at: usize) -> String {
    format!("package-{at:03}-operator")
}

fn member(package: &str) -> Member {
    Member::from(Request {
        operator: package.to_owned(),
        package: package.to_owned(),
        ..Request::default()
    })
}

fn documents(lines: &str) -> impl Iterator<Item = Result<olm_fbc::Item, olm_fbc::LineError>> {
    read_lines(lines.as_bytes(), Reading::default())
}

/// As the community catalog is: chains of `replaces`, a few APIs for each bundle, and requirements
/// in one package of fourteen.
fn lines() -> String {
    let mut lines = String::new();
    let mut push = |document: Value| {
        lines.push_str(&document.to_string());
        lines.push('\n');
    };
    for at in 0..PACKAGES {
        let package = package(at);
        let count = (BUNDLES * (at + 1) / PACKAGES) - (BUNDLES * at / PACKAGES);
        push(json!({"schema": "olm.package", "name": package, "defaultChannel": "stable"}));
        let mut entries = Vec::new();
        for version in 0..count {
            let name = format!("{package}.v1.{version}.0");
            let replaces = version
                .checked_sub(1)
                .map(|v| format!("{package}.v1.{v}.0"));
            entries.push(json!({"name": name, "replaces": replaces}));
            let mut properties = vec![json!({"type": "olm.package",
                "value": {"packageName": package, "version": format!("1.{version}.0")}})];
            for kind in 0..5 {
                properties.push(
                    json!({"type": "olm.gvk", "value": {"group": format!("{package}.io"),
                    "version": "v1alpha1", "kind": format!("Kind{kind}")}}),
                );
            }
            if at % 14 == 13 {
                let other = self::package(at - 1);
                properties.push(json!({"type": "olm.package.required", "value":
                    {"packageName": other, "versionRange": format!(">=1.{}.0", version / 2)}}));
            }
            if at % 40 == 39 {
                let other = self::package(at - 5);
                properties.push(json!({"type": "olm.gvk.required", "value":
                    {"group": format!("{other}.io"), "version": "v1alpha1", "kind": "Kind0"}}));
            }
            push(
                json!({"schema": "olm.bundle", "package": package, "name": name,
                "image": format!("quay.io/community/{package}@sha256:{version:064}"),
                "properties": properties}),
            );
        }
        push(
            json!({"schema": "olm.channel", "package": package, "name": "stable",
            "entries": entries}),
        );
    }
    lines
}
