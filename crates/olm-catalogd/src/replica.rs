//! What every replica does for itself, leader or not: fill its own disk and clear it.
//!
//! The leader decides what a catalog serves and writes it into the status; the other replicas read
//! it there and make the same content from the same image, which gives the same digest. So each of
//! them answers readers, and one that becomes leader need not begin with empty hands. Content of
//! Catalogs that are gone is removed, also where they went while this process was away.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use olm_api::catalog::{Catalog, CatalogStatus};
use olm_registry::Reference;
use olm_runtime::{Chain, Objects, Watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::context::{Context, owner};
use crate::phase::request;
use crate::record::Record;
use crate::store::{ContentStore, Owner};

/// How often what could not be fetched is tried again.
const RETRY_EVERY: Duration = Duration::from_mins(1);
/// Longest fetch of one image.
const FETCH_LIMIT: Duration = Duration::from_mins(20);
/// Catalogs that are fetched at the same time.
const CONCURRENCY: usize = 4;

/// Runs until the token is cancelled. `watch` must be one over all Catalogs.
pub(crate) async fn run(context: Arc<Context>, watch: Watch<Catalog>, token: CancellationToken) {
    // Only what was here before the first list can be an orphan of a time when nobody watched.
    let before = context.store.records();
    let (objects, changes) = watch.cached();
    let mut ticks = tokio::time::interval(RETRY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let again = {
        let objects = objects.clone();
        futures::stream::poll_fn(move |cx| ticks.poll_tick(cx).map(Some))
            .flat_map(move |_| futures::stream::iter(objects.all()))
    };
    let sweep = async {
        if objects.wait_until_ready().await {
            let known = objects.references();
            let orphans = before
                .iter()
                .filter(|(name, _)| !known.iter().any(|reference| reference.name == **name));
            for (name, record) in orphans {
                remove(&context.store, name, &record.uid).await;
            }
        }
        std::future::pending::<()>().await;
    };
    let follow = futures::stream::select(changes, again)
        .for_each_concurrent(CONCURRENCY, |catalog| follow(&context, &objects, catalog));
    tokio::select! {
        () = token.cancelled() => {}
        () = sweep => {}
        () = follow => warn!("the watch of catalogs ended"),
    }
}

async fn remove(store: &Arc<ContentStore>, name: &str, uid: &str) {
    let (store, owned, uid) = (Arc::clone(store), name.to_owned(), uid.to_owned());
    let removed = tokio::task::spawn_blocking(move || {
        store.remove_of(Owner {
            name: &owned,
            uid: &uid,
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

async fn follow(context: &Context, objects: &Objects<Catalog>, seen: Arc<Catalog>) {
    let name = owner(&seen).name;
    let Some(catalog) = objects.get(name, None) else {
        let gone = !objects
            .references()
            .iter()
            .any(|reference| reference.name == name);
        if gone {
            remove(&context.store, name, owner(&seen).uid).await;
        }
        return;
    };
    let owner = owner(&catalog);
    let Some(wanted) = catalog.status.as_ref().and_then(wanted) else {
        return;
    };
    if !is_behind(context.store.record(name).as_deref(), owner.uid, &wanted) {
        return;
    }
    let Ok(request) = request::read(name, &catalog, Duration::ZERO) else {
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
