//! What meets a requirement, in order of preference.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use olm_semver::Version;

use crate::candidates::{Deprecation, deprecation};
use crate::constraint::Test;
use crate::model::{Bundle, Catalog, Requirement};

use super::addresses::address;
use super::closure::{Closure, Gap, Need};
use super::effort::{Effort, TooDear};
use super::problem::Dependencies;

/// Bundles of catalogs.
pub(super) type Offered<'a> = Rc<[&'a Arc<Bundle>]>;

impl<'a> Closure<'a> {
    /// A requirement of a bundle, unless the bundle itself or the cluster meets it.
    pub(super) fn need(
        &mut self,
        at: usize,
        requirement: &Requirement,
        bundle: &Bundle,
        own: usize,
        dependencies: Dependencies,
    ) -> Result<Option<Need>, TooDear> {
        match requirement {
            Requirement::Api(api) if self.problem.facts.apis.contains(api) => return Ok(None),
            Requirement::Constraint(constraint) if constraint.is_prohibition() => return Ok(None),
            _ => {}
        }
        let mut steps = 0;
        let is_met = requirement.is_met_at(bundle, &mut steps);
        self.effort.spend(own, steps)?;
        if is_met {
            return Ok(None);
        }
        let mut candidates = Vec::new();
        for found in self.matching(requirement, own)?.iter() {
            let node = self.node(found);
            // What runs is judged by what it declared.
            if !self.nodes[node].installed {
                candidates.push(node);
            }
        }
        self.effort.remember(own, candidates.len())?;
        self.add_running(requirement, own, &mut candidates)?;
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
        // They come in order, but for what depends on who asks.
        candidates.sort_by_key(|node| {
            let node = &self.nodes[*node];
            (!node.installed, node.bundle.catalog != bundle.catalog)
        });
        Ok(Some(Need {
            at,
            candidates,
            gap,
        }))
    }

    /// What runs and meets a requirement, in order, after what was found before.
    fn add_running(
        &mut self,
        requirement: &Requirement,
        own: usize,
        candidates: &mut Vec<usize>,
    ) -> Result<(), TooDear> {
        let running: Vec<usize> = match requirement {
            Requirement::Package { name, .. } => {
                let part = self.numbers.get(name.as_str());
                part.and_then(|part| self.parts[*part].installed)
                    .into_iter()
                    .collect()
            }
            _ => self.running.clone(),
        };
        let mut found: Vec<(Rank<'_>, usize)> = Vec::new();
        for node in running {
            let mut steps = 0;
            let bundle = &self.nodes[node].bundle;
            if requirement.is_met_at(bundle, &mut steps) {
                found.push((rank(self.problem.catalogs, bundle), node));
            }
            self.effort.spend(own, steps)?;
        }
        found.sort();
        candidates.extend(found.into_iter().map(|(_, node)| node));
        Ok(())
    }

    /// All bundles of the catalogs that meet a requirement, in order.
    fn matching(&mut self, requirement: &Requirement, own: usize) -> Result<Offered<'a>, TooDear> {
        let catalogs = self.problem.catalogs;
        Ok(match requirement {
            Requirement::Package { name, range } => {
                let bundles = self.shelf(name);
                self.effort.spend(own, bundles.len() as u64)?;
                let bundles = bundles.iter().copied();
                bundles.filter(|bundle| bundle.is_in(name, range)).collect()
            }
            Requirement::Api(api) => {
                let providers = catalogs.iter().map(|catalog| catalog.index.providers(api));
                ranked(
                    catalogs,
                    providers.flatten().collect(),
                    own,
                    &mut self.effort,
                )?
            }
            Requirement::Label(label) => {
                let carriers = catalogs.iter().map(|catalog| catalog.index.carriers(label));
                ranked(
                    catalogs,
                    carriers.flatten().collect(),
                    own,
                    &mut self.effort,
                )?
            }
            Requirement::Constraint(constraint) => {
                // Versions of a package mostly have the same.
                let key = (own, constraint.test.to_string());
                if let Some(found) = self.tested.get(&key) {
                    return Ok(Rc::clone(found));
                }
                let mut seen = HashSet::new();
                let mut found = Vec::new();
                let bundles = within(&constraint.test, catalogs);
                let bundles = bundles.unwrap_or_else(|| every(catalogs));
                for bundle in bundles {
                    let mut steps = 0;
                    if seen.insert(address(bundle)) && constraint.test.holds_at(bundle, &mut steps)
                    {
                        found.push(bundle);
                    }
                    self.effort.spend(own, steps)?;
                }
                let found = ranked(catalogs, found, own, &mut self.effort)?;
                self.tested.insert(key, Rc::clone(&found));
                found
            }
        })
    }

