//! The one temporary folder of this process, gone when the process is.

use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, anyhow};

use crate::{process, report};

struct Scratch {
    path: PathBuf,
    /// Closed by the kernel when this process ends, which is what the sweeper waits for.
    _sweeper: Option<ChildStdin>,
}

/// The folder, made on first use with mode 0700.
///
/// It is short, because Unix sockets in it may have at most 107 bytes of path.
pub fn directory() -> Result<&'static Path> {
    static SCRATCH: OnceLock<Result<Scratch, String>> = OnceLock::new();
    SCRATCH
        .get_or_init(|| create().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map(|scratch| scratch.path.as_path())
        .map_err(|error| anyhow!("{error}"))
}

/// A new empty folder `PREFIX-NUMBER` in [`directory`].
pub fn subdirectory(prefix: &str) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = directory()?.join(format!("{prefix}-{number}"));
    std::fs::create_dir(&path).with_context(|| format!("cannot create `{}`", path.display()))?;
    Ok(path)
}

/// Writes `content` to `path` and gives the path back.
pub(crate) fn write(path: PathBuf, content: impl AsRef<[u8]>) -> Result<PathBuf> {
    std::fs::write(&path, content).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(path)
}

fn create() -> Result<Scratch> {
    let path = tempfile::Builder::new()
        .prefix("olm-rs-")
        .tempdir()
        .context("cannot create a temporary folder")?
        .keep();
    if std::env::var_os("OLM_TEST_KEEP").is_some_and(|value| value == "1") {
        report::line(&format!("files are kept in {}", path.display()));
        return Ok(Scratch {
            path,
            _sweeper: None,
        });
    }
    let mut command = Command::new(process::supervisor()?);
    command.arg("sweep").arg(&path);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut sweeper = process::spawn(command).context("cannot start the sweeper")?;
    Ok(Scratch {
        path,
        _sweeper: sweeper.stdin.take(),
    })
}
