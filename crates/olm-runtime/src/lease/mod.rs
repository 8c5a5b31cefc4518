//! Leader election on a `coordination.k8s.io/v1` Lease.
//!
//! Needs `get`, `create` and `update` on the Lease. Writes carry the resource version that the
//! decision was made on, so that of two candidates who see the same expired lease one gets a
//! conflict. A leader that could not renew within the renew deadline reports [`LeaseError::Lost`]
//! before others may take over, and its process ends.

mod state;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::state::{Election, Step};
use crate::chain::Chain;
use crate::clock::SharedClock;

/// Longest time for the last write at shutdown.
const RELEASE_LIMIT: Duration = Duration::from_secs(3);

/// The three times of an election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long a silent holder keeps the lease. Default 15 s.
    pub duration: Duration,
    /// How long a leader tries to renew before it gives up. Default 10 s.
    pub renew_deadline: Duration,
    /// Time between two attempts. Default 2 s.
    pub retry_period: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// What can go wrong with a lease.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The times contradict each other.
    #[error(
        "lease duration must exceed the renew deadline, which must exceed 1.2 times the retry period"
    )]
    Timing,
    /// The lease is someone else's, or could not be renewed in time.
    #[error("lost the lease `{name}`")]
    Lost {
        /// Name of the Lease.
        name: String,
    },
}

/// One candidate for one Lease.
#[derive(Debug)]
pub struct LeaderElection {
    api: Api<Lease>,
    name: String,
    identity: String,
    timing: Timing,
    clock: SharedClock,
    election: Election,
    /// The lease as we last read or wrote it.
    known: Option<Lease>,
}

impl LeaderElection {
    /// A candidate. `instance` (usually the pod's name) is made unique by a random part: a restarted
    /// container must not take itself for the old one.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Timing`].
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        instance: &str,
        timing: Timing,
        clock: SharedClock,
    ) -> Result<Self, LeaseError> {
        let Timing {
            duration,
            renew_deadline,
            retry_period,
        } = timing;
        if duration.as_secs() == 0
            || retry_period.is_zero()
            || duration <= renew_deadline
            || renew_deadline <= retry_period.mul_f64(1.2)
        {
            return Err(LeaseError::Timing);
        }
        let identity = format!("{instance}_{:016x}", rand::random::<u64>());
        Ok(Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.clone(),
            timing,
            clock,
            election: Election::new(identity, duration),
            known: None,
        })
    }

    /// The name under which this candidate holds the lease.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Tries until the lease is ours; `false` when `token` was cancelled first.
    pub async fn acquire(&mut self, token: &CancellationToken) -> bool {
        info!(
            lease = self.name,
            identity = self.identity,
            "waiting to become leader"
        );
        loop {
            let attempt = tokio::time::timeout(self.timing.renew_deadline, self.attempt());
            let outcome = tokio::select! {
                () = token.cancelled() => return false,
                outcome = attempt => outcome,
            };
            match outcome {
                Ok(Ok(Step::Renew | Step::Take)) => {
                    info!(lease = self.name, identity = self.identity, "became leader");
                    return true;
                }
                Ok(Ok(Step::Wait)) => {}
                Ok(Err(kube::Error::Api(status)))
                    if status.is_conflict() || status.is_already_exists() =>
                {
                    debug!(lease = self.name, "another candidate was faster");
                }
                Ok(Err(error)) => {
                    warn!(lease = self.name, error = %Chain(&error), "cannot ask for the lease");
                }
                Err(_elapsed) => warn!(lease = self.name, "asking for the lease took too long"),
            }
            let pause = self
                .timing
                .retry_period
                .mul_f64(1.0 + rand::random_range(0.0..=1.2));
            tokio::select! {
                () = token.cancelled() => return false,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Renews until the lease is lost; never returns otherwise.
    pub async fn keep(&mut self) -> LeaseError {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(self.timing.retry_period).await;
            let deadline = renewed + self.timing.renew_deadline;
            // Counted from before the write: others count from when they see it, which is later.
            let began = Instant::now();
            match tokio::time::timeout_at(deadline, self.attempt()).await {
                Ok(Ok(Step::Renew | Step::Take)) => renewed = began,
                Ok(Ok(Step::Wait)) => break,
                Ok(Err(error)) => {
                    debug!(lease = self.name, error = %Chain(&error), "renewal failed, trying again");
                }
                Err(_elapsed) => break,
            }
            if Instant::now() >= deadline && renewed != began {
                break;
            }
        }
        LeaseError::Lost {
            name: self.name.clone(),
        }
    }

    /// Gives the lease up, so that another candidate need not wait; failures are logged only.
    pub async fn release(&mut self) {
        let release = async {
            let lease = self.api.get_opt(&self.name).await?;
            let Some(lease) = lease else { return Ok(()) };
            let spec = lease.spec.clone().unwrap_or_default();
            let Some(next) = self.election.release(&spec, self.clock.now()) else {
                return Ok(());
            };
            self.replace(lease, next).await.map(drop)
        };
        match tokio::time::timeout(RELEASE_LIMIT, release).await {
            Ok(Ok(())) => info!(lease = self.name, "released the lease"),
            Ok(Err(error)) => {
                warn!(lease = self.name, error = %Chain(&error), "cannot release the lease");
            }
            Err(_elapsed) => warn!(lease = self.name, "releasing the lease took too long"),
        }
    }

    /// Reads the lease unless it is known to be ours, decides and writes. A conflict is an error
    /// like any other: the next attempt reads who was faster.
    async fn attempt(&mut self) -> Result<Step, kube::Error> {
        if let Some(ours) = self.known.take() {
            match self.advance(ours).await {
                Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {}
                outcome => return outcome,
            }
        }
        match self.api.get_opt(&self.name).await? {
            Some(lease) => self.advance(lease).await,
            None => self.create().await,
        }
    }

    async fn advance(&mut self, lease: Lease) -> Result<Step, kube::Error> {
        let spec = lease.spec.clone().unwrap_or_default();
        let step = self.election.decide(&spec, Instant::now());
        if let Some(next) = self.election.write(&spec, step, self.clock.now()) {
            let written = self.replace(lease, next).await?;
            self.known = Some(written);
        }
        Ok(step)
    }

    async fn create(&mut self) -> Result<Step, kube::Error> {
        let free = LeaseSpec::default();
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: self.election.write(&free, Step::Take, self.clock.now()),
        };
        match self.api.create(&PostParams::default(), &lease).await {
            Ok(created) => {
                self.known = Some(created);
                Ok(Step::Take)
            }
            Err(error) => Err(error),
        }
    }

    async fn replace(&self, mut lease: Lease, spec: LeaseSpec) -> Result<Lease, kube::Error> {
        lease.spec = Some(spec);
        lease.metadata.managed_fields = None;
        self.api
            .replace(&self.name, &PostParams::default(), &lease)
            .await
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
