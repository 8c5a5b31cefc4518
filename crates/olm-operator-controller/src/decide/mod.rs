//! What every Operator gets, decided for all of them together. Pure.
//!
//! Operators are put into groups of those that may have to do with one another; each group is solved
//! by itself, and again only when something in it changed. What runs for an Operator that is left
//! out, for a spec that cannot be read or a catalog that is away, stays and counts for the others.

mod answer;
pub(crate) mod deprecation;
mod order;
mod place;
mod rivals;
mod solve;
pub(crate) mod task;
pub(crate) mod there;
mod unread;
mod wish;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::ResourceExt;
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::operator::{BundleIdentity, Dependant, Dependency, Operator, OperatorSpec};
use olm_resolver::{Catalog, EdgeMode, Facts, Interactions};

use crate::catalogs::{Snapshot, Unread};
use crate::deployment::{self, Wanted};
use deprecation::Deprecations;
use solve::{Asked, Print, Solved, solve};
use there::{Basis, There};
pub(crate) use wish::progress_deadline;
use wish::{Invalid, Wish};

/// Everything that decisions depend on.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// The Operators that can be read.
    pub(crate) operators: Vec<Arc<Operator>>,
    /// Names of Operators that cannot be read.
    pub(crate) unreadable: BTreeSet<String>,
    pub(crate) deployments: Vec<Arc<BundleDeployment>>,
    /// Bundles by name.
    pub(crate) bundles: BTreeMap<String, Arc<Bundle>>,
    pub(crate) catalogs: Arc<Snapshot>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) mode: EdgeMode,
}

/// What came of choosing a bundle for an Operator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// The spec cannot be followed; why, where it is not `spec.version`.
    InvalidSpec(Option<String>),
    /// It cannot be told yet: a catalog is being read for the first time.
    NotYet,
    /// No bundle; why.
    Refused(String),
    /// This one.
    Chosen(Box<Wanted>),
}

/// An Operator that is to be made for a package that others require.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Make {
    pub(crate) package: String,
    pub(crate) channel: Option<String>,
    /// Names of the Operators that require it.
    pub(crate) required_by: Vec<String>,
}

/// What was decided for an Operator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    /// What it rests on.
    pub(crate) basis: Basis,
    pub(crate) answer: Answer,
    /// Why the bundle is not a better one: a sentence each.
    pub(crate) held_back: Vec<String>,
    /// What waits for approval.
    pub(crate) pending: Option<BundleIdentity>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) required_by: Vec<Dependant>,
    /// What catalogs say against using it; `None` where no catalog has the package.
    pub(crate) deprecations: Option<Deprecations>,
    /// Operators to make before the bundle is handed over.
    pub(crate) makes: Vec<Make>,
    /// What has to be there before the bundle is handed over, for people.
    pub(crate) waits: Vec<String>,
}

/// Decisions by name of the Operator.
pub(crate) type Decisions = BTreeMap<String, Arc<Decision>>;

/// Decides, and remembers what was solved.
#[derive(Debug, Default)]
pub(crate) struct Decider {
    /// The catalogs and facts that what is remembered rests on.
    known: Option<(Arc<Snapshot>, Arc<Facts>)>,
    interactions: Arc<Interactions>,
    /// What was answered in each group, and the print of what was asked, which is several times
    /// larger.
    solved: BTreeMap<Together, (Option<Print>, Arc<Solved>)>,
}

/// What is solved together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Together {
    /// Packages that may have to do with one another.
    Group(usize),
    /// A package that nothing is known of, which has to do with nothing.
    Alone(String),
}

/// An Operator with what is there for it.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) operator: &'a Operator,
    pub(super) deployment: Option<&'a BundleDeployment>,
    pub(super) there: There,
    pub(super) role: Role,
}

/// How an Operator takes part.
#[derive(Debug, PartialEq)]
pub(super) enum Role {
    /// Its spec cannot be followed.
    Invalid(Invalid),
    /// Another Operator has its package; which.
    Rival(String),
    /// It asks.
    Asks,
}

