//! The process: what is built of what.

use std::sync::Arc;
use std::time::Duration;

use olm_api::catalog::Catalog;
use olm_api::names;
use olm_runtime::certificates::{ServingCertificate, service_names};
use olm_runtime::registry::RegistryArgsError;
use olm_runtime::{Controller, Process, ProcessError, Watch};
use olm_serve::health::Probe;
use olm_serve::{Limits, Server};

use crate::args::Args;
use crate::certificate::Copy;
use crate::compress;
use crate::context::{ApiClient, Context};
use crate::phase::content::Unpacker;
use crate::readiness::Readiness;
use crate::reconcile::{CatalogReconciler, PASS_LIMIT};
use crate::replica;
use crate::server::{self, Metrics};
use crate::store::{ContentStore, StoreError};
use crate::under_way::UnderWay;

/// What the content server grants its readers. An answer may be 2 GB; each has at most two pieces
/// of 64 KiB in memory.
const LIMITS: Limits = Limits {
    connections: 512,
    streams: 16,
    requests: 256,
    handshake: Duration::from_secs(10),
    headers: Duration::from_secs(10),
    body_idle: Duration::from_secs(5),
    // A request has no body.
    body_bytes: 64 << 10,
    response: Duration::from_secs(30),
    write_stall: Duration::from_mins(1),
    answer: Duration::from_mins(10),
    idle: Duration::from_secs(90),
    connection_age: Duration::from_mins(30),
    drain: Duration::from_secs(8),
};

/// Why catalogd could not start or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The process as such.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The cache folder cannot be used.
    #[error("cannot use the cache folder `{folder}`")]
    Cache {
        /// The folder.
        folder: String,
        /// What the disk says.
        source: StoreError,
    },
    /// The working folder for images cannot be used.
    #[error("cannot use the cache folder `{folder}`")]
    Unpack {
        /// The folder.
        folder: String,
        /// What the disk says.
        source: olm_fs::StoreError,
    },
    /// The registry client cannot be made.
    #[error(transparent)]
    Registry(#[from] RegistryArgsError),
    /// The external address is no address.
    #[error("`{address}` is not the address of a server")]
    ExternalAddress {
        /// The address as given.
        address: String,
    },
    /// The content server cannot be bound.
    #[error("cannot start the content server")]
    Bind(#[from] olm_serve::BindError),
}

/// Runs catalogd until it is told to end.
///
/// # Errors
/// What it cannot start or go on without.
pub async fn run(args: Args) -> Result<(), RunError> {
    let mut process = Process::start(names::COMPONENT_CATALOGD, &args.common).await?;
    let external_address = args.http_external_address.trim_end_matches('/').to_owned();
    let prefix = path_of(&external_address)?;
    let folder = args.cache_dir.display().to_string();
    let store = ContentStore::open(&args.cache_dir).map_err(|source| RunError::Cache {
        folder: folder.clone(),
        source,
    })?;
    let store = Arc::new(store);
    let registry = args.registry.client()?;
    let unpacker = Unpacker::open(&args.cache_dir, registry, Arc::clone(&store))
        .map_err(|source| RunError::Unpack { folder, source })?;

    let metrics = Metrics::register(process.registry());
    let router = server::router(Arc::clone(&store), metrics, &prefix);
    let certificate = certificate(&process, &args);
    let server = Server::bind("content", &args.catalogs_server_addr, router)
        .await?
        .tls(&certificate.source())?
        .limits(LIMITS);
    process.server(server);
    keep_certificate(&mut process, certificate, Copy::below(&args.cache_dir));

    let streaming = process.clients().streaming.clone();
    let (catalogs, changes) = Watch::<Catalog>::all(streaming.clone()).cached();
    let (of_cluster, of_store) = (catalogs.clone(), Arc::clone(&store));
    let readiness = Readiness::new(move || replica::missing(&of_cluster, &of_store));
    let ready = readiness.clone();
    process
        .health()
        .add(Probe::Readiness, "content", move || ready.check());

    let context = Arc::new(Context {
        client: ApiClient(process.clients().short.clone()),
        namespace: process.namespace().to_owned(),
        unpacker: Arc::new(unpacker),
        store,
        events: process.events(),
        catalogs,
        under_way: UnderWay::default(),
        poll_interval: args.poll_interval.get(),
        external_address,
    });
    let compressed = Arc::clone(&context.store);
    process.background("compress", async move |token| {
        compress::run(compressed, token).await;
        Ok(())
    });
    let shared = Arc::clone(&context);
    process.background("replica", async move |token| {
        replica::run(shared, changes, readiness, token).await;
        Ok(())
    });
    let controller =
        Controller::new(streaming, CatalogReconciler::new(context)).pass_limit(PASS_LIMIT);
    process.controller(controller);
    Ok(process.run().await?)
}

/// The certificate of the content server, which is not there yet.
fn certificate(process: &Process, args: &Args) -> ServingCertificate {
    let mut names = service_names(names::SERVICE_CATALOGD, process.namespace());
    names.extend(args.tls_san.iter().cloned());
    ServingCertificate::later(
        process.clients().short.clone(),
        process.namespace(),
        names::COMPONENT_CATALOGD,
        names,
        process.clock(),
    )
}

/// Serves with the copy at once, gets the certificate when the API server answers, and keeps both
/// up to date.
fn keep_certificate(process: &mut Process, certificate: ServingCertificate, copy: Copy) {
    let source = certificate.source();
    copy.load(&source, process.clock().now());
    process
        .health()
        .add(Probe::Readiness, "certificate", move || {
            if source.is_loaded() {
                Ok(())
            } else {
                Err("there is no serving certificate yet".to_owned())
            }
        });
    let mut leaf = certificate.leaf();
    process.background("certificate", async move |token| {
        let copying = async {
            loop {
                let pair = leaf.borrow_and_update().clone();
                if let Some(pair) = pair {
                    let copy = copy.clone();
                    // Nothing depends on it, and what went wrong is in the log.
                    let _done = tokio::task::spawn_blocking(move || copy.keep(&pair)).await;
                }
                if leaf.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(certificate.keep(token), copying);
        Ok(())
    });
}

/// The path of an address, which stands before `/catalogs/`.
fn path_of(address: &str) -> Result<String, RunError> {
    let uri = address.parse::<http::Uri>().ok();
    let uri = uri.filter(|uri| uri.host().is_some() && uri.query().is_none());
    let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    match uri {
        Some(uri) => Ok(uri.path().trim_end_matches('/').to_owned()),
        None => Err(RunError::ExternalAddress {
            address: address.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://catalogd-service.olm-system.svc", Some(""))]
    #[case("https://catalogd-service.olm-system.svc/", Some(""))]
    #[case("http://example.com:8080/olm/", Some("/olm"))]
    #[case("catalogd-service.olm-system.svc", None)]
    #[case("ftp://example.com", None)]
    #[case("https://example.com/?a=b", None)]
    #[case("", None)]
    fn the_external_address_gives_the_prefix(#[case] address: &str, #[case] prefix: Option<&str>) {
        assert_eq!(path_of(address).ok().as_deref(), prefix);
    }
}
