//! A store holds a digest whole or not at all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use olm_fs::{Digest, Store, StoreError};
use olm_tree::{RelPath, Tree};

fn path(text: &str) -> RelPath {
    RelPath::parse(text).unwrap()
}

fn put(store: &Store, digest: &Digest, content: &str) -> olm_fs::DirTree {
    let pending = store.begin().unwrap();
    pending.write(&path("d/f"), content.as_bytes()).unwrap();
    pending.commit(digest).unwrap()
}

fn names(store: &Store) -> Vec<String> {
    olm_fs::names(store.root()).unwrap()
}

#[test]
fn what_is_committed_is_found_again_also_by_another_process() {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(&scratch.path().join("a/b")).unwrap();
    let digest = Digest::of(b"1");
    assert!(!store.contains(&digest).unwrap());
    assert!(store.get(&digest).unwrap().is_none());
    let tree = put(&store, &digest, "x");
    assert_eq!(tree.read(&path("d/f"), 10).unwrap(), b"x");
    let again = Store::open(store.root()).unwrap();
    assert!(again.contains(&digest).unwrap());
    assert_eq!(again.list().unwrap(), std::slice::from_ref(&digest));
    assert!(again.stored_at(&digest).unwrap().is_some());
    assert_eq!(names(&store), [digest.as_str()]);
    assert!(again.remove(&digest).unwrap());
    assert!(!again.remove(&digest).unwrap());
    assert!(names(&store).is_empty());
    assert!(tree.read(&path("d/f"), 10).is_err());
}

#[test]
fn a_directory_that_is_not_committed_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let pending = store.begin().unwrap();
    pending.write(&path("f"), b"x").unwrap();
    assert_eq!(names(&store).len(), 1);
    assert!(store.list().unwrap().is_empty());
    drop(pending);
    assert!(names(&store).is_empty());
}

#[test]
fn of_two_that_put_the_same_digest_the_first_stays() {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let digest = Digest::of(b"1");
    let late = store.begin().unwrap();
    late.write(&path("d/f"), b"late").unwrap();
    put(&store, &digest, "early");
    let tree = late.commit(&digest).unwrap();
    assert_eq!(tree.read(&path("d/f"), 10).unwrap(), b"early");
    assert_eq!(names(&store), [digest.as_str()]);
}

#[test]
fn many_threads_may_put_the_same_digest() {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let digest = Digest::of(b"1");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let tree = put(&store, &digest, "same");
                assert_eq!(tree.read(&path("d/f"), 10).unwrap(), b"same");
                store.sweep().unwrap();
            });
        }
    });
    assert_eq!(names(&store), [digest.as_str()]);
}

#[test]
fn a_sweep_takes_what_a_killed_process_left_and_nothing_else() {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let digest = Digest::of(b"1");
    put(&store, &digest, "x");
    for dead in [".tmp-dead", ".trash-dead"] {
        fs::create_dir_all(scratch.path().join(dead).join("half")).unwrap();
        fs::write(scratch.path().join(dead).join("half/f"), b"x").unwrap();
    }
    fs::write(scratch.path().join("foreign"), b"x").unwrap();
    let alive = store.begin().unwrap();
    alive.write(&path("f"), b"x").unwrap();
    assert_eq!(store.sweep().unwrap(), 2);
    assert_eq!(names(&store).len(), 3);
    alive.commit(&Digest::of(b"2")).unwrap();
    assert_eq!(store.list().unwrap().len(), 2);
}

