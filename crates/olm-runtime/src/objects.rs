//! Watched objects: decoded one by one, cached, listed by key.

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::ObjectMeta;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_api};
use kube::{Api, Client, Resource};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use tokio::sync::watch;
use tracing::warn;

use crate::changes::{Change, changes};
use crate::watch_backoff::WatchBackoff;

/// What a kind must be to be watched.
pub trait Watchable:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}

impl<K> Watchable for K where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}

/// An object, or what is known of one that does not decode: one bad object must not fail the list
/// that it is in.
#[derive(Debug, Clone)]
pub struct Guarded<K>(pub Result<Arc<K>, Arc<InvalidObject>>);

/// The part of an object that every object has.
#[derive(Deserialize)]
struct AnyObject {
    #[serde(default)]
    metadata: ObjectMeta,
}

impl<'de, K: Resource + DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // `DeserializeGuard` of the client does the same, but its error does not say which field.
        let value = serde_json::Value::deserialize(deserializer)?;
        let error = match serde_path_to_error::deserialize(&value) {
            Ok(object) => return Ok(Self(Ok(Arc::new(object)))),
            Err(error) => error.to_string(),
        };
        let AnyObject { metadata } = AnyObject::deserialize(value).map_err(D::Error::custom)?;
        Ok(Self(Err(Arc::new(InvalidObject { error, metadata }))))
    }
}

impl<K: Resource + Clone> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(invalid) => &invalid.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => Arc::make_mut(object).meta_mut(),
            Err(invalid) => &mut Arc::make_mut(invalid).metadata,
        }
    }
}

/// The current objects of a watch: a cache that may lag behind the cluster by a moment. Clones
/// share it.
#[derive(Clone)]
pub struct Objects<K: Watchable> {
    store: Store<Guarded<K>>,
    // The store's own readiness wakes only one of several waiters (kube-runtime 5.0.0).
    ready: watch::Receiver<bool>,
}

impl<K: Watchable> Objects<K> {
    /// The object of that name; namespaced kinds need the namespace. `None` also where the object
    /// does not decode.
    pub fn get(&self, name: &str, namespace: Option<&str>) -> Option<Arc<K>> {
        let mut key = ObjectRef::<Guarded<K>>::new(name);
        if let Some(namespace) = namespace {
            key = key.within(namespace);
        }
        self.store.get(&key)?.0.clone().ok()
    }

    /// All objects that decode, in the order of namespace and name.
    pub fn all(&self) -> Vec<Arc<K>> {
        let mut all: Vec<_> = self
            .store
            .state()
            .into_iter()
            .filter_map(|guarded| guarded.0.clone().ok())
            .collect();
        all.sort_by(|a, b| {
            let (a, b) = (a.meta(), b.meta());
            (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name))
        });
        all
    }

    /// References to all objects, also those that do not decode.
    pub fn references(&self) -> Vec<ObjectRef<K>> {
        self.store
            .state()
            .iter()
            .filter_map(|guarded| reference(guarded.meta()))
            .collect()
    }

    /// References to the objects for which `wanted` holds.
    pub fn references_where(&self, wanted: impl Fn(&K) -> bool) -> Vec<ObjectRef<K>> {
        let all = self.all();
        all.iter()
            .filter(|object| wanted(object))
            .filter_map(|object| reference(object.meta()))
            .collect()
    }

    /// Waits until the first list is complete; at once when it is. `false` when the watch ended
    /// before that.
    pub async fn wait_until_ready(&self) -> bool {
        self.ready.clone().wait_for(|ready| *ready).await.is_ok()
    }
}

impl<K: Watchable> Debug for Objects<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects")
            .field("kind", &K::kind(&()))
            .field("len", &self.store.len())
            .finish_non_exhaustive()
    }
}

/// The writing side of [`Objects`].
pub(crate) struct Cache<K: Watchable> {
    writer: Writer<Guarded<K>>,
    ready: watch::Sender<bool>,
}

impl<K: Watchable> Cache<K> {
    pub(crate) fn new() -> (Objects<K>, Self) {
        let (store, writer) = reflector::store();
        let ready = watch::Sender::new(false);
        let objects = Objects {
            store,
            ready: ready.subscribe(),
        };
        (objects, Self { writer, ready })
    }

