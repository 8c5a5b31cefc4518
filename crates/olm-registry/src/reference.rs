//! Names of images.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use olm_fs::Digest;
use olm_reference::without_port;

/// The tag of a name with neither tag nor digest.
const DEFAULT_TAG: &str = "latest";

/// The name of an image: registry, repository, and a tag or a digest or both.
///
/// The grammar is that of the container tools (`olm_reference`): short names are expanded
/// to `docker.io/library/NAME`, a name with neither tag nor digest has the tag `latest`, and where
/// both are given the digest counts. Digests are SHA-256.
///
/// ```
/// use olm_registry::Reference;
/// let reference: Reference = "busybox".parse()?;
/// assert_eq!(reference.to_string(), "docker.io/library/busybox:latest");
/// # Ok::<(), olm_registry::ReferenceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses a name; the same as [`str::parse`].
    ///
    /// # Errors
    /// [`ReferenceError`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        text.parse()
    }

    /// Host, and port where one is given.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if the name has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the name has one.
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same repository by digest alone.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// What stands behind `/manifests/` in requests.
    pub(crate) fn manifest(&self) -> &str {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => DEFAULT_TAG,
        }
    }

    /// The host that answers for the registry.
    pub(crate) fn host(&self) -> &str {
        match self.registry.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            other => other,
        }
    }

    /// Whether the registry is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = without_port(&self.registry);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || host.to_ascii_lowercase().ends_with(".localhost")
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// A text that names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("image reference {text:?} is not valid: {problem}")]
pub struct ReferenceError {
    text: String,
    problem: &'static str,
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        split(text).map_err(|problem| ReferenceError {
            text: text.chars().take(300).collect(),
            problem,
        })
    }
}

fn split(text: &str) -> Result<Reference, &'static str> {
    let parts = olm_reference::parse(text)?;
    let digest = parts
        .digest
        .map(str::parse::<Digest>)
        .transpose()
        .map_err(|_| "its digest must be `sha256:` and 64 lower-case hexadecimal digits")?;
    let tag = parts
        .tag
        .or_else(|| digest.is_none().then_some(DEFAULT_TAG))
        .map(str::to_owned);
    Ok(Reference {
        registry: parts.registry.to_owned(),
        repository: parts.repository.into_owned(),
        tag,
        digest,
    })
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests"
    )]
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[rstest::rstest]
    #[case("busybox", "docker.io/library/busybox:latest")]
    #[case("busybox:1.36", "docker.io/library/busybox:1.36")]
    #[case("index.docker.io/busybox", "docker.io/library/busybox:latest")]
    #[case("org/app", "docker.io/org/app:latest")]
    #[case("quay.io/org/app:v1.0-rc.1", "quay.io/org/app:v1.0-rc.1")]
    #[case("localhost/app", "localhost/app:latest")]
    #[case("localhost:5000/app", "localhost:5000/app:latest")]
    #[case("registry:5000/app", "registry:5000/app:latest")]
    #[case("Host/app", "Host/app:latest")]
    #[case("[::1]:5000/app:1", "[::1]:5000/app:1")]
    #[case("10.0.0.1/a/b__c/d--e.f", "10.0.0.1/a/b__c/d--e.f:latest")]
    fn names_are_expanded(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(Reference::parse(text).unwrap().to_string(), expected);
    }

    #[test]
    fn a_digest_stands_for_itself_and_drops_the_tag_when_it_is_set() {
        let both = Reference::parse(&format!("quay.io/a/b:v1@sha256:{HEX}")).unwrap();
        assert_eq!(
            (both.tag(), both.digest().unwrap().hex()),
            (Some("v1"), HEX)
        );
        assert_eq!(both.manifest(), format!("sha256:{HEX}"));
        let only = Reference::parse(&format!("quay.io/a/b@sha256:{HEX}")).unwrap();
        assert_eq!(only.tag(), None);
        let tagged = Reference::parse("quay.io/a/b:v1").unwrap();
        assert_eq!(tagged.with_digest(Digest::of(b"")), only);
    }

    #[rstest::rstest]
    #[case("")]
    #[case(" quay.io/a")]
    #[case("quay.io/a b")]
    #[case("quay.io/")]
    #[case("quay.io//a")]
    #[case("quay.io/a/")]
    #[case("quay.io/A")]
    #[case("quay.io/a_")]
    #[case("quay.io/a___b")]
    #[case("quay.io/a..b")]
    #[case("quay.io/../../etc/passwd")]
    #[case("quay.io/a:")]
    #[case("quay.io/a:-x")]
    #[case("quay.io/a:b@c")]
    #[case("quay.io/a@sha256:00")]
    #[case("quay.io/a@sha512:00")]
    #[case("quay.io:99999/a")]
    #[case("quay.io:x/a")]
    #[case("user:password@quay.io/a")]
    #[case("-quay.io/a")]
    #[case("[::1/a")]
    #[case("https://quay.io/a")]
    #[case("quay.io/a?x=y")]
    #[case("quay.io/\u{e9}")]
    fn anything_else_is_refused(#[case] text: &str) {
        let error = Reference::parse(text).unwrap_err().to_string();
        assert!(error.starts_with("image reference \""), "{error}");
    }

    #[test]
    fn a_name_of_any_length_is_refused_with_a_short_message() {
        assert!(
            Reference::parse(&"a".repeat(1 << 20))
                .unwrap_err()
                .to_string()
                .len()
                < 500
        );
    }

    #[rstest::rstest]
    #[case("localhost/a", true)]
    #[case("x.localhost:5000/a", true)]
    #[case("127.0.0.2:1/a", true)]
    #[case("[::1]:1/a", true)]
    #[case("10.0.0.1/a", false)]
    #[case("localhost.example.com/a", false)]
    fn registries_on_this_machine_are_known(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(Reference::parse(text).unwrap().is_loopback(), expected);
    }
}
