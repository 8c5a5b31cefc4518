//! The catalogd process.

use std::process::ExitCode;

use clap::Parser as _;
use olm_catalogd::Args;

#[tokio::main]
async fn main() -> ExitCode {
    olm_runtime::process::exit_code(olm_catalogd::run(Args::parse()).await)
}
