//! The two processes, put together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::labels::{OWNER_KIND, OWNER_KIND_BUNDLE_DEPLOYMENT, OWNER_NAME};
use olm_api::names::{
    COMPONENT_RUKPAK, COMPONENT_RUKPAK_WEBHOOKS, MANAGER_APPLY, SERVICE_RUKPAK,
    SERVICE_RUKPAK_WEBHOOKS,
};
use olm_apply::{Applier, ManagedWatches, WatchOptions};
use olm_runtime::certificates::{ServingCertificate, service_names};
use olm_runtime::registry::RegistryArgsError;
use olm_runtime::{Chain, Controller, ObjectRef, Process, ProcessError, Watch};
use olm_serve::health::Probe;
use olm_serve::{BindError, Server};
use olm_source::Guard;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::args::{ManagerArgs, WebhooksArgs};
use crate::bundle::{BundleReconciler, References};
use crate::contents::{Contents, blocking};
use crate::deployment::{DeploymentReconciler, Parts, Waker};
use crate::server::{self, BundleServer, ContentUrl, ExternalAddressError};
use crate::source::watches;
use crate::uploads::Uploads;
use crate::{kinds, webhook};

/// Messages about changed objects that wait at once; more gather where they come from.
const DRIFT_QUEUE: usize = 256;

/// Time between two looks for content that nobody refers to.
const SWEEP_EVERY: Duration = Duration::from_mins(10);
/// How long an upload is kept although no cache shows its Bundle: caches lag.
const UPLOADS_SETTLE: Duration = Duration::from_mins(1);
/// Time until the next look where this one was not possible.
const SWEEP_AGAIN: Duration = Duration::from_secs(30);

/// Passes at the same time. Those over BundleDeployments wait for the API server most of the time,
/// those over Bundles for registries.
const BUNDLES_AT_ONCE: u16 = 4;
const DEPLOYMENTS_AT_ONCE: u16 = 8;

/// How soon changes of applied objects are looked at. A user waits for the moment in which the
/// last workload becomes available, so this is quick; bursts are one look.
const WATCH_OPTIONS: WatchOptions = WatchOptions {
    content: Duration::from_millis(100),
    workload_status: Duration::from_millis(50),
    other_status: Duration::from_secs(5),
    interval: Duration::from_millis(250),
    begin_within: Duration::from_secs(2),
};

