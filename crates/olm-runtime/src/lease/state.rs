//! Who may lead: decided from leases that were seen and a local clock, without I/O.
//!
//! The rules are those of client-go's leader election: clocks of different machines are never
//! compared. A holder is alive as long as its record keeps changing in our eyes; only when the same
//! record was seen for a whole lease duration may it be replaced.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tokio::time::Instant;

/// What to do about a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is ours: write a new renew time.
    Renew,
    /// It is free or its holder is gone: write ourselves in.
    Take,
    /// Someone else holds it.
    Wait,
}

/// The part of a lease whose change shows that its holder is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    holder: String,
    renewed: Option<Timestamp>,
    transitions: Option<i32>,
}

/// One candidate's view of the election.
#[derive(Debug)]
pub(crate) struct Election {
    identity: String,
    duration: Duration,
    seen: Option<(Record, Instant)>,
}

impl Election {
    pub(crate) fn new(identity: String, duration: Duration) -> Self {
        Self {
            identity,
            duration,
            seen: None,
        }
    }

    /// Takes note of the lease as it is now and decides.
    pub(crate) fn decide(&mut self, lease: &LeaseSpec, now: Instant) -> Step {
        let record = Record {
            holder: lease.holder_identity.clone().unwrap_or_default(),
            renewed: lease.renew_time.as_ref().map(|time| time.0),
            transitions: lease.lease_transitions,
        };
        let since = match &self.seen {
            Some((seen, since)) if *seen == record => *since,
            _ => now,
        };
        let step = if record.holder == self.identity {
            Step::Renew
        } else if record.holder.is_empty() || now.duration_since(since) >= self.patience(lease) {
            Step::Take
        } else {
            Step::Wait
        };
        self.seen = Some((record, since));
        step
    }

    /// The lease after `step`, or `None` where nothing is to be written.
    pub(crate) fn write(&self, lease: &LeaseSpec, step: Step, now: Timestamp) -> Option<LeaseSpec> {
        let mut next = lease.clone();
        match step {
            Step::Wait => return None,
            Step::Renew => {}
            Step::Take => {
                next.acquire_time = Some(MicroTime(now));
                // A lease that nobody ever held has no transition behind it.
                let held = lease.renew_time.is_some() || lease.holder_identity.is_some();
                next.lease_transitions = Some(
                    lease
                        .lease_transitions
                        .unwrap_or(0)
                        .saturating_add(i32::from(held)),
                );
            }
        }
        next.holder_identity = Some(self.identity.clone());
        next.renew_time = Some(MicroTime(now));
        next.lease_duration_seconds = Some(seconds(self.duration));
        Some(next)
    }

    /// The lease after we gave it up, or `None` where it is not ours.
    pub(crate) fn release(&self, lease: &LeaseSpec, now: Timestamp) -> Option<LeaseSpec> {
        if lease.holder_identity.as_deref() != Some(self.identity.as_str()) {
            return None;
        }
        let mut next = lease.clone();
        next.holder_identity = Some(String::new());
        next.lease_duration_seconds = Some(1);
        next.renew_time = Some(MicroTime(now));
        Some(next)
    }

    /// How long a record must stand still: what its holder promised, or our own duration.
    fn patience(&self, lease: &LeaseSpec) -> Duration {
        lease
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|seconds| *seconds > 0)
            .map_or(self.duration, Duration::from_secs)
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn election(name: &str) -> Election {
        Election::new(name.to_owned(), Duration::from_secs(15))
    }

    fn held(holder: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(at(renewed))),
            lease_transitions: Some(3),
            ..LeaseSpec::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn takes_a_free_lease_and_renews_its_own() {
        let now = Instant::now();
        let mut ours = election("a");
        let free = LeaseSpec::default();
        assert_eq!(ours.decide(&free, now), Step::Take);
        let taken = ours.write(&free, Step::Take, at(100)).unwrap();
        assert_eq!(taken.holder_identity.as_deref(), Some("a"));
        assert_eq!(taken.lease_transitions, Some(0));
        assert_eq!(taken.acquire_time, Some(MicroTime(at(100))));
        assert_eq!(ours.decide(&taken, now), Step::Renew);
        let renewed = ours.write(&taken, Step::Renew, at(102)).unwrap();
        assert_eq!(renewed.acquire_time, Some(MicroTime(at(100))));
        assert_eq!(renewed.renew_time, Some(MicroTime(at(102))));
        assert_eq!(renewed.lease_transitions, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_the_holder_keeps_renewing() {
        let start = Instant::now();
        let mut ours = election("b");
        // The holder's clock is years behind: only changes count.
        for round in 0..100_u32 {
            let lease = held("a", i64::from(round));
            let now = start + Duration::from_secs(14) * round;
            assert_eq!(ours.decide(&lease, now), Step::Wait);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn takes_over_only_after_a_whole_duration_of_silence() {
        let start = Instant::now();
        let mut ours = election("b");
        let lease = held("a", 4_000_000_000);
        assert_eq!(ours.decide(&lease, start), Step::Wait);
        assert_eq!(
            ours.decide(&lease, start + Duration::from_millis(14_999)),
            Step::Wait
        );
        assert_eq!(
            ours.decide(&lease, start + Duration::from_secs(15)),
            Step::Take
        );
        let taken = ours.write(&lease, Step::Take, at(1)).unwrap();
        assert_eq!(taken.lease_transitions, Some(4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_released_lease_is_free_at_once() {
        let now = Instant::now();
        let (mut ours, mut other) = (election("a"), election("b"));
        let lease = held("a", 1);
        assert_eq!(ours.decide(&lease, now), Step::Renew);
        let released = ours.release(&lease, at(5)).unwrap();
        assert_eq!(other.decide(&released, now), Step::Take);
        assert_eq!(other.release(&lease, at(5)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_without_a_duration_is_given_ours() {
        let start = Instant::now();
        let mut ours = election("b");
        let lease = LeaseSpec {
            lease_duration_seconds: None,
            ..held("a", 1)
        };
        assert_eq!(ours.decide(&lease, start), Step::Wait);
        assert_eq!(
            ours.decide(&lease, start + Duration::from_secs(15)),
            Step::Take
        );
    }
}
