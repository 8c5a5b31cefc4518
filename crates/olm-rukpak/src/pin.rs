//! The digest that a Bundle is pinned to: what its first unpack resolved, for ever.

use olm_api::bundle::{BundleSource, BundleStatus, ImageSource};
use olm_fs::Digest;

/// The digest that content is stored under, from the status of a Bundle that was unpacked once.
pub(crate) fn digest(status: &BundleStatus) -> Option<Digest> {
    let (_, digest) = reference(status)?.rsplit_once('@')?;
    digest.parse().ok()
}

/// The image reference, by digest, that an unpacked Bundle came from and is fetched by again.
pub(crate) fn reference(status: &BundleStatus) -> Option<&str> {
    let image = status.resolved_source.as_ref()?.image.as_ref()?;
    image
        .reference
        .contains('@')
        .then_some(image.reference.as_str())
}

/// The source of an image, with the tag replaced by what it resolved to. The pull secret is left
/// out, as upstream does.
pub(crate) fn source(reference: String) -> BundleSource {
    BundleSource {
        kind: "image".to_owned(),
        image: Some(ImageSource {
            reference,
            pull_secret: None,
        }),
        ..BundleSource::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_back_as_it_was_written() {
        let digest_text = format!("sha256:{}", "ab".repeat(32));
        let status = |text: String| BundleStatus {
            resolved_source: Some(source(text)),
            ..BundleStatus::default()
        };
        let pinned = status(format!("quay.io/a/b@{digest_text}"));
        assert_eq!(
            digest(&pinned).map(|digest| digest.to_string()),
            Some(digest_text)
        );
        assert_eq!(digest(&status("quay.io/a/b:v1".to_owned())), None);
        assert_eq!(digest(&BundleStatus::default()), None);
    }
}
