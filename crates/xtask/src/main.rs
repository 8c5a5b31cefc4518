//! Generation and checks of this repository: `cargo xtask gen [--check]`, `cargo xtask layers`.
#![allow(clippy::print_stdout, reason = "a command that people run")]
#![allow(
    clippy::disallowed_methods,
    reason = "it reads and writes the repository's own files"
)]

mod generate;
mod layers;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

/// Generation and checks of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write the generated files: custom resource definitions and roles.
    Gen {
        /// Only say whether they are up to date; exit 1 when not.
        #[arg(long)]
        check: bool,
    },
    /// Check that no crate depends on a layer above its own.
    Layers,
}

fn main() -> anyhow::Result<()> {
    match Args::parse().task {
        Task::Gen { check } => generate::run(&repository(), check),
        Task::Layers => layers::run(),
    }
}

/// The root of the repository: two folders above this crate.
fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_owned()
}
