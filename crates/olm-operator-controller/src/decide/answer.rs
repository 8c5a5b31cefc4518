//! From the solution of a group to what each Operator is told and does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::ResourceExt;
use olm_api::labels;
use olm_api::operator::{BundleIdentity, Dependant, Dependency, Operator};
use olm_resolver::{Bundle, INSTALLED_CATALOG, Refusal, Requirement};
use olm_semver::Version;
use olm_semver::masterminds::{Constraint, PrereleaseMode};

use super::order::{Unit, Units, Wait};
use super::solve::Solved;
use super::there::{Basis, is_same};
use super::wish::{Invalid, Wish};
use super::{Answer, Cluster, Decision, Make, Role, Seen, place, unread, unread_answer};
use crate::deployment::Wanted;
use crate::messages;

/// A group with its solution.
pub(super) struct Group<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) seen: &'a BTreeMap<String, Seen<'a>>,
    pub(super) wishes: &'a [Wish],
    /// The wishes of the group, by place.
    pub(super) members: &'a [usize],
    pub(super) solved: &'a Solved,
}

/// What is decided for an Operator that does not take part.
pub(super) fn aside(cluster: &Cluster, seen: &Seen<'_>) -> Decision {
    let answer = match &seen.role {
        Role::Invalid(Invalid::Version) => Answer::InvalidSpec(None),
        Role::Invalid(Invalid::Other(why)) => Answer::InvalidSpec(Some(why.clone())),
        Role::Rival(holder) => Answer::Refused(rival(cluster, seen.operator, holder)),
        Role::Asks => Answer::Refused(Refusal::Cancelled.to_string()),
    };
    decision(seen, answer)
}

fn rival(cluster: &Cluster, operator: &Operator, holder: &str) -> String {
    let package = &operator.spec.package_name;
    let mut operators = cluster.operators.iter();
    let found = operators.find(|other| other.metadata.name.as_deref() == Some(holder));
    match found {
        Some(other) if other.labels().contains_key(labels::DEPENDENCY) => {
            messages::dependency_holds(package, holder)
        }
        _ => messages::duplicate_package(package, holder),
    }
}

fn decision(seen: &Seen<'_>, answer: Answer) -> Decision {
    Decision {
        basis: Basis::new(seen.operator, seen.deployment, &seen.there),
        answer,
        held_back: Vec::new(),
        pending: None,
        dependencies: Vec::new(),
        required_by: Vec::new(),
        deprecations: None,
        makes: Vec::new(),
        waits: Vec::new(),
    }
}

impl<'a> Group<'a> {
    /// A decision for each Operator of the group.
    pub(super) fn decisions(&self) -> Vec<(String, Arc<Decision>)> {
        let units = self.units();
        let waits = units.waits();
        let mut decisions = Vec::new();
        for &place in self.members {
            let wish = &self.wishes[place];
            let Some(seen) = self.seen.get(&wish.name) else {
                continue;
            };
            let answer = match &seen.role {
                Role::Asks => self.answer(seen, wish),
                _ => aside(self.cluster, seen).answer,
            };
            let mut decision = decision(seen, answer);
            if let Some(Ok(answer)) = self.solved.answer(&wish.name) {
                decision.held_back.clone_from(&answer.held_back);
            }
            decision
                .held_back
                .extend(self.beyond_failed(wish, &decision.answer));
            let catalogs = &self.cluster.catalogs;
            decision.deprecations = super::deprecation::of(catalogs, wish, &seen.there);
            let pending = self.solved.pending.get(&wish.name);
            decision.pending = pending.map(|bundle| identity(bundle, wish));
            if let Some(own) = units.place(&wish.spec.package_name) {
                decision.dependencies = dependencies(&units, own);
                decision.required_by = required_by(&units, own);
                if let Answer::Chosen(_) = decision.answer {
                    decision.makes = self.makes(&units, own);
                    let waits = waits[own].iter();
                    decision.waits = waits.map(|wait| text(&units, own, *wait)).collect();
                }
            }
            decisions.push((wish.name.clone(), Arc::new(decision)));
        }
        decisions
    }

