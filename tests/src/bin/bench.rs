//! Measures times and memory of the suite on a real control plane. `bench catalogd` measures
//! catalogd with a large catalog alone, `bench operators` operator-controller with 1,000 Operators,
//! `bench rukpak` rukpak alone.
#![allow(clippy::print_stderr, reason = "a command that people run")]

use std::process::ExitCode;

use olm_tests::{bench, bench_catalogd, bench_operators, bench_rukpak};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let measured = match arguments.as_slice() {
        [] => all().await,
        ["rukpak"] => bench_rukpak::run().await,
        ["catalogd"] => bench_catalogd::run().await,
        ["operators"] => bench_operators::run().await,
        // What the measurement of catalogd compares it with; it starts that itself.
        ["bare", folder, address] => bench_catalogd::bare(folder.as_ref(), address).await,
        _ => {
            eprintln!("usage: bench [catalogd|operators|rukpak]");
            return ExitCode::FAILURE;
        }
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nthe measurement failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn all() -> anyhow::Result<()> {
    bench::run().await?;
    bench_catalogd::run().await?;
    bench_operators::run().await?;
    bench_rukpak::run().await
}
