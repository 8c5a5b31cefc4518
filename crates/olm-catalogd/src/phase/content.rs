//! From an image by digest to content that is served.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use jiff::Timestamp;
use olm_fbc::{FbcError, Limits, Located, Lost, Meta, Receiver, WalkReport};
use olm_fs::layers::Caps;
use olm_fs::{Digest, DirTree, Store};
use olm_registry::{Access, Client, Reference};
use olm_runtime::Chain;
use olm_source::SourceError;
use olm_source::image::{self, Filter, Scratch};
use olm_tree::RelPath;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::record::{BROKEN_TEXT_MAX, BrokenFiles, Record};
use crate::store::{ContentStore, ContentWriter, Owner, Staged, StoreError};

/// Why an image could not be turned into served content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ContentError {
    /// The image cannot be had.
    #[error(transparent)]
    Source(Box<SourceError>),
    /// The image holds no catalog.
    #[error("cannot read the catalog")]
    Catalog(#[from] FbcError),
    /// The content cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A reference without digest, which stands for no certain image.
    #[error("the reference has no digest")]
    NotByDigest,
    /// The task that did it ended without a result: it panicked, or the process is ending.
    #[error("the work was interrupted")]
    Interrupted,
}

impl From<SourceError> for ContentError {
    fn from(error: SourceError) -> Self {
        Self::Source(Box::new(error))
    }
}

/// Turns images into content of the store, each image once.
#[derive(Debug)]
pub(crate) struct Unpacker {
    registry: Client,
    /// Where images are unpacked, each only until its content stands.
    trees: Store,
    content: Arc<ContentStore>,
    /// Reading a catalog takes all cores: one at a time.
    reading: Semaphore,
    /// One lock per image under way, so that no image is pulled twice at the same time.
    images: Mutex<HashMap<String, Weak<AsyncMutex<()>>>>,
}

impl Unpacker {
    /// Opens the working directory below `cache` and empties it of what an earlier process left.
    pub(crate) fn open(
        cache: &Path,
        registry: Client,
        content: Arc<ContentStore>,
    ) -> Result<Self, olm_fs::StoreError> {
        let trees = Store::open(&cache.join("unpack"))?;
        trees.sweep()?;
        trees.retain(|_| false)?;
        Ok(Self {
            registry,
            trees,
            content,
            reading: Semaphore::new(1),
            images: Mutex::default(),
        })
    }

    /// The client of registries.
    pub(crate) const fn registry(&self) -> &Client {
        &self.registry
    }

    /// Makes `image`, a reference by digest, what the catalog serves. Content that stands already,
    /// be it another catalog's, is not made again.
    ///
    /// # Cancellation
    /// Dropping the future leaves what the catalog served before.
    pub(crate) async fn serve(
        &self,
        catalog: Owner<'_>,
        image: &Reference,
        access: &Access,
        now: Timestamp,
    ) -> Result<Arc<Record>, ContentError> {
        let Some(digest) = image.digest() else {
            return Err(ContentError::NotByDigest);
        };
        let lock = self.lock(digest);
        let _only_one = lock.lock().await;
        let (name, uid) = (catalog.name.to_owned(), catalog.uid.to_owned());
        let (store, wanted) = (Arc::clone(&self.content), digest.clone());
        let known = blocking(move || {
            known(
                &store,
                Owner {
                    name: &name,
                    uid: &uid,
                },
                &wanted,
                now,
            )
        });
        if let Some(record) = known.await?? {
            return Ok(record);
        }
        let filter = Filter::catalog();
        let unpacked = image::fetch_once(
            &self.registry,
            image,
            access,
            &filter,
            Caps::CATALOG,
            &self.trees,
        )
        .await?;
        self.publish(catalog, unpacked, digest, now).await
    }

