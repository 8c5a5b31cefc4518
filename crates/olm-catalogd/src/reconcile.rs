//! A pass over a Catalog: ask, unpack, publish, say so.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMetaExt as _;
use olm_api::catalog::{Availability, Catalog, CatalogSource, CatalogSpec};
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
        let held = context.content_of(owner).await;
        let present = held.as_deref().filter(|held| is_named(held, catalog));
        let reference = &request.image.reference;
        let facts = Facts::of(catalog, reference, present.is_some(), request.interval);
        let why = match decide::decide(&facts, pass.now()) {
            Decision::Wait(left) => {
                return Ok(Served::Waiting {
                    outcome: Outcome::of_status(catalog, request.noted),
                    record: held,
                    left,
                });
            }
            Decision::Ask(why) => why,
        };
        debug!(catalog = owner.name, ?why, "asking the registry");
        let asked = pass.now();
        let work = context.begin(catalog);
        let (image, access) = context.resolve(&request, &work, pass).await?;
        let record = context
            .unpack(owner, &request, &image, &access, &work, pass)
            .await?;
        let outcome = Outcome::Unpacked {
            reference: request.image.reference.clone(),
            resolved: image.to_string(),
            asked,
            noted: request.noted,
        };
        Ok(Served::Asked {
            outcome,
            record,
            interval: request.interval,
        })
    }

    /// Takes the Catalog out of use: what it serves goes first, then the status says so, and then
    /// nothing has to be done before it may be deleted.
    async fn take_out(&self, catalog: &Catalog, pass: &Pass) -> Result<Action, Error> {
        let name = owner(catalog).name;
        if let Err(cause) = self.context.remove_content(name).await {
            return self.not_removed(catalog, &cause, pass).await;
        }
        let outcome = Outcome::Unavailable;
        if self.write(catalog, &outcome, None, pass).await? == Written::Yes {
            let reason = unpack::USER_SPECIFIED_UNAVAILABLE;
            let events = &self.context.events;
            events
                .normal(catalog, reason, "Unpack", messages::UNAVAILABLE)
                .await;
        }
        self.let_go(catalog, name).await?;
        Ok(Action::AwaitChange)
    }

    async fn not_removed(
        &self,
        catalog: &Catalog,
        cause: &str,
        pass: &Pass,
    ) -> Result<Action, Error> {
        let message = messages::delete_failed(cause);
        let outcome = Outcome::DeleteFailed(message.clone());
        self.write(catalog, &outcome, None, pass).await?;
        Err(Error::Delete(message))
    }

    /// Removes the finalizer.
    async fn let_go(&self, catalog: &Catalog, name: &str) -> Result<(), Error> {
        finalizer::remove(&self.context.client.0, catalog, names::FINALIZER_CATALOG)
            .await
            .map_err(|source| Error::Finalizer {
                catalog: name.to_owned(),
                source,
            })?;
        Ok(())
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

    /// Writes what the status should say where it says something else: it was edited, or clients
    /// reach the content at another address now.
    async fn mend(
        &self,
        catalog: &Catalog,
        outcome: &Outcome,
        record: Option<&Record>,
        pass: &Pass,
    ) -> Result<(), Error> {
        let url = self.context.content_url(owner(catalog).name);
        let status = status::project(catalog, outcome, record, &url, pass.now());
        let mut known = catalog.status.clone().unwrap_or_default();
        known.conditions = conditions::owned(&known.conditions, &OWNED);
        if known != status {
            self.status.apply(catalog, &status).await?;
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
        let name = owner(catalog).name;
        if !finalizer::has(catalog, names::FINALIZER_CATALOG) {
            return Ok(Action::AwaitChange);
        }
        if let Err(cause) = self.context.remove_content(name).await {
            return self.not_removed(catalog, &cause, pass).await;
        }
        self.let_go(catalog, name).await?;
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
        let note = messages::unpacked(resolved, &BrokenFiles::default(), None);
        events
            .normal(catalog, unpack::SUCCESSFUL, "Unpack", &note)
            .await;
    }
}

/// How far a pass got.
enum Served {
    /// There is nothing to do before this time has passed; the status is as it should be, or has
    /// lost something, or does not know the address of today.
    Waiting {
        outcome: Option<Outcome>,
        record: Option<Arc<Record>>,
        left: Option<Duration>,
    },
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
        if catalog.spec.availability == Availability::Unavailable {
            return self.take_out(&catalog, pass).await;
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
            Ok(Served::Waiting {
                outcome,
                record,
                left,
            }) => {
                if let Some(outcome) = outcome {
                    self.mend(&catalog, &outcome, record.as_deref(), pass)
                        .await?;
                }
                Ok(after(left))
            }
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
            priority: 0,
            availability: Availability::Available,
        };
        let mut catalog = Catalog::new(&name, spec);
        catalog.metadata = metadata.clone();
        let before = self.context.status_of(&name).await?;
        let failure = Unserved::terminal(&messages::undecodable(error));
        let record = self.context.content_of(owner(&catalog)).await;
        let status = status::project_undecodable(
            &before,
            metadata.generation,
            &failure,
            record.as_deref(),
            &self.context.content_url(&name),
            pass.now(),
        );
        if status == before {
            return Ok(());
        }
        self.status.apply(&catalog, &status).await?;
        let events = &self.context.events;
        events
            .warning(&catalog, failure.reason, "Unpack", &failure.message)
            .await;
        Ok(())
    }
}

/// Whether `record` is of the content that the status names, or the status names none.
fn is_named(record: &Record, catalog: &Catalog) -> bool {
    let status = catalog.status.as_ref();
    let named = status.and_then(|status| status.content_digest.as_deref());
    named.is_none_or(|named| named == record.digest.as_str())
}

/// The next pass after `left`, a little later so that catalogs polled alike drift apart.
fn after(left: Option<Duration>) -> Action {
    left.map_or(Action::AwaitChange, |left| {
        Action::RequeueAfter(spread(left))
    })
}
