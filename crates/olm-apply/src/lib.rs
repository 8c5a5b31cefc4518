//! Objects in a cluster: discovered, ordered, applied, owned, pruned, judged and watched.
//!
//! **Problem.** A bundle is a list of manifests. Somebody has to bring a cluster to them, keep it
//! there, move it to the next version and take it away again, while other people work on the same
//! cluster and while any process may stop at any instruction.
//!
//! **Model.** An [`Owner`] has an inventory: the identities of everything that may exist because
//! of it. [`Applier::prepare`] makes manifests ready, [`Applier::preflight`] finds out what applying
//! them would do, [`Applier::apply`] does it, [`Applier::prune`] removes what is no longer in them,
//! [`Applier::uninstall`] removes everything. The caller writes the union of the old inventory and
//! [`Plan::inventory`] before it applies, and the new one with [`Pruned::remaining`] after it
//! prunes. [`Applier::read_health`] says whether what is there works; [`ManagedWatches`] says when
//! to look again, and [`Applier::find_owned`] rebuilds an inventory that was lost.
//!
//! **Guarantees.**
//!
//! * No object of a set is written before the API server has accepted every one of them in a dry
//!   run, as far as that is possible.
//! * An object that is not the owner's is never written to and never deleted. Ownership is two
//!   labels; an object of the inventory that lost one or both of them stays the owner's while it
//!   carries the entry of the owner's field manager and nobody else's labels. A Secret that an issuer
//!   of certificates made for an object of the inventory counts as the owner's.
//! * Every call is level-based: it looks at what is there, and calling it again after a kill is
//!   harmless. What is as it should be causes reads and no writes.
//! * A definition is not changed where that could break objects of its kind, unless it is asked for
//!   ([`ObjectSet::allowing_unsafe_upgrades`]).
//! * A definition that has instances is never pruned.
//!
//! ```
//! use olm_apply::{Applier, ApplyError, ApplyOptions, ObjectId, Owner, Placement};
//!
//! async fn install(
//!     client: kube::Client,
//!     objects: Vec<serde_json::Value>,
//!     inventory: &[ObjectId],
//! ) -> Result<Vec<ObjectId>, ApplyError> {
//!     let applier = Applier::new(client, "rukpak-apply");
//!     let owner = Owner::bundle_deployment("etcd");
//!     let placement = Placement {
//!         owner: owner.clone(),
//!         install_namespace: Some("etcd-system".to_owned()),
//!         protected_namespaces: vec!["olm-system".to_owned()],
//!     };
//!     let set = applier.prepare(objects, &placement).await?;
//!     let plan = applier.preflight(set, inventory).await?;
//!     let mut new = plan.inventory(); // the caller writes the union with `inventory` here
//!     let applied = applier.apply(plan, ApplyOptions::default()).await?;
//!     if applied.is_complete() {
//!         let pruned = applier.prune(&owner, inventory, &new).await?;
//!         new.extend(pruned.remaining().cloned());
//!     }
//!     Ok(new)
//! }
//! ```

mod absent;
mod applier;
mod apply;
mod claims;
mod crd_safety;
mod discovery;
mod drift;
mod error;
pub mod health;
mod identity;
mod instances;
mod issued;
mod owned;
mod owner;
pub mod phases;
mod preflight;
mod prepare;
mod prune;
mod removal;
mod requests;
mod uninstall;
mod watch;

pub use applier::Applier;
pub use apply::{Action, Applied, ApplyOptions, ObjectResult};
pub use crd_safety::{Place, UnsafeChange, unsafe_changes};
pub use discovery::{Discovery, Resource};
pub use error::{ApplyError, Refusal, RefusalReason, RequestError};
pub use health::Health;
pub use identity::{IdentityError, ObjectId, ObjectKey};
pub use instances::InstanceCount;
pub use owner::Owner;
pub use phases::Phase;
pub use preflight::Plan;
pub use prepare::{MAX_OBJECTS, ObjectSet, Placement};
pub use prune::Pruned;
pub use uninstall::{Uninstall, UninstallOptions};
pub use watch::{ManagedWatches, WatchOptions};
