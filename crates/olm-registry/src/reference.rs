//! Names of images.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use olm_fs::Digest;

/// Longest repository, in characters (`distribution/reference`: `RepositoryNameTotalLengthMax`).
const MAX_REPOSITORY: usize = 255;
/// Longest tag, in characters.
const MAX_TAG: usize = 128;
/// Where names without a registry live.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Where names of one component live on [`DEFAULT_REGISTRY`].
const DEFAULT_NAMESPACE: &str = "library";
/// The tag of a name with neither tag nor digest.
const DEFAULT_TAG: &str = "latest";

/// The name of an image: registry, repository, and a tag or a digest or both.
///
/// The grammar is that of the container tools (`distribution/reference`): short names are expanded
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

/// `HOST` of `HOST[:PORT]`.
pub(crate) fn without_port(registry: &str) -> &str {
    match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => registry,
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
    if text.is_empty() {
        return Err("it is empty");
    }
    if !text.is_ascii()
        || text
            .bytes()
            .any(|b| b.is_ascii_whitespace() || b.is_ascii_control())
    {
        return Err("it holds blanks or characters outside ASCII");
    }
    if text.contains("://") {
        return Err("it must not begin with a scheme");
    }
    let (name, digest) = match text.split_once('@') {
        None => (text, None),
        Some((name, digest)) => {
            let digest = digest
                .parse::<Digest>()
                .map_err(|_| "its digest must be `sha256:` and 64 lower-case hexadecimal digits")?;
            (name, Some(digest))
        }
    };
    // A colon behind the last slash begins a tag; one before it, a port.
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(check_tag(tag)?)),
        _ => (name, None),
    };
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if is_host(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    check_registry(registry)?;
    let registry = if registry == "index.docker.io" {
        DEFAULT_REGISTRY
    } else {
        registry
    };
    let repository = if registry == DEFAULT_REGISTRY && !path.contains('/') {
        format!("{DEFAULT_NAMESPACE}/{path}")
    } else {
        path.to_owned()
    };
    check_repository(&repository)?;
    let tag = tag
        .or_else(|| digest.is_none().then_some(DEFAULT_TAG))
        .map(str::to_owned);
    Ok(Reference {
        registry: registry.to_owned(),
        repository,
        tag,
        digest,
    })
}

/// Whether the first component is a host rather than a part of a path on Docker Hub.
fn is_host(component: &str) -> bool {
    component.contains(['.', ':'])
        || component == "localhost"
        || component.bytes().any(|b| b.is_ascii_uppercase())
}

fn check_tag(tag: &str) -> Result<&str, &'static str> {
    let mut bytes = tag.bytes();
    let first = bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if !first || !rest || tag.len() > MAX_TAG {
        return Err(
            "its tag must be 1 to 128 letters, digits, `_`, `.` or `-`, the first of them a \
                    letter, a digit or `_`",
        );
    }
    Ok(tag)
}

fn check_registry(registry: &str) -> Result<(), &'static str> {
    const PROBLEM: &str = "its registry must be a host name or address, with a port or without";
    let host = without_port(registry);
    if host.len() != registry.len() {
        registry[host.len() + 1..]
            .parse::<u16>()
            .map_err(|_| PROBLEM)?;
    }
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        return address
            .parse::<std::net::Ipv6Addr>()
            .map(|_| ())
            .map_err(|_| PROBLEM);
    }
    let valid = host.len() <= 253
        && host.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        });
    if valid { Ok(()) } else { Err(PROBLEM) }
}

fn check_repository(repository: &str) -> Result<(), &'static str> {
    if repository.len() > MAX_REPOSITORY {
        return Err("its repository must not be longer than 255 characters");
    }
    if repository.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("its repository must be lower-case");
    }
    if !repository.split('/').all(is_component) {
        return Err(
            "each component of its repository must be lower-case letters and digits, \
                    separated by `.`, `_`, `__` or dashes",
        );
    }
    Ok(())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    if !bytes.first().copied().is_some_and(is_word) || !bytes.last().copied().is_some_and(is_word) {
        return false;
    }
    component
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
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
