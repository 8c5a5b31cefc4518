//! A check of solutions that shares nothing with the search: it looks at the problem as it was
//! given, and at what was selected.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::candidates::Survey;
use crate::choose::{Policy, Request};
use crate::edges::Installed;
use crate::eligibility::eligibility;
use crate::model::{Bundle, Requirement};

use super::installed::requirements;
use super::problem::{Approval, Dependencies, Problem};
use super::resolution::{Because, Selected};

/// What is wrong with a solution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsound {
    /// A bundle cannot be used on this cluster.
    #[error("bundle `{bundle}` cannot be used")]
    Unusable {
        /// Its name.
        bundle: String,
    },
    /// An Operator does not have exactly one bundle that it asks for.
    #[error("Operator `{operator}` does not get what it asks for")]
    Unanswered {
        /// Its name.
        operator: String,
    },
    /// A package is there more than once.
    #[error("package `{package}` is selected twice")]
    Twice {
        /// The package.
        package: String,
    },
    /// Two packages provide one API.
    #[error("API `{api}` is provided twice")]
    ProvidedTwice {
        /// Group and kind.
        api: String,
    },
    /// Something that a bundle requires is not there.
    #[error("bundle `{bundle}` lacks what it requires")]
    Unmet {
        /// Its name.
        bundle: String,
    },
    /// What is installed would be replaced by what it does not lead to.
    #[error("no edge leads from what is installed to bundle `{bundle}`")]
    Edge {
        /// The name of the bundle that would replace it.
        bundle: String,
    },
    /// A bundle that another one does not allow.
    #[error("bundle `{by}` does not allow bundle `{bundle}`")]
    Forbidden {
        /// The bundle that does not allow it.
        by: String,
        /// The bundle.
        bundle: String,
    },
    /// Nobody asked for a bundle.
    #[error("bundle `{bundle}` is there without a reason")]
    Unsupported {
        /// Its name.
        bundle: String,
    },
}

/// Checks what was selected for a group of Operators, given by their places: that everything that is
/// asked for and required is there, nothing that excludes another, and nothing without a reason.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(
    problem: &Problem<'_>,
    operators: &[usize],
    selected: &[Selected],
) -> Result<(), Unsound> {
    check_with(problem, &Holders::new(problem), operators, selected)
}

/// The Operator that has each package: with something installed first, then the oldest, then by
/// name.
#[derive(Debug)]
pub(crate) struct Holders<'a>(HashMap<&'a str, usize>);

impl<'a> Holders<'a> {
    pub(crate) fn new(problem: &Problem<'a>) -> Self {
        let rank = |place: usize| {
            let member = &problem.operators[place];
            let new = member.running().is_none();
            (new, member.created, &member.request.operator)
        };
        let mut holders: HashMap<&str, usize> = HashMap::new();
        for (place, member) in problem.operators.iter().enumerate() {
            let holder = holders.entry(&member.request.package).or_insert(place);
            if rank(place) < rank(*holder) {
                *holder = place;
            }
        }
        Self(holders)
    }

    fn of(&self, package: &str) -> Option<usize> {
        self.0.get(package).copied()
    }
}

