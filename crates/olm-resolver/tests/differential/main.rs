//! Against another solver: whether there is a solution, and whether ours is one in its eyes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod oracle;

use std::ops::ControlFlow;
use std::path::Path;

use olm_fbc::{Limits, Reading, read_lines, walk};
use olm_resolver::{
    Catalog, DEFAULT_BUDGET, EdgeMode, Facts, Member, Problem, Request, Resolution,
};
use olm_semver::masterminds::Constraint;
use olm_tree::{MemoryTree, RelPath};
use serde_json::{Value, json};

use crate::oracle::{Oracle, Wish};

/// A stream of numbers that is the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

fn solve(catalog: &Catalog, asks: &[(String, Wish)]) -> Resolution {
    let operators: Vec<Member> = asks
        .iter()
        .map(|(package, wish)| {
            Member::from(Request {
                operator: package.clone(),
                package: package.clone(),
                version: match wish {
                    Wish::Range(range) => Some(range.clone()),
                    _ => None,
                },
                ..Request::default()
            })
        })
        .collect();
    Problem {
        catalogs: &[catalog],
        operators: &operators,
        adopted: &[],
        mode: EdgeMode::Catalog,
        facts: &Facts::default(),
        budget: DEFAULT_BUDGET,
    }
    .solve()
}

/// Asks both, and returns whether there is a solution.
fn compare(catalog: &Catalog, asks: &[(String, Wish)]) -> bool {
    let resolution = solve(catalog, asks);
    let ours = resolution.answers.iter().all(Result::is_ok);
    let theirs = Oracle::new(catalog).solves(catalog, asks);
    assert_eq!(ours, theirs, "{asks:?}: {:?}", resolution.answers);
    // What we select, each bundle by name, is a solution for the other solver, too.
    let selected = resolution.groups.iter().flatten();
    let selected: Vec<(String, Wish)> = selected
        .map(|one| {
            let wish = Wish::Bundle(one.bundle.name.clone());
            (one.bundle.package.clone(), wish)
        })
        .collect();
    assert!(
        Oracle::new(catalog).solves(catalog, &selected),
        "{asks:?}: {selected:?}"
    );
    ours
}

/// A catalog of packages with as many versions, of which some require others.
fn random(numbers: &mut Numbers, packages: usize, versions: usize, share: usize) -> Catalog {
    let mut lines: Vec<Value> = Vec::new();
    for at in 0..packages {
        let package = format!("p{at}");
        let has = numbers.chance(share);
        let mut entries = Vec::new();
        for version in 0..versions {
            let mut properties = vec![json!({"type": "olm.package",
                "value": {"packageName": package, "version": format!("1.{version}.0")}})];
            let mut push = |type_: &str, value: Value| {
                properties.push(json!({"type": type_, "value": value}));
            };
            while has && numbers.chance(60) {
                if numbers.chance(20) {
                    let kind = format!("K{}", numbers.below(packages / 4 + 1));
                    push(
                        "olm.gvk.required",
                        json!({"group": "g.io", "version": "v1", "kind": kind}),
                    );
                    continue;
                }
                // Now and then one that there is not.
                let other = numbers.below(packages + 1 + packages / 50);
                let low = numbers.below(version + 1);
                let high = low + numbers.below(versions);
                push(
                    "olm.package.required",
                    json!({"packageName": format!("p{other}"),
                        "versionRange": format!(">=1.{low}.0 <=1.{high}.0")}),
                );
            }
            if numbers.chance(15) {
                let kind = format!("K{}", numbers.below(packages / 4 + 1));
                push(
                    "olm.gvk",
                    json!({"group": "g.io", "version": "v1", "kind": kind}),
                );
            }
            let name = format!("{package}.v1.{version}.0");
            entries.push(json!({"name": name}));
            lines.push(
                json!({"schema": "olm.bundle", "package": package, "name": name,
                "image": "example.com/x:1", "properties": properties}),
            );
        }
        lines.push(
            json!({"schema": "olm.channel", "package": package, "name": "stable",
            "entries": entries}),
        );
    }
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    read(&lines.join("\n"))
}