    /// All bundles of a package, in order.
    fn shelf(&mut self, package: &str) -> Offered<'a> {
        if let Some(shelf) = self.shelves.get(package) {
            return Rc::clone(shelf);
        }
        let catalogs = self.problem.catalogs;
        let bundles = sorted(catalogs, of_package(catalogs, package).collect());
        self.shelves.insert(package.to_owned(), Rc::clone(&bundles));
        bundles
    }
}

/// What decides between candidates of a requirement, whoever asks: lower is better.
type Rank<'b> = (
    (Reverse<i32>, &'b str),
    (Deprecation, bool, &'b str, bool),
    Reverse<Option<&'b Version>>,
    Reverse<Release<'b>>,
    &'b str,
);

fn rank<'b>(catalogs: &[&Catalog], bundle: &'b Bundle) -> Rank<'b> {
    let mut catalogs = catalogs.iter();
    let own = catalogs.find(|catalog| catalog.name == bundle.catalog);
    let deprecation = own
        .and_then(|catalog| catalog.package(&bundle.package))
        .map_or(Deprecation::None, |package| {
            deprecation(package, bundle, None)
        });
    (
        (
            Reverse(own.map_or(0, |catalog| catalog.priority)),
            &bundle.catalog,
        ),
        (
            deprecation,
            bundle.skipped,
            &bundle.package,
            !bundle.in_default_channel,
        ),
        Reverse(bundle.version.as_ref().ok()),
        Reverse(Release(&bundle.release)),
        &bundle.name,
    )
}

fn ranked<'a>(
    catalogs: &[&Catalog],
    found: Vec<&'a Arc<Bundle>>,
    own: usize,
    effort: &mut Effort,
) -> Result<Offered<'a>, TooDear> {
    effort.spend(own, found.len() as u64)?;
    Ok(sorted(catalogs, found))
}

fn sorted<'a>(catalogs: &[&Catalog], found: Vec<&'a Arc<Bundle>>) -> Offered<'a> {
    let mut ranked: Vec<(Rank<'a>, &'a Arc<Bundle>)> = found
        .into_iter()
        .map(|bundle| (rank(catalogs, bundle), bundle))
        .collect();
    ranked.sort_by(|(one, _), (other, _)| one.cmp(other));
    // A bundle may say twice that it provides something.
    ranked.dedup_by_key(|(_, bundle)| address(bundle));
    ranked.into_iter().map(|(_, bundle)| bundle).collect()
}

fn of_package<'a>(
    catalogs: &'a [&'a Catalog],
    name: &str,
) -> impl Iterator<Item = &'a Arc<Bundle>> + use<'a> {
    let packages: Vec<_> = catalogs
        .iter()
        .filter_map(|catalog| catalog.package(name))
        .collect();
    packages.into_iter().flat_map(|package| &package.bundles)
}

fn every<'a>(catalogs: &'a [&'a Catalog]) -> Vec<&'a Arc<Bundle>> {
    let packages = catalogs.iter().flat_map(|catalog| catalog.packages());
    packages.flat_map(|package| &package.bundles).collect()
}

/// Bundles among which all that pass a test are; `None` where that may be any.
fn within<'a>(test: &Test, catalogs: &'a [&'a Catalog]) -> Option<Vec<&'a Arc<Bundle>>> {
    match test {
        Test::Api(api) => {
            let providers = catalogs.iter().map(|catalog| catalog.index.providers(api));
            Some(providers.flatten().collect())
        }
        Test::Package { name, .. } => Some(of_package(catalogs, name).collect()),
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
#[derive(Debug, PartialEq, Eq)]
struct Release<'b>(&'b str);

impl Ord for Release<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        olm_semver::compare_releases(self.0, other.0)
    }
}

impl PartialOrd for Release<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
