//! The content of Bundles on disk: fetched once, stored by digest, removed when nobody refers to it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use olm_fs::layers::Caps;
use olm_fs::{Digest, DirTree, Store, StoreError};
use olm_registry::{Access, Client, Reference};
use olm_source::git::{self, GitError};
use olm_source::http::{self, HttpError};
use olm_source::image::{self, Fetched, Filter};
use olm_source::{ContentError, Guard, SourceError, Stored, WebAccess};
use olm_tree::RelPath;
use tokio::sync::{Notify, RwLock};
use tokio::time::Instant;
use tokio_util::io::ReaderStream;

use crate::archives::{ArchiveError, Archives};

/// How long content that was just used is kept although no cache shows who refers to it: caches lag
/// behind the statuses that were written.
const SETTLE: Duration = Duration::from_mins(1);

/// The store of contents and the way to fill it; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    store: Store,
    archives: Archives,
    registry: Client,
    guard: Guard,
    folders: Vec<RelPath>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Held for reading while content is fetched or looked up, and for writing while content is
    /// removed. Nobody waits to write: behind a writer that waits for a long fetch, every reader
    /// would wait, too.
    filling: RwLock<()>,
    /// When each digest was last used.
    used: Mutex<HashMap<Digest, Instant>>,
    /// Told when something did not fit.
    full: Notify,
    /// Told when something was not removed that may have to go.
    left: Notify,
}

