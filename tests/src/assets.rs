//! Where the binaries of the control plane come from.
//!
//! In this order: the folder `KUBEBUILDER_ASSETS`, `PATH` (both only when the minor version is the
//! wanted one), and the user's cache folder, into which they are built from the Go modules in
//! `hack/controlplane` when they are not there yet. The wanted versions are those of the module
//! files and are spelled nowhere else.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::Result;

use crate::process::lock;
use crate::{build, report};

/// A command that the control plane or a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tool {
    /// The database.
    Etcd,
    /// The API server.
    KubeApiServer,
    /// Deployments, namespaces, `ServiceAccount`s, garbage collection.
    KubeControllerManager,
    /// Puts pods on the simulated node.
    KubeScheduler,
    /// The command-line client.
    Kubectl,
    /// Simulates nodes and pods.
    Kwok,
    /// The OCI registry `distribution`.
    Registry,
    /// Renders charts.
    Helm,
}

impl Tool {
    /// The command's file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiServer => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Kwok => "kwok",
            Self::Registry => "registry",
            Self::Helm => "helm",
        }
    }

    /// The Go package of the command.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeApiServer => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::KubeScheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
            Self::Registry => "github.com/distribution/distribution/v3/cmd/registry",
            Self::Helm => "helm.sh/helm/v3/cmd/helm",
        }
    }

    /// The folder of the module files in `hack/controlplane`.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiServer
            | Self::KubeControllerManager
            | Self::KubeScheduler
            | Self::Kubectl => "kube",
            Self::Kwok => "kwok",
            Self::Registry => "registry",
            Self::Helm => "helm",
        }
    }

    /// The module that carries the version.
    pub(crate) fn module(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeApiServer
            | Self::KubeControllerManager
            | Self::KubeScheduler
            | Self::Kubectl => "k8s.io/kubernetes",
            Self::Kwok => "sigs.k8s.io/kwok",
            Self::Registry => "github.com/distribution/distribution/v3",
            Self::Helm => "helm.sh/helm/v3",
        }
    }

    /// Seconds that building it took on 2 cores with nothing cached.
    pub(crate) fn seconds(self) -> u32 {
        match self {
            Self::Etcd => 37,
            Self::KubeApiServer => 157,
            Self::KubeControllerManager => 44,
            Self::KubeScheduler => 5,
            Self::Kubectl => 17,
            Self::Kwok => 51,
            Self::Registry => 46,
            Self::Helm => 52,
        }
    }

    /// The wanted version, as in `v1.36.3`.
    pub fn version(self) -> Result<String> {
        build::module_version(self)
    }

    fn version_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kubectl => &["version", "--client"],
            Self::Helm => &["version", "--short"],
            _ => &["--version"],
        }
    }
}

static FOUND: Mutex<Option<HashMap<Tool, PathBuf>>> = Mutex::new(None);

/// The path of `tool`, built first where need be, which can take minutes once.
///
/// # Errors
/// When there is no ready-made one and it cannot be built; without Go that is one line that says
/// what to install.
pub async fn find(tool: Tool) -> Result<PathBuf> {
    tokio::task::spawn_blocking(move || find_blocking(tool)).await?
}

/// The stages that make kwok's nodes and pods become ready, as files.
pub async fn kwok_stages() -> Result<Vec<PathBuf>> {
    tokio::task::spawn_blocking(build::kwok_stages).await?
}

fn find_blocking(tool: Tool) -> Result<PathBuf> {
    if let Some(path) = lock(&FOUND).get_or_insert_default().get(&tool) {
        return Ok(path.clone());
    }
    let path = match ready_made(tool)? {
        Some(path) => path,
        None => build::binary(tool)?,
    };
    lock(&FOUND)
        .get_or_insert_default()
        .insert(tool, path.clone());
    Ok(path)
}

fn ready_made(tool: Tool) -> Result<Option<PathBuf>> {
    let wanted = tool.version()?;
    let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let mut seen = Vec::new();
    for folder in assets.into_iter().chain(env::split_paths(&path)) {
        let candidate = folder.join(tool.name());
        // `/bin` is often `/usr/bin`.
        let real = candidate.canonicalize().unwrap_or_default();
        if !candidate.is_file() || seen.contains(&real) {
            continue;
        }
        seen.push(real);
        let version = version_of(&candidate, tool);
        if version.as_deref().and_then(minor) == minor(&wanted) {
            return Ok(Some(candidate));
        }
        let version = version.unwrap_or_else(|| "of an unknown version".to_owned());
        report::line(&format!(
            "not used: {} {version}, not {wanted}",
            candidate.display()
        ));
    }
    Ok(None)
}

fn version_of(binary: &Path, tool: Tool) -> Option<String> {
    let output = Command::new(binary)
        .args(tool.version_arguments())
        .stdin(Stdio::null())
        .output()
        .ok()?;
    version_in(&String::from_utf8_lossy(&output.stdout))
}

/// The first word of `text` that is a version.
fn version_in(text: &str) -> Option<String> {
    text.split_whitespace()
        .find(|word| minor(word).is_some())
        .map(str::to_owned)
}

/// Major and minor of `v1.36.3` or `3.6.16+x`.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.strip_prefix('v').unwrap_or(version).splitn(3, '.');
    let (major, minor, patch) = (parts.next()?, parts.next()?, parts.next()?);
    patch
        .starts_with(|first: char| first.is_ascii_digit())
        .then_some(())?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Tool, minor, version_in};

    #[test]
    fn reads_the_version_out_of_what_each_command_prints() {
        for (text, expected) in [
            ("etcd Version: 3.6.16\nGit SHA: x", "3.6.16"),
            ("Kubernetes v1.36.3", "v1.36.3"),
            (
                "Client Version: v1.36.3\nKustomize Version: v5.8.1",
                "v1.36.3",
            ),
            ("kwok version v0.8.0 go1.26.8 (linux/amd64)", "v0.8.0"),
            (
                "/x/registry github.com/distribution/distribution/v3 v3.1.2+unknown",
                "v3.1.2+unknown",
            ),
            ("v3.22.0+gabc", "v3.22.0+gabc"),
        ] {
            assert_eq!(version_in(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(version_in("unknown"), None);
    }

    #[test]
    fn versions_match_when_major_and_minor_do() {
        assert_eq!(minor("v1.36.3"), minor("1.36.0"));
        assert_ne!(minor("v1.36.3"), minor("v1.35.3"));
        assert_eq!(minor("v1.36"), None);
        assert_eq!(minor("1.2.x"), None);
    }

    #[test]
    fn every_tool_has_its_version_in_the_module_files() -> anyhow::Result<()> {
        for tool in [
            Tool::Etcd,
            Tool::KubeApiServer,
            Tool::KubeControllerManager,
            Tool::KubeScheduler,
            Tool::Kubectl,
            Tool::Kwok,
            Tool::Registry,
            Tool::Helm,
        ] {
            assert!(minor(&tool.version()?).is_some(), "{tool:?}");
        }
        Ok(())
    }
}
