#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use olm_api::catalog::{Availability, CatalogSource, CatalogSpec, ImageSource};
use olm_fs::Digest;

use super::*;
use crate::record::BrokenFiles;

const URL: &str = "https://catalogd-service.olm-system.svc/catalogs/cat/all.json";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn catalog(generation: i64) -> Catalog {
    let image = ImageSource {
        reference: "quay.io/cat:latest".to_owned(),
        pull_secret: None,
        poll_interval: None,
        insecure_skip_tls_verify: None,
    };
    let source = CatalogSource {
        kind: "image".to_owned(),
        image: Some(image),
    };
    let mut catalog = Catalog::new(
        "cat",
        CatalogSpec {
            source,
            priority: 0,
            availability: Availability::Available,
        },
    );
    catalog.metadata.generation = Some(generation);
    catalog
}

fn record(content: &str, second: i64) -> Record {
    Record {
        uid: "1".to_owned(),
        digest: Digest::of(content.as_bytes()),
        length: 1,
        image: Digest::of(b"image"),
        modified: at(second),
        unpacked: at(second),
        broken: BrokenFiles::default(),
    }
}

fn unpacked(asked: i64) -> Outcome {
    Outcome::Unpacked {
        reference: "quay.io/cat:latest".to_owned(),
        resolved: "quay.io/cat@sha256:1".to_owned(),
        asked: Timestamp::from_millisecond(asked * 1000 + 700).unwrap(),
        noted: None,
    }
}

fn failed(terminal: bool) -> Outcome {
    Outcome::Failed {
        reason: unpack::FAILED,
        message: "source bundle content: no".to_owned(),
        terminal,
    }
}

fn row<'a>(status: &'a CatalogStatus, kind: &str) -> &'a Condition {
    conditions::get(&status.conditions, kind).unwrap()
}

#[test]
fn a_success_says_what_is_served_and_from_what() {
    let status = project(
        &catalog(3),
        &unpacked(20),
        Some(&record("a", 10)),
        URL,
        at(21),
    );
    assert_eq!(status.phase.as_deref(), Some("Unpacked"));
    assert_eq!(status.content_url.as_deref(), Some(URL));
    assert_eq!(
        status.content_digest.as_deref(),
        Some(Digest::of(b"a").as_str())
    );
    assert_eq!(
        status.content_image.as_deref(),
        Some("quay.io/cat@sha256:1")
    );
    assert_eq!(status.last_unpacked, Some(Time(at(10))));
    assert_eq!(status.observed_generation, Some(3));
    let image = status
        .resolved_source
        .as_ref()
        .unwrap()
        .image
        .as_ref()
        .unwrap();
    assert_eq!(image.reference, "quay.io/cat:latest");
    assert_eq!(image.resolved_ref, "quay.io/cat@sha256:1");
    assert_eq!(image.last_poll_attempt, Time(at(20)));
    let row = row(&status, "Unpacked");
    assert_eq!(
        (row.status.as_str(), row.reason.as_str()),
        ("True", "UnpackSuccessful")
    );
    assert_eq!(
        row.message,
        "successfully unpacked the catalog image \"quay.io/cat@sha256:1\""
    );
    assert_eq!(row.observed_generation, Some(3));
    assert!(conditions::is_true_at(&status.conditions, "Ready", Some(3)));
    assert!(conditions::get(&status.conditions, "Stalled").is_none());
}

#[test]
fn a_poll_without_news_moves_the_time_of_the_poll_and_nothing_else() {
    let mut catalog = catalog(1);
    let record = record("a", 10);
    let before = project(&catalog, &unpacked(20), Some(&record), URL, at(21));
    catalog.status = Some(before.clone());
    let mut after = project(&catalog, &unpacked(99), Some(&record), URL, at(99));
    let image = after
        .resolved_source
        .as_mut()
        .unwrap()
        .image
        .as_mut()
        .unwrap();
    assert_eq!(image.last_poll_attempt, Time(at(99)));
    image.last_poll_attempt = Time(at(20));
    assert_eq!(after, before);
}