impl Contents {
    /// Opens the store in `directory`, which may hold `quota` bytes, and removes what a crash left
    /// half done. `guard` judges the git and web servers that may be asked.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(crate) fn open(
        directory: &Path,
        quota: u64,
        registry: Client,
        guard: Guard,
    ) -> Result<Self, StoreError> {
        let store = Store::open(&directory.join("bundles"))?;
        let swept = store.sweep()?;
        if swept > 0 {
            tracing::info!(swept, "removed what an earlier process left half done");
        }
        let folders = ["manifests", "metadata"].map(RelPath::parse);
        Ok(Self {
            store: store.with_quota(quota)?,
            archives: Archives::open(directory)?,
            registry,
            guard,
            folders: folders.into_iter().flatten().collect(),
            shared: Arc::default(),
        })
    }

    /// Fetches an image and stores what a bundle consists of, flushed to disk: the folders
    /// `manifests` and `metadata` of a directory of it. An image has whatever else its author built
    /// it on.
    ///
    /// # Errors
    ///
    /// Nothing is stored then that was not there before.
    pub(crate) async fn fetch(
        &self,
        reference: &Reference,
        directory: &RelPath,
        access: &Access,
    ) -> Result<Fetched, SourceError> {
        let _filling = self.shared.filling.read().await;
        let fetched = image::fetch(
            &self.registry,
            reference,
            access,
            &Filter::FoldersOf {
                directory: directory.clone(),
                folders: self.folders.clone(),
            },
            Caps::BUNDLE,
            &self.store,
        )
        .await
        .inspect_err(|error| self.notice(error))?;
        self.touch(&fetched.digest);
        Ok(fetched)
    }

    /// Fetches a commit and stores the same folders of it.
    ///
    /// # Errors
    ///
    /// Nothing is stored then that was not there before.
    pub(crate) async fn fetch_git(&self, request: &git::Request) -> Result<git::Fetched, GitError> {
        let _filling = self.shared.filling.read().await;
        let (guard, folders) = (&self.guard, &self.folders);
        let fetched = git::fetch(request, guard, folders, Caps::BUNDLE, &self.store)
            .await
            .inspect_err(|error| self.notice(error))?;
        self.touch(&fetched.stored.digest);
        Ok(fetched)
    }

    /// Downloads an archive and stores the same folders of it.
    ///
    /// # Errors
    ///
    /// Nothing is stored then that was not there before.
    pub(crate) async fn fetch_http(
        &self,
        url: &str,
        access: &WebAccess,
    ) -> Result<Stored, HttpError> {
        let _filling = self.shared.filling.read().await;
        let (guard, folders) = (&self.guard, &self.folders);
        let stored = http::fetch(url, access, guard, folders, Caps::BUNDLE, &self.store)
            .await
            .inspect_err(|error| self.notice(error))?;
        self.touch(&stored.digest);
        Ok(stored)
    }

    /// Stores the same folders of an archive on disk.
    ///
    /// # Errors
    ///
    /// Nothing is stored then that was not there before.
    pub(crate) async fn unpack(&self, archive: File) -> Result<Stored, HttpError> {
        let _filling = self.shared.filling.read().await;
        let archive = ReaderStream::new(tokio::fs::File::from_std(archive));
        let folders = &self.folders;
        let stored = http::store_archive(archive, folders, Caps::BUNDLE, &self.store).await?;
        self.touch(&stored.digest);
        Ok(stored)
    }

    /// The content of a digest as an archive, if it is stored.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(crate) async fn archive(&self, digest: &Digest) -> Result<Option<File>, ArchiveError> {
        let _filling = self.shared.filling.read().await;
        let (store, archives) = (self.store.clone(), self.archives.clone());
        let wanted = digest.clone();
        blocking(move || match store.get(&wanted)? {
            Some(tree) => Ok(Some(archives.get(&wanted, &tree)?)),
            None => Ok(None),
        })
        .await
    }

    /// Stores the same folders of files that are in memory.
    ///
    /// # Errors
    ///
    /// Nothing is stored then that was not there before.
    pub(crate) async fn put(
        &self,
        mut files: Vec<(RelPath, Vec<u8>)>,
    ) -> Result<Stored, ContentError> {
        let _filling = self.shared.filling.read().await;
        files.retain(|(path, _)| self.folders.iter().any(|folder| path.starts_with(folder)));
        let stored = olm_source::store_files(files, &self.store)
            .await
            .inspect_err(|error| self.notice(error))?;
        self.touch(&stored.digest);
        Ok(stored)
    }

    /// The content of a digest, if it is stored.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(crate) async fn get(&self, digest: &Digest) -> Result<Option<DirTree>, StoreError> {
        let _filling = self.shared.filling.read().await;
        let (store, wanted) = (self.store.clone(), digest.clone());
        let tree = blocking(move || store.get(&wanted)).await?;
        if tree.is_some() {
            self.touch(digest);
        }
        Ok(tree)
    }

    /// Removes `digest` unless it was used a moment ago or `referred` says that somebody needs it.
    /// Then, and while something is fetched, it is left to [`Contents::sweep`], and whoever waits for
    /// [`Contents::left_over`] is told.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(crate) async fn release(
        &self,
        digest: &Digest,
        referred: impl FnOnce() -> bool,
    ) -> Result<(), StoreError> {
        let alone = self.shared.filling.try_write();
        if alone.is_err() || self.is_recent(digest) || referred() {
            self.shared.left.notify_one();
            return Ok(());
        }
        let (store, archives) = (self.store.clone(), self.archives.clone());
        let digest = digest.clone();
        blocking(move || {
            archives.remove(&digest)?;
            store.remove(&digest).map(|_removed| ())
        })
        .await
    }

    /// Removes everything that is neither in `referred` nor was used a moment ago; returns what
    /// that was. Whoever waits for [`Contents::left_over`] is told where something stays only because
    /// it was just used. `None`, and nothing is removed, while something is fetched or where nobody knows
    /// what is referred to.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(crate) async fn sweep(
        &self,
        referred: impl FnOnce() -> Option<HashSet<Digest>>,
    ) -> Result<Option<Vec<Digest>>, StoreError> {
        let Ok(_alone) = self.shared.filling.try_write() else {
            return Ok(None);
        };
        let Some(mut keep) = referred() else {
            return Ok(None);
        };
        {
            let mut used = self
                .shared
                .used
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            used.retain(|_, at| at.elapsed() < SETTLE);
            if used.keys().any(|digest| !keep.contains(digest)) {
                self.shared.left.notify_one();
            }
            keep.extend(used.keys().cloned());
        }
        let (store, archives) = (self.store.clone(), self.archives.clone());
        blocking(move || {
            store.sweep()?;
            archives.retain(|digest| keep.contains(digest))?;
            store.retain(|digest| keep.contains(digest)).map(Some)
        })
        .await
    }

    /// Waits until something did not fit: then a sweep may make room before it is tried again.
    pub(crate) async fn short_of_room(&self) {
        self.shared.full.notified().await;
    }

    /// Waits until something was left that may have to go, and for as long as what was just used is
    /// kept.
    pub(crate) async fn left_over(&self) {
        self.shared.left.notified().await;
        tokio::time::sleep(SETTLE).await;
    }

    fn notice(&self, error: &(dyn std::error::Error + 'static)) {
        let mut causes = std::iter::successors(Some(error), |error| error.source());
        if causes.any(|cause| matches!(cause.downcast_ref(), Some(StoreError::Full { .. }))) {
            self.shared.full.notify_one();
        }
    }

    fn touch(&self, digest: &Digest) {
        let mut used = self
            .shared
            .used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        used.insert(digest.clone(), Instant::now());
    }

    fn is_recent(&self, digest: &Digest) -> bool {
        let used = self
            .shared
            .used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        used.get(digest).is_some_and(|at| at.elapsed() < SETTLE)
    }
}

