//! Generation and checks of this repository: `cargo xtask gen [--check]`, `cargo xtask layers`,
//! `cargo xtask synth-catalog --out DIR`.
#![allow(clippy::print_stdout, reason = "a command that people run")]
#![allow(
    clippy::disallowed_methods,
    reason = "it reads and writes the repository's own files"
)]

mod generate;
mod layers;
mod synth;

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
    /// Write a catalog that looks like the large public ones, about 22 KB for each bundle.
    SynthCatalog {
        /// Bundles in all.
        #[arg(long, default_value_t = 6_000)]
        bundles: usize,
        /// How the files are written.
        #[arg(long, value_enum, default_value = "yaml")]
        format: Format,
        /// Another number makes another catalog.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The folder that gets a folder for each package.
        #[arg(long)]
        out: PathBuf,
    },
}

/// How a catalog is written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// YAML documents with sorted keys.
    Yaml,
    /// Indented JSON objects.
    Json,
}

fn main() -> anyhow::Result<()> {
    match Args::parse().task {
        Task::Gen { check } => generate::run(&repository(), check),
        Task::Layers => layers::run(),
        Task::SynthCatalog {
            bundles,
            format,
            seed,
            out,
        } => {
            let format = match format {
                Format::Yaml => synth::Format::Yaml,
                Format::Json => synth::Format::Json,
            };
            let options = synth::Options {
                bundles,
                seed,
                format,
            };
            let made = synth::write(&out, &options)?;
            println!(
                "{} packages, {bundles} bundles, {} documents, {} bytes",
                made.packages, made.documents, made.bytes
            );
            Ok(())
        }
    }
}

/// The root of the repository: two folders above this crate.
fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_owned()
}
