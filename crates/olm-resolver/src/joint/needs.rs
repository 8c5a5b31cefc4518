//! What meets a requirement, in order of preference.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use crate::candidates::{Deprecation, deprecation};
use crate::constraint::Test;
use crate::model::{Bundle, Catalog, Requirement};

use super::closure::{Closure, Gap, Need, address};
use super::problem::Dependencies;

impl Closure<'_> {
    /// A requirement of a bundle, unless the bundle itself or the cluster meets it.
    pub(super) fn need(
        &mut self,
        at: usize,
        requirement: &Requirement,
        bundle: &Bundle,
        own: usize,
        dependencies: Dependencies,
    ) -> Option<Need> {
        match requirement {
            Requirement::Api(api) if self.problem.facts.apis.contains(api) => return None,
            Requirement::Constraint(constraint) if constraint.is_prohibition() => return None,
            _ if requirement.is_met_by(bundle) => return None,
            _ => {}
        }
        let mut candidates = Vec::new();
        for found in self.matching(requirement) {
            let node = self.node(&found);
            // What runs is judged by what it declared.
            if !self.nodes[node].installed {
                candidates.push(node);
            }
        }
        let running = self.parts.iter().filter_map(|part| part.installed);
        candidates.extend(running.filter(|node| requirement.is_met_by(&self.nodes[*node].bundle)));
        let mut gap = Gap::Nobody;
        let found = candidates.len();
        candidates.retain(|node| self.nodes[*node].package != own);
        if candidates.len() < found {
            gap = Gap::Own;
        }
        if dependencies == Dependencies::Require {
            let found = candidates.len();
            candidates.retain(|node| {
                let part = &self.parts[self.nodes[*node].package];
                part.operator.is_some() || part.installed.is_some()
            });
            if candidates.len() < found {
                gap = Gap::NotAsked;
            }
        }
        candidates.sort_by_cached_key(|node| {
            let node = &self.nodes[*node];
            (!node.installed, self.rank(&node.bundle, &bundle.catalog))
        });
        Some(Need {
            at,
            candidates,
            gap,
        })
    }

    /// What decides between candidates of a requirement: lower is better.
    fn rank(&self, bundle: &Bundle, catalog: &str) -> impl Ord + use<> {
        let own = self.catalogs.get(bundle.catalog.as_str());
        let deprecation = own
            .and_then(|catalog| Some((catalog, catalog.package(&bundle.package)?)))
            .map_or(Deprecation::None, |(_, package)| {
                deprecation(package, bundle, None)
            });
        (
            (
                bundle.catalog != catalog,
                Reverse(own.map_or(0, |catalog| catalog.priority)),
                bundle.catalog.clone(),
            ),
            (deprecation, bundle.skipped, bundle.package.clone()),
            !bundle.in_default_channel,
            Reverse(bundle.version.as_ref().ok().cloned()),
            Reverse(Release(bundle.release.clone())),
            bundle.name.clone(),
        )
    }

    /// All bundles of the catalogs that meet a requirement.
    fn matching(&self, requirement: &Requirement) -> Vec<Arc<Bundle>> {
        let catalogs = self.problem.catalogs;
        match requirement {
            Requirement::Package { name, range } => of_package(catalogs, name)
                .filter(|bundle| bundle.is_in(name, range))
                .cloned()
                .collect(),
            Requirement::Api(api) => catalogs
                .iter()
                .flat_map(|catalog| catalog.index.providers(api))
                .cloned()
                .collect(),
            Requirement::Label(label) => catalogs
                .iter()
                .flat_map(|catalog| catalog.index.carriers(label))
                .cloned()
                .collect(),
            Requirement::Constraint(constraint) => {
                let mut found = within(&constraint.test, catalogs).unwrap_or_else(|| {
                    let packages = catalogs.iter().flat_map(|catalog| catalog.packages());
                    packages
                        .flat_map(|package| &package.bundles)
                        .cloned()
                        .collect()
                });
                let mut seen = HashSet::new();
                found
                    .retain(|bundle| seen.insert(address(bundle)) && constraint.test.holds(bundle));
                found
            }
        }
    }
}

fn of_package<'a>(
    catalogs: &'a [&Catalog],
    name: &'a str,
) -> impl Iterator<Item = &'a Arc<Bundle>> + 'a {
    let packages = catalogs
        .iter()
        .filter_map(move |catalog| catalog.package(name));
    packages.flat_map(|package| &package.bundles)
}

/// Bundles among which all that pass a test are; `None` where that may be any.
fn within(test: &Test, catalogs: &[&Catalog]) -> Option<Vec<Arc<Bundle>>> {
    match test {
        Test::Api(api) => Some(
            catalogs
                .iter()
                .flat_map(|catalog| catalog.index.providers(api))
                .cloned()
                .collect(),
        ),
        Test::Package { name, .. } => Some(of_package(catalogs, name).cloned().collect()),
        Test::All(tests) => tests
            .iter()
            .filter_map(|test| within(test, catalogs))
            .min_by_key(Vec::len),
        Test::Any(tests) => {
            let all: Option<Vec<_>> = tests.iter().map(|test| within(test, catalogs)).collect();
            all.map(|lists| lists.into_iter().flatten().collect())
        }
        Test::Not(_) | Test::Rule(_) => None,
    }
}

/// A release in its order.
#[derive(PartialEq, Eq)]
struct Release(String);

impl Ord for Release {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        olm_semver::compare_releases(&self.0, &other.0)
    }
}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
