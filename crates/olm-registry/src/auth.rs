//! Credentials, and the files that hold them.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use olm_reference::without_port;
use serde::Deserialize;

use crate::reference::Reference;

/// Largest auth file; a Secret cannot be larger.
const MAX_FILE: usize = 1 << 20;

/// base64 with its padding or without, as different tools write it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What proves to a registry who is asking. Its `Debug` shows the kind only.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Credentials {
    /// Nothing.
    #[default]
    Anonymous,
    /// User name and password, for the registry or for the token service it names.
    Basic {
        /// User name.
        username: String,
        /// Password or access token.
        password: String,
    },
    /// A refresh token for the token service that the registry names.
    IdentityToken(String),
    /// A bearer token for the registry itself.
    RegistryToken(String),
}

impl Credentials {
    /// Whether nothing is sent.
    pub const fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(redacted)",
            Self::IdentityToken(_) => "IdentityToken(redacted)",
            Self::RegistryToken(_) => "RegistryToken(redacted)",
        })
    }
}

/// An auth file that cannot be used. No message holds a part of its content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// More than 1 MiB.
    #[error("the auth file is larger than 1 MiB")]
    TooLarge,
    /// Not the JSON of an auth file.
    #[error("the auth file is not valid JSON of the form {0}")]
    Format(&'static str),
    /// An `auth` that is not the base64 form of `USER:PASSWORD`.
    #[error("the auth file's entry `{0}` holds an `auth` that is not base64 of `USER:PASSWORD`")]
    Entry(String),
}

/// The credentials of many registries and repositories, as Secrets of the types
/// `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg` hold them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthFile {
    /// Pattern of host and path without scheme, to credentials.
    entries: BTreeMap<String, Credentials>,
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl AuthFile {
    /// Reads `.dockerconfigjson`: `{"auths": {REGISTRY: {…}}}`.
    ///
    /// # Errors
    /// [`AuthError`].
    pub fn from_docker_config_json(bytes: &[u8]) -> Result<Self, AuthError> {
        let config: DockerConfig = parse(bytes, "{\"auths\": {REGISTRY: {\"auth\": …}}}")?;
        Self::new(config.auths)
    }

    /// Reads `.dockercfg`: `{REGISTRY: {…}}`.
    ///
    /// # Errors
    /// [`AuthError`].
    pub fn from_dockercfg(bytes: &[u8]) -> Result<Self, AuthError> {
        Self::new(parse(bytes, "{REGISTRY: {\"auth\": …}}")?)
    }

    fn new(entries: BTreeMap<String, Entry>) -> Result<Self, AuthError> {
        let mut file = Self::default();
        for (key, entry) in entries {
            let credentials = entry
                .credentials()
                .ok_or_else(|| AuthError::Entry(printable(&key)))?;
            file.entries.insert(normalize(&key), credentials);
        }
        Ok(file)
    }

    /// The credentials for `reference`: those of the entry that is the longest prefix of its
    /// registry and repository, by whole components, a host without port after one with it; a `*`
    /// in an entry's host stands for one part of a host name. Anonymous where none matches.
    pub fn credentials(&self, reference: &Reference) -> Credentials {
        self.entries
            .iter()
            .filter_map(|(pattern, credentials)| {
                rank(pattern, reference).map(|rank| (rank, credentials))
            })
            .max_by_key(|(rank, _)| *rank)
            .map_or(Credentials::Anonymous, |(_, credentials)| {
                credentials.clone()
            })
    }

    /// Whether the file has no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8], form: &'static str) -> Result<T, AuthError> {
    if bytes.len() > MAX_FILE {
        return Err(AuthError::TooLarge);
    }
    // The parser's message may quote the content.
    serde_json::from_slice(bytes).map_err(|_| AuthError::Format(form))
}

impl Entry {
    fn credentials(self) -> Option<Credentials> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(token) = some(self.registrytoken) {
            return Some(Credentials::RegistryToken(token));
        }
        if let Some(token) = some(self.identitytoken) {
            return Some(Credentials::IdentityToken(token));
        }
        if let Some(auth) = some(self.auth) {
            let bytes = BASE64.decode(auth.trim()).ok()?;
            let text = String::from_utf8(bytes).ok()?;
            let (username, password) = text.split_once(':')?;
            return Some(Credentials::Basic {
                username: username.to_owned(),
                password: password.trim_end_matches('\0').to_owned(),
            });
        }
        match (some(self.username), some(self.password)) {
            (Some(username), Some(password)) => Some(Credentials::Basic { username, password }),
            _ => Some(Credentials::Anonymous),
        }
    }
}

/// Host and path of a key: tools write `https://index.docker.io/v1/`, `quay.io`, `quay.io/org`.
fn normalize(key: &str) -> String {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    let key = key.trim_end_matches('/');
    let key = key
        .strip_suffix("/v1")
        .or_else(|| key.strip_suffix("/v2"))
        .unwrap_or(key);
    match key.split_once('/') {
        None => canonical_host(key),
        Some((host, path)) => format!("{}/{path}", canonical_host(host)),
    }
}

