//! Named steps of a pass, each with a limit of time and a span.

use std::future::Future;
use std::time::Duration;

use tracing::Instrument as _;

/// A step took longer than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{phase}` took longer than {}", crate::go_duration::GoDuration::from(*limit))]
pub struct TimedOut {
    /// Name of the step.
    pub phase: &'static str,
    /// How long it may take.
    pub limit: Duration,
}

/// Runs one step inside a span named `phase`.
///
/// # Errors
///
/// [`TimedOut`] after `limit`; the future is dropped then.
pub async fn run<F: Future>(
    phase: &'static str,
    limit: Duration,
    step: F,
) -> Result<F::Output, TimedOut> {
    let span = tracing::info_span!("phase", step = phase);
    tokio::time::timeout(limit, step)
        .instrument(span)
        .await
        .map_err(|_elapsed| TimedOut { phase, limit })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn gives_the_result_or_says_which_step_took_too_long() {
        let limit = Duration::from_secs(90);
        assert_eq!(run("fetch", limit, async { 7 }).await, Ok(7));
        let error = run("fetch", limit, std::future::pending::<()>())
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "`fetch` took longer than 1m30s");
    }
}
