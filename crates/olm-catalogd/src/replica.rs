//! What every replica does for itself, leader or not: fill its own disk and clear it.
//!
//! The leader decides what a catalog serves and writes it into the status; the other replicas read
//! it there and make the same content from the same image, which gives the same digest. So each of
//! them answers readers, and one that becomes leader need not begin with empty hands. Content of
//! Catalogs that are gone, or taken out of use, is removed, also where that happened while this
//! process was away.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;
use olm_api::catalog::{Availability, Catalog, CatalogStatus};
use olm_registry::{Reference, RegistryError};
use olm_runtime::{Chain, Objects};
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::context::{Context, owner};
use crate::phase::content::ContentError;
use crate::phase::request;
use crate::readiness::Readiness;
use crate::record::Record;
use crate::store::{ContentStore, Owner};

/// How often all Catalogs are looked at: for what could not be fetched or removed, and for content
/// that went missing. The look is at memory and open files alone.
const ROUND: Duration = Duration::from_secs(5);
/// Longest fetch of one image.
const FETCH_LIMIT: Duration = Duration::from_mins(20);
/// Images that are fetched at the same time.
const FETCHES: usize = 4;
/// Pause after the first failed fetch of a catalog; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// What the following of one process shares.
struct Follower {
    context: Arc<Context>,
    /// Set once the cache of Catalogs is complete; before that nothing can be said to be gone.
    complete: AtomicBool,
    fetches: Semaphore,
    /// Catalogs that are being looked after.
    busy: Mutex<HashMap<String, Busy>>,
    /// Catalogs whose content could not be fetched.
    failed: Mutex<HashMap<String, Failed>>,
}

/// What is known of a catalog that is being looked after.
#[derive(Debug, Default)]
struct Busy {
    /// Whether it changed meanwhile.
    again: bool,
    /// The digest of the content that is being made, and what stops that.
    making: Option<(String, CancellationToken)>,
}

/// A fetch that failed.
#[derive(Debug)]
struct Failed {
    /// The digest of the content that was to be made.
    content: String,
    /// How often in a row.
    count: u32,
    /// Not to be tried again before.
    until: Instant,
}

/// The names of the Catalogs whose content this replica lacks.
pub(crate) fn missing(objects: &Objects<Catalog>, store: &ContentStore) -> Vec<String> {
    let all = objects.all();
    let lacking = all.iter().filter(|catalog| {
        let owner = owner(catalog);
        wanted(catalog)
            .is_some_and(|wanted| is_behind(held(store, owner.name).as_deref(), owner.uid, &wanted))
    });
    lacking
        .map(|catalog| owner(catalog).name.to_owned())
        .collect()
}

