//! The `rukpak` binary: controllers of Bundles and BundleDeployments, and the admission webhook.

use std::process::ExitCode;

use clap::Parser as _;
use olm_rukpak::{Cli, Command};
use olm_runtime::process::exit_code;

#[tokio::main]
async fn main() -> ExitCode {
    exit_code(match Cli::parse().command {
        Command::Manager(args) => olm_rukpak::manager(args).await,
        Command::Webhooks(args) => olm_rukpak::webhooks(args).await,
    })
}