#[test]
fn a_sweep_takes_nothing_from_those_who_put_and_remove_at_the_same_moment() {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2_u8)
            .map(|worker| {
                let store = &store;
                scope.spawn(move || {
                    for round in 0..100_u16 {
                        let digest = Digest::of(&[&[worker][..], &round.to_le_bytes()].concat());
                        let tree = put(store, &digest, "x");
                        assert_eq!(tree.read(&path("d/f"), 10).unwrap(), b"x");
                        assert!(store.remove(&digest).unwrap(), "round {round}");
                        assert!(!store.contains(&digest).unwrap(), "round {round}");
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    store.sweep().unwrap();
                }
            });
        }
        let worked = workers.into_iter().all(|worker| worker.join().is_ok());
        done.store(true, Ordering::Relaxed);
        assert!(worked, "see the panic of the worker");
    });
    assert!(names(&store).is_empty());
}

#[test]
fn a_directory_can_become_the_root() {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let fill = || {
        let pending = store.begin().unwrap();
        for file in ["a/b/manifests/x", "a/b/y", "a/z", "manifests/other"] {
            pending.write(&path(file), file.as_bytes()).unwrap();
        }
        pending
    };
    let list = |pending: &olm_fs::Pending, at: &str| {
        let entries = pending.tree().unwrap().list(&path(at)).unwrap();
        let names = entries.iter().map(|entry| entry.name.clone());
        names.collect::<Vec<_>>()
    };
    let below = fill().below(&path("a/b")).unwrap();
    assert_eq!(list(&below, ""), ["manifests", "y"]);
    assert_eq!(list(&below, "manifests"), ["x"]);
    let digest = Digest::of(b"below");
    let tree = below.commit(&digest).unwrap();
    assert_eq!(tree.read(&path("y"), 10).unwrap(), b"a/b/y");
    for nothing in ["absent", "a/z", "a/z/below"] {
        let below = fill().below(&path(nothing)).unwrap();
        assert_eq!(list(&below, ""), [""; 0], "{nothing}");
    }
    assert_eq!(
        list(&fill().below(&path("")).unwrap(), ""),
        ["a", "manifests"]
    );
    assert_eq!(names(&store), [digest.to_string()]);
}

#[test]
fn orphans_are_removed_and_named() {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let (kept, orphan) = (Digest::of(b"1"), Digest::of(b"2"));
    put(&store, &kept, "x");
    put(&store, &orphan, "y");
    assert_eq!(store.retain(|digest| *digest == kept).unwrap(), [orphan]);
    assert_eq!(store.list().unwrap(), [kept]);
}

#[test]
fn a_file_in_place_of_a_directory_counts_as_absent_and_is_replaced() {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let digest = Digest::of(b"1");
    fs::write(scratch.path().join(digest.as_str()), b"junk").unwrap();
    assert!(!store.contains(&digest).unwrap());
    put(&store, &digest, "x");
    assert!(store.contains(&digest).unwrap());
}

/// What [`put`] takes on disk: two directories and a file, each of one block.
const SMALL: u64 = 3 * 4096;

#[test]
fn a_quota_is_kept_and_what_goes_makes_room() {
    let scratch = tempfile::tempdir().unwrap();
    let open = || Store::open(scratch.path()).unwrap();
    let store = open().with_quota(2 * SMALL).unwrap();
    let [one, two, three] = [b"1", b"2", b"3"].map(|bytes| Digest::of(bytes));
    put(&store, &one, "x");
    put(&store, &two, "x");
    put(&store, &two, "x");
    assert_eq!(store.used(), Some(2 * SMALL));

    let pending = store.begin().unwrap();
    pending.write(&path("d/f"), b"x").unwrap();
    let error = pending.commit(&three).unwrap_err();
    let full = matches!(error, StoreError::Full { size: SMALL, .. });
    assert!(full, "{error}");
    assert_eq!(store.list().unwrap().len(), 2);
    assert_eq!(names(&store).len(), 2);

    assert!(store.remove(&one).unwrap());
    assert_eq!(store.used(), Some(SMALL));
    put(&store.clone(), &three, "x");
    assert_eq!(open().with_quota(1).unwrap().used(), Some(2 * SMALL));
    assert_eq!(store.retain(|_| false).unwrap().len(), 2);
    assert_eq!(store.used(), Some(0));
}