#[test]
fn a_file_that_was_left_out_is_named_and_the_catalog_is_unpacked_all_the_same() {
    let mut record = record("a", 10);
    record.broken.push("configs/bad/catalog.yaml", "not YAML");
    let status = project(&catalog(1), &unpacked(20), Some(&record), URL, at(20));
    let row = row(&status, "Unpacked");
    assert_eq!(row.status, "True");
    assert!(
        row.message
            .ends_with("read: configs/bad/catalog.yaml: not YAML"),
        "{}",
        row.message
    );
}

#[test]
fn a_first_failure_says_only_what_failed() {
    let status = project(&catalog(1), &failed(false), None, URL, at(20));
    assert_eq!(status.phase.as_deref(), Some("Failing"));
    assert_eq!(
        row(&status, "Unpacked").message,
        "source bundle content: no"
    );
    assert_eq!(row(&status, "Unpacked").reason, "UnpackFailed");
    assert_eq!(row(&status, "Ready").status, "False");
    assert!(conditions::get(&status.conditions, "Stalled").is_none());
    assert_eq!((status.content_url, status.content_digest), (None, None));
    assert_eq!(
        (status.content_image, status.observed_generation),
        (None, None)
    );
}

#[test]
fn a_failure_after_a_success_keeps_what_is_served_and_says_so() {
    let mut catalog = catalog(1);
    let record = record("a", 10);
    catalog.status = Some(project(&catalog, &unpacked(20), Some(&record), URL, at(20)));
    catalog.metadata.generation = Some(2);
    let status = project(&catalog, &failed(true), Some(&record), URL, at(30));
    assert_eq!(status.resolved_source, None);
    assert_eq!(status.content_url.as_deref(), Some(URL));
    assert_eq!(
        status.content_digest.as_deref(),
        Some(Digest::of(b"a").as_str())
    );
    assert_eq!(
        status.content_image.as_deref(),
        Some("quay.io/cat@sha256:1")
    );
    assert_eq!(status.last_unpacked, Some(Time(at(10))));
    assert_eq!(status.observed_generation, Some(1));
    let row = row(&status, "Unpacked");
    let expected = format!(
        "source bundle content: no; still serving the content {} of the image {}",
        Digest::of(b"a"),
        Digest::of(b"image")
    );
    assert_eq!(
        (row.status.as_str(), row.message.as_str()),
        ("False", expected.as_str())
    );
    assert_eq!(
        (row.observed_generation, row.last_transition_time.0),
        (Some(2), at(30))
    );
    assert!(conditions::is_true_at(
        &status.conditions,
        "Stalled",
        Some(2)
    ));

    // What helps is forgotten again.
    catalog.status = Some(status);
    let status = project(&catalog, &unpacked(40), Some(&record), URL, at(40));
    assert!(conditions::get(&status.conditions, "Stalled").is_none());
}

#[test]
fn a_clean_up_that_failed_is_reported_and_phase_stays() {
    let mut catalog = catalog(1);
    catalog.status = Some(project(
        &catalog,
        &unpacked(20),
        Some(&record("a", 10)),
        URL,
        at(20),
    ));
    let message = "failed to delete storage: disk".to_owned();
    let status = project(&catalog, &Outcome::DeleteFailed(message), None, URL, at(30));
    assert_eq!(status.phase.as_deref(), Some("Unpacked"));
    let row = row(&status, "Delete");
    assert_eq!(
        (row.status.as_str(), row.reason.as_str()),
        ("False", "FailedToDelete")
    );
    assert_eq!(row.message, "failed to delete storage: disk");
}

#[test]
fn conditions_of_others_are_not_repeated() {
    let mut catalog = catalog(1);
    let mut status = CatalogStatus::default();
    conditions::set(
        &mut status.conditions,
        "Foreign",
        true,
        "Because",
        "",
        None,
        at(1),
    );
    catalog.status = Some(status);
    let status = project(&catalog, &failed(false), None, URL, at(20));
    assert!(conditions::get(&status.conditions, "Foreign").is_none());
}

