//! Running git so that nothing decides what it does but this crate.
//!
//! No configuration but what is given here is read, no environment is handed on, no hook, filter,
//! helper or submodule runs, nothing is asked on a terminal, only one protocol is spoken, and what
//! it may write, allocate and say is limited. When nobody waits for it any more it is killed with
//! all that it started.

use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::error::GitError;
use crate::speed::MinimumSpeed;

/// Where programs are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Largest file that git may write, hence the largest pack.
pub(super) const MAX_PACK: u64 = 512 << 20;
/// Address space of each of its processes, in KiB.
const MAX_MEMORY_KIB: u64 = 2 << 20;
/// What is kept of what it says.
const MAX_TEXT: usize = 8 << 10;
/// What of that is shown.
const MAX_SHOWN: usize = 600;

/// What holds for every run.
const CONFIGURATION: [(&str, &str); 24] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.symlinks", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.askPass", ""),
    ("core.bigFileThreshold", "16m"),
    ("core.packedGitWindowSize", "16m"),
    ("core.packedGitLimit", "128m"),
    ("core.deltaBaseCacheLimit", "32m"),
    ("pack.threads", "1"),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("protocol.file.allow", "never"),
    ("protocol.ext.allow", "never"),
    ("fetch.recurseSubmodules", "false"),
    ("submodule.recurse", "false"),
    ("transfer.bundleURI", "false"),
    // One pack, whose size is limited, instead of any number of files.
    ("transfer.unpackLimit", "1"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("init.defaultBranch", "none"),
    ("http.followRedirects", "false"),
    ("http.maxRequests", "1"),
];

/// git with its configuration, for one repository on disk.
#[derive(Debug)]
pub(super) struct Git<'a> {
    /// Home and working directory; nothing of anybody else is in it.
    pub(super) home: &'a Path,
    /// The protocol that may be spoken.
    pub(super) protocol: &'static str,
    /// More configuration. It may hold secrets, and is handed over in the environment, which only
    /// processes of this user can read.
    pub(super) configuration: Vec<(String, String)>,
    /// The configuration file of ssh.
    pub(super) ssh_configuration: Option<String>,
    /// What it was told to take for too slow.
    pub(super) speed: MinimumSpeed,
}

impl Git<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        // The limits are inherited by whatever git starts. One that is lower already stays.
        let script = format!(
            "ulimit -c 0; ulimit -f {} 2>/dev/null; ulimit -v {MAX_MEMORY_KIB} 2>/dev/null; \
             exec git \"$@\"",
            MAX_PACK / 512
        );
        command
            .args(["-c", &script, "git"])
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            .env("HOME", self.home)
            .env("XDG_CONFIG_HOME", self.home)
            .env("TMPDIR", self.home)
            .env("GIT_DIR", self.home.join("repository"))
            .env("GIT_CEILING_DIRECTORIES", "/")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "/bin/false")
            .env("SSH_ASKPASS", "/bin/false")
            .env("GIT_ALLOW_PROTOCOL", self.protocol)
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_SSH_VARIANT", "ssh")
            .env(
                "GIT_SSH_COMMAND",
                self.ssh_configuration.as_deref().unwrap_or("/bin/false"),
            )
            .current_dir(self.home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let given = self
            .configuration
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let all: Vec<_> = CONFIGURATION.into_iter().chain(given).collect();
        command.env("GIT_CONFIG_COUNT", all.len().to_string());
        for (index, (key, value)) in all.into_iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{index}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        command
    }

    /// Starts a command whose output is read as it comes.
    pub(super) fn start(
        &self,
        operation: &'static str,
        arguments: &[&str],
    ) -> Result<(Running, ChildStdout), GitError> {
        let mut child = self.command(arguments).spawn().map_err(GitError::Run)?;
        let missing = || GitError::Run(std::io::ErrorKind::BrokenPipe.into());
        let output = child.stdout.take().ok_or_else(missing)?;
        let errors = child.stderr.take().ok_or_else(missing)?;
        let running = Running {
            operation,
            speed: self.speed,
            group: child
                .id()
                .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)),
            child,
            errors: tokio::spawn(read_all(errors)),
        };
        Ok((running, output))
    }

    /// Runs a command to its end and gives the first 8 KiB of its output.
    pub(super) async fn run(
        &self,
        operation: &'static str,
        arguments: &[&str],
    ) -> Result<String, GitError> {
        let (running, output) = self.start(operation, arguments)?;
        let (output, ended) = tokio::join!(read_all(output), running.end());
        ended?;
        Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
    }
}

/// A running git. Dropped, it is killed with everything that it started.
#[derive(Debug)]
pub(super) struct Running {
    operation: &'static str,
    speed: MinimumSpeed,
    child: Child,
    group: Option<Pid>,
    errors: JoinHandle<Vec<u8>>,
}

impl Running {
    /// Waits for its end.
    pub(super) async fn end(mut self) -> Result<(), GitError> {
        let status = self.child.wait().await.map_err(GitError::Run)?;
        // What it started ends with it, or holds the stream of its errors open until it does.
        let text = (&mut self.errors).await.unwrap_or_default();
        self.group = None;
        if status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&text);
        if text.contains("Host key verification failed") {
            return Err(GitError::HostKey);
        }
        // What curl says, whose messages git passes on.
        if text.contains("Operation too slow") {
            return Err(GitError::TooSlow {
                bytes_per_second: self.speed.bytes_per_second,
                window: self.speed.window,
            });
        }
        let text = shown(&text);
        // 25 is SIGXFSZ, which the limit of files raises.
        if text.contains("signal 25") || text.contains("File too large") {
            return Err(GitError::TooLarge { limit: MAX_PACK });
        }
        Err(GitError::Failed {
            operation: self.operation,
            text: if text.is_empty() {
                status.to_string()
            } else {
                text
            },
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // It may have ended meanwhile.
            let _gone = kill_process_group(group, Signal::KILL);
        }
        self.errors.abort();
    }
}

/// Reads a stream to its end and keeps the beginning.
async fn read_all(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        let room = MAX_TEXT.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(buffer.get(..room).unwrap_or_default());
    }
    kept
}

/// What git said, on one line and without what terminals would act on.
fn shown(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let joined: String = lines
        .join("; ")
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    match joined.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &joined[..end]),
        None => joined,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_git_says_is_shown_on_one_short_line() {
        assert_eq!(shown("fatal: a\n\n  \u{1b}[31mb\r\n"), "fatal: a; [31mb");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), MAX_SHOWN + 1);
    }

    #[tokio::test]
    async fn nothing_of_this_process_reaches_git() {
        let scratch = olm_fs::ScratchDir::new().unwrap();
        let git = Git {
            home: scratch.path(),
            protocol: "https",
            configuration: vec![("olm.test".to_owned(), "a \"quoted\"\nvalue".to_owned())],
            ssh_configuration: None,
            speed: MinimumSpeed::REPOSITORY,
        };
        let listed = git.run("config", &["config", "--list"]).await.unwrap();
        assert!(listed.starts_with("core.hookspath=/dev/null"), "{listed}");
        let value = git.run("config", &["config", "olm.test"]).await.unwrap();
        assert_eq!(value, "a \"quoted\"\nvalue");
        let failed = git.run("config", &["config", "--no-such-option"]).await;
        assert!(matches!(
            failed,
            Err(GitError::Failed {
                operation: "config",
                ..
            })
        ));
    }
}