impl Decider {
    /// Decides for all Operators of the cluster.
    pub(crate) fn decide(&mut self, cluster: &Cluster) -> Decisions {
        self.renew(cluster);
        let models = cluster.catalogs.models();
        let (seen, wishes) = see(cluster, &models);
        let adopted = adopted(cluster);
        let groups = self.groups(&wishes, &adopted);
        let mut decisions = Decisions::new();
        let mut solved = BTreeMap::new();
        for (group, (asked, members)) in groups {
            let print = asked.print();
            let answers = match self.solved.remove(&group) {
                Some((before, answers)) if before.is_some() && before == print => answers,
                _ => Arc::new(solve(&asked, &models, cluster.mode, &cluster.facts)),
            };
            let story = answer::Group {
                cluster,
                seen: &seen,
                wishes: &wishes,
                members: &members,
                solved: &answers,
            };
            decisions.extend(story.decisions());
            solved.insert(group, (print, answers));
        }
        self.solved = solved;
        for (name, seen) in &seen {
            if !decisions.contains_key(name) {
                decisions.insert(name.clone(), Arc::new(answer::aside(cluster, seen)));
            }
        }
        decisions
    }

    /// Forgets what rests on other catalogs.
    fn renew(&mut self, cluster: &Cluster) {
        let same = self.known.as_ref().is_some_and(|(catalogs, facts)| {
            Arc::ptr_eq(catalogs, &cluster.catalogs) && Arc::ptr_eq(facts, &cluster.facts)
        });
        if !same {
            self.solved.clear();
            self.interactions = Arc::new(Interactions::new(&cluster.catalogs.models()));
            self.known = Some((Arc::clone(&cluster.catalogs), Arc::clone(&cluster.facts)));
        }
    }

    /// What is asked, by group, with the places of the wishes in each.
    fn groups<'a>(
        &self,
        wishes: &'a [Wish],
        adopted: &'a [Wanted],
    ) -> BTreeMap<Together, (Asked<'a>, Vec<usize>)> {
        let mut interactions = (*self.interactions).clone();
        let running = wishes.iter().filter_map(|wish| wish.running.as_ref());
        for wanted in running.chain(adopted) {
            if let Some(declared) = wanted.declares() {
                interactions.declare(&wanted.identity.package, &declared);
            }
        }
        let group = |package: &str| match interactions.group(package) {
            Some(group) => Together::Group(group),
            None => Together::Alone(package.to_owned()),
        };
        let mut groups: BTreeMap<Together, (Asked<'a>, Vec<usize>)> = BTreeMap::new();
        for (place, wish) in wishes.iter().enumerate() {
            let group = group(&wish.spec.package_name);
            let (asked, places) = groups.entry(group).or_default();
            asked.wishes.push(wish);
            places.push(place);
        }
        for wanted in adopted {
            let group = group(&wanted.identity.package);
            // What nobody asks about need not be solved.
            if let Some((asked, _)) = groups.get_mut(&group) {
                asked.adopted.push(wanted);
            }
        }
        groups
    }
}

