//! The requests that the rest of the crate is made of, on any kind.

use kube::Client;
use kube::api::{
    DeleteParams, DynamicObject, GetParams, ListParams, ObjectMeta, Patch, PatchParams,
    Preconditions,
};
use kube::core::{ObjectList, PartialObjectMeta, Request, Resource as _};
use serde_json::Value;

use crate::discovery::Resource;
use crate::error::RequestError;
use crate::identity::ObjectId;

/// Most items in one answer of a list.
pub(crate) const PAGE: u32 = 500;

/// How often an object is applied while others write it in the same moments.
const ATTEMPTS: u32 = 5;

/// A client and the field manager that it writes as.
#[derive(Clone)]
pub(crate) struct Requests {
    client: Client,
    manager: String,
}

/// Whether a write is kept or only tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Try,
    Keep,
}

impl Requests {
    pub(crate) fn new(client: Client, manager: String) -> Self {
        Self { client, manager }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn manager(&self) -> &str {
        &self.manager
    }

    fn path(resource: &Resource, namespace: Option<&str>) -> Request {
        let namespace = namespace.filter(|_| resource.namespaced);
        Request::new(DynamicObject::url_path(&resource.api, namespace))
    }

    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, RequestError> {
        let request =
            request.map_err(|error| RequestError::from(kube::Error::BuildRequest(error)))?;
        self.client
            .request(request)
            .await
            .map_err(RequestError::from)
    }

    pub(crate) async fn get(
        &self,
        resource: &Resource,
        id: &ObjectId,
    ) -> Result<Option<Value>, RequestError> {
        let path = Self::path(resource, id.namespace.as_deref());
        optional(self.send(path.get(&id.name, &GetParams::default())).await)
    }

    pub(crate) async fn get_metadata(
        &self,
        resource: &Resource,
        id: &ObjectId,
    ) -> Result<Option<ObjectMeta>, RequestError> {
        let path = Self::path(resource, id.namespace.as_deref());
        let answer = self
            .send(path.get_metadata(&id.name, &GetParams::default()))
            .await;
        Ok(optional(answer)?.map(|object: PartialObjectMeta<DynamicObject>| object.metadata))
    }

    /// Server-side apply. `force` takes fields over from other managers. Where the object is being
    /// written by somebody else in the same moment, it is asked for again.
    pub(crate) async fn apply(
        &self,
        resource: &Resource,
        id: &ObjectId,
        body: &Value,
        mode: Mode,
        force: bool,
    ) -> Result<Value, RequestError> {
        let mut attempt = 1;
        loop {
            let answer = self.apply_once(resource, id, body, mode, force).await;
            match answer {
                Err(error) if error.is_race() && attempt < ATTEMPTS => attempt += 1,
                answer => return answer,
            }
        }
    }

    async fn apply_once(
        &self,
        resource: &Resource,
        id: &ObjectId,
        body: &Value,
        mode: Mode,
        force: bool,
    ) -> Result<Value, RequestError> {
        let path = Self::path(resource, id.namespace.as_deref());
        let mut params = PatchParams::apply(&self.manager).validation_ignore();
        params.force = force;
        params.dry_run = mode == Mode::Try;
        match mode {
            Mode::Try => {
                self.send(path.patch(&id.name, &params, &Patch::Apply(body)))
                    .await
            }
            // What was written is known; the answer for a large definition is megabytes.
            Mode::Keep => {
                self.send(path.patch_metadata(&id.name, &params, &Patch::Apply(body)))
                    .await
            }
        }
    }

    /// Deletes the object with this UID; one that is gone, or another of its name, is success.
    pub(crate) async fn delete(
        &self,
        resource: &Resource,
        id: &ObjectId,
        uid: Option<String>,
    ) -> Result<(), RequestError> {
        let path = Self::path(resource, id.namespace.as_deref());
        let params = DeleteParams::background().preconditions(Preconditions {
            uid,
            resource_version: None,
        });
        match self.send::<Value>(path.delete(&id.name, &params)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() || error.is_for_another() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// One page of metadata of all objects of a kind.
    pub(crate) async fn list_metadata(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        selector: Option<&str>,
        page: Option<&str>,
        limit: u32,
    ) -> Result<ObjectList<PartialObjectMeta<DynamicObject>>, RequestError> {
        let mut params = ListParams::default().limit(limit);
        if let Some(selector) = selector {
            params = params.labels(selector);
        }
        if let Some(page) = page {
            params = params.continue_token(page);
        }
        self.send(Self::path(resource, namespace).list_metadata(&params))
            .await
    }
}

fn optional<T>(answer: Result<T, RequestError>) -> Result<Option<T>, RequestError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
