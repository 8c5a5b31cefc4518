//! Uploads. An archive is looked through before it is taken, and on disk, flushed, before the answer;
//! it stays until its Bundle goes, and is the Bundle's for ever once it is unpacked.

use std::io;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use futures::TryStreamExt as _;
use kube::runtime::reflector::ObjectRef;
use olm_api::bundle::{Bundle, BundleStatus};
use olm_api::conditions::phase;
use olm_runtime::Chain;
use olm_source::Stored;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::{BundleServer, Refusal, give};
use crate::contents::blocking;
use crate::pin;
use crate::uploads::{ReceiveError, Received};

impl BundleServer {
    /// What was uploaded for a Bundle.
    pub(super) async fn give_upload(&self, head: &Parts, name: &str) -> Result<Response, Refusal> {
        let uid = uid(&self.bundle(name).await?)?;
        self.must_lead()?;
        let uploads = self.uploads.clone();
        match blocking(move || uploads.get(&uid)).await {
            Ok(Some(file)) => give(head, file).await,
            Ok(None) => Err(Refusal::not_found()),
            Err(error) => Err(Refusal::disk(&error)),
        }
    }

    /// Takes an upload.
    pub(super) async fn take_upload(&self, name: &str, body: Body) -> Result<Response, Refusal> {
        let uid = uid(&self.bundle(name).await?)?;
        self.must_lead()?;
        let _slot = self.slots.try_acquire().map_err(|_full| {
            let text = "too many uploads at once; try again";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text)
        })?;
        let body = body.into_data_stream().map_err(io::Error::other);
        let body = SyncIoBridge::new(StreamReader::new(body));
        let (uploads, key) = (self.uploads.clone(), uid.clone());
        let received = blocking(move || uploads.receive(&key, body)).await;
        let received = received.map_err(|error| refused(&error))?;
        // To repeat an upload is always harmless.
        if received.is_known {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let stored = self.look_through(&received).await?;

        // Whatever pass is under way now unpacks what was there before.
        let _settled = self.uploads.settle().await;
        let bundle = self.bundle(name).await?;
        if bundle.metadata.uid.as_deref() != Some(uid.as_str()) {
            let text = format!("bundles.core.rukpak.io {name:?} not found");
            return Err(Refusal::new(StatusCode::NOT_FOUND, text));
        }
        if bundle
            .status
            .as_ref()
            .is_some_and(|status| is_settled(status, &stored))
        {
            let text = "bundle has already been unpacked, cannot change content of existing bundle";
            return Err(Refusal::new(StatusCode::CONFLICT, text));
        }
        let uploads = self.uploads.clone();
        blocking(move || uploads.commit(&uid, received))
            .await
            .map_err(|error| refused(&error))?;
        tracing::info!(bundle = name, digest = %stored.digest, "received an upload");
        // When nobody listens, the process is ending; the next one finds the archive.
        let _ending = self.wake.send(ObjectRef::new(name)).await;
        Ok(StatusCode::CREATED.into_response())
    }

    /// Unpacks an archive, so that nothing is taken that never can be.
    async fn look_through(&self, received: &Received) -> Result<Stored, Refusal> {
        let archive = received.read().map_err(|error| refused(&error))?;
        self.contents.unpack(archive).await.map_err(|error| {
            if error.is_content() {
                let text = format!("the archive cannot be unpacked: {}", Chain(&error));
                Refusal::new(StatusCode::BAD_REQUEST, text)
            } else {
                Refusal::disk(&error)
            }
        })
    }

    fn must_lead(&self) -> Result<(), Refusal> {
        if self.leads() {
            return Ok(());
        }
        let text = "uploads are taken by the replica that leads; try again";
        Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text))
    }
}

/// Refuses what is not for uploads, and gives the UID that the archive is kept under.
fn uid(bundle: &Bundle) -> Result<String, Refusal> {
    let kind = &bundle.spec.source.kind;
    if kind != "upload" {
        let text = format!("bundle source type is {kind:?}; expected \"upload\"");
        return Err(Refusal::new(StatusCode::CONFLICT, text));
    }
    Ok(bundle.metadata.uid.clone().unwrap_or_default())
}

/// Whether the content of a Bundle cannot be what was uploaded now. Content that was lost, with its
/// archive, can come again.
fn is_settled(status: &BundleStatus, uploaded: &Stored) -> bool {
    let is_unpacked = status.phase.as_deref() == Some(phase::UNPACKED);
    is_unpacked || pin::digest(status).is_some_and(|pinned| pinned != uploaded.digest)
}

fn refused(error: &ReceiveError) -> Refusal {
    let status = match error {
        ReceiveError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        ReceiveError::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
        ReceiveError::Body(_) => StatusCode::BAD_REQUEST,
        ReceiveError::Store(_) | ReceiveError::Disk(_) => return Refusal::disk(error),
    };
    Refusal::new(status, Chain(error).to_string())
}
