//! The catalogd process.

use std::process::ExitCode;

use clap::Parser as _;
use olm_catalogd::Args;
use tikv_jemallocator::Jemalloc;

/// Reading a catalog takes and frees a hundred times what is held at any moment, on several
/// threads. The system's allocator keeps most of that for each of them; this one gives it back
/// (`.cargo/config.toml` says how soon).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    olm_runtime::process::exit_code(olm_catalogd::run(Args::parse()).await)
}
