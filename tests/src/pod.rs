//! What the kubelet would make of a Deployment's pod template, for a local process.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, EnvVar, PodSpec};

/// The command of a Deployment's only container, with its environment resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// The Deployment's name.
    pub deployment: String,
    /// The file name of the command: that of `command[0]`, else the image's.
    pub binary: String,
    /// The arguments, with `$(NAME)` expanded.
    pub arguments: Vec<String>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// The `ServiceAccount` it runs as.
    pub service_account: String,
    /// The pod's labels, which Services select.
    pub labels: BTreeMap<String, String>,
    /// The container's named ports.
    pub ports: BTreeMap<String, u16>,
}

impl Pod {
    /// Reads a Deployment as a pod called `name` in `namespace` with the address `address`.
    ///
    /// # Errors
    /// When it has another number of containers than one, or takes environment from where a local
    /// process cannot.
    pub fn of(deployment: &Deployment, name: &str, namespace: &str, address: &str) -> Result<Self> {
        let deployment_name = deployment.metadata.name.clone().context("no name")?;
        let template = deployment
            .spec
            .as_ref()
            .map(|spec| &spec.template)
            .context("no spec")?;
        let labels = template
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.labels.clone());
        let labels: BTreeMap<String, String> = labels.unwrap_or_default().into_iter().collect();
        let spec = template.spec.as_ref().context("no pod template")?;
        ensure!(
            spec.containers.len() == 1,
            "the Deployment `{deployment_name}` has {} containers instead of one",
            spec.containers.len()
        );
        let container = &spec.containers[0];
        let facts = Facts {
            name,
            namespace,
            address,
            labels: &labels,
            spec,
            container,
        };
        let mut environment: Vec<(String, String)> = Vec::new();
        ensure!(
            container.env_from.as_ref().is_none_or(Vec::is_empty),
            "envFrom cannot be resolved locally"
        );
        for variable in container.env.iter().flatten() {
            let value = facts.value(variable)?;
            environment.push((variable.name.clone(), expand(&value, &environment)));
        }
        let mut words = container
            .command
            .iter()
            .flatten()
            .chain(container.args.iter().flatten());
        let command = match &container.command {
            Some(command) if !command.is_empty() => words.next().map(String::as_str),
            _ => container.image.as_deref().map(image_name),
        };
        let command = command.with_context(|| {
            format!("the Deployment `{deployment_name}` names neither command nor image")
        })?;
        let binary = command.rsplit('/').next().unwrap_or(command).to_owned();
        let ports = container.ports.iter().flatten().filter_map(|port| {
            Some((port.name.clone()?, u16::try_from(port.container_port).ok()?))
        });
        Ok(Self {
            deployment: deployment_name,
            binary,
            arguments: words.map(|word| expand(word, &environment)).collect(),
            service_account: facts.service_account().to_owned(),
            ports: ports.collect(),
            environment,
            labels,
        })
    }

    /// The value of the last `--FLAG=value` or `--FLAG value`.
    pub fn flag(&self, flag: &str) -> Option<&str> {
        let joined = format!("{flag}=");
        let mut found = None;
        let mut arguments = self.arguments.iter();
        while let Some(argument) = arguments.next() {
            if argument == flag {
                found = arguments.next().map(String::as_str);
            } else if let Some(value) = argument.strip_prefix(&joined) {
                found = Some(value);
            }
        }
        found
    }

    /// Whether the flag is given, with or without a value.
    pub fn has_flag(&self, flag: &str) -> bool {
        self.arguments
            .iter()
            .any(|argument| argument.split('=').next() == Some(flag))
    }

    /// Replaces a flag's value, or appends the flag.
    pub fn set_flag(&mut self, flag: &str, value: &str) {
        let joined = format!("{flag}=");
        let mut kept = Vec::with_capacity(self.arguments.len() + 1);
        let mut arguments = std::mem::take(&mut self.arguments).into_iter().peekable();
        while let Some(argument) = arguments.next() {
            if argument == flag {
                // Its value is the next word, unless that is a flag: then it is a switch.
                let _ = arguments.next_if(|next| !next.starts_with("--"));
            } else if !argument.starts_with(&joined) {
                kept.push(argument);
            }
        }
        kept.push(format!("{joined}{value}"));
        self.arguments = kept;
    }
}

struct Facts<'a> {
    name: &'a str,
    namespace: &'a str,
    address: &'a str,
    labels: &'a BTreeMap<String, String>,
    spec: &'a PodSpec,
    container: &'a Container,
}

