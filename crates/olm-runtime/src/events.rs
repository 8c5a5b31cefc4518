//! Events on objects, for people. They never fail a pass.

use std::collections::{HashMap, VecDeque};
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
    remembered: Arc<Mutex<Remembered<Recorder>>>,
}

/// Kinds of events on objects that are remembered, the newest ones. What is repeated mostly is so at
/// once; each takes several KiB, so that one for every object would be most of what is known of it.
const MAX_REMEMBERED: usize = 64;

/// What was published, to tell repetitions; `R` counts those of one note.
struct Remembered<R> {
    /// The last note and who counts it, by object and kind of event.
    recorders: HashMap<String, (String, R)>,
    /// The keys, oldest first.
    order: VecDeque<String>,
}

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
            remembered: Arc::default(),
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
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let fresh = || Recorder::new(self.client.clone(), self.reporter.clone());
        remembered.recorder(key, note, fresh)
    }
}

impl<R> Default for Remembered<R> {
    fn default() -> Self {
        Self {
            recorders: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<R: Clone> Remembered<R> {
    /// The recorder that counts what `key` and `note` say; `fresh` makes one.
    fn recorder(&mut self, key: String, note: String, fresh: impl Fn() -> R) -> R {
        if !self.recorders.contains_key(&key) {
            if self.order.len() >= MAX_REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.recorders.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        let (last, recorder) = self
            .recorders
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

    #[test]
    fn the_newest_are_counted_and_the_oldest_forgotten() {
        let mut remembered = Remembered::default();
        let made = std::cell::Cell::new(0);
        let mut ask = |key: usize, note: &str| {
            let fresh = || {
                made.set(made.get() + 1);
                made.get()
            };
            remembered.recorder(key.to_string(), note.to_owned(), fresh)
        };
        assert_eq!([ask(0, "a"), ask(0, "a"), ask(0, "b")], [1, 1, 2]);
        for key in 1..=MAX_REMEMBERED {
            assert_eq!(ask(key, "a"), key + 2);
        }
        assert_eq!(ask(MAX_REMEMBERED, "a"), MAX_REMEMBERED + 2);
        assert_eq!(ask(0, "b"), MAX_REMEMBERED + 3);
        assert_eq!(remembered.order.len(), MAX_REMEMBERED);
        assert_eq!(remembered.recorders.len(), MAX_REMEMBERED);
    }
}
