//! Noticing that something that was applied is no longer as it was.

mod fingerprint;
mod schedule;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use kube::api::{Api, DynamicObject, ObjectMeta};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use olm_api::labels::{OWNER_KIND, OWNER_NAME};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::fingerprint::{Change, Fingerprint};
use self::schedule::Schedule;
use crate::applier::Applier;
use crate::discovery::Resource;
use crate::error::ApplyError;
use crate::health;
use crate::identity::ObjectId;

/// How soon an owner hears of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchOptions {
    /// After applied content changed or an object went. Default 300 ms.
    pub content: Duration,
    /// After the status of a workload, a definition or an API service changed. Default 1 s.
    pub workload_status: Duration,
    /// After the status of anything else that has one changed. Custom resources of busy operators
    /// change all the time. Default 15 s.
    pub other_status: Duration,
    /// Least time between two messages to one owner. Default 2 s.
    pub interval: Duration,
    /// Longest time that [`ManagedWatches::ensure`] waits for new watches to begin. Default 2 s.
    pub begin_within: Duration,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            content: Duration::from_millis(300),
            workload_status: Duration::from_secs(1),
            other_status: Duration::from_secs(15),
            interval: Duration::from_secs(2),
            begin_within: Duration::from_secs(2),
        }
    }
}

/// Group and kind; one watch serves all versions.
type Kind = (String, String);

/// Metadata-only watches on every kind that was applied, one for each kind, restricted to objects
/// with the owner label. They send the name of the owner that should look again.
///
/// A message means "look"; bursts are one message, and the channel is bounded: while it is full,
/// owners gather here, once each. Watches end with the token, with this value, or when their kind
/// is no longer served.
pub struct ManagedWatches {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    _guard: DropGuard,
}

struct Shared {
    applier: Applier,
    owner_kind: String,
    options: WatchOptions,
    token: CancellationToken,
    schedule: Mutex<Schedule>,
    marked: Notify,
    running: Mutex<HashMap<Kind, watch::Receiver<bool>>>,
}

impl fmt::Debug for ManagedWatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedWatches")
            .field("kinds", &lock(&self.shared.running).len())
            .finish_non_exhaustive()
    }
}

// No code that panics runs under these locks; the state behind them is whole in any case.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ManagedWatches {
    /// No watches yet. Must be called inside a tokio runtime.
    pub fn new(
        applier: &Applier,
        owner_kind: impl Into<String>,
        owners: mpsc::Sender<String>,
        options: WatchOptions,
        token: &CancellationToken,
    ) -> Self {
        let token = token.child_token();
        let shared = Arc::new(Shared {
            applier: applier.clone(),
            owner_kind: owner_kind.into(),
            options,
            token: token.clone(),
            schedule: Mutex::default(),
            marked: Notify::new(),
            running: Mutex::default(),
        });
        let tasks = TaskTracker::new();
        tasks.spawn(dispatch(shared.clone(), owners));
        Self {
            shared,
            tasks,
            _guard: token.drop_guard(),
        }
    }

    /// Watches every kind of an inventory. Called before the inventory is applied, no later change
    /// is missed; kinds that are not served yet are left out, so call it after applying, too.
    ///
    /// Returns whether every watch has begun: `false` where one did not within
    /// [`WatchOptions::begin_within`]. It goes on trying, and until it has begun changes are missed.
    ///
    /// # Errors
    ///
    /// The API server does not say which kinds it serves.
    pub async fn ensure(&self, inventory: &[ObjectId]) -> Result<bool, ApplyError> {
        let mut kinds: BTreeMap<Kind, &ObjectId> = BTreeMap::new();
        for id in inventory {
            kinds
                .entry((id.group.clone(), id.kind.clone()))
                .or_insert(id);
        }
        let mut beginning = Vec::new();
        for (kind, id) in kinds {
            if let Some(begun) = lock(&self.shared.running).get(&kind) {
                beginning.push(begun.clone());
                continue;
            }
            let Some(resource) = self.shared.applier.resource_of(id).await? else {
                continue;
            };
            beginning.push(self.begin(kind, resource));
        }
        // What is awaited must not be held: the reference is a lock that cannot change threads.
        let begun = beginning
            .iter_mut()
            .map(|begun| async { begun.wait_for(|begun| *begun).await.is_ok() });
        // A kind that cannot be listed keeps trying by itself; the pass goes on.
        let begun = timeout(self.shared.options.begin_within, join_all(begun)).await;
        Ok(begun.is_ok_and(|begun| begun.into_iter().all(|begun| begun)))
    }

    /// Number of kinds that are watched.
    pub fn len(&self) -> usize {
        lock(&self.shared.running).len()
    }

    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until every task has ended, after the token was cancelled.
    pub async fn closed(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn begin(&self, kind: Kind, resource: Resource) -> watch::Receiver<bool> {
        let mut running = lock(&self.shared.running);
        if let Some(begun) = running.get(&kind) {
            return begun.clone();
        }
        let (begun, receiver) = watch::channel(false);
        running.insert(kind.clone(), receiver.clone());
        drop(running);
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            let token = shared.token.clone();
            let mut task = KindWatch::new(shared.clone(), resource, begun);
            tokio::select! {
                () = token.cancelled() => {}
                () = task.run() => {}
            }
            lock(&shared.running).remove(&kind);
        });
        receiver
    }
}

