//! The status of a Bundle, as a pure function of what was and what a pass found.

use jiff::Timestamp;
use kube::ResourceExt as _;
use olm_api::annotations::REFRESH;
use olm_api::bundle::{Bundle, BundleSource, BundleStatus};
use olm_api::conditions::{READY, UNPACKED, phase, unpack};
use olm_fs::Digest;
use olm_runtime::conditions::{self, Status};

use crate::messages;
use crate::server::ContentUrl;

/// The condition types that this controller writes.
pub(crate) const OWNED: [&str; 2] = [READY, UNPACKED];

/// What a Bundle was unpacked from, and what it is stored under.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pin {
    /// The source, with everything that moves replaced by what it resolved to.
    pub(crate) resolved: BundleSource,
    /// The digest of the content.
    pub(crate) digest: Digest,
}

/// How a Bundle stands after a pass.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Something is waited for; what.
    Pending(String),
    /// The content is about to be fetched.
    Unpacking,
    /// The content is stored; what the source resolved to.
    Unpacked(Box<Pin>),
    /// The content cannot be had or is not fit; why.
    Failing(String),
    /// The clean-up before deletion failed; why.
    CleanupFailed(String),
}

impl Outcome {
    /// Phase, and status, reason and message of the condition `Unpacked`.
    pub(crate) fn words(&self, kind: &str) -> (&'static str, Status, &'static str, String) {
        match self {
            Self::Pending(what) => (phase::PENDING, Status::False, unpack::PENDING, what.clone()),
            Self::Unpacking => (
                phase::UNPACKING,
                Status::False,
                unpack::UNPACKING,
                String::new(),
            ),
            Self::Unpacked(_) => (
                phase::UNPACKED,
                Status::True,
                unpack::SUCCESSFUL,
                messages::unpacked(kind),
            ),
            Self::Failing(why) => (phase::FAILING, Status::False, unpack::FAILED, why.clone()),
            Self::CleanupFailed(why) => (
                phase::FAILING,
                Status::Unknown,
                unpack::PROCESSING_FINALIZER_FAILED,
                why.clone(),
            ),
        }
    }
}

/// Whether the last attempt on this Bundle failed. It goes on saying so while it is tried again:
/// the next result is news, the attempt is not.
pub(crate) fn is_failing(object: &Bundle) -> bool {
    let status = object.status.as_ref();
    status.is_some_and(|status| status.phase.as_deref() == Some(phase::FAILING))
}

/// Whether the annotation for it asks for the source to be resolved again.
pub(crate) fn is_refresh_due(object: &Bundle) -> bool {
    let asked = object.annotations().get(REFRESH);
    let done = object.status.as_ref();
    let done = done.and_then(|status| status.refreshed.as_ref());
    asked.is_some() && asked != done
}

