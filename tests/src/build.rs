//! Builds the control plane's binaries from their Go modules into the user's cache folder, once.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::assets::Tool;
use crate::report::{self, tail};
use crate::workspace;

/// How often a running build says that it still runs.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// Where the stages are in kwok's module; the names are kept, in this order.
const STAGES: [&str; 5] = [
    "kustomize/stage/node/fast/node-initialize.yaml",
    "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "kustomize/stage/pod/fast/pod-ready.yaml",
    "kustomize/stage/pod/fast/pod-complete.yaml",
    "kustomize/stage/pod/fast/pod-delete.yaml",
];

/// The version that `hack/controlplane` pins for the tool's module.
pub(crate) fn module_version(tool: Tool) -> Result<String> {
    let path = modules(tool).join("go.mod");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    version_in_module_file(&text, tool.module())
        .with_context(|| format!("`{}` does not require {}", path.display(), tool.module()))
}

/// The tool from the cache, built into it first when it is not there.
pub(crate) fn binary(tool: Tool) -> Result<PathBuf> {
    let version = module_version(tool)?;
    let flags = linker_flags(tool, &version);
    let folder = cache_folder(tool)?;
    let binary = folder.join(tool.name());
    if binary.is_file() {
        return Ok(binary);
    }
    let _lock = FolderLock::take(&folder, tool.name())?;
    if binary.is_file() {
        return Ok(binary);
    }
    report::line(&format!(
        "building {} {version} with Go, once (about {} s on 2 cores when nothing is cached; \
         sources come through the Go module proxy) …",
        tool.name(),
        tool.seconds()
    ));
    let start = Instant::now();
    let unfinished = folder.join(format!(".{}.unfinished", tool.name()));
    let mut command = go(tool)?;
    command.args([
        "build",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        &flags,
    ]);
    command.arg("-o").arg(&unfinished).arg(tool.package());
    run(&mut command, tool)?;
    fs::rename(&unfinished, &binary)
        .with_context(|| format!("cannot rename `{}`", unfinished.display()))?;
    report::line(&format!(
        "built {} in {} s: {}",
        tool.name(),
        start.elapsed().as_secs(),
        binary.display()
    ));
    Ok(binary)
}

/// The stage files in the cache, copied from the module first when they are not there.
pub(crate) fn kwok_stages() -> Result<Vec<PathBuf>> {
    let cache = cache_folder(Tool::Kwok)?;
    let folder = cache.join("stages");
    let names = || STAGES.iter().filter_map(|path| Path::new(path).file_name());
    let files: Vec<PathBuf> = names().map(|name| folder.join(name)).collect();
    if files.iter().all(|file| file.is_file()) {
        return Ok(files);
    }
    let _lock = FolderLock::take(&cache, "stages")?;
    if files.iter().all(|file| file.is_file()) {
        return Ok(files);
    }
    let mut command = go(Tool::Kwok)?;
    command.args(["mod", "download", "-json", Tool::Kwok.module()]);
    let output = run(&mut command, Tool::Kwok)?;
    let module: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let source = module["Dir"]
        .as_str()
        .context("`go mod download` names no folder")?;
    let unfinished = cache.join(".stages.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir_all(&unfinished)?;
    for (path, name) in STAGES.iter().zip(names()) {
        // Read and written, not copied: files of the module cache are read-only.
        let from = Path::new(source).join(path);
        let text = fs::read(&from).with_context(|| format!("cannot read `{}`", from.display()))?;
        fs::write(unfinished.join(name), text)?;
    }
    fs::rename(&unfinished, &folder).context("cannot put kwok's stages into place")?;
    Ok(files)
}

fn modules(tool: Tool) -> PathBuf {
    workspace().join("hack/controlplane").join(tool.folder())
}

/// `…/olm-rs/controlplane/NAME-HASH`, the hash being that of all that decides what is built.
fn cache_folder(tool: Tool) -> Result<PathBuf> {
    let mut hash = Sha256::new();
    for name in ["go.mod", "go.sum", "tools.go"] {
        let path = modules(tool).join(name);
        let bytes = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    hash.update(linker_flags(tool, &module_version(tool)?));
    hash.update(env::consts::OS);
    hash.update(env::consts::ARCH);
    let hash = hex::encode(hash.finalize());
    let folder = cache_root()?.join(format!("{}-{}", tool.folder(), &hash[..12]));
    fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    Ok(folder)
}

fn cache_root() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("olm-rs/controlplane"))
}

