//! Taking an installation away, in an order in which everything can still finish its work.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use tokio::time::{Instant, sleep};

use crate::applier::{Applier, WIDTH};
use crate::error::ApplyError;
use crate::identity::ObjectId;
use crate::instances::InstanceCount;
use crate::owner::Owner;
use crate::phases::Phase;
use crate::removal::Removal;

/// What an uninstall may take away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UninstallOptions {
    /// Whether definitions go, and with them every object of their kinds. Default yes.
    pub delete_definitions: bool,
    /// Whether to stop waiting for objects of the defined kinds that do not go. They and their
    /// definitions are then left behind. Default no.
    pub abandon_instances: bool,
    /// How long one call looks on while objects go, before it answers that it waits. Default 2 s.
    pub look_on: Duration,
}

impl Default for UninstallOptions {
    fn default() -> Self {
        Self {
            delete_definitions: true,
            abandon_instances: false,
            look_on: Duration::from_secs(2),
        }
    }
}

/// How an uninstall stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Uninstall {
    /// Nothing is left to do.
    Done {
        /// What was left on purpose: definitions that are retained or abandoned, namespaces with
        /// objects of others in them, and objects that are somebody else's now.
        left: Vec<ObjectId>,
    },
    /// Objects of the defined kinds are still going; everything else still runs, so that whoever
    /// finalises them can.
    Instances(Vec<InstanceCount>),
    /// Applied objects are still going.
    Objects {
        /// The phase that is being taken away.
        phase: Phase,
        /// What is left of it.
        remaining: Vec<ObjectId>,
    },
}

impl Uninstall {
    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

/// Names of what is waited for that a message lists; the rest is counted.
const LISTED: usize = 10;

impl fmt::Display for Uninstall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |names: Vec<String>| match names.len().checked_sub(LISTED) {
            None | Some(0) => names.join(", "),
            Some(more) => format!("{} and {more} more", names[..LISTED].join(", ")),
        };
        match self {
            Self::Done { .. } => f.write_str("uninstalled"),
            Self::Instances(counts) => {
                let counts = counts.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "waiting for custom resources to be deleted: {}",
                    names(counts)
                )
            }
            Self::Objects { phase, remaining } => {
                let remaining = remaining.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "waiting for {} to be deleted: {}",
                    phase.describe(),
                    names(remaining)
                )
            }
        }
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Whether a definition, by its name (`plural.group`), is one of this group.
fn defines(definition: &str, group: &str) -> bool {
    definition
        .split_once('.')
        .is_some_and(|(_, of)| !group.is_empty() && of == group)
}

impl Applier {
    /// Counts the objects of every kind that the inventory defines, for the report before the
    /// first delete; kinds without objects are left out.
    ///
    /// # Errors
    ///
    /// The API server does not answer.
    pub async fn remaining_instances(
        &self,
        owner: &Owner,
        inventory: &[ObjectId],
    ) -> Result<Vec<InstanceCount>, ApplyError> {
        // Owned: a stream that borrows here makes a future that cannot be boxed.
        let definitions: Vec<ObjectId> =
            inventory.iter().filter(|id| id.is_crd()).cloned().collect();
        let mut counts = Vec::new();
        let mut looks = stream::iter(definitions)
            .map(|id| async move {
                // A definition that is no longer the owner's, and its objects, are not touched.
                if self.is_there(owner, &id).await? {
                    self.count_instances(&id).await
                } else {
                    Ok(None)
                }
            })
            .buffered(WIDTH);
        while let Some(found) = looks.next().await {
            counts.extend(found?.filter(InstanceCount::may_remain));
        }
        drop(looks);
        Ok(counts)
    }

