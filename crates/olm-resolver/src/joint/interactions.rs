//! Which packages may have to do with one another, whatever is asked for.

use std::collections::HashMap;

use crate::constraint::{Constraint, Test};
use crate::model::{Api, Bundle, Catalog, Requirement};

use super::groups::Groups;
use super::problem::Declared;

/// The packages of some catalogs, put together where a bundle of one may require, forbid or exclude a
/// bundle of another.
///
/// Operators whose packages are apart here are apart in every [`Problem`](crate::Problem) over these
/// catalogs: their answers can be found, and kept, by themselves. The converse does not hold: a
/// problem may tell more packages apart, since not every bundle takes part in it.
#[derive(Debug, Clone, Default)]
pub struct Interactions {
    places: HashMap<Place, usize>,
    groups: Groups,
}

/// What packages meet at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Package(String),
    /// By group and kind, as providers exclude one another.
    Api(String, String),
    Label(String),
    /// Rules over properties, which any installed bundle may meet.
    Rules,
}

impl Interactions {
    /// Looks through the catalogs.
    pub fn new(catalogs: &[&Catalog]) -> Self {
        let mut interactions = Self::default();
        let mut rules: Vec<(&str, &Constraint)> = Vec::new();
        for package in catalogs.iter().flat_map(|catalog| catalog.packages()) {
            let own = interactions.place(Place::Package(package.name.clone()));
            // Versions of a package mostly declare the same.
            let mut before: Option<&Bundle> = None;
            for bundle in &package.bundles {
                let last = before.replace(bundle);
                if last.is_none_or(|last| last.provides != bundle.provides) {
                    interactions.provides(own, &bundle.provides);
                }
                interactions.carries(own, &bundle.labels);
                let requires = bundle.requires.as_deref().unwrap_or_default();
                if last.is_some_and(|last| last.requires == bundle.requires) {
                    continue;
                }
                interactions.requires(own, requires);
                for requirement in requires {
                    if let Requirement::Constraint(constraint) = requirement
                        && has_rule(constraint)
                        && !rules.contains(&(package.name.as_str(), &**constraint))
                    {
                        rules.push((&package.name, constraint));
                    }
                }
            }
        }
        for (package, constraint) in rules {
            let own = interactions.place(Place::Package(package.to_owned()));
            let wanted = !constraint.is_prohibition();
            for package in catalogs.iter().flat_map(|catalog| catalog.packages()) {
                let mut bundles = package.bundles.iter();
                if bundles.any(|bundle| constraint.test.holds(bundle) == wanted) {
                    interactions.join(own, Place::Package(package.name.clone()));
                }
            }
        }
        interactions
    }

    /// Takes what an installed bundle of `package` declared into account.
    pub fn declare(&mut self, package: &str, declared: &Declared) {
        let own = self.place(Place::Package(package.to_owned()));
        self.provides(own, &declared.provides);
        self.carries(own, &declared.labels);
        self.requires(own, &declared.requires);
        if !declared.properties.is_empty() && self.places.contains_key(&Place::Rules) {
            self.join(own, Place::Rules);
        }
    }

    /// A number that is the same for packages that may have to do with one another; `None` for a
    /// package that nothing is known of, which has to do with nothing.
    pub fn group(&self, package: &str) -> Option<usize> {
        let place = self.places.get(&Place::Package(package.to_owned()))?;
        Some(self.groups.of(*place))
    }

    fn place(&mut self, place: Place) -> usize {
        let next = self.places.len();
        let groups = &mut self.groups;
        *self.places.entry(place).or_insert_with(|| {
            groups.add();
            next
        })
    }

    fn join(&mut self, own: usize, place: Place) {
        let other = self.place(place);
        self.groups.join(own, other);
    }

    fn provides(&mut self, own: usize, apis: &[Api]) {
        for api in apis {
            self.join(own, Place::Api(api.group.clone(), api.kind.clone()));
        }
    }

    fn carries(&mut self, own: usize, labels: &[String]) {
        for label in labels {
            self.join(own, Place::Label(label.clone()));
        }
    }

    fn requires(&mut self, own: usize, requires: &[Requirement]) {
        for requirement in requires {
            match requirement {
                Requirement::Package { name, .. } => self.join(own, Place::Package(name.clone())),
                Requirement::Api(api) => self.provides(own, std::slice::from_ref(api)),
                Requirement::Label(label) => self.join(own, Place::Label(label.clone())),
                Requirement::Constraint(constraint) => {
                    let mut leaves = Vec::new();
                    constraint.test.leaves(&mut leaves);
                    for leaf in leaves {
                        match leaf {
                            Test::Api(api) => self.provides(own, std::slice::from_ref(api)),
                            Test::Package { name, .. } => {
                                self.join(own, Place::Package(name.clone()));
                            }
                            _ => self.join(own, Place::Rules),
                        }
                    }
                }
            }
        }
    }
}

fn has_rule(constraint: &Constraint) -> bool {
    let mut leaves = Vec::new();
    constraint.test.leaves(&mut leaves);
    leaves.iter().any(|leaf| matches!(leaf, Test::Rule(_)))
}
