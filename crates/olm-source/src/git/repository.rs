//! What a Bundle says of a repository: its URL, and what of it is wanted.

use std::fmt;

use reqwest::Url;

use super::error::GitError;
use crate::web::{self, BasicCredentials};

/// Longest name of a branch or tag.
const MAX_NAME: usize = 255;

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Repository {
    /// Behind a web server; credentials that the URL held stand beside it.
    Web {
        url: Url,
        credentials: Option<BasicCredentials>,
    },
    /// Behind an ssh server.
    Ssh(Ssh),
}

/// A repository behind an ssh server. Everything in it is made of characters that mean nothing to
/// any program that it is handed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ssh {
    pub(crate) user: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As git is told it, with the user.
    pub(crate) text: String,
}

impl Repository {
    /// Reads a URL of http, https or ssh, or the short form `[USER@]HOST:PATH` of ssh.
    pub(crate) fn parse(text: &str) -> Result<Self, GitError> {
        let refused = |reason: &str| GitError::Repository {
            repository: web::redacted_text(text),
            reason: reason.to_owned(),
        };
        if text.is_empty() {
            return Err(GitError::NoRepository);
        }
        if text.chars().any(char::is_control) {
            return Err(refused("it holds control characters"));
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return short(text).ok_or_else(|| {
                refused("it is neither a URL of https, http or ssh nor `USER@HOST:PATH`")
            });
        };
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => {
                let (url, credentials) = web::parse(text).map_err(|_| refused("it is no URL"))?;
                Ok(Self::Web { url, credentials })
            }
            "ssh" => {
                let url = Url::parse(text).map_err(|error| refused(&error.to_string()))?;
                let host = url.host_str().unwrap_or_default();
                let user = Some(url.username()).filter(|user| !user.is_empty());
                ssh(user.unwrap_or("git"), host, url.port(), url.path(), false)
                    .ok_or_else(|| refused("its user, host or path is not one"))
            }
            _ => Err(refused("only https, http and ssh are supported")),
        }
    }
}

/// `[USER@]HOST:PATH`.
fn short(text: &str) -> Option<Repository> {
    let (place, path) = text.split_once(':')?;
    let (user, host) = place.split_once('@').unwrap_or(("git", place));
    ssh(user, host, None, path, true)
}

fn ssh(user: &str, host: &str, port: Option<u16>, path: &str, short: bool) -> Option<Repository> {
    let host = host.to_ascii_lowercase();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_word = |text: &str, more: &str| {
        !text.is_empty()
            && text.len() <= MAX_NAME
            && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == ':' || c == '_')
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    let is_path = !path.trim_matches('/').is_empty()
        && path.len() <= 4096
        && !path.starts_with('-')
        && path
            .chars()
            .all(|c| c.is_ascii_graphic() && !"'\"\\`$;&|<>()!*?#".contains(c));
    if !is_word(user, "._-") || !is_word(bare, ".-_:") || !is_path {
        return None;
    }
    let text = if short {
        format!("{user}@{host}:{path}")
    } else {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("ssh://{user}@{host}{port}{path}")
    };
    Some(Repository::Ssh(Ssh {
        user: user.to_owned(),
        host: bare.to_owned(),
        port: port.unwrap_or(22),
        text,
    }))
}

/// What of a repository is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revision {
    /// The head of a branch.
    Branch(String),
    /// What a tag names.
    Tag(String),
    /// A commit by its full hash; it must be reachable from a branch.
    Commit(String),
    /// A commit that one of the others once resolved to, by its full hash. It is found as long as
    /// the server has it, wherever branches and tags point meanwhile.
    Pinned(String),
}

impl Revision {
    /// Whether it means the same for ever.
    pub const fn is_fixed(&self) -> bool {
        matches!(self, Self::Commit(_) | Self::Pinned(_))
    }

    /// Whether the name can be one: nothing that git takes for an option or a pattern.
    pub(crate) fn check(&self) -> Result<(), GitError> {
        let is_fine = match self {
            Self::Branch(name) | Self::Tag(name) => is_reference_name(name),
            Self::Commit(hash) | Self::Pinned(hash) => is_hash(hash),
        };
        is_fine
            .then_some(())
            .ok_or_else(|| GitError::Revision(self.to_string()))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match self {
            Self::Branch(name) => ("branch", name),
            Self::Tag(name) => ("tag", name),
            Self::Commit(name) | Self::Pinned(name) => ("commit", name),
        };
        write!(formatter, "{kind} {name:?}")
    }
}

