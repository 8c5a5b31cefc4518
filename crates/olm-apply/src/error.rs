//! Why objects were not applied or removed, in words that name them.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use kube::core::Status;

use crate::{ObjectId, Owner, UnsafeChange};

/// What the API server answered, or that it did not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The API server refused; its own words.
    #[error("{}", status_text(.0))]
    Refused(Box<Status>),
    /// No answer, or none that can be read.
    #[error("the API server did not answer")]
    Transport(#[source] Box<kube::Error>),
}

fn status_text(status: &Status) -> String {
    match (status.message.trim(), status.reason.as_str()) {
        ("", "") => format!("the API server answered with status {}", status.code),
        ("", reason) => reason.to_owned(),
        (message, _) => message.to_owned(),
    }
}

impl From<kube::Error> for RequestError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused(status),
            other => Self::Transport(Box::new(other)),
        }
    }
}

impl RequestError {
    /// HTTP status code of the answer.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused(status) => Some(status.code),
            Self::Transport(_) => None,
        }
    }

    /// Whether what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Whether two writes met, and this one was put off: the same request may succeed at once. Not
    /// so where it disagrees with another field manager, or was meant for another object.
    pub(crate) fn is_race(&self) -> bool {
        let Self::Refused(status) = self else {
            return false;
        };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        status.code == 409
            && status.reason == "Conflict"
            && causes.count() == 0
            && !self.is_for_another()
    }

    /// Whether the object has another UID than the one that was meant.
    pub(crate) fn is_for_another(&self) -> bool {
        matches!(self, Self::Refused(status)
            if status.code == 409 && status.message.contains("precondition"))
    }

    /// Whether the same request may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self.code() {
            None => true,
            Some(code) => code == 409 || code == 429 || code == 408 || code >= 500,
        }
    }
}

/// Why one object cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// No API of this kind and version is served, and the set does not bring it.
    NoMatch,
    /// It exists and nobody's labels are on it.
    NotOwned(Owner),
    /// It exists and belongs to somebody else.
    OwnedByOther {
        /// Who wants to apply it.
        owner: Owner,
        /// Whose labels it carries.
        other: Owner,
    },
    /// It exists and is on its way out.
    BeingDeleted,
    /// It would go to a namespace in which applied content has no place.
    ProtectedNamespace,
    /// The set names it more than once.
    Duplicate,
    /// It is not an object.
    Malformed(String),
    /// It is a definition, and a change of it could break objects of its kind.
    UnsafeUpgrade(UnsafeChange),
    /// The API server refused it.
    Rejected {
        /// HTTP status code.
        code: u16,
        /// The API server's words.
        message: String,
    },
}

/// One object that cannot be applied, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The object; absent where it has no identity.
    pub object: Option<ObjectId>,
    /// Why.
    pub reason: RefusalReason,
}

impl Refusal {
    pub(crate) fn new(object: &ObjectId, reason: RefusalReason) -> Self {
        Self {
            object: Some(object.clone()),
            reason,
        }
    }

    pub(crate) fn malformed(problem: impl fmt::Display) -> Self {
        Self {
            object: None,
            reason: RefusalReason::Malformed(problem.to_string()),
        }
    }

    pub(crate) fn is_transient(&self) -> bool {
        match &self.reason {
            RefusalReason::BeingDeleted => true,
            RefusalReason::Rejected { code, .. } => *code == 409 || *code == 429 || *code >= 500,
            _ => false,
        }
    }

    fn is_missing_kind(&self) -> bool {
        matches!(
            &self.reason,
            RefusalReason::NoMatch | RefusalReason::Rejected { code: 404, .. }
        )
    }
}

/// The texts of [`RefusalReason::NoMatch`] and [`RefusalReason::UnsafeUpgrade`] are ones that users
/// and their tools look for, to the letter.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(id) = &self.object else {
            return match &self.reason {
                RefusalReason::Malformed(problem) => f.write_str(problem),
                other => write!(f, "{other:?}"),
            };
        };
        match &self.reason {
            RefusalReason::NoMatch => {
                write!(
                    f,
                    "no matches for kind \"{}\" in version \"{}\"",
                    id.kind,
                    id.api_version()
                )
            }
            RefusalReason::NotOwned(owner) => write!(f, "{id} exists and is not owned by {owner}"),
            RefusalReason::OwnedByOther { owner, other } => {
                write!(f, "{id} exists and is owned by {other}, not by {owner}")
            }
            RefusalReason::BeingDeleted => write!(f, "{id} is being deleted"),
            RefusalReason::ProtectedNamespace => {
                write!(
                    f,
                    "{id} must not be placed there: the namespace is reserved"
                )
            }
            RefusalReason::Duplicate => write!(f, "{id} occurs more than once"),
            RefusalReason::Malformed(problem) => write!(f, "{id}: {problem}"),
            RefusalReason::UnsafeUpgrade(change) => {
                write!(f, "validating upgrade for CRD \"{}\": {change}", id.name)
            }
            RefusalReason::Rejected { message, .. } => write!(f, "{id}: {message}"),
        }
    }
}

