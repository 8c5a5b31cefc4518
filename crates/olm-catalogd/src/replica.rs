//! What every replica does for itself, leader or not: fill its own disk and clear it.
//!
//! The leader decides what a catalog serves and writes it into the status; the other replicas read
//! it there and make the same content from the same image, which gives the same digest. So each of
//! them answers readers, and one that becomes leader need not begin with empty hands. Content of
//! Catalogs that are gone is removed, also where they went while this process was away.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use olm_api::catalog::{Catalog, CatalogStatus};
use olm_registry::Reference;
use olm_runtime::{Chain, Objects, Watch};
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::context::{Context, owner};
use crate::phase::request;
use crate::record::Record;
use crate::store::Owner;

/// How often all Catalogs are looked at: for what could not be fetched or removed. The look is at
/// memory alone.
const ROUND: Duration = Duration::from_mins(1);
/// Longest fetch of one image.
const FETCH_LIMIT: Duration = Duration::from_mins(20);
/// Images that are fetched at the same time.
const FETCHES: usize = 4;

/// What the following of one process shares.
struct Follower {
    context: Arc<Context>,
    objects: Objects<Catalog>,
    /// Set once the cache of Catalogs is complete; before that nothing can be said to be gone.
    complete: AtomicBool,
    fetches: Semaphore,
    /// Catalogs that are being looked after, and whether they changed meanwhile.
    busy: Mutex<HashMap<String, bool>>,
}

/// Runs until the token is cancelled. `watch` must be one over all Catalogs.
pub(crate) async fn run(context: Arc<Context>, watch: Watch<Catalog>, token: CancellationToken) {
    let (objects, changes) = watch.cached();
    let follower = Follower {
        context,
        objects,
        complete: AtomicBool::new(false),
        fetches: Semaphore::new(FETCHES),
        busy: Mutex::default(),
    };
    let follower = &follower;
    let mut ticks = tokio::time::interval_at(Instant::now() + ROUND, ROUND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let rounds = futures::stream::once(async {
        follower
            .complete
            .store(follower.objects.wait_until_ready().await, Ordering::Release);
    })
    .chain(futures::stream::poll_fn(move |cx| {
        ticks.poll_tick(cx).map(|_| Some(()))
    }))
    .flat_map(|()| futures::stream::iter(follower.all()));
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
        let known = self
            .objects
            .references()
            .into_iter()
            .map(|reference| reference.name);
        known.chain(stored.keys().cloned()).collect()
    }

    /// Looks after one catalog, and once more when it changed meanwhile.
    async fn look_after(&self, name: &str) {
        if let Some(again) = self.busy().get_mut(name) {
            *again = true;
            return;
        }
        loop {
            self.busy().insert(name.to_owned(), false);
            if let Some(catalog) = self.objects.get(name, None) {
                self.follow(&catalog).await;
            } else if !self
                .objects
                .references()
                .iter()
                .any(|reference| reference.name == name)
            {
                self.tidy(name).await;
            }
            let mut busy = self.busy();
            if busy.get(name) != Some(&true) {
                busy.remove(name);
                return;
            }
        }
    }

    fn busy(&self) -> MutexGuard<'_, HashMap<String, bool>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the content of a Catalog that is not in the cache, once the API server has said that
    /// it is gone: the cache may lag behind a Catalog that was just made.
    async fn tidy(&self, name: &str) {
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
        let (store, owned) = (Arc::clone(&self.context.store), name.to_owned());
        let removed = tokio::task::spawn_blocking(move || {
            store.remove_of(Owner {
                name: &owned,
                uid: &record.uid,
            })
        });
        match removed.await {
            Ok(Ok(true)) => info!(
                catalog = name,
                "removed the content of a catalog that is gone"
            ),
            Ok(Ok(false)) | Err(_) => {}
            Ok(Err(error)) => {
                warn!(catalog = name, error = %Chain(&error), "cannot remove catalog content");
            }
        }
    }

    /// Makes what the leader serves, where this replica has something older.
    async fn follow(&self, catalog: &Catalog) {
        let context = &self.context;
        let name = owner(catalog).name;
        let owner = owner(catalog);
        let Some(wanted) = catalog.status.as_ref().and_then(wanted) else {
            return;
        };
        if !is_behind(context.store.record(name).as_deref(), owner.uid, &wanted) {
            return;
        }
        let Ok(request) = request::read(name, catalog, Duration::ZERO) else {
            return;
        };
        let access = match context.access(&request).await {
            Ok(access) => access,
            Err(error) => {
                warn!(catalog = name, %error, "cannot follow the leader");
                return;
            }
        };
        let Ok(image) = Reference::parse(wanted.image) else {
            return;
        };
        let Ok(_turn) = self.fetches.acquire().await else {
            return;
        };
        let work = context
            .unpacker
            .serve(owner, &image, &access, wanted.unpacked);
        match tokio::time::timeout(FETCH_LIMIT, work).await {
            Ok(Ok(record)) if record.digest.as_str() != wanted.content => warn!(
                catalog = name,
                content = %record.digest,
                leader = wanted.content,
                "this replica made other content than the leader"
            ),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                warn!(catalog = name, error = %Chain(&error), "cannot follow the leader");
            }
            Err(_elapsed) => warn!(catalog = name, "following the leader took too long"),
        }
    }
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

fn wanted(status: &CatalogStatus) -> Option<Wanted<'_>> {
    let image = status.resolved_source.as_ref()?.image.as_ref()?;
    Some(Wanted {
        image: &image.resolved_ref,
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
