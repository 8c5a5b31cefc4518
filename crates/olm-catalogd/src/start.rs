//! The process: what is built of what.

use std::sync::Arc;
use std::time::Duration;

use olm_api::catalog::Catalog;
use olm_api::names;
use olm_runtime::certificates::{ServingCertificate, service_names};
use olm_runtime::registry::RegistryArgsError;
use olm_runtime::{Chain, Controller, Process, ProcessError, Watch};
use olm_serve::{Limits, Server};
use tracing::warn;

use crate::args::Args;
use crate::context::{ApiClient, Context};
use crate::phase::content::Unpacker;
use crate::reconcile::{CatalogReconciler, PASS_LIMIT};
use crate::replica;
use crate::server::{self, Metrics};
use crate::store::{ContentStore, StoreError};

/// Time in which a reader must take a piece of the content.
const SLOW_READER: Duration = Duration::from_mins(1);
/// Pause between attempts to get a serving certificate.
const CERTIFICATE_PAUSE: Duration = Duration::from_secs(2);

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
    let certificate = certificate(&process, &args).await;
    let Some(certificate) = certificate else {
        return Ok(process.run().await?);
    };
    let server = Server::bind("content", &args.catalogs_server_addr, router)
        .await?
        .tls(&certificate.source())?
        .limits(Limits {
            write_stall: SLOW_READER,
            ..Limits::default()
        });
    process.server(server);
    process.background("certificate", async move |token| {
        certificate.keep(token).await;
        Ok(())
    });

    let context = Arc::new(Context {
        client: ApiClient(process.clients().short.clone()),
        namespace: process.namespace().to_owned(),
        unpacker: Arc::new(unpacker),
        store,
        events: process.events(),
        poll_interval: args.poll_interval.get(),
        external_address,
    });
    let streaming = process.clients().streaming.clone();
    let watch = Watch::<Catalog>::all(streaming.clone());
    let shared = Arc::clone(&context);
    process.background("replica", async move |token| {
        replica::run(shared, watch, token).await;
        Ok(())
    });
    let controller =
        Controller::new(streaming, CatalogReconciler::new(context)).pass_limit(PASS_LIMIT);
    process.controller(controller);
    Ok(process.run().await?)
}

/// The certificate of the content server; waits for the API server, `None` when told to end.
async fn certificate(process: &Process, args: &Args) -> Option<ServingCertificate> {
    let mut names = service_names(names::SERVICE_CATALOGD, process.namespace());
    names.extend(args.tls_san.iter().cloned());
    loop {
        let made = ServingCertificate::ensure(
            process.clients().short.clone(),
            process.namespace(),
            names::COMPONENT_CATALOGD,
            names.clone(),
            process.clock(),
        );
        match made.await {
            Ok(certificate) => return Some(certificate),
            Err(error) => warn!(error = %Chain(&error), "no serving certificate yet"),
        }
        tokio::select! {
            () = process.token().cancelled() => return None,
            () = tokio::time::sleep(CERTIFICATE_PAUSE) => {}
        }
    }
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
