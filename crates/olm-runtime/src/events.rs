//! Events on objects, for people. They never fail a pass.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use tracing::debug;

use crate::chain::Chain;
use crate::truncate::truncate;

/// Longest note in bytes (limit of `events.k8s.io/v1`).
const MAX_NOTE: usize = 1024;
/// Longest reason and action in bytes (same).
const MAX_WORD: usize = 128;
/// Time for one write; a pass does not wait longer for something that only informs.
const LIMIT: Duration = Duration::from_secs(5);

/// Publishes events as one controller. Repeated events are counted in a series instead of being
/// written anew.
#[derive(Clone)]
pub struct Events {
    client: Client,
    reporter: Reporter,
    recorders: Arc<Mutex<HashMap<String, (String, Recorder)>>>,
}

/// Kinds of events on objects whose last note is remembered; above that the memory starts anew.
const MAX_REMEMBERED: usize = 4_096;

impl Events {
    /// `controller` is the component's name, `instance` tells its replicas apart.
    pub fn new(client: Client, controller: &str, instance: &str) -> Self {
        let reporter = Reporter {
            controller: controller.to_owned(),
            instance: Some(instance.to_owned()),
        };
        Self {
            client,
            reporter,
            recorders: Arc::default(),
        }
    }

    /// Says that something went as it should.
    pub async fn normal<K>(&self, object: &K, reason: &str, action: &str, note: &str)
    where
        K: Resource<DynamicType = ()>,
    {
        self.publish(object, event(EventType::Normal, reason, action, note))
            .await;
    }

    /// Says that something needs attention.
    pub async fn warning<K>(&self, object: &K, reason: &str, action: &str, note: &str)
    where
        K: Resource<DynamicType = ()>,
    {
        self.publish(object, event(EventType::Warning, reason, action, note))
            .await;
    }

    async fn publish<K: Resource<DynamicType = ()>>(&self, object: &K, event: Event) {
        let reference = object.object_ref(&());
        let recorder = self.recorder(reference.uid.as_deref().unwrap_or_default(), &event);
        match tokio::time::timeout(LIMIT, recorder.publish(&event, &reference)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                debug!(reason = event.reason, error = %Chain(&error), "event not published");
            }
            Err(_elapsed) => debug!(reason = event.reason, "event not published in time"),
        }
    }
}

impl Events {
    /// The recorder for an event on the object `uid`.
    ///
    /// A recorder counts an event with the same type, reason and action as a repetition whatever its
    /// note says, and keeps the first note. An event that says something else gets a new recorder,
    /// and so is written as an event of its own.
    fn recorder(&self, uid: &str, event: &Event) -> Recorder {
        let key = format!("{uid} {:?} {} {}", event.type_, event.reason, event.action);
        let note = event.note.clone().unwrap_or_default();
        let mut recorders = self
            .recorders
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if recorders.len() >= MAX_REMEMBERED {
            recorders.clear();
        }
        let fresh = || Recorder::new(self.client.clone(), self.reporter.clone());
        let (last, recorder) = recorders
            .entry(key)
            .or_insert_with(|| (note.clone(), fresh()));
        if *last != note {
            *last = note;
            *recorder = fresh();
        }
        recorder.clone()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

fn event(type_: EventType, reason: &str, action: &str, note: &str) -> Event {
    Event {
        type_,
        reason: truncate(reason, MAX_WORD, ""),
        action: truncate(action, MAX_WORD, ""),
        note: Some(truncate(note, MAX_NOTE, "...")).filter(|note| !note.is_empty()),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn fits_into_the_limits_of_the_api() {
        let made = event(
            EventType::Warning,
            &"R".repeat(200),
            "Act",
            &"ü".repeat(900),
        );
        assert_eq!(made.reason.len(), 128);
        assert!(made.note.as_ref().unwrap().len() <= 1024);
        assert!(made.note.unwrap().ends_with("ü..."));
        assert_eq!(event(EventType::Normal, "R", "A", "").note, None);
    }
}
