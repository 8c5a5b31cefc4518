//! What is asked on behalf of all Operators together.

use olm_semver::Version;
use serde::{Deserialize, Serialize};

use crate::choose::Request;
use crate::edges::{EdgeMode, Installed};
use crate::eligibility::Facts;
use crate::model::{Api, Bundle, Catalog, Requirement};

/// Steps that are enough for any problem that people make: 20 million.
pub const DEFAULT_BUDGET: u64 = 20_000_000;

/// All Operators with what is offered and what is installed.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// The catalogs that can be read, each under a name of its own.
    pub catalogs: &'a [&'a Catalog],
    /// The Operators in any order; each under a name of its own.
    pub operators: &'a [Member],
    /// What is installed without an Operator. It is left as it is unless someone needs it, and
    /// then moves only along upgrade edges.
    pub adopted: &'a [Running],
    /// What makes a bundle a successor.
    pub mode: EdgeMode,
    /// What is known of the cluster.
    pub facts: &'a Facts,
    /// Steps that solving one group of Operators may take; see [`DEFAULT_BUDGET`].
    pub budget: u64,
}

/// An Operator, as far as it matters to others.
#[derive(Debug, Clone, Default)]
pub struct Member {
    /// What it asks for, and what is installed for it.
    pub request: Request,
    /// When it was made; only the order counts. The older is decided first.
    pub created: i64,
    /// What the installed bundle declared when it was installed. `None`: what a catalog says of it,
    /// and nothing where none offers it.
    pub declared: Option<Declared>,
    /// Whether nothing is to be decided: what is installed stays.
    pub suspended: bool,
    /// Whether updates wait for approval.
    pub approval: Approval,
    /// Names of bundles that are left out, such as one that failed.
    pub avoid: Vec<String>,
    /// Names of the catalogs that may answer; `None` for all.
    pub catalogs: Option<Vec<String>>,
    /// What happens where catalogs offer different images of what is best.
    pub ties: Ties,
    /// What happens with what it needs.
    pub dependencies: Dependencies,
}

/// A request of an Operator without any of the further wishes.
impl From<Request> for Member {
    fn from(request: Request) -> Self {
        Self {
            request,
            ..Self::default()
        }
    }
}

/// Whether updates wait for approval. What is not installed yet never waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Approval {
    /// They do not.
    #[default]
    Automatic,
    /// Only to the version that is approved, if one is.
    Manual(Option<Version>),
}

/// What happens where catalogs of one priority offer different images of the best candidate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Ties {
    /// The request is refused: the choice would be a guess.
    #[default]
    Refuse,
    /// The first catalog by name is taken, as it is for dependencies.
    ByName,
}

/// What happens with what a bundle needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Dependencies {
    /// It is selected, too.
    #[default]
    Install,
    /// It has to be asked for, or to be installed.
    Require,
    /// It is left aside.
    Ignore,
}

/// Something that is installed.
#[derive(Debug, Clone)]
pub struct Running {
    /// The bundle.
    pub installed: Installed,
    /// As for [`Member::declared`].
    pub declared: Option<Declared>,
}

/// What a bundle declared when it was installed. It can be stored, and read back by this version of
/// the crate and later ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Declared {
    /// What it requires.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Requirement>,
    /// The APIs it provides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<Api>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Its further properties, type and value as JSON.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<(String, String)>,
}

/// What a bundle declares now; nothing where its requirements cannot be read.
impl From<&Bundle> for Declared {
    fn from(bundle: &Bundle) -> Self {
        Self {
            requires: bundle.requires.clone().unwrap_or_default(),
            provides: bundle.provides.to_vec(),
            labels: bundle.labels.clone(),
            properties: bundle.properties.clone(),
        }
    }
}