/// Runs until the token is cancelled. `changes` fills the context's cache of Catalogs.
pub(crate) async fn run(
    context: Arc<Context>,
    changes: BoxStream<'static, Arc<Catalog>>,
    readiness: Readiness,
    token: CancellationToken,
) {
    let follower = Follower {
        context,
        complete: AtomicBool::new(false),
        fetches: Semaphore::new(FETCHES),
        busy: Mutex::default(),
        failed: Mutex::default(),
    };
    let follower = &follower;
    let mut ticks = tokio::time::interval_at(Instant::now() + ROUND, ROUND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let rounds = futures::stream::once(async {
        if follower.context.catalogs.wait_until_ready().await {
            follower.complete.store(true, Ordering::Release);
            readiness.listed();
        }
    })
    .chain(futures::stream::poll_fn(move |cx| {
        ticks.poll_tick(cx).map(|_| Some(()))
    }))
    .flat_map(|()| futures::stream::iter(follower.all()));
    let changes = changes.inspect(|catalog| follower.context.under_way.changed(catalog));
    let changes = changes.filter(|_| {
        // The first list is what the first round is about.
        std::future::ready(follower.complete.load(Ordering::Acquire))
    });
    let changes = changes.map(|catalog| owner(&catalog).name.to_owned());
    // Without a limit here, or the watch would stand still while images are fetched.
    let follow = futures::stream::select(changes, rounds)
        .for_each_concurrent(None, |name| async move { follower.look_after(&name).await });
    tokio::select! {
        () = token.cancelled() => {}
        () = follow => warn!("the watch of catalogs ended"),
    }
}

impl Follower {
    /// The names of all Catalogs and of all that have content here.
    fn all(&self) -> BTreeSet<String> {
        if !self.complete.load(Ordering::Acquire) {
            return BTreeSet::new();
        }
        let stored = self.context.store.records();
        let objects = self.context.catalogs.references();
        let known = objects.into_iter().map(|reference| reference.name);
        known.chain(stored.keys().cloned()).collect()
    }

    /// Looks after one catalog, and once more when it changed meanwhile.
    async fn look_after(&self, name: &str) {
        let objects = &self.context.catalogs;
        if let Some(busy) = self.busy().get_mut(name) {
            busy.again = true;
            if let Some((content, stop)) = &busy.making {
                let catalog = objects.get(name, None);
                let now = catalog.as_deref().and_then(wanted);
                if now.is_none_or(|wanted| wanted.content != content) {
                    stop.cancel();
                }
            }
            return;
        }
        loop {
            self.busy().insert(name.to_owned(), Busy::default());
            if let Some(catalog) = objects.get(name, None) {
                if catalog.spec.availability == Availability::Unavailable {
                    self.remove(owner(&catalog)).await;
                } else {
                    self.follow(&catalog).await;
                }
            } else if !objects.references().iter().any(|other| other.name == name) {
                self.tidy(name).await;
            }
            let mut busy = self.busy();
            if !busy.get(name).is_some_and(|busy| busy.again) {
                busy.remove(name);
                return;
            }
        }
    }

    fn busy(&self) -> MutexGuard<'_, HashMap<String, Busy>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> MutexGuard<'_, HashMap<String, Failed>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the content of a Catalog that is not in the cache, once the API server has said that
    /// it is gone: the cache may lag behind a Catalog that was just made.
    async fn tidy(&self, name: &str) {
        self.failed().remove(name);
        let Some(record) = self.context.store.record(name) else {
            return;
        };
        match self.context.uid_of(name).await {
            Ok(Some(uid)) if uid == record.uid => return,
            Ok(_) => {}
            Err(error) => {
                warn!(catalog = name, error = %Chain(&error), "cannot look for a catalog");
                return;
            }
        }
        let uid = record.uid.clone();
        self.remove(Owner { name, uid: &uid }).await;
    }

    /// Removes the content of one Catalog.
    async fn remove(&self, Owner { name, uid }: Owner<'_>) {
        if self.context.store.record(name).is_none() {
            return;
        }
        let store = Arc::clone(&self.context.store);
        let (owned, uid) = (name.to_owned(), uid.to_owned());
        let removed = tokio::task::spawn_blocking(move || {
            store.remove_of(Owner {
                name: &owned,
                uid: &uid,
            })
        });
        match removed.await {
            Ok(Ok(true)) => info!(
                catalog = name,
                "removed the content of a catalog that is gone or out of use"
            ),
            Ok(Ok(false)) | Err(_) => {}
            Ok(Err(error)) => {
                warn!(catalog = name, error = %Chain(&error), "cannot remove catalog content");
            }
        }
    }

    /// Makes what the leader serves, where this replica has something older.
    async fn follow(&self, catalog: &Catalog) {
        let owner = owner(catalog);
        let name = owner.name;
        let Some(wanted) = wanted(catalog) else {
            return;
        };
        let held = held(&self.context.store, name);
        if !is_behind(held.as_deref(), owner.uid, &wanted) {
            return;
        }
        let waits = self.failed().get(name).is_some_and(|failed| {
            failed.content == wanted.content && Instant::now() < failed.until
        });
        if waits {
            return;
        }
        let stop = CancellationToken::new();
        if let Some(busy) = self.busy().get_mut(name) {
            busy.making = Some((wanted.content.to_owned(), stop.clone()));
        }
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = self.make(catalog, &wanted) => outcome,
        };
        let mut failed = self.failed();
        match outcome {
            Ok(()) => {
                failed.remove(name);
            }
            Err(wait) => {
                let count = failed
                    .get(name)
                    .filter(|failed| failed.content == wanted.content)
                    .map_or(0, |failed| failed.count);
                let pause = FIRST_PAUSE.saturating_mul(1 << count.min(16));
                let pause = pause.min(LONGEST_PAUSE).max(wait.unwrap_or_default());
                let entry = Failed {
                    content: wanted.content.to_owned(),
                    count: count.saturating_add(1),
                    until: Instant::now() + pause,
                };
                failed.insert(name.to_owned(), entry);
            }
        }
    }

    /// Makes what the leader serves; the error is the time that the registry asks to be left alone.
    async fn make(&self, catalog: &Catalog, wanted: &Wanted<'_>) -> Result<(), Option<Duration>> {
        let context = &self.context;
        let owner = owner(catalog);
        let name = owner.name;
        let refused = |error: &dyn std::fmt::Display| {
            warn!(catalog = name, %error, "cannot follow the leader");
            None
        };
        let request = request::read(name, catalog, Duration::ZERO).map_err(|e| refused(&e))?;
        let access = context.access(&request).await.map_err(|e| refused(&e))?;
        let image = Reference::parse(wanted.image).map_err(|e| refused(&Chain(&e)))?;
        let _turn = self.fetches.acquire().await.map_err(|_closed| None)?;
        let work = context
            .unpacker
            .serve(owner, &image, &access, wanted.unpacked);
        match tokio::time::timeout(FETCH_LIMIT, work).await {
            Ok(Ok(record)) if record.digest.as_str() != wanted.content => {
                warn!(
                    catalog = name,
                    content = %record.digest,
                    leader = wanted.content,
                    "this replica made other content than the leader"
                );
                // Another attempt would end the same.
                Err(Some(LONGEST_PAUSE))
            }
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                refused(&Chain(&error));
                let ContentError::Source(error) = error else {
                    return Err(None);
                };
                Err(error.registry().and_then(RegistryError::retry_after))
            }
            Err(_elapsed) => Err(refused(&"it took too long")),
        }
    }
}

