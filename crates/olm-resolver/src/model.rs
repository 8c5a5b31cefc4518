//! Catalogs in the compact form that resolution works on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use olm_semver::{Version, blang};
use serde::{Deserialize, Serialize};

use crate::constraint::Constraint;
use crate::index::Index;

/// Name of the catalog of a bundle that is installed but no longer offered.
pub const INSTALLED_CATALOG: &str = "@installed";

/// A catalog: its packages with all that resolution needs of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Catalog {
    /// Its name.
    pub name: String,
    /// Catalogs of higher priority are preferred. Default 0.
    pub priority: i32,
    pub(crate) packages: BTreeMap<String, Package>,
    #[serde(skip)]
    pub(crate) index: Index,
}

/// A catalog as it is stored.
#[derive(Deserialize)]
struct Stored {
    name: String,
    priority: i32,
    packages: BTreeMap<String, Package>,
}

impl From<Stored> for Catalog {
    fn from(stored: Stored) -> Self {
        Self::new(stored.name, stored.priority, stored.packages)
    }
}

impl Catalog {
    pub(crate) fn new(
        name: String,
        priority: i32,
        mut packages: BTreeMap<String, Package>,
    ) -> Self {
        packages.values_mut().for_each(Package::share);
        let index = Index::new(&packages);
        Self {
            name,
            priority,
            packages,
            index,
        }
    }

    /// The package of that name.
    pub fn package(&self, name: &str) -> Option<&Package> {
        self.packages.get(name)
    }

    /// All packages by name.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.values()
    }
}

/// A package of one catalog.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its default channel; `""` where the catalog names none. Resolution does not consult it.
    pub default_channel: String,
    /// Its bundles in the order of the catalog.
    pub bundles: Vec<Arc<Bundle>>,
    /// Its channels in the order of their names, each with the message of its deprecation.
    pub channels: BTreeMap<String, Option<String>>,
    /// Why the whole package is deprecated, if it is.
    pub deprecated: Option<String>,
    /// What is wrong with its content without making it unusable: channel entries without a
    /// bundle, unreadable ranges, documents that could not be read. In the order of the catalog.
    pub notes: Vec<String>,
}

impl Package {
    /// Lets bundles share what they provide with the one before, where that is the same.
    fn share(&mut self) {
        let mut before: Arc<[Api]> = Arc::default();
        for bundle in self.bundles.iter_mut().filter_map(Arc::get_mut) {
            if bundle.provides == before {
                bundle.provides = Arc::clone(&before);
            } else {
                before = Arc::clone(&bundle.provides);
            }
        }
    }
}

/// A bundle: one version of a package.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bundle {
    /// The catalog it comes from.
    pub catalog: String,
    /// Its package.
    pub package: String,
    /// Its name, unique in the package.
    pub name: String,
    /// Its version, or why that cannot be read.
    pub version: Result<Version, String>,
    /// Its release: explicit, or of a `registry+v1` bundle the build metadata of its version where
    /// that can be one; `""` for none.
    pub release: String,
    /// The reference of its image.
    pub image: String,
    /// Its media type; `""` where the catalog names none, which means `registry+v1`.
    pub media_type: String,
    /// Its entry in every channel that holds it.
    pub entries: Vec<ChannelEdge>,
    /// What it requires, in property order; or why that cannot be read.
    pub requires: Result<Vec<Requirement>, String>,
    /// The APIs it provides. Versions of a package mostly provide the same, and share it.
    pub provides: Arc<[Api]>,
    /// Its labels (`olm.label`).
    #[serde(default)]
    pub labels: Vec<String>,
    /// Its further properties, type and value as JSON, for rules: without those that are kept as
    /// such, those that hold manifests, and values over 4 KiB.
    #[serde(default)]
    pub properties: Vec<(String, String)>,
    /// Why it is deprecated (by the catalog's `olm.deprecations`), if it is.
    pub deprecated: Option<String>,
    /// Whether it carries the property `olm.deprecated`, which takes it out of use.
    pub withdrawn: bool,
    /// The lowest Kubernetes version it runs on.
    pub min_kube_version: Option<Version>,
    /// The longest chain of bundles that it supersedes by name, counted only for bundles of equal
    /// version and release, to order them.
    pub(crate) supersedes: usize,
    /// Whether the default channel of its package holds it.
    #[serde(default)]
    pub(crate) in_default_channel: bool,
    /// Whether in every channel that holds it another entry skips it.
    #[serde(default)]
    pub(crate) skipped: bool,
}

