//! The grammar of image references.
//!
//! Catalogs, bundles and users name images as the container tools do (`distribution/reference`):
//! `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`, with short names expanded to `docker.io/library/NAME`. This
//! crate is the one place that knows this grammar: who pulls images and who only checks documents
//! read the same names.
//!
//! What it promises: nothing panics on foreign text, work is linear in its length, and what is
//! refused comes with a sentence that goes on from "it is not valid: ".
//!
//! ```
//! let parts = olm_reference::parse("busybox:1.36")?;
//! assert_eq!((parts.registry, parts.repository.as_ref()), ("docker.io", "library/busybox"));
//! assert_eq!((parts.tag, parts.digest), (Some("1.36"), None));
//! # Ok::<(), &'static str>(())
//! ```

use std::borrow::Cow;

/// Longest repository, in characters (`distribution/reference`: `RepositoryNameTotalLengthMax`).
const MAX_REPOSITORY: usize = 255;
/// Longest tag, in characters.
const MAX_TAG: usize = 128;
/// Where names without a registry live.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Where names of one component live on [`DEFAULT_REGISTRY`].
const DEFAULT_NAMESPACE: &str = "library";
/// The registered digest algorithms and how many hexadecimal digits they have (OCI image
/// specification, `descriptor.md`).
const ALGORITHMS: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// The parts of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Host, and port where one is given; `docker.io` where the name has none.
    pub registry: &'a str,
    /// The path within the registry; on `docker.io` with `library/` where the name has one
    /// component.
    pub repository: Cow<'a, str>,
    /// The tag, if the text has one.
    pub tag: Option<&'a str>,
    /// The digest with its algorithm, if the text has one: SHA-256, SHA-384 or SHA-512.
    pub digest: Option<&'a str>,
}

/// Splits a reference into its parts.
///
/// # Errors
/// What is wrong with it, as a sentence about "it".
pub fn parse(text: &str) -> Result<Parts<'_>, &'static str> {
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
        Some((name, digest)) => (name, Some(check_digest(digest)?)),
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
        Cow::Owned(format!("{DEFAULT_NAMESPACE}/{path}"))
    } else {
        Cow::Borrowed(path)
    };
    check_repository(&repository)?;
    Ok(Parts {
        registry,
        repository,
        tag,
        digest,
    })
}

/// `HOST` of `HOST[:PORT]`.
pub fn without_port(registry: &str) -> &str {
    match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => registry,
    }
}

fn check_digest(digest: &str) -> Result<&str, &'static str> {
    let known = digest.split_once(':').and_then(|(algorithm, hex)| {
        let (_, length) = ALGORITHMS.iter().find(|(name, _)| *name == algorithm)?;
        Some((hex, *length))
    });
    let Some((hex, length)) = known else {
        return Err("its digest must begin with `sha256:`, `sha384:` or `sha512:`");
    };
    if hex.len() != length || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(match length {
            64 => "its digest must be `sha256:` and 64 lower-case hexadecimal digits",
            96 => "its digest must be `sha384:` and 96 lower-case hexadecimal digits",
            _ => "its digest must be `sha512:` and 128 lower-case hexadecimal digits",
        });
    }
    Ok(digest)
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
    if let Some(port) = registry
        .strip_prefix(host)
        .and_then(|rest| rest.strip_prefix(':'))
    {
        port.parse::<u16>().map_err(|_| PROBLEM)?;
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
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::parse;

    #[rstest::rstest]
    #[case("sha256", 64, true)]
    #[case("sha384", 96, true)]
    #[case("sha512", 128, true)]
    #[case("sha256", 63, false)]
    #[case("ssha256", 64, false)]
    #[case("md5", 32, false)]
    fn digests_of_the_registered_algorithms_are_read(
        #[case] algorithm: &str,
        #[case] digits: usize,
        #[case] valid: bool,
    ) {
        let digest = format!("{algorithm}:{}", "a".repeat(digits));
        for name in ["quay.io/a/b", "quay.io/a/b:v1", "b"] {
            let text = format!("{name}@{digest}");
            let read = parse(&text).map(|parts| parts.digest.unwrap().to_owned());
            assert_eq!(read.is_ok(), valid, "{text}: {read:?}");
            assert!(!valid || read.unwrap() == digest);
        }
    }
}
