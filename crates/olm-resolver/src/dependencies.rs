//! Whether what a bundle requires is installed.

use olm_semver::Version;

use crate::model::{Api, Bundle, Requirement};
use crate::refusal::Refusal;

/// A bundle that is installed, as far as it can meet what others require.
#[derive(Debug, Clone)]
pub struct InstalledBundle {
    /// Its package.
    pub package: String,
    /// Its version.
    pub version: Version,
    /// The APIs it provides.
    pub apis: Vec<Api>,
}

/// Checks that everything a bundle requires is provided by the bundle itself or by an installed
/// bundle of another package; what is installed of its own package is about to be replaced.
///
/// # Errors
/// [`Refusal::UnsupportedDependency`] for a label or an `olm.constraint`; [`Refusal::Dependencies`] naming all
/// that is missing; [`Refusal::Ineligible`] if what it requires cannot be read.
pub fn check_dependencies(bundle: &Bundle, installed: &[InstalledBundle]) -> Result<(), Refusal> {
    let requirements = match &bundle.requires {
        Ok(requirements) => requirements,
        Err(error) => {
            return Err(Refusal::Ineligible {
                package: bundle.package.clone(),
                reasons: vec![(
                    bundle.label(),
                    crate::Ineligibility::Requirement(error.clone()),
                )],
            });
        }
    };
    // What is installed is not known well enough to judge these.
    for requirement in requirements {
        let property = match requirement {
            Requirement::Package { .. } | Requirement::Api(_) => continue,
            Requirement::Label(_) => "olm.label.required",
            Requirement::Constraint(_) => "olm.constraint",
        };
        return Err(Refusal::UnsupportedDependency {
            bundle: bundle.name.clone(),
            property,
        });
    }
    let others = || {
        installed
            .iter()
            .filter(|other| other.package != bundle.package)
    };
    let mut missing: Vec<String> = Vec::new();
    // Packages first, whatever order the catalog lists them in: they are what users ask for.
    let (packages, others_required): (Vec<_>, Vec<_>) = requirements
        .iter()
        .partition(|requirement| matches!(requirement, Requirement::Package { .. }));
    for requirement in packages.into_iter().chain(others_required) {
        let clause = match requirement {
            Requirement::Package { name, range } => {
                let own = *name == bundle.package
                    && bundle
                        .version
                        .as_ref()
                        .is_ok_and(|version| range.contains(version));
                let mut versions = others()
                    .filter(|other| other.package == *name)
                    .map(|other| &other.version);
                if own || versions.clone().any(|version| range.contains(version)) {
                    continue;
                }
                let found = versions
                    .next()
                    .map_or_else(String::new, |version| format!(" (installed: {version})"));
                format!(
                    "package {name:?} in range {:?}, which is not installed{found}",
                    range.as_str()
                )
            }
            Requirement::Api(api) => {
                if bundle.provides.contains(api) || others().any(|other| other.apis.contains(api)) {
                    continue;
                }
                format!("API {api}, which no installed bundle provides")
            }
            Requirement::Label(_) | Requirement::Constraint(_) => continue,
        };
        if !missing.contains(&clause) {
            missing.push(clause);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    // Several clauses read as `a, b, and c`.
    if missing.len() > 2
        && let Some(last) = missing.pop()
    {
        missing = vec![missing.join(", "), last];
    }
    Err(Refusal::Dependencies {
        package: bundle.package.clone(),
        version: bundle.label(),
        missing,
    })
}
