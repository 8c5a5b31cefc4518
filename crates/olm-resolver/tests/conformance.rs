//! The answers of the reference resolver over a real catalog.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

use std::ops::ControlFlow;
use std::path::Path;

use olm_fbc::{Limits, Reading, read_lines, walk};
use olm_resolver::{
    Catalog, DEFAULT_BUDGET, Dependencies, EdgeMode, Facts, Installed, Member, Policy, Problem,
    Refusal, Request, choose,
};
use olm_semver::Version;
use olm_semver::masterminds::Constraint;
use olm_tree::{MemoryTree, RelPath};
use serde_json::Value;

fn tree(root: &Path) -> MemoryTree {
    let mut tree = MemoryTree::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let relative = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                tree.insert(&relative, std::fs::read(&path).unwrap())
                    .unwrap();
            }
        }
    }
    tree
}

fn load(tree: &MemoryTree) -> Catalog {
    let mut lines = String::new();
    walk(tree, &RelPath::root(), &Limits::default(), &mut |meta| {
        lines.push_str(&meta.item.line);
        lines.push('\n');
        ControlFlow::Continue(())
    })
    .unwrap();
    Catalog::read(
        "community",
        0,
        read_lines(lines.as_bytes(), Reading::default()),
    )
    .unwrap()
}

fn request(row: &Value) -> Request {
    let text = |field: &str| row[field].as_str().map(str::to_owned);
    Request {
        operator: "conformance".to_owned(),
        package: text("package").unwrap(),
        channel: text("channel"),
        version: text("version").map(|range| Constraint::parse(&range).unwrap()),
        policy: if row["ignore"] == true {
            Policy::Ignore
        } else {
            Policy::Enforce
        },
        installed: row.get("installed").map(|installed| Installed {
            package: text("package").unwrap(),
            name: installed["name"].as_str().unwrap().to_owned(),
            version: Version::parse_strict(installed["version"].as_str().unwrap()).unwrap(),
            release: String::new(),
            image: None,
        }),
    }
}

/// Where the answer may differ: package, channel, range, installed bundle, our answer (`None` for a
/// refusal) and the rule of the specification that asks for it.
type Difference = (
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
    &'static str,
);
const DIFFERENCES: &[Difference] = &[];

#[test]
fn every_request_gets_the_answer_of_the_reference() {
    compare(&|catalog, request| {
        let chosen = choose(&[catalog], request, EdgeMode::Catalog, &Facts::default());
        chosen.map(|choice| choice.bundle.name.clone())
    });
}

#[test]
fn every_request_gets_the_same_answer_through_the_whole_solver() {
    compare(&|catalog, request| {
        let member = Member {
            dependencies: Dependencies::Ignore,
            ..Member::from(request.clone())
        };
        let problem = Problem {
            catalogs: &[catalog],
            operators: &[member],
            adopted: &[],
            mode: EdgeMode::Catalog,
            facts: &Facts::default(),
            budget: DEFAULT_BUDGET,
        };
        let answer = problem.solve().answers.remove(0);
        answer.map(|answer| answer.bundle.name.clone())
    });
}

fn compare(ask: &dyn Fn(&Catalog, &Request) -> Result<String, Refusal>) {
    let Some(data) = olm_testdata::find("").unwrap() else {
        return;
    };
    let tree = tree(&data.join("catalogs/community-v4.20"));
    let catalog = load(&tree);
    assert_eq!(
        catalog
            .packages()
            .map(|package| package.bundles.len())
            .sum::<usize>(),
        803
    );
    let rows = std::fs::read_to_string(data.join("resolve/community-v4.20.jsonl")).unwrap();
    let mut count = 0;
    let mut differences = Vec::new();
    let mut unexpected = Vec::new();
    for line in rows.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let request = request(&row);
        let chosen = ask(&catalog, &request);
        let answer = chosen.as_ref().ok().map(String::as_str);
        count += 1;
        if answer == row["bundle"].as_str() {
            continue;
        }
        let installed = request
            .installed
            .as_ref()
            .map(|installed| installed.name.as_str());
        let allowed = DIFFERENCES
            .iter()
            .find(|(package, channel, range, from, ours, _)| {
                *package == request.package
                    && *channel == request.channel.as_deref()
                    && *range == request.version.as_ref().map(Constraint::as_str)
                    && *from == installed
                    && *ours == answer
            });
        match allowed {
            Some(difference) => differences.push(difference),
            None => unexpected.push(format!("{line}\n  got {chosen:?}")),
        }
    }
    assert_eq!(count, 2702);
    assert!(
        unexpected.is_empty(),
        "{} unexpected answers\n{}",
        unexpected.len(),
        unexpected[..unexpected.len().min(12)].join("\n")
    );
    assert_eq!(
        differences.len(),
        DIFFERENCES.len(),
        "a listed difference is none any more"
    );
}
