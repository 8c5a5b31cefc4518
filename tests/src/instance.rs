//! One local process of a Deployment: what is overridden, and nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::control_plane::ControlPlane;
use crate::pod::Pod;
use crate::ports::Port;
use crate::process::{self, Process, Program};
use crate::suite::SuiteOptions;

/// Port flags: the flag, the port that the documented default names, and what it serves.
const PORT_FLAGS: [(&str, u16, &[&str]); 5] = [
    ("--metrics-bind-address", 8080, &[]),
    ("--health-probe-bind-address", 8081, &[]),
    ("--catalogs-server-addr", 8443, &["catalogd"]),
    ("--webhook-bind-address", 9443, &["rukpak-webhooks"]),
    ("--http-bind-address", 8443, &["rukpak"]),
];

/// Folder flags and the Deployments that have them.
const FOLDER_FLAGS: [(&str, &str); 3] = [
    ("--cache-dir", "catalogd"),
    ("--cache-path", "operator-controller"),
    ("--storage-dir", "rukpak"),
];

/// One process of a Deployment.
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) pod: Pod,
    pub(crate) process: Process,
    /// Container port to the port that this process listens on.
    pub(crate) ports: BTreeMap<u16, Port>,
    pub(crate) kubeconfig: PathBuf,
    /// Whether it was started and not killed since; decides where Services lead.
    pub(crate) started: Mutex<bool>,
}

impl fmt::Debug for Instance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Instance")
            .field("name", &self.name)
            .field("arguments", &self.pod.arguments)
            .finish_non_exhaustive()
    }
}

impl Instance {
    /// Prepares a process of `deployment`, called `name`; nothing runs yet.
    pub(crate) fn prepare(
        cluster: &ControlPlane,
        options: &SuiteOptions,
        directory: &Path,
        deployment: &Deployment,
        name: String,
    ) -> Result<Self> {
        let namespace = options.chart.namespace.as_str();
        let host = cluster.host().to_string();
        let mut pod = Pod::of(deployment, &name, namespace, &host)?;
        let folder = directory.join(&name);
        std::fs::create_dir(&folder)
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        let component = pod.deployment.clone();
        let kubeconfig = folder.join("kubeconfig");
        pod.set_flag("--kubeconfig", &kubeconfig.display().to_string());
        pod.set_flag("--system-namespace", namespace);
        let mut ports = BTreeMap::new();
        let listen = if cluster.is_external() {
            "0.0.0.0"
        } else {
            "127.0.0.1"
        };
        for (flag, default, only) in PORT_FLAGS {
            if only.is_empty() || only.contains(&component.as_str()) {
                let rendered = pod.flag(flag).and_then(|value| value.rsplit(':').next());
                let container_port = rendered.and_then(|port| port.parse().ok());
                let port = Port::reserve()?;
                pod.set_flag(flag, &format!("{listen}:{}", port.number()));
                // A rendered port of 0 switches the server off; tests still want to ask it.
                ports.insert(
                    container_port.filter(|port| *port != 0).unwrap_or(default),
                    port,
                );
            }
        }
        if let Some(port) = ports.get(&8443) {
            let address = format!("https://{}", SocketAddr::new(cluster.host(), port.number()));
            pod.set_flag("--http-external-address", &address);
        }
        for (flag, _) in FOLDER_FLAGS.into_iter().filter(|(_, of)| *of == component) {
            pod.set_flag(flag, &folder.join("data").display().to_string());
        }
        if pod.has_flag("--leader-elect") && !options.rendered_leases {
            pod.set_flag("--leader-elect-lease-duration", "3s");
            pod.set_flag("--leader-elect-renew-deadline", "2s");
            pod.set_flag("--leader-elect-retry-period", "500ms");
        }
        // Repeatable flags are added to what is rendered.
        let more = &mut pod.arguments;
        if ["catalogd", "rukpak", "rukpak-webhooks"].contains(&component.as_str()) {
            more.push(format!("--tls-san={host}"));
        }
        if ["catalogd", "rukpak"].contains(&component.as_str()) {
            let registries = &options.plain_http_registries;
            more.extend(
                registries
                    .iter()
                    .map(|host| format!("--plain-http-registry={host}")),
            );
            if let Some(file) = &options.registry_ca_file {
                more.push(format!("--registry-ca-file={}", file.display()));
            }
        }
        more.extend(
            options
                .arguments
                .get(&component)
                .into_iter()
                .flatten()
                .cloned(),
        );
        let mut environment = pod.environment.clone();
        // A pod has nothing of this machine's environment but what a process cannot do without.
        environment.push(("HOME".to_owned(), folder.display().to_string()));
        environment.push(("TMPDIR".to_owned(), folder.display().to_string()));
        environment.push(("RUST_BACKTRACE".to_owned(), "1".to_owned()));
        for name in ["PATH", "LLVM_PROFILE_FILE"] {
            environment.extend(
                std::env::var(name)
                    .ok()
                    .map(|value| (name.to_owned(), value)),
            );
        }
        environment.extend(
            options
                .environment
                .get(&component)
                .into_iter()
                .flatten()
                .cloned(),
        );
        let program = Program {
            path: binary(options, &pod.binary)?,
            arguments: pod.arguments.clone(),
            environment,
            clear_environment: true,
            directory: Some(folder.clone()),
        };
        let process = Process::new(name.clone(), program, &folder);
        Ok(Self {
            name,
            pod,
            process,
            ports,
            kubeconfig,
            started: Mutex::new(false),
        })
    }

    /// Where this process listens for what a Service's target port names.
    pub(crate) fn listener(&self, target: &IntOrString) -> Option<SocketAddr> {
        let container_port = match target {
            IntOrString::Int(number) => u16::try_from(*number).ok()?,
            IntOrString::String(name) => *self.pod.ports.get(name)?,
        };
        let port = self.ports.get(&container_port)?;
        Some((Ipv4Addr::LOCALHOST, port.number()).into())
    }
}

fn binary(options: &SuiteOptions, name: &str) -> Result<PathBuf> {
    let folder = match &options.binaries {
        Some(folder) => folder.clone(),
        None => match std::env::var_os("OLM_TEST_BIN_DIR") {
            Some(folder) => PathBuf::from(folder),
            None => process::executables()?,
        },
    };
    let path = folder.join(name);
    ensure!(
        path.is_file(),
        "cannot find `{name}` in `{}`: run `cargo build --bins` first",
        folder.display()
    );
    Ok(path)
}