/// Without them the Kubernetes servers report `v0.0.0-master` and helm `v3`.
fn linker_flags(tool: Tool, version: &str) -> String {
    match tool.folder() {
        "kube" => {
            let mut parts = version.trim_start_matches('v').split('.');
            let (major, minor) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            let of = "k8s.io/component-base/version";
            format!(
                "-s -w -X {of}.gitVersion={version} -X {of}.gitMajor={major} \
                 -X {of}.gitMinor={minor}"
            )
        }
        "helm" => format!("-s -w -X helm.sh/helm/v3/internal/version.version={version}"),
        _ => "-s -w".to_owned(),
    }
}

fn go(tool: Tool) -> Result<Command> {
    let version = Command::new("go")
        .arg("version")
        .stdin(Stdio::null())
        .output();
    if let Err(error) = version {
        ensure!(
            error.kind() == ErrorKind::NotFound,
            "cannot run `go`: {error}"
        );
        let minor = tool.version()?;
        bail!(
            "no Go to build `{0}` with: install Go 1.26 or newer (go.dev/dl), or put `{0}` {minor} into \
             KUBEBUILDER_ASSETS or on PATH",
            tool.name()
        );
    }
    let mut command = Command::new("go");
    command.current_dir(modules(tool)).stdin(Stdio::null());
    // A workspace file or flags of the user's own would change what is built.
    command
        .env("GOWORK", "off")
        .env("GOFLAGS", "")
        .env("CGO_ENABLED", "0");
    Ok(command)
}

fn run(command: &mut Command, tool: Tool) -> Result<Output> {
    let start = Instant::now();
    let (done, wait) = channel::<()>();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            while wait.recv_timeout(SIGN_OF_LIFE) == Err(RecvTimeoutError::Timeout) {
                let seconds = start.elapsed().as_secs();
                report::line(&format!("… still building {} ({seconds} s)", tool.name()));
            }
        });
        let output = command.output();
        drop(done);
        output
    });
    let output = output.context("cannot run `go`")?;
    ensure!(
        output.status.success(),
        "cannot build `{}` ({}):\n{}",
        tool.name(),
        output.status,
        tail(&String::from_utf8_lossy(&output.stderr), 20)
    );
    Ok(output)
}

fn version_in_module_file(text: &str, module: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut words = line
            .split_whitespace()
            .skip_while(|word| *word == "require");
        (words.next() == Some(module))
            .then(|| words.next().map(str::to_owned))
            .flatten()
    })
}

/// Held while a folder is filled, so that two processes do not build the same.
struct FolderLock(fs::File);

impl FolderLock {
    fn take(folder: &Path, what: &str) -> Result<Self> {
        let path = folder.join(".lock");
        let file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot open `{}`", path.display()))?;
        if file.try_lock().is_err() {
            report::line(&format!("waiting for another process that builds {what} …"));
            file.lock()
                .with_context(|| format!("cannot lock `{}`", path.display()))?;
        }
        Ok(Self(file))
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing the file releases it in any case.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::version_in_module_file;

    #[test]
    fn finds_a_requirement_alone_and_in_a_block_but_not_a_replacement() {
        let text = "module x\nrequire a/b v1.2.3\n\nrequire (\n\tc/d v0.1.0 // indirect\n)\n";
        assert_eq!(
            version_in_module_file(text, "a/b").as_deref(),
            Some("v1.2.3")
        );
        assert_eq!(
            version_in_module_file(text, "c/d").as_deref(),
            Some("v0.1.0")
        );
        assert_eq!(
            version_in_module_file("replace a/b => a/b v9.9.9", "a/b"),
            None
        );
    }
}
