//! What a running process takes: memory and time on a processor, by what the kernel says (proc(5)).

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::Process;

/// Resident memory, in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// All of it (`VmRSS`).
    pub now: f64,
    /// The most there was since the start or the last [`Process::forget_peak`] (`VmHWM`).
    pub peak: f64,
    /// The part of it that is the process's own, and no file (`RssAnon`).
    pub own: f64,
}

impl Process {
    /// The resident memory of the process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn memory(&self) -> Result<Memory> {
        let status = std::fs::read_to_string(self.kernel_file("status")?)?;
        let mebibytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u32>().ok());
            let kibibytes = number.with_context(|| format!("no {key} in `status`"))?;
            Ok::<_, anyhow::Error>(f64::from(kibibytes) / 1024.0)
        };
        Ok(Memory {
            now: mebibytes("VmRSS:")?,
            peak: mebibytes("VmHWM:")?,
            own: mebibytes("RssAnon:")?,
        })
    }

    /// Lets the peak of the resident memory begin anew.
    ///
    /// # Errors
    /// When it does not run.
    pub fn forget_peak(&self) -> Result<()> {
        Ok(std::fs::write(self.kernel_file("clear_refs")?, "5")?)
    }

    /// The time that it has computed so far, to a hundredth of a second.
    ///
    /// # Errors
    /// When it does not run.
    pub fn processor(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(self.kernel_file("stat")?)?;
        // What comes after the name, which may hold anything, begins with the third field; user and
        // system time are the 14th and 15th, in hundredths of a second.
        let (_, fields) = stat
            .rsplit_once(") ")
            .context("an unknown form of `stat`")?;
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks = ticks.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    /// What the kernel says of it in the file of that name.
    fn kernel_file(&self, name: &str) -> Result<PathBuf> {
        self.check()?;
        let pid = self.pid().context("the process does not run")?;
        Ok(PathBuf::from(format!("/proc/{pid}/{name}")))
    }
}