fn read(lines: &str) -> Catalog {
    Catalog::read("c", 0, read_lines(lines.as_bytes(), Reading::default())).unwrap()
}

fn asks(
    numbers: &mut Numbers,
    catalog: &Catalog,
    count: usize,
    pinned: usize,
) -> Vec<(String, Wish)> {
    let packages: Vec<_> = catalog.packages().collect();
    let mut asks: Vec<(String, Wish)> = Vec::new();
    while asks.len() < count.min(packages.len()) {
        let package = packages[numbers.below(packages.len())];
        if asks.iter().any(|(name, _)| *name == package.name) {
            continue;
        }
        let bundle = &package.bundles[numbers.below(package.bundles.len())];
        let wish = match &bundle.version {
            Ok(version) if numbers.chance(pinned) => {
                let text = format!("<={version}");
                Wish::Range(Constraint::parse(&text).unwrap())
            }
            _ => Wish::Any,
        };
        asks.push((package.name.clone(), wish));
    }
    asks
}

#[test]
fn random_problems_are_solvable_where_another_solver_finds_a_solution() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut possible, mut impossible) = (0, 0);
    for _ in 0..400 {
        let packages = 3 + numbers.below(20);
        let versions = 1 + numbers.below(6);
        let catalog = random(&mut numbers, packages, versions, 60);
        for _ in 0..3 {
            let count = 1 + numbers.below(6);
            let asks = asks(&mut numbers, &catalog, count, 30);
            if compare(&catalog, &asks) {
                possible += 1;
            } else {
                impossible += 1;
            }
        }
    }
    assert!(
        possible > 100 && impossible > 100,
        "{possible} {impossible}"
    );
}

#[test]
fn large_random_problems_are_solvable_where_another_solver_finds_a_solution() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let catalog = random(&mut numbers, 500, 40, 20);
    let mut possible = 0;
    for count in [1, 5, 20, 60] {
        let asks = asks(&mut numbers, &catalog, count, 10);
        possible += usize::from(compare(&catalog, &asks));
    }
    assert!(possible > 0, "{possible}");
}

/// A real catalog, where there is real data.
fn real(name: &str) -> Option<Catalog> {
    let root = olm_testdata::find("").unwrap()?.join("catalogs").join(name);
    let mut tree = MemoryTree::new();
    add(&mut tree, &root, &root);
    let mut lines = String::new();
    walk(&tree, &RelPath::root(), &Limits::default(), &mut |meta| {
        lines.push_str(&meta.item.line);
        lines.push('\n');
        ControlFlow::Continue(())
    })
    .unwrap();
    Some(read(&lines))
}

fn add(tree: &mut MemoryTree, root: &Path, folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add(tree, root, &path);
        } else {
            let relative = path.strip_prefix(root).unwrap().to_str().unwrap();
            tree.insert(relative, std::fs::read(&path).unwrap())
                .unwrap();
        }
    }
}

#[rstest::rstest]
#[case("community-v4.20")]
#[case("community-v4.16-bundle-objects")]
fn real_catalogs_are_solvable_where_another_solver_finds_a_solution(#[case] name: &str) {
    let Some(catalog) = real(name) else {
        return;
    };
    let any = |name: &str| (name.to_owned(), Wish::Any);
    let alone: Vec<(String, Wish)> = catalog.packages().map(|p| any(&p.name)).collect();
    let mut together = alone.clone();
    together.retain(|ask| compare(&catalog, std::slice::from_ref(ask)));
    assert!(!together.is_empty());
    compare(&catalog, &together);
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..100 {
        let count = 1 + numbers.below(together.len());
        let asks = asks(&mut numbers, &catalog, count, 40);
        compare(&catalog, &asks);
    }
}