async fn dispatch(shared: Arc<Shared>, owners: mpsc::Sender<String>) {
    let interval = shared.options.interval;
    loop {
        let next = lock(&shared.schedule).next();
        let due = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.token.cancelled() => return,
            () = shared.marked.notified() => continue,
            () = due => {}
        }
        let taken = lock(&shared.schedule).take(interval, Instant::now());
        for owner in taken {
            tokio::select! {
                () = shared.token.cancelled() => return,
                sent = owners.send(owner) => if sent.is_err() { return },
            }
        }
    }
}

impl Shared {
    fn mark(&self, owner: &str, delay: Duration) {
        lock(&self.schedule).mark(owner, delay, self.options.interval, Instant::now());
        self.marked.notify_one();
    }
}

/// Namespace and name.
type Place = (Option<String>, String);

#[derive(Debug)]
struct Seen {
    owner: Arc<str>,
    fingerprint: Fingerprint,
}

/// The watch on one kind.
struct KindWatch {
    shared: Arc<Shared>,
    resource: Resource,
    begun: watch::Sender<bool>,
    /// How soon a change of status is told; nothing for kinds without one.
    status: Option<Duration>,
    seen: HashMap<Place, Seen>,
    /// What a list in progress has shown so far.
    listed: HashMap<Place, Seen>,
}

impl KindWatch {
    fn new(shared: Arc<Shared>, resource: Resource, begun: watch::Sender<bool>) -> Self {
        let options = shared.options;
        let status = match health::interest(&resource.api.group, &resource.api.kind) {
            health::Interest::None => None,
            health::Interest::Workload => Some(options.workload_status),
            health::Interest::Other => Some(options.other_status),
        };
        Self {
            shared,
            resource,
            begun,
            status,
            seen: HashMap::new(),
            listed: HashMap::new(),
        }
    }

    async fn run(&mut self) {
        let client = self.shared.applier.streaming.clone();
        let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &self.resource.api);
        let selector = format!("{OWNER_KIND}={}", self.shared.owner_kind);
        let config = watcher::Config::default().labels(&selector);
        let mut events = std::pin::pin!(watcher::watcher(api, config).default_backoff());
        let mut failing = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    failing = false;
                    self.see(event);
                }
                Err(error) if is_not_served(&error) => break,
                Err(error) => {
                    let kind = &self.resource.api.kind;
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(
                            %kind,
                            error = &error as &dyn std::error::Error,
                            "cannot watch applied objects"
                        );
                    }
                }
            }
        }
        // The kind is gone and its objects with it. Whoever needs them begins a new watch.
        self.shared.applier.discovery().forget(&self.resource).await;
        for seen in self.seen.values() {
            self.shared.mark(&seen.owner, self.shared.options.content);
        }
    }

    fn see(&mut self, event: Event<PartialObjectMeta<DynamicObject>>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                if let Some((place, seen)) = self.read(object.metadata) {
                    match self.seen.get(&place) {
                        // It came while nothing was heard, and may have changed since.
                        None if *self.begun.borrow() => {
                            self.shared.mark(&seen.owner, self.shared.options.content);
                        }
                        before => self.tell(before, &seen),
                    }
                    self.listed.insert(place, seen);
                }
            }
            Event::InitDone => {
                let before = std::mem::replace(&mut self.seen, std::mem::take(&mut self.listed));
                for (place, gone) in before {
                    if !self.seen.contains_key(&place) {
                        self.shared.mark(&gone.owner, self.shared.options.content);
                    }
                }
                self.begun.send_replace(true);
            }
            Event::Apply(object) => {
                let unnamed = (
                    object.metadata.namespace.clone(),
                    object.metadata.name.clone().unwrap_or_default(),
                );
                if let Some((place, seen)) = self.read(object.metadata) {
                    self.tell(self.seen.get(&place), &seen);
                    self.seen.insert(place, seen);
                } else {
                    self.lose(&unnamed);
                }
            }
            Event::Delete(object) => {
                let metadata = object.metadata;
                self.lose(&(metadata.namespace, metadata.name.unwrap_or_default()));
            }
        }
    }

    /// An object went, or its label that names the owner did.
    fn lose(&mut self, place: &Place) {
        if let Some(gone) = self.seen.remove(place) {
            self.shared.mark(&gone.owner, self.shared.options.content);
        }
    }

    fn read(&self, metadata: ObjectMeta) -> Option<(Place, Seen)> {
        let manager = self.shared.applier.requests.manager();
        let fingerprint = Fingerprint::of(&metadata, manager);
        let owner = metadata.labels?.remove(OWNER_NAME)?;
        let place = (metadata.namespace, metadata.name?);
        Some((
            place,
            Seen {
                owner: owner.into(),
                fingerprint,
            },
        ))
    }

    /// An object that was not there before is one that was just applied: nobody needs to look.
    fn tell(&self, before: Option<&Seen>, now: &Seen) {
        let Some(before) = before else { return };
        if before.owner != now.owner {
            self.shared.mark(&before.owner, self.shared.options.content);
        }
        match before.fingerprint.compare(&now.fingerprint) {
            Change::Nothing => {}
            Change::Content => self.shared.mark(&now.owner, self.shared.options.content),
            Change::Other => {
                if let Some(delay) = self.status {
                    self.shared.mark(&now.owner, delay);
                }
            }
        }
    }
}

fn is_not_served(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status.code == 404,
        _ => false,
    }
}