    /// Every package of which something was chosen or runs.
    fn units(&self) -> Units<'a> {
        let solved = self.solved;
        let packages: BTreeSet<&str> = solved
            .selected
            .iter()
            .chain(solved.running.values())
            .map(|bundle| bundle.package.as_str())
            .chain(
                self.members
                    .iter()
                    .map(|place| self.wishes[*place].spec.package_name.as_str()),
            )
            .collect();
        let mut members: BTreeMap<&str, (&Wish, Option<&Seen<'_>>)> = BTreeMap::new();
        for &place in self.members {
            let wish = &self.wishes[place];
            let seen = self.seen.get(&wish.name);
            members
                .entry(&wish.spec.package_name)
                .or_insert((wish, seen));
        }
        let all = packages
            .into_iter()
            .map(|package| {
                let mut selected = solved.selected.iter();
                let chosen = selected.find(|bundle| bundle.package == package).cloned();
                let member = members.get(package);
                let there = member.and_then(|(_, seen)| Some(&(*seen)?.there));
                let asked = there.and_then(|there| there.asked.as_ref());
                let is_asked = |bundle: &Arc<Bundle>| {
                    asked.is_some_and(|asked| {
                        asked.identity.name == bundle.name && asked.identity.image == bundle.image
                    })
                };
                Unit {
                    package: package.to_owned(),
                    operator: member.map(|(wish, _)| wish.name.clone()),
                    moves: chosen.as_ref().is_some_and(|chosen| !is_asked(chosen)),
                    works: match there {
                        Some(there) => there.works,
                        // What belongs to no Operator is taken only while it is installed.
                        None => solved.running.contains_key(package),
                    },
                    running: solved.running.get(package).cloned(),
                    chosen,
                    counts: true,
                }
            })
            .collect();
        Units {
            all,
            facts: &self.cluster.facts,
        }
    }

    fn answer(&self, seen: &Seen<'_>, wish: &Wish) -> Answer {
        // Where nothing is to be decided, the last decision stays.
        let asked = seen.there.asked.as_ref().filter(|_| wish.spec.suspend);
        let asked = asked.filter(|asked| asked.identity.package == wish.spec.package_name);
        if let Some(asked) = asked {
            return Answer::Chosen(Box::new(asked.clone()));
        }
        let catalogs = &self.cluster.catalogs;
        let package = &wish.spec.package_name;
        if !wish.spec.suspend
            && let Some((catalog, unread)) = unread::offering(catalogs, wish)
        {
            let text = format!("package {package:?} cannot be resolved");
            let answer = unread_answer(&text, catalog, unread);
            // What the catalog offers now may be better than what others do: no answer is given that
            // would change once it can be read. What runs stays.
            let kept = keep(seen, wish).filter(|_| answer != Answer::NotYet);
            return kept.unwrap_or(answer);
        }
        match self.solved.answer(&wish.name) {
            // What runs stays; that nobody offers its package any more is told.
            Some(Ok(answer))
                if answer.bundle.catalog == INSTALLED_CATALOG
                    && !wish.spec.suspend
                    && !catalogs.catalogs.is_empty()
                    && !self.is_offered(wish) =>
            {
                self.refused(wish, &wish.not_found())
            }
            Some(Ok(answer)) => self.chosen(seen, wish, &answer.bundle),
            Some(Err(refusal @ Refusal::NotFound { .. })) if catalogs.catalogs.is_empty() => {
                keep(seen, wish).unwrap_or_else(|| Answer::Refused(refusal.to_string()))
            }
            Some(Err(refusal)) => self.refused(wish, refusal),
            None => Answer::Refused(Refusal::Cancelled.to_string()),
        }
    }

    /// Where what runs stays: that there is something newer, but only behind the bundle that failed.
    /// Whether that one can be passed over is not for this controller to say.
    fn beyond_failed(&self, wish: &Wish, answer: &Answer) -> Option<String> {
        let failed = wish.failed.as_ref()?;
        let Answer::Chosen(chosen) = answer else {
            return None;
        };
        let running = &wish.running.as_ref()?.identity;
        if !is_same(running, &chosen.identity) || wish.stands {
            return None;
        }
        let Cluster {
            catalogs,
            facts,
            mode,
            ..
        } = self.cluster;
        let beyond = place::beyond(wish, failed, &catalogs.models(), *mode, facts)?;
        Some(messages::behind_failed(&beyond.version, &failed.version))
    }

    /// Whether a catalog that may answer has anything of the package.
    fn is_offered(&self, wish: &Wish) -> bool {
        let known = self.cluster.catalogs.catalogs.iter();
        let mut contents = known
            .filter(|(catalog, _)| wish.may_answer(catalog))
            .filter_map(|(_, known)| known.content.as_deref());
        contents.any(|content| content.offers(&wish.spec.package_name))
    }

    /// What is refused may be there once a catalog is read.
    fn refused(&self, wish: &Wish, refusal: &Refusal) -> Answer {
        let text = refusal.explanation();
        let own = wish.spec.package_name.as_str();
        let found = match refusal {
            Refusal::NotFound { .. } => {
                let may_answer = |name: &str| wish.may_answer(name);
                unread::perhaps(&self.cluster.catalogs, &[own], may_answer)
            }
            Refusal::Unsatisfiable(_) => {
                let packages: Vec<&str> = self
                    .members
                    .iter()
                    .map(|place| self.wishes[*place].spec.package_name.as_str())
                    .collect();
                unread::perhaps(&self.cluster.catalogs, &packages, |_| true)
            }
            _ => None,
        };
        match found {
            Some((catalog, unread)) => unread_answer(&text, catalog, unread),
            None if wish.catalogs.as_ref().is_some_and(Vec::is_empty) => {
                Answer::Refused(text + messages::NO_CATALOG_SELECTED)
            }
            None => Answer::Refused(text),
        }
    }

