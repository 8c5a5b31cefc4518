//! One pass over a Bundle.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource as _, ResourceExt as _};
use olm_api::bundle::Bundle;
use olm_api::conditions::UNPACKED;
use olm_api::names::FINALIZER_BUNDLE;
use olm_runtime::{Action, Pass, Reconciler, conditions, finalizer};
use olm_source::SourceError;
use olm_tree::MemoryTree;

use super::BundleReconciler;
use super::error::BundleError;
use super::status::{self, Outcome, Pin};
use crate::contents::blocking;
use crate::format::{self, Format};
use crate::source::{FetchError, Kind};
use crate::{messages, pin};

#[async_trait]
impl Reconciler for BundleReconciler {
    type Object = Bundle;
    type Error = BundleError;
    const NAME: &'static str = "bundle";

    async fn reconcile(&self, object: Arc<Bundle>, pass: &Pass) -> Result<Action, BundleError> {
        let class = &object.spec.provisioner_class_name;
        let format = Format::of_class(class);
        if !format::is_own_class(class) {
            return Ok(Action::AwaitChange);
        }
        let Some(object) = self.current(object).await? else {
            return Ok(Action::AwaitChange);
        };
        if finalizer::is_deleting(object.as_ref()) {
            return self.clean_up(&object, pass).await;
        }
        let Some(format) = format else {
            let error = BundleError::UnsupportedClass(object.spec.provisioner_class_name.clone());
            let outcome = Outcome::Failing(error.message().unwrap_or_default());
            self.report(&object, &outcome, pass).await?;
            return Err(error);
        };
        finalizer::ensure(&self.client, object.as_ref(), FINALIZER_BUNDLE)
            .await
            .map_err(|source| BundleError::Api("add the finalizer to", source))?;
        // What is uploaded meanwhile must not be taken for what this pass unpacked.
        let _settled = if object.spec.source.kind == "upload" {
            Some(self.uploads.settle().await)
        } else {
            None
        };
        match self.unpack(&object, format, pass).await {
            Ok(pin) => {
                self.report(&object, &Outcome::Unpacked(Box::new(pin)), pass)
                    .await?;
                Ok(Action::AwaitChange)
            }
            Err(BundleError::Fetch(error @ FetchError::NotUploaded)) => {
                self.report(&object, &Outcome::Pending(error.to_string()), pass)
                    .await?;
                Ok(Action::AwaitChange)
            }
            Err(error) => {
                if let Some(message) = error.message() {
                    self.report(&object, &Outcome::Failing(message), pass)
                        .await?;
                }
                Err(error)
            }
        }
    }

    async fn undecodable(
        &self,
        metadata: &ObjectMeta,
        error: &str,
        pass: &Pass,
    ) -> Result<(), BundleError> {
        self.cannot_read(metadata, error, pass).await
    }
}

impl BundleReconciler {
    /// The object as it is now, where the cache may not know yet what it was pinned to: a second
    /// resolution could have another result.
    async fn current(&self, object: Arc<Bundle>) -> Result<Option<Arc<Bundle>>, BundleError> {
        let known = object
            .status
            .as_ref()
            .is_some_and(|status| pin::digest(status).is_some());
        if known && finalizer::has(object.as_ref(), FINALIZER_BUNDLE) {
            return Ok(Some(object));
        }
        let live = self
            .bundles
            .get_opt(&object.name_any())
            .await
            .map_err(|source| BundleError::Api("read", source))?;
        Ok(live.filter(|live| live.uid() == object.uid()).map(Arc::new))
    }

