//! What a watch says, one object at a time, once the cache says it too.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event};

use crate::objects::{Guarded, Watchable};

/// What happened to an object.
#[derive(Debug, Clone)]
pub(crate) enum Change<K> {
    /// It is there, and is new or changed or was listed again.
    Present(Guarded<K>),
    /// It is gone.
    Gone(Guarded<K>),
}

impl<K> Change<K> {
    /// The object as it is, or as it last was.
    pub(crate) fn into_object(self) -> Guarded<K> {
        match self {
            Self::Present(object) | Self::Gone(object) => object,
        }
    }
}

/// The changes in `events`, which have gone through the writer of `store`.
///
/// A new list is told as a whole when it is complete: until then the store holds what was there
/// before, and whoever looks there would see an old state and not be told again. What went while
/// nobody watched is missing from the new list and told as gone.
pub(crate) fn changes<K: Watchable>(
    store: Store<Guarded<K>>,
    events: impl Stream<Item = watcher::Result<Event<Guarded<K>>>> + Send + 'static,
) -> impl Stream<Item = watcher::Result<Change<K>>> + Send + 'static {
    let (mut before, mut listed) = (Vec::new(), Vec::new());
    events.flat_map(move |event| {
        let told = match event {
            Ok(Event::Apply(object)) => vec![Ok(Change::Present(object))],
            Ok(Event::Delete(object)) => vec![Ok(Change::Gone(object))],
            Ok(Event::Init) => {
                before = store.state();
                listed.clear();
                Vec::new()
            }
            Ok(Event::InitApply(object)) => {
                listed.push(object);
                Vec::new()
            }
            Ok(Event::InitDone) => told(&std::mem::take(&mut before), std::mem::take(&mut listed)),
            Err(error) => vec![Err(error)],
        };
        futures::stream::iter(told)
    })
}

/// What a new list says to those who know what was there `before`.
fn told<K: Watchable>(
    before: &[Arc<Guarded<K>>],
    listed: Vec<Guarded<K>>,
) -> Vec<watcher::Result<Change<K>>> {
    let uids: HashMap<_, _> = listed
        .iter()
        .map(|object| (ObjectRef::from_obj(object), object.meta().uid.clone()))
        .collect();
    let gone = before
        .iter()
        .filter(|object| uids.get(&ObjectRef::from_obj(&***object)) != Some(&object.meta().uid))
        .map(|object| Change::Gone((**object).clone()));
    let gone: Vec<_> = gone.collect();
    let present = listed.into_iter().map(Change::Present);
    gone.into_iter().chain(present).map(Ok).collect()
}

/// Tells changes that call for a pass from those that do not, such as the writing of a status.
#[derive(Debug)]
pub(crate) struct News<K: Watchable>(HashMap<ObjectRef<Guarded<K>>, u64>);

impl<K: Watchable> News<K> {
    pub(crate) fn new() -> Self {
        Self(HashMap::new())
    }

    /// Whether the object is new or gone, or its generation, finalizers, annotations, labels or
    /// managers differ from when it was last seen.
    pub(crate) fn is_news(&mut self, change: &Change<K>) -> bool {
        match change {
            Change::Present(object) => {
                let print = fingerprint(object);
                self.0.insert(ObjectRef::from_obj(object), print) != Some(print)
            }
            Change::Gone(object) => {
                self.0.remove(&ObjectRef::from_obj(object));
                true
            }
        }
    }
}