#[test]
fn a_catalog_that_is_taken_out_of_use_says_so_and_describes_no_content() {
    let mut catalog = catalog(1);
    let record = record("a", 10);
    catalog.status = Some(project(&catalog, &unpacked(20), Some(&record), URL, at(20)));
    catalog.metadata.generation = Some(2);
    let status = project(&catalog, &Outcome::Unavailable, None, URL, at(30));
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    for kind in ["Unpacked", "Ready"] {
        let row = row(&status, kind);
        assert_eq!(row.status, "False");
        assert_eq!(row.reason, "UserSpecifiedUnavailable");
        assert_eq!(
            row.message,
            "Catalog availability mode is set to Unavailable"
        );
        assert_eq!(row.observed_generation, Some(2));
    }
    assert!(conditions::get(&status.conditions, "Stalled").is_none());
    assert_eq!(status.observed_generation, Some(2));
    assert_eq!((status.content_url, status.content_digest), (None, None));
    assert_eq!((status.resolved_source, status.last_unpacked), (None, None));
    assert_eq!(status.content_image, None);
}

#[test]
fn a_failure_describes_the_content_that_this_replica_serves() {
    // The leader before served "b"; this one has nothing newer than "a" and cannot get it.
    let mut catalog = catalog(1);
    catalog.status = Some(project(
        &catalog,
        &unpacked(20),
        Some(&record("b", 20)),
        URL,
        at(20),
    ));
    let status = project(
        &catalog,
        &failed(false),
        Some(&record("a", 10)),
        URL,
        at(30),
    );
    assert_eq!(
        status.content_digest.as_deref(),
        Some(Digest::of(b"a").as_str())
    );
    assert_eq!(status.last_unpacked, Some(Time(at(10))));
}

#[test]
fn the_last_success_is_told_again_with_the_address_of_today() {
    let mut catalog = catalog(1);
    let record = record("a", 10);
    catalog.status = Some(project(&catalog, &unpacked(20), Some(&record), URL, at(20)));
    let told = Outcome::of_status(&catalog, None).unwrap();
    let same = project(&catalog, &told, Some(&record), URL, at(90));
    assert_eq!(Some(&same), catalog.status.as_ref());
    let moved = "https://example.com/catalogs/cat/all.json";
    let status = project(&catalog, &told, Some(&record), moved, at(90));
    assert_eq!(status.content_url.as_deref(), Some(moved));
    let status = CatalogStatus {
        content_url: same.content_url.clone(),
        ..status
    };
    assert_eq!(status, same);
}

#[test]
fn a_status_that_cannot_be_read_keeps_what_it_says() {
    let now = at(30);
    let before = json!({
        "phase": "Unpacked", "lastUnpacked": "some day", "later": {"version": 2},
        "resolvedSource": {"type": "image"}, "contentDigest": "sha256:old", "observedGeneration": 3,
        "conditions": [
            {"type": "Unpacked", "status": "False", "reason": "UnpackFailed", "message": "before",
                "lastTransitionTime": "1970-01-01T00:00:07Z"},
            {"type": "Ready"},
            {"type": "Foreign", "status": "True", "reason": "R", "message": "",
                "lastTransitionTime": "1970-01-01T00:00:07Z"},
        ],
    });
    let failure = Unserved::terminal("error parsing catalog: no spec");
    let status = project_undecodable(&before, Some(4), &failure, None, URL, now);
    assert_eq!(status["lastUnpacked"], "some day");
    assert_eq!(status["later"], json!({"version": 2}));
    assert_eq!(status["contentDigest"], "sha256:old");
    assert_eq!(status["observedGeneration"], 3);
    assert_eq!(status["phase"], "Failing");
    assert_eq!(status.get("resolvedSource"), None);
    let rows: Vec<Condition> = serde_json::from_value(status["conditions"].clone()).unwrap();
    let kinds: Vec<&str> = rows.iter().map(|row| row.type_.as_str()).collect();
    assert_eq!(kinds, ["Ready", "Stalled", "Unpacked"]);
    let row = conditions::get(&rows, "Unpacked").unwrap();
    assert_eq!(
        row.message,
        "source bundle content: error parsing catalog: no spec"
    );
    assert_eq!(row.last_transition_time.0, at(7), "it stays False");

    let record = record("a", 10);
    let status = project_undecodable(&json!(null), Some(4), &failure, Some(&record), URL, now);
    assert_eq!(status["contentURL"], URL);
    assert_eq!(status["contentDigest"], Digest::of(b"a").as_str());
    assert_eq!(status["lastUnpacked"], "1970-01-01T00:00:10Z");
}
