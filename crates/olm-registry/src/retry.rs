//! Sending again.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use crate::config::{ClientConfig, Retry};
use crate::error::RegistryError;

fn backoff(retry: Retry) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(retry.delay)
        .with_max_delay(retry.longest_wait)
        .with_factor(2.0)
        .with_max_times(retry.times)
        .with_jitter()
}

/// The delay before the next attempt, `None` when there shall be none.
pub(crate) fn next_delay(
    retry: Retry,
    error: &RegistryError,
    planned: Option<Duration>,
) -> Option<Duration> {
    let planned = planned?;
    match error.retry_after() {
        Some(asked) if asked > retry.longest_wait => None,
        Some(asked) => Some(asked.max(planned)),
        None => Some(planned),
    }
}

/// Runs `attempt` again while it fails in passing, within the time of one operation.
pub(crate) async fn operation<T, F, A>(
    config: &ClientConfig,
    timed_out: impl FnOnce() -> RegistryError,
    attempt: F,
) -> Result<T, RegistryError>
where
    F: FnMut() -> A,
    A: Future<Output = Result<T, RegistryError>>,
{
    let retry = config.retry;
    let attempts = attempt
        .retry(backoff(retry))
        .when(RegistryError::is_transient)
        .adjust(|error, planned| next_delay(retry, error, planned))
        .notify(|error, delay| tracing::debug!(%error, ?delay, "asking the registry again"));
    tokio::time::timeout(config.timeouts.operation, attempts)
        .await
        .unwrap_or_else(|_| Err(timed_out()))
}