/// Most refusals that a message lists; the rest is counted.
const LISTED: usize = 50;

fn lines(refusals: &[Refusal]) -> String {
    let texts: BTreeSet<String> = refusals.iter().map(Refusal::to_string).collect();
    let mut text = texts
        .iter()
        .take(LISTED)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    if texts.len() > LISTED {
        let _ = write!(text, "\nand {} more", texts.len() - LISTED);
    }
    text
}

/// Why a set of objects was not applied, removed or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// Objects cannot be applied as they are; one line for each, sorted.
    #[error("{}", lines(.0))]
    Refused(Vec<Refusal>),
    /// The same, found out when their kinds were in place; what was applied before was removed again
    /// ([`ApplyOptions::undo_refused`](crate::ApplyOptions::undo_refused)).
    #[error("{}", lines(.0))]
    Undone(Vec<Refusal>),
    /// A request about one object failed.
    #[error("cannot {operation} {object}")]
    Request {
        /// What was attempted, `read` for example.
        operation: &'static str,
        /// On what.
        object: ObjectId,
        /// Why not.
        source: RequestError,
    },
    /// The list of kinds of one group and version cannot be read.
    #[error("cannot discover the kinds of `{group_version}`")]
    Discovery {
        /// `group/version`.
        group_version: String,
        /// Why not.
        source: RequestError,
    },
    /// The instances of a kind cannot be listed.
    #[error("cannot list the {kind} objects of `{api_version}`")]
    List {
        /// Kind.
        kind: String,
        /// `group/version`.
        api_version: String,
        /// Why not.
        source: RequestError,
    },
}

impl ApplyError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused(refusals) | Self::Undone(refusals) => {
                refusals.iter().all(Refusal::is_transient)
            }
            Self::Request { source, .. }
            | Self::Discovery { source, .. }
            | Self::List { source, .. } => source.is_transient(),
        }
    }

    /// Whether a kind or an object that the set needs is not in the cluster.
    ///
    /// Messages of such errors begin with [`ApplyError::MISSING_PREFIX`]; the caller puts it,
    /// because it stands before a whole list.
    pub fn is_missing_kind(&self) -> bool {
        match self {
            Self::Refused(refusals) | Self::Undone(refusals) => {
                refusals.iter().any(Refusal::is_missing_kind)
            }
            Self::Request { source, .. } => source.is_not_found(),
            Self::Discovery { .. } | Self::List { .. } => false,
        }
    }

    /// Whether a definition is not changed because that could break objects of its kind.
    pub fn is_unsafe_upgrade(&self) -> bool {
        let is_unsafe =
            |refusal: &Refusal| matches!(refusal.reason, RefusalReason::UnsafeUpgrade(_));
        matches!(self, Self::Refused(refusals) if refusals.iter().any(is_unsafe))
    }

    /// What precedes the message of an error that [`ApplyError::is_missing_kind`],
    /// as users of the upstream API know it.
    pub const MISSING_PREFIX: &'static str = "required resource not found: ";

    /// The message with its causes, and with [`ApplyError::MISSING_PREFIX`] where that belongs.
    pub fn message(&self) -> String {
        let prefix = if self.is_missing_kind() {
            Self::MISSING_PREFIX
        } else {
            ""
        };
        format!("{prefix}{}", olm_error::Chain::new(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(kind: &str, namespace: Option<&str>) -> ObjectId {
        ObjectId {
            group: "example.com".into(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: namespace.map(Into::into),
            name: "x".into(),
        }
    }

    #[test]
    fn lists_each_refusal_once_and_sorted() {
        let error = ApplyError::Refused(vec![
            Refusal::new(&id("B", None), RefusalReason::NoMatch),
            Refusal::new(&id("A", None), RefusalReason::NoMatch),
            Refusal::new(&id("B", None), RefusalReason::NoMatch),
        ]);
        assert!(error.is_missing_kind());
        assert!(!error.is_transient());
        assert_eq!(
            error.message(),
            "required resource not found: no matches for kind \"A\" in version \"example.com/v1\"\n\
             no matches for kind \"B\" in version \"example.com/v1\""
        );
    }

    #[test]
    fn names_the_object_and_its_owner() {
        let owner = Owner::new("BundleDeployment", "me");
        let refusal =
            Refusal::new(&id("A", Some("ns")), RefusalReason::NotOwned(owner.clone())).to_string();
        assert_eq!(
            refusal,
            r#"A "x" in namespace "ns" exists and is not owned by BundleDeployment "me""#
        );
        let other = Owner::new("BundleDeployment", "you");
        let refusal = Refusal::new(&id("A", None), RefusalReason::OwnedByOther { owner, other });
        assert_eq!(
            refusal.to_string(),
            r#"A "x" exists and is owned by BundleDeployment "you", not by BundleDeployment "me""#
        );
    }
}
