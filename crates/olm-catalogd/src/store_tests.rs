#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::single_range_in_vec_init,
    reason = "tests; a list of one range is what is meant"
)]

use std::os::unix::fs::FileExt;

use super::*;

fn owner(name: &str) -> Owner<'_> {
    Owner { name, uid: "first" }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn staged(store: &ContentStore, lines: &[&str]) -> Staged {
    let mut writer = store.begin().unwrap();
    for line in lines {
        writer.line(line).unwrap();
    }
    writer.finish().unwrap()
}

fn put(store: &ContentStore, name: &str, line: &str, image: &str, second: i64) -> Arc<Record> {
    let image = Digest::of(image.as_bytes());
    let staged = staged(store, &[line]);
    store
        .publish(
            owner(name),
            staged,
            &image,
            BrokenFiles::default(),
            at(second),
        )
        .unwrap()
}

fn read(store: &ContentStore, name: &str) -> Option<String> {
    let content = store.open_content(name).unwrap()?;
    Some(text(&content))
}

fn text(content: &Content) -> String {
    let mut bytes = vec![0; usize::try_from(content.len).unwrap()];
    content.lines.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn files(cache: &Path, directory: &str) -> Vec<String> {
    olm_fs::names(&cache.join(directory)).unwrap()
}

#[test]
fn what_was_published_is_served_after_a_restart_with_the_same_digest_and_times() {
    let cache = tempfile::tempdir().unwrap();
    let store = ContentStore::open(cache.path()).unwrap();
    let staged = staged(&store, &["{\"a\":1}", "{}"]);
    assert_eq!(*staged.digest(), Digest::of(b"{\"a\":1}\n{}\n"));
    let mut broken = BrokenFiles::default();
    broken.push("configs/x", "bad");
    let image = Digest::of(b"image");
    let record = store
        .publish(owner("cat"), staged, &image, broken, at(5))
        .unwrap();
    let again = ContentStore::open(cache.path()).unwrap();
    assert_eq!(again.present("cat"), Some(record));
    assert_eq!(read(&again, "cat").unwrap(), "{\"a\":1}\n{}\n");
    assert!(again.made_from(&Digest::of(b"image")).is_some());
    assert!(again.made_from(&Digest::of(b"other")).is_none());
    assert_eq!(read(&again, "other"), None);
}

#[test]
fn a_reader_who_began_on_old_content_finishes_on_it() {
    let cache = tempfile::tempdir().unwrap();
    let store = ContentStore::open(cache.path()).unwrap();
    put(&store, "cat", "old", "1", 1);
    let begun = store.open_content("cat").unwrap().unwrap();
    put(&store, "cat", "new", "2", 2);
    assert_eq!(text(&begun), "old\n");
    assert_eq!(begun.index.select(None, None, None).unwrap(), [0..4]);
    assert_eq!(read(&store, "cat").unwrap(), "new\n");
    assert_eq!(
        files(cache.path(), "content").len(),
        1,
        "the old content is gone"
    );
}

#[test]
fn the_time_of_modification_moves_only_with_the_bytes() {
    let cache = tempfile::tempdir().unwrap();
    let store = ContentStore::open(cache.path()).unwrap();
    put(&store, "cat", "same", "1", 1);
    let record = put(&store, "cat", "same", "2", 2);
    assert_eq!((record.modified, record.unpacked), (at(1), at(2)));
    assert_eq!(put(&store, "cat", "other", "3", 3).modified, at(3));
    // Two changes within a second are two times.
    assert_eq!(put(&store, "cat", "another", "4", 3).modified, at(4));
}

#[test]
fn content_that_two_catalogs_share_goes_with_the_last_of_them() {
    let cache = tempfile::tempdir().unwrap();
    let store = ContentStore::open(cache.path()).unwrap();
    let first = put(&store, "a", "line", "1", 1);
    store.share(owner("b"), &first, at(2)).unwrap();
    store.remove("a").unwrap();
    assert_eq!(read(&store, "b").unwrap(), "line\n");
    store.remove("b").unwrap();
    store.remove("b").unwrap();
    assert_eq!(files(cache.path(), "content"), [""; 0]);
    assert!(matches!(
        store.share(owner("c"), &first, at(3)),
        Err(StoreError::Gone { .. })
    ));
}

#[test]
fn what_a_later_catalog_of_the_same_name_serves_is_not_removed_with_the_one_before() {
    let cache = tempfile::tempdir().unwrap();
    let store = ContentStore::open(cache.path()).unwrap();
    put(&store, "kept", "k", "1", 1);
    put(&store, "gone", "g", "2", 1);
    assert!(
        !store
            .remove_of(Owner {
                name: "kept",
                uid: "second"
            })
            .unwrap()
    );
    assert!(store.remove_of(owner("gone")).unwrap());
    assert!(!store.remove_of(owner("gone")).unwrap());
    assert_eq!(store.records().keys().collect::<Vec<_>>(), ["kept"]);
    assert_eq!(files(cache.path(), "catalogs"), ["kept"]);
    assert_eq!(files(cache.path(), "content").len(), 1);
    assert_eq!(read(&store, "gone"), None);
}

#[test]
fn unfinished_and_unpublished_content_leaves_nothing_and_serves_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let store = ContentStore::open(cache.path()).unwrap();
    let mut writer = store.begin().unwrap();
    writer.line("half").unwrap();
    drop(writer);
    drop(staged(&store, &["whole"]));
    assert_eq!(files(cache.path(), "content"), [""; 0]);
    assert_eq!(read(&store, "cat"), None);
}