fn canonical_host(host: &str) -> String {
    match host.to_ascii_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    }
}

/// How well an entry fits: components of the path first, then a literal host over one with `*`,
/// then a host with port.
fn rank(pattern: &str, reference: &Reference) -> Option<(usize, bool, bool)> {
    let (host, path) = pattern.split_once('/').unwrap_or((pattern, ""));
    let registry = reference.registry().to_ascii_lowercase();
    let with_port = matches_host(host, &registry);
    if !with_port && !matches_host(host, without_port(&registry)) {
        return None;
    }
    let literal = !host.contains('*');
    if path.is_empty() {
        return Some((0, literal, with_port));
    }
    let rest = reference.repository().strip_prefix(path)?;
    (rest.is_empty() || rest.starts_with('/'))
        .then(|| (path.split('/').count(), literal, with_port))
}

fn matches_host(pattern: &str, host: &str) -> bool {
    if !pattern.contains('*') {
        return pattern == host;
    }
    let (patterns, parts) = (pattern.split('.'), host.split('.'));
    patterns.clone().count() == parts.clone().count()
        && patterns
            .zip(parts)
            .all(|(pattern, part)| matches_part(pattern, part))
}

fn matches_part(pattern: &str, part: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == part;
    };
    // One `*` per part is what is used; the text behind it is compared as it stands.
    part.strip_prefix(first)
        .is_some_and(|part| part.ends_with(rest))
}

fn printable(text: &str) -> String {
    text.chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect()
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

    fn user(credentials: &Credentials) -> &str {
        match credentials {
            Credentials::Anonymous => "-",
            Credentials::Basic { username, .. } => username,
            Credentials::IdentityToken(token) | Credentials::RegistryToken(token) => token,
        }
    }

    fn file() -> AuthFile {
        let entry =
            |name: &str| format!(r#"{{"auth":"{}"}}"#, BASE64.encode(format!("{name}:p:w")));
        let json = format!(
            r#"{{"auths":{{
                "https://index.docker.io/v1/": {},
                "quay.io": {},
                "quay.io/org": {},
                "quay.io/org/app": {},
                "registry.local:5000": {},
                "registry.local": {},
                "*.example.com": {},
                "a.example.com": {},
                "identity.io": {{"identitytoken":"it","auth":"{}"}},
                "plain.io": {{"username":"plain","password":"x"}},
                "empty.io": {{}}
            }},"credsStore":"ignored"}}"#,
            entry("hub"),
            entry("quay"),
            entry("org"),
            entry("app"),
            entry("port"),
            entry("noport"),
            entry("wild"),
            entry("literal"),
            BASE64.encode("00000000:"),
        );
        AuthFile::from_docker_config_json(json.as_bytes()).unwrap()
    }

    #[rstest::rstest]
    #[case("busybox", "hub")]
    #[case("quay.io/other/app", "quay")]
    #[case("quay.io/org/thing", "org")]
    #[case("quay.io/organisation/thing", "quay")]
    #[case("quay.io/org/app", "app")]
    #[case("quay.io/org/app/sub", "app")]
    #[case("quay.io/org/application", "org")]
    #[case("registry.local:5000/a", "port")]
    #[case("registry.local:6000/a", "noport")]
    #[case("a.example.com/x", "literal")]
    #[case("b.example.com/x", "wild")]
    #[case("b.c.example.com/x", "-")]
    #[case("identity.io/x", "it")]
    #[case("plain.io/x", "plain")]
    #[case("empty.io/x", "-")]
    #[case("unknown.io/x", "-")]
    fn the_longest_prefix_wins(#[case] image: &str, #[case] expected: &str) {
        let credentials = file().credentials(&Reference::parse(image).unwrap());
        assert_eq!(user(&credentials), expected);
    }

    #[test]
    fn a_password_may_hold_colons_and_is_never_shown() {
        let credentials = file().credentials(&Reference::parse("quay.io/a").unwrap());
        let Credentials::Basic { password, .. } = &credentials else {
            panic!()
        };
        assert_eq!(password, "p:w");
        assert_eq!(format!("{credentials:?}"), "Basic(redacted)");
        assert!(!format!("{:?}", file()).contains("p:w"));
    }

    #[test]
    fn the_old_form_has_no_auths_key() {
        let file = AuthFile::from_dockercfg(br#"{"quay.io":{"auth":"dTpw"}}"#).unwrap();
        assert_eq!(
            user(&file.credentials(&Reference::parse("quay.io/a").unwrap())),
            "u"
        );
    }

    #[rstest::rstest]
    #[case("not json s3cret")]
    #[case(r#"{"auths":{"quay.io":{"auth":"s3cret!"}}}"#)]
    #[case(r#"{"auths":{"quay.io":{"auth":"bm9jb2xvbg=="}}}"#)]
    #[case(r#"{"auths":"s3cret"}"#)]
    fn a_broken_file_is_an_error_that_quotes_nothing(#[case] text: &str) {
        let error = AuthFile::from_docker_config_json(text.as_bytes()).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("s3cret"),
            "{error:?}"
        );
    }
}