/// Whether a text is the full hash of an object, SHA-1 or SHA-256.
pub(crate) fn is_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The rules of `git check-ref-format` for what follows `refs/heads/`.
fn is_reference_name(name: &str) -> bool {
    let parts_are_fine = name.split('/').all(|part| {
        !part.is_empty() && !part.starts_with('.') && part.strip_suffix(".lock").is_none()
    });
    parts_are_fine
        && name.len() <= MAX_NAME
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && name != "@"
        && !name
            .chars()
            .any(|c| c.is_control() || " ~^:?*[\\".contains(c))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "ssh://example.com/a/b.git",
        "git",
        "example.com",
        22,
        "ssh://git@example.com/a/b.git"
    )]
    #[case(
        "ssh://ann@example.com:2222/a",
        "ann",
        "example.com",
        2222,
        "ssh://ann@example.com:2222/a"
    )]
    #[case(
        "git@example.com:a/b.git",
        "git",
        "example.com",
        22,
        "git@example.com:a/b.git"
    )]
    #[case("example.com:a", "git", "example.com", 22, "git@example.com:a")]
    #[case("ssh://[::1]:22/a", "git", "::1", 22, "ssh://git@[::1]:22/a")]
    fn both_forms_of_ssh_are_read(
        #[case] text: &str,
        #[case] user: &str,
        #[case] host: &str,
        #[case] port: u16,
        #[case] told: &str,
    ) {
        let Repository::Ssh(ssh) = Repository::parse(text).unwrap() else {
            panic!("not ssh")
        };
        let found = (&*ssh.user, &*ssh.host, ssh.port, &*ssh.text);
        assert_eq!(found, (user, host, port, told));
    }

    #[rstest]
    #[case::a_file("file:///etc")]
    #[case::a_path("/srv/repository")]
    #[case::a_relative_path("../repository")]
    #[case::a_helper("ext::sh -c touch% /tmp/x")]
    #[case::git_protocol("git://example.com/a")]
    #[case::an_option("--upload-pack=touch /tmp/x")]
    #[case::an_option_as_host("ssh://-oProxyCommand=touch/x")]
    #[case::an_option_as_user("ssh://-oA@example.com/x")]
    #[case::an_option_in_short_form("-oProxyCommand=x:path")]
    #[case::an_option_as_path("git@example.com:-x")]
    #[case::a_command("git@example.com:a;touch x")]
    #[case::a_line("https://example.com/a\nb")]
    #[case::no_path("ssh://example.com")]
    fn nothing_else_is_handed_to_git(#[case] text: &str) {
        let error = Repository::parse(text).unwrap_err();
        assert!(matches!(error, GitError::Repository { .. }), "{error}");
        assert!(error.is_terminal());
    }

    #[test]
    fn credentials_of_a_url_are_not_handed_on_in_it() {
        let parsed = Repository::parse("https://ann:secret@example.com/a.git").unwrap();
        let Repository::Web { url, credentials } = parsed else {
            panic!("not web")
        };
        assert_eq!(url.as_str(), "https://example.com/a.git");
        assert_eq!(credentials.unwrap().password, "secret");
    }

    #[rstest]
    #[case(Revision::Branch("main".into()), true)]
    #[case(Revision::Branch("release/v1.2".into()), true)]
    #[case(Revision::Tag("v0.0.1".into()), true)]
    #[case(Revision::Tag("-x".into()), false)]
    #[case(Revision::Tag(String::new()), false)]
    #[case(Revision::Branch("a..b".into()), false)]
    #[case(Revision::Branch("a b".into()), false)]
    #[case(Revision::Branch("a:refs/heads/b".into()), false)]
    #[case(Revision::Branch("*".into()), false)]
    #[case(Revision::Branch("a/".into()), false)]
    #[case(Revision::Branch("a.lock".into()), false)]
    #[case(Revision::Commit("9e3ab7f1a36302ef512294d5c9f2e9b9566b811e".into()), true)]
    #[case(Revision::Commit("9e3ab7f".into()), false)]
    #[case(Revision::Commit("--upload-pack=x".into()), false)]
    fn names_follow_the_rules_of_git(#[case] revision: Revision, #[case] fine: bool) {
        assert_eq!(revision.check().is_ok(), fine, "{revision}");
    }
}
