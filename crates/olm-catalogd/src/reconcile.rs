//! A pass over a Catalog: ask, unpack, publish, say so.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMetaExt as _;
use olm_api::catalog::{Catalog, CatalogSource, CatalogSpec};
use olm_api::conditions::{self as types, unpack};
use olm_api::names;
use olm_runtime::status::{StatusWriter, Written};
use olm_runtime::{Action, Pass, Reconciler, async_trait, conditions, finalizer, spread};
use tracing::{debug, info};

use crate::context::{Context, owner};
use crate::error::{Error, Unserved};
use crate::messages;
use crate::phase::decide::{self, Decision, Facts};
use crate::phase::request;
use crate::record::{BrokenFiles, Record};
use crate::status::{self, OWNED, Outcome};

/// Longest pass.
pub(crate) const PASS_LIMIT: Duration = Duration::from_mins(25);

/// Reconciles Catalogs.
#[derive(Debug)]
pub(crate) struct CatalogReconciler {
    context: Arc<Context>,
    status: StatusWriter,
}

impl CatalogReconciler {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let status = StatusWriter::new(context.client.0.clone(), names::MANAGER_CATALOGD)
            .owning_conditions(&OWNED);
        Self { context, status }
    }

    /// Serves what the Catalog asks for, if it is time to ask.
    async fn serve(&self, catalog: &Catalog, pass: &Pass) -> Result<Served, Error> {
        let context = &self.context;
        let owner = owner(catalog);
        let request = request::read(owner.name, catalog, context.poll_interval)?;
        let present = context.has_content(owner).await;
        let facts = Facts::of(catalog, &request.image.reference, present, request.interval);
        let why = match decide::decide(&facts, pass.now()) {
            Decision::Wait(left) => return Ok(Served::Waiting(left)),
            Decision::Ask(why) => why,
        };
        debug!(catalog = owner.name, ?why, "asking the registry");
        let asked = pass.now();
        let (image, access) = context.resolve(&request, pass).await?;
        let record = context
            .unpack(owner, &request, &image, &access, asked, pass)
            .await?;
        let outcome = Outcome::Unpacked {
            reference: request.image.reference.clone(),
            resolved: image.to_string(),
            asked,
        };
        Ok(Served::Asked {
            outcome,
            record,
            interval: request.interval,
        })
    }

    /// Reports a failure in the status, and as an event when it is news.
    async fn report(
        &self,
        catalog: &Catalog,
        failure: &Unserved,
        pass: &Pass,
    ) -> Result<(), Error> {
        let outcome = Outcome::Failed {
            reason: failure.reason,
            message: failure.message.clone(),
            terminal: failure.is_terminal(),
        };
        let owner = owner(catalog);
        let record = self.context.store.record(owner.name);
        let record = record.filter(|record| record.uid == owner.uid);
        if self
            .write(catalog, &outcome, record.as_deref(), pass)
            .await?
            == Written::Yes
        {
            let message = &failure.message;
            self.context
                .events
                .warning(catalog, failure.reason, "Unpack", message)
                .await;
        }
        Ok(())
    }

    async fn write(
        &self,
        catalog: &Catalog,
        outcome: &Outcome,
        record: Option<&Record>,
        pass: &Pass,
    ) -> Result<Written, Error> {
        let name = catalog.metadata.name.as_deref().unwrap_or_default();
        let url = self.context.content_url(name);
        let status = status::project(catalog, outcome, record, &url, pass.now());
        Ok(self.status.apply(catalog, &status).await?)
    }

    /// Removes what the Catalog serves and lets it go.
    async fn delete(&self, catalog: &Catalog, pass: &Pass) -> Result<Action, Error> {
        let name = catalog.metadata.name.clone().unwrap_or_default();
        if !finalizer::has(catalog, names::FINALIZER_CATALOG) {
            return Ok(Action::AwaitChange);
        }
        if let Err(cause) = self.context.remove_content(&name).await {
            let message = messages::delete_failed(&cause);
            self.write(catalog, &Outcome::DeleteFailed(message.clone()), None, pass)
                .await?;
            return Err(Error::Delete(message));
        }
        finalizer::remove(&self.context.client.0, catalog, names::FINALIZER_CATALOG)
            .await
            .map_err(|source| Error::Finalizer {
                catalog: name.clone(),
                source,
            })?;
        info!(catalog = name, "catalog content removed");
        Ok(Action::AwaitChange)
    }

    /// Says what changed for those who watch events.
    async fn announce(&self, catalog: &Catalog, record: &Record, outcome: &Outcome) {
        let Outcome::Unpacked { resolved, .. } = outcome else {
            return;
        };
        let status = catalog.status.as_ref();
        let before = status.and_then(|status| status.content_digest.as_deref());
        let was_unpacked =
            status.is_some_and(|status| conditions::is_true(&status.conditions, types::UNPACKED));
        if was_unpacked && before == Some(record.digest.as_str()) {
            return;
        }
        let events = &self.context.events;
        if record.broken.count > 0 {
            let note = messages::left_out(&record.broken);
            events
                .warning(catalog, "FilesLeftOut", "Unpack", &note)
                .await;
        }
        let note = messages::unpacked(resolved, &BrokenFiles::default());
        events
            .normal(catalog, unpack::SUCCESSFUL, "Unpack", &note)
            .await;
    }
}

