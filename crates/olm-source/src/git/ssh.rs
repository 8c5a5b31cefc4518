//! Keys and hosts of ssh, as files for its program.

use std::fmt;

use olm_fs::ScratchDir;

use super::error::GitError;
use super::repository::Ssh;
use crate::guard::Guard;

/// How an ssh server is accessed. `Debug` does not show the key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SshAccess {
    /// The private key, unencrypted, in a form that OpenSSH reads.
    pub private_key: Option<Vec<u8>>,
    /// Lines of a `known_hosts` file.
    pub known_hosts: Option<Vec<u8>>,
}

impl fmt::Debug for SshAccess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SshAccess").finish_non_exhaustive()
    }
}

/// Writes what ssh needs into `home`; the command that git is to run for it.
pub(super) async fn prepare(
    repository: &Ssh,
    access: &SshAccess,
    verify: bool,
    guard: &Guard,
    home: &ScratchDir,
) -> Result<String, GitError> {
    let mut key = access.private_key.clone().ok_or(GitError::NoKey)?;
    let known = match (&access.known_hosts, verify) {
        (_, false) => None,
        (Some(known), true) => Some(known),
        (None, true) => return Err(GitError::NoKnownHosts),
    };
    let addresses = guard
        .addresses(&repository.host, repository.port)
        .await
        .map_err(GitError::Guard)?;
    // The address that was judged is the one that is spoken to.
    let address = addresses
        .first()
        .map(|address| address.ip().to_string())
        .unwrap_or_default();
    // OpenSSH refuses a key whose last line does not end.
    if key.last() != Some(&b'\n') {
        key.push(b'\n');
    }
    let key = home.write("key", &key)?;
    let known_hosts = match known {
        Some(known) => home.write("known_hosts", known)?.display().to_string(),
        None => "/dev/null".to_owned(),
    };
    let alias = match repository.port {
        22 => repository.host.clone(),
        port => format!("[{}]:{port}", repository.host),
    };
    let strict = if verify { "yes" } else { "no" };
    let configuration = format!(
        "Host *\n\
         HostName {address}\n\
         HostKeyAlias {alias}\n\
         CheckHostIP no\n\
         StrictHostKeyChecking {strict}\n\
         UserKnownHostsFile \"{known_hosts}\"\n\
         GlobalKnownHostsFile /dev/null\n\
         UpdateHostKeys no\n\
         VerifyHostKeyDNS no\n\
         IdentityFile \"{}\"\n\
         IdentitiesOnly yes\n\
         IdentityAgent none\n\
         BatchMode yes\n\
         PreferredAuthentications publickey\n\
         ClearAllForwardings yes\n\
         ForwardAgent no\n\
         PermitLocalCommand no\n\
         ProxyCommand none\n\
         ControlPath none\n\
         ConnectTimeout 10\n\
         ServerAliveInterval 10\n\
         ServerAliveCountMax 2\n\
         LogLevel ERROR\n",
        key.display()
    );
    let file = home.write("ssh_config", configuration.as_bytes())?;
    Ok(format!("ssh -F '{}'", file.display()))
}
