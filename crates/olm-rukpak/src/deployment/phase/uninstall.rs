//! Taking an installation away.

use std::time::Duration;

use jiff::SignedDuration;
use kube::ResourceExt as _;
use olm_api::annotations::ABANDON_INSTANCES;
use olm_api::bundle_deployment::{BundleDeployment, CrdDeletionPolicy};
use olm_api::conditions::{UNINSTALLING, deployment as reasons};
use olm_api::names::FINALIZER_BUNDLE_DEPLOYMENT;
use olm_apply::{InstanceCount, Owner, Uninstall, UninstallOptions};
use olm_runtime::{Action, Pass, conditions, finalizer};

use crate::deployment::error::DeploymentError;
use crate::deployment::status::{Findings, Said};
use crate::deployment::{DeploymentReconciler, certificates, inventory};

/// Pause between two looks at what is still going, and how long it may take until it is looked at
/// less often and the way out is named.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const LOOK_LATER: Duration = Duration::from_secs(10);
const LATE: SignedDuration = SignedDuration::from_mins(5);

impl DeploymentReconciler {
    /// One step of the removal. Nothing is remembered between steps; the finalizer goes last.
    pub(crate) async fn uninstall(
        &self,
        object: &BundleDeployment,
        pass: &Pass,
    ) -> Result<Action, DeploymentError> {
        if !finalizer::has(object, FINALIZER_BUNDLE_DEPLOYMENT) {
            return Ok(Action::AwaitChange);
        }
        let owner = Owner::bundle_deployment(object.name_any());
        let recalled;
        let object = if inventory::of(object.status.as_ref()).objects.is_empty() {
            // Nothing was applied, or nobody remembers: only the cluster knows.
            recalled = self.recall(object.clone(), pass).await?;
            &recalled
        } else {
            object
        };
        let installed = inventory::ids(&inventory::of(object.status.as_ref()));
        let retains = object.spec.crd_deletion_policy == Some(CrdDeletionPolicy::Retain);
        let begun = object
            .status
            .as_ref()
            .is_some_and(|status| conditions::get(&status.conditions, UNINSTALLING).is_some());
        if !begun && !installed.is_empty() {
            let counts = self.applier.remaining_instances(&owner, &installed).await?;
            self.say(
                object,
                announcement(installed.len(), &counts, retains),
                pass,
            )
            .await?;
        }
        let options = UninstallOptions {
            delete_definitions: !retains,
            abandon_instances: object
                .annotations()
                .get(ABANDON_INSTANCES)
                .is_some_and(|value| value == "true"),
            ..UninstallOptions::default()
        };
        match self.applier.uninstall(&owner, &installed, options).await {
            Ok(Uninstall::Done { left }) => {
                let name = object.name_any();
                certificates::remove_authority(&self.client, &self.system_namespace, &name).await?;
                // What was announced above has moved the object on since it was read.
                let live = self.deployments.get_metadata_opt(&name).await;
                let live = live.map_err(|source| DeploymentError::Api("read", source))?;
                if let Some(live) = live.filter(|live| live.uid() == object.uid()) {
                    finalizer::remove(&self.client, &live, FINALIZER_BUNDLE_DEPLOYMENT)
                        .await
                        .map_err(|source| {
                            DeploymentError::Api("remove the finalizer from", source)
                        })?;
                }
                self.undone.forget(&name);
                let left: Vec<String> = left.iter().map(ToString::to_string).collect();
                let removed = installed.len().saturating_sub(left.len());
                tracing::info!(deployment = %name, removed, ?left, "uninstalled");
                self.waker.objects_went();
                Ok(Action::AwaitChange)
            }
            Ok(waiting) => {
                let is_late = object
                    .metadata
                    .deletion_timestamp
                    .as_ref()
                    .is_some_and(|since| pass.now().duration_since(since.0) >= LATE);
                self.say(object, progress(&waiting, is_late), pass).await?;
                let pause = if is_late { LOOK_LATER } else { LOOK_AGAIN };
                Ok(Action::RequeueAfter(pause))
            }
            Err(error) => {
                let error = DeploymentError::from(error);
                self.say(object, error.message(), pass).await?;
                Err(error)
            }
        }
    }