fn fingerprint<K: Watchable>(object: &Guarded<K>) -> u64 {
    let meta = object.meta();
    let mut hasher = DefaultHasher::new();
    (&meta.uid, &meta.generation, &meta.finalizers).hash(&mut hasher);
    (&meta.annotations, &meta.labels).hash(&mut hasher);
    // Who applies what is there already has a say in it from then on.
    for entry in meta.managed_fields.iter().flatten() {
        (&entry.manager, &entry.operation).hash(&mut hasher);
    }
    // Kinds without a generation are looked at whenever they are deleted, too.
    meta.deletion_timestamp.is_some().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::{Value, json};

    use super::*;
    use crate::objects::Cache;

    fn object(name: &str, uid: &str, edit: impl FnOnce(&mut Value)) -> Guarded<ConfigMap> {
        let mut object = json!({"metadata": {"name": name, "namespace": "ns", "uid": uid,
            "generation": 1}});
        edit(&mut object);
        serde_json::from_value(object).unwrap()
    }

    fn plain(name: &str, uid: &str) -> Guarded<ConfigMap> {
        object(name, uid, |_| {})
    }

    /// What is told of `events`, with what the cache held at that moment.
    async fn tell(events: Vec<Event<Guarded<ConfigMap>>>) -> Vec<String> {
        let (objects, cache) = Cache::<ConfigMap>::new();
        let events = cache.fill(futures::stream::iter(events).map(Ok));
        let text = |object: &Guarded<ConfigMap>| {
            let meta = object.meta();
            meta.name.clone().unwrap() + "/" + meta.uid.as_deref().unwrap()
        };
        changes(objects.store(), events)
            .map(|change| {
                let held = objects.references().len();
                match change.unwrap() {
                    Change::Present(object) => format!("{} of {held}", text(&object)),
                    Change::Gone(object) => format!("-{} of {held}", text(&object)),
                }
            })
            .collect()
            .await
    }

    #[tokio::test]
    async fn a_list_is_told_when_the_cache_holds_it() {
        let (a, b) = (plain("a", "1"), plain("b", "2"));
        let first = [
            Event::Init,
            Event::InitApply(a),
            Event::InitApply(b.clone()),
        ];
        assert_eq!(tell(first.to_vec()).await, Vec::<String>::new());
        let complete = [first.as_slice(), &[Event::InitDone, Event::Delete(b)]].concat();
        assert_eq!(tell(complete).await, ["a/1 of 2", "b/2 of 2", "-b/2 of 1"]);
    }

    #[tokio::test]
    async fn what_went_while_nobody_watched_is_told_as_gone() {
        let told = tell(vec![
            Event::Init,
            Event::InitApply(plain("kept", "1")),
            Event::InitApply(plain("made anew", "2")),
            Event::InitApply(plain("gone", "3")),
            Event::InitDone,
            Event::Init,
            Event::InitApply(plain("made anew", "4")),
            Event::Init,
            Event::InitApply(plain("kept", "1")),
            Event::InitApply(plain("made anew", "5")),
            Event::InitDone,
        ]);
        let mut told = told.await.split_off(3);
        told[..2].sort_unstable();
        assert_eq!(
            told,
            [
                "-gone/3 of 2",
                "-made anew/2 of 2",
                "kept/1 of 2",
                "made anew/5 of 2"
            ]
        );
    }

    #[test]
    fn only_changes_that_call_for_a_pass_are_news() {
        let mut news = News::<ConfigMap>::new();
        let mut is_news = |object| news.is_news(&Change::Present(object));
        assert!(is_news(plain("a", "1")));
        assert!(!is_news(object("a", "1", |o| o["data"] = json!({"k": "v"}))));
        assert!(is_news(
            object("a", "1", |o| o["metadata"]["generation"] = json!(2))
        ));
        assert!(is_news(
            object("a", "1", |o| o["metadata"]["labels"] = json!({"k": "v"}))
        ));
        let managed = |manager: &str| {
            object("a", "1", |o| {
                o["metadata"]["managedFields"] = json!([{"manager": manager}]);
            })
        };
        assert!(is_news(managed("me")));
        assert!(!is_news(managed("me")));
        assert!(is_news(managed("you")));
        assert!(is_news(plain("a", "2")), "another object of the same name");
        assert!(news.is_news(&Change::Gone(plain("a", "2"))));
        assert!(news.is_news(&Change::Present(plain("a", "2"))));
    }
}