    /// Sees to it that the content is stored; returns what the source resolved to.
    async fn unpack(
        &self,
        object: &Bundle,
        format: Format,
        pass: &Pass,
    ) -> Result<Pin, BundleError> {
        let source = &object.spec.source;
        let kind = Kind::of(source)?;
        let pinned = object.status.as_ref().and_then(|status| {
            let resolved = status.resolved_source.clone()?;
            let digest = pin::digest(status)?;
            Some(Pin { resolved, digest })
        });
        // What was pinned is left only for what the source resolves to now.
        let pinned = pinned.filter(|_| !status::is_refresh_due(object));
        if let Some(pinned) = &pinned
            && self.contents.get(&pinned.digest).await?.is_some()
        {
            return Ok(pinned.clone());
        }
        if !status::is_failing(object) && kind != Kind::Upload {
            self.report(object, &Outcome::Unpacking, pass).await?;
        }
        let uid = object.uid().unwrap_or_default();
        if kind == Kind::Upload && self.has_upload(object, &uid).await? {
            let text = messages::RECEIVED.to_owned();
            self.report(object, &Outcome::Pending(text), pass).await?;
        }
        let resolved = pinned.as_ref().map(|pinned| &pinned.resolved);
        let fetched = pass
            .phase(
                "fetch",
                self.fetch_within,
                Box::pin(self.sources.fetch(source, resolved, &uid)),
            )
            .await?
            .map_err(|error| unfetched(error, format))?;
        if let Some(pinned) = pinned {
            if pinned.digest != fetched.digest {
                return Err(BundleError::Fetch(FetchError::Moved {
                    expected: pinned.digest,
                    found: fetched.digest,
                }));
            }
            if kind == Kind::Upload {
                self.sources.keep_upload(object).await?;
            }
            return Ok(pinned);
        }
        let tree = fetched.tree;
        blocking(move || format.check(&tree)).await?;
        if kind == Kind::Upload {
            self.sources.keep_upload(object).await?;
        }
        tracing::info!(bundle = %object.name_any(), digest = %fetched.digest, "unpacked");
        Ok(Pin {
            resolved: fetched.resolved,
            digest: fetched.digest,
        })
    }

    /// Whether an upload is about to be unpacked of which the status says nothing yet.
    async fn has_upload(&self, object: &Bundle, uid: &str) -> Result<bool, BundleError> {
        let is_news = self.uploads.take_news(uid);
        let (uploads, key) = (self.uploads.clone(), uid.to_owned());
        let found = blocking(move || uploads.get(&key)).await;
        let found = found.map_err(FetchError::Uploaded)?.is_some();
        Ok(found && (is_news || !status::is_failing(object)))
    }

    async fn clean_up(&self, object: &Bundle, pass: &Pass) -> Result<Action, BundleError> {
        if !finalizer::has(object, FINALIZER_BUNDLE) {
            return Ok(Action::AwaitChange);
        }
        if let Some(digest) = object.status.as_ref().and_then(pin::digest) {
            let uid = object.meta().uid.as_deref();
            let referred = || {
                let known = self.references.digests(uid);
                known.is_none_or(|known| known.contains(&digest))
            };
            if let Err(error) = self.contents.release(&digest, referred).await {
                let message = messages::finalizer_failed(&error);
                self.report(object, &Outcome::CleanupFailed(message), pass)
                    .await?;
                return Err(error.into());
            }
        }
        let (uploads, uid) = (self.uploads.clone(), object.uid().unwrap_or_default());
        if let Err(error) = blocking(move || uploads.remove(&uid)).await {
            let message = messages::finalizer_failed(&error);
            self.report(object, &Outcome::CleanupFailed(message), pass)
                .await?;
            return Err(FetchError::Uploaded(error).into());
        }
        finalizer::remove(&self.client, object, FINALIZER_BUNDLE)
            .await
            .map_err(|source| BundleError::Api("remove the finalizer from", source))?;
        Ok(Action::AwaitChange)
    }

    /// Writes the status, and an event where it says something new.
    async fn report(
        &self,
        object: &Bundle,
        outcome: &Outcome,
        pass: &Pass,
    ) -> Result<(), BundleError> {
        let status = status::project(object, outcome, &self.url, pass.now());
        self.status.apply(object, &status).await?;
        let before = object.status.as_ref();
        let before = before.and_then(|status| conditions::get(&status.conditions, UNPACKED));
        let Some(now) = conditions::get(&status.conditions, UNPACKED) else {
            return Ok(());
        };
        let is_news = before
            .is_none_or(|before| (&before.reason, &before.message) != (&now.reason, &now.message));
        match outcome {
            Outcome::Unpacking | Outcome::Pending(_) => {}
            _ if !is_news => {}
            Outcome::Unpacked(_) => {
                self.events
                    .normal(object, &now.reason, "Unpack", &now.message)
                    .await;
            }
            Outcome::Failing(_) | Outcome::CleanupFailed(_) => {
                self.events
                    .warning(object, &now.reason, "Unpack", &now.message)
                    .await;
            }
        }
        Ok(())
    }
}

/// An image without any folder of a bundle is an empty bundle, and refused in the words for that.
fn unfetched(error: FetchError, format: Format) -> BundleError {
    if let FetchError::Image { source, .. } = &error
        && matches!(**source, SourceError::Empty { .. })
        && let Err(error) = format.check(&MemoryTree::new())
    {
        return error.into();
    }
    error.into()
}
