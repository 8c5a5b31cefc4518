//! Catalogs in the compact form that resolution works on.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use olm_semver::{Version, blang};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

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
        for package in packages.values_mut() {
            package.bundles.sort_by(|one, other| order(one, other));
        }
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
    /// Its bundles, best first: those that are not deprecated themselves, then the newest.
    #[serde(deserialize_with = "shared")]
    pub bundles: Vec<Arc<Bundle>>,
    /// Its channels in the order of their names, each with the message of its deprecation.
    pub channels: BTreeMap<String, Option<String>>,
    /// Why the whole package is deprecated, if it is.
    pub deprecated: Option<String>,
    /// What is wrong with its content without making it unusable: channel entries without a
    /// bundle, unreadable ranges, documents that could not be read. In the order of the catalog.
    pub notes: Vec<String>,
}

/// Reads bundles one by one, so that what they share is never there for each of them.
fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Arc<Bundle>>, D::Error> {
    struct Shared;

    impl<'de> Visitor<'de> for Shared {
        type Value = Vec<Arc<Bundle>>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("bundles")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut bundles: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(bundle) = bundles.next_element()? {
                push(&mut all, bundle);
            }
            all.shrink_to_fit();
            Ok(all)
        }
    }

    deserializer.deserialize_seq(Shared)
}

/// Adds a bundle, which shares what it provides with the one before, where that is the same.
pub(crate) fn push(bundles: &mut Vec<Arc<Bundle>>, mut bundle: Bundle) {
    if let Some(before) = bundles.last()
        && before.provides == bundle.provides
    {
        bundle.provides = Arc::clone(&before.provides);
    }
    bundles.push(Arc::new(bundle));
}

/// The order of the bundles of a package in one catalog, best first, where no channel is deprecated.
fn order(one: &Bundle, other: &Bundle) -> Ordering {
    let preference = |bundle: &Bundle| bundle.deprecated.is_some();
    preference(one)
        .cmp(&preference(other))
        .then_with(|| other.version.as_ref().ok().cmp(&one.version.as_ref().ok()))
        .then_with(|| olm_semver::compare_releases(&other.release, &one.release))
        .then_with(|| other.supersedes.cmp(&one.supersedes))
        .then_with(|| one.name.cmp(&other.name))
}

/// A bundle: one version of a package.
// Resolving looks at thousands, and at most of them only at what comes first here. So that is kept
// together, whatever the compiler would do.
#[repr(C)]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bundle {
    /// Its version, or why that cannot be read.
    pub version: Result<Version, String>,
    /// What it requires, in property order; or why that cannot be read.
    pub requires: Result<Vec<Requirement>, String>,
    /// The APIs it provides. Versions of a package mostly provide the same, and share it.
    pub provides: Arc<[Api]>,
    /// Why it is deprecated (by the catalog's `olm.deprecations`), if it is.
    pub deprecated: Option<String>,
    /// Whether it carries the property `olm.deprecated`, which takes it out of use.
    pub withdrawn: bool,
    /// Whether the default channel of its package holds it.
    #[serde(default)]
    pub(crate) in_default_channel: bool,
    /// Whether in every channel that holds it another entry skips it.
    #[serde(default)]
    pub(crate) skipped: bool,
    /// The lowest Kubernetes version it runs on.
    pub min_kube_version: Option<Version>,
    /// Its media type; `""` where the catalog names none, which means `registry+v1`.
    pub media_type: String,
    /// The longest chain of bundles that it supersedes by name, counted only for bundles of equal
    /// version and release, to order them.
    pub(crate) supersedes: usize,
    /// Its release: explicit, or of a `registry+v1` bundle the build metadata of its version where
    /// that can be one; `""` for none.
    pub release: String,
    /// Its name, unique in the package.
    pub name: String,
    /// Its package.
    pub package: String,
    /// The catalog it comes from.
    pub catalog: String,
    /// The reference of its image.
    pub image: String,
    /// Its entry in every channel that holds it.
    pub entries: Vec<ChannelEdge>,
    /// Its labels (`olm.label`).
    #[serde(default)]
    pub labels: Vec<String>,
    /// Its further properties, type and value as JSON, for rules: without those that are kept as
    /// such, those that hold manifests, and values over 4 KiB.
    #[serde(default)]
    pub properties: Vec<(String, String)>,
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
