//! The same problem in the terms of another solver: it says whether there is a solution.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use olm_resolver::{Api, Bundle, Catalog, Requirement};
use olm_semver::masterminds::{Constraint, PrereleaseMode};
use resolvo::utils::{Pool, VersionSet};
use resolvo::{
    Candidates, Condition, ConditionId, Dependencies, DependencyProvider, Interner,
    KnownDependencies, NameId, SolvableId, Solver, SolverCache, StringId, UnsolvableOrCancelled,
    VersionSetId, VersionSetUnionId,
};

/// Some of the bundles of a package, by their places.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Places(BTreeSet<usize>);

impl VersionSet for Places {
    type V = usize;
}

/// What one bundle needs: each the bundles that will do, by package.
type Needs = Vec<BTreeMap<String, BTreeSet<usize>>>;

/// A catalog for the other solver. One provider for an API is one version of a package of its own,
/// which every bundle that provides it needs.
pub(crate) struct Oracle {
    pool: Pool<Places>,
    /// The solvables of each name, best first.
    candidates: BTreeMap<NameId, Vec<SolvableId>>,
    /// What each needs; nothing where it cannot be used.
    needs: BTreeMap<SolvableId, Option<Needs>>,
}

impl Oracle {
    pub(crate) fn new(catalog: &Catalog) -> Self {
        let mut oracle = Self {
            pool: Pool::default(),
            candidates: BTreeMap::new(),
            needs: BTreeMap::new(),
        };
        let mut providers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for package in catalog.packages() {
            for api in package.bundles.iter().flat_map(|b| b.provides.iter()) {
                let of_api = providers.entry(key(api)).or_default();
                if of_api.last() != Some(&package.name) {
                    of_api.push(package.name.clone());
                }
            }
        }
        for (api, packages) in &providers {
            for place in 0..packages.len() {
                let id = oracle.add(api, place);
                oracle.needs.insert(id, Some(Vec::new()));
            }
        }
        for package in catalog.packages() {
            for (place, bundle) in package.bundles.iter().enumerate() {
                let id = oracle.add(&package.name, place);
                let mut needs = needs(catalog, bundle);
                for api in bundle.provides.iter() {
                    let of_api = &providers[&key(api)];
                    let place = of_api.iter().position(|name| *name == package.name);
                    let place = BTreeSet::from([place.unwrap()]);
                    if let (Some(needs), true) = (&mut needs, of_api.len() > 1) {
                        needs.push(BTreeMap::from([(key(api), place)]));
                    }
                }
                oracle.needs.insert(id, needs);
            }
        }
        // The last is the newest.
        oracle.candidates.values_mut().for_each(|all| all.reverse());
        oracle
    }

    fn add(&mut self, name: &str, place: usize) -> SolvableId {
        let name = self.pool.intern_package_name(name);
        let id = self.pool.intern_solvable(name, place);
        self.candidates.entry(name).or_default().push(id);
        id
    }

    fn set(&self, package: &str, places: &BTreeSet<usize>) -> VersionSetId {
        let name = self.pool.intern_package_name(package);
        self.pool.intern_version_set(name, Places(places.clone()))
    }

    /// Whether packages can be installed together, each in a range or as one bundle.
    pub(crate) fn solves(self, catalog: &Catalog, asks: &[(String, Wish)]) -> bool {
        let mut requirements = Vec::new();
        for (package, wish) in asks {
            let bundles = catalog.package(package).map(|package| &package.bundles);
            let places = bundles.into_iter().flatten().enumerate();
            let places = places.filter(|(_, bundle)| wish.holds(bundle));
            let places: BTreeSet<usize> = places.map(|(place, _)| place).collect();
            if places.is_empty() {
                return false;
            }
            requirements.push(self.set(package, &places).into());
        }
        let mut solver = Solver::new(self);
        let problem = resolvo::Problem::new().requirements(requirements);
        match solver.solve(problem) {
            Ok(_) => true,
            Err(UnsolvableOrCancelled::Unsolvable(_)) => false,
            Err(UnsolvableOrCancelled::Cancelled(_)) => unreachable!("nobody cancels"),
        }
    }
}

