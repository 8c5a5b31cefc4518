//! The hosts that what is in a Secret may be sent to.

/// Whether a list of `host`, `host:port` and `*.domain`, with commas or white space between them,
/// has a server: the annotation `core.rukpak.io/allowed-hosts`.
///
/// ```
/// use olm_runtime::allowed_hosts::allows;
/// assert!(allows("quay.io, *.example.com", "git.example.com", 443));
/// assert!(!allows("quay.io:8443", "quay.io", 443));
/// ```
pub fn allows(hosts: &str, host: &str, port: u16) -> bool {
    let host = host.to_ascii_lowercase();
    let with_port = format!("{host}:{port}");
    hosts
        .split([',', ' ', '\n', '\t'])
        .map(|listed| listed.trim().to_ascii_lowercase())
        .filter(|listed| !listed.is_empty())
        .any(|listed| match listed.strip_prefix("*.") {
            Some(domain) => host
                .strip_suffix(domain)
                .is_some_and(|begin| begin.len() > 1 && begin.ends_with('.')),
            None => listed == host || listed == with_port,
        })
}
