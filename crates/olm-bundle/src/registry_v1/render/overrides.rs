//! What an administrator's configuration changes in a Deployment.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Container, EnvVar, NodeAffinity, PodAffinity, PodAntiAffinity, PodSpec,
    PodTemplateSpec, ResourceRequirements, Volume, VolumeMount,
};

use crate::registry_v1::config::DeploymentConfig;

/// Changes a pod template: annotations where it has none of the key, then the pod and each of its
/// containers. Init containers stay as they are.
pub(super) fn apply(config: &DeploymentConfig, template: &mut PodTemplateSpec) {
    if !config.annotations.is_empty() {
        let metadata = template.metadata.get_or_insert_default();
        let annotations = metadata.annotations.get_or_insert_default();
        for (key, value) in &config.annotations {
            annotations
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
    }
    if let Some(pod) = &mut template.spec {
        change_pod(config, pod);
        for container in &mut pod.containers {
            change_container(config, container);
        }
    }
}

fn change_pod(config: &DeploymentConfig, pod: &mut PodSpec) {
    if !config.volumes.is_empty() {
        replace_or_append(pod.volumes.get_or_insert_default(), &config.volumes);
    }
    if !config.tolerations.is_empty() {
        append_new(pod.tolerations.get_or_insert_default(), &config.tolerations);
    }
    if let Some(selector) = &config.node_selector {
        pod.node_selector = Some(selector.clone()).filter(|selector| !selector.is_empty());
    }
    if let Some(affinity) = &config.affinity {
        pod.affinity = merged(pod.affinity.take().unwrap_or_default(), affinity);
    }
}

fn change_container(config: &DeploymentConfig, container: &mut Container) {
    if !config.env.is_empty() {
        replace_or_append(container.env.get_or_insert_default(), &config.env);
    }
    if !config.env_from.is_empty() {
        append_new(container.env_from.get_or_insert_default(), &config.env_from);
    }
    if !config.volume_mounts.is_empty() {
        let mounts = container.volume_mounts.get_or_insert_default();
        replace_or_append(mounts, &config.volume_mounts);
    }
    if let Some(resources) = &config.resources {
        container.resources =
            Some(resources.clone()).filter(|it| *it != ResourceRequirements::default());
    }
}

/// Something that is found by its name.
trait Named {
    fn name(&self) -> &str;
}

impl Named for EnvVar {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for Volume {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for VolumeMount {
    fn name(&self) -> &str {
        &self.name
    }
}

/// Each new entry takes the place of the one of its name (the last one where there are several),
/// or comes after all. New entries do not replace each other: what of two counts is decided where
/// it is for entries that were shipped twice.
fn replace_or_append<T: Named + Clone>(entries: &mut Vec<T>, new: &[T]) {
    let places: BTreeMap<String, usize> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| (entry.name().to_owned(), index))
        .collect();
    for entry in new {
        match places
            .get(entry.name())
            .and_then(|index| entries.get_mut(*index))
        {
            Some(place) => *place = entry.clone(),
            None => entries.push(entry.clone()),
        }
    }
}

fn append_new<T: PartialEq + Clone>(entries: &mut Vec<T>, new: &[T]) {
    for entry in new {
        if !entries.contains(entry) {
            entries.push(entry.clone());
        }
    }
}

/// An affinity without parts removes all; else each part that is there replaces its like, and an
/// empty one removes it. Nothing is left of an affinity without parts.
fn merged(mut affinity: Affinity, new: &Affinity) -> Option<Affinity> {
    if *new == Affinity::default() {
        return None;
    }
    if let Some(part) = &new.node_affinity {
        affinity.node_affinity = Some(part.clone()).filter(|part| !is_empty_node(part));
    }
    if let Some(part) = &new.pod_affinity {
        affinity.pod_affinity = Some(part.clone()).filter(|part| !is_empty_pod(part));
    }
    if let Some(part) = &new.pod_anti_affinity {
        affinity.pod_anti_affinity = Some(part.clone()).filter(|part| !is_empty_anti(part));
    }
    (affinity != Affinity::default()).then_some(affinity)
}

fn is_empty_node(part: &NodeAffinity) -> bool {
    part.required_during_scheduling_ignored_during_execution
        .as_ref()
        .is_none_or(|required| required.node_selector_terms.is_empty())
        && is_empty(
            part.preferred_during_scheduling_ignored_during_execution
                .as_ref(),
        )
}

fn is_empty_pod(part: &PodAffinity) -> bool {
    is_empty(
        part.required_during_scheduling_ignored_during_execution
            .as_ref(),
    ) && is_empty(
        part.preferred_during_scheduling_ignored_during_execution
            .as_ref(),
    )
}

fn is_empty_anti(part: &PodAntiAffinity) -> bool {
    is_empty(
        part.required_during_scheduling_ignored_during_execution
            .as_ref(),
    ) && is_empty(
        part.preferred_during_scheduling_ignored_during_execution
            .as_ref(),
    )
}

fn is_empty<T>(list: Option<&Vec<T>>) -> bool {
    list.is_none_or(Vec::is_empty)
}
