//! The best candidate for one request.

use std::collections::HashSet;
use std::sync::Arc;

use olm_semver::masterminds::{Constraint, PrereleaseMode};

use crate::candidates::{Candidate, Survey};
use crate::edges::{EdgeMode, Installed, Origin};
use crate::eligibility::{Facts, eligibility};
use crate::joint::unlisted;
use crate::model::{Bundle, Catalog, label};
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

impl Request {
    /// What it asks for of the package, for texts.
    pub(crate) fn wish(&self) -> String {
        match (&self.version, &self.channel) {
            (Some(version), Some(channel)) => format!("{version} in channel {channel:?}"),
            (Some(version), None) => version.to_string(),
            (None, Some(channel)) => format!("channel {channel:?}"),
            (None, None) => "any version".to_owned(),
        }
    }
}

/// What was chosen.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The bundle, which names its catalog: [`crate::INSTALLED_CATALOG`] if it is installed but no catalog
    /// offers it any more.
    pub bundle: Arc<Bundle>,
    /// Whether it is the installed bundle.
    pub stays: bool,
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
    let survey = Survey::new(catalogs, request, mode, facts);
    let reachable = survey.reachable();
    if let Some(best) = reachable.first() {
        unambiguous(best, &reachable, request, survey.origin)
    } else if let Some(kept) = survey
        .origin
        .and_then(|o| kept(&survey.offered, request, o))
    {
        Ok(Choice {
            bundle: Arc::new(kept),
            stays: true,
        })
    } else {
        Err(refusal(&survey, request, mode, facts))
    }
}

/// Why nothing can be chosen.
pub(crate) fn refusal(
    survey: &Survey<'_>,
    request: &Request,
    mode: EdgeMode,
    facts: &Facts,
) -> Refusal {
    if survey.asked.is_empty() {
        return Refusal::NotFound {
            package: request.package.clone(),
            version: request.version.as_ref().map(ToString::to_string),
            channel: request.channel.clone(),
            only_prereleases: survey.has_prereleases(request),
        };
    }
    let usable: Vec<Candidate<'_>> = survey
        .asked
        .iter()
        .filter(|asked| asked.unusable.is_none())
        .map(|asked| asked.candidate)
        .collect();
    match (usable.is_empty(), survey.origin) {
        (false, Some(origin)) => {
            edge_refusal(&survey.offered, &usable, request, origin, mode, facts)
        }
        _ => Refusal::Ineligible {
            package: request.package.clone(),
            reasons: survey
                .asked
                .iter()
                .filter_map(|asked| {
                    let label = asked.candidate.bundle.label();
                    Some((label, asked.unusable.clone()?))
                })
                .collect(),
        },
    }
}

/// Takes the best candidate unless other catalogs offer the same with another image.
pub(crate) fn unambiguous(
    best: &Candidate<'_>,
    reachable: &[Candidate<'_>],
    request: &Request,
    origin: Option<Origin<'_>>,
) -> Result<Choice, Refusal> {
    let stays = |bundle: &Bundle| origin.is_some_and(|origin| origin.is(bundle));
    let tied: Vec<&Candidate<'_>> = reachable
        .iter()
        .filter(|other| other.ties_with(best))
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

/// The installed bundle, if no catalog offers it any more and nothing speaks against keeping it.
fn kept(offered: &[Candidate<'_>], request: &Request, origin: Origin<'_>) -> Option<Bundle> {
    let installed = request.installed.as_ref()?;
    let wanted = installed.image.is_some()
        && installed.package == request.package
        && request.policy == Policy::Enforce
        && request.channel.is_none()
        && request
            .version
            .as_ref()
            .is_none_or(|range| range.matches(&installed.version, PrereleaseMode::default()));
    if !wanted || offered.is_empty() || offered.iter().any(|other| origin.is(other.bundle)) {
        return None;
    }
    Some(unlisted(installed, origin))
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
    Refusal::Edge(Box::new(EdgeRefusal {
        package: request.package.clone(),
        installed: label(origin.version, origin.release),
        successors,
        operator: request.operator.clone(),
        asked: request.wish(),
        next: next_step(origin, &bundles, is_target, mode).map(Bundle::label),
        identifiers,
    }))
}
