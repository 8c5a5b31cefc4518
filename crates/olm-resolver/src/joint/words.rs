//! Names and requirements as they stand in sentences.

use crate::choose::Request;
use crate::constraint::Test;
use crate::model::{Bundle, Requirement};
use crate::refusal::list;

use super::closure::{Gap, Node};
use super::summary::Story;

impl<'a> Story<'a> {
    pub(super) fn node(&self, node: usize) -> &'a Node {
        &self.closure.nodes[node]
    }

    pub(crate) fn request(&self, operator: usize) -> &'a Request {
        &self.closure.problem.operators[operator].request
    }

    pub(crate) fn part(&self, part: usize) -> &'a str {
        &self.closure.parts[part].name
    }

    pub(crate) fn package(&self, node: usize) -> &'a str {
        &self.node(node).bundle.package
    }

    /// The version, with the catalog where several offer the package.
    pub(crate) fn label(&self, node: usize) -> String {
        let bundle = &self.node(node).bundle;
        let catalogs = self.closure.problem.catalogs.iter();
        let offering = catalogs.filter(|catalog| catalog.package(&bundle.package).is_some());
        if offering.count() > 1 {
            format!("{} ({})", bundle.label(), bundle.catalog)
        } else {
            bundle.label()
        }
    }

    /// Package and version.
    pub(crate) fn name(&self, node: usize) -> String {
        format!("{} {}", self.package(node), self.label(node))
    }

    pub(crate) fn unusable(&self, node: usize) -> String {
        let why = self.node(node).unusable.as_ref();
        why.map(ToString::to_string).unwrap_or_default()
    }

    pub(super) fn required(&self, node: usize, need: usize) -> Option<&'a Requirement> {
        let node = self.node(node);
        let at = node.needs.get(need)?.at;
        node.bundle.requires.as_ref().ok()?.get(at)
    }

    /// What a need asks for; with what there is where nobody meets it.
    pub(crate) fn requirement(&self, node: usize, need: usize, whole: bool) -> String {
        let Some(required) = self.required(node, need) else {
            return String::new();
        };
        let needs = &self.node(node).needs[need];
        let is_missing = whole && needs.candidates.is_empty();
        let nobody = match needs.gap {
            _ if !is_missing => String::new(),
            Gap::Nobody => ", which no catalog offers".to_owned(),
            Gap::Own => format!(", which only other versions of {} are", self.package(node)),
            Gap::NotAsked => ", which is not installed".to_owned(),
        };
        match required {
            Requirement::Package { name, range } if is_missing => {
                let available = match needs.gap {
                    Gap::Nobody => self.available(name),
                    _ => String::new(),
                };
                format!(
                    "package {name:?} in range {:?}{nobody}{available}",
                    range.as_str()
                )
            }
            Requirement::Package { name, range } => format!("{name} {}", range.as_str()),
            Requirement::Api(api) => {
                let nobody = match needs.gap {
                    _ if !is_missing => String::new(),
                    Gap::Nobody => " that no bundle provides".to_owned(),
                    Gap::Own => {
                        format!(
                            " that only other versions of {} provide",
                            self.package(node)
                        )
                    }
                    Gap::NotAsked => " that nothing installed provides".to_owned(),
                };
                format!("an API {api}{nobody}")
            }
            Requirement::Label(label) => format!("a bundle with label {label:?}{nobody}"),
            Requirement::Constraint(constraint) => {
                format!("one bundle with: {}{nobody}", constraint.test)
            }
        }
    }

    /// The versions of a package that there are, newest first.
    fn available(&self, package: &str) -> String {
        let mut told = self.available.borrow_mut();
        if let Some(text) = told.get(package) {
            return text.clone();
        }
        let catalogs = self.closure.problem.catalogs.iter();
        let mut bundles: Vec<&Bundle> = catalogs
            .filter_map(|catalog| catalog.package(package))
            .flat_map(|package| package.bundles.iter().map(AsRef::as_ref))
            .filter(|bundle| bundle.version.is_ok())
            .collect();
        bundles.sort_by_key(|bundle| std::cmp::Reverse(bundle.version.as_ref().ok()));
        let mut labels: Vec<String> = bundles.into_iter().map(Bundle::label).collect();
        labels.dedup();
        let text = if labels.is_empty() {
            String::new()
        } else {
            format!(" (available: {})", list(&labels))
        };
        told.insert(package.to_owned(), text.clone());
        text
    }

    /// What a bundle does not allow, in the words of what others are.
    pub(crate) fn forbidden(&self, node: usize, which: usize) -> String {
        let node = self.node(node);
        let Some((at, nodes)) = node.forbids.get(which) else {
            return String::new();
        };
        let required = node.bundle.requires.as_ref().ok();
        let Some(Requirement::Constraint(constraint)) = required.and_then(|all| all.get(*at))
        else {
            return String::new();
        };
        let mut leaves = Vec::new();
        constraint.test.leaves(&mut leaves);
        let mut texts: Vec<String> = leaves
            .into_iter()
            .filter(|leaf| {
                nodes
                    .iter()
                    .any(|node| leaf.holds(&self.node(*node).bundle))
            })
            .map(|leaf| match leaf {
                Test::Api(api) => api.to_string(),
                other => other.to_string(),
            })
            .collect();
        texts.dedup();
        and(&texts)
    }

    /// What an installed package may be: newest first, what is installed last.
    pub(crate) fn identifiers(&self, part: usize) -> Vec<String> {
        let part = &self.closure.parts[part];
        let mut nodes: Vec<&Node> = part
            .nodes
            .iter()
            .map(|node| self.node(*node))
            .filter(|node| node.is_open())
            .collect();
        nodes.sort_by_key(|node| {
            (
                node.installed,
                std::cmp::Reverse(node.bundle.version.as_ref().ok()),
            )
        });
        nodes
            .iter()
            .map(|node| {
                let bundle = &node.bundle;
                format!("{}-{}-{}", bundle.catalog, bundle.package, bundle.name)
            })
            .collect()
    }
}

/// `a, b and c`.
pub(super) fn and(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => name.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}
