//! A server of the same stack that does nothing but answer, in a process of its own.

use std::path::Path;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use olm_serve::Server;
use olm_serve::tls::CertificateSource;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use crate::certificates::Authority;
use crate::ports::Port;
use crate::process::{Process, Program};
use crate::{Wait, scratch};

/// A server of the same stack that knows nothing of catalogs, in a process of its own.
pub(super) struct Bare {
    _process: Process,
    port: Port,
    pub(super) http: reqwest::Client,
}

impl Bare {
    pub(super) async fn start(content: &[u8]) -> Result<Self> {
        let folder = scratch::subdirectory("bare")?;
        let authority = Authority::new("bare")?;
        let identity = authority.server(&["127.0.0.1"])?;
        scratch::write(folder.join("tls.crt"), identity.certificate)?;
        scratch::write(folder.join("tls.key"), identity.key)?;
        scratch::write(folder.join("content"), content)?;
        let port = Port::reserve()?;
        let program = Program {
            path: std::env::current_exe()?,
            arguments: vec![
                "bare".to_owned(),
                folder.display().to_string(),
                port.local(),
            ],
            ..Program::default()
        };
        let process = Process::new("bare", program, &folder);
        process.start()?;
        let root = reqwest::Certificate::from_pem(authority.certificate().as_bytes())?;
        let http = reqwest::Client::builder()
            .tls_certs_only([root])
            .no_gzip()
            .http1_only()
            .build()?;
        let bare = Self {
            _process: process,
            port,
            http,
        };
        Wait::new("the bare server answers")
            .value(async || {
                let answer = bare.http.get(bare.url("memory")).send().await;
                Ok(answer.is_ok().then_some(()))
            })
            .await?;
        Ok(bare)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("https://{}/{path}", self.port.local())
    }
}

/// Serves the file `content` of a folder, and the same from memory, until it is killed.
///
/// # Errors
/// When it cannot be started.
pub async fn bare(folder: &Path, address: &str) -> Result<()> {
    crate::certificates::install_provider();
    let source = CertificateSource::new();
    source.set_pem(
        &std::fs::read(folder.join("tls.crt"))?,
        &std::fs::read(folder.join("tls.key"))?,
    )?;
    let path = folder.join("content");
    let memory = axum::body::Bytes::from(std::fs::read(&path)?);
    let memory = if memory.len() > 1 << 20 {
        axum::body::Bytes::new()
    } else {
        memory
    };
    let file = move || async move {
        match tokio::fs::File::open(path).await {
            Ok(file) => Body::from_stream(ReaderStream::with_capacity(file, 64 << 10)),
            Err(_) => Body::empty(),
        }
    };
    let router = Router::new()
        .route("/content", get(file))
        .route("/memory", get(move || async move { memory }));
    let server = Server::bind("bare", address, router).await?.tls(&source)?;
    server.run(CancellationToken::new()).await;
    Ok(())
}
