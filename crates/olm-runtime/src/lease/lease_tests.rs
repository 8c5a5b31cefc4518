#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::clock::SystemClock;
use crate::scripted::{self, Objects};

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/olm-system/leases/example";

fn candidate(client: Client, instance: &str) -> LeaderElection {
    let clock = SystemClock::shared();
    LeaderElection::new(
        client,
        "olm-system",
        "example",
        instance,
        Timing::default(),
        clock,
    )
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_first_leads_and_the_second_follows_after_the_release() {
    let objects = Objects::default();
    let token = CancellationToken::new();
    let mut first = candidate(objects.client(), "a");
    let mut second = candidate(objects.client(), "b");
    assert!(first.acquire(&token).await);
    let waiting = tokio::spawn({
        let token = token.clone();
        async move {
            assert!(second.acquire(&token).await);
            second
        }
    });
    // Far longer than a lease lasts: the holder is alive, so nobody else gets it.
    let kept = tokio::time::timeout(Duration::from_mins(5), first.keep()).await;
    assert!(kept.is_err() && !waiting.is_finished());
    first.release().await;
    let second = waiting.await.unwrap();
    let lease = objects.get(PATH).unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], second.identity());
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_holder_is_replaced_and_learns_that_it_lost() {
    let objects = Objects::default();
    let token = CancellationToken::new();
    let mut first = candidate(objects.client(), "a");
    let mut second = candidate(objects.client(), "b");
    assert!(first.acquire(&token).await);
    let start = Instant::now();
    assert!(second.acquire(&token).await);
    assert!(start.elapsed() >= Timing::default().duration);
    assert!(matches!(first.keep().await, LeaseError::Lost { .. }));
    first.release().await;
    let lease = objects.get(PATH).unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], second.identity());
}

#[tokio::test(start_paused = true)]
async fn a_leader_gives_up_when_it_cannot_renew_within_the_deadline() {
    for hangs in [false, true] {
        let objects = Objects::default();
        let away = Arc::new(AtomicBool::new(false));
        let client = scripted::client({
            let away = Arc::clone(&away);
            move |asked| match (away.load(Ordering::SeqCst), hangs) {
                (false, _) => Some(objects.answer(asked)),
                (true, false) => Some(scripted::refusal(500, "InternalError")),
                (true, true) => None,
            }
        });
        let mut leader = candidate(client, "a");
        assert!(leader.acquire(&CancellationToken::new()).await);
        away.store(true, Ordering::SeqCst);
        let start = Instant::now();
        assert!(matches!(leader.keep().await, LeaseError::Lost { .. }));
        let took = start.elapsed();
        assert!(
            took >= Duration::from_secs(8) && took < Timing::default().duration,
            "{took:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_touch_of_the_lease_does_not_end_the_leadership() {
    let objects = Objects::default();
    let mut leader = candidate(objects.client(), "a");
    assert!(leader.acquire(&CancellationToken::new()).await);
    objects.edit(PATH, |lease| {
        lease["metadata"]["resourceVersion"] = "70".into();
    });
    assert!(
        tokio::time::timeout(Duration::from_mins(1), leader.keep())
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_the_token() {
    let client = scripted::client(|_asked| None);
    let token = CancellationToken::new();
    token.cancel();
    assert!(!candidate(client, "a").acquire(&token).await);
}

#[tokio::test]
async fn refuses_times_that_contradict_each_other() {
    let client = scripted::client(|_asked| None);
    let timing = Timing {
        renew_deadline: Duration::from_secs(15),
        ..Timing::default()
    };
    let clock = SystemClock::shared();
    let outcome = LeaderElection::new(client, "ns", "example", "a", timing, clock);
    assert!(matches!(outcome, Err(LeaseError::Timing)));
}
