//! When an owner is due: bursts become one, and nobody comes too often.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Owners that are due, and when each was last handed out.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    due: HashMap<String, Instant>,
    last: HashMap<String, Instant>,
}

impl Schedule {
    /// Makes an owner due after `delay`, but not sooner than `interval` after its last time. The
    /// sooner of two marks counts.
    pub(super) fn mark(&mut self, owner: &str, delay: Duration, interval: Duration, now: Instant) {
        let mut at = now + delay;
        if let Some(last) = self.last.get(owner) {
            at = at.max(*last + interval);
        }
        match self.due.get_mut(owner) {
            Some(due) => *due = at.min(*due),
            None => {
                self.due.insert(owner.to_owned(), at);
            }
        }
    }

    /// When the next owner is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }

    /// Takes those that are due, by name.
    pub(super) fn take(&mut self, interval: Duration, now: Instant) -> Vec<String> {
        let mut taken: Vec<String> = self
            .due
            .extract_if(|_, at| *at <= now)
            .map(|(owner, _)| owner)
            .collect();
        taken.sort_unstable();
        self.last.retain(|_, last| *last + interval > now);
        for owner in &taken {
            self.last.insert(owner.clone(), now);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn makes_one_of_a_burst() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        for _ in 0..100 {
            schedule.mark("a", seconds(1), seconds(2), start);
        }
        assert_eq!(schedule.take(seconds(2), start), Vec::<String>::new());
        assert_eq!(schedule.next(), Some(start + seconds(1)));
        assert_eq!(schedule.take(seconds(2), start + seconds(1)), ["a"]);
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn lets_the_sooner_mark_count() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        schedule.mark("a", seconds(10), seconds(2), start);
        schedule.mark("a", seconds(1), seconds(2), start);
        schedule.mark("a", seconds(10), seconds(2), start);
        assert_eq!(schedule.next(), Some(start + seconds(1)));
    }

    #[test]
    fn keeps_the_interval_between_two_times() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        schedule.mark("a", seconds(0), seconds(5), start);
        assert_eq!(schedule.take(seconds(5), start), ["a"]);
        schedule.mark("a", seconds(0), seconds(5), start + seconds(1));
        assert_eq!(schedule.next(), Some(start + seconds(5)));
        schedule.mark("b", seconds(0), seconds(5), start + seconds(1));
        assert_eq!(schedule.take(seconds(5), start + seconds(1)), ["b"]);
    }
}
