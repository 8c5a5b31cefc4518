//! `olmctl`: what people do with catalogs and bundles from a command line.
//!
//! **Problem.** Who publishes or uses a catalog or a bundle wants to know what is in it and whether
//! it holds, without a cluster: from a folder, from the image it is pushed as, or from where it is
//! served. Who has Operators in a cluster wants to see how they hang together, and why they are what
//! they are.
//!
//! **Model.** A source is a folder, an image or, for catalogs, a URL. A command opens it, loads
//! the documents with `olm_fbc` or the bundle with `olm_bundle`, and prints what it was asked for.
//! What would be installed is decided by `olm_resolver`, as in a cluster. Of a cluster, only what
//! Operators say of themselves is read.
//!
//! **Guarantees.** Data goes to stdout and everything else to stderr; nothing is written elsewhere,
//! but for a temporary folder for images, and what `approve` and `autoremove` are for. The exit code is 0 when all is well, 1 when something was
//! found or failed, 2 when the command line is wrong. A reader that closes the pipe ends the command
//! without a word.

mod args;
mod bundle;
mod catalog;
mod cluster;
mod failure;
mod output;
mod ranges;
mod registry;
mod resolve;
mod served;
mod source;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command};
use crate::failure::{Failure, Outcome};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args = Args::parse();
    // An error means that a provider is in place, which is all that is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match args.command {
        Command::Catalog(command) => catalog::run(command).await,
        Command::Resolve(args) => resolve::run(args).await,
        Command::Operators(args) => cluster::operators::run(args).await,
        Command::Why(args) => cluster::why::run(args).await,
        Command::Approve(args) => cluster::approve::run(args).await,
        Command::Autoremove(args) => cluster::autoremove::run(args).await,
        Command::Version(args) => ranges::run(args),
        Command::Bundle(command) => bundle::run(command).await,
    };
    match done {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(1),
        // Whoever read the output has enough of it.
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            output::say(&format!("error: {}", failure.text()));
            ExitCode::from(match failure {
                Failure::Usage { .. } => 2,
                _ => 1,
            })
        }
    }
}