/// Why a process could not start or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The process itself.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// There is no client of registries.
    #[error(transparent)]
    Registry(#[from] RegistryArgsError),
    /// There is no store.
    #[error("cannot open the content store")]
    Store(#[from] olm_fs::StoreError),
    /// There is no folder for uploads.
    #[error("cannot open the folder of uploads")]
    Uploads(#[from] olm_fs::FileError),
    /// The address of the server is none.
    #[error(transparent)]
    ExternalAddress(#[from] ExternalAddressError),
    /// The server cannot be had.
    #[error("cannot start the server")]
    Bind(#[from] BindError),
}

/// Runs the controllers until the process is told to end.
///
/// # Errors
///
/// [`RunError`]: what kept the process from starting, or ended it.
pub async fn manager(args: ManagerArgs) -> Result<(), RunError> {
    let mut process = Process::start(COMPONENT_RUKPAK, &args.common).await?;
    let guard = Guard::new(args.allow_local_sources);
    let contents = Contents::open(
        &args.storage_dir,
        args.storage_quota.as_u64(),
        args.registry.client()?,
        guard,
    )?;
    let uploads = Uploads::open(&args.storage_dir)?;
    let client = process.clients().short.clone();
    // Watches stay silent for minutes, so they need a client without a read timeout.
    let streaming = process.clients().streaming.clone();
    let namespace = process.namespace().to_owned();
    let events = process.events();
    let url = ContentUrl::new(args.http_external_address.as_deref(), &namespace)?;

    let applier = Applier::new(client.clone(), MANAGER_APPLY).watching_through(streaming.clone());
    let (drift, drifted) = mpsc::channel(DRIFT_QUEUE);
    let watches = ManagedWatches::new(
        &applier,
        OWNER_KIND_BUNDLE_DEPLOYMENT,
        drift,
        WATCH_OPTIONS,
        process.token(),
    );
    let generated = Watch::<Bundle>::all(streaming.clone());
    let (known_bundles, bundle_changes) = generated.cached();

    let mut called = None;
    let deployments = Controller::with_objects(streaming.clone(), |objects| {
        let (waker, calls) = Waker::new(objects);
        called = Some(calls);
        DeploymentReconciler::new(Parts {
            client: client.clone(),
            known_bundles: known_bundles.clone(),
            events: events.clone(),
            contents: contents.clone(),
            uploads: uploads.clone(),
            applier,
            watches,
            waker,
            system_namespace: namespace.clone(),
            certificate_provider: args.certificate_provider,
        })
    });
    let (config_maps, secrets) = (
        watches::touched::<ConfigMap>(streaming.clone(), &namespace),
        watches::touched::<Secret>(streaming.clone(), &namespace),
    );
    let references = References::new(known_bundles, deployments.objects());
    let bundles = Controller::new(
        streaming,
        BundleReconciler::new(
            client,
            events,
            contents.clone(),
            references.clone(),
            namespace,
            uploads.clone(),
            url.clone(),
        ),
    );
    let mut deployments = deployments
        .concurrency(DEPLOYMENTS_AT_ONCE)
        .watches_stream(bundle_changes, owner)
        .watches_stream(names(drifted), |name: &String| [ObjectRef::new(name)]);
    let (of_maps, of_secrets) = (bundles.objects(), bundles.objects());
    let mut bundles = bundles
        .concurrency(BUNDLES_AT_ONCE)
        .watches_stream(config_maps, move |map| {
            watches::made_of(&of_maps, &watches::name(map))
        })
        .watches_stream(secrets, move |secret| {
            watches::opened_by(&of_secrets, &watches::name(secret))
        });
    if let Some(calls) = called {
        deployments = deployments.triggered_by(calls.deployments);
        bundles = bundles.triggered_by(calls.bundles);
    }
    let (wake, uploaded) = mpsc::channel(DRIFT_QUEUE);
    let bundles = bundles.triggered_by(uploaded);
    process.controller(bundles).controller(deployments);
    let server = BundleServer::new(
        process.clients().short.clone(),
        contents.clone(),
        uploads.clone(),
        url,
        leading(&mut process),
        wake,
    );
    serve(&mut process, &args, server).await?;
    let clients = process.clients().clone();
    process.while_leading("kinds", move |token| async move {
        kinds::keep(clients.short, clients.streaming, token).await;
        Ok(())
    });
    process.while_leading("sweep", move |token| async move {
        sweep(&contents, &uploads, &references, &token).await;
        Ok(())
    });
    Ok(process.run().await?)
}

/// Whether this replica leads, kept up to date.
fn leading(process: &mut Process) -> Arc<AtomicBool> {
    let leading = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&leading);
    process.while_leading("uploads", move |token| async move {
        told.store(true, Ordering::Release);
        token.cancelled().await;
        told.store(false, Ordering::Release);
        Ok(())
    });
    leading
}

/// Adds the server to the process, with a certificate that comes as soon as the API server answers.
async fn serve(
    process: &mut Process,
    args: &ManagerArgs,
    server: BundleServer,
) -> Result<(), RunError> {
    let mut names = service_names(SERVICE_RUKPAK, process.namespace());
    // What is reached by a forwarded port.
    names.push("localhost".to_owned());
    names.extend(args.tls_san.iter().cloned());
    let certificate = ServingCertificate::later(
        process.clients().short.clone(),
        process.namespace(),
        COMPONENT_RUKPAK,
        names,
        process.clock(),
    );
    let source = certificate.source();
    let server = Server::bind("bundles", &args.http_bind_address, server.router())
        .await?
        .tls(&source)?
        .limits(server::limits());
    process.server(server);
    process
        .health()
        .add(Probe::Readiness, "certificate", move || {
            if source.is_loaded() {
                Ok(())
            } else {
                Err("there is no serving certificate yet".to_owned())
            }
        });
    process.background("certificate", move |token| async move {
        certificate.keep(token).await;
        Ok(())
    });
    Ok(())
}

/// The BundleDeployment that made a Bundle.
fn owner(bundle: &Bundle) -> Option<ObjectRef<BundleDeployment>> {
    let labels = bundle.metadata.labels.as_ref()?;
    let is_generated = labels.get(OWNER_KIND)? == OWNER_KIND_BUNDLE_DEPLOYMENT;
    is_generated.then(|| labels.get(OWNER_NAME).map(|name| ObjectRef::new(name)))?
}

fn names(
    mut receiver: mpsc::Receiver<String>,
) -> impl futures::Stream<Item = Arc<String>> + Send + 'static {
    futures::stream::poll_fn(move |context| {
        receiver.poll_recv(context).map(|name| name.map(Arc::new))
    })
}

/// Removes content that nobody refers to, at the start, then every ten minutes, whenever content did
/// not fit and a minute after a Bundle left its own; where that is not known or something is being
/// fetched, a little later.
async fn sweep(
    contents: &Contents,
    uploads: &Uploads,
    references: &References,
    token: &CancellationToken,
) {
    tokio::select! {
        () = token.cancelled() => return,
        ready = references.ready() => if !ready { return },
    }
    loop {
        if let Some(known) = references.uploads() {
            let files = uploads.clone();
            if let Err(error) = blocking(move || files.retain(&known, UPLOADS_SETTLE)).await {
                tracing::warn!(error = %Chain(&error), "cannot remove unused uploads");
            }
        }
        let pause = match contents.sweep(|| references.digests(None)).await {
            Ok(None) => SWEEP_AGAIN,
            Ok(Some(removed)) => {
                if !removed.is_empty() {
                    tracing::info!(removed = removed.len(), "removed unused content");
                }
                SWEEP_EVERY
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "cannot remove unused content");
                SWEEP_EVERY
            }
        };
        tokio::select! {
            () = token.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = contents.short_of_room() => {}
            () = contents.left_over() => {}
        }
    }
}

/// Serves the admission webhooks until the process is told to end.
///
/// # Errors
///
/// [`RunError`]: what kept the process from starting, or ended it.
pub async fn webhooks(args: WebhooksArgs) -> Result<(), RunError> {
    let mut process = Process::start(COMPONENT_RUKPAK_WEBHOOKS, &args.common).await?;
    let clients = process.clients().clone();
    let namespace = process.namespace().to_owned();
    let mut names = service_names(SERVICE_RUKPAK_WEBHOOKS, &namespace);
    names.extend(args.tls_san);
    // The API server may come later; probes are answered meanwhile.
    let certificate = ServingCertificate::obtain(
        clients.short.clone(),
        &namespace,
        COMPONENT_RUKPAK_WEBHOOKS,
        names,
        process.clock(),
        process.token(),
    )
    .await;
    let Some(certificate) = certificate else {
        return Ok(process.run().await?);
    };
    let router = webhook::router(clients.short, &namespace);
    let server = Server::bind("webhook", &args.webhook_bind_address, router)
        .await?
        .tls(&certificate.source())?;
    let published = process.health().gate("authority");
    let authority = webhook::Publisher::new(clients.streaming, certificate.bundle(), published);
    process.server(server);
    process.background("certificate", move |token| async move {
        certificate.keep(token).await;
        Ok(())
    });
    process.background("authority", move |token| async move {
        authority.run(token).await;
        Ok(())
    });
    Ok(process.run().await?)
}
