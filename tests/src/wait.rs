//! Waiting for a condition with a deadline, and saying what was seen when it passes.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use kube::Api;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::report::{self, Logs};

/// Until when is waited unless [`Wait::within`] says otherwise.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// A wait for one named condition.
///
/// ```no_run
/// # async fn example(cluster: olm_tests::ControlPlane) -> anyhow::Result<()> {
/// use k8s_openapi::api::apps::v1::Deployment;
/// use olm_tests::{Wait, wait};
///
/// let api = kube::Api::<Deployment>::default_namespaced(cluster.client().await?);
/// let ready = Wait::new("the Deployment is Available")
///     .logs(&cluster)
///     .object(&api, "web", |web| wait::has_condition(web, "Available", "True"))
///     .await?;
/// Wait::new("the Deployment is gone").gone(&api, "web").await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "it waits only when one of its methods is awaited"]
pub struct Wait<'a> {
    condition: String,
    within: Duration,
    interval: Duration,
    logs: Vec<&'a dyn Logs>,
}

impl Debug for Wait<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Wait")
            .field("condition", &self.condition)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

impl<'a> Wait<'a> {
    /// Names the condition, as a sentence that is true once it holds.
    pub fn new(condition: impl Into<String>) -> Self {
        Self {
            condition: condition.into(),
            within: DEADLINE,
            interval: Duration::from_millis(50),
            logs: Vec::new(),
        }
    }

    /// Sets the deadline; default 60 s.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.within = deadline;
        self
    }

    /// Sets the time between two looks; default 50 ms.
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Adds logs whose ends are shown when the deadline passes.
    pub fn logs(mut self, logs: &'a dyn Logs) -> Self {
        self.logs.push(logs);
        self
    }

    /// Waits until the object exists and `holds` for it, and gives the object.
    ///
    /// Errors of the API server are no end to the wait, because it may be restarting; the last one
    /// is shown with the failure.
    ///
    /// # Errors
    /// After the deadline: the condition, the object as YAML and the ends of the logs.
    pub async fn object<K>(
        self,
        api: &Api<K>,
        name: &str,
        mut holds: impl FnMut(&K) -> bool,
    ) -> Result<K>
    where
        K: Clone + DeserializeOwned + Serialize + Debug,
    {
        let look = async || {
            let object = api.get_opt(name).await?;
            Ok(match object {
                Some(object) if holds(&object) => Look::Holds(object),
                Some(object) => Look::Not(yaml(&object)),
                None => Look::Not(format!("`{name}` does not exist")),
            })
        };
        self.run(look).await
    }

    /// Waits until there is no object of that name.
    ///
    /// # Errors
    /// As [`Wait::object`].
    pub async fn gone<K>(self, api: &Api<K>, name: &str) -> Result<()>
    where
        K: Clone + DeserializeOwned + Serialize + Debug,
    {
        let look = async || {
            let object = api.get_opt(name).await?;
            Ok(object.map_or(Look::Holds(()), |object| Look::Not(yaml(&object))))
        };
        self.run(look).await
    }

    /// Waits until `look` gives a value.
    ///
    /// # Errors
    /// After the deadline, with the last error of `look`, if any; such an error does not end the
    /// wait.
    pub async fn value<T>(self, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
        let look = async || {
            Ok(look()
                .await?
                .map_or_else(|| Look::Not("not yet".to_owned()), Look::Holds))
        };
        self.run(look).await
    }

    /// As [`Wait::value`], where what is not yet so is described in words (or YAML) as `Err`.
    pub async fn explained<T>(
        self,
        mut look: impl AsyncFnMut() -> Result<Result<T, String>>,
    ) -> Result<T> {
        let look = async || {
            Ok(match look().await? {
                Ok(value) => Look::Holds(value),
                Err(seen) => Look::Not(seen),
            })
        };
        self.run(look).await
    }

    async fn run<T>(self, mut look: impl AsyncFnMut() -> Result<Look<T>>) -> Result<T> {
        let start = Instant::now();
        let mut seen = "nothing was seen yet".to_owned();
        loop {
            let left = self.within.saturating_sub(start.elapsed());
            let error = match tokio::time::timeout(left.max(self.interval), look()).await {
                Ok(Ok(Look::Holds(value))) => return Ok(value),
                Ok(Ok(Look::Not(now))) => {
                    seen = now;
                    String::new()
                }
                Ok(Err(failed)) => format!("\n--- last error ---\n{failed:#}"),
                Err(_) => "\n--- the last look did not come back in time ---".to_owned(),
            };
            if start.elapsed() >= self.within {
                bail!(
                    "not so after {:?}: {}\n--- last seen ---\n{seen}{error}{}",
                    self.within,
                    self.condition,
                    report::tails(&self.logs)
                );
            }
            tokio::time::sleep(self.interval).await;
        }
    }
}

