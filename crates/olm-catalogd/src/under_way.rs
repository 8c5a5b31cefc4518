//! Work on images that is under way, so that a change of its Catalog can stop it.
//!
//! A pull may take many minutes. What it is for can change meanwhile: another reference, or no
//! Catalog at all. The harness begins no pass over an object while one runs, so the pass itself has
//! to notice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use olm_api::catalog::Catalog;
use olm_runtime::finalizer;
use tokio_util::sync::CancellationToken;

/// The passes that are at work, by the names of their Catalogs.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashMap<String, Entry>>>);

#[derive(Debug)]
struct Entry {
    subject: Subject,
    stop: CancellationToken,
}

/// What of a Catalog decides what its content is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Subject {
    uid: Option<String>,
    generation: Option<i64>,
    deleting: bool,
}

impl Subject {
    fn of(catalog: &Catalog) -> Self {
        Self {
            uid: catalog.metadata.uid.clone(),
            generation: catalog.metadata.generation,
            deleting: finalizer::is_deleting(catalog),
        }
    }
}

impl UnderWay {
    /// Announces work for `catalog`. `newest` is the same Catalog as it was last seen, where it was:
    /// when that is newer, the work is stopped before it begins.
    pub(crate) fn begin(&self, catalog: &Catalog, newest: Option<&Catalog>) -> Work {
        let subject = Subject::of(catalog);
        let stop = CancellationToken::new();
        if newest.is_some_and(|newest| is_newer(&Subject::of(newest), &subject)) {
            stop.cancel();
        }
        let name = catalog.metadata.name.clone().unwrap_or_default();
        let entry = Entry {
            subject,
            stop: stop.clone(),
        };
        self.entries().insert(name.clone(), entry);
        Work {
            name,
            stop,
            of: self.clone(),
        }
    }

    /// Stops the work that a Catalog, as it is now, has no use for.
    pub(crate) fn changed(&self, catalog: &Catalog) {
        let entries = self.entries();
        let name = catalog.metadata.name.as_deref().unwrap_or_default();
        if let Some(entry) = entries.get(name)
            && is_newer(&Subject::of(catalog), &entry.subject)
        {
            entry.stop.cancel();
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches lag, so what is seen may be older than what is worked on. Another UID is taken for newer:
/// work for a Catalog that is there again is begun once more.
fn is_newer(seen: &Subject, worked_on: &Subject) -> bool {
    seen.uid != worked_on.uid
        || seen.generation > worked_on.generation
        || seen.deleting && !worked_on.deleting
}

/// Announced work; it has ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Work {
    name: String,
    stop: CancellationToken,
    of: UnderWay,
}

impl Work {
    /// Waits until the work has no use any more.
    pub(crate) async fn superseded(&self) {
        self.stop.cancelled().await;
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.of.entries().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn catalog(metadata: &Value) -> Catalog {
        let mut object = json!({
            "apiVersion": "catalogd.operatorframework.io/v1alpha1", "kind": "Catalog",
            "metadata": {"name": "cat", "uid": "1", "generation": 3},
            "spec": {"source": {"type": "image", "image": {"ref": "quay.io/c:v1"}}},
        });
        for (name, value) in metadata.as_object().unwrap() {
            object["metadata"][name] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    #[rstest]
    #[case::nothing_new(json!({"labels": {"a": "b"}}), false)]
    #[case::an_older_state(json!({"generation": 2}), false)]
    #[case::another_spec(json!({"generation": 4}), true)]
    #[case::deleted(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}), true)]
    #[case::made_anew(json!({"uid": "2", "generation": 1}), true)]
    #[case::another_catalog(json!({"name": "other", "uid": "2"}), false)]
    fn work_is_stopped_by_what_makes_it_useless(#[case] change: Value, #[case] stopped: bool) {
        let under_way = UnderWay::default();
        let work = under_way.begin(&catalog(&json!({})), None);
        under_way.changed(&catalog(&change));
        assert_eq!(work.stop.is_cancelled(), stopped);
    }

    #[test]
    fn work_for_an_outdated_catalog_is_stopped_at_once_and_ended_work_is_forgotten() {
        let under_way = UnderWay::default();
        let newer = catalog(&json!({"generation": 4}));
        let work = under_way.begin(&catalog(&json!({})), Some(&newer));
        assert!(work.stop.is_cancelled());
        drop(work);
        assert!(under_way.entries().is_empty());
        let work = under_way.begin(&newer, Some(&catalog(&json!({}))));
        assert!(!work.stop.is_cancelled());
    }
}
