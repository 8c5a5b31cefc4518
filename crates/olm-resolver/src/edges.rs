//! Upgrade edges: over what a bundle may be installed.

use std::collections::{HashSet, VecDeque};

use olm_semver::Version;
use olm_semver::masterminds::{Constraint, PrereleaseMode};

use crate::model::Bundle;

/// Longest package through which a way is searched; beyond it, texts give no next step.
const MAX_SEARCHED: usize = 2_000;

/// What makes a bundle a successor of another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum EdgeMode {
    /// The catalog says so: `replaces`, `skips` or `skipRange` of one of its channel entries.
    #[default]
    Catalog,
    /// Its version is compatible: it satisfies `^V, !=V`.
    Semver,
}

/// What is installed of a package.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The package.
    pub package: String,
    /// Name of the bundle.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Its release; `""` for none. Where the version has build metadata that counts as its release.
    pub release: String,
    /// Reference of the image it was installed from, where known.
    pub image: Option<String>,
}

impl Installed {
    /// The release, explicit or from the version.
    pub(crate) fn release(&self) -> &str {
        if self.release.is_empty() {
            self.version.build()
        } else {
            &self.release
        }
    }
}

/// What edges start from: an installed bundle, or one on the way from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a Version,
    pub(crate) release: &'a str,
}

impl<'a> From<&'a Installed> for Origin<'a> {
    fn from(installed: &'a Installed) -> Self {
        Self {
            name: &installed.name,
            version: &installed.version,
            release: installed.release(),
        }
    }
}

impl<'a> Origin<'a> {
    fn of(bundle: &'a Bundle) -> Option<Self> {
        let version = bundle.version.as_ref().ok()?;
        Some(Self {
            name: &bundle.name,
            version,
            release: &bundle.release,
        })
    }

    /// Whether a bundle is the origin itself.
    pub(crate) fn is(&self, bundle: &Bundle) -> bool {
        bundle.name == self.name
            && bundle.release == self.release
            && bundle
                .version
                .as_ref()
                .is_ok_and(|version| version == self.version)
    }

    /// Whether one edge leads from here to a bundle; with a channel, an edge of that channel.
    ///
    /// No edge leads to a lower version, nor to the same version without a higher release.
    pub(crate) fn leads_to(&self, bundle: &Bundle, mode: EdgeMode, channel: Option<&str>) -> bool {
        let Ok(version) = &bundle.version else {
            return false;
        };
        let forward = version
            .cmp(self.version)
            .then_with(|| olm_semver::compare_releases(&bundle.release, self.release));
        if forward.is_le() {
            return false;
        }
        match mode {
            EdgeMode::Semver => compatible(self.version, version),
            EdgeMode::Catalog => bundle
                .entries
                .iter()
                .filter(|edge| channel.is_none_or(|channel| edge.channel == channel))
                .any(|edge| {
                    edge.replaces.as_deref() == Some(self.name)
                        || edge.skips.iter().any(|skipped| skipped == self.name)
                        || edge
                            .skip_range
                            .as_ref()
                            .is_some_and(|range| range.contains(self.version))
                }),
        }
    }
}

/// Whether a version satisfies `^V, !=V`.
fn compatible(installed: &Version, version: &Version) -> bool {
    Constraint::parse(&format!("^{installed}, !={installed}"))
        .is_ok_and(|constraint| constraint.matches(version, PrereleaseMode::Group))
}

/// The first step of a shortest way of several edges to one of the targets; of several first steps
/// the one that comes first in `bundles`. `None` if there is no way, or one edge is enough.
pub(crate) fn next_step<'a>(
    origin: Origin<'_>,
    bundles: &[&'a Bundle],
    is_target: impl Fn(&Bundle) -> bool,
    mode: EdgeMode,
) -> Option<&'a Bundle> {
    if bundles.len() > MAX_SEARCHED {
        return None;
    }
    let mut reached = HashSet::new();
    let mut pending = VecDeque::new();
    for (at, bundle) in bundles.iter().enumerate() {
        if origin.leads_to(bundle, mode, None) {
            if is_target(bundle) {
                return None;
            }
            reached.insert(at);
            pending.push_back((*bundle, *bundle));
        }
    }
    while let Some((first, last)) = pending.pop_front() {
        let Some(from) = Origin::of(last) else {
            continue;
        };
        for (at, bundle) in bundles.iter().enumerate() {
            if !reached.contains(&at) && from.leads_to(bundle, mode, None) {
                if is_target(bundle) {
                    return Some(first);
                }
                reached.insert(at);
                pending.push_back((first, *bundle));
            }
        }
    }
    None
}
