#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use jiff::SignedDuration;

use super::*;
use crate::clock::ManualClock;
use crate::scripted::Objects;

const SECRET: &str = "/api/v1/namespaces/olm-system/secrets/example-tls";
const TRUST: &str = "/api/v1/namespaces/olm-system/configmaps/olm-trust";

fn clock() -> Arc<ManualClock> {
    ManualClock::new("2026-11-21T10:00:00Z".parse().unwrap())
}

async fn ensure(objects: &Objects, clock: &Arc<ManualClock>, name: &str) -> ServingCertificate {
    let clock = Arc::clone(clock) as SharedClock;
    let names = service_names(name, "olm-system");
    ServingCertificate::ensure(objects.client(), "olm-system", "example", names, clock)
        .await
        .unwrap()
}

#[tokio::test]
async fn makes_keeps_and_publishes_one_certificate_for_all_replicas() {
    let (objects, clock) = (Objects::default(), clock());
    let first = ensure(&objects, &clock, "service").await;
    let second = ensure(&objects, &clock, "service").await;
    assert_eq!(first.current, second.current);
    assert!(second.source().is_loaded());
    let secret = objects.get(SECRET).unwrap();
    assert_eq!(secret["metadata"]["resourceVersion"], "1");
    assert_eq!(secret["type"], "kubernetes.io/tls");
    let published = objects.get(TRUST).unwrap();
    assert_eq!(
        published["data"]["example"].as_str().unwrap(),
        *first.bundle().borrow()
    );
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_waited_for_until_the_api_server_comes_or_the_process_ends() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    let objects = Objects::default();
    let (store, asked) = (objects.clone(), AtomicUsize::new(0));
    let client = crate::scripted::client(move |request| {
        let early = asked.fetch_add(1, Ordering::Relaxed) < 3;
        Some(if early {
            crate::scripted::refusal(503, "Away")
        } else {
            store.answer(request)
        })
    });
    let names = service_names("service", "olm-system");
    let token = CancellationToken::new();
    let obtain = |client: Client, token: CancellationToken| {
        let names = names.clone();
        let clock = clock() as SharedClock;
        async move {
            ServingCertificate::obtain(client, "olm-system", "example", names, clock, &token).await
        }
    };
    let made = obtain(client, token.clone()).await.unwrap();
    assert!(made.source().is_loaded());
    assert!(objects.get(SECRET).is_some());
    let never = crate::scripted::client(|_request| None);
    token.cancel();
    assert!(obtain(never, token).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn clients_learn_of_another_authority_before_they_meet_it() {
    let (objects, clock) = (Objects::default(), clock());
    let mut certificate = ensure(&objects, &clock, "service").await;
    let (first, leaf) = (certificate.current.clone().unwrap(), certificate.leaf());
    objects.remove(SECRET);
    let early = tokio::time::timeout(Duration::from_secs(2), certificate.check()).await;
    assert!(early.is_err(), "it did not wait");
    assert_eq!(*leaf.borrow(), Some(first.leaf.clone()));
    let published = || {
        let map = objects.get(TRUST).unwrap();
        map["data"]["example"].as_str().unwrap().to_owned()
    };
    let both = published();
    assert!(both.contains(first.authority.certificate().trim()));
    assert!(!both.starts_with(first.authority.certificate().trim()));
    certificate.check().await.unwrap();
    assert_ne!(*leaf.borrow(), Some(first.leaf.clone()));
    // Other replicas serve with the earlier leaf until they look.
    assert_eq!(published(), both);
    assert!(certificate.current.clone().unwrap().vouches_for(&first));

    // Somebody else's material, which knows nothing of what is served.
    let stranger = Objects::default();
    drop(ensure(&stranger, &clock, "service").await);
    let data = stranger.get(SECRET).unwrap()["data"].clone();
    objects.edit(SECRET, |secret| secret["data"] = data.clone());
    let before = certificate.current.clone().unwrap();
    let early = tokio::time::timeout(Duration::from_secs(2), certificate.check()).await;
    assert!(early.is_err(), "it did not wait");
    assert!(published().contains(before.authority.certificate().trim()));
    certificate.check().await.unwrap();
    assert!(!published().contains(before.authority.certificate().trim()));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_or_deleted_secret_is_made_anew() {
    let (objects, clock) = (Objects::default(), clock());
    let mut certificate = ensure(&objects, &clock, "service").await;
    let first = certificate.current.clone().unwrap();
    let mut bundle = certificate.bundle();
    bundle.mark_unchanged();
    objects.edit(SECRET, |secret| secret["data"]["tls.key"] = "AAAA".into());
    certificate.check().await.unwrap();
    let second = certificate.current.clone().unwrap();
    assert_ne!(first.leaf, second.leaf);
    assert!(bundle.has_changed().unwrap());
    objects.remove(SECRET);
    objects.remove(TRUST);
    certificate.check().await.unwrap();
    assert_ne!(certificate.current.unwrap().leaf, second.leaf);
    assert!(objects.get(TRUST).is_some());
}

#[tokio::test]
async fn a_due_leaf_is_renewed_and_every_replica_takes_it_over() {
    let (objects, clock) = (Objects::default(), clock());
    let mut first = ensure(&objects, &clock, "service").await;
    let mut second = ensure(&objects, &clock, "service").await;
    let old = first.current.clone().unwrap();
    clock.advance(SignedDuration::from_hours(24 * 61));
    first.check().await.unwrap();
    second.check().await.unwrap();
    assert_eq!(first.current, second.current);
    let new = second.current.unwrap();
    assert_ne!(new.leaf, old.leaf);
    assert_eq!(new.authority, old.authority);
}

#[tokio::test]
async fn other_names_need_another_leaf() {
    let (objects, clock) = (Objects::default(), clock());
    let old = ensure(&objects, &clock, "service").await.current.unwrap();
    let new = ensure(&objects, &clock, "renamed").await.current.unwrap();
    assert_ne!(new.leaf, old.leaf);
    assert_eq!(new.authority, old.authority);
}

#[tokio::test]
async fn keeps_other_components_keys_in_the_trust() {
    let (objects, clock) = (Objects::default(), clock());
    drop(ensure(&objects, &clock, "service").await);
    objects.edit(TRUST, |map| map["data"]["other"] = "theirs".into());
    objects.edit(TRUST, |map| map["data"]["example"] = "damaged".into());
    let certificate = ensure(&objects, &clock, "service").await;
    let map = objects.get(TRUST).unwrap();
    assert_eq!(map["data"]["other"], "theirs");
    assert_eq!(
        map["data"]["example"].as_str().unwrap(),
        *certificate.bundle().borrow()
    );
}
