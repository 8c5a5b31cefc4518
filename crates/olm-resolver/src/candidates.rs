//! What is offered to one request, in order of preference, and what speaks against each of it.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use olm_semver::Version;
use olm_semver::masterminds::PrereleaseMode;

use crate::choose::{Policy, Request};
use crate::edges::{EdgeMode, Origin};
use crate::eligibility::{Facts, Ineligibility, eligibility};
use crate::model::{Bundle, Catalog, Package, legacy_release};

/// A candidate with what orders it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) bundle: &'a Arc<Bundle>,
    deprecation: Deprecation,
}

/// A candidate in the channel and range asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked<'a> {
    pub(crate) candidate: Candidate<'a>,
    /// Why it cannot be used; what runs may go on running.
    pub(crate) unusable: Option<Ineligibility>,
    /// Whether the edges let it in.
    pub(crate) reachable: bool,
}

/// What there is for one request.
#[derive(Debug)]
pub(crate) struct Survey<'a> {
    /// Everything of the package, best first.
    pub(crate) offered: Vec<Candidate<'a>>,
    /// What lies in the channel and range, best first.
    pub(crate) asked: Vec<Asked<'a>>,
    /// Where edges start.
    pub(crate) origin: Option<Origin<'a>>,
}

impl<'a> Survey<'a> {
    /// Looks through the catalogs.
    pub(crate) fn new(
        catalogs: &[&'a Catalog],
        request: &'a Request,
        mode: EdgeMode,
        facts: &Facts,
    ) -> Self {
        let channel = request.channel.as_deref();
        let mut offered: Vec<Candidate<'a>> = Vec::new();
        let mut is_in_order = true;
        for catalog in catalogs {
            let Some(package) = catalog.package(&request.package) else {
                continue;
            };
            let in_doubt = has_deprecated_channel(package);
            // One catalog by itself has them in order.
            is_in_order = !in_doubt && offered.is_empty();
            offered.extend(package.bundles.iter().map(|bundle| Candidate {
                catalog,
                bundle,
                deprecation: if in_doubt {
                    deprecation(package, bundle, channel)
                } else {
                    of_bundle(bundle)
                },
            }));
        }
        if !is_in_order {
            offered.sort_by(Candidate::order);
        }
        let origin = origin(&offered, request);
        let bound = origin.filter(|_| request.policy == Policy::Enforce);
        let asked = offered
            .iter()
            .filter(|candidate| candidate.is_in(channel))
            .filter(|candidate| candidate.lies_in(request, PrereleaseMode::default()))
            .map(|candidate| {
                let bundle = candidate.bundle;
                Asked {
                    candidate: *candidate,
                    unusable: eligibility(bundle, facts)
                        .err()
                        .filter(|_| !origin.is_some_and(|origin| origin.is(bundle))),
                    reachable: bound.is_none_or(|origin| {
                        origin.is(bundle) || origin.leads_to(bundle, mode, channel)
                    }),
                }
            })
            .collect();
        Self {
            offered,
            asked,
            origin,
        }
    }

    /// Whether the range would hold something if it allowed pre-releases.
    pub(crate) fn has_prereleases(&self, request: &Request) -> bool {
        self.offered
            .iter()
            .filter(|candidate| candidate.is_in(request.channel.as_deref()))
            .any(|candidate| candidate.lies_in(request, PrereleaseMode::Include))
    }

    /// What can be chosen, best first.
    pub(crate) fn reachable(&self) -> Vec<Candidate<'a>> {
        self.asked
            .iter()
            .filter(|asked| asked.unusable.is_none() && asked.reachable)
            .map(|asked| asked.candidate)
            .collect()
    }
}

/// The installed bundle, with its release as the catalogs know it where the caller does not.
fn origin<'a>(offered: &[Candidate<'a>], request: &'a Request) -> Option<Origin<'a>> {
    let installed = request.installed.as_ref()?;
    let origin = installed.origin();
    if !origin.release.is_empty() {
        return Some(origin);
    }
    let same = || {
        offered.iter().map(|other| other.bundle).filter(|bundle| {
            bundle.name == origin.name
                && bundle
                    .version
                    .as_ref()
                    .is_ok_and(|version| version == origin.version)
        })
    };
    let release = same()
        .find(|bundle| installed.image.as_ref() == Some(&bundle.image))
        .or_else(|| same().next())
        .map_or_else(
            || legacy_release(origin.version),
            |bundle| bundle.release.as_str(),
        );
    Some(Origin { release, ..origin })
}

/// What decides between candidates of different catalogs: lower is better.
type Preference<'a> = (Deprecation, Reverse<i32>, Reverse<Option<&'a Version>>);

/// Lower is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deprecation {
    None,
    Channel,
    Bundle,
}

impl<'a> Candidate<'a> {
    fn is_in(&self, channel: Option<&str>) -> bool {
        channel.is_none_or(|channel| {
            let entries = &self.bundle.entries;
            entries.iter().any(|edge| edge.channel == channel)
        })
    }

    fn lies_in(&self, request: &Request, prereleases: PrereleaseMode) -> bool {
        request.version.as_ref().is_none_or(|constraint| {
            let version = self.bundle.version.as_ref();
            version.is_ok_and(|version| constraint.matches(version, prereleases))
        })
    }

    /// Whether nothing but names decides between the two.
    pub(crate) fn ties_with(&self, other: &Self) -> bool {
        self.preference() == other.preference() && self.bundle.release == other.bundle.release
    }

    fn preference(&self) -> Preference<'a> {
        let bundle: &'a Bundle = self.bundle;
        (
            self.deprecation,
            Reverse(self.catalog.priority),
            Reverse(bundle.version.as_ref().ok()),
        )
    }

    fn order(&self, other: &Self) -> Ordering {
        let (own, others) = (&self.bundle, &other.bundle);
        let by_preference = self.preference().cmp(&other.preference());
        by_preference
            .then_with(|| olm_semver::compare_releases(&others.release, &own.release))
            .then_with(|| others.supersedes.cmp(&own.supersedes))
            .then_with(|| self.catalog.name.cmp(&other.catalog.name))
            .then_with(|| own.name.cmp(&others.name))
    }
}

/// How far a bundle is deprecated for someone who asks for that channel, or for none.
pub(crate) fn deprecation(
    package: &Package,
    bundle: &Bundle,
    channel: Option<&str>,
) -> Deprecation {
    let is_deprecated = |channel: &str| package.channels.get(channel).is_some_and(Option::is_some);
    let entries = &bundle.entries;
    if bundle.deprecated.is_some() || !has_deprecated_channel(package) {
        of_bundle(bundle)
    } else if match channel {
        Some(channel) => is_deprecated(channel),
        None => !entries.is_empty() && entries.iter().all(|edge| is_deprecated(&edge.channel)),
    } {
        Deprecation::Channel
    } else {
        Deprecation::None
    }
}

fn has_deprecated_channel(package: &Package) -> bool {
    package.channels.values().any(Option::is_some)
}

fn of_bundle(bundle: &Bundle) -> Deprecation {
    if bundle.deprecated.is_some() {
        Deprecation::Bundle
    } else {
        Deprecation::None
    }
}
