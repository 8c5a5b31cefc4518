//! The content of Bundles.

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use olm_api::conditions::phase;

use super::{BundleServer, Refusal, give};
use crate::pin;

impl BundleServer {
    /// The content that the status of a Bundle speaks of, and no other.
    pub(super) async fn give_content(&self, head: &Parts, name: &str) -> Result<Response, Refusal> {
        let bundle = self.bundle(name).await?;
        let status = bundle.status.as_ref();
        let unpacked = status.filter(|status| status.phase.as_deref() == Some(phase::UNPACKED));
        let digest = unpacked
            .and_then(pin::digest)
            .ok_or_else(Refusal::not_found)?;
        let archive = self.contents.archive(&digest).await;
        if let Some(file) = archive.map_err(|error| Refusal::disk(&error))? {
            return give(head, file).await;
        }
        // It is being fetched again, or on the disk of another replica.
        let text = "the content is not here; try again";
        Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text))
    }
}