enum Look<T> {
    Holds(T),
    Not(String),
}

/// The object as YAML, without the managed fields, which nobody reads.
pub fn yaml<K: Serialize>(object: &K) -> String {
    let mut value = serde_json::to_value(object).unwrap_or(Value::Null);
    if let Some(metadata) = value
        .pointer_mut("/metadata")
        .and_then(Value::as_object_mut)
    {
        metadata.remove("managedFields");
    }
    yaml_serde::to_string(&value).unwrap_or_else(|error| error.to_string())
}

/// The condition of type `kind` in `status.conditions` of any object.
pub fn condition<K: Serialize>(object: &K, kind: &str) -> Option<Value> {
    let mut value = serde_json::to_value(object).ok()?;
    let conditions = value.pointer_mut("/status/conditions")?.as_array_mut()?;
    let index = conditions
        .iter()
        .position(|condition| condition["type"] == kind)?;
    Some(conditions.swap_remove(index))
}

/// The message of the condition of type `kind`; empty where there is none.
pub fn message<K: Serialize>(object: &K, kind: &str) -> String {
    condition(object, kind)
        .and_then(|condition| condition["message"].as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Whether `status.conditions` has type `kind` with `status` for the object's own generation
/// (where the condition says which generation it speaks of).
pub fn has_condition<K: Serialize>(object: &K, kind: &str, status: &str) -> bool {
    current(object, kind).is_some_and(|condition| condition["status"] == status)
}

/// As [`has_condition`], for a reason.
pub fn has_reason<K: Serialize>(object: &K, kind: &str, status: &str, reason: &str) -> bool {
    current(object, kind)
        .is_some_and(|condition| condition["status"] == status && condition["reason"] == reason)
}

/// As [`has_condition`], for a reason with whatever status.
pub fn is_because<K: Serialize>(object: &K, kind: &str, reason: &str) -> bool {
    current(object, kind).is_some_and(|condition| condition["reason"] == reason)
}

/// The condition of type `kind`, unless it says that it speaks of another generation.
fn current<K: Serialize>(object: &K, kind: &str) -> Option<Value> {
    let value = serde_json::to_value(object).ok()?;
    let generation = value.pointer("/metadata/generation");
    condition(object, kind).filter(|condition| {
        let observed = condition.get("observedGeneration");
        observed.is_none() || generation.is_none() || observed == generation
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use serde_json::json;

    use super::{Wait, has_condition, has_reason};

    #[test]
    fn a_condition_of_an_older_generation_does_not_count() {
        let object = |observed: u32| {
            json!({
                "metadata": { "generation": 2 },
                "status": { "conditions": [{
                    "type": "Ready", "status": "True", "reason": "Up", "observedGeneration": observed,
                }] },
            })
        };
        assert!(has_condition(&object(2), "Ready", "True"));
        assert!(!has_condition(&object(1), "Ready", "True"));
        assert!(has_reason(&object(2), "Ready", "True", "Up"));
        assert!(!has_reason(&object(2), "Ready", "True", "Down"));
    }

    #[tokio::test]
    async fn a_failed_wait_names_the_condition_and_what_was_seen() {
        let wait = Wait::new("the moon is full").within(Duration::from_millis(1));
        let error = wait
            .explained(async || Ok(Err::<(), _>("half".to_owned())))
            .await;
        let text = format!("{:#}", error.unwrap_err());
        assert!(
            text.contains("the moon is full") && text.contains("half"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_failed_wait_shows_the_last_error() {
        let wait = Wait::new("it answers").within(Duration::from_millis(1));
        let error = wait
            .value::<()>(async || Err(anyhow::anyhow!("refused")))
            .await;
        assert!(format!("{:#}", error.unwrap_err()).contains("refused"));
    }
}
