//! Runs one child of the test harness so that it cannot outlive the harness.
//!
//! ```text
//! olm-test-supervisor run PARENT -- PROGRAM [ARGUMENT…]
//! olm-test-supervisor sweep DIRECTORY
//! ```
//!
//! `run` asks the kernel for SIGKILL when the thread that started it ends, makes sure that the
//! harness (process PARENT) was still there when it did, and becomes PROGRAM. `sweep` waits until
//! its standard input is closed, which happens when the harness is gone for whatever reason, and
//! removes DIRECTORY.
#![allow(
    clippy::disallowed_methods,
    reason = "it removes the harness's own files"
)]

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [mode, parent, dashes, program, rest @ ..] if mode == "run" && dashes == "--" => {
            run(parent, program, rest)
        }
        [mode, directory] if mode == "sweep" => sweep(Path::new(directory)),
        _ => fail("usage: olm-test-supervisor run PARENT -- PROGRAM [ARGUMENT…] | sweep DIRECTORY"),
    }
}

fn run(parent: &OsString, program: &OsString, arguments: &[OsString]) -> ExitCode {
    let parent: Option<i32> = parent.to_str().and_then(|text| text.parse().ok());
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return fail(&format!("cannot set the parent-death signal: {error}"));
    }
    // A parent that ended before the line above sends no signal any more.
    if parent.is_none() || getppid().map(Pid::as_raw_pid) != parent {
        return fail("the test harness has ended");
    }
    let error = Command::new(program).args(arguments).exec();
    fail(&format!(
        "cannot run `{}`: {error}",
        program.to_string_lossy()
    ))
}

fn sweep(directory: &Path) -> ExitCode {
    let mut sink = [0_u8; 64];
    while matches!(std::io::stdin().read(&mut sink), Ok(1..)) {}
    // Killed servers may write a last file while the folder is being removed.
    for _ in 0..100 {
        if std::fs::remove_dir_all(directory).is_ok() || !directory.exists() {
            return ExitCode::SUCCESS;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    ExitCode::FAILURE
}

fn fail(message: &str) -> ExitCode {
    // Nothing is left to tell when even stderr is gone.
    let _ = writeln!(std::io::stderr(), "olm-test-supervisor: {message}");
    ExitCode::from(127)
}