    /// Takes one more step of an uninstall, as far as it goes without waiting long.
    ///
    /// Nothing is remembered between calls: each looks at what is there. First go the objects of
    /// the kinds that the inventory defines, while the workloads that finalise them still run;
    /// then everything else, phase by phase in reverse order, each only when the one before it is
    /// gone. What is somebody else's now is left; what lost its labels and is nobody else's is
    /// still the owner's as long as its record names the owner's field manager.
    ///
    /// # Errors
    ///
    /// The first object that cannot be read or deleted.
    pub async fn uninstall(
        &self,
        owner: &Owner,
        inventory: &[ObjectId],
        options: UninstallOptions,
    ) -> Result<Uninstall, ApplyError> {
        let deadline = Instant::now() + options.look_on;
        let mut left = Vec::new();
        if options.delete_definitions {
            let stuck = self
                .remove_instances(owner, inventory, deadline, options)
                .await?;
            if !stuck.is_empty() && !options.abandon_instances {
                return Ok(Uninstall::Instances(stuck));
            }
            let abandoned = |id: &&ObjectId| {
                stuck.iter().any(|found| {
                    let instance = id.kind == found.kind && defines(&found.definition, &id.group);
                    instance || (id.is_crd() && found.definition == id.name)
                })
            };
            left.extend(inventory.iter().filter(abandoned).cloned());
        } else {
            left.extend(inventory.iter().filter(|id| id.is_crd()).cloned());
        }
        // The inventory's own custom resources, where their definitions stay: they share a phase
        // with the workloads that finalise them.
        let is_own_instance = |id: &ObjectId| {
            inventory
                .iter()
                .any(|crd| crd.is_crd() && defines(&crd.name, &id.group))
        };
        let first = std::iter::once((Phase::Workloads, true));
        let rest = Phase::ALL.into_iter().rev().map(|phase| (phase, false));
        for (phase, only_instances) in first.chain(rest) {
            let doomed: Vec<&ObjectId> = inventory
                .iter()
                .filter(|id| Phase::of_object(id) == phase && !left.contains(id))
                .filter(|id| !only_instances || is_own_instance(id))
                .collect();
            let mut going = Vec::new();
            for (id, removal) in self.remove_all(owner, &doomed).await? {
                match removal {
                    Removal::Gone => {}
                    Removal::Going => going.push(id),
                    Removal::NotOurs | Removal::Occupied => left.push(id),
                }
            }
            let remaining = self.await_gone(owner, going, deadline).await?;
            if !remaining.is_empty() {
                return Ok(Uninstall::Objects { phase, remaining });
            }
        }
        Ok(Uninstall::Done { left })
    }

    async fn remove_instances(
        &self,
        owner: &Owner,
        inventory: &[ObjectId],
        deadline: Instant,
        options: UninstallOptions,
    ) -> Result<Vec<InstanceCount>, ApplyError> {
        let mut remaining = self.remaining_instances(owner, inventory).await?;
        if remaining.is_empty() || options.abandon_instances {
            return Ok(remaining);
        }
        let mut trouble = BTreeMap::new();
        for id in inventory.iter().filter(|id| id.is_crd()) {
            if remaining.iter().any(|found| found.definition == id.name)
                && let Some(why) = self.delete_instances(id).await?
            {
                trouble.insert(id.name.clone(), why);
            }
        }
        loop {
            remaining = self.remaining_instances(owner, inventory).await?;
            for found in &mut remaining {
                let why = trouble.get(&found.definition).cloned();
                found.trouble = found.trouble.take().or(why);
            }
            if remaining.is_empty() || Instant::now() >= deadline {
                return Ok(remaining);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn await_gone(
        &self,
        owner: &Owner,
        mut going: Vec<ObjectId>,
        deadline: Instant,
    ) -> Result<Vec<ObjectId>, ApplyError> {
        loop {
            let mut remaining = Vec::new();
            for id in going {
                if self.is_there(owner, &id).await? {
                    remaining.push(id);
                }
            }
            if remaining.is_empty() || Instant::now() >= deadline {
                return Ok(remaining);
            }
            going = remaining;
            sleep(LOOK_AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_waits_for() {
        let count = |count, examples: &[&str]| InstanceCount {
            definition: "things.x.io".into(),
            kind: "Thing".into(),
            count,
            examples: examples.iter().map(ToString::to_string).collect(),
            trouble: None,
        };
        let waiting = Uninstall::Instances(vec![count(1, &["ns/a"]), count(9, &["a", "b", "c"])]);
        assert_eq!(
            waiting.to_string(),
            "waiting for custom resources to be deleted: \
             things.x.io (1 left: ns/a), things.x.io (9 left: a, b, c, …)"
        );
        let mut unreadable = count(0, &[]);
        unreadable.trouble = Some("they cannot be listed: no".into());
        let mut held = count(2, &["a", "b"]);
        held.trouble = Some("Thing \"a\" cannot be deleted: no".into());
        assert_eq!(
            Uninstall::Instances(vec![unreadable, held]).to_string(),
            "waiting for custom resources to be deleted: things.x.io (they cannot be listed: no), \
             things.x.io (2 left: a, b; Thing \"a\" cannot be deleted: no)"
        );
        let pod = |name: usize| ObjectId {
            group: String::new(),
            version: "v1".into(),
            kind: "Pod".into(),
            namespace: None,
            name: name.to_string(),
        };
        let waiting = Uninstall::Objects {
            phase: Phase::Workloads,
            remaining: (0..12).map(pod).collect(),
        };
        let text = waiting.to_string();
        assert!(text.starts_with("waiting for workloads to be deleted: Pod \"0\", "));
        assert!(text.ends_with("Pod \"9\" and 2 more"));
    }

    #[test]
    fn tells_the_group_of_a_definition_from_its_name() {
        assert!(defines("things.x.io", "x.io"));
        assert!(!defines("things.x.io", "io"));
        assert!(!defines("things", ""));
    }
}
