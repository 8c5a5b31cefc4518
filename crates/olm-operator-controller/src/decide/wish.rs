//! What an Operator wishes for, as the resolver takes it.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::ResourceExt;
use kube::core::{Selector, SelectorExt as _};
use olm_api::operator::{
    BundleIdentity, DEFAULT_PROGRESS_DEADLINE, DependencyPolicy, Operator, OperatorSpec,
    UpgradeApproval, UpgradeConstraintPolicy,
};
use olm_resolver::{Approval, Dependencies, Installed, Member, Policy, Refusal, Request};
use olm_runtime::{DurationError, GoDuration};
use olm_semver::Version;
use olm_semver::masterminds::Constraint;
use serde::Serialize;

use crate::catalogs::Snapshot;
use crate::deployment::Wanted;

/// Everything of an Operator that its answer, and those of others, depend on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Wish {
    pub(crate) name: String,
    pub(crate) created: i64,
    pub(crate) spec: OperatorSpec,
    /// The bundle that runs.
    pub(crate) running: Option<Wanted>,
    /// The bundle from which it goes on although it does not run.
    pub(crate) from: Option<BundleIdentity>,
    /// Whether nothing is decided for it: what runs stays.
    pub(crate) stands: bool,
    /// Names of bundles that are left out.
    pub(crate) avoid: Vec<String>,
    /// The bundle that failed and was taken back, for whose sake they are.
    pub(crate) failed: Option<BundleIdentity>,
    /// Names of the catalogs that may answer; `None` for all.
    pub(crate) catalogs: Option<Vec<String>>,
}

/// Why a spec cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// `spec.version` is no range.
    Version,
    /// Something else; what.
    Other(String),
}

impl Wish {
    /// Reads the spec of an Operator.
    ///
    /// # Errors
    ///
    /// What nothing but a change of the spec can help.
    pub(crate) fn new(operator: &Operator, catalogs: &Snapshot) -> Result<Self, Invalid> {
        let spec = &operator.spec;
        if range(spec).is_err() {
            return Err(Invalid::Version);
        }
        if let Some(text) = &spec.approved_version
            && let Err(error) = Version::parse_strict(text)
        {
            let text = format!("approvedVersion {text:?} is invalid: {error}");
            return Err(Invalid::Other(text));
        }
        progress_deadline(spec)
            .map_err(|error| Invalid::Other(format!("progressDeadline is invalid: {error}")))?;
        let created = operator.metadata.creation_timestamp.as_ref();
        Ok(Self {
            name: operator.name_any(),
            created: created.map_or(0, |time| time.0.as_second()),
            spec: spec.clone(),
            stands: spec.suspend,
            catalogs: selected(spec, catalogs)?,
            ..Self::default()
        })
    }

    /// The request by itself.
    pub(crate) fn request(&self) -> Request {
        let running = self.running.as_ref().map(|running| &running.identity);
        Request {
            operator: self.name.clone(),
            package: self.spec.package_name.clone(),
            channel: self.spec.channel.clone(),
            version: range(&self.spec).unwrap_or_default(),
            policy: match self.spec.upgrade_constraint_policy {
                UpgradeConstraintPolicy::Enforce => Policy::Enforce,
                UpgradeConstraintPolicy::Ignore => Policy::Ignore,
            },
            installed: self.from.as_ref().or(running).and_then(installed),
        }
    }

    /// As a member of a problem.
    pub(crate) fn member(&self) -> Member {
        let approved = self.spec.approved_version.as_deref();
        let running = self.running.as_ref().filter(|_| self.from.is_none());
        Member {
            request: self.request(),
            created: self.created,
            declared: running.and_then(Wanted::declares),
            suspended: self.stands,
            approval: match self.spec.upgrade_approval {
                UpgradeApproval::Automatic => Approval::Automatic,
                UpgradeApproval::Manual => {
                    Approval::Manual(approved.and_then(|text| Version::parse_strict(text).ok()))
                }
            },
            avoid: self.avoid.clone(),
            catalogs: self.catalogs.clone(),
            dependencies: match self.spec.dependency_policy {
                DependencyPolicy::Install => Dependencies::Install,
                DependencyPolicy::Require => Dependencies::Require,
            },
            ..Member::default()
        }
    }

    /// That nobody offers it.
    pub(crate) fn not_found(&self) -> Refusal {
        Refusal::NotFound {
            package: self.spec.package_name.clone(),
            version: self.spec.version.clone(),
            channel: self.spec.channel.clone(),
            only_prereleases: false,
        }
    }

    /// Whether a catalog may answer.
    pub(crate) fn may_answer(&self, catalog: &str) -> bool {
        let names = self.catalogs.as_ref();
        names.is_none_or(|names| names.iter().any(|name| name == catalog))
    }
}

/// How long an install or upgrade may take.
///
/// # Errors
///
/// When the spec names no duration.
pub(crate) fn progress_deadline(spec: &OperatorSpec) -> Result<Duration, DurationError> {
    let text = spec.progress_deadline.as_deref();
    let text = text.unwrap_or(DEFAULT_PROGRESS_DEADLINE);
    Ok(text.parse::<GoDuration>()?.get())
}

fn range(
    spec: &OperatorSpec,
) -> Result<Option<Constraint>, olm_semver::masterminds::ConstraintError> {
    spec.version.as_deref().map(Constraint::parse).transpose()
}

/// An identity as something that is installed; `None` where its version cannot be read.
pub(crate) fn installed(identity: &BundleIdentity) -> Option<Installed> {
    Some(Installed {
        package: identity.package.clone(),
        name: identity.name.clone(),
        version: Version::parse_strict(&identity.version).ok()?,
        release: String::new(),
        image: Some(identity.image.clone()),
    })
}

fn selected(spec: &OperatorSpec, catalogs: &Snapshot) -> Result<Option<Vec<String>>, Invalid> {
    let Some(selector) = &spec.catalog_selector else {
        return Ok(None);
    };
    let invalid = |error| Invalid::Other(format!("desired catalog selector is invalid: {error}"));
    let selector = Selector::try_from(selector.clone()).map_err(invalid)?;
    let matches = |name: &str, labels: &BTreeMap<String, String>| {
        let mut labels = labels.clone();
        labels.insert(olm_api::labels::CATALOG_NAME.to_owned(), name.to_owned());
        selector.matches(&labels)
    };
    let known = catalogs.catalogs.iter();
    let matching = known.filter(|(name, known)| matches(name, &known.labels));
    Ok(Some(matching.map(|(name, _)| name.clone()).collect()))
}
