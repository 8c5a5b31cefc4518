//! Guarded requests to web servers that strangers chose.

use std::fmt;
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderValue, LOCATION};
use reqwest::{Certificate, Response, StatusCode, Url, redirect};

use crate::guard::{Guard, GuardError, Route};

const USER_AGENT: &str = concat!("olm-rs/", env!("CARGO_PKG_VERSION"));
/// Longest time for a connection with its TLS handshake.
const CONNECT: Duration = Duration::from_secs(8);
/// Longest silence of a server.
const SILENCE: Duration = Duration::from_secs(20);
/// Redirects that are followed.
const MAX_REDIRECTS: usize = 10;

/// A user name and a password. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicCredentials {
    /// The user.
    pub username: String,
    /// The password or token.
    pub password: String,
}

impl fmt::Debug for BasicCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BasicCredentials")
            .finish_non_exhaustive()
    }
}

/// How a web server is accessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAccess {
    /// Sent to the server that was named and to no other. Default: none.
    pub credentials: Option<BasicCredentials>,
    /// A PEM bundle of authorities that are trusted besides the system's. Default: none.
    pub authorities: Option<Vec<u8>>,
    /// Whether certificates are checked. Default: true.
    pub tls_verify: bool,
}

impl Default for WebAccess {
    fn default() -> Self {
        Self {
            credentials: None,
            authorities: None,
            tls_verify: true,
        }
    }
}

/// The server that a source names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name or address, in lower case; an IPv6 address in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether ssh is spoken to it, and not http or https.
    pub is_ssh: bool,
}

/// A request that gave no content. URLs are shown without user, password and query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// The text is not a URL, or not one of http or https.
    #[error("create http request \"GET {url}\" for bundle content: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The host is refused or unknown.
    #[error("GET {url}: http request for bundle content failed")]
    Guard {
        /// The URL.
        url: String,
        /// Why.
        source: GuardError,
    },
    /// The authorities are not PEM certificates, or TLS cannot be set up.
    #[error("GET {url}: http request for bundle content failed: TLS cannot be set up")]
    Tls {
        /// The URL.
        url: String,
        /// What the library says.
        source: Box<reqwest::Error>,
    },
    /// No answer, or no end of it.
    #[error("GET {url}: http request for bundle content failed")]
    Failed {
        /// The URL.
        url: String,
        /// What the client says.
        source: Box<reqwest::Error>,
    },
    /// The answer comes so slowly that it is not waited for.
    #[error(
        "GET {url}: the server is too slow: less than {bytes_per_second} bytes per second came over \
         {window:?}"
    )]
    TooSlow {
        /// The URL.
        url: String,
        /// The least that must come.
        bytes_per_second: u32,
        /// How long that is measured.
        window: Duration,
    },
    /// A redirect that is not followed.
    #[error("GET {url}: http request for bundle content failed: {reason}")]
    Redirect {
        /// The URL that redirects.
        url: String,
        /// Why not.
        reason: &'static str,
    },
    /// The server answers with something else than content.
    #[error("GET {url}: unexpected status \"{status}\"")]
    Status {
        /// The URL.
        url: String,
        /// The status.
        status: StatusCode,
    },
}

impl WebError {
    /// Whether nothing but another URL can help.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Url { .. })
    }
}