/// [`check`], with what is the same for all groups.
pub(crate) fn check_with(
    problem: &Problem<'_>,
    holders: &Holders<'_>,
    operators: &[usize],
    selected: &[Selected],
) -> Result<(), Unsound> {
    let mut packages: BTreeMap<&str, &Bundle> = BTreeMap::new();
    for one in selected {
        let bundle = one.bundle.as_ref();
        if packages.insert(&bundle.package, bundle).is_some() {
            let package = bundle.package.clone();
            return Err(Unsound::Twice { package });
        }
    }
    let mut providers: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for one in selected {
        let bundle = one.bundle.as_ref();
        let name = || bundle.name.clone();
        for api in bundle.provides.iter() {
            let package = bundle.package.as_str();
            let first = providers.entry((&api.group, &api.kind)).or_insert(package);
            if *first != package {
                let api = format!("{}/{}", api.group, api.kind);
                return Err(Unsound::ProvidedTwice { api });
            }
        }
        let place = holders.of(&bundle.package);
        let ground = ground(problem, place, bundle);
        if one.stays != ground.stays || !(one.stays || eligibility(bundle, problem.facts).is_ok()) {
            return Err(Unsound::Unusable { bundle: name() });
        }
        if !ground.reachable {
            return Err(Unsound::Edge { bundle: name() });
        }
        let dependencies = place.map_or(Dependencies::Install, |place| {
            problem.operators[place].dependencies
        });
        for requirement in requirements(bundle, dependencies) {
            meets(problem, holders, &packages, one, requirement, dependencies)?;
        }
        if !is_supported(problem, place, operators, selected, one) {
            return Err(Unsound::Unsupported { bundle: name() });
        }
    }
    for &place in operators {
        let requested = |one: &&Selected| match one.because {
            Because::Requested(operator) | Because::Kept(operator) => operator == place,
            Because::Dependency { .. } => false,
        };
        if selected.iter().filter(requested).count() != 1 {
            let operator = problem.operators[place].request.operator.clone();
            return Err(Unsound::Unanswered { operator });
        }
    }
    if let Some(one) = ungrounded(selected) {
        let bundle = one.bundle.name.clone();
        return Err(Unsound::Unsupported { bundle });
    }
    let reasons: BTreeSet<Because> = selected.iter().map(|one| one.because).collect();
    match selected.last() {
        Some(last) if reasons.len() < selected.len() => Err(Unsound::Unsupported {
            bundle: last.bundle.name.clone(),
        }),
        _ => Ok(()),
    }
}

/// What is installed of a package, and whether a bundle may take its place.
struct Ground {
    stays: bool,
    reachable: bool,
}

fn ground(problem: &Problem<'_>, place: Option<usize>, bundle: &Bundle) -> Ground {
    let free = Ground {
        stays: false,
        reachable: true,
    };
    let mut adopted = problem.adopted.iter();
    let (request, catalogs): (Cow<'_, Request>, _) = match place {
        Some(place) => {
            let member = &problem.operators[place];
            (Cow::Borrowed(&member.request), member.catalogs.as_deref())
        }
        None => match adopted.find(|running| running.installed.package == bundle.package) {
            Some(running) => (Cow::Owned(running.request()), None),
            None => return free,
        },
    };
    let installed: Option<&Installed> = request
        .installed
        .as_ref()
        .filter(|installed| installed.package == bundle.package);
    if installed.is_none() {
        return free;
    }
    let chosen: Vec<_> = problem
        .catalogs
        .iter()
        .copied()
        .filter(|catalog| catalogs.is_none_or(|names| names.contains(&catalog.name)))
        .collect();
    let survey = Survey::new(&chosen, &request, problem.mode, problem.facts);
    let Some(origin) = survey.origin else {
        return free;
    };
    let stays = origin.is(bundle);
    let bound = request.policy == Policy::Enforce;
    Ground {
        stays,
        reachable: stays
            || !bound
            || origin.leads_to(bundle, problem.mode, request.channel.as_deref()),
    }
}

