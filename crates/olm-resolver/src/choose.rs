//! The best candidate for one request.

use std::cmp::{Ordering, Reverse};
use std::collections::HashSet;
use std::sync::Arc;

use olm_semver::Version;
use olm_semver::masterminds::{Constraint, PrereleaseMode};

use crate::edges::{EdgeMode, Installed, Origin};
use crate::eligibility::{Facts, eligibility};
use crate::model::{Bundle, Catalog, INSTALLED_CATALOG, Package, label, legacy_release};
use crate::refusal::{EdgeRefusal, Refusal};
use crate::way::next_step;

/// Whether upgrade edges bind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Only along upgrade edges.
    #[default]
    Enforce,
    /// To any bundle, older ones too.
    Ignore,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Name of the Operator that asks, for texts; may be empty.
    pub operator: String,
    /// The package.
    pub package: String,
    /// The channel; `None` for all of them.
    pub channel: Option<String>,
    /// The range of versions; `None` for all of them.
    pub version: Option<Constraint>,
    /// Whether upgrade edges bind.
    pub policy: Policy,
    /// What is installed for that Operator, if anything.
    pub installed: Option<Installed>,
}

/// What was chosen.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The bundle, which names its catalog: [`INSTALLED_CATALOG`] if it is installed but no catalog
    /// offers it any more.
    pub bundle: Arc<Bundle>,
    /// Whether it is the installed bundle.
    pub stays: bool,
}

/// A candidate with what orders it.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    catalog: &'a Catalog,
    package: &'a Package,
    bundle: &'a Arc<Bundle>,
}

/// Chooses the best candidate; see the crate's documentation for what that is.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Ineligible`], [`Refusal::Edge`], [`Refusal::Ambiguous`], in
/// this order of precedence.
pub fn choose(
    catalogs: &[&Catalog],
    request: &Request,
    mode: EdgeMode,
    facts: &Facts,
) -> Result<Choice, Refusal> {
    let mut offered: Vec<Candidate<'_>> = catalogs
        .iter()
        .filter_map(|catalog| Some((*catalog, catalog.package(&request.package)?)))
        .flat_map(|(catalog, package)| {
            package.bundles.iter().map(move |bundle| Candidate {
                catalog,
                package,
                bundle,
            })
        })
        .collect();
    let channel = request.channel.as_deref();
    offered.sort_by(|a, b| a.order(b, channel));

    let in_channel = |candidate: &&Candidate<'_>| {
        channel.is_none_or(|channel| {
            candidate
                .bundle
                .entries
                .iter()
                .any(|edge| edge.channel == channel)
        })
    };
    let in_range = |candidate: &&Candidate<'_>, prereleases: PrereleaseMode| {
        request.version.as_ref().is_none_or(|constraint| {
            let version = candidate.bundle.version.as_ref();
            version.is_ok_and(|version| constraint.matches(version, prereleases))
        })
    };
    let origin = origin(&offered, request);
    let bound = origin.filter(|_| request.policy == Policy::Enforce);

    let asked: Vec<Candidate<'_>> = offered
        .iter()
        .filter(in_channel)
        .filter(|candidate| in_range(candidate, PrereleaseMode::default()))
        .copied()
        .collect();
    let stays = |bundle: &Bundle| origin.is_some_and(|origin| origin.is(bundle));
    let mut reasons = Vec::new();
    let usable: Vec<Candidate<'_>> = asked
        .iter()
        .filter(|candidate| match eligibility(candidate.bundle, facts) {
            Ok(()) => true,
            // What runs may go on running.
            Err(_) if stays(candidate.bundle) => true,
            Err(reason) => {
                reasons.push((candidate.bundle.label(), reason));
                false
            }
        })
        .copied()
        .collect();
    let mut reachable = usable.clone();
    if let Some(origin) = bound {
        reachable.retain(|candidate| {
            origin.is(candidate.bundle) || origin.leads_to(candidate.bundle, mode, channel)
        });
    }
    if let Some(best) = reachable.first() {
        return decide(best, &reachable, request, &stays);
    }
    if let Some(kept) = origin.and_then(|origin| kept(&offered, request, origin)) {
        return Ok(Choice {
            bundle: Arc::new(kept),
            stays: true,
        });
    }
    if asked.is_empty() {
        return Err(Refusal::NotFound {
            package: request.package.clone(),
            version: request.version.as_ref().map(ToString::to_string),
            channel: request.channel.clone(),
            only_prereleases: offered
                .iter()
                .filter(in_channel)
                .any(|candidate| in_range(&candidate, PrereleaseMode::Include)),
        });
    }
    match (usable.is_empty(), origin) {
        (false, Some(origin)) => Err(edge_refusal(
            &offered, &usable, request, origin, mode, facts,
        )),
        _ => Err(Refusal::Ineligible {
            package: request.package.clone(),
            reasons,
        }),
    }
}