/// What is asked for of a package.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    Any,
    Range(Constraint),
    Bundle(String),
}

impl Wish {
    fn holds(&self, bundle: &Bundle) -> bool {
        match self {
            Self::Any => true,
            Self::Range(range) => bundle
                .version
                .as_ref()
                .is_ok_and(|version| range.matches(version, PrereleaseMode::default())),
            Self::Bundle(name) => bundle.name == *name,
        }
    }
}

fn key(api: &Api) -> String {
    format!("{}/{}", api.group, api.kind)
}

/// What a bundle needs of others; nothing at all where it cannot be used.
fn needs(catalog: &Catalog, bundle: &Bundle) -> Option<Needs> {
    if bundle.version.is_err() || bundle.withdrawn {
        return None;
    }
    let mut needs = Vec::new();
    for requirement in bundle.requires.as_ref().ok()? {
        assert!(
            !matches!(requirement, Requirement::Constraint(c) if c.is_prohibition()),
            "the other solver has no word for that"
        );
        if requirement.is_met_by(bundle) {
            continue;
        }
        let mut found: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        let named = match requirement {
            Requirement::Package { name, .. } => Some(name),
            _ => None,
        };
        for package in catalog.packages() {
            if package.name == bundle.package || named.is_some_and(|name| *name != package.name) {
                continue;
            }
            for (place, other) in package.bundles.iter().enumerate() {
                if requirement.is_met_by(other) {
                    found.entry(package.name.clone()).or_default().insert(place);
                }
            }
        }
        if found.is_empty() {
            return None;
        }
        needs.push(found);
    }
    Some(needs)
}

impl Interner for Oracle {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        self.pool.resolve_solvable(solvable).record
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        self.pool.resolve_package_name(name).clone()
    }

    fn display_version_set(&self, version_set: VersionSetId) -> impl Display + '_ {
        format!("{:?}", self.pool.resolve_version_set(version_set))
    }

    fn display_string(&self, string_id: StringId) -> impl Display + '_ {
        self.pool.resolve_string(string_id).to_owned()
    }

    fn version_set_name(&self, version_set: VersionSetId) -> NameId {
        self.pool.resolve_version_set_package_name(version_set)
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        self.pool.resolve_solvable(solvable).name
    }

    fn version_sets_in_union(
        &self,
        version_set_union: VersionSetUnionId,
    ) -> impl Iterator<Item = VersionSetId> {
        self.pool.resolve_version_set_union(version_set_union)
    }

    fn resolve_condition(&self, condition: ConditionId) -> Condition {
        self.pool.resolve_condition(condition).clone()
    }
}

impl DependencyProvider for Oracle {
    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        version_set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let Places(places) = self.pool.resolve_version_set(version_set);
        let mut found = candidates.to_vec();
        found.retain(|id| places.contains(&self.pool.resolve_solvable(*id).record) != inverse);
        found
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        Some(Candidates {
            candidates: self.candidates.get(&name)?.clone(),
            ..Candidates::default()
        })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, solvables: &mut [SolvableId]) {
        solvables.sort_by_key(|id| std::cmp::Reverse(self.pool.resolve_solvable(*id).record));
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        let Some(needs) = &self.needs[&solvable] else {
            return Dependencies::Unknown(self.pool.intern_string("unusable"));
        };
        let mut known = KnownDependencies::default();
        for need in needs {
            let mut sets = need.iter().map(|(name, places)| self.set(name, places));
            let first = sets.next().unwrap();
            known.requirements.push(if need.len() == 1 {
                first.into()
            } else {
                self.pool.intern_version_set_union(first, sets).into()
            });
        }
        Dependencies::Known(known)
    }
}