    fn chosen(&self, seen: &Seen<'_>, wish: &Wish, bundle: &Bundle) -> Answer {
        let known = [&seen.there.running, &seen.there.asked];
        let known = known.into_iter().flatten();
        let same: Vec<&Wanted> = known
            .filter(|known| {
                known.identity.name == bundle.name && known.identity.image == bundle.image
            })
            .collect();
        if bundle.catalog == INSTALLED_CATALOG {
            return same.first().map_or_else(
                || Answer::Refused(format!("no catalog offers {}", bundle.name)),
                |known| Answer::Chosen(Box::new((*known).clone())),
            );
        }
        let mut identity = identity(bundle, wish);
        // Another catalog that offers the same bundle changes nothing.
        let before = same
            .iter()
            .find_map(|known| known.identity.catalog.as_ref());
        let offers = |catalog: &&String| {
            self.cluster
                .catalogs
                .offers(catalog, &bundle.package, &bundle.name)
        };
        if let Some(catalog) = before.filter(offers) {
            identity.catalog = Some(catalog.clone());
        }
        // What is recorded of it was true when it was installed, and stays so. What is asked for
        // stands first: what runs may be known by its name alone.
        let recorded = [&seen.there.asked, &seen.there.running];
        let mut recorded = recorded.into_iter().flatten();
        let recorded = recorded.find(|known| is_same(&known.identity, &identity));
        let wanted = match recorded {
            Some(recorded) => Wanted {
                identity,
                ..recorded.clone()
            },
            None => Wanted {
                identity,
                media_type: Some(bundle.media_type.clone()).filter(|kind| !kind.is_empty()),
                apis: bundle.provides.iter().cloned().map(Into::into).collect(),
                declared: Some(olm_resolver::Declared {
                    provides: Vec::new(),
                    ..bundle.into()
                }),
            },
        };
        Answer::Chosen(Box::new(wanted))
    }

    /// The Operators that the bundle chosen for the unit at `own` needs and that nobody made.
    fn makes(&self, units: &Units<'_>, own: usize) -> Vec<Make> {
        let Some(chosen) = &units.all[own].chosen else {
            return Vec::new();
        };
        let providers: BTreeSet<usize> = units
            .needs(own, chosen)
            .filter_map(|requirement| units.provider(own, requirement))
            .collect();
        let missing = providers.into_iter().filter(|place| {
            let unit = &units.all[*place];
            unit.running.is_none() && unit.operator.is_none() && !self.is_asked_for(&unit.package)
        });
        missing
            .filter_map(|place| {
                let unit = &units.all[place];
                let bundle = unit.chosen.as_ref()?;
                let by = required_by(units, place).into_iter();
                Some(Make {
                    package: unit.package.clone(),
                    channel: channel(self.cluster, bundle),
                    required_by: by.map(|dependant| dependant.operator).collect(),
                })
            })
            .collect()
    }

    /// Whether there is an Operator for a package, whatever becomes of it.
    fn is_asked_for(&self, package: &str) -> bool {
        let mut all = self.seen.values();
        all.any(|seen| seen.operator.spec.package_name == package)
    }
}

/// The channel of a bundle: the default one of its package where that holds it, else the first.
fn channel(cluster: &Cluster, bundle: &Bundle) -> Option<String> {
    let known = cluster.catalogs.catalogs.get(&bundle.catalog);
    let content = known.and_then(|known| known.content.as_ref());
    let package = content.and_then(|content| content.model.package(&bundle.package));
    let default = package.map(|package| package.default_channel.as_str());
    let mut channels = bundle.entries.iter().map(|entry| &entry.channel);
    let has_default = channels
        .clone()
        .find(|channel| Some(channel.as_str()) == default);
    has_default.or_else(|| channels.next()).cloned()
}

fn identity(bundle: &Bundle, wish: &Wish) -> BundleIdentity {
    let first = bundle.entries.first();
    let version = bundle.version.as_ref().map(ToString::to_string);
    BundleIdentity {
        name: bundle.name.clone(),
        version: version.unwrap_or_default(),
        package: bundle.package.clone(),
        channel: wish
            .spec
            .channel
            .clone()
            .or_else(|| first.map(|edge| edge.channel.clone())),
        catalog: Some(bundle.catalog.clone()),
        image: bundle.image.clone(),
    }
}

