//! Which hosts may be spoken to.
//!
//! Who may write a Bundle chooses hosts that a process of the cluster then asks. Some of them answer
//! only because of who asks: what listens on the loopback of its pod, and what clouds have at
//! link-local addresses, which hands out credentials of the node. So these are refused, by the
//! address that a name resolves to and not by the name, and connections go to the very address that
//! was judged.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::Url;

/// The metadata service of a cloud that has it at an address which is not link-local.
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// Judges hosts and addresses. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Guard {
    allow_local: bool,
    proxies: Arc<Matcher>,
    /// An address that tests speak to as if it were another machine's.
    #[cfg(test)]
    elsewhere: Option<SocketAddr>,
}

/// Why a host is not spoken to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The text is not the name of a host.
    #[error("`{0}` is not the name of a host")]
    Host(String),
    /// The name is not known.
    #[error("cannot look up the host `{host}`")]
    Lookup {
        /// The name.
        host: String,
        /// What the resolver says.
        source: std::io::Error,
    },
    /// The name has no address that may be spoken to.
    #[error(
        "the host `{host}` is at {address}, which is a loopback or link-local address; these are \
         refused (--allow-local-sources allows them)"
    )]
    Local {
        /// The name.
        host: String,
        /// Its address.
        address: IpAddr,
    },
}

/// How a host is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// At these addresses, none of which is refused.
    Direct(Vec<SocketAddr>),
    /// Through this proxy, which resolves the name.
    Proxy(Proxy),
}

/// A proxy of the environment, with its credentials.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy(Url);

impl Proxy {
    fn of(intercept: &Intercept) -> Option<Self> {
        let mut url = Url::parse(&intercept.uri().to_string()).ok()?;
        let basic = intercept
            .basic_auth()
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.strip_prefix("Basic "))
            .and_then(|text| STANDARD.decode(text).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some((user, password)) = basic.as_deref().and_then(|pair| pair.split_once(':')) {
            url.set_username(user).ok()?;
            url.set_password(Some(password)).ok()?;
        }
        Some(Self(url))
    }

    /// The proxy's URL with its credentials, for a program that is given it.
    pub(crate) fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Proxy").finish_non_exhaustive()
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Guard {
    /// A guard that refuses loopback, link-local and unspecified addresses, or with `allow_local`
    /// none. It uses the proxies that the environment names; through one, only hosts that are
    /// addresses, and `localhost`, can be judged.
    pub fn new(allow_local: bool) -> Self {
        Self {
            allow_local,
            proxies: Arc::new(Matcher::from_env()),
            #[cfg(test)]
            elsewhere: None,
        }
    }

    /// A guard that takes one address for that of another machine, and refuses all others of this one.
    #[cfg(test)]
    pub(crate) fn with_elsewhere(elsewhere: SocketAddr) -> Self {
        Self {
            elsewhere: Some(elsewhere),
            ..Self::new(false)
        }
    }

    /// The way to the host of a URL.
    pub(crate) async fn route(&self, url: &Url) -> Result<Route, GuardError> {
        let host = host(url)?;
        let port = url.port_or_known_default().unwrap_or(0);
        let intercept = url
            .as_str()
            .parse()
            .ok()
            .and_then(|uri| self.proxies.intercept(&uri));
        if let Some(proxy) = intercept.as_ref().and_then(Proxy::of) {
            self.judge_name(&host)?;
            return Ok(Route::Proxy(proxy));
        }
        self.addresses(&host, port).await.map(Route::Direct)
    }

    /// The addresses of a host that may be spoken to; one at least.
    pub(crate) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, GuardError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => tokio::net::lookup_host((bare, port))
                .await
                .map_err(|source| GuardError::Lookup {
                    host: host.to_owned(),
                    source,
                })?
                .take(MAX_ADDRESSES)
                .collect(),
        };
        let refused = found.iter().find(|at| self.refuses_at(**at)).copied();
        let allowed: Vec<_> = found
            .into_iter()
            .filter(|at| !self.refuses_at(*at))
            .collect();
        match refused {
            Some(at) if allowed.is_empty() => Err(GuardError::Local {
                host: host.to_owned(),
                address: at.ip(),
            }),
            None if allowed.is_empty() => Err(GuardError::Lookup {
                host: host.to_owned(),
                source: std::io::Error::other("it has no address"),
            }),
            _ => Ok(allowed),
        }
    }

    /// Judges what can be seen without resolving.
    fn judge_name(&self, host: &str) -> Result<(), GuardError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let address = match bare.parse() {
            Ok(address) => address,
            Err(_) if bare == "localhost" || bare.ends_with(".localhost") => {
                IpAddr::V4(Ipv4Addr::LOCALHOST)
            }
            Err(_) => return Ok(()),
        };
        if self.refuses(address) {
            return Err(GuardError::Local {
                host: host.to_owned(),
                address,
            });
        }
        Ok(())
    }

    fn refuses_at(&self, at: SocketAddr) -> bool {
        #[cfg(test)]
        if self.elsewhere == Some(at) {
            return false;
        }
        self.refuses(at.ip())
    }

    fn refuses(&self, address: IpAddr) -> bool {
        !self.allow_local && is_local(address)
    }
}

