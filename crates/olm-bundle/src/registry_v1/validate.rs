//! Everything that makes a bundle unusable whatever its configuration.

use std::collections::{BTreeMap, BTreeSet};

use super::csv::{Webhook, WebhookKind};
use super::validation_error::{ValidationError, ValidationErrors};
use super::{Bundle, InstallMode, crd, crd_v1beta1};
use crate::manifests::Manifest;

/// Kinds besides ClusterServiceVersion and CustomResourceDefinition that a bundle may ship, and
/// whether they live in a namespace. Groups are not looked at: bundles ship custom resources of
/// these kinds.
const KINDS: &[(&str, Scope)] = &[
    ("ClusterRole", Scope::Cluster),
    ("ClusterRoleBinding", Scope::Cluster),
    ("ConfigMap", Scope::Namespaced),
    ("ConsoleCLIDownload", Scope::Cluster),
    ("ConsoleLink", Scope::Cluster),
    ("ConsolePlugin", Scope::Cluster),
    ("ConsoleQuickStart", Scope::Cluster),
    ("ConsoleYAMLSample", Scope::Cluster),
    ("NetworkPolicy", Scope::Namespaced),
    ("PodDisruptionBudget", Scope::Namespaced),
    ("PodMonitor", Scope::Namespaced),
    ("PriorityClass", Scope::Cluster),
    ("PrometheusRule", Scope::Namespaced),
    ("Role", Scope::Namespaced),
    ("RoleBinding", Scope::Namespaced),
    ("Secret", Scope::Namespaced),
    ("Service", Scope::Namespaced),
    ("ServiceAccount", Scope::Namespaced),
    ("ServiceMonitor", Scope::Namespaced),
    // Upstream has it as cluster-scoped, which no API server agrees with.
    ("VerticalPodAutoscaler", Scope::Namespaced),
];

/// Where objects of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespaced,
    Cluster,
}

/// Scope of a kind that may be shipped; `None` for others.
pub(crate) fn scope(kind: &str) -> Option<Scope> {
    KINDS
        .iter()
        .find(|(name, _)| *name == kind)
        .map(|(_, scope)| *scope)
}

impl Bundle {
    /// Checks everything that needs no configuration.
    ///
    /// # Errors
    ///
    /// All that is wrong, not only the first.
    pub fn validate(&self) -> Result<(), ValidationErrors> {
        let mut errors = Vec::new();
        if !self.csv.spec.apiservicedefinitions.owned.is_empty() {
            errors.push(ValidationError::ApiServices);
        }
        self.check_deployments(&mut errors);
        self.check_crds(&mut errors);
        if self.package.is_empty() {
            errors.push(ValidationError::PackageName);
        }
        self.check_webhooks(&mut errors);
        self.check_conversions(&mut errors);
        for webhook in &self.csv.spec.webhookdefinitions {
            check_rules(webhook, &mut errors);
        }
        self.check_others(&mut errors);
        if errors.is_empty() {
            Ok(())
        } else {
            Err(ValidationErrors::new(errors))
        }
    }

    fn check_deployments(&self, errors: &mut Vec<ValidationError>) {
        let deployments = &self.csv.spec.install.spec.deployments;
        let names = || {
            deployments
                .iter()
                .map(|deployment| deployment.name.as_str())
        };
        errors.extend(
            repeated(names())
                .into_iter()
                .map(ValidationError::DuplicateDeployment),
        );
        for name in names().collect::<BTreeSet<_>>() {
            let mut reasons = subdomain_problems(name);
            reasons.sort_unstable();
            if !reasons.is_empty() {
                errors.push(ValidationError::DeploymentName {
                    name: name.to_owned(),
                    reasons,
                });
            }
        }
    }