/// Takes the best candidate unless other catalogs offer the same with another image.
fn decide(
    best: &Candidate<'_>,
    reachable: &[Candidate<'_>],
    request: &Request,
    stays: &dyn Fn(&Bundle) -> bool,
) -> Result<Choice, Refusal> {
    let channel = request.channel.as_deref();
    let tied: Vec<&Candidate<'_>> = reachable
        .iter()
        .filter(|other| other.preference(channel) == best.preference(channel))
        .collect();
    let choice = |candidate: &Candidate<'_>| Choice {
        bundle: Arc::clone(candidate.bundle),
        stays: stays(candidate.bundle),
    };
    // Of equals, what runs already.
    let image = request
        .installed
        .as_ref()
        .and_then(|installed| installed.image.as_deref());
    if let Some(running) = tied
        .iter()
        .find(|other| stays(other.bundle) && Some(other.bundle.image.as_str()) == image)
    {
        return Ok(choice(running));
    }
    let mut catalogs: Vec<String> = tied
        .iter()
        .filter(|other| {
            other.catalog.name == best.catalog.name || other.bundle.image != best.bundle.image
        })
        .map(|other| other.catalog.name.clone())
        .collect();
    catalogs.sort();
    catalogs.dedup();
    if catalogs.len() > 1 {
        return Err(Refusal::Ambiguous {
            package: request.package.clone(),
            version: request.version.as_ref().map(ToString::to_string),
            channel: request.channel.clone(),
            catalogs,
        });
    }
    Ok(choice(best))
}