fn host(url: &Url) -> Result<String, GuardError> {
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() {
        return Err(GuardError::Host(String::new()));
    }
    Ok(host.trim_end_matches('.').to_ascii_lowercase())
}

/// Whether an address is one that answers by who asks: loopback, link-local, unspecified (which
/// leads to the loopback), multicast and broadcast, also where IPv6 wraps an IPv4 address.
pub(crate) fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                // 0.0.0.0/8 is "this host on this network" (RFC 1122, 3.2.1.3).
                || address.octets()[0] == 0
        }
        IpAddr::V6(address) => {
            let inner = address.to_ipv4_mapped().or_else(|| embedded(address));
            inner.is_some_and(|inner| is_local(IpAddr::V4(inner)))
                || address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unicast_link_local()
                || address == METADATA
        }
    }
}

/// The IPv4 address in one that is translated (RFC 6052) or compatible (RFC 4291, 2.5.5.1).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., high, low] = address.segments();
    let is_embedded = match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => true,
        [0, 0, 0, 0, 0, 0, high, _] => high != 0,
        _ => false,
    };
    is_embedded.then(|| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("127.0.0.1", true)]
    #[case("127.8.9.1", true)]
    #[case("0.0.0.0", true)]
    #[case("169.254.169.254", true)]
    #[case("224.0.0.1", true)]
    #[case("255.255.255.255", true)]
    #[case("::1", true)]
    #[case("::", true)]
    #[case("fe80::1", true)]
    #[case("ff02::1", true)]
    #[case("fd00:ec2::254", true)]
    #[case("::ffff:127.0.0.1", true)]
    #[case("::ffff:169.254.169.254", true)]
    #[case("64:ff9b::a9fe:a9fe", true)]
    #[case("::127.0.0.1", true)]
    #[case("10.0.0.1", false)]
    #[case("192.168.1.1", false)]
    #[case("140.82.121.4", false)]
    #[case("::ffff:10.0.0.1", false)]
    #[case("fd00::1", false)]
    #[case("2606:50c0:8000::153", false)]
    fn addresses_that_answer_by_who_asks_are_local(#[case] address: &str, #[case] local: bool) {
        assert_eq!(is_local(address.parse().unwrap()), local);
    }

    #[rstest]
    #[case("http://localhost/a", "localhost")]
    #[case("http://127.1/a", "127.0.0.1")]
    #[case("http://2130706433/", "127.0.0.1")]
    #[case("http://0x7f.1/", "127.0.0.1")]
    #[case("http://[::1]:80/", "[::1]")]
    #[case("http://169.254.169.254/latest/meta-data", "169.254.169.254")]
    #[tokio::test]
    async fn a_name_is_judged_by_its_address(#[case] url: &str, #[case] named: &str) {
        let url = Url::parse(url).unwrap();
        let error = Guard::new(false).route(&url).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("the host `{named}` is at ")),
            "{text}"
        );
        let route = Guard::new(true).route(&url).await.unwrap();
        assert!(matches!(route, Route::Direct(addresses) if !addresses.is_empty()));
    }

    #[test]
    fn through_a_proxy_only_what_needs_no_lookup_is_judged() {
        let guard = Guard::new(false);
        assert!(guard.judge_name("example.invalid").is_ok());
        assert!(guard.judge_name("a.localhost").is_err());
        assert!(guard.judge_name("[fe80::1]").is_err());
    }
}
