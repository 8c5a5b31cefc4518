//! `olmctl operators`: how the Operators of a cluster hang together.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use olm_api::operator::Operator;
use serde::Serialize;

use crate::args::{Form, Operators};
use crate::failure::{Failure, Outcome};
use crate::output::{self, Row};

use super::{Cluster, condition, installed, is_dependency, resolved};

/// An Operator at its place in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    name: String,
    package: String,
    /// What runs; empty for nothing.
    version: String,
    ready: String,
    /// What it could or should become, and what keeps it.
    upgrade: String,
    /// How many Operators stand above it.
    depth: usize,
    /// Whether it was installed because others require it.
    dependency: bool,
    /// Whether what it requires stands at another place.
    #[serde(skip)]
    repeated: bool,
}

impl Row for Line {
    const COLUMNS: &'static [&'static str] = &["NAME", "PACKAGE", "VERSION", "READY", "UPGRADE"];

    fn cells(&self) -> Vec<String> {
        let branch = match self.depth {
            0 => String::new(),
            depth => format!("{}└─ ", "   ".repeat(depth - 1)),
        };
        let again = if self.repeated { " (see above)" } else { "" };
        vec![
            format!("{branch}{}{again}", self.name),
            self.package.clone(),
            self.version.clone(),
            self.ready.clone(),
            self.upgrade.clone(),
        ]
    }
}

/// Runs the command.
pub(crate) async fn run(args: Operators) -> Result<Outcome, Failure> {
    let operators = Cluster::open(&args.access).await?.operators().await?;
    let mut lines = tree(&operators);
    if args.output != Form::Table {
        // Scripts want each once.
        lines.retain(|line| !line.repeated);
    }
    output::rows(&lines, args.output, &mut output::stdout())?;
    Ok(Outcome::Fine)
}

/// Those that people made, each with what it requires below it; then what nobody requires any more.
fn tree(operators: &[Operator]) -> Vec<Line> {
    let mut tree = Tree {
        operators,
        shown: BTreeSet::new(),
        lines: Vec::new(),
    };
    let is_root = |operator: &&Operator| !is_dependency(operator);
    for operator in operators.iter().filter(is_root) {
        tree.add(operator);
    }
    for operator in operators {
        if !tree.shown.contains(&operator.name_any()) {
            tree.add(operator);
        }
    }
    tree.lines
}

struct Tree<'a> {
    operators: &'a [Operator],
    shown: BTreeSet<String>,
    lines: Vec<Line>,
}

impl<'a> Tree<'a> {
    /// Adds an Operator with all that stands below it, each with its own below it only once: so it
    /// ends, and is no longer than what there is.
    fn add(&mut self, root: &'a Operator) {
        let mut pending: Vec<(&'a Operator, usize)> = vec![(root, 0)];
        while let Some((operator, depth)) = pending.pop() {
            let is_first = self.shown.insert(operator.name_any());
            let below = self.below(operator);
            self.lines
                .push(line(operator, depth, !is_first && !below.is_empty()));
            if is_first {
                pending.extend(below.into_iter().rev().map(|below| (below, depth + 1)));
            }
        }
    }

    fn below(&self, operator: &Operator) -> Vec<&'a Operator> {
        let required = operator
            .status
            .iter()
            .flat_map(|status| &status.dependencies);
        required
            .filter_map(|required| {
                let mut operators = self.operators.iter();
                operators.find(|operator| operator.name_any() == required.operator)
            })
            .collect()
    }
}

fn line(operator: &Operator, depth: usize, repeated: bool) -> Line {
    let version = installed(operator).map(|bundle| bundle.version.clone());
    let ready = condition(operator, "Ready").map(|ready| ready.status.clone());
    Line {
        name: operator.name_any(),
        package: operator.spec.package_name.clone(),
        version: version.unwrap_or_default(),
        ready: ready.unwrap_or_else(|| "Unknown".to_owned()),
        upgrade: upgrade(operator).unwrap_or_default(),
        depth,
        dependency: is_dependency(operator),
        repeated,
    }
}

/// What is to be said of upgrades, the most pressing first.
fn upgrade(operator: &Operator) -> Option<String> {
    let status = operator.status.as_ref()?;
    if let Some(pending) = &status.pending_upgrade {
        return Some(format!("{} waits for approval", pending.version));
    }
    if let Some(failed) = &status.failed_upgrade {
        return Some(format!("{} failed", failed.bundle.version));
    }
    let (runs, chosen) = (installed(operator), resolved(operator)?);
    if operator.spec.suspend {
        return Some("suspended".to_owned());
    }
    let is_other = |runs: &olm_api::operator::BundleIdentity| {
        (&runs.name, &runs.version) != (&chosen.name, &chosen.version)
    };
    match runs {
        Some(runs) if !is_other(runs) => None,
        _ => Some(format!("{} under way", chosen.version)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use olm_api::operator::Operator;
    use serde_json::{Value, json};

    use super::{Line, Row as _, tree};

    /// An Operator of a package that has its name, with what it requires.
    pub(crate) fn operator(name: &str, is_dependency: bool, requires: &[&str]) -> Operator {
        let requires: Vec<Value> = requires
            .iter()
            .map(|name| {
                json!({"package": name, "operator": name, "version": "1.0.0", "ready": true,
                    "requirements": [format!("{name} >=1.0.0")]})
            })
            .collect();
        let bundle = json!({"name": format!("{name}.v1.0.0"), "version": "1.0.0", "package": name,
            "image": "example.com/x:1"});
        let labels = if is_dependency {
            json!({"operators.operatorframework.io/dependency": "true"})
        } else {
            json!({})
        };
        serde_json::from_value(json!({
            "apiVersion": "operators.operatorframework.io/v1alpha1", "kind": "Operator",
            "metadata": {"name": name, "labels": labels},
            "spec": {"packageName": name},
            "status": {"installed": bundle, "resolved": bundle, "dependencies": requires,
                "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "",
                    "lastTransitionTime": "2024-01-01T00:00:00Z"}]},
        }))
        .unwrap()
    }

    fn names(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|line| line.cells().remove(0)).collect()
    }

    #[test]
    fn what_is_required_stands_below_and_only_once_with_its_own() {
        let operators = [
            operator("a", false, &["c", "d"]),
            operator("b", false, &["c"]),
            operator("c", true, &["d"]),
            operator("d", true, &[]),
            operator("left", true, &[]),
        ];
        assert_eq!(
            names(&tree(&operators)),
            [
                "a",
                "└─ c",
                "   └─ d",
                "└─ d",
                "b",
                "└─ c (see above)",
                "left"
            ]
        );
    }

    #[test]
    fn circles_end() {
        let operators = [operator("a", false, &["b"]), operator("b", true, &["a"])];
        assert_eq!(
            names(&tree(&operators)),
            ["a", "└─ b", "   └─ a (see above)"]
        );
    }

    #[test]
    fn an_upgrade_is_told_with_what_keeps_it() {
        let mut operator = operator("a", false, &[]);
        let told = |operator: &Operator| tree(std::slice::from_ref(operator))[0].upgrade.clone();
        assert_eq!(told(&operator), "");
        let status = operator.status.as_mut().unwrap();
        let mut newer = status.installed.clone().unwrap();
        newer.version = "1.1.0".to_owned();
        status.resolved = Some(newer.clone());
        assert_eq!(told(&operator), "1.1.0 under way");
        operator.status.as_mut().unwrap().pending_upgrade = Some(newer);
        assert_eq!(told(&operator), "1.1.0 waits for approval");
    }
}
