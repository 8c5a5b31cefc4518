//! How slow a server may be.
//!
//! Bundles are fetched a few at a time, so a server that sends a byte now and then would keep others
//! waiting for as long as it likes. What counts is the time that is spent waiting for it: a disk that
//! takes what came slowly is not the server's fault.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use tokio::time::{Instant, timeout};

/// Steps that a window moves on in.
const STEPS: u32 = 10;

/// The least that must come of what is being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MinimumSpeed {
    /// On average over each window.
    pub(crate) bytes_per_second: u32,
    /// The window's length; the begin of what is sent is not judged before there was one.
    pub(crate) window: Duration,
}

impl MinimumSpeed {
    /// For archives: 1 KiB/s over half a minute.
    pub(crate) const ARCHIVE: Self = Self {
        bytes_per_second: 1 << 10,
        window: Duration::from_secs(30),
    };

    /// For layers of images: the same over a minute, as what breaks off is asked for again meanwhile.
    pub(crate) const LAYER: Self = Self {
        bytes_per_second: 1 << 10,
        window: Duration::from_mins(1),
    };

    /// For repositories: the same over a minute, as git servers send next to nothing while they put
    /// together what they are asked for.
    pub(crate) const REPOSITORY: Self = Self {
        bytes_per_second: 1 << 10,
        window: Duration::from_mins(1),
    };

    /// What must come in a window.
    fn bytes(self) -> u64 {
        let bytes = u128::from(self.bytes_per_second) * self.window.as_millis() / 1000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// What came in the last window, as the time passes that was spent waiting.
#[derive(Debug)]
struct Window {
    speed: MinimumSpeed,
    /// Bytes by step, the current one last.
    steps: VecDeque<u64>,
    /// Time waited in the current step.
    waited: Duration,
}

impl Window {
    fn new(speed: MinimumSpeed) -> Self {
        Self {
            speed,
            steps: VecDeque::from([0]),
            waited: Duration::ZERO,
        }
    }

    /// The rest of the current step.
    fn rest(&self) -> Duration {
        (self.speed.window / STEPS).saturating_sub(self.waited)
    }

    fn add(&mut self, bytes: usize, waited: Duration) {
        self.waited += waited;
        if let Some(step) = self.steps.back_mut() {
            *step = step.saturating_add(bytes as u64);
        }
    }

    /// Ends the current step; whether enough came in the window that ends with it.
    fn step(&mut self) -> bool {
        if self.steps.len() == STEPS as usize {
            if self.steps.iter().sum::<u64>() < self.speed.bytes() {
                return false;
            }
            self.steps.pop_front();
        }
        self.steps.push_back(0);
        self.waited = Duration::ZERO;
        true
    }
}

/// The same bytes, and `too_slow` at the end of a window in which fewer came than must.
pub(crate) fn watched<E>(
    bytes: impl Stream<Item = Result<Bytes, E>>,
    speed: MinimumSpeed,
    too_slow: impl Fn() -> E,
) -> impl Stream<Item = Result<Bytes, E>> {
    let state = (Box::pin(bytes), Window::new(speed), too_slow);
    stream::try_unfold(state, |(mut bytes, mut window, too_slow)| async move {
        loop {
            let begun = Instant::now();
            match timeout(window.rest(), bytes.next()).await {
                Ok(None) => return Ok(None),
                Ok(Some(piece)) => {
                    let piece = piece?;
                    window.add(piece.len(), begun.elapsed());
                    return Ok(Some((piece, (bytes, window, too_slow))));
                }
                Err(_) if window.step() => {}
                Err(_) => return Err(too_slow()),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;
    use rstest::rstest;
    use tokio::time::sleep;

    use super::*;

    /// Pieces of this many bytes, each after this time, in milliseconds.
    fn drip(pieces: Vec<(usize, u64)>) -> impl Stream<Item = Result<Bytes, &'static str>> {
        stream::iter(pieces).then(|(bytes, after)| async move {
            sleep(Duration::from_millis(after)).await;
            Ok(Bytes::from(vec![0; bytes]))
        })
    }

    #[rstest]
    #[case::a_byte_each_second(vec![(1, 1000); 60], Err("too slow"))]
    #[case::just_too_little(vec![(1000, 1000); 60], Err("too slow"))]
    #[case::just_enough(vec![(1024, 999); 60], Ok(60 << 10))]
    #[case::in_bursts(vec![(16 << 10, 14_000); 20], Ok(320 << 10))]
    #[case::little_and_done(vec![(1, 1000); 29], Ok(29))]
    #[case::first_much_then_nothing(
        [vec![(1 << 20, 0)], vec![(1, 1000); 60]].concat(),
        Err("too slow")
    )]
    #[tokio::test(start_paused = true)]
    async fn what_drips_is_refused_and_what_flows_is_not(
        #[case] pieces: Vec<(usize, u64)>,
        #[case] expected: Result<usize, &str>,
    ) {
        let watched = watched(drip(pieces), MinimumSpeed::ARCHIVE, || "too slow");
        let read = watched.try_fold(0, |sum, piece| async move { Ok(sum + piece.len()) });
        assert_eq!(read.await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_who_takes_the_bytes_does_not_count() {
        let pieces = drip(vec![(1, 10); 60]);
        let watched = watched(pieces, MinimumSpeed::ARCHIVE, || "too slow");
        let read = watched.try_fold(0, |sum, piece| async move {
            sleep(Duration::from_secs(20)).await;
            Ok(sum + piece.len())
        });
        assert_eq!(read.await, Ok(60));
    }
}
