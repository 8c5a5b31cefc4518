//! The operator-controller process.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let args = olm_operator_controller::Args::parse();
    olm_runtime::process::exit_code(olm_operator_controller::run(args).await)
}