/// The status after a pass. What the source once resolved to is kept whatever happens, as it is
/// pinned: content that was lost is fetched again from there.
pub(crate) fn project(
    object: &Bundle,
    outcome: &Outcome,
    url: &ContentUrl,
    now: Timestamp,
) -> BundleStatus {
    let before = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation;
    let (phase, truth, reason, message) = outcome.words(&object.spec.source.kind);
    let (resolved_source, content_digest) = match outcome {
        Outcome::Unpacked(pin) => (Some(pin.resolved.clone()), Some(pin.digest.to_string())),
        _ => (before.resolved_source, before.content_digest),
    };
    let (content_url, refreshed) = match outcome {
        Outcome::Unpacked(_) => {
            let asked = object.annotations().get(REFRESH).cloned();
            (Some(url.of(&object.name_any())), asked)
        }
        _ => (None, before.refreshed),
    };
    let mut status = BundleStatus {
        phase: Some(phase.to_owned()),
        resolved_source,
        content_digest,
        content_url,
        refreshed,
        observed_generation: generation,
        conditions: conditions::owned(&before.conditions, &OWNED),
    };
    let list = &mut status.conditions;
    conditions::set(list, UNPACKED, truth, reason, &message, generation, now);
    let ready = truth == Status::True;
    conditions::set(list, READY, ready, reason, &message, generation, now);
    status
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use olm_api::bundle::{BundleSpec, ImageSource};
    use rstest::rstest;

    use super::*;
    use crate::pin;

    fn bundle() -> Bundle {
        let source = BundleSource {
            kind: "image".to_owned(),
            image: Some(ImageSource {
                reference: "a/b:v1".to_owned(),
                ..ImageSource::default()
            }),
            ..BundleSource::default()
        };
        let mut bundle = Bundle::new(
            "b",
            BundleSpec {
                provisioner_class_name: "core-rukpak-io-plain".to_owned(),
                source,
            },
        );
        bundle.metadata.generation = Some(3);
        bundle
    }

    fn url() -> ContentUrl {
        ContentUrl::new(None, "olm-system").unwrap()
    }

    fn resolved() -> Pin {
        let source = BundleSource {
            kind: "upload".to_owned(),
            ..BundleSource::default()
        };
        Pin {
            resolved: source,
            digest: Digest::of(b""),
        }
    }

    #[rstest]
    #[case::pending(Outcome::Pending("waiting".into()), "Pending", "False", "UnpackPending", "waiting")]
    #[case::unpacking(Outcome::Unpacking, "Unpacking", "False", "Unpacking", "")]
    #[case::unpacked(
        Outcome::Unpacked(Box::new(resolved())),
        "Unpacked",
        "True",
        "UnpackSuccessful",
        "Successfully unpacked the image Bundle"
    )]
    #[case::failing(Outcome::Failing("source bundle content: no".into()), "Failing", "False", "UnpackFailed",
        "source bundle content: no")]
    #[case::finalizer(Outcome::CleanupFailed("x".into()), "Failing", "Unknown", "ProcessingFinalizerFailed", "x")]
    fn each_outcome_has_its_words(
        #[case] outcome: Outcome,
        #[case] phase: &str,
        #[case] truth: &str,
        #[case] reason: &str,
        #[case] message: &str,
    ) {
        let status = project(
            &bundle(),
            &outcome,
            &url(),
            Timestamp::from_second(1).unwrap(),
        );
        let condition = conditions::get(&status.conditions, UNPACKED).unwrap();
        let ready = conditions::get(&status.conditions, READY).unwrap();
        assert_eq!(ready.status == "True", truth == "True");
        assert_eq!(ready.message, message);
        assert_eq!(status.phase.as_deref(), Some(phase));
        assert_eq!(status.observed_generation, Some(3));
        assert_eq!(condition.type_, "Unpacked");
        assert_eq!(condition.status, truth);
        assert_eq!(condition.reason, reason);
        assert_eq!(condition.message, message);
        let is_resolved = matches!(outcome, Outcome::Unpacked(_));
        assert_eq!(status.resolved_source.is_some(), is_resolved);
        let url = is_resolved.then_some("https://rukpak-service.olm-system.svc/bundles/b.tgz");
        assert_eq!(status.content_url.as_deref(), url);
    }

    #[test]
    fn the_source_is_resolved_again_for_each_value_of_the_annotation_once() {
        let mut bundle = bundle();
        let now = Timestamp::from_second(1).unwrap();
        assert!(!is_refresh_due(&bundle));
        for value in ["a", "b"] {
            bundle
                .annotations_mut()
                .insert(REFRESH.to_owned(), value.to_owned());
            assert!(is_refresh_due(&bundle));
            let failing = Outcome::Failing("no".into());
            bundle.status = Some(project(&bundle, &failing, &url(), now));
            assert!(is_refresh_due(&bundle));
            let unpacked = Outcome::Unpacked(Box::new(resolved()));
            bundle.status = Some(project(&bundle, &unpacked, &url(), now));
            assert!(!is_refresh_due(&bundle));
        }
        bundle.annotations_mut().clear();
        assert!(!is_refresh_due(&bundle));
    }

    #[test]
    fn a_pin_is_never_lost_and_never_moves_by_failing() {
        let mut bundle = bundle();
        let now = Timestamp::from_second(1).unwrap();
        bundle.status = Some(project(
            &bundle,
            &Outcome::Unpacked(Box::new(resolved())),
            &url(),
            now,
        ));
        for outcome in [Outcome::Unpacking, Outcome::Failing("no".into())] {
            let status = project(&bundle, &outcome, &url(), now);
            assert_eq!(status.resolved_source, Some(resolved().resolved));
            assert_eq!(pin::digest(&status), Some(resolved().digest));
        }
    }
}
