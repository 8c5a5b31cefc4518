//! What passes share, and the effects that they have on the world outside the status.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{ApiResource, DynamicObject};
use kube::{Api, Client};
use olm_api::catalog::Catalog;
use olm_registry::{Access, Reference};
use olm_runtime::events::Events;
use olm_runtime::pull_secret::{PullSecret, PullSecretError};
use olm_runtime::{Chain, Objects, Pass};
use olm_source::SourceError;
use serde_json::Value;

use crate::error::{Error, Unserved};
use crate::messages;
use crate::phase::content::Unpacker;
use crate::phase::failure;
use crate::phase::request::Request;
use crate::record::Record;
use crate::store::{ContentStore, Owner};
use crate::under_way::{UnderWay, Work};

/// Time to read the pull secret and to ask the registry what the reference stands for.
const RESOLVE_LIMIT: Duration = Duration::from_mins(2);
/// Time to pull and unpack an image.
const UNPACK_LIMIT: Duration = Duration::from_mins(20);

/// What the passes share.
#[derive(Debug)]
pub(crate) struct Context {
    /// For everything but watches.
    pub(crate) client: ApiClient,
    /// Where pull secrets are.
    pub(crate) namespace: String,
    /// Turns images into content.
    pub(crate) unpacker: Arc<Unpacker>,
    /// What is served.
    pub(crate) store: Arc<ContentStore>,
    /// What is told to people.
    pub(crate) events: Events,
    /// All Catalogs, as they were last seen.
    pub(crate) catalogs: Objects<Catalog>,
    /// The passes that are at work on images.
    pub(crate) under_way: UnderWay,
    /// The poll interval of Catalogs that name none; zero is never.
    pub(crate) poll_interval: Duration,
    /// The address under which clients reach the content, without a slash at its end.
    pub(crate) external_address: String,
}

impl Context {
    /// The address of a catalog's content.
    pub(crate) fn content_url(&self, catalog: &str) -> String {
        format!("{}/catalogs/{catalog}/all.json", self.external_address)
    }

    /// Announces work on the image of `catalog`.
    pub(crate) fn begin(&self, catalog: &Catalog) -> Work {
        let newest = self.catalogs.get(owner(catalog).name, None);
        self.under_way.begin(catalog, newest.as_deref())
    }

    /// What the reference of a request stands for, by digest, and how to get it.
    pub(crate) async fn resolve(
        &self,
        request: &Request<'_>,
        work: &Work,
        pass: &Pass,
    ) -> Result<(Reference, Access), Error> {
        let step = async {
            let access = self.access(request).await?;
            let registry = self.unpacker.registry();
            let digest = registry.resolve(&request.reference, &access).await;
            let digest = digest.map_err(|error| {
                failure::of_content(SourceError::Descriptor(error).into(), request)
            })?;
            Ok::<_, Unserved>((request.reference.with_digest(digest), access))
        };
        tokio::select! {
            () = pass.shutdown().cancelled() => Err(Error::Ending),
            () = work.superseded() => Err(Error::Superseded),
            done = pass.phase("resolve", RESOLVE_LIMIT, step) => match done {
                Ok(done) => Ok(done?),
                Err(late) => Err(failure::of_time(&late).into()),
            }
        }
    }

    /// Makes an image by digest what the catalog serves.
    pub(crate) async fn unpack(
        &self,
        catalog: Owner<'_>,
        request: &Request<'_>,
        image: &Reference,
        access: &Access,
        work: &Work,
        pass: &Pass,
    ) -> Result<Arc<Record>, Error> {
        let step = self.unpacker.serve(catalog, image, access, pass.now());
        tokio::select! {
            () = pass.shutdown().cancelled() => Err(Error::Ending),
            () = work.superseded() => Err(Error::Superseded),
            done = pass.phase("unpack", UNPACK_LIMIT, step) => match done {
                Ok(Ok(record)) => Ok(record),
                Ok(Err(error)) => Err(failure::of_content(error, request).into()),
                Err(late) => Err(failure::of_time(&late).into()),
            }
        }
    }

    /// What the store holds of this very Catalog, if it is whole.
    pub(crate) async fn content_of(&self, catalog: Owner<'_>) -> Option<Arc<Record>> {
        let (store, name) = (Arc::clone(&self.store), catalog.name.to_owned());
        let present = tokio::task::spawn_blocking(move || store.present(&name)).await;
        let record = present.ok().flatten()?;
        (record.uid == catalog.uid).then_some(record)
    }

    /// Who asks the registry.
    pub(crate) async fn access(&self, request: &Request<'_>) -> Result<Access, Unserved> {
        let secret = request.image.pull_secret.as_deref();
        let (client, namespace) = (&self.client.0, &self.namespace);
        let failed = |error: PullSecretError| {
            let cause = Chain(&error).to_string();
            Unserved::passing(&messages::bad_pull_secret(&cause))
        };
        let tls_verify = !request.image.insecure_skip_tls_verify.unwrap_or(false);
        let secret = PullSecret::read(client, namespace, secret).await;
        let access = secret.and_then(|secret| secret.access(&request.reference, tls_verify));
        access.map_err(failed)
    }

    /// Removes what a catalog serves; the error says why it cannot.
    pub(crate) async fn remove_content(&self, catalog: &str) -> Result<(), String> {
        let (store, name) = (Arc::clone(&self.store), catalog.to_owned());
        match tokio::task::spawn_blocking(move || store.remove(&name)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Chain(&error).to_string()),
            Err(_panicked_or_ending) => Err("the removal was interrupted".to_owned()),
        }
    }

    /// The UID of the Catalog of that name, if there is one.
    pub(crate) async fn uid_of(&self, catalog: &str) -> Result<Option<String>, kube::Error> {
        let api: Api<Catalog> = Api::all(self.client.0.clone());
        let found = api.get_metadata_opt(catalog).await?;
        Ok(found.map(|object| object.metadata.uid.unwrap_or_default()))
    }

    /// The status of a Catalog that does not decode, as it stands; null when there is none.
    pub(crate) async fn status_of(&self, catalog: &str) -> Result<Value, Error> {
        let resource = ApiResource::erase::<Catalog>(&());
        let api: Api<DynamicObject> = Api::all_with(self.client.0.clone(), &resource);
        let object = api.get_opt(catalog).await.map_err(|source| Error::Read {
            catalog: catalog.to_owned(),
            source,
        })?;
        let status = object.and_then(|mut object| object.data.get_mut("status").map(Value::take));
        Ok(status.unwrap_or_default())
    }
}

/// The Catalog as the store knows it.
pub(crate) fn owner(catalog: &Catalog) -> Owner<'_> {
    Owner {
        name: catalog.metadata.name.as_deref().unwrap_or_default(),
        uid: catalog.metadata.uid.as_deref().unwrap_or_default(),
    }
}

/// A client that prints as nothing.
#[derive(Clone)]
pub(crate) struct ApiClient(pub(crate) Client);

impl std::fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}