/// The record of a catalog whose content can be read.
fn held(store: &ContentStore, name: &str) -> Option<Arc<Record>> {
    let there = matches!(store.open_content(name), Ok(Some(_)));
    store.record(name).filter(|_| there)
}

/// What the leader serves.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    /// The image, by digest.
    image: &'a str,
    /// The digest of the content.
    content: &'a str,
    /// When the leader unpacked it.
    unpacked: Timestamp,
}

/// What is to be made for a Catalog; nothing while it is deleted or out of use, or where nothing of
/// it was ever served.
fn wanted(catalog: &Catalog) -> Option<Wanted<'_>> {
    let wants = catalog.metadata.deletion_timestamp.is_none()
        && catalog.spec.availability == Availability::Available;
    let status: &CatalogStatus = catalog.status.as_ref().filter(|_| wants)?;
    Some(Wanted {
        image: status.content_image.as_deref()?,
        content: status.content_digest.as_deref()?,
        unpacked: status.last_unpacked.as_ref()?.0,
    })
}

/// Whether this replica has older content than the leader. What is as new or newer stays: on the
/// leader itself the status comes after the content.
fn is_behind(record: Option<&Record>, uid: &str, wanted: &Wanted<'_>) -> bool {
    record.is_none_or(|record| {
        record.uid != uid
            || record.digest.as_str() != wanted.content && record.unpacked < wanted.unpacked
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use olm_fs::Digest;
    use rstest::rstest;

    use super::*;
    use crate::record::BrokenFiles;

    #[rstest]
    #[case::nothing_here(None, true)]
    #[case::same_content(Some(("1", "new", 5)), false)]
    #[case::older_content(Some(("1", "old", 5)), true)]
    #[case::newer_content_whose_status_is_on_its_way(Some(("1", "newer", 20)), false)]
    #[case::content_of_an_earlier_catalog_of_that_name(Some(("0", "new", 20)), true)]
    fn a_replica_follows_what_is_newer(
        #[case] record: Option<(&str, &str, i64)>,
        #[case] expected: bool,
    ) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let record = record.map(|(uid, content, unpacked)| Record {
            uid: uid.to_owned(),
            digest: Digest::of(content.as_bytes()),
            length: 1,
            image: Digest::of(b"image"),
            modified: at(unpacked),
            unpacked: at(unpacked),
            broken: BrokenFiles::default(),
        });
        let content = Digest::of(b"new");
        let wanted = Wanted {
            image: "r",
            content: content.as_str(),
            unpacked: at(10),
        };
        assert_eq!(is_behind(record.as_ref(), "1", &wanted), expected);
    }
}
