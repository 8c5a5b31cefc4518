//! The operator-controller process.

use std::process::ExitCode;

use clap::Parser;
use tikv_jemallocator::Jemalloc;

/// Catalogs and objects of the cluster are decoded on several threads, which takes and frees many
/// times what is kept. The system's allocator holds on to most of that for each of them; this one
/// gives it back (`.cargo/config.toml` says how soon).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let args = olm_operator_controller::Args::parse();
    olm_runtime::process::exit_code(olm_operator_controller::run(args).await)
}
