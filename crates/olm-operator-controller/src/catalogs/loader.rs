//! The task that keeps the snapshot of the catalogs up to date.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::ResourceExt;
use olm_api::catalog::Catalog;
use olm_runtime::{Chain, Objects};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use super::{Cache, Content, Fetcher, Known, Snapshot, Unread};

/// Delay before the second attempt; it doubles to [`SLOWEST`].
const FIRST: Duration = Duration::from_millis(500);

/// Longest delay between two attempts.
const SLOWEST: Duration = Duration::from_mins(2);

/// Follows the Catalogs and reads what they offer.
pub(crate) struct Loader {
    catalogs: Objects<Catalog>,
    changes: BoxStream<'static, Arc<Catalog>>,
    fetcher: Fetcher,
    cache: Cache,
    snapshot: watch::Sender<Arc<Snapshot>>,
    loads: BTreeMap<String, Load>,
}

/// What a Catalog says of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    url: String,
    digest: String,
    priority: i32,
    labels: BTreeMap<String, String>,
}

/// The content that is wanted of a catalog; the task that loads it ends with this.
struct Load {
    wanted: Wanted,
    is_read: bool,
    _task: DropGuard,
}

/// What a loading task reports.
struct Report {
    name: String,
    digest: String,
    outcome: Result<Content, String>,
}

impl Loader {
    pub(crate) fn new(
        catalogs: Objects<Catalog>,
        changes: BoxStream<'static, Arc<Catalog>>,
        fetcher: Fetcher,
        cache: Cache,
    ) -> Self {
        let snapshot = watch::Sender::new(Arc::default());
        Self {
            catalogs,
            changes,
            fetcher,
            cache,
            snapshot,
            loads: BTreeMap::new(),
        }
    }

    /// The newest snapshot, and its changes.
    pub(crate) fn snapshot(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.subscribe()
    }