/// The installed bundle, with its release as the catalogs know it where the caller does not.
fn origin<'a>(offered: &[Candidate<'a>], request: &'a Request) -> Option<Origin<'a>> {
    let installed = request.installed.as_ref()?;
    let origin = Origin {
        name: &installed.name,
        version: &installed.version,
        release: &installed.release,
    };
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

/// The installed bundle, if no catalog offers it any more and nothing speaks against keeping it.
fn kept(offered: &[Candidate<'_>], request: &Request, origin: Origin<'_>) -> Option<Bundle> {
    let installed = request.installed.as_ref()?;
    let image = installed.image.as_ref()?;
    let wanted = installed.package == request.package
        && request.policy == Policy::Enforce
        && request.channel.is_none()
        && request
            .version
            .as_ref()
            .is_none_or(|range| range.matches(&installed.version, PrereleaseMode::default()));
    if !wanted || offered.is_empty() || offered.iter().any(|other| origin.is(other.bundle)) {
        return None;
    }
    Some(Bundle {
        catalog: INSTALLED_CATALOG.to_owned(),
        package: installed.package.clone(),
        name: installed.name.clone(),
        version: Ok(installed.version.clone()),
        release: origin.release.to_owned(),
        image: image.clone(),
        media_type: String::new(),
        entries: Vec::new(),
        requires: Ok(Vec::new()),
        provides: Vec::new(),
        deprecated: None,
        withdrawn: false,
        min_kube_version: None,
        supersedes: 0,
    })
}

/// Names what one edge leads to, and the first step of a longer way to what is asked for.
fn edge_refusal(
    offered: &[Candidate<'_>],
    targets: &[Candidate<'_>],
    request: &Request,
    origin: Origin<'_>,
    mode: EdgeMode,
    facts: &Facts,
) -> Refusal {
    let mut bundles: Vec<&Bundle> = offered
        .iter()
        .map(|candidate| candidate.bundle.as_ref())
        .filter(|bundle| eligibility(bundle, facts).is_ok())
        .collect();
    // Newest first here, whatever is preferred.
    bundles.sort_by(|a, b| {
        let versions = (b.version.as_ref().ok(), a.version.as_ref().ok());
        versions
            .0
            .cmp(&versions.1)
            .then_with(|| olm_semver::compare_releases(&b.release, &a.release))
    });
    let key = |bundle: &Bundle| (bundle.catalog.clone(), bundle.name.clone());
    let targets: HashSet<_> = targets.iter().map(|target| key(target.bundle)).collect();
    let is_target = |bundle: &Bundle| targets.contains(&key(bundle));
    let mut successors: Vec<String> = Vec::new();
    let mut listed: HashSet<String> = HashSet::new();
    let mut identifiers: Vec<String> = Vec::new();
    let identifier =
        |bundle: &Bundle| format!("{}-{}-{}", bundle.catalog, bundle.package, bundle.name);
    for bundle in bundles
        .iter()
        .filter(|bundle| origin.leads_to(bundle, mode, None))
    {
        let mut label = bundle.label();
        // What is asked for, but by an edge that lies elsewhere.
        if is_target(bundle) {
            let mut channels: Vec<String> = bundle
                .entries
                .iter()
                .filter(|edge| origin.follows(edge))
                .map(|edge| format!("{:?}", edge.channel))
                .collect();
            channels.dedup();
            label = format!("{label} (in channel {})", channels.join(", "));
        }
        if listed.insert(label.clone()) {
            successors.push(label);
        }
        identifiers.push(identifier(bundle));
    }
    identifiers.extend(
        offered
            .iter()
            .map(|other| other.bundle)
            .filter(|other| origin.is(other))
            .map(|b| identifier(b)),
    );
    let asked = match (&request.version, &request.channel) {
        (Some(version), Some(channel)) => format!("{version} in channel {channel:?}"),
        (Some(version), None) => version.to_string(),
        (None, Some(channel)) => format!("channel {channel:?}"),
        (None, None) => "any version".to_owned(),
    };
    Refusal::Edge(Box::new(EdgeRefusal {
        package: request.package.clone(),
        installed: label(origin.version, origin.release),
        successors,
        operator: request.operator.clone(),
        asked,
        next: next_step(origin, &bundles, is_target, mode).map(Bundle::label),
        identifiers,
    }))
}

/// What decides between candidates of different catalogs: lower is better.
type Preference<'a> = (Deprecation, Reverse<i32>, Reverse<Option<&'a Version>>);

/// Lower is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deprecation {
    None,
    Channel,
    Bundle,
}

impl<'a> Candidate<'a> {
    fn deprecation(&self, channel: Option<&str>) -> Deprecation {
        let is_deprecated = |channel: &str| {
            self.package
                .channels
                .get(channel)
                .is_some_and(Option::is_some)
        };
        let entries = &self.bundle.entries;
        if self.bundle.deprecated.is_some() {
            Deprecation::Bundle
        } else if match channel {
            Some(channel) => is_deprecated(channel),
            None => !entries.is_empty() && entries.iter().all(|edge| is_deprecated(&edge.channel)),
        } {
            Deprecation::Channel
        } else {
            Deprecation::None
        }
    }

    fn preference(&self, channel: Option<&str>) -> (Preference<'a>, &'a str) {
        let bundle: &'a Bundle = self.bundle;
        let newest = Reverse(bundle.version.as_ref().ok());
        (
            (
                self.deprecation(channel),
                Reverse(self.catalog.priority),
                newest,
            ),
            &bundle.release,
        )
    }

    fn order(&self, other: &Self, channel: Option<&str>) -> Ordering {
        let ((a, a_release), (b, b_release)) =
            (self.preference(channel), other.preference(channel));
        a.cmp(&b)
            .then_with(|| olm_semver::compare_releases(b_release, a_release))
            .then_with(|| other.bundle.supersedes.cmp(&self.bundle.supersedes))
            .then_with(|| self.catalog.name.cmp(&other.catalog.name))
            .then_with(|| self.bundle.name.cmp(&other.bundle.name))
    }
}
