//! Texts that users and programs match on, to the letter (specification of catalogd, section 2).
//!
//! What fails while an image is fetched is spelled by `olm_source`; what stands in front of it, and
//! the rest, is spelled here.

use std::time::Duration;

use olm_runtime::GoDuration;

use crate::record::BrokenFiles;

/// Bytes of broken files that a success message lists.
const BROKEN_LISTED_MAX: usize = 4096;

/// A failure before the content is stored.
pub(crate) fn source_failed(cause: &str) -> String {
    format!("source bundle content: {cause}")
}

/// `spec.source.type` is not known.
pub(crate) fn unsupported_type(kind: &str) -> String {
    format!("source type \"{kind}\" not supported")
}

/// `spec.source.image` is absent.
pub(crate) fn nil_image_source(catalog: &str) -> String {
    format!("error parsing catalog, catalog {catalog} has a nil image source")
}

/// `spec.source.image.pollInterval` cannot be read.
pub(crate) fn bad_poll_interval(cause: &str) -> String {
    format!("error parsing poll interval: {cause}")
}

/// The object does not decode.
pub(crate) fn undecodable(cause: &str) -> String {
    format!("error parsing catalog: {cause}")
}

/// The pull secret cannot be read.
pub(crate) fn bad_pull_secret(cause: &str) -> String {
    format!("error getting auth keychain: {cause}")
}

/// The content cannot be stored.
pub(crate) fn store_failed(cause: &str) -> String {
    format!("failed to store bundle: error storing fbc: {cause}")
}

/// No part of the catalog can be read.
pub(crate) fn unreadable_content(cause: &str) -> String {
    format!("error in parsing catalog content files in the filesystem: {cause}")
}

/// The clean-up before deletion failed.
pub(crate) fn delete_failed(cause: &str) -> String {
    format!("failed to delete storage: {cause}")
}

/// Said after a failure while earlier content is still served.
pub(crate) fn still_served(digest: &str, image: &str) -> String {
    format!("; still serving the content {digest} of the image {image}")
}

/// The catalog is out of use because its spec says so.
pub(crate) const UNAVAILABLE: &str = "Catalog availability mode is set to Unavailable";

/// A poll interval is below the shortest.
pub(crate) fn short_interval(asked: &str, shortest: Duration) -> String {
    let shortest = GoDuration::from(shortest);
    format!("pollInterval {asked} is too short, {shortest} is used instead")
}

/// The content is stored; files that had to be left out are named, and what else is to be `noted`.
pub(crate) fn unpacked(resolved: &str, broken: &BrokenFiles, noted: Option<&str>) -> String {
    let mut message = format!("successfully unpacked the catalog image \"{resolved}\"");
    if broken.count > 0 {
        message.push_str(", except ");
        message.push_str(&left_out(broken));
    }
    if let Some(noted) = noted {
        message.push_str("; ");
        message.push_str(noted);
    }
    message
}

/// `1 file that cannot be read: configs/a.yaml: <error>`.
pub(crate) fn left_out(broken: &BrokenFiles) -> String {
    let files = if broken.count == 1 { "file" } else { "files" };
    let mut text = format!("{} {files} that cannot be read: ", broken.count);
    let begin = text.len();
    let mut listed = 0_u64;
    for file in &broken.first {
        let next = format!("{}: {}", file.path, file.error);
        if listed > 0 && text.len() - begin + next.len() > BROKEN_LISTED_MAX {
            break;
        }
        if listed > 0 {
            text.push_str("; ");
        }
        text.push_str(&next);
        listed += 1;
    }
    if listed < broken.count {
        text.push_str("; and ");
        text.push_str(&(broken.count - listed).to_string());
        text.push_str(" more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_names_the_files_that_were_left_out_and_counts_the_rest() {
        let mut broken = BrokenFiles::default();
        assert_eq!(
            unpacked("r@sha256:1", &broken, None),
            "successfully unpacked the catalog image \"r@sha256:1\""
        );
        broken.push("configs/a.yaml", "line 3: bad");
        assert_eq!(
            unpacked("r@sha256:1", &broken, None),
            "successfully unpacked the catalog image \"r@sha256:1\", except 1 file that cannot be \
             read: configs/a.yaml: line 3: bad"
        );
        for n in 0..100 {
            broken.push(&format!("configs/{n}"), &"x".repeat(1000));
        }
        let message = unpacked("r@sha256:1", &broken, None);
        assert!(message.len() < 6000, "{}", message.len());
        assert!(message.contains("101 files that cannot be read: configs/a.yaml: line 3: bad; "));
        assert!(message.ends_with(" more"), "{message}");
        let message = unpacked("r@sha256:1", &broken, Some("a remark"));
        assert!(message.ends_with(" more; a remark"), "{message}");
    }
}
