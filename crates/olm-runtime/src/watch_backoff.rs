//! How long a watch that broke off is left alone before it is begun again.

use std::time::Duration;

use kube::runtime::utils::Backoff;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);
/// How much longer a pause may be, so that not all watches begin at once.
const MOST_SPREAD: f64 = 1.2;

/// Pauses of half a second, doubled up to 15 s, each lengthened by up to a fifth; from the start again as soon as
/// anything was heard. A watch that works and is cut off now and then, by a proxy for example, is
/// never blind for long.
#[derive(Debug)]
pub struct WatchBackoff {
    next: Duration,
}

impl Default for WatchBackoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.next;
        self.next = LONGEST.min(pause * 2);
        Some(pause.mul_f64(rand::random_range(1.0..=MOST_SPREAD)))
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_nothing_is_heard_and_no_longer() {
        let mut backoff = WatchBackoff::default();
        let pauses: Vec<f64> = backoff.by_ref().take(8).map(|p| p.as_secs_f64()).collect();
        let wanted = [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0];
        for (pause, wanted) in pauses.iter().zip(wanted) {
            let spread = pause / wanted;
            assert!((1.0..=MOST_SPREAD + 0.001).contains(&spread), "{pauses:?}");
        }
        backoff.reset();
        assert!(
            backoff
                .next()
                .is_some_and(|pause| pause < Duration::from_secs(1))
        );
    }
}
