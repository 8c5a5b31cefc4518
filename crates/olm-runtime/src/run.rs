//! The tasks of a running process, and the first thing that goes wrong in them.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::chain::Chain;
use crate::lease::LeaderElection;
use crate::process::{ProcessError, Task, panic_text};

/// What the tasks of a running process share: the token, and the first failure.
#[derive(Clone)]
pub(crate) struct Run {
    token: CancellationToken,
    /// Cancelled when the lease was lost: whoever lost it must not finish anything.
    lost: CancellationToken,
    failure: Arc<Mutex<Option<ProcessError>>>,
}

impl Run {
    pub(crate) fn new(token: CancellationToken) -> Self {
        Self {
            token,
            lost: CancellationToken::new(),
            failure: Arc::default(),
        }
    }

    /// Ends the process; only the first failure is reported, later ones follow from it.
    fn fail(&self, failure: ProcessError) {
        error!(error = %Chain(&failure), "process must end");
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(failure);
        self.token.cancel();
    }

    /// Waits until the lease is lost.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    pub(crate) fn take_failure(&self) -> Option<ProcessError> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub(crate) fn spawn(&self, tasks: &TaskTracker, (name, task): Task) {
        let run = self.clone();
        let future = task(self.token.clone());
        tasks.spawn(async move {
            let ended = tokio::select! {
                biased;
                () = run.lost.cancelled() => return,
                ended = AssertUnwindSafe(future).catch_unwind() => ended,
            };
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(source)) => run.fail(ProcessError::Task { name, source }),
                Err(panic) => {
                    let message = panic_text(panic.as_ref()).to_owned();
                    run.fail(ProcessError::Panicked { name, message });
                }
            }
        });
    }

    /// Runs the leader's tasks for as long as this replica leads.
    pub(crate) async fn lead(self, leading: Vec<Task>, election: Option<LeaderElection>) {
        let tasks = TaskTracker::new();
        let Some(mut election) = election else {
            for task in leading {
                self.spawn(&tasks, task);
            }
            self.token.cancelled().await;
            tasks.close();
            tasks.wait().await;
            return;
        };
        if !election.acquire(&self.token).await {
            return;
        }
        for task in leading {
            self.spawn(&tasks, task);
        }
        let ended = async {
            self.token.cancelled().await;
            tasks.close();
            tasks.wait().await;
        };
        tokio::select! {
            failure = election.keep() => {
                self.fail(failure.into());
                self.lost.cancel();
                tasks.close();
                tasks.wait().await;
            }
            // The lease is kept until the last pass has ended, and only then given up.
            () = ended => election.release().await,
        }
    }
}
