//! Children that end with this process, whatever ends it, and write to a log file.
//!
//! The parent-death signal of Linux fires when the *thread* that started the child ends. So every
//! child is started by one thread that lives as long as the process, never by a test's thread.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::report::{Logs, tail};

/// How many bytes from the end of a log are looked at for its tail.
const TAIL_BYTES: u64 = 256 * 1024;

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments, without its own name.
    pub arguments: Vec<String>,
    /// Environment variables, added to those of this process or alone (`clear_environment`).
    pub environment: Vec<(String, String)>,
    /// Whether nothing of this process's environment is passed on.
    pub clear_environment: bool,
    /// Working folder; this process's own when not set.
    pub directory: Option<PathBuf>,
}

/// A named child with a log; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    program: Mutex<Program>,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Describes a child called `name` that logs to `NAME.log` in `directory`; nothing runs yet.
    pub fn new(name: impl Into<String>, program: Program, directory: &Path) -> Self {
        let name = name.into();
        let log = directory.join(format!("{name}.log"));
        Self {
            name,
            log,
            program: Mutex::new(program),
            child: Mutex::new(None),
        }
    }

    /// The name given to [`Process::new`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is run by the next [`Process::start`].
    pub fn program(&self) -> Program {
        lock(&self.program).clone()
    }

    /// Replaces what the next [`Process::start`] runs.
    pub fn set_program(&self, program: Program) {
        *lock(&self.program) = program;
    }

    /// Starts the child; its output is appended to the log.
    ///
    /// # Errors
    /// When it runs already, or the log or the supervisor cannot be opened.
    pub fn start(&self) -> Result<()> {
        let mut child = lock(&self.child);
        if let Some(running) = child.as_mut() {
            ensure!(
                running.try_wait()?.is_some(),
                "`{}` runs already",
                self.name
            );
        }
        let program = lock(&self.program).clone();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot open `{}`", self.log.display()))?;
        let mut command = Command::new(supervisor()?);
        command.args(["run", &std::process::id().to_string(), "--"]);
        command.arg(&program.path).args(&program.arguments);
        if program.clear_environment {
            command.env_clear();
        }
        command.envs(
            program
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        );
        if let Some(directory) = &program.directory {
            command.current_dir(directory);
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        *child = Some(spawn(command).with_context(|| format!("cannot start `{}`", self.name))?);
        Ok(())
    }

    /// Ends the child with SIGKILL and waits for it; fine when it does not run.
    pub fn kill(&self) -> Result<()> {
        if let Some(mut child) = lock(&self.child).take() {
            child
                .kill()
                .with_context(|| format!("cannot kill `{}`", self.name))?;
            child.wait()?;
        }
        Ok(())
    }

    /// Asks the child to end with SIGTERM and waits for it.
    ///
    /// # Errors
    /// When it did not run or did not end in time; then it is killed.
    pub async fn terminate(&self, within: Duration) -> Result<ExitStatus> {
        let pid = self
            .pid()
            .with_context(|| format!("`{}` does not run", self.name))?;
        let pid = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .context("bad process id")?;
        kill_process(pid, Signal::TERM)?;
        let start = Instant::now();
        while start.elapsed() < within {
            if let Some(status) = self.exited()? {
                lock(&self.child).take();
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.kill()?;
        bail!(
            "`{}` did not end {within:?} after SIGTERM\n--- end of its log ---\n{}",
            self.name,
            self.log_tail(30)
        )
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        let mut child = lock(&self.child);
        let child = child.as_mut()?;
        matches!(child.try_wait(), Ok(None)).then(|| child.id())
    }

    /// The exit status once it has ended by itself; nothing when it runs, was killed by
    /// [`Process::kill`] or never started.
    pub fn exited(&self) -> Result<Option<ExitStatus>> {
        lock(&self.child)
            .as_mut()
            .map_or(Ok(None), |child| Ok(child.try_wait()?))
    }

    /// Fails with the end of the log when the process has ended by itself.
    pub fn check(&self) -> Result<()> {
        if let Some(status) = self.exited()? {
            bail!(
                "`{}` ended with {status}\n--- end of its log ---\n{}",
                self.name,
                self.log_tail(40)
            );
        }
        Ok(())
    }

    /// The path of the log.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Everything logged so far, all starts together; empty when nothing was.
    pub fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last lines of the log.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&read_end(&self.log).unwrap_or_default(), lines)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The kernel ends it at the latest with this process.
        let _ = self.kill();
    }
}

impl Logs for Process {
    fn tails(&self) -> Vec<(String, String)> {
        vec![(self.name.clone(), self.log_tail(30))]
    }
}

fn read_end(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here stays whole when a test panics while holding it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The folder of this test executable's sibling binaries: `target/debug` and the like.
pub(crate) fn executables() -> Result<PathBuf> {
    let executable = std::env::current_exe().context("cannot find the test executable")?;
    let folder = executable
        .parent()
        .context("the test executable has no folder")?;
    let in_subfolder = ["deps", "examples"]
        .iter()
        .any(|name| folder.ends_with(name));
    Ok(folder
        .parent()
        .filter(|_| in_subfolder)
        .unwrap_or(folder)
        .to_path_buf())
}

pub(crate) fn supervisor() -> Result<PathBuf> {
    let path = executables()?.join("olm-test-supervisor");
    ensure!(
        path.is_file(),
        "cannot find `{}`: run `cargo build -p olm-tests --bins`",
        path.display()
    );
    Ok(path)
}

type Request = (Command, Sender<std::io::Result<Child>>);

/// Starts `command` from the thread that lives as long as the process, in a process group of its
/// own, so that an interrupt on the terminal ends the harness first.
pub(crate) fn spawn(mut command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<Sender<Request>> = OnceLock::new();
    command.process_group(0);
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests) = channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in requests {
                // A caller that stopped waiting needs no answer.
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, child) = channel();
    spawner
        .send((command, answer))
        .ok()
        .context("the spawning thread has ended")?;
    Ok(child.recv().context("the spawning thread has ended")??)
}
