//! When a failing object is tried again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// First delay.
const FIRST: Duration = Duration::from_millis(750);
/// Longest delay.
const LONGEST: Duration = Duration::from_mins(15);
/// Random part of a delay, to either side.
const JITTER: f64 = 0.05;
/// Number of remembered objects at which forgotten ones are looked for.
const PRUNE_AT: usize = 1024;
/// An object that did not fail for this long is forgotten: it was deleted.
const FORGET_AFTER: Duration = Duration::from_hours(1);

/// Failures in a row per object, by UID.
#[derive(Debug, Default)]
pub(crate) struct Backoffs(Mutex<HashMap<String, Failures>>);

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Backoffs {
    /// How many times in a row the object failed.
    pub(crate) fn failures(&self, uid: &str) -> u32 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(uid).map_or(0, |failures| failures.count)
    }

    /// Counts a failure and says how long to wait.
    pub(crate) fn fail(&self, uid: &str, now: Instant) -> Duration {
        let count = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= PRUNE_AT {
                known.retain(|_, failures| now.duration_since(failures.last) < FORGET_AFTER);
            }
            let failures = known.entry(uid.to_owned()).or_insert(Failures {
                count: 0,
                last: now,
            });
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
            failures.count
        };
        delay(count, rand::random_range(-1.0..=1.0))
    }

    /// Forgets the failures of an object after a good pass.
    pub(crate) fn reset(&self, uid: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }
}

/// The delay after `count` failures in a row; `luck` between -1 and 1 places it inside the jitter.
fn delay(count: u32, luck: f64) -> Duration {
    let doublings = count.saturating_sub(1).min(20);
    let plain = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    plain.mul_f64(1.0 + JITTER * luck.clamp(-1.0, 1.0))
}

/// `duration` lengthened by up to 1 %, so that objects polled alike drift apart.
pub fn spread(duration: Duration) -> Duration {
    duration.mul_f64(1.0 + rand::random_range(0.0..=0.01))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(1, 750)]
    #[case(2, 1_500)]
    #[case(5, 12_000)]
    #[case(11, 768_000)]
    #[case(12, 900_000)]
    #[case(u32::MAX, 900_000)]
    fn doubles_up_to_the_longest(#[case] count: u32, #[case] milliseconds: u64) {
        assert_eq!(delay(count, 0.0), Duration::from_millis(milliseconds));
        let plain = Duration::from_millis(milliseconds);
        assert_eq!(delay(count, 1.0), plain.mul_f64(1.05));
        assert_eq!(delay(count, -7.0), plain.mul_f64(0.95));
    }

    #[tokio::test(start_paused = true)]
    async fn counts_each_object_by_itself_and_forgets_after_a_good_pass() {
        let backoffs = Backoffs::default();
        let now = Instant::now();
        backoffs.fail("a", now);
        backoffs.fail("a", now);
        backoffs.fail("b", now);
        assert_eq!((backoffs.failures("a"), backoffs.failures("b")), (2, 1));
        backoffs.reset("a");
        assert_eq!((backoffs.failures("a"), backoffs.failures("b")), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn forgets_objects_that_are_gone() {
        let backoffs = Backoffs::default();
        let start = Instant::now();
        for number in 0..PRUNE_AT {
            backoffs.fail(&number.to_string(), start);
        }
        backoffs.fail("late", start + FORGET_AFTER);
        assert_eq!(backoffs.failures("0"), 0);
        assert_eq!(backoffs.failures("late"), 1);
    }
}
