//! What resolution costs, on made-up catalogs, as times and as multiples of a fixed piece of work that
//! alternates with what is measured. Build it for release: `make bench` does.
//!
//! `measure PART` measures only `community`, `dense` or `worst`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it reads what the system says of it, and prints what it measured"
)]

mod catalogs;

use std::hint::black_box;
use std::time::{Duration, Instant};

use olm_fbc::{Reading, read_lines};
use olm_resolver::{
    Catalog, DEFAULT_BUDGET, EdgeMode, Facts, Member, Problem, Request, Resolution,
};

/// Repetitions of what is measured, but for what takes long.
const ROUNDS: usize = 20;

/// Time that one measurement may take.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let only = std::env::args().nth(1);
    println!("\nresolution (ratio: to sorting a million numbers):");
    for (name, part) in [
        ("community", community as fn() -> Measured),
        ("dense", dense),
        ("worst", worst),
    ] {
        if only.as_ref().is_none_or(|only| only == name) {
            part()?;
        }
    }
    Ok(())
}

type Measured = Result<(), Box<dyn std::error::Error>>;

/// A catalog of the size of a community catalog.
fn community() -> Measured {
    let before = own_memory();
    let catalog = read(catalogs::community())?;
    println!(
        "  memory of a catalog of 6,000 bundles: {:.1} MiB (goal 12)",
        own_memory() - before
    );
    let lines: String = catalogs::community().collect();
    say("read 6,000 bundles into the model", 150.0, || {
        Catalog::read("c", 0, read_lines(lines.as_bytes(), Reading::default())).is_ok()
    });
    let members: Vec<Member> = catalogs::community_packages()
        .map(|name| member(&name))
        .collect();
    let mut times: Vec<(Duration, &Member)> = members
        .iter()
        .map(|member| {
            let time = (0..5).map(|_| timed(|| solve(&catalog, std::slice::from_ref(member))));
            (time.min().unwrap_or_default(), member)
        })
        .collect();
    times.sort_by_key(|(time, _)| *time);
    for (place, name, goal) in [(50, "median", 0.2), (99, "99 %", 2.0)] {
        let (_, member) = times[times.len() * place / 100];
        say(&format!("one Operator, {name}"), goal, || {
            solve(&catalog, std::slice::from_ref(member))
        });
    }
    say("50 Operators together", 20.0, || {
        solve(&catalog, &members[..50])
    });
    say("328 Operators together", 5.0, || solve(&catalog, &members));
    let solved = solve(&catalog, &members);
    let answered = solved.answers.iter().filter(|answer| answer.is_ok());
    println!(
        "    {} answered in {} groups",
        answered.count(),
        solved.groups.len()
    );
    Ok(())
}

/// Catalogs in which much depends on much.
fn dense() -> Measured {
    for (name, share, each, few, many) in [
        ("every fifth package has requirements", 20, 2, 50.0, 1_000.0),
        ("30,000 requirements", 75, 2, 300.0, 3_000.0),
    ] {
        let catalog = read(catalogs::dense(share, each))?;
        let members: Vec<Member> = catalogs::dense_packages()
            .map(|name| member(&name))
            .collect();
        for (count, goal) in [(60, few), (500, many)] {
            let members = &members[..count];
            say(&format!("500 x 40, {name}: {count}"), goal, || {
                solve(&catalog, members)
            });
        }
        let mut clash = members[..60].to_vec();
        clash.push(member("clash"));
        say(
            &format!("500 x 40, {name}: 60 and a clash"),
            2_000.0,
            || solve(&catalog, &clash),
        );
    }
    Ok(())
}

/// Catalogs that mean harm: there is an answer in a bounded time.
fn worst() -> Measured {
    for (name, lines, asks) in catalogs::worst() {
        let catalog = read(lines.into_iter())?;
        let members: Vec<Member> = asks.iter().map(|name| member(name)).collect();
        say(&format!("worst: {name}"), 10_000.0, || {
            solve(&catalog, &members)
        });
        if let Some(Err(refusal)) = solve(&catalog, &members).answers.first() {
            let text: String = refusal.to_string().chars().take(100).collect();
            println!("    refused: {text}");
        }
    }
    Ok(())
}

fn read(lines: impl Iterator<Item = String>) -> Result<Catalog, olm_fbc::LineError> {
    let items = lines.flat_map(|line| {
        let items: Vec<_> = read_lines(line.as_bytes(), Reading::default()).collect();
        items
    });
    Catalog::read("community", 0, items)
}

fn member(package: &str) -> Member {
    Member::from(Request {
        operator: package.to_owned(),
        package: package.to_owned(),
        ..Request::default()
    })
}

fn solve(catalog: &Catalog, operators: &[Member]) -> Resolution {
    Problem {
        catalogs: &[catalog],
        operators,
        adopted: &[],
        mode: EdgeMode::Catalog,
        facts: &Facts::default(),
        budget: DEFAULT_BUDGET,
    }
    .solve()
}

/// Measures: the shortest time of several rounds, each beside the fixed piece of work.
fn say<T>(what: &str, goal: f64, mut work: impl FnMut() -> T) {
    let started = Instant::now();
    let (mut unit, mut least) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        unit = unit.min(timed(fixed_work));
        least = least.min(timed(&mut work));
        if started.elapsed() > PATIENCE {
            break;
        }
    }
    println!(
        "  {what:58} {:>9.3} ms (goal {goal}), ratio {:.4}",
        least.as_secs_f64() * 1e3,
        least.as_secs_f64() / unit.as_secs_f64(),
    );
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    black_box(work());
    started.elapsed()
}

/// Sorting a million numbers.
fn fixed_work() -> u64 {
    let mut numbers = catalogs::Numbers(88_172_645_463_325_252);
    let mut numbers: Vec<u64> = (0..1_000_000).map(|_| numbers.next()).collect();
    numbers.sort_unstable();
    numbers[numbers.len() / 2]
}

/// Resident memory that is no file, in MiB.
fn own_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let found = lines.find_map(|line| line.strip_prefix("RssAnon:")?.split_whitespace().next());
    let kibibytes: u32 = found.and_then(|number| number.parse().ok()).unwrap_or(0);
    f64::from(kibibytes) / 1024.0
}