    /// Runs until the token is cancelled.
    pub(crate) async fn run(mut self, token: CancellationToken) {
        let (reports, mut reported) = mpsc::channel(16);
        let catalogs = self.catalogs.clone();
        let listed = catalogs.wait_until_ready();
        tokio::pin!(listed);
        let mut ready = false;
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                complete = &mut listed, if !ready => {
                    ready = true;
                    if complete {
                        self.sync(&reports, &token).await;
                    }
                }
                change = self.changes.next() => match change {
                    // Before the first list is complete, a catalog that is not there says nothing.
                    Some(_) if ready => self.sync(&reports, &token).await,
                    Some(_) => {}
                    None => return,
                },
                Some(report) = reported.recv() => self.take(report),
            }
        }
    }

    /// Starts what is to be loaded, stops what is not wanted any more.
    async fn sync(&mut self, reports: &mpsc::Sender<Report>, token: &CancellationToken) {
        let wanted: BTreeMap<String, Wanted> = self
            .catalogs
            .all()
            .iter()
            .filter(|catalog| catalog.metadata.deletion_timestamp.is_none())
            .filter_map(|catalog| {
                let status = catalog.status.as_ref()?;
                let wanted = Wanted {
                    url: status.content_url.clone()?,
                    digest: status.content_digest.clone()?,
                    priority: catalog.spec.priority,
                    labels: catalog.labels().clone(),
                };
                Some((catalog.name_any(), wanted))
            })
            .collect();
        let gone: Vec<String> = self
            .loads
            .keys()
            .filter(|name| !wanted.contains_key(*name))
            .cloned()
            .collect();
        for name in gone {
            self.loads.remove(&name);
            self.cache.remove(&name);
            self.change(|snapshot| {
                snapshot.catalogs.remove(&name);
            });
            info!(catalog = name, "catalog is no longer offered");
        }
        for (name, wanted) in wanted {
            self.prefer(&name, wanted.priority);
            self.label(&name, &wanted.labels);
            // What was read once is not read again from elsewhere.
            if self.loads.get(&name).is_some_and(|load| {
                load.wanted.digest == wanted.digest
                    && (load.is_read || load.wanted.url == wanted.url)
            }) {
                continue;
            }
            let Wanted { url, digest, .. } = wanted.clone();
            let stop = token.child_token();
            let load = Load {
                wanted,
                is_read: false,
                _task: stop.clone().drop_guard(),
            };
            self.loads.insert(name.clone(), load);
            let (cache, kept) = (self.cache.clone(), (name.clone(), digest.clone()));
            let kept = tokio::task::spawn_blocking(move || cache.read(&kept.0, &kept.1)).await;
            if let Ok(Some(content)) = kept {
                self.read(&name, content);
                continue;
            }
            self.change(|snapshot| {
                snapshot.catalogs.entry(name.clone()).or_default().unread = Some(Unread::Loading);
            });
            let (fetcher, reports) = (self.fetcher.clone(), reports.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = load_until_read(fetcher, name, url, digest, reports) => {}
                }
            });
        }
        if !self.snapshot.borrow().listed {
            self.change(|snapshot| snapshot.listed = true);
        }
    }

    fn take(&mut self, report: Report) {
        let current = self
            .loads
            .get(&report.name)
            .is_some_and(|load| load.wanted.digest == report.digest);
        if !current {
            return;
        }
        match report.outcome {
            Ok(content) => {
                let (cache, name) = (self.cache.clone(), report.name.clone());
                let content = self.read(&report.name, content);
                tokio::task::spawn_blocking(move || cache.write(&name, &content));
            }
            Err(error) => self.change(|snapshot| {
                let known = snapshot.catalogs.entry(report.name).or_default();
                known.unread = Some(Unread::Failed(error));
            }),
        }
    }

    /// Takes the priority of a catalog over, which may change without its content.
    fn prefer(&mut self, name: &str, priority: i32) {
        if let Some(load) = self.loads.get_mut(name) {
            load.wanted.priority = priority;
        }
        let current = self.snapshot.borrow();
        let content = current
            .catalogs
            .get(name)
            .and_then(|known| known.content.as_ref());
        let changes = content.is_some_and(|content| content.model.priority != priority);
        drop(current);
        if changes {
            info!(catalog = name, priority, "priority of a catalog changed");
            self.change(|snapshot| {
                let known = snapshot.catalogs.entry(name.to_owned()).or_default();
                if let Some(content) = &mut known.content {
                    Arc::make_mut(content).model.priority = priority;
                }
            });
        }
    }

    /// Takes the labels of a catalog over, which may change without its content.
    fn label(&mut self, name: &str, labels: &BTreeMap<String, String>) {
        let changes = {
            let current = self.snapshot.borrow();
            let known = current.catalogs.get(name);
            known.map_or(!labels.is_empty(), |known| known.labels != *labels)
        };
        if changes {
            self.change(|snapshot| {
                let known = snapshot.catalogs.entry(name.to_owned());
                // Nothing is known of a new one yet.
                let known = known.or_insert_with(|| Known {
                    unread: Some(Unread::Loading),
                    ..Known::default()
                });
                known.labels.clone_from(labels);
            });
        }
    }

    fn read(&mut self, name: &str, mut content: Content) -> Arc<Content> {
        if let Some(load) = self.loads.get_mut(name) {
            load.is_read = true;
            content.model.priority = load.wanted.priority;
        }
        info!(catalog = name, digest = content.digest, "catalog read");
        let content = Arc::new(content);
        self.change(|snapshot| {
            let known = snapshot.catalogs.entry(name.to_owned()).or_default();
            known.content = Some(Arc::clone(&content));
            known.unread = None;
        });
        content
    }

    fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        self.snapshot
            .send_modify(|snapshot| change(Arc::make_mut(snapshot)));
    }
}

/// Tries until the content is read; reports each new failure once.
async fn load_until_read(
    fetcher: Fetcher,
    name: String,
    url: String,
    digest: String,
    reports: mpsc::Sender<Report>,
) {
    let mut delay = FIRST;
    let mut reported = String::new();
    fetcher.ready().await;
    loop {
        let outcome = fetcher.fetch(&name, &url, &digest).await;
        let outcome = outcome.map_err(|error| Chain(&error).to_string());
        let read = outcome.is_ok();
        let news = match &outcome {
            Ok(_) => true,
            Err(error) => {
                warn!(catalog = name, error, retry_in = ?delay, "cannot read a catalog");
                let news = *error != reported;
                reported.clone_from(error);
                news
            }
        };
        let report = Report {
            name: name.clone(),
            digest: digest.clone(),
            outcome,
        };
        if (news && reports.send(report).await.is_err()) || read {
            return;
        }
        tokio::time::sleep(olm_runtime::spread(delay)).await;
        delay = (delay * 2).min(SLOWEST);
    }
}

#[cfg(test)]
#[path = "loader_tests.rs"]
mod tests;