impl Bundle {
    /// A bundle of which nothing else is known.
    pub(crate) fn new(package: String, name: String, version: Version) -> Self {
        Self {
            catalog: String::new(),
            package,
            name,
            version: Ok(version),
            release: String::new(),
            image: String::new(),
            media_type: String::new(),
            entries: Vec::new(),
            requires: Ok(Vec::new()),
            provides: Arc::default(),
            labels: Vec::new(),
            properties: Vec::new(),
            deprecated: None,
            withdrawn: false,
            min_kube_version: None,
            supersedes: 0,
            in_default_channel: false,
            skipped: false,
        }
    }

    /// Whether it is of that package, at a version in the range.
    pub(crate) fn is_in(&self, package: &str, range: &blang::Range) -> bool {
        self.package == package
            && self
                .version
                .as_ref()
                .is_ok_and(|version| range.contains(version))
    }

    /// The version with its release where that is explicit, or the name of the bundle if the
    /// version cannot be read. For texts.
    pub fn label(&self) -> String {
        match &self.version {
            Ok(version) => label(version, &self.release),
            Err(_) => format!("bundle {:?}", self.name),
        }
    }
}

/// A version with its release where that is not in it already, for texts.
pub(crate) fn label(version: &Version, release: &str) -> String {
    if release.is_empty() || version.build() == release {
        version.to_string()
    } else {
        format!("{version}-{release}")
    }
}

/// The release in the build metadata of the version of a `registry+v1` bundle that names none, `""`
/// where there is none. Build metadata that is not written like a release is only build metadata.
pub(crate) fn legacy_release(version: &Version) -> &str {
    let build = version.build();
    let is_release = build
        .split('.')
        .all(|identifier| olm_semver::check_prerelease_identifier(identifier).is_ok());
    if is_release { build } else { "" }
}

/// A bundle's entry in a channel: what it may be installed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelEdge {
    /// The channel.
    pub channel: String,
    /// Name of the bundle it replaces.
    pub replaces: Option<String>,
    /// Names of further bundles it may be installed over.
    pub skips: Vec<String>,
    /// Versions it may be installed over.
    pub skip_range: Option<blang::Range>,
}

/// An API: one kind in one version of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Api {
    /// The group; `""` for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The kind.
    pub kind: String,
}

/// Writes `GROUP/VERSION KIND`.
impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.group.is_empty() {
            write!(f, "{}/", self.group)?;
        }
        write!(f, "{} {}", self.version, self.kind)
    }
}

/// Something a bundle requires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Requirement {
    /// A package in a range (`olm.package.required`).
    Package {
        /// Name of the package.
        name: String,
        /// Versions that will do.
        range: blang::Range,
    },
    /// An API (`olm.gvk.required`).
    Api(Api),
    /// A label (`olm.label.required`).
    Label(String),
    /// A compound constraint (`olm.constraint`).
    Constraint(Box<Constraint>),
}

impl Requirement {
    /// Whether a bundle meets it.
    pub fn is_met_by(&self, bundle: &Bundle) -> bool {
        self.is_met_at(bundle, &mut 0)
    }

    /// The same, adding the steps that it may have taken.
    pub(crate) fn is_met_at(&self, bundle: &Bundle, steps: &mut u64) -> bool {
        *steps = steps.saturating_add(1);
        match self {
            Self::Package { name, range } => bundle.is_in(name, range),
            Self::Api(api) => bundle.provides.contains(api),
            Self::Label(label) => bundle.labels.contains(label),
            Self::Constraint(constraint) => constraint.test.holds_at(bundle, steps),
        }
    }
}
