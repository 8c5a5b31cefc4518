//! The main job, end to end, on a real Kubernetes and a real registry, told step by step.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that people run"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "it writes the manifests that it applies"
)]

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let keep = std::env::args().any(|argument| argument == "--keep");
    match olm_tests::demo::run(keep).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nthe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
