//! Measures times and memory of the suite on a real control plane.
#![allow(clippy::print_stderr, reason = "a command that people run")]

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match olm_tests::bench::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nthe measurement failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