#[test]
fn what_a_crash_left_is_removed_at_the_start_and_never_served() {
    let cache = tempfile::tempdir().unwrap();
    let store = ContentStore::open(cache.path()).unwrap();
    let kept = put(&store, "kept", "k", "1", 1);
    let cut = put(&store, "cut", "long line", "2", 1);
    let torn = put(&store, "index", "torn", "4", 1);
    let lost = put(&store, "lost", "lost", "3", 1);
    drop(store);
    let content = |digest: &Digest| cache.path().join("content").join(digest.as_str());
    // Content that is shorter than its record says, has a torn index, or is not there at all.
    olm_fs::write_atomic(&content(&cut.digest).join("lines"), b"long").unwrap();
    olm_fs::write_atomic(&content(&torn.digest).join("index"), b"OLM-FBC").unwrap();
    olm_fs::remove_dir_all(&content(&lost.digest)).unwrap();
    // Content that no record names yet, content as earlier versions kept it, temporaries, damaged
    // records.
    olm_fs::create_dir_all(&content(&Digest::of(b"unnamed"))).unwrap();
    olm_fs::write_atomic(&content(&Digest::of(b"unnamed")).join("lines"), b"unnamed").unwrap();
    olm_fs::write_atomic(&content(&Digest::of(b"flat")), b"flat").unwrap();
    olm_fs::write_atomic(&cache.path().join("content/.tmp-abc"), b"half").unwrap();
    olm_fs::create_dir_all(&cache.path().join("content/.tmp-dir")).unwrap();
    olm_fs::write_atomic(&content(&kept.digest).join(".tmp-gz"), b"half").unwrap();
    olm_fs::write_atomic(&cache.path().join("catalogs/.tmp-abc"), b"half").unwrap();
    olm_fs::write_atomic(&cache.path().join("catalogs/torn"), b"{\"format\":1").unwrap();
    let store = ContentStore::open(cache.path()).unwrap();
    assert_eq!(files(cache.path(), "catalogs"), ["kept"]);
    assert_eq!(files(cache.path(), "content"), [kept.digest.as_str()]);
    assert_eq!(files(&content(&kept.digest), ""), ["index", "lines"]);
    assert_eq!(store.present("kept"), Some(kept));
    assert_eq!(store.present("cut"), None);
}

#[test]
fn content_that_is_lost_while_running_counts_as_missing() {
    let cache = tempfile::tempdir().unwrap();
    let store = ContentStore::open(cache.path()).unwrap();
    let record = put(&store, "cat", "line", "1", 1);
    olm_fs::remove_dir_all(&cache.path().join("content").join(record.digest.as_str())).unwrap();
    assert_eq!(store.present("cat"), None);
    assert_eq!(read(&store, "cat"), None);
    put(&store, "cat", "line", "1", 1);
    assert_eq!(read(&store, "cat").unwrap(), "line\n");
}

#[rstest::rstest]
#[case("")]
#[case(".")]
#[case("..")]
#[case("../x")]
#[case("a/b")]
#[case("A")]
#[case(".tmp-x")]
fn names_that_are_no_names_of_catalogs_never_reach_the_disk(#[case] name: &str) {
    let cache = tempfile::tempdir().unwrap();
    let store = ContentStore::open(cache.path()).unwrap();
    let staged = staged(&store, &["line"]);
    let image = Digest::of(b"1");
    let error = store
        .publish(owner(name), staged, &image, BrokenFiles::default(), at(1))
        .unwrap_err();
    assert!(matches!(error, StoreError::Name { .. }));
    assert!(store.remove(name).is_err());
}