/// How far a pass got.
enum Served {
    /// There is nothing to do before this time has passed.
    Waiting(Option<Duration>),
    /// The registry was asked, and this is served.
    Asked {
        outcome: Outcome,
        record: Arc<Record>,
        interval: Duration,
    },
}

#[async_trait]
impl Reconciler for CatalogReconciler {
    type Object = Catalog;
    type Error = Error;
    const NAME: &'static str = "catalog";

    async fn reconcile(&self, catalog: Arc<Catalog>, pass: &Pass) -> Result<Action, Error> {
        if finalizer::is_deleting(&*catalog) {
            return self.delete(&catalog, pass).await;
        }
        let client = &self.context.client.0;
        let added = finalizer::ensure(client, &*catalog, names::FINALIZER_CATALOG).await;
        let added = added.map_err(|source| Error::Finalizer {
            catalog: catalog.metadata.name.clone().unwrap_or_default(),
            source,
        })?;
        if added {
            // The change brings the next pass.
            return Ok(Action::AwaitChange);
        }
        match self.serve(&catalog, pass).await {
            Ok(Served::Waiting(left)) => Ok(after(left)),
            Ok(Served::Asked {
                outcome,
                record,
                interval,
            }) => {
                self.write(&catalog, &outcome, Some(&record), pass).await?;
                self.announce(&catalog, &record, &outcome).await;
                Ok(after(Some(interval).filter(|interval| !interval.is_zero())))
            }
            Err(Error::Unserved(failure)) => {
                self.report(&catalog, &failure, pass).await?;
                Err(failure.into())
            }
            Err(error) => Err(error),
        }
    }

    /// An object that does not decode is reported on that object, and can be deleted like others.
    async fn undecodable(
        &self,
        metadata: &ObjectMeta,
        error: &str,
        pass: &Pass,
    ) -> Result<(), Error> {
        let name = metadata.name.clone().unwrap_or_default();
        if metadata.deletion_timestamp.is_some() {
            self.context
                .remove_content(&name)
                .await
                .map_err(Error::Delete)?;
            let object = metadata.clone().into_response_partial::<Catalog>();
            finalizer::remove(&self.context.client.0, &object, names::FINALIZER_CATALOG)
                .await
                .map_err(|source| Error::Finalizer {
                    catalog: name,
                    source,
                })?;
            return Ok(());
        }
        let spec = CatalogSpec {
            source: CatalogSource {
                kind: String::new(),
                image: None,
            },
        };
        let mut catalog = Catalog::new(&name, spec);
        catalog.metadata = metadata.clone();
        catalog.status = self.context.status_of(&name).await?;
        let failure = Unserved::terminal(&messages::undecodable(error));
        self.report(&catalog, &failure, pass).await
    }
}

/// The next pass after `left`, a little later so that catalogs polled alike drift apart.
fn after(left: Option<Duration>) -> Action {
    left.map_or(Action::AwaitChange, |left| {
        Action::RequeueAfter(spread(left))
    })
}