    /// Rebuilds the inventory from the labels of what is applied, and writes it down.
    pub(crate) async fn recall(
        &self,
        mut object: BundleDeployment,
        pass: &Pass,
    ) -> Result<BundleDeployment, DeploymentError> {
        let owner = Owner::bundle_deployment(object.name_any());
        let found = self.applier.find_owned(&owner).await?;
        if found.is_empty() {
            return Ok(object);
        }
        tracing::warn!(
            objects = found.len(),
            "the inventory was lost and is rebuilt from the labels of what is applied"
        );
        let inventory = inventory::found(&found);
        let findings = Findings {
            inventory: Some(inventory.clone()),
            ..Findings::default()
        };
        self.write_status(&object, &findings, pass).await?;
        object.status.get_or_insert_default().inventory = Some(inventory);
        Ok(object)
    }

    async fn say(
        &self,
        object: &BundleDeployment,
        message: String,
        pass: &Pass,
    ) -> Result<(), DeploymentError> {
        let findings = Findings {
            uninstalling: Some(Said::yes(reasons::UNINSTALLING, message)),
            ..Findings::default()
        };
        self.write_status(object, &findings, pass).await
    }
}

/// What is said before the first delete.
fn announcement(objects: usize, counts: &[InstanceCount], retains: bool) -> String {
    let mut text = format!("removing the {objects} objects of the bundle");
    if retains {
        text.push_str(" but for its definitions");
    }
    if !counts.is_empty() {
        let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
        text.push_str(if retains {
            "; these custom resources stay: "
        } else {
            "; custom resources go with their definitions: "
        });
        text.push_str(&counts.join(", "));
    }
    text
}

/// What is said while something is waited for; custom resources may wait for somebody for ever.
fn progress(waiting: &Uninstall, is_late: bool) -> String {
    match waiting {
        Uninstall::Instances(_) if is_late => format!(
            "{waiting}; for more than 5 minutes: remove what holds them (their finalizers), or set \
             the annotation {ABANDON_INSTANCES} of the BundleDeployment to \"true\" to leave them \
             and their definitions behind"
        ),
        waiting => waiting.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn count() -> InstanceCount {
        InstanceCount {
            definition: "widgets.example.com".to_owned(),
            kind: "Widget".to_owned(),
            count: 2,
            examples: vec!["a/b".to_owned(), "a/c".to_owned()],
            trouble: None,
        }
    }

    #[rstest]
    #[case::delete(7, &[count()], false, "removing the 7 objects of the bundle; custom resources \
        go with their definitions: widgets.example.com (2 left: a/b, a/c)")]
    #[case::nothing_to_lose(1, &[], false, "removing the 1 objects of the bundle")]
    #[case::retain(7, &[count()], true, "removing the 7 objects of the bundle but for its \
        definitions; these custom resources stay: widgets.example.com (2 left: a/b, a/c)")]
    fn instances_are_counted_before_the_first_delete(
        #[case] objects: usize,
        #[case] counts: &[InstanceCount],
        #[case] retains: bool,
        #[case] text: &str,
    ) {
        assert_eq!(announcement(objects, counts, retains), text);
    }

    #[rstest]
    #[case(
        false,
        "waiting for custom resources to be deleted: widgets.example.com (2 left: a/b, a/c)"
    )]
    #[case(
        true,
        "waiting for custom resources to be deleted: widgets.example.com (2 left: a/b, a/c); \
        for more than 5 minutes: remove what holds them (their finalizers), or set the annotation \
        core.rukpak.io/abandon-instances of the BundleDeployment to \"true\" to leave them and their \
        definitions behind"
    )]
    fn the_way_out_is_named_when_it_takes_long(#[case] is_late: bool, #[case] text: &str) {
        let waiting = Uninstall::Instances(vec![count()]);
        assert_eq!(progress(&waiting, is_late), text);
    }
}
