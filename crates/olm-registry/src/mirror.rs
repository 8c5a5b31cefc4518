//! Where else images can be had.

use std::fmt;
use std::str::FromStr;

use crate::reference::Reference;

/// A registry or repository, and where what is in it can be had as well.
///
/// As in `registries.conf` and in the mirror sets of OpenShift, `source` is a host or a host with the
/// begin of a path, by whole components, and `mirror` stands in its place.
///
/// ```
/// use olm_registry::Mirror;
/// let mirror: Mirror = "quay.io/operators=mirror.example.com:5000/quay".parse()?;
/// assert_eq!(mirror.to_string(), "quay.io/operators=mirror.example.com:5000/quay");
/// # Ok::<(), olm_registry::MirrorError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    source: String,
    mirror: String,
}

/// A text that is no mirror.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not of the form SOURCE=MIRROR, such as quay.io/org=mirror.example.com/org")]
pub struct MirrorError {
    text: String,
}

impl FromStr for Mirror {
    type Err = MirrorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (source, mirror) = text.split_once('=').unwrap_or_default();
        let [source, mirror] = [source, mirror].map(|place| place.trim().trim_end_matches('/'));
        if is_place(source) && is_place(mirror) {
            let [source, mirror] = [source, mirror].map(str::to_owned);
            return Ok(Self { source, mirror });
        }
        let text = text.chars().take(300).collect();
        Err(MirrorError { text })
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.source, self.mirror)
    }
}

impl Mirror {
    /// The name of the same image here, if the source has it.
    fn of(&self, reference: &Reference) -> Option<Reference> {
        let text = reference.to_string();
        let rest = text.strip_prefix(&self.source)?;
        // By whole components, and a repository as a whole.
        let is_whole =
            rest.starts_with('/') || (self.source.contains('/') && rest.starts_with([':', '@']));
        let mirrored = format!("{}{rest}", self.mirror);
        is_whole.then(|| mirrored.parse().ok()).flatten()
    }
}

/// Whether a text is a host, or a host and the begin of a path, and nothing is to be added to it.
fn is_place(text: &str) -> bool {
    // With two parts, as one alone is expanded on Docker Hub.
    let name = format!("{text}/x/x:v1");
    let parsed = name.parse::<Reference>();
    !text.is_empty() && parsed.is_ok_and(|reference| reference.to_string() == name)
}

/// The names under which an image can be had, the most wanted first: those of the longest source that
/// has it, in the order of `mirrors`. The image's own name is not among them.
pub(crate) fn names(mirrors: &[Mirror], reference: &Reference) -> Vec<Reference> {
    let found: Vec<_> = mirrors
        .iter()
        .filter_map(|mirror| Some((mirror.source.len(), mirror.of(reference)?)))
        .collect();
    let longest = found.iter().map(|(length, _)| *length).max();
    found
        .into_iter()
        .filter(|(length, _)| Some(*length) == longest)
        .map(|(_, name)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("quay.io=mirror:5000")]
    #[case("quay.io/a/b=mirror.example.com/x")]
    #[case("registry:5000=localhost")]
    fn a_source_and_its_mirror_are_read(#[case] text: &str) {
        assert_eq!(text.parse::<Mirror>().unwrap().to_string(), text);
    }

    #[rstest]
    #[case("")]
    #[case("quay.io")]
    #[case("=mirror:5000")]
    #[case("quay.io=")]
    #[case("quay.io=mirror")]
    #[case("org/repo=mirror:5000")]
    #[case("quay.io=https://mirror:5000")]
    #[case("quay.io/a:v1=mirror:5000/a")]
    #[case("quay.io=a=b.io")]
    fn others_are_refused(#[case] text: &str) {
        assert!(text.parse::<Mirror>().is_err());
    }

    #[rstest]
    #[case("quay.io/a/b:v1", &["m:1/a/b:v1", "n:1/q/a/b:v1"])]
    #[case("quay.io/org/b:v1", &["o:1/b:v1"])]
    #[case("quay.io/organ/b:v1", &["m:1/organ/b:v1", "n:1/q/organ/b:v1"])]
    #[case("quay.io/one/image:v1", &["p:1/x:v1"])]
    #[case("quay.io/one/image/more:v1", &["p:1/x/more:v1"])]
    #[case("quay.io/one/images:v1", &["m:1/one/images:v1", "n:1/q/one/images:v1"])]
    #[case("quay.io:5000/a:v1", &[])]
    #[case("busybox", &["d:1/library/busybox:latest"])]
    fn the_longest_source_has_its_mirrors_in_their_order(
        #[case] image: &str,
        #[case] expected: &[&str],
    ) {
        let mirrors: Vec<Mirror> = [
            "quay.io=m:1",
            "quay.io/org=o:1",
            "quay.io=n:1/q",
            "quay.io/one/image=p:1/x",
            "docker.io=d:1",
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        let found = names(&mirrors, &image.parse().unwrap());
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }
}
