//! How the binary is linked.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "the way to speak with cargo"
)]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    // The addresses that the loader fills in at the start, packed: 20 KB instead of 0.9 MB that
    // would be resident ever after. Every glibc since 2.36 (2022) reads them.
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