    /// Takes the events of a watch into the cache and passes them on.
    pub(crate) fn fill(
        self,
        events: impl Stream<Item = watcher::Result<Event<Guarded<K>>>> + Send + 'static,
    ) -> impl Stream<Item = watcher::Result<Event<Guarded<K>>>> + Send + 'static {
        let ready = self.ready;
        events
            .backoff(WatchBackoff::default())
            .modify(strip)
            .reflect(self.writer)
            .inspect(move |event| {
                if matches!(event, Ok(Event::InitDone)) {
                    ready.send_replace(true);
                }
            })
    }
}

impl<K: Watchable> Objects<K> {
    pub(crate) fn store(&self) -> Store<Guarded<K>> {
        self.store.clone()
    }

    /// The object, also where it does not decode.
    pub(crate) fn guarded(&self, object: &ObjectRef<K>) -> Option<Guarded<K>> {
        let found = self.store.get(&guarded(object))?;
        Some((*found).clone())
    }
}

/// The same reference, to what the cache holds.
pub(crate) fn guarded<K: Watchable>(reference: &ObjectRef<K>) -> ObjectRef<Guarded<K>> {
    let guarded = ObjectRef::new(&reference.name);
    match &reference.namespace {
        Some(namespace) => guarded.within(namespace),
        None => guarded,
    }
}

/// A reference made from metadata; `None` for an object without a name.
pub(crate) fn reference<K: Watchable>(metadata: &ObjectMeta) -> Option<ObjectRef<K>> {
    let reference = ObjectRef::new(metadata.name.as_deref()?);
    Some(match &metadata.namespace {
        Some(namespace) => reference.within(namespace),
        None => reference,
    })
}

/// A watch over one kind that has not been started.
///
/// Objects that do not decode are skipped with a warning; of `managedFields` only the names of
/// managers are kept.
pub struct Watch<K: Watchable> {
    api: Api<Guarded<K>>,
    config: watcher::Config,
    slim: Option<fn(&mut K)>,
}

impl<K: Watchable> Watch<K> {
    /// All objects of the kind in the cluster.
    pub fn all(client: Client) -> Self {
        Self {
            api: Api::all(client),
            config: watcher::Config::default(),
            slim: None,
        }
    }

    /// All objects of a namespaced kind in one namespace.
    pub fn in_namespace(client: Client, namespace: &str) -> Self
    where
        K: Resource<Scope = NamespaceResourceScope>,
    {
        Self {
            api: Api::namespaced(client, namespace),
            config: watcher::Config::default(),
            slim: None,
        }
    }

    /// Narrows the watch, for example by labels.
    #[must_use]
    pub fn selecting(mut self, config: watcher::Config) -> Self {
        self.config = config;
        self
    }

    /// Lets `slim` drop from each object, when it arrives, what nobody here reads.
    #[must_use]
    pub fn slimmed(mut self, slim: fn(&mut K)) -> Self {
        self.slim = Some(slim);
        self
    }

    /// The cache of the watch and the stream that fills it. The stream yields each object that was
    /// added, changed or deleted, also where it was so while the watch was broken, and after the
    /// cache says so too. It must be polled: hand it to
    /// [`Controller::watches_stream`](crate::Controller::watches_stream).
    pub fn cached(self) -> (Objects<K>, BoxStream<'static, Arc<K>>) {
        let (objects, cache) = Cache::new();
        let slim = self.slim;
        let events = watch_api(self.api, self.config).modify(move |arrived: &mut Guarded<K>| {
            if let (Some(slim), Ok(object)) = (slim, &mut arrived.0) {
                slim(Arc::make_mut(object));
            }
        });
        let events = cache.fill(events);
        let changes = changes(objects.store(), events);
        (objects, decoded(changes).boxed())
    }
}

impl<K: Watchable> Debug for Watch<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("kind", &K::kind(&()))
            .finish_non_exhaustive()
    }
}