/// Runs what blocks where it may. A panic goes on in the caller, who has a place for it.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going away and this task with it.
            Err(_cancelled) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use futures::FutureExt as _;
    use olm_registry::ClientConfig;

    use super::*;

    fn digest(letter: char) -> Digest {
        format!("sha256:{}", letter.to_string().repeat(64))
            .parse()
            .unwrap()
    }

    /// A store with one content for each letter, none of them used a moment ago.
    fn contents(directory: &Path, letters: &[char]) -> Contents {
        let registry = Client::new(ClientConfig::default()).unwrap();
        let contents = Contents::open(directory, 1 << 30, registry, Guard::default()).unwrap();
        for &letter in letters {
            let pending = contents.store.begin().unwrap();
            let path = RelPath::parse("manifests/a.yaml").unwrap();
            pending.write(&path, b"{}").unwrap();
            pending.commit(&digest(letter)).unwrap();
        }
        contents
    }

    #[tokio::test]
    async fn what_waits_to_remove_content_makes_nobody_wait_behind_a_fetch() {
        let directory = tempfile::tempdir().unwrap();
        let contents = contents(directory.path(), &['a']);
        let fetching = contents.shared.filling.read().await;
        let released = contents.release(&digest('a'), || false).now_or_never();
        assert!(released.unwrap().is_ok());
        let swept = contents.sweep(|| Some(HashSet::new())).now_or_never();
        assert_eq!(swept.unwrap().unwrap(), None);
        assert!(contents.get(&digest('a')).await.unwrap().is_some());
        drop(fetching);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_refers_to_makes_room_for_what_does_not_fit() {
        let directory = tempfile::tempdir().unwrap();
        let registry = Client::new(ClientConfig::default()).unwrap();
        let contents = Contents::open(directory.path(), 20 << 10, registry, Guard::default());
        let contents = contents.unwrap();
        let files = |text: &str| {
            let path = RelPath::parse("manifests/a.yaml").unwrap();
            vec![(path, text.as_bytes().to_vec())]
        };
        let first = contents.put(files("first")).await.unwrap();
        let error = contents.put(files("second")).await.unwrap_err();
        assert!(
            olm_runtime::Chain(&error).to_string().contains("is full"),
            "{error:?}"
        );
        assert!(contents.short_of_room().now_or_never().is_some());
        assert!(contents.short_of_room().now_or_never().is_none());
        let nobody = || Some(HashSet::new());
        assert_eq!(contents.sweep(nobody).await.unwrap(), Some(vec![]));
        tokio::time::advance(SETTLE).await;
        assert_eq!(
            contents.sweep(nobody).await.unwrap(),
            Some(vec![first.digest])
        );
        contents.put(files("second")).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_removed_at_once_is_swept_soon() {
        let directory = tempfile::tempdir().unwrap();
        let contents = contents(directory.path(), &['a', 'b']);
        contents.release(&digest('a'), || false).await.unwrap();
        assert!(contents.left_over().now_or_never().is_none());
        contents.get(&digest('b')).await.unwrap().unwrap();
        contents.release(&digest('b'), || false).await.unwrap();
        // Too early, and not the last word.
        let nobody = || Some(HashSet::new());
        assert_eq!(contents.sweep(nobody).await.unwrap(), Some(vec![]));
        assert!(contents.left_over().now_or_never().is_none());
        assert_eq!(contents.sweep(nobody).await.unwrap(), Some(vec![]));
        contents.left_over().await;
        let swept = contents.sweep(|| Some(HashSet::new())).await.unwrap();
        assert_eq!(swept, Some(vec![digest('b')]));
    }

    #[tokio::test]
    async fn only_what_is_neither_referred_to_nor_in_use_is_swept() {
        let directory = tempfile::tempdir().unwrap();
        let contents = contents(directory.path(), &['a', 'b', 'c']);
        assert_eq!(contents.sweep(|| None).await.unwrap(), None);
        contents.get(&digest('a')).await.unwrap().unwrap();
        let referred = || Some(HashSet::from([digest('b')]));
        let swept = contents.sweep(referred).await.unwrap();
        assert_eq!(swept, Some(vec![digest('c')]));
        contents.release(&digest('a'), || false).await.unwrap();
        contents.release(&digest('b'), || true).await.unwrap();
        assert!(contents.get(&digest('a')).await.unwrap().is_some());
        assert!(contents.get(&digest('b')).await.unwrap().is_some());
    }
}