impl Facts<'_> {
    fn service_account(&self) -> &str {
        self.spec
            .service_account_name
            .as_deref()
            .unwrap_or("default")
    }

    fn value(&self, variable: &EnvVar) -> Result<String> {
        if let Some(value) = &variable.value {
            return Ok(value.clone());
        }
        let Some(source) = &variable.value_from else {
            return Ok(String::new());
        };
        let name = &variable.name;
        if let Some(field) = &source.field_ref {
            return self
                .field(&field.field_path)
                .with_context(|| format!("the variable `{name}` names an unknown field"));
        }
        if let Some(resource) = &source.resource_field_ref {
            let quantity = self.resource(&resource.resource).with_context(|| {
                format!(
                    "the variable `{name}` names `{}`, which is not set",
                    resource.resource
                )
            })?;
            let divisor = resource
                .divisor
                .as_ref()
                .map_or("1", |divisor| divisor.0.as_str());
            let divisor = milli(divisor)
                .filter(|divisor| *divisor > 0)
                .unwrap_or(1000);
            let value = milli(quantity).with_context(|| format!("bad quantity `{quantity}`"))?;
            // As the kubelet does: rounded up to whole divisors.
            return Ok(value.div_ceil(divisor).to_string());
        }
        bail!("the variable `{name}` cannot be resolved locally")
    }

    fn field(&self, path: &str) -> Option<String> {
        let label = path
            .strip_prefix("metadata.labels['")
            .and_then(|rest| rest.strip_suffix("']"));
        if let Some(label) = label {
            return Some(self.labels.get(label).cloned().unwrap_or_default());
        }
        Some(match path {
            "metadata.name" => self.name.to_owned(),
            "metadata.namespace" => self.namespace.to_owned(),
            "metadata.uid" => "00000000-0000-4000-8000-000000000000".to_owned(),
            "spec.serviceAccountName" => self.service_account().to_owned(),
            "spec.nodeName" => "node-0".to_owned(),
            "status.podIP" | "status.podIPs" | "status.hostIP" | "status.hostIPs" => {
                self.address.to_owned()
            }
            _ => return None,
        })
    }

    fn resource(&self, path: &str) -> Option<&str> {
        let (kind, name) = path.split_once('.')?;
        let resources = self.container.resources.as_ref()?;
        let of_kind = match kind {
            "limits" => resources.limits.as_ref(),
            "requests" => resources.requests.as_ref(),
            _ => None,
        };
        of_kind?.get(name).map(|quantity| quantity.0.as_str())
    }
}

/// A Kubernetes quantity in thousandths.
fn milli(quantity: &str) -> Option<u128> {
    let end = quantity
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(end);
    let factor: u128 = match suffix {
        "m" => 1,
        "" => 1000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut value = whole.parse::<u128>().ok()?.checked_mul(factor)?;
    if !fraction.is_empty() {
        let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        value += fraction.parse::<u128>().ok()?.checked_mul(factor)? / scale;
    }
    Some(value)
}

/// `$(NAME)` by the variable's value where there is one; `$$` is a dollar sign.
fn expand(text: &str, environment: &[(String, String)]) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(position) = rest.find('$') {
        expanded.push_str(&rest[..position]);
        rest = &rest[position..];
        let name = rest
            .strip_prefix("$(")
            .and_then(|after| after.split_once(')'));
        let value = name.and_then(|(name, after)| {
            let (_, value) = environment.iter().rev().find(|(of, _)| of == name)?;
            Some((value, after))
        });
        if let Some((value, after)) = value {
            expanded.push_str(value);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("$$") {
            expanded.push('$');
            rest = after;
        } else {
            expanded.push('$');
            rest = &rest[1..];
        }
    }
    expanded.push_str(rest);
    expanded
}

/// `rukpak` of `ghcr.io/x/rukpak:v1@sha256:…`.
fn image_name(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split(':').next().unwrap_or(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use k8s_openapi::api::apps::v1::Deployment;
    use serde_json::json;

    use super::{Pod, expand, image_name, milli};

    fn deployment() -> Deployment {
        serde_json::from_value(json!({
            "metadata": { "name": "rukpak-webhooks" },
            "spec": { "selector": {}, "template": {
                "metadata": { "labels": { "app": "w" } },
                "spec": { "serviceAccountName": "sa", "containers": [{
                    "name": "w", "image": "x.io:5000/olm/rukpak:v1",
                    "args": ["webhooks", "--a=1", "--b", "2", "--ns=$(NS)"],
                    "env": [
                        { "name": "NS",
                          "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } },
                        { "name": "CPU",
                          "valueFrom": { "resourceFieldRef": { "resource": "limits.cpu" } } },
                        { "name": "MEMORY", "valueFrom": { "resourceFieldRef": {
                            "resource": "limits.memory", "divisor": "1Mi" } } },
                    ],
                    "ports": [{ "name": "https", "containerPort": 9443 }],
                    "resources": { "limits": { "cpu": "1500m", "memory": "1Gi" } },
                }] },
            } },
        }))
        .unwrap()
    }

    #[test]
    fn a_pod_template_becomes_a_command_with_resolved_environment() {
        let pod = Pod::of(&deployment(), "p", "olm", "127.0.0.1").unwrap();
        assert_eq!(pod.binary, "rukpak");
        assert_eq!(pod.arguments, ["webhooks", "--a=1", "--b", "2", "--ns=olm"]);
        assert_eq!(pod.service_account, "sa");
        assert_eq!(pod.ports["https"], 9443);
        let value = |name: &str| &pod.environment.iter().find(|(of, _)| of == name).unwrap().1;
        assert_eq!(value("CPU"), "2");
        assert_eq!(value("MEMORY"), "1024");
    }

    #[test]
    fn a_flag_is_replaced_in_both_spellings_and_appended_when_missing() {
        let mut pod = Pod::of(&deployment(), "p", "olm", "127.0.0.1").unwrap();
        pod.set_flag("--a", "7");
        pod.set_flag("--b", "8");
        pod.set_flag("--c", "9");
        assert_eq!(
            pod.arguments,
            ["webhooks", "--ns=olm", "--a=7", "--b=8", "--c=9"]
        );
        assert_eq!(pod.flag("--b"), Some("8"));
        assert_eq!(pod.flag("--d"), None);
    }

    #[test]
    fn names_quantities_and_variables_are_read_as_the_kubelet_does() {
        assert_eq!(image_name("ghcr.io/x/rukpak:v1@sha256:00"), "rukpak");
        assert_eq!(milli("1.5"), Some(1500));
        assert_eq!(milli("64Mi"), Some(64 * 1024 * 1024 * 1000));
        assert_eq!(milli("x"), None);
        let environment = [("A".to_owned(), "1".to_owned())];
        assert_eq!(expand("$(A) $(B) $$(A) $", &environment), "1 $(B) $(A) $");
    }
}
