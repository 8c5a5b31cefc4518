//! The digest that a Bundle is pinned to: what its first unpack stored, for ever.

use olm_api::bundle::BundleStatus;
use olm_fs::Digest;

/// The digest that content is stored under, from the status of a Bundle that was unpacked once. A
/// status that was written before digests stood in it has that of its image.
pub(crate) fn digest(status: &BundleStatus) -> Option<Digest> {
    if let Some(text) = &status.content_digest {
        return text.parse().ok();
    }
    let image = status.resolved_source.as_ref()?.image.as_ref()?;
    if image.directory.is_some() {
        return None;
    }
    let (_, digest) = image.reference.rsplit_once('@')?;
    digest.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn hash(letter: char) -> String {
        format!("sha256:{}", letter.to_string().repeat(64))
    }

    #[rstest]
    #[case::as_it_is_written(
        json!({"contentDigest": hash('a'), "resolvedSource": {"type": "upload", "upload": {}}}),
        Some(hash('a')))]
    #[case::of_an_image(
        json!({"resolvedSource": {"type": "image", "image": {"ref": format!("q.io/a@{}", hash('b'))}}}),
        Some(hash('b')))]
    #[case::of_a_directory(
        json!({"resolvedSource": {"type": "image", "image": {
            "ref": format!("q.io/a@{}", hash('b')), "directory": "d"}}}),
        None)]
    #[case::of_a_tag(json!({"resolvedSource": {"type": "image", "image": {"ref": "q.io/a:v1"}}}), None)]
    #[case::broken(json!({"contentDigest": "sha256:a"}), None)]
    #[case::nothing(json!({}), None)]
    fn a_pin_is_read_from_the_status(#[case] status: Value, #[case] expected: Option<String>) {
        let status = serde_json::from_value(status).unwrap();
        assert_eq!(digest(&status).map(|digest| digest.to_string()), expected);
    }
}
