//! Compressed forms of the content, made once, behind what is served.
//!
//! Content is served as soon as its lines and their index stand. Compressing it takes longer than
//! making it, so that is done afterwards, one content at a time on one thread, and again for what a
//! restart finds without.

use std::io::{BufWriter, ErrorKind};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use olm_fs::AtomicFile;
use olm_fs::compress::{Form, compress};
use olm_runtime::Chain;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::store::{ContentStore, StoreError, Uncompressed};

/// Pause after a failure, such as a full disk.
const PAUSE: Duration = Duration::from_mins(5);

/// Compresses what the store holds and what it gets, until it is told to end.
pub(crate) async fn run(store: Arc<ContentStore>, token: CancellationToken) {
    let stop = Arc::new(AtomicBool::new(false));
    let work = async {
        loop {
            let changed = store.changed();
            let Some(next) = store.uncompressed() else {
                changed.await;
                continue;
            };
            let told = Arc::clone(&stop);
            let made = spawn_blocking(move || make(&next, &told).map(|()| next));
            match made.await {
                Ok(Ok(done)) => store.find_compressed(&done),
                Ok(Err(error)) => {
                    if !stop.load(Ordering::Relaxed) {
                        warn!(error = %Chain(&error), "cannot compress catalog content");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(_ending) => return,
            }
        }
    };
    tokio::select! {
        () = token.cancelled() => stop.store(true, Ordering::Relaxed),
        () = work => {}
    }
}

/// Makes the forms that are missing.
fn make(content: &Uncompressed, stop: &AtomicBool) -> Result<(), StoreError> {
    for (form, path) in [(Form::Zstd, &content.zstd), (Form::Gzip, &content.gzip)] {
        let Some(path) = path else { continue };
        let mut go_on = || {
            if stop.load(Ordering::Relaxed) || content.is_gone() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let written = AtomicFile::create(path)
            .map_err(StoreError::from)
            .and_then(|file| {
                let mut to = BufWriter::with_capacity(64 << 10, file);
                compress(&content.lines, content.length, form, &mut to, &mut go_on)
                    .map_err(|source| StoreError::Write { source })?;
                let file = to.into_inner().map_err(|error| StoreError::Write {
                    source: error.into_error(),
                })?;
                Ok(file.commit()?)
            });
        match written {
            Ok(()) => debug!(path = %path.display(), "compressed catalog content"),
            // Nobody serves it any more.
            Err(_) if content.is_gone() => return Ok(()),
            Err(StoreError::Write { source }) if source.kind() == ErrorKind::Interrupted => {
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
    use jiff::Timestamp;
    use olm_fs::Digest;

    use super::*;
    use crate::record::BrokenFiles;
    use crate::store::{Content, Owner};

    fn put(store: &ContentStore, name: &str, line: &str) {
        let mut writer = store.begin().unwrap();
        for _ in 0..100 {
            writer.line(line).unwrap();
        }
        let owner = Owner { name, uid: "1" };
        let (staged, image) = (writer.finish().unwrap(), Digest::of(line.as_bytes()));
        let now = Timestamp::UNIX_EPOCH;
        store
            .publish(owner, staged, &image, BrokenFiles::default(), now)
            .unwrap();
    }

    async fn compressed(store: &ContentStore, name: &str) -> Content {
        loop {
            let content = store.open_content(name).unwrap().unwrap();
            if content.gzip.is_some() && content.zstd.is_some() {
                return content;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn content_is_compressed_after_it_is_stored_and_after_a_restart_where_that_is_missing() {
        let cache = tempfile::tempdir().unwrap();
        let store = Arc::new(ContentStore::open(cache.path()).unwrap());
        put(&store, "old", "a line of the old content");
        let token = CancellationToken::new();
        let running = tokio::spawn(run(Arc::clone(&store), token.clone()));
        compressed(&store, "old").await;
        put(&store, "new", "a line of the new content");
        let content = compressed(&store, "new").await;
        let folder = cache.path().join("content").join(content.digest.as_str());
        assert_eq!(
            olm_fs::names(&folder).unwrap(),
            ["index", "lines", "lines.gz", "lines.zst"]
        );
        let lines = std::fs::metadata(folder.join("lines")).unwrap().len();
        assert!(content.gzip.is_some_and(|(_, length)| length < lines / 4));
        token.cancel();
        running.await.unwrap();
        drop(store);

        olm_fs::remove_file(&folder.join("lines.zst")).unwrap();
        let store = Arc::new(ContentStore::open(cache.path()).unwrap());
        let content = store.open_content("new").unwrap().unwrap();
        assert!(content.gzip.is_some() && content.zstd.is_none());
        let token = CancellationToken::new();
        let running = tokio::spawn(run(Arc::clone(&store), token.clone()));
        compressed(&store, "new").await;
        token.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn small_content_is_not_compressed() {
        let cache = tempfile::tempdir().unwrap();
        let store = ContentStore::open(cache.path()).unwrap();
        put(&store, "small", "short");
        assert!(store.uncompressed().is_none());
        put(&store, "large", "long enough");
        assert!(store.uncompressed().is_some());
    }
}