    fn check_crds(&self, errors: &mut Vec<ValidationError>) {
        let names = || self.crds.iter().map(Manifest::name);
        errors.extend(
            repeated(names())
                .into_iter()
                .map(ValidationError::DuplicateCrd),
        );
        let shipped: BTreeSet<&str> = names().collect();
        errors.extend(
            self.owned_crds()
                .difference(&shipped)
                .map(|name| ValidationError::MissingCrd((*name).to_owned())),
        );
        for manifest in &self.crds {
            let api_version = manifest.api_version();
            if api_version == crd_v1beta1::OLD_API_VERSION
                && let Err(loss) = crd_v1beta1::convert(&manifest.object)
            {
                errors.push(ValidationError::CrdConversion {
                    file: manifest.file.clone(),
                    name: manifest.name().to_owned(),
                    reason: loss.to_string(),
                });
            } else if !api_version.is_empty() && api_version != crd::API_VERSION {
                errors.push(ValidationError::CrdVersion {
                    file: manifest.file.clone(),
                    name: manifest.name().to_owned(),
                    api_version: api_version.to_owned(),
                });
            }
            check_identity(manifest, errors);
        }
    }

    fn owned_crds(&self) -> BTreeSet<&str> {
        self.csv
            .spec
            .customresourcedefinitions
            .owned
            .iter()
            .map(|crd| crd.name.as_str())
            .collect()
    }

    /// Webhooks by type and name.
    fn sorted_webhooks(&self) -> Vec<&Webhook> {
        let mut webhooks: Vec<&Webhook> = self.csv.spec.webhookdefinitions.iter().collect();
        webhooks.sort_by_key(|webhook| (&webhook.type_name, &webhook.generate_name));
        webhooks
    }

    fn check_webhooks(&self, errors: &mut Vec<ValidationError>) {
        let modes = self.install_modes();
        if modes != BTreeSet::from([InstallMode::AllNamespaces]) {
            let mut names: Vec<String> = modes.iter().map(ToString::to_string).collect();
            names.sort_unstable();
            errors.extend(self.conversions().map(|webhook| {
                ValidationError::ConversionInstallModes {
                    webhook: webhook.generate_name.clone(),
                    modes: names.join(" "),
                }
            }));
        }
        let sorted = self.sorted_webhooks();
        let deployments: BTreeSet<&str> = self
            .csv
            .spec
            .install
            .spec
            .deployments
            .iter()
            .map(|deployment| deployment.name.as_str())
            .collect();
        let mut orphans: Vec<&Webhook> = sorted
            .iter()
            .copied()
            .filter(|webhook| !deployments.contains(webhook.deployment_name.as_str()))
            .collect();
        orphans.sort_by_key(|webhook| &webhook.deployment_name);
        errors.extend(
            orphans
                .into_iter()
                .map(|webhook| ValidationError::WebhookDeployment {
                    kind: webhook.type_name.clone(),
                    name: webhook.generate_name.clone(),
                    deployment: webhook.deployment_name.clone(),
                }),
        );
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for webhook in &sorted {
            *counts
                .entry((&webhook.type_name, &webhook.generate_name))
                .or_default() += 1;
        }
        errors.extend(
            counts
                .iter()
                .filter(|(_, count)| **count > 1)
                .map(|((kind, name), _)| ValidationError::DuplicateWebhook {
                    kind: (*kind).to_owned(),
                    name: (*name).to_owned(),
                }),
        );
        for webhook in sorted {
            let reasons = subdomain_problems(&webhook.generate_name);
            if !reasons.is_empty() {
                errors.push(ValidationError::WebhookName {
                    kind: webhook.type_name.clone(),
                    name: webhook.generate_name.clone(),
                    reasons,
                });
            }
        }
    }

    fn conversions(&self) -> impl Iterator<Item = &Webhook> {
        self.csv
            .spec
            .webhookdefinitions
            .iter()
            .filter(|webhook| webhook.kind() == WebhookKind::Conversion)
    }

