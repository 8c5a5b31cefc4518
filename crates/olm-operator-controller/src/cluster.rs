//! What is known of the cluster: the version of Kubernetes.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use olm_resolver::Facts;
use olm_runtime::Chain;
use olm_semver::Version;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Time between two questions: a cluster is upgraded seldom.
const EVERY: Duration = Duration::from_mins(10);
/// Delay before the second attempt; it doubles to [`SLOWEST`].
const FIRST: Duration = Duration::from_millis(500);
/// Longest delay between two attempts.
const SLOWEST: Duration = Duration::from_secs(30);

/// The facts as they were last told.
type Told = Option<Arc<Facts>>;

/// The task that keeps the facts up to date; must be [run](Self::run).
pub(crate) struct Asking {
    client: Client,
    facts: watch::Sender<Told>,
}

/// The facts of the cluster: `None` until the API server was asked for the first time.
pub(crate) fn facts(client: Client) -> (watch::Receiver<Told>, Asking) {
    let facts = watch::Sender::new(None);
    let known = facts.subscribe();
    (known, Asking { client, facts })
}

impl Asking {
    /// Asks until the token is cancelled.
    pub(crate) async fn run(self, token: CancellationToken) {
        let mut delay = FIRST;
        loop {
            let answer = tokio::select! {
                () = token.cancelled() => return,
                answer = self.client.apiserver_version() => answer,
            };
            let pause = match answer {
                Ok(info) => {
                    let version = parse(&info.git_version);
                    if version.is_none() {
                        warn!(
                            version = info.git_version,
                            "the cluster's version is no version"
                        );
                    }
                    self.take(version);
                    EVERY
                }
                // Whoever may not know the version goes on without: a bundle that needs a newer
                // cluster is then found out when it is installed.
                Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403 | 404) => {
                    let error = status.message;
                    warn!(
                        error,
                        "the cluster does not tell its version, minKubeVersion is not checked"
                    );
                    self.take(None);
                    EVERY
                }
                Err(error) => {
                    warn!(error = %Chain(&error), retry_in = ?delay, "cannot ask for the cluster's version");
                    let pause = delay;
                    delay = (delay * 2).min(SLOWEST);
                    pause
                }
            };
            if pause == EVERY {
                delay = FIRST;
            }
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep(olm_runtime::spread(pause)) => {}
            }
        }
    }

    /// Passes the version on if it is news.
    fn take(&self, version: Option<Version>) {
        let is_known = |told: &Told| {
            told.as_ref()
                .is_some_and(|facts| facts.kubernetes == version)
        };
        if is_known(&self.facts.borrow()) {
            return;
        }
        info!(
            version = version.as_ref().map(tracing::field::display),
            "cluster's version known"
        );
        let facts = Facts {
            kubernetes: version,
            ..Facts::default()
        };
        self.facts.send_replace(Some(Arc::new(facts)));
    }
}

/// The version in `gitVersion`, such as `v1.33.1` or, of distributions, `v1.29.4-eks-036c24b`.
fn parse(text: &str) -> Option<Version> {
    Version::parse_lenient(text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::scripted;

    /// The versions that are told while the API server gives these answers, the last one for ever.
    async fn told(answers: &'static [(u16, &'static str)], count: usize) -> Vec<String> {
        let asked = AtomicUsize::new(0);
        let client = scripted::client(move |request| {
            assert_eq!(request.path, "/version");
            let number = asked.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
            match answers[number] {
                (200, version) => {
                    let field = |value: &str| json!(value);
                    let mut info = json!({"gitVersion": version});
                    for name in [
                        "major",
                        "minor",
                        "gitCommit",
                        "gitTreeState",
                        "buildDate",
                        "goVersion",
                        "compiler",
                        "platform",
                    ] {
                        info[name] = field("");
                    }
                    (200, info)
                }
                (code, message) => scripted::refusal(code, message),
            }
        });
        let (mut known, asking) = facts(client);
        assert!(known.borrow().is_none());
        let token = CancellationToken::new();
        let running = tokio::spawn(asking.run(token.clone()));
        let mut told = Vec::new();
        for _ in 0..count {
            let wait = tokio::time::timeout(Duration::from_hours(1), known.changed());
            wait.await.unwrap().unwrap();
            let facts = known.borrow_and_update().clone().unwrap();
            told.push(
                facts
                    .kubernetes
                    .as_ref()
                    .map_or_else(String::new, ToString::to_string),
            );
        }
        token.cancel();
        running.await.unwrap();
        told
    }

    #[tokio::test(start_paused = true)]
    async fn the_version_is_asked_for_until_it_is_told_and_then_followed() {
        let answers = &[
            (503, "away"),
            (200, "v1.33.1"),
            (200, "v1.33.1"),
            (500, "away"),
            (200, "v1.34.0-eks-036c24b"),
        ];
        assert_eq!(told(answers, 2).await, ["1.33.1", "1.34.0-eks-036c24b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_version_that_is_not_told_holds_nobody_up() {
        assert_eq!(told(&[(403, "forbidden")], 1).await, [""]);
        assert_eq!(
            told(&[(200, "unknown"), (200, "v1.2.3")], 2).await,
            ["", "1.2.3"]
        );
    }
}
