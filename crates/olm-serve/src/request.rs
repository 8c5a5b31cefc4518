//! Requests under way: how many there may be, and for how long.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// An answer was not taken in time.
#[derive(Debug, thiserror::Error)]
#[error("the answer was not taken in time")]
struct TooSlow;

/// The requests of all connections of a server.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    free: Arc<Semaphore>,
    answer: Duration,
}

impl Turns {
    /// At most `requests` at the same time, each answered within `answer`.
    pub(crate) fn new(requests: usize, answer: Duration) -> Self {
        Self {
            free: Arc::new(Semaphore::new(requests.min(Semaphore::MAX_PERMITS))),
            answer,
        }
    }
}

/// Waits until there is room for the request, and gives the room back when its answer has been sent
/// or given up.
pub(crate) async fn in_turn(State(turns): State<Turns>, request: Request, next: Next) -> Response {
    let activity = request.extensions().get::<Activity>().map(Activity::begin);
    let Ok(turn) = Arc::clone(&turns.free).acquire_owned().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let deadline = Instant::now() + turns.answer;
    let response = next.run(request).await;
    response.map(|inner| {
        Body::new(Held {
            inner,
            deadline,
            _turn: turn,
            _activity: activity,
        })
    })
}

/// A body that keeps the place of its request, and breaks off when the deadline has passed.
///
/// A peer that takes nothing at all is not noticed here, because nothing is asked of the body then:
/// that is what the limit for single writes and, with HTTP/2, the limit for tasks are for.
struct Held {
    inner: Body,
    deadline: Instant,
    _turn: OwnedSemaphorePermit,
    _activity: Option<Active>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if Instant::now() >= self.deadline {
            return Poll::Ready(Some(Err(axum::Error::new(TooSlow))));
        }
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What a connection is busy with; clones are of the same connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    active: AtomicUsize,
    begun: AtomicUsize,
    seen: Mutex<usize>,
}

impl Activity {
    fn begin(&self) -> Active {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        self.0.active.fetch_add(1, Ordering::AcqRel);
        Active(Arc::clone(&self.0))
    }

    /// Whether there was no request since the last call, or since the connection was opened.
    pub(crate) fn was_idle(&self) -> bool {
        let begun = self.0.begun.load(Ordering::Relaxed);
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = *seen == begun && self.0.active.load(Ordering::Acquire) == 0;
        *seen = begun;
        idle
    }
}

/// A request under way.
#[derive(Debug)]
struct Active(Arc<Counts>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs the tasks of HTTP/2 streams, none longer than the limit. A stream whose task is dropped is
/// reset, and so what a peer that takes nothing holds is freed.
#[derive(Clone, Debug)]
pub(crate) struct Bounded {
    /// Longest time of a task.
    pub(crate) limit: Duration,
}

impl<F> hyper::rt::Executor<F> for Bounded
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        let limit = self.limit;
        tokio::spawn(async move {
            if tokio::time::timeout(limit, task).await.is_err() {
                tracing::debug!(?limit, "a stream was cut");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_idle_when_nothing_began_and_nothing_is_under_way() {
        let activity = Activity::default();
        assert!(activity.was_idle());
        let request = activity.begin();
        assert!(!activity.was_idle() && !activity.was_idle());
        drop(request);
        assert!(activity.was_idle());
        drop(activity.begin());
        assert!(
            !activity.was_idle(),
            "one came and went since the last look"
        );
        assert!(activity.was_idle());
    }
}
