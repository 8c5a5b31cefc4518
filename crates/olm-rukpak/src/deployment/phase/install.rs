//! Bringing the cluster to a bundle, and keeping it there.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use olm_api::bundle_deployment::{BundleDeployment, CrdUpgradeSafety, Inventory};
use olm_api::names;
use olm_apply::{
    Action, ApplyError, ApplyOptions, Health, ObjectId, ObjectSet, Owner, Phase, Placement, Plan,
};
use olm_runtime::Pass;
use serde_json::{Value, json};

use super::load::Loaded;
use crate::deployment::error::DeploymentError;
use crate::deployment::status::{Findings, Stay};
use crate::deployment::{DeploymentReconciler, inventory};

/// How soon to look whether definitions that were kept may go.
const KEPT_AGAIN: Duration = Duration::from_mins(5);

/// What for a bundle is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// To install it: what was there before goes once it works.
    Install,
    /// To repair it: it is installed.
    Repair,
}

/// How far a bundle got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Everything is applied, and what is obsolete is gone.
    Complete,
    /// Something is waited for; in words.
    Waiting(String),
}

/// What came of applying a bundle.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub(crate) progress: Progress,
    /// The first phase of which something is waited for.
    pub(crate) phase: Option<Phase>,
    /// Health of everything that is applied so far.
    pub(crate) health: Health,
    /// When to look again, for the sake of certificates.
    pub(crate) look_again: Option<Duration>,
    /// Whether every change of what is applied leads to another pass by itself.
    pub(crate) is_watched: bool,
}

impl DeploymentReconciler {
    /// Takes the next steps towards `loaded`, as far as they go without waiting long.
    ///
    /// No object is written before all of them were tried, and none of a new bundle before all of
    /// them were accepted; what may exist is written to the status before the first object is. The
    /// install namespace comes before all that and belongs to nobody.
    pub(crate) async fn bring(
        &self,
        object: &BundleDeployment,
        loaded: Loaded,
        aim: Aim,
        findings: &mut Findings,
        pass: &Pass,
    ) -> Result<Installation, DeploymentError> {
        let Loaded {
            bundle,
            objects,
            namespace,
            look_again,
        } = loaded;
        let owner = Owner::bundle_deployment(object.name_any());
        let before = inventory::of(object.status.as_ref());
        let known = inventory::ids(&before);

        let ships_namespace = namespace
            .as_deref()
            .is_some_and(|name| ships(&objects, name));
        let placement = Placement {
            owner: owner.clone(),
            install_namespace: namespace.clone(),
            protected_namespaces: vec![self.system_namespace.clone()],
        };
        let mut set = self.applier.prepare(objects, &placement).await?;
        if object.spec.crd_upgrade_safety == Some(CrdUpgradeSafety::None) {
            set = set.allowing_unsafe_upgrades();
        } else if aim == Aim::Repair {
            set = set.keeping_these_definitions(before.kept_definitions.iter().cloned());
        } else if inventory::goes_back(&before, &bundle) {
            // Custom resources may have been written by the definitions of what is left.
            set = set.keeping_definitions();
        }
        if let Some(name) = &namespace
            && !ships_namespace
            && uses(&set, name)
        {
            self.ensure_namespace(name).await?;
        }
        // What is installed is repaired as far as it can be; a new bundle is applied whole or not.
        let (plan, refusals) = match aim {
            Aim::Install => (self.applier.preflight(set, &known).await?, Vec::new()),
            Aim::Repair => self.applier.preflight_each(set, &known).await?,
        };
        let new = plan.inventory();
        let kept = Kept::of(&plan);
        if !kept.why.is_empty() {
            findings.kept = Some(Stay {
                not_taken_back: kept.why,
                ..Stay::default()
            });
        }
        let is_known = covers(&before, &new);
        if !refusals.is_empty() && !is_known {
            return Err(ApplyError::Refused(refusals).into());
        }
        let mut is_watched = self.watches.ensure(&new).await?;

        let begins = !plan.is_settled() && before.applying.as_ref() != Some(&bundle);
        if !is_known || (aim == Aim::Install && begins) {
            findings.inventory = Some(inventory::before(&before, &bundle, &new));
            self.write_status(object, findings, pass).await?;
        }
        let options = ApplyOptions {
            // Whom a webhook leads to must be there before the first one is; later, what is ill may
            // need just the webhook that is repaired.
            wait_for_workloads: aim == Aim::Install,
            undo_refused: aim == Aim::Install && before.installed.is_none(),
            ..ApplyOptions::default()
        };
        let applied = self.applier.apply(plan, options).await?;
        let brings_kinds = applied.results.iter().any(|result| {
            Phase::of_object(&result.id) == Phase::CustomResourceDefinitions
                && matches!(result.action, Action::Created | Action::Changed)
        });
        if applied.written() > 0 {
            tracing::info!(bundle = %bundle.bundle, written = applied.written(), "applied objects");
            is_watched = self.watches.ensure(&new).await?;
        }
        if brings_kinds {
            self.waker.kinds_came();
        }

        if !refusals.is_empty() {
            // The plan speaks of a part of the bundle: nothing must be pruned by it.
            return Err(ApplyError::Refused(refusals).into());
        }

        let there: Vec<ObjectId> = applied
            .results
            .iter()
            .map(|result| result.id.clone())
            .collect();
        let health = self.applier.read_health(&there).await?;
        let phase = first_problem(&health);
        if !applied.is_complete() {
            let progress = Progress::Waiting(waiting(&health, &applied.waiting));
            return Ok(Installation {
                progress,
                // Beside workloads only definitions are waited for in between.
                phase: phase.or(Some(Phase::CustomResourceDefinitions)),
                health,
                look_again,
                is_watched,
            });
        }
        if aim == Aim::Install && !health.is_healthy() {
            let progress = Progress::Waiting(waiting(&health, &[]));
            return Ok(Installation {
                progress,
                phase,
                health,
                look_again,
                is_watched,
            });
        }
        findings.prunes = true;
        let pruned = self.applier.prune(&owner, &known, &new).await?;
        if !pruned.removed.is_empty() {
            tracing::info!(bundle = %bundle.bundle, removed = pruned.removed.len(), "pruned objects");
        }
        if !pruned.released.is_empty() {
            let released: Vec<String> = pruned.released.iter().map(ToString::to_string).collect();
            tracing::info!(bundle = %bundle.bundle, ?released, "left what is somebody else's now");
        }
        findings.inventory = Some(inventory::after(
            &bundle,
            kept.names,
            &new,
            pruned.remaining(),
        ));
        findings.install_namespace = namespace;
        // Custom resources are not watched: whether they are gone is seen by looking.
        let kept_again = (!pruned.kept.is_empty()).then(|| olm_runtime::spread(KEPT_AGAIN));
        let look_again = look_again.into_iter().chain(kept_again).min();
        findings.kept.get_or_insert_default().instances = pruned
            .kept
            .iter()
            .map(|(_, count)| count.to_string())
            .collect();
        Ok(Installation {
            progress: Progress::Complete,
            phase: None,
            health,
            look_again,
            is_watched,
        })
    }

