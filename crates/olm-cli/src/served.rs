//! Catalogs from where they are served.

use std::io::{self, BufRead, BufReader};
use std::time::Duration;

use futures::TryStreamExt as _;
use reqwest::{Certificate, Client};
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::args;
use crate::failure::Failure;

/// Largest file of certificates, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// Longest time for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Silence after which a transfer is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// Asks for a catalog. What is returned must be read on a thread that may block.
pub(crate) async fn get(
    url: &str,
    args: &args::Access,
) -> Result<Box<dyn BufRead + Send>, Failure> {
    let failed = |source: reqwest::Error| Failure::Get {
        url: url.to_owned(),
        // The URL has been said.
        source: source.without_url(),
    };
    let mut builder = Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .user_agent(concat!("olmctl/", env!("CARGO_PKG_VERSION")))
        .tls_danger_accept_invalid_certs(args.insecure_skip_tls_verify);
    if let Some(file) = &args.ca_file {
        let bytes = olm_fs::read_capped(file, MAX_FILE)?;
        let certificates =
            Certificate::from_pem_bundle(&bytes).map_err(|source| Failure::Certificates {
                file: file.display().to_string(),
                source,
            })?;
        builder = builder.tls_certs_merge(certificates);
    }
    let client = builder.build().map_err(failed)?;
    let response = client.get(url).send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(Failure::Status {
            url: url.to_owned(),
            status: response.status(),
        });
    }
    let body = response.bytes_stream().map_err(io::Error::other);
    let bridge = SyncIoBridge::new(StreamReader::new(Box::pin(body)));
    Ok(Box::new(BufReader::with_capacity(1 << 16, bridge)))
}
