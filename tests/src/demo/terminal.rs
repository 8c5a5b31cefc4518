//! What people see of the demo: steps with their times, and `kubectl` with its answers.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use super::Demo;
use crate::scratch;

impl Demo<'_> {
    /// The answer to a command, which is not shown.
    pub(super) async fn value(&self, command: &[&str]) -> Result<String> {
        Ok(self.cluster.kubectl(command).await?.trim_end().to_owned())
    }

    /// Runs a command and shows it with its answer.
    pub(super) async fn kubectl(&self, command: &[&str]) -> Result<()> {
        println!("    $ kubectl {}", shown(command));
        let answer = self.cluster.kubectl(command).await?;
        for line in answer.lines() {
            println!("    {line}");
        }
        Ok(())
    }

    /// Applies a manifest from a file, and shows both.
    pub(super) async fn apply(&self, name: &str, manifest: &str) -> Result<()> {
        let path: PathBuf = scratch::directory()?.join(format!("{name}.yaml"));
        std::fs::write(&path, manifest)?;
        println!("    $ cat {name}.yaml");
        for line in manifest.lines() {
            println!("    {line}");
        }
        println!("    $ kubectl apply -f {name}.yaml");
        let answer = self
            .cluster
            .kubectl(&["apply", "-f", &path.to_string_lossy()])
            .await?;
        println!("    {}", answer.trim_end());
        Ok(())
    }
}

/// A command as it would be typed.
pub(super) fn shown(command: &[&str]) -> String {
    let words: Vec<String> = command
        .iter()
        .map(|word| {
            if word.contains(['{', ' ']) {
                format!("'{word}'")
            } else {
                (*word).to_owned()
            }
        })
        .collect();
    words.join(" ")
}

/// Tells steps, and how long each took.
pub(super) struct Teller {
    started: Instant,
    last: Instant,
    steps: u32,
}

impl Teller {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            last: Instant::now(),
            steps: 0,
        }
    }

    pub(super) fn step(&mut self, title: &str) {
        self.steps += 1;
        self.last = Instant::now();
        println!("\n{}. {title}", self.steps);
    }

    pub(super) fn done(&mut self, what: &str) {
        let (total, took) = (self.started.elapsed(), self.last.elapsed());
        self.last = Instant::now();
        println!(
            "[{:6.1} s] {what} ({:.1} s)",
            total.as_secs_f64(),
            took.as_secs_f64()
        );
    }
}
