//! What the status says of an image that cannot be served.

use olm_fbc::FbcError;
use olm_runtime::Chain;
use olm_runtime::phase::TimedOut;
use olm_source::SourceError;

use crate::error::Unserved;
use crate::messages;
use crate::phase::content::ContentError;
use crate::phase::request::Request;

/// The failure of a request, in terms of the reference that the spec names. What a tag stands for
/// may change and is tried again; what is wrong with the content of a digest stays wrong.
pub(crate) fn of_content(error: ContentError, request: &Request<'_>) -> Unserved {
    let by_digest = request.reference.digest().is_some();
    match error {
        ContentError::Source(mut error) => {
            if let SourceError::Manifest { image, .. }
            | SourceError::Config { image, .. }
            | SourceError::MissingLabel { image, .. }
            | SourceError::Label { image, .. }
            | SourceError::Empty { image, .. }
            | SourceError::TooLarge { image, .. } = error.as_mut()
            {
                image.clone_from(&request.image.reference);
            }
            let terminal = error.is_terminal(&request.reference);
            Unserved::source(&error, terminal)
        }
        ContentError::Catalog(error) => {
            let mut cause = Chain(&error).to_string();
            if let FbcError::AllBroken { broken } = &error
                && let Some(first) = broken.first()
            {
                cause = format!("{cause}: {}", Chain(first));
            }
            let transient = matches!(error, FbcError::Tree { .. });
            let cause = messages::unreadable_content(&cause);
            Unserved::store(&cause, by_digest && !transient)
        }
        ContentError::Store(error) => {
            let terminal = by_digest && error.is_about_content();
            Unserved::store(&Chain(&error).to_string(), terminal)
        }
        ContentError::Interrupted | ContentError::NotByDigest => {
            Unserved::store(&error.to_string(), false)
        }
    }
}

/// A step that took too long.
pub(crate) fn of_time(late: &TimedOut) -> Unserved {
    Unserved::passing(&late.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::time::Duration;

    use olm_api::catalog::ImageSource;
    use olm_fs::Digest;
    use olm_registry::{Reference, RegistryError};
    use olm_runtime::Retry;
    use rstest::rstest;

    use super::*;
    use crate::store::StoreError;

    fn image(reference: &str) -> ImageSource {
        ImageSource {
            reference: reference.to_owned(),
            pull_secret: None,
            poll_interval: None,
            insecure_skip_tls_verify: None,
        }
    }

    fn by_tag() -> String {
        "quay.io/cat:latest".to_owned()
    }

    fn by_digest() -> String {
        format!("quay.io/cat@{}", Digest::of(b"image"))
    }

    fn no_label() -> ContentError {
        SourceError::MissingLabel {
            image: "other".to_owned(),
            label: "the.label".to_owned(),
        }
        .into()
    }

    fn rate_limited() -> ContentError {
        SourceError::Descriptor(RegistryError::RateLimited {
            image: "quay.io/cat".to_owned(),
            registry: "quay.io".to_owned(),
            retry_after: Some(Duration::from_secs(90)),
        })
        .into()
    }

    #[rstest]
    #[case::tag_without_label(no_label(), by_tag(), "UnpackFailed", Retry::Backoff)]
    #[case::digest_without_label(no_label(), by_digest(), "UnpackFailed", Retry::OnChange)]
    #[case::tag_with_empty_catalog(
        FbcError::Empty.into(), by_tag(), "FailedToStore", Retry::Backoff
    )]
    #[case::digest_with_empty_catalog(
        FbcError::Empty.into(), by_digest(), "FailedToStore", Retry::OnChange
    )]
    #[case::digest_with_huge_catalog(
        StoreError::TooLarge.into(), by_digest(), "FailedToStore", Retry::OnChange
    )]
    #[case::interrupted(
        ContentError::Interrupted,
        by_digest(),
        "FailedToStore",
        Retry::Backoff
    )]
    #[case::rate_limit(
        rate_limited(),
        by_tag(),
        "UnpackFailed",
        Retry::After(Duration::from_secs(90))
    )]
    fn what_may_heal_is_tried_again(
        #[case] error: ContentError,
        #[case] reference: String,
        #[case] reason: &str,
        #[case] retry: Retry,
    ) {
        let image = image(&reference);
        let request = Request {
            image: &image,
            reference: Reference::parse(&reference).unwrap(),
            interval: Duration::ZERO,
            noted: None,
        };
        let failure = of_content(error, &request);
        assert_eq!((failure.reason, failure.retry), (reason, retry));
    }

    #[test]
    fn texts_name_the_image_as_the_spec_does() {
        let image = image("quay.io/cat:latest");
        let request = Request {
            image: &image,
            reference: Reference::parse("quay.io/cat:latest").unwrap(),
            interval: Duration::ZERO,
            noted: None,
        };
        assert_eq!(
            of_content(no_label(), &request).message,
            "source bundle content: error unpacking image: catalog image \"quay.io/cat:latest\" is \
             missing the required label \"the.label\""
        );
        assert_eq!(
            of_content(FbcError::Empty.into(), &request).message,
            "failed to store bundle: error storing fbc: error in parsing catalog content files in \
             the filesystem: catalog is empty"
        );
    }
}