    fn check_conversions(&self, errors: &mut Vec<ValidationError>) {
        let mut by_crd: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for webhook in self.conversions() {
            for crd in &webhook.conversion_crds {
                by_crd
                    .entry(crd)
                    .or_default()
                    .push(webhook.generate_name.clone());
            }
        }
        for (crd, mut webhooks) in by_crd {
            if webhooks.len() > 1 {
                webhooks.sort_unstable();
                let crd = crd.to_owned();
                errors.push(ValidationError::SharedConversion { webhooks, crd });
            }
        }
        let owned = self.owned_crds();
        let mut sorted: Vec<&Webhook> = self.conversions().collect();
        sorted.sort_by_key(|webhook| &webhook.generate_name);
        for webhook in sorted {
            let mut crds: Vec<&String> = webhook.conversion_crds.iter().collect();
            crds.sort_unstable();
            errors.extend(
                crds.into_iter()
                    .filter(|crd| !owned.contains(crd.as_str()))
                    .map(|crd| ValidationError::ForeignConversion {
                        webhook: webhook.generate_name.clone(),
                        crd: crd.clone(),
                    }),
            );
        }
    }

    fn check_others(&self, errors: &mut Vec<ValidationError>) {
        for manifest in &self.others {
            if scope(manifest.kind()).is_none() {
                errors.push(ValidationError::Kind {
                    name: manifest.name().to_owned(),
                    kind: manifest.kind().to_owned(),
                });
            }
        }
        for manifest in &self.others {
            check_identity(manifest, errors);
        }
    }
}

/// What an API server needs to know where an object goes.
fn check_identity(manifest: &Manifest, errors: &mut Vec<ValidationError>) {
    let (file, kind, name) = (
        manifest.file.clone(),
        manifest.kind().to_owned(),
        manifest.name().to_owned(),
    );
    if name.is_empty() {
        errors.push(ValidationError::Name {
            file: file.clone(),
            kind: kind.clone(),
        });
    }
    if manifest.api_version().is_empty() {
        errors.push(ValidationError::ApiVersion { file, kind, name });
    }
}

fn check_rules(webhook: &Webhook, errors: &mut Vec<ValidationError>) {
    const GUARDED: &[&str] = &[
        "*",
        "mutatingwebhookconfiguration",
        "mutatingwebhookconfigurations",
        "validatingwebhookconfiguration",
        "validatingwebhookconfigurations",
    ];
    if !matches!(
        webhook.kind(),
        WebhookKind::Validating | WebhookKind::Mutating
    ) {
        return;
    }
    for rule in &webhook.rules {
        for group in rule.api_groups.iter().flatten() {
            if group == "*" || group == "olm.operatorframework.io" {
                errors.push(ValidationError::ForbiddenGroup {
                    webhook: webhook.generate_name.clone(),
                    group: group.clone(),
                });
            }
            if group == "admissionregistration.k8s.io" {
                errors.extend(
                    rule.resources
                        .iter()
                        .flatten()
                        .filter(|resource| GUARDED.contains(&resource.to_lowercase().as_str()))
                        .map(|resource| ValidationError::ForbiddenResource {
                            webhook: webhook.generate_name.clone(),
                            resource: resource.clone(),
                            group: group.clone(),
                        }),
                );
            }
        }
    }
}

/// The names that occur more than once, sorted.
fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let repeated: BTreeSet<&str> = names.filter(|name| !seen.insert(*name)).collect();
    repeated.into_iter().map(str::to_owned).collect()
}

/// Why `name` is not a DNS-1123 subdomain.
pub(crate) fn subdomain_problems(name: &str) -> Vec<&'static str> {
    let mut problems = Vec::new();
    if name.len() > 253 {
        problems.push("must be no more than 253 characters");
    }
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let outer = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        outer(bytes.first())
            && outer(bytes.last())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
    };
    if !name.split('.').all(label) {
        problems.push(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character (e.g. \
             'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        );
    }
    problems
}