    /// Makes the install namespace where there is none. It is nobody's and never deleted: what
    /// users put beside the operator must not go with it.
    async fn ensure_namespace(&self, name: &str) -> Result<(), DeploymentError> {
        let failed = |source| DeploymentError::MakeNamespace {
            namespace: name.to_owned(),
            source,
        };
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        if namespaces.get_opt(name).await.map_err(failed)?.is_some() {
            return Ok(());
        }
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let parameters = PatchParams::apply(names::MANAGER_RUKPAK);
        namespaces
            .patch(name, &parameters, &Patch::Apply(&body))
            .await
            .map_err(failed)?;
        tracing::info!(namespace = name, "made the install namespace");
        Ok(())
    }
}

/// Definitions that stay as they are, though what runs has others.
#[derive(Debug, Default)]
struct Kept {
    names: Vec<String>,
    /// Why, a line for each change.
    why: Vec<String>,
}

impl Kept {
    fn of(plan: &Plan) -> Self {
        let mut kept = Self::default();
        for (id, refusals) in plan.kept() {
            kept.names.push(id.name.clone());
            kept.why.extend(refusals.iter().map(ToString::to_string));
        }
        kept.names.sort();
        kept.why.sort();
        kept
    }
}

/// Whether the objects bring the namespace `name` themselves.
fn ships(objects: &[Value], name: &str) -> bool {
    objects.iter().any(|object| {
        object["kind"] == "Namespace"
            && object["apiVersion"] == "v1"
            && object["metadata"]["name"] == name
    })
}

/// Whether the set needs the namespace `name`.
fn uses(set: &ObjectSet, name: &str) -> bool {
    set.ids().any(|id| id.namespace.as_deref() == Some(name))
}

/// Whether the inventory names every object of `new`, in the version that it is applied in.
fn covers(inventory: &Inventory, new: &[ObjectId]) -> bool {
    let known: std::collections::HashSet<ObjectId> =
        inventory::ids(inventory).into_iter().collect();
    new.iter().all(|id| known.contains(id))
}

/// The first phase in which something does not work.
fn first_problem(health: &Health) -> Option<Phase> {
    let problems = health.problems().iter();
    problems.map(|(id, _)| Phase::of_object(id)).min()
}

/// What is waited for, in words.
fn waiting(health: &Health, lines: &[String]) -> String {
    let mut reasons: Vec<String> = health
        .problems()
        .iter()
        .map(|(id, text)| format!("{id}: {text}"))
        .collect();
    if reasons.is_empty() {
        reasons = lines.to_vec();
    }
    format!("waiting for {}", reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_named() {
        let lines = ["CustomResourceDefinition \"a\" is not established".to_owned()];
        assert_eq!(
            waiting(&Health::default(), &lines),
            "waiting for CustomResourceDefinition \"a\" is not established"
        );
    }

    #[test]
    fn a_bundle_that_ships_its_namespace_owns_it() {
        let objects = [json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})];
        assert!(ships(&objects, "a"));
        assert!(!ships(&objects, "b"));
    }
}
