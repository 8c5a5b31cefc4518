//! Why there is no answer, in words for users.

use std::fmt;
use std::sync::Arc;

use crate::eligibility::Ineligibility;
use crate::joint::Explanation;

/// Most items that a text lists.
const MAX_LISTED: usize = 20;

/// Why nothing was chosen, or what was chosen may not be installed. The text is complete: it goes
/// into a condition as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No bundle of that package, range and channel.
    #[error("{}", not_found(package, version.as_deref(), channel.as_deref(), *only_prereleases))]
    NotFound {
        /// The package.
        package: String,
        /// The range asked for.
        version: Option<String>,
        /// The channel asked for.
        channel: Option<String>,
        /// Whether the range would hold pre-releases if it allowed any.
        only_prereleases: bool,
    },
    /// Every bundle that was asked for is unusable.
    #[error("{}", unusable(package, reasons))]
    Ineligible {
        /// The package.
        package: String,
        /// Each bundle and why, in order of preference.
        reasons: Vec<(String, Ineligibility)>,
    },
    /// No single upgrade edge leads to what is asked for.
    #[error("{0}")]
    Edge(Box<EdgeRefusal>),
    /// Several catalogs offer different images of what would be chosen.
    #[error("{}", ambiguous(package, version.as_deref(), channel.as_deref(), catalogs))]
    Ambiguous {
        /// The package.
        package: String,
        /// The range asked for.
        version: Option<String>,
        /// The channel asked for.
        channel: Option<String>,
        /// The catalogs by name.
        catalogs: Vec<String>,
    },
    /// Another Operator asks for the same package.
    #[error(
        "package {package:?} is already asked for by Operator {other:?}, delete one of the two: \
         duplicate identifier \"required package {package}\" in input"
    )]
    Duplicate {
        /// The package.
        package: String,
        /// Name of the Operator that has it.
        other: String,
    },
    /// Nothing is installed, and nothing is to be decided.
    #[error("package {package:?} is not installed, and its Operator is suspended")]
    Suspended {
        /// The package.
        package: String,
    },
    /// What the Operators of a group ask for cannot hold together.
    #[error("{}", .0.summary)]
    Unsatisfiable(Arc<Explanation>),
    /// The budget was used up.
    #[error("cancelled before a solution could be found")]
    Cancelled,
    /// The solution did not pass the check. Nothing of it is used.
    #[error("internal error: the solution is not sound: {0}")]
    Unsound(String),
    /// What the bundle requires is not installed.
    #[error("{package} {version} requires {}", missing.join(", and "))]
    Dependencies {
        /// The package of the bundle.
        package: String,
        /// Its version.
        version: String,
        /// What is missing, one clause each.
        missing: Vec<String>,
    },
    /// The bundle requires something in a way that is not supported.
    #[error(
        "bundle {bundle:?} has a dependency declared via property {property:?} which is currently not supported"
    )]
    UnsupportedDependency {
        /// Name of the bundle.
        bundle: String,
        /// Type of the property.
        property: &'static str,
    },
}

impl Refusal {
    /// The text in the form of the reference's solver: `constraints not satisfiable:`, the
    /// sentence, and one line per fact. For [`Refusal::Edge`] and [`Refusal::Unsatisfiable`]; every
    /// other refusal is its own text.
    pub fn explanation(&self) -> String {
        let edge = match self {
            Self::Edge(edge) => edge,
            Self::Unsatisfiable(explanation) => return explanation.to_string(),
            _ => return self.to_string(),
        };
        format!(
            "constraints not satisfiable:\n{edge}\n- installed package {} requires at least one of {}",
            edge.package,
            list(&edge.identifiers)
        )
    }
}

/// Why what is installed cannot be updated to what is asked for in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeRefusal {
    /// The package.
    pub package: String,
    /// The installed version.
    pub installed: String,
    /// Versions that one edge leads to, newest first.
    pub successors: Vec<String>,
    /// Name of the Operator; `""` if unknown.
    pub operator: String,
    /// What it asks for.
    pub asked: String,
    /// The next step on a way of several edges.
    pub next: Option<String>,
    /// Identifiers `CATALOG-PACKAGE-BUNDLE` of the successors, newest first, and of the installed
    /// bundle, as the reference writes them.
    pub identifiers: Vec<String>,
}

impl fmt::Display for EdgeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "package {:?} is installed at {} and ",
            self.package, self.installed
        )?;
        if self.successors.is_empty() {
            f.write_str("has no update; ")?;
        } else {
            write!(f, "may only be updated to {}; ", list(&self.successors))?;
        }
        if self.operator.is_empty() {
            f.write_str("the request")?;
        } else {
            write!(f, "Operator {:?}", self.operator)?;
        }
        write!(f, " asks for {}", self.asked)?;
        if let Some(next) = &self.next {
            write!(
                f,
                ", which can be reached in several updates, the next one to {next}"
            )?;
        }
        Ok(())
    }
}

/// Items with commas between them, at most [`MAX_LISTED`].
pub(crate) fn list(items: &[String]) -> String {
    match items.get(..MAX_LISTED) {
        Some(listed) if items.len() > MAX_LISTED => {
            format!(
                "{} and {} more",
                listed.join(", "),
                items.len() - MAX_LISTED
            )
        }
        _ => items.join(", "),
    }
}

fn not_found(
    package: &str,
    version: Option<&str>,
    channel: Option<&str>,
    only_prereleases: bool,
) -> String {
    let mut text = format!("no package {package:?}");
    if let Some(version) = version {
        text = format!("{text} matching version {version:?}");
    }
    text.push_str(" found");
    if let Some(channel) = channel {
        text = format!("{text} in channel {channel:?}");
    }
    if only_prereleases {
        text.push_str(
            "; it has only pre-release versions there, allow them with a range such as \">=0.0.0-0\"",
        );
    }
    text
}

pub(crate) fn unusable(package: &str, reasons: &[(String, Ineligibility)]) -> String {
    let mut listed: Vec<String> = reasons
        .iter()
        .take(MAX_LISTED)
        .map(|(label, why)| format!("{label} {why}"))
        .collect();
    if reasons.len() > MAX_LISTED {
        listed.push(format!("and {} more", reasons.len() - MAX_LISTED));
    }
    format!(
        "no usable version of package {package:?}: {}",
        listed.join("; ")
    )
}

fn ambiguous(
    package: &str,
    version: Option<&str>,
    channel: Option<&str>,
    catalogs: &[String],
) -> String {
    let mut text = format!("found bundles for package {package:?}");
    if let Some(version) = version {
        text = format!("{text} matching version {version:?}");
    }
    if let Some(channel) = channel {
        text = format!("{text} in channels [{channel}]");
    }
    format!(
        "{text} in multiple catalogs with the same priority [{}]",
        catalogs.join(" ")
    )
}