/// Whether something selected meets a requirement, or nothing selected fails what it does not allow.
fn meets(
    problem: &Problem<'_>,
    holders: &Holders<'_>,
    packages: &BTreeMap<&str, &Bundle>,
    one: &Selected,
    requirement: &Requirement,
    dependencies: Dependencies,
) -> Result<(), Unsound> {
    let others = || {
        let others = packages.values().copied();
        others.filter(|other| other.package != one.bundle.package)
    };
    if let Requirement::Constraint(constraint) = requirement
        && constraint.is_prohibition()
    {
        return match others().find(|other| !constraint.test.holds(other)) {
            Some(other) => Err(Unsound::Forbidden {
                by: one.bundle.name.clone(),
                bundle: other.name.clone(),
            }),
            None => Ok(()),
        };
    }
    let on_cluster = matches!(requirement, Requirement::Api(api)
        if problem.facts.apis.contains(api));
    let is_allowed = |bundle: &Bundle| {
        dependencies != Dependencies::Require
            || holders.of(&bundle.package).is_some()
            || problem
                .adopted
                .iter()
                .any(|running| running.installed.package == bundle.package)
    };
    let meets = |other: &Bundle| requirement.is_met_by(other) && is_allowed(other);
    let met = on_cluster
        || requirement.is_met_by(&one.bundle)
        || match requirement {
            // Nothing else of what is selected can be that package.
            Requirement::Package { name, .. } if *name != one.bundle.package => packages
                .get(name.as_str())
                .is_some_and(|other| meets(other)),
            Requirement::Package { .. } => false,
            _ => others().any(meets),
        };
    if met {
        Ok(())
    } else {
        Err(Unsound::Unmet {
            bundle: one.bundle.name.clone(),
        })
    }
}

/// Whether the reason that is given for a bundle is one.
fn is_supported(
    problem: &Problem<'_>,
    holder: Option<usize>,
    operators: &[usize],
    selected: &[Selected],
    one: &Selected,
) -> bool {
    let bundle = one.bundle.as_ref();
    let own = |place: usize| operators.contains(&place) && holder == Some(place);
    match one.because {
        Because::Requested(place) => own(place) && wants(problem, place, one),
        Because::Kept(place) => own(place) && one.stays,
        Because::Dependency { of, requirement } => {
            let Some(by) = selected.get(of) else {
                return false;
            };
            let required = by.bundle.requires.as_ref().ok();
            by.bundle.package != bundle.package
                && required
                    .and_then(|all| all.get(requirement))
                    .is_some_and(|required| required.is_met_by(bundle))
        }
    }
}

/// The first bundle whose reasons do not lead to a request or to something kept, but in a circle.
fn ungrounded(selected: &[Selected]) -> Option<&Selected> {
    let mut grounded: Vec<bool> = selected
        .iter()
        .map(|one| !matches!(one.because, Because::Dependency { .. }))
        .collect();
    let mut way = Vec::new();
    for start in 0..selected.len() {
        let mut at = start;
        while !grounded[at] {
            way.push(at);
            let Because::Dependency { of, .. } = selected[at].because else {
                break;
            };
            if of >= selected.len() || way.len() > selected.len() {
                return selected.get(start);
            }
            at = of;
        }
        for at in way.drain(..) {
            grounded[at] = true;
        }
    }
    None
}

/// Whether a bundle is what an Operator asks for.
fn wants(problem: &Problem<'_>, place: usize, one: &Selected) -> bool {
    let member = &problem.operators[place];
    let bundle = one.bundle.as_ref();
    let request = &member.request;
    let in_channel = match &request.channel {
        Some(channel) => bundle.entries.iter().any(|edge| edge.channel == *channel),
        None => true,
    };
    let in_range = match (&request.version, &bundle.version) {
        (Some(range), Ok(version)) => {
            range.matches(version, olm_semver::masterminds::PrereleaseMode::default())
        }
        (Some(_), Err(_)) => false,
        (None, _) => true,
    };
    let from = one.stays
        || member
            .catalogs
            .as_ref()
            .is_none_or(|names| names.contains(&bundle.catalog));
    let approved = one.stays
        || member.running().is_none()
        || match &member.approval {
            Approval::Automatic => true,
            Approval::Manual(version) => version.as_ref() == bundle.version.as_ref().ok(),
        };
    let avoided = !one.stays && member.avoid.contains(&bundle.name);
    let decided = one.stays || !member.suspended;
    in_channel && in_range && from && approved && !avoided && decided
}
