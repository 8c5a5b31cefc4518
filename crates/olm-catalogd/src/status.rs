//! What a pass writes: spec, what happened, the time → status. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use olm_api::catalog::{Catalog, CatalogStatus, ResolvedCatalogSource, ResolvedImageSource};
use olm_api::conditions::{self as types, phase, unpack};
use olm_runtime::conditions;
use serde_json::{Map, Value, json};

use crate::error::Unserved;
use crate::messages;
use crate::record::Record;

/// The conditions that catalogd writes; those of others are left alone.
pub(crate) const OWNED: [&str; 4] = [types::UNPACKED, types::DELETE, types::READY, types::STALLED];

/// How a pass ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The registry was asked, and what it has is served.
    Unpacked {
        /// `spec.source.image.ref`.
        reference: String,
        /// The same by digest.
        resolved: String,
        /// When the registry was asked.
        asked: Timestamp,
        /// What the message says beside that.
        noted: Option<String>,
    },
    /// The content that is asked for is not served.
    Failed {
        /// A reason of the condition `Unpacked`.
        reason: &'static str,
        /// The whole message.
        message: String,
        /// Whether only a change of the object can help.
        terminal: bool,
    },
    /// The spec takes the catalog out of use, and nothing is served.
    Unavailable,
    /// The clean-up before deletion failed; this is the whole message.
    DeleteFailed(String),
}

impl Outcome {
    /// The last success, as the status tells it.
    pub(crate) fn of_status(catalog: &Catalog, noted: Option<String>) -> Option<Self> {
        let resolved = catalog.status.as_ref()?.resolved_source.as_ref()?;
        let image = resolved.image.as_ref()?;
        Some(Self::Unpacked {
            reference: image.reference.clone(),
            resolved: image.resolved_ref.clone(),
            asked: image.last_poll_attempt.0,
            noted,
        })
    }
}

/// The new status of `catalog`. `served` is the content that the store holds for it after the pass.
pub(crate) fn project(
    catalog: &Catalog,
    outcome: &Outcome,
    served: Option<&Record>,
    content_url: &str,
    now: Timestamp,
) -> CatalogStatus {
    let mut status = catalog.status.clone().unwrap_or_default();
    status.conditions = conditions::owned(&status.conditions, &OWNED);
    let generation = catalog.metadata.generation;
    let mut rows = Rows {
        list: &mut status.conditions,
        generation,
        now,
    };
    match outcome {
        Outcome::Unpacked {
            reference,
            resolved,
            asked,
            noted,
        } => {
            let none = crate::record::BrokenFiles::default();
            let broken = served.map_or(&none, |record| &record.broken);
            let message = messages::unpacked(resolved, broken, noted.as_deref());
            rows.unpacked(true, unpack::SUCCESSFUL, &message);
            status.phase = Some(phase::UNPACKED.to_owned());
            status.observed_generation = generation;
            status.content_image = Some(resolved.clone());
            status.resolved_source = Some(ResolvedCatalogSource {
                kind: catalog.spec.source.kind.clone(),
                image: Some(ResolvedImageSource {
                    reference: reference.clone(),
                    resolved_ref: resolved.clone(),
                    last_poll_attempt: Time(whole_seconds(*asked)),
                    pull_secret: None,
                }),
            });
        }
        Outcome::Failed {
            reason,
            message,
            terminal,
        } => {
            rows.failed(reason, message, *terminal, served);
            status.phase = Some(phase::FAILING.to_owned());
            // What is served stays described (contentURL, contentDigest, contentImage, lastUnpacked),
            // so that readers who know the digest go on and other replicas can still make it; what
            // the spec was resolved to goes, as upstream does.
            status.resolved_source = None;
        }
        Outcome::Unavailable => {
            rows.unpacked(
                false,
                unpack::USER_SPECIFIED_UNAVAILABLE,
                messages::UNAVAILABLE,
            );
            status.phase = Some(phase::PENDING.to_owned());
            status.observed_generation = generation;
            status.resolved_source = None;
            status.content_url = None;
            status.content_digest = None;
            status.content_image = None;
            status.last_unpacked = None;
        }
        Outcome::DeleteFailed(message) => {
            let reason = unpack::FAILED_TO_DELETE;
            rows.set(types::DELETE, false, reason, message);
            rows.set(types::READY, false, reason, message);
        }
    }
    if let Some(record) = served {
        status.content_url = Some(content_url.to_owned());
        status.content_digest = Some(record.digest.as_str().to_owned());
        status.last_unpacked = Some(Time(whole_seconds(record.unpacked)));
    }
    status
}

/// The new status of an object that does not decode, made from its status as it stands: what cannot
/// be understood of it stays.
pub(crate) fn project_undecodable(
    status: &Value,
    generation: Option<i64>,
    failure: &Unserved,
    served: Option<&Record>,
    content_url: &str,
    now: Timestamp,
) -> Value {
    let mut status = match status {
        Value::Object(fields) => fields.clone(),
        _ => Map::new(),
    };
    let known = status.get("conditions").and_then(Value::as_array);
    let known: Vec<Condition> = known
        .into_iter()
        .flatten()
        .filter_map(|row| serde_json::from_value(row.clone()).ok())
        .collect();
    let mut list = conditions::owned(&known, &OWNED);
    let mut rows = Rows {
        list: &mut list,
        generation,
        now,
    };
    rows.failed(
        failure.reason,
        &failure.message,
        failure.is_terminal(),
        served,
    );
    status.insert("conditions".to_owned(), json!(list));
    status.insert("phase".to_owned(), json!(phase::FAILING));
    status.remove("resolvedSource");
    if let Some(record) = served {
        status.insert("contentURL".to_owned(), json!(content_url));
        status.insert("contentDigest".to_owned(), json!(record.digest.as_str()));
        let unpacked = Time(whole_seconds(record.unpacked));
        status.insert("lastUnpacked".to_owned(), json!(unpacked));
    }
    Value::Object(status)
}

/// The conditions of one object, being written.
struct Rows<'a> {
    list: &'a mut Vec<Condition>,
    generation: Option<i64>,
    now: Timestamp,
}

impl Rows<'_> {
    fn set(&mut self, kind: &str, status: bool, reason: &str, message: &str) {
        let (generation, now) = (self.generation, self.now);
        conditions::set(self.list, kind, status, reason, message, generation, now);
    }

    /// `Unpacked` and `Ready`, which say the same.
    fn unpacked(&mut self, status: bool, reason: &str, message: &str) {
        self.set(types::UNPACKED, status, reason, message);
        self.set(types::READY, status, reason, message);
        conditions::remove(self.list, types::STALLED);
    }

    fn failed(&mut self, reason: &str, message: &str, terminal: bool, served: Option<&Record>) {
        let mut message = message.to_owned();
        if let Some(record) = served {
            message.push_str(&messages::still_served(
                record.digest.as_str(),
                record.image.as_str(),
            ));
        }
        self.set(types::UNPACKED, false, reason, &message);
        self.set(types::READY, false, reason, &message);
        if terminal {
            self.set(types::STALLED, true, reason, &message);
        } else {
            conditions::remove(self.list, types::STALLED);
        }
    }
}

/// The API keeps whole seconds; a finer time would differ from what is read back.
pub(crate) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
