//! Reading a catalog's lines from catalogd.

use std::io::{self, BufReader, Read};
use std::time::Duration;

use futures::TryStreamExt;
use olm_fbc::{Reading, read_lines};
use olm_runtime::trust::Trust;
use reqwest::header::{HeaderValue, IF_MATCH};
use reqwest::{Certificate, Client, StatusCode};
use sha2::{Digest, Sha256};
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::Content;

/// Most bytes of one catalog.
const MAX_CONTENT: u64 = 4 << 30;

/// Silence after which a transfer is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// Longest transfer.
const TRANSFER: Duration = Duration::from_mins(10);

/// Why a catalog's content could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FetchError {
    /// Nobody published the authorities that catalogd's certificate is checked with.
    #[error("the authority of catalogd is not published yet")]
    NoTrust,
    /// The client cannot be set up.
    #[error("cannot set up the connection to catalogd")]
    Client(#[source] reqwest::Error),
    /// catalogd is away or the transfer broke.
    #[error("cannot fetch `{url}`")]
    Transfer { url: String, source: reqwest::Error },
    /// catalogd answers, with something else than the content.
    #[error("catalogd answered {status} for `{url}`")]
    Status { url: String, status: StatusCode },
    /// The replica that answered has another content than the Catalog says.
    #[error("catalogd does not serve `{digest}` at `{url}` yet")]
    Other { url: String, digest: String },
    /// The transfer ended early or the content is none.
    #[error("the content of `{url}` cannot be read")]
    Content { url: String, source: io::Error },
    /// It took too long.
    #[error("the content of `{url}` was not there after {} s", TRANSFER.as_secs())]
    TimedOut { url: String },
}

/// Fetches content over HTTPS, trusting what catalogd published.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    trust: Trust,
}

impl Fetcher {
    pub(crate) fn new(trust: Trust) -> Self {
        Self { trust }
    }

    /// Waits until there is an authority to trust.
    pub(crate) async fn ready(&self) {
        self.trust.wait_first().await;
    }

    /// Reads the content of the catalog `name` whose digest is `digest`.
    pub(crate) async fn fetch(
        &self,
        name: &str,
        url: &str,
        digest: &str,
    ) -> Result<Content, FetchError> {
        let transfer = self.transfer(name, url, digest);
        tokio::time::timeout(TRANSFER, transfer)
            .await
            .unwrap_or_else(|_| {
                Err(FetchError::TimedOut {
                    url: url.to_owned(),
                })
            })
    }

    async fn transfer(&self, name: &str, url: &str, digest: &str) -> Result<Content, FetchError> {
        let response = self
            .client()?
            .get(url)
            .header(
                IF_MATCH,
                HeaderValue::from_str(&format!("\"{digest}\"")).map_err(|_| other(url, digest))?,
            )
            .send()
            .await
            .map_err(|source| FetchError::Transfer {
                url: url.to_owned(),
                source,
            })?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::PRECONDITION_FAILED => return Err(other(url, digest)),
            status => {
                return Err(FetchError::Status {
                    url: url.to_owned(),
                    status,
                });
            }
        }
        let body = response.bytes_stream().map_err(io::Error::other);
        let bridge = SyncIoBridge::new(StreamReader::new(Box::pin(body)));
        let (name, expected) = (name.to_owned(), digest.to_owned());
        let read = tokio::task::spawn_blocking(move || read(&name, &expected, bridge)).await;
        match read {
            Ok(Ok(Some(content))) => Ok(content),
            Ok(Ok(None)) => Err(other(url, digest)),
            Ok(Err(source)) => Err(FetchError::Content {
                url: url.to_owned(),
                source,
            }),
            Err(ended) => Err(FetchError::Content {
                url: url.to_owned(),
                source: io::Error::other(ended),
            }),
        }
    }

    fn client(&self) -> Result<Client, FetchError> {
        let authorities = self.trust.current().ok_or(FetchError::NoTrust)?;
        let authorities =
            Certificate::from_pem_bundle(authorities.as_bytes()).map_err(FetchError::Client)?;
        Client::builder()
            .tls_certs_only(authorities)
            .https_only(true)
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(FetchError::Client)
    }
}

fn other(url: &str, digest: &str) -> FetchError {
    FetchError::Other {
        url: url.to_owned(),
        digest: digest.to_owned(),
    }
}

/// Reads the lines and keeps what choosing needs; `None` when they are not those of `expected`.
fn read(name: &str, expected: &str, source: impl Read) -> io::Result<Option<Content>> {
    let mut hashed = Hashed {
        inner: source.take(MAX_CONTENT),
        hasher: Sha256::new(),
    };
    let lines = read_lines(
        BufReader::with_capacity(64 << 10, &mut hashed),
        Reading::default(),
    );
    // The priority is that of the Catalog, which may change without its content.
    let model = olm_resolver::Catalog::read(name, 0, lines).map_err(io::Error::other)?;
    // What a reader left in its buffer was hashed when it was read, so the sum is of everything.
    let digest = format!("sha256:{}", hex::encode(hashed.hasher.finalize()));
    Ok((digest == expected).then(|| Content { digest, model }))
}

/// Hashes what passes through it.
struct Hashed<R> {
    inner: R,
    hasher: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const LINES: &str = "{\"name\":\"p\",\"schema\":\"olm.package\"}\n";

    fn digest(text: &str) -> String {
        format!("sha256:{}", hex::encode(Sha256::digest(text)))
    }

    #[test]
    fn content_of_another_digest_is_not_taken() {
        assert!(
            read("c", &digest(LINES), LINES.as_bytes())
                .unwrap()
                .is_some()
        );
        assert!(
            read("c", &digest("other"), LINES.as_bytes())
                .unwrap()
                .is_none()
        );
        let half = &LINES.as_bytes()[..10];
        assert!(!matches!(read("c", &digest(LINES), half), Ok(Some(_))));
    }
}
