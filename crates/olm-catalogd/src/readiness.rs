//! Whether this replica has what the cluster's Catalogs ask for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

/// Time after which a replica counts as ready although it could not get everything: a Catalog whose
/// image is gone must not keep the content of all others from their readers.
const PATIENCE: Duration = Duration::from_mins(5);

/// Names that a refusal lists.
const LISTED: usize = 5;

/// The state of one process; clones share it. Once ready it stays so: what is asked for later is
/// the business of the passes, and until it is there readers know by its digest that it is not.
#[derive(Clone)]
pub(crate) struct Readiness(Arc<State>);

struct State {
    started: Instant,
    listed: AtomicBool,
    ready: AtomicBool,
    /// Names of the Catalogs whose content is not there.
    missing: Box<dyn Fn() -> Vec<String> + Send + Sync>,
}

impl Readiness {
    /// Not ready; `missing` names the Catalogs whose content is not there, from memory.
    pub(crate) fn new(missing: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(State {
            started: Instant::now(),
            listed: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            missing: Box::new(missing),
        }))
    }

    /// From now on it is known which Catalogs there are.
    pub(crate) fn listed(&self) {
        self.0.listed.store(true, Ordering::Release);
    }

    /// Whether it is ready; the error says what is missing.
    pub(crate) fn check(&self) -> Result<(), String> {
        let state = &self.0;
        if state.ready.load(Ordering::Acquire) {
            return Ok(());
        }
        if !state.listed.load(Ordering::Acquire) {
            return Err("the Catalogs of the cluster are not known yet".to_owned());
        }
        let missing = (state.missing)();
        if missing.is_empty() {
            info!("this replica has all catalog content");
        } else if state.started.elapsed() >= PATIENCE {
            warn!(
                ?missing,
                "this replica serves although it could not get all catalog content"
            );
        } else {
            let listed: Vec<&str> = missing.iter().take(LISTED).map(String::as_str).collect();
            let more = if missing.len() > LISTED { ", …" } else { "" };
            let count = missing.len();
            let listed = listed.join(", ");
            return Err(format!("no content of {count} catalogs: {listed}{more}"));
        }
        state.ready.store(true, Ordering::Release);
        Ok(())
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("listed", &self.0.listed)
            .field("ready", &self.0.ready)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::Mutex;

    use super::*;

    fn lacking(names: &[&str]) -> (Arc<Mutex<Vec<String>>>, Readiness) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let names = Arc::new(Mutex::new(names));
        let lacking = Arc::clone(&names);
        (
            names,
            Readiness::new(move || lacking.lock().unwrap().clone()),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_replica_is_ready_once_it_has_everything_and_then_stays_so() {
        let (missing, readiness) = lacking(&["a", "b", "c", "d", "e", "f"]);
        assert_eq!(
            readiness.check().unwrap_err(),
            "the Catalogs of the cluster are not known yet"
        );
        readiness.listed();
        assert_eq!(
            readiness.check().unwrap_err(),
            "no content of 6 catalogs: a, b, c, d, e, …"
        );
        missing.lock().unwrap().clear();
        readiness.check().unwrap();
        missing.lock().unwrap().push("new".to_owned());
        readiness.check().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_had_does_not_keep_the_rest_away_for_ever() {
        let (_missing, readiness) = lacking(&["a"]);
        readiness.listed();
        tokio::time::advance(PATIENCE / 2).await;
        readiness.check().unwrap_err();
        tokio::time::advance(PATIENCE / 2).await;
        readiness.check().unwrap();
    }
}