    async fn publish(
        &self,
        catalog: Owner<'_>,
        unpacked: Scratch,
        image: &Digest,
        now: Timestamp,
    ) -> Result<Arc<Record>, ContentError> {
        let _turn = self
            .reading
            .acquire()
            .await
            .map_err(|_closed| ContentError::Interrupted)?;
        let store = Arc::clone(&self.content);
        let (name, uid) = (catalog.name.to_owned(), catalog.uid.to_owned());
        let image = image.clone();
        // A pass that is given up takes its work on the blocking thread with it.
        let given_up = GiveUp::default();
        let stop = Arc::clone(&given_up.0);
        blocking(move || {
            let (staged, broken) = convert(unpacked.tree(), &store, &stop)?;
            let owner = Owner {
                name: &name,
                uid: &uid,
            };
            info!(catalog = name, image = %image, content = %staged.digest(), "catalog unpacked");
            let published = store.publish(owner, staged, &image, broken, now);
            // Removing what it was made from takes a while, which readers need not wait for.
            drop(unpacked);
            Ok(published?)
        })
        .await?
    }

    fn lock(&self, image: &Digest) -> Arc<AsyncMutex<()>> {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = images.get(image.as_str()).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(AsyncMutex::new(()));
        images.insert(image.as_str().to_owned(), Arc::downgrade(&lock));
        lock
    }
}

/// Content of that image which stands, made the catalog's own.
fn known(
    store: &ContentStore,
    catalog: Owner<'_>,
    image: &Digest,
    now: Timestamp,
) -> Result<Option<Arc<Record>>, ContentError> {
    if let Some(record) = store.present(catalog.name)
        && record.image == *image
        && record.uid == catalog.uid
    {
        return Ok(Some(record));
    }
    let Some(record) = store.made_from(image) else {
        return Ok(None);
    };
    match store.share(catalog, &record, now) {
        Ok(record) => Ok(Some(record)),
        Err(StoreError::Gone { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes the documents of a catalog as lines, in constant memory.
fn convert(
    tree: &DirTree,
    store: &ContentStore,
    stop: &AtomicBool,
) -> Result<(Staged, BrokenFiles), ContentError> {
    let mut lines = Lines {
        writer: store.begin()?,
        stop,
        failure: None,
    };
    let report = olm_fbc::walk_into(tree, &RelPath::root(), &Limits::default(), &mut lines)?;
    if let Some(failure) = lines.failure {
        return Err(failure);
    }
    for broken in &report.broken {
        warn!(
            file = %broken.file,
            document = broken.document,
            package = broken.package,
            error = %Chain(&broken.source),
            "left out what cannot be read of a catalog"
        );
    }
    Ok((lines.writer.finish()?, broken_files(&report)))
}

/// Takes the documents of a catalog in.
struct Lines<'a> {
    writer: ContentWriter,
    stop: &'a AtomicBool,
    failure: Option<ContentError>,
}

impl Lines<'_> {
    fn go_on(&mut self, written: Result<(), StoreError>) -> ControlFlow<()> {
        self.failure = match written {
            Ok(()) if !self.stop.load(Ordering::Relaxed) => return ControlFlow::Continue(()),
            Ok(()) => Some(ContentError::Interrupted),
            Err(error) => Some(error.into()),
        };
        ControlFlow::Break(())
    }
}

impl Receiver for Lines<'_> {
    fn meta(&mut self, meta: Located<Meta>) -> ControlFlow<()> {
        let written = self.writer.add(&meta.item);
        self.go_on(written)
    }

    fn end(&mut self, lost: Lost<'_>) -> ControlFlow<()> {
        let settled = self.writer.settle(lost);
        self.go_on(settled)
    }
}

/// What was left out, by file.
fn broken_files(report: &WalkReport) -> BrokenFiles {
    let mut files = BrokenFiles::default();
    for file in report.broken.chunk_by(|a, b| a.file == b.file) {
        let mut error = String::new();
        let mut path = "";
        for broken in file {
            path = broken.file.as_str();
            if !error.is_empty() {
                error.push_str(", ");
            }
            error.push_str(&Chain(&broken.source).to_string());
            if let Some(package) = &broken.package {
                error.push_str(" (of package ");
                error.push_str(package);
                error.push(')');
            }
            // More is not kept.
            if error.len() > BROKEN_TEXT_MAX {
                break;
            }
        }
        files.push(path, &error);
    }
    files
}

/// Set when it is dropped.
#[derive(Debug, Default)]
struct GiveUp(Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ContentError> + Send + 'static,
) -> Result<Result<T, ContentError>, ContentError> {
    spawn_blocking(work)
        .await
        .map_err(|_panicked_or_ending| ContentError::Interrupted)
}
