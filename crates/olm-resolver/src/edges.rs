//! Upgrade edges: over what a bundle may be installed.

use olm_semver::Version;
use olm_semver::masterminds::{Constraint, PrereleaseMode};

use crate::model::{Bundle, ChannelEdge};

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
    /// Its release; `""` for none, and where it is not known: then it has that of the bundle of the
    /// same name and version that is offered, or the one in the build metadata of its version.
    pub release: String,
    /// Reference of the image it was installed from, where known.
    pub image: Option<String>,
}

impl Installed {
    /// As the origin of edges, with the release as it is known here.
    pub(crate) fn origin(&self) -> Origin<'_> {
        Origin {
            name: &self.name,
            version: &self.version,
            release: &self.release,
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

impl Origin<'_> {
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
                .any(|edge| self.follows(edge)),
        }
    }

    /// Whether a channel entry names the origin as one that its bundle may be installed over.
    pub(crate) fn follows(&self, edge: &ChannelEdge) -> bool {
        edge.replaces.as_deref() == Some(self.name)
            || edge.skips.iter().any(|skipped| skipped == self.name)
            || edge
                .skip_range
                .as_ref()
                .is_some_and(|range| range.contains(self.version))
    }
}

/// Whether a version satisfies `^V, !=V`.
fn compatible(installed: &Version, version: &Version) -> bool {
    Constraint::parse(&format!("^{installed}, !={installed}"))
        .is_ok_and(|constraint| constraint.matches(version, PrereleaseMode::Group))
}
