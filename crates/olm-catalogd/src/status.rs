//! What a pass writes: spec, what happened, the time → status. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use olm_api::catalog::{Catalog, CatalogStatus, ResolvedCatalogSource, ResolvedImageSource};
use olm_api::conditions::{self as types, phase, unpack};
use olm_runtime::conditions;

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
    /// The clean-up before deletion failed; this is the whole message.
    DeleteFailed(String),
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
    let list = &mut status.conditions;
    match outcome {
        Outcome::Unpacked {
            reference,
            resolved,
            asked,
        } => {
            let none = crate::record::BrokenFiles::default();
            let broken = served.map_or(&none, |record| &record.broken);
            let message = messages::unpacked(resolved, broken);
            let reason = unpack::SUCCESSFUL;
            conditions::set(
                list,
                types::UNPACKED,
                true,
                reason,
                &message,
                generation,
                now,
            );
            conditions::set(list, types::READY, true, reason, &message, generation, now);
            conditions::remove(list, types::STALLED);
            status.phase = Some(phase::UNPACKED.to_owned());
            status.observed_generation = generation;
            status.resolved_source = Some(ResolvedCatalogSource {
                kind: catalog.spec.source.kind.clone(),
                image: Some(ResolvedImageSource {
                    reference: reference.clone(),
                    resolved_ref: resolved.clone(),
                    last_poll_attempt: Time(whole_seconds(*asked)),
                    pull_secret: None,
                }),
            });
            if let Some(record) = served {
                status.content_url = Some(content_url.to_owned());
                status.content_digest = Some(record.digest.as_str().to_owned());
                status.last_unpacked = Some(Time(whole_seconds(record.unpacked)));
            }
        }
        Outcome::Failed {
            reason,
            message,
            terminal,
        } => {
            let mut message = message.clone();
            if let Some(record) = served {
                message.push_str(&messages::still_served(
                    record.digest.as_str(),
                    record.image.as_str(),
                ));
            }
            conditions::set(
                list,
                types::UNPACKED,
                false,
                reason,
                &message,
                generation,
                now,
            );
            conditions::set(list, types::READY, false, reason, &message, generation, now);
            if *terminal {
                conditions::set(
                    list,
                    types::STALLED,
                    true,
                    reason,
                    &message,
                    generation,
                    now,
                );
            } else {
                conditions::remove(list, types::STALLED);
            }
            status.phase = Some(phase::FAILING.to_owned());
            // What is served stays described (contentURL, contentDigest, lastUnpacked), so that
            // readers who know the digest go on; what it was resolved from goes, as upstream does.
            status.resolved_source = None;
        }
        Outcome::DeleteFailed(message) => {
            let reason = unpack::FAILED_TO_DELETE;
            conditions::set(list, types::DELETE, false, reason, message, generation, now);
            conditions::set(list, types::READY, false, reason, message, generation, now);
        }
    }
    status
}

/// The API keeps whole seconds; a finer time would differ from what is read back.
pub(crate) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
