//! Bundles and BundleDeployments: fetch, pin, store, render, apply, repair, remove.
//!
//! **Problem.** Somebody names a bundle, often by a tag that may move tomorrow, and wants what is in
//! it to run in the cluster: completely or not at all, repaired when somebody changes it, replaced
//! when the next version comes, and taken away without a trace. The registry may be away, the
//! process may be killed at any instruction, and others work on the same cluster.
//!
//! **Model.** A `Bundle` is content that was fetched once: its controller resolves the source,
//! stores what it found by digest and pins the Bundle to it for ever. A `BundleDeployment` makes the
//! Bundle of its template, renders the stored content and applies the objects through `olm-apply`;
//! what may exist because of it stands in `status.inventory` before it does. Webhooks guard the
//! `spec` of Bundles, and custom resources from changes of their definitions.
//!
//! **Guarantees.**
//!
//! * A Bundle means the same bytes for ever: content that is lost is fetched again by the digest
//!   that was pinned.
//! * What is installed stays installed and repaired while a new template is pending, fails to
//!   unpack or is refused, and while registries are away.
//! * No object of a bundle is written before all of them were tried; nothing that is somebody else's
//!   is written to. The install namespace is made first, as objects in it cannot be tried without
//!   it, and stays.
//! * `Installed` is true only when everything is applied and works, and speaks of a generation.
//! * No progress lives in memory alone.
//!
//! ```
//! use olm_rukpak::{Cli, Command};
//! use clap::Parser as _;
//!
//! let cli = Cli::try_parse_from(["rukpak", "manager", "--storage-dir=/var/cache/rukpak"])?;
//! assert!(matches!(cli.command, Command::Manager(_)));
//! # Ok::<(), clap::Error>(())
//! ```

mod archives;
mod args;
mod bundle;
mod contents;
mod deployment;
mod format;
mod kinds;
mod messages;
mod pin;
mod process;
pub mod rbac;
mod server;
mod source;
mod undecodable;
mod uploads;
mod webhook;

pub use args::{CertificateChoice, Cli, Command, ManagerArgs, WebhooksArgs};
/// The webhooks of the suite's `ValidatingWebhookConfiguration`, for a suite in `namespace`, as the
/// manifests have them. `caBundle` is not in it: rukpak-webhooks writes it.
pub fn webhooks_of_configuration(namespace: &str) -> serde_json::Value {
    webhook::configuration::webhooks(namespace)
}

/// The routes of the admission webhooks, which take `AdmissionReview`s of `admission.k8s.io/v1`.
///
/// `client` is what custom resources, Bundles and the ConfigMaps of `namespace`, the suite's own, are
/// looked up with. A body above 8 MiB is refused with 413, one that is no review with 400; every
/// review is answered, also one whose objects cannot be decoded.
pub fn admission_routes(client: kube::Client, namespace: &str) -> axum::Router {
    webhook::router(client, namespace)
}

pub use process::{RunError, manager, webhooks};
pub use server::ExternalAddressError;