/// Drops which fields each manager has, which only the API server needs and which is often the larger
/// half of an object. Who has any outside of subresources stays known: that somebody else has a say
/// may be news though nothing differs.
pub(crate) fn strip<K: Resource>(object: &mut K) {
    let meta = object.meta_mut();
    let managers = meta.managed_fields.take().into_iter().flatten();
    let mut managers: Vec<ManagedFieldsEntry> = managers
        .filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty())
        .take(MAX_MANAGERS)
        .map(|entry| ManagedFieldsEntry {
            manager: entry.manager,
            operation: entry.operation,
            ..ManagedFieldsEntry::default()
        })
        .collect();
    // Room for four is taken at first, and most objects have one.
    managers.shrink_to_fit();
    meta.managed_fields = (!managers.is_empty()).then_some(managers);
}

/// Most managers that are remembered for one object.
const MAX_MANAGERS: usize = 16;

fn decoded<K: Watchable>(
    changes: impl Stream<Item = watcher::Result<Change<K>>> + Send + 'static,
) -> impl Stream<Item = Arc<K>> + Send + 'static {
    changes.filter_map(|change| {
        std::future::ready(match change.map(Change::into_object) {
            Ok(Guarded(Ok(object))) => Some(object),
            Ok(Guarded(Err(invalid))) => {
                warn!(
                    kind = %K::kind(&()),
                    name = invalid.metadata.name.as_deref().unwrap_or_default(),
                    error = %invalid.error,
                    "object does not decode"
                );
                None
            }
            Err(error) => {
                warn!(kind = %K::kind(&()), error = %crate::Chain(&error), "watch failed, trying again");
                None
            }
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    #[test]
    fn isolates_an_object_that_does_not_decode() {
        let list = json!([
            {"metadata": {"name": "good", "namespace": "a"}, "data": {"k": "v"}},
            {"metadata": {"name": "bad", "namespace": "a"}, "data": 7},
        ]);
        let list: Vec<Guarded<ConfigMap>> = serde_json::from_value(list).unwrap();
        assert!(list[0].0.is_ok());
        let Err(invalid) = &list[1].0 else {
            panic!("decoded")
        };
        assert!(invalid.error.contains("nvalid type"), "{}", invalid.error);
        let (objects, mut cache) = Cache::<ConfigMap>::new();
        for object in list {
            cache.writer.apply_watcher_event(&Event::Apply(object));
        }
        assert_eq!(objects.references().len(), 2);
        assert_eq!(objects.all().len(), 1);
        assert!(objects.get("good", Some("a")).is_some());
        assert!(objects.get("bad", Some("a")).is_none());
    }

    #[tokio::test]
    async fn wakes_everyone_who_waits_for_the_first_list() {
        let (objects, cache) = Cache::<ConfigMap>::new();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let objects = objects.clone();
                tokio::spawn(async move { objects.wait_until_ready().await })
            })
            .collect();
        tokio::task::yield_now().await;
        let events = futures::stream::iter([Ok(Event::Init), Ok(Event::InitDone)]);
        cache
            .fill(events)
            .for_each(|_| std::future::ready(()))
            .await;
        for waiter in waiters {
            assert!(waiter.await.unwrap());
        }
        let (orphan, _) = Cache::<ConfigMap>::new();
        assert!(!orphan.wait_until_ready().await);
    }

    #[test]
    fn keeps_of_managed_fields_who_has_any() {
        let kept = |managed: serde_json::Value| {
            let object = json!({"metadata": {"name": "a", "managedFields": managed}});
            let mut object: Guarded<ConfigMap> = serde_json::from_value(object).unwrap();
            strip(&mut object);
            serde_json::to_value(&object.meta().managed_fields).unwrap()
        };
        assert_eq!(kept(json!([])), json!(null));
        let entry = |manager: &str, subresource: &str| {
            json!({"manager": manager, "operation": "Apply", "subresource": subresource,
                "apiVersion": "v1", "fieldsType": "FieldsV1", "time": "2026-01-01T00:00:00Z",
                "fieldsV1": {"f:data": {"f:k": {}}}})
        };
        assert_eq!(
            kept(json!([entry("a", ""), entry("b", "status")])),
            json!([{"manager": "a", "operation": "Apply"}])
        );
        let many: Vec<_> = (0..100).map(|n| entry(&n.to_string(), "")).collect();
        assert_eq!(kept(json!(many)).as_array().unwrap().len(), 16);
    }
}