/// What is being installed or runs, as the answer, if it is what the Operator asks for.
fn keep(seen: &Seen<'_>, wish: &Wish) -> Option<Answer> {
    let there = &seen.there;
    let asked = there.asked.as_ref().filter(|_| !there.failed);
    let mut known = [asked, there.running.as_ref()].into_iter().flatten();
    known.find_map(|known| keep_one(known, wish))
}

fn keep_one(running: &Wanted, wish: &Wish) -> Option<Answer> {
    let (installed, spec) = (&running.identity, &wish.spec);
    let version = Version::parse_strict(&installed.version).ok()?;
    let in_range = match spec.version.as_deref() {
        None => true,
        Some(range) => Constraint::parse(range)
            .is_ok_and(|range| range.matches(&version, PrereleaseMode::Group)),
    };
    let in_channel = spec.channel.is_none() || spec.channel == installed.channel;
    let is_wanted = in_range && in_channel && installed.package == spec.package_name;
    is_wanted.then(|| Answer::Chosen(Box::new(running.clone())))
}

/// What the bundle of a unit requires, by package: of the chosen one, else of the one that runs.
fn dependencies(units: &Units<'_>, own: usize) -> Vec<Dependency> {
    let unit = &units.all[own];
    let Some(bundle) = unit.chosen.as_ref().or(unit.running.as_ref()) else {
        return Vec::new();
    };
    let mut found: BTreeMap<usize, Dependency> = BTreeMap::new();
    for requirement in units.needs(own, bundle) {
        let Some(place) = units.provider(own, requirement) else {
            continue;
        };
        let provider = &units.all[place];
        let bundle = provider.chosen.as_ref().or(provider.running.as_ref());
        let dependency = found.entry(place).or_insert_with(|| Dependency {
            package: provider.package.clone(),
            operator: provider
                .operator
                .clone()
                .unwrap_or_else(|| crate::dependency::name(&provider.package)),
            version: bundle.map(|bundle| bundle.label()).unwrap_or_default(),
            ready: true,
            requirements: Vec::new(),
        });
        dependency.ready &= units.is_met_now(own, requirement);
        dependency.requirements.push(words(requirement));
    }
    let mut found: Vec<Dependency> = found.into_values().collect();
    found.sort_by(|a, b| a.package.cmp(&b.package));
    found
}

/// Who requires the package of a unit: by what was chosen for them, or by what runs.
fn required_by(units: &Units<'_>, own: usize) -> Vec<Dependant> {
    let mut found = Vec::new();
    for (place, unit) in units.all.iter().enumerate() {
        let Some(operator) = unit.operator.as_ref().filter(|_| place != own) else {
            continue;
        };
        let requires = |bundle: &&Arc<Bundle>| {
            let mut needs = units.needs(place, bundle);
            needs.any(|requirement| units.provider(place, requirement) == Some(own))
        };
        let bundles = [&unit.chosen, &unit.running];
        let mut bundles = bundles.into_iter().flatten();
        if let Some(bundle) = bundles.find(requires) {
            found.push(Dependant {
                operator: operator.clone(),
                package: unit.package.clone(),
                version: bundle.label(),
            });
        }
    }
    found.sort();
    found
}

/// What a unit waits for, as a clause.
fn text(units: &Units<'_>, own: usize, wait: Wait) -> String {
    let unit = &units.all[wait.on];
    let name = |bundle: &Option<Arc<Bundle>>| {
        let version = bundle.as_ref().map(|bundle| bundle.label());
        format!("{} {}", unit.package, version.unwrap_or_default())
    };
    let operator = unit.operator.clone();
    let operator = operator.unwrap_or_else(|| crate::dependency::name(&unit.package));
    if wait.leaves {
        let (running, chosen) = (name(&unit.running), name(&unit.chosen));
        let own = &units.all[own];
        let to = own.chosen.as_ref().map(|bundle| bundle.label());
        let to = to.unwrap_or_default();
        format!(
            "Operator {operator:?} has to leave {running} for {chosen} before, which {} {to} would \
             break",
            own.package
        )
    } else {
        format!(
            "{} of Operator {operator:?} is not installed and healthy",
            name(&unit.chosen)
        )
    }
}

/// A requirement in words.
fn words(requirement: &Requirement) -> String {
    match requirement {
        Requirement::Package { name, range } => {
            format!("package {name:?} in range {:?}", range.as_str())
        }
        Requirement::Api(api) => format!("API {api}"),
        Requirement::Label(label) => format!("label {label:?}"),
        Requirement::Constraint(constraint) => constraint.test.to_string(),
        _ => String::new(),
    }
}