/// Looks at every Operator; by name.
fn see<'a>(cluster: &'a Cluster, models: &[&Catalog]) -> (BTreeMap<String, Seen<'a>>, Vec<Wish>) {
    let by_name: BTreeMap<String, &BundleDeployment> = cluster
        .deployments
        .iter()
        .map(|deployment| (deployment.name_any(), &**deployment))
        .collect();
    let mut seen = BTreeMap::new();
    let mut wishes: Vec<Wish> = Vec::new();
    let present = cluster.operators.iter().map(|operator| &**operator);
    let present = present.filter(|operator| operator.metadata.deletion_timestamp.is_none());
    let looked: Vec<_> = present
        .map(|operator| {
            let deployment = by_name.get(&operator.name_any()).copied();
            let bundle = |name: &str| cluster.bundles.get(name);
            (
                operator,
                deployment,
                There::new(operator, deployment, bundle),
            )
        })
        .collect();
    let holders = rivals::holders(cluster, models, &looked);
    for (operator, deployment, there) in looked {
        let name = operator.name_any();
        let mut add = |mut wish: Wish, there: &There| {
            wish.running = there
                .running
                .clone()
                .filter(|running| running.identity.package == wish.spec.package_name);
            wishes.push(wish);
            wishes.len() - 1
        };
        let role = match Wish::new(operator, &cluster.catalogs) {
            Err(invalid) => {
                // What runs stays.
                if there.running.is_some() {
                    add(standing(&name, &operator.spec), &there);
                }
                Role::Invalid(invalid)
            }
            Ok(mut wish) => match holders.get(&operator.spec.package_name) {
                Some(holder) if *holder != name => Role::Rival(holder.clone()),
                _ => {
                    wish.stands |= unread::offering(&cluster.catalogs, &wish).is_some();
                    let place = add(wish, &there);
                    let wish = &mut wishes[place];
                    let (mode, facts) = (cluster.mode, &cluster.facts);
                    // What was taken back goes back to what runs, whatever was passed over before.
                    wish.failed = left_out(operator, models).cloned();
                    if let Some(failed) = &wish.failed {
                        wish.avoid = place::left_out(wish, failed, models, mode, facts);
                    } else if !wish.stands {
                        wish.from = place::from(wish, &there, models, mode, facts);
                    }
                    Role::Asks
                }
            },
        };
        let look = Seen {
            operator,
            deployment,
            there,
            role,
        };
        seen.insert(name, look);
    }
    for name in &cluster.unreadable {
        let found = by_name.get(name);
        let wanted = found.and_then(|deployment| deployment::recorded(deployment));
        if let Some(wanted) = wanted {
            let spec = OperatorSpec {
                package_name: wanted.identity.package.clone(),
                ..OperatorSpec::default()
            };
            wishes.push(Wish {
                running: Some(wanted),
                ..standing(name, &spec)
            });
        }
    }
    (seen, wishes)
}

/// A wish that what runs stays.
fn standing(name: &str, spec: &OperatorSpec) -> Wish {
    Wish {
        name: name.to_owned(),
        spec: OperatorSpec {
            package_name: spec.package_name.clone(),
            ..OperatorSpec::default()
        },
        stands: true,
        ..Wish::default()
    }
}

/// The bundle that failed and is not tried again. One that is offered under the same name with
/// another image is another bundle.
fn left_out<'a>(operator: &'a Operator, models: &[&Catalog]) -> Option<&'a BundleIdentity> {
    let failed = there::failed_upgrade(operator)?;
    let packages = models
        .iter()
        .filter_map(|model| model.package(&failed.bundle.package));
    let named = packages.flat_map(|package| &package.bundles);
    let mut named = named.filter(|bundle| bundle.name == failed.bundle.name);
    let is_another = named.any(|bundle| bundle.image != failed.bundle.image);
    (!is_another).then_some(&failed.bundle)
}

/// What is installed by BundleDeployments that belong to no Operator.
fn adopted(cluster: &Cluster) -> Vec<Wanted> {
    cluster
        .deployments
        .iter()
        .filter(|deployment| deployment.metadata.deletion_timestamp.is_none())
        .filter(|deployment| deployment::is_installed(deployment))
        // What an Operator owns is its own, and where that is gone, about to go, too.
        .filter(|deployment| deployment::owning_operator(deployment).is_none())
        .filter_map(|deployment| deployment::recorded(deployment))
        .collect()
}

/// The reading of a catalog that is waited for, or the text that says why it is not there.
pub(super) fn unread_answer(text: &str, catalog: &str, unread: &Unread) -> Answer {
    match unread {
        Unread::Loading => Answer::NotYet,
        Unread::Failed(error) => {
            Answer::Refused(text.to_owned() + &crate::messages::unread_catalog(catalog, error))
        }
    }
}

#[cfg(test)]
mod tests;