/// Reads a URL of http or https, and takes user and password out of it.
pub(crate) fn parse(text: &str) -> Result<(Url, Option<BasicCredentials>), WebError> {
    let mut url = Url::parse(text).map_err(|error| WebError::Url {
        url: redacted_text(text),
        reason: error.to_string(),
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(WebError::Url {
            url: redacted(&url),
            reason: format!("unsupported protocol scheme \"{}\"", url.scheme()),
        });
    }
    let credentials = (!url.username().is_empty()).then(|| BasicCredentials {
        username: decoded(url.username()),
        password: decoded(url.password().unwrap_or_default()),
    });
    // A URL of these schemes always has a host, and so may have or lack a user.
    let _always = (url.set_username(""), url.set_password(None));
    url.set_fragment(None);
    Ok((url, credentials))
}

/// The server of a URL.
pub(crate) fn endpoint(url: &Url) -> Endpoint {
    Endpoint {
        host: url.host_str().unwrap_or_default().to_ascii_lowercase(),
        port: url.port_or_known_default().unwrap_or(0),
        is_ssh: false,
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

/// A URL without what may be secret in it.
pub(crate) fn redacted(url: &Url) -> String {
    let mut url = url.clone();
    let _never_secret = (url.set_username(""), url.set_password(None));
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// The same for a text that is not a URL.
pub(crate) fn redacted_text(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let shown = match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => text.to_owned(),
    };
    shown
        .chars()
        .filter(|c| !c.is_control())
        .take(256)
        .collect()
}

/// What a server answered with success, and the URL that it answered at.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) url: Url,
    /// Whether it is the server that was asked first, the only one that credentials are for.
    pub(crate) is_origin: bool,
    /// How it was reached.
    pub(crate) route: Route,
}

/// Gets a URL. Redirects are followed from guarded host to guarded host, never from https to http,
/// and credentials stay with the first.
pub(crate) async fn get(
    url: &Url,
    accept: &'static str,
    access: &WebAccess,
    guard: &Guard,
) -> Result<Answer, WebError> {
    let origin = url.origin();
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let shown = redacted(&url);
        let route = guard.route(&url).await.map_err(|source| WebError::Guard {
            url: shown.clone(),
            source,
        })?;
        let is_origin = url.origin() == origin;
        let client = client(&url, &route, access).map_err(|error| WebError::Tls {
            url: shown.clone(),
            source: Box::new(error.without_url()),
        })?;
        let mut request = client
            .get(url.clone())
            .header(ACCEPT, HeaderValue::from_static(accept))
            // The archive as it is stored, not a compressed form of it.
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(basic) = access.credentials.as_ref().filter(|_| is_origin) {
            request = request.basic_auth(&basic.username, Some(&basic.password));
        }
        let response = request.send().await.map_err(|error| WebError::Failed {
            url: shown.clone(),
            source: Box::new(error.without_url()),
        })?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(Answer {
                response,
                url,
                is_origin,
                route,
            });
        }
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Err(WebError::Status { url: shown, status });
        }
        let refused = |reason| WebError::Redirect {
            url: shown.clone(),
            reason,
        };
        let target =
            target(&url, &response).ok_or_else(|| refused("its redirect leads to no URL"))?;
        url = match (url.scheme(), target.scheme()) {
            ("https", "http") => return Err(refused("its redirect leads from https to http")),
            (_, "http" | "https") => target,
            _ => return Err(refused("its redirect leads to another protocol")),
        };
    }
    Err(WebError::Redirect {
        url: redacted(&url),
        reason: "stopped after 10 redirects",
    })
}

/// Where a redirect leads. What it says of a user is not taken over.
fn target(url: &Url, response: &Response) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let mut target = url.join(location).ok()?;
    let _user = (target.set_username(""), target.set_password(None));
    target.set_fragment(None);
    Some(target)
}

fn client(url: &Url, route: &Route, access: &WebAccess) -> Result<reqwest::Client, reqwest::Error> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_gzip()
        .no_proxy()
        .tls_danger_accept_invalid_certs(!access.tls_verify);
    if let Some(bundle) = &access.authorities {
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(bundle)?);
    }
    builder = match route {
        Route::Proxy(proxy) => builder.proxy(reqwest::Proxy::all(proxy.expose())?),
        // An address needs no lookup, and is the one that was judged.
        Route::Direct(addresses) => {
            builder.resolve_to_addrs(url.host_str().unwrap_or_default(), addresses)
        }
    };
    builder.build()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ftp://example.com/a", "unsupported protocol scheme \"ftp\"")]
    #[case("file:///etc/passwd", "unsupported protocol scheme \"file\"")]
    #[case("no url", "relative URL without a base")]
    #[case("", "relative URL without a base")]
    fn only_the_web_is_asked(#[case] url: &str, #[case] reason: &str) {
        let error = parse(url).unwrap_err();
        assert!(error.is_terminal());
        let text = format!("create http request \"GET {url}\" for bundle content: {reason}");
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn no_secret_is_shown() {
        let (url, basic) = parse("https://ann:s%23cret@example.com/a.tgz?token=geheim#x").unwrap();
        let basic = basic.unwrap();
        assert_eq!((&*basic.username, &*basic.password), ("ann", "s#cret"));
        assert_eq!(redacted(&url), "https://example.com/a.tgz");
        assert!(!format!("{basic:?}").contains("cret"));
        let error = parse("ht!tp://ann:secret@example.com/?geheim").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(!error.to_string().contains("geheim"), "{error}");
    }
}
