//! `/healthz` and `/readyz` with named checks.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};

/// A check: `Err` with the reason while it fails. It must answer at once, from memory.
type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;
type Checks = Arc<RwLock<Vec<(&'static str, Check)>>>;

/// Which of the two endpoints a check belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// `/healthz`: failing means that the process must be restarted.
    Liveness,
    /// `/readyz`: failing means that no traffic should come here now.
    Readiness,
}

/// The checks of a process; clones share them. Without checks both endpoints answer `ok`.
#[derive(Clone, Default)]
pub struct Health {
    liveness: Checks,
    readiness: Checks,
}

impl Health {
    /// A process without checks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check; a later check of the same name takes the place of the earlier one.
    pub fn add(
        &self,
        probe: Probe,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        let mut checks = self
            .checks(probe)
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        checks.retain(|(other, _)| *other != name);
        checks.push((name, Arc::new(check)));
    }

    /// Adds a readiness check that fails until the returned gate is opened.
    pub fn gate(&self, name: &'static str) -> Gate {
        let gate = Gate::default();
        let seen = gate.clone();
        self.add(Probe::Readiness, name, move || {
            if seen.is_open() {
                Ok(())
            } else {
                Err("not ready yet".to_owned())
            }
        });
        gate
    }

    /// Whether every check of the probe passes; the failures otherwise, as (name, reason).
    pub fn failures(&self, probe: Probe) -> Vec<(&'static str, String)> {
        let checks = self.snapshot(probe);
        checks
            .iter()
            .filter_map(|(name, check)| Some((*name, check().err()?)))
            .collect()
    }

    /// The two endpoints, and `/healthz/NAME`, `/readyz/NAME` for single checks.
    ///
    /// A passing probe answers 200 `ok`; `?verbose` lists the checks. A failing one answers 500
    /// with the list.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/healthz", get(liveness))
            .route("/healthz/{name}", get(one_liveness))
            .route("/readyz", get(readiness))
            .route("/readyz/{name}", get(one_readiness))
            .with_state(self.clone())
    }

    fn checks(&self, probe: Probe) -> &Checks {
        match probe {
            Probe::Liveness => &self.liveness,
            Probe::Readiness => &self.readiness,
        }
    }

    fn snapshot(&self, probe: Probe) -> Vec<(&'static str, Check)> {
        self.checks(probe)
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn answer(&self, probe: Probe, only: Option<&str>, verbose: bool) -> Response {
        let checks = self.snapshot(probe);
        let mut listing = String::new();
        let (mut seen, mut failed) = (false, false);
        for (name, check) in &checks {
            if only.is_some_and(|only| only != *name) {
                continue;
            }
            seen = true;
            let written = match check() {
                Ok(()) => writeln!(listing, "[+]{name} ok"),
                Err(reason) => {
                    failed = true;
                    writeln!(listing, "[-]{name} failed: {reason}")
                }
            };
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
        }
        let (status, body) = if only.is_some() && !seen {
            (StatusCode::NOT_FOUND, "no such check\n".to_owned())
        } else if failed {
            (StatusCode::INTERNAL_SERVER_ERROR, listing)
        } else if verbose {
            listing.push_str("check passed\n");
            (StatusCode::OK, listing)
        } else {
            (StatusCode::OK, "ok".to_owned())
        };
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        (status, [(header::CONTENT_TYPE, kind)], body).into_response()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |probe| {
            self.snapshot(probe)
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        f.debug_struct("Health")
            .field("liveness", &names(Probe::Liveness))
            .field("readiness", &names(Probe::Readiness))
            .finish()
    }
}

/// A readiness check that someone opens and closes; closed at first.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    /// Lets the check pass.
    pub fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Lets the check fail.
    pub fn close(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Whether the check passes.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

fn is_verbose(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|part| part.starts_with("verbose")))
}

async fn liveness(State(health): State<Health>, RawQuery(query): RawQuery) -> Response {
    health.answer(Probe::Liveness, None, is_verbose(query.as_deref()))
}

async fn readiness(State(health): State<Health>, RawQuery(query): RawQuery) -> Response {
    health.answer(Probe::Readiness, None, is_verbose(query.as_deref()))
}

async fn one_liveness(State(health): State<Health>, Path(name): Path<String>) -> Response {
    health.answer(Probe::Liveness, Some(&name), false)
}

async fn one_readiness(State(health): State<Health>, Path(name): Path<String>) -> Response {
    health.answer(Probe::Readiness, Some(&name), false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn get(health: &Health, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = health.router().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn answers_ok_without_checks() {
        let health = Health::new();
        assert_eq!(
            get(&health, "/healthz").await,
            (StatusCode::OK, "ok".to_owned())
        );
        assert_eq!(
            get(&health, "/readyz").await,
            (StatusCode::OK, "ok".to_owned())
        );
    }

    #[tokio::test]
    async fn names_what_is_not_ready_and_leaves_liveness_alone() {
        let health = Health::new();
        let gate = health.gate("certificate");
        health.add(Probe::Readiness, "cache", || Ok(()));
        let (status, body) = get(&health, "/readyz").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(body, "[-]certificate failed: not ready yet\n[+]cache ok\n");
        assert_eq!(get(&health, "/healthz").await.0, StatusCode::OK);
        assert_eq!(get(&health, "/readyz/cache").await.0, StatusCode::OK);
        assert_eq!(get(&health, "/readyz/none").await.0, StatusCode::NOT_FOUND);
        gate.open();
        let (status, body) = get(&health, "/readyz?verbose").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body, "[+]certificate ok\n[+]cache ok\ncheck passed\n");
        gate.close();
        assert_eq!(health.failures(Probe::Readiness).len(), 1);
    }
}
