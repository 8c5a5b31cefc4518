//! The client of registries, as the flags of a process set it up.

use std::path::PathBuf;

use clap::Args;
use olm_registry::{Client, ClientConfig, Mirror, RegistryError};

/// Why there is no client of registries.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryArgsError {
    /// The flags do not make a client, for example as the file of authorities cannot be read or holds
    /// none.
    #[error(transparent)]
    Client(#[from] RegistryError),
}

/// Flags common to the processes that pull images; flatten them into the process's own.
#[derive(Clone, Debug, Default, Args)]
pub struct RegistryArgs {
    /// Registry (host or host:port) that is spoken to in plain HTTP; may be repeated
    #[arg(long, value_name = "REGISTRY")]
    pub plain_http_registry: Vec<String>,

    /// Where images can be had as well, as SOURCE=MIRROR: a registry, or the begin of a repository's
    /// name, and what stands in its place; may be repeated. Mirrors of the longest source are asked
    /// first, in their order
    #[arg(long, value_name = "SOURCE=MIRROR")]
    pub registry_mirror: Vec<Mirror>,

    /// File of PEM certificates that registries may be verified with, besides the system's. When it
    /// changes, new connections trust what is in it then; a damaged one changes nothing
    #[arg(long, value_name = "FILE")]
    pub registry_ca_file: Option<PathBuf>,
}

impl RegistryArgs {
    /// The client that these flags ask for. Reads the file of authorities, which it then follows; asks
    /// no registry.
    ///
    /// # Errors
    ///
    /// [`RegistryArgsError`].
    pub fn client(&self) -> Result<Client, RegistryArgsError> {
        let config = ClientConfig {
            plain_http: self.plain_http_registry.clone(),
            mirrors: self.registry_mirror.clone(),
            root_certificate_file: self.registry_ca_file.clone(),
            ..ClientConfig::default()
        };
        Ok(Client::new(config)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Example {
        #[command(flatten)]
        registry: RegistryArgs,
    }

    fn parse(arguments: &[&str]) -> RegistryArgs {
        let arguments = std::iter::once("example").chain(arguments.iter().copied());
        Example::try_parse_from(arguments).unwrap().registry
    }

    #[test]
    fn repeats_the_registries_without_tls() {
        let args = parse(&["--plain-http-registry=a:5000", "--plain-http-registry=b"]);
        assert_eq!(args.plain_http_registry, ["a:5000", "b"]);
        args.client().unwrap();
    }

    #[test]
    fn mirrors_are_taken_in_their_order() {
        let args = parse(&[
            "--registry-mirror=quay.io=a:1",
            "--registry-mirror=quay.io/b=b:1",
        ]);
        let mirrors = args.client().unwrap().config().mirrors.clone();
        let texts: Vec<_> = mirrors.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["quay.io=a:1", "quay.io/b=b:1"]);
        assert!(Example::try_parse_from(["example", "--registry-mirror=quay.io"]).is_err());
    }

    #[test]
    fn a_missing_file_of_authorities_is_named() {
        let error = parse(&["--registry-ca-file=/no/such/file"])
            .client()
            .unwrap_err();
        let text = crate::Chain(&error).to_string();
        assert!(
            text.contains("cannot read the authorities of registries"),
            "{text}"
        );
        assert!(text.contains("/no/such/file"), "{text}");
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let here = concat!(
            "--registry-ca-file=",
            env!("CARGO_MANIFEST_DIR"),
            "/Cargo.toml"
        );
        let error = parse(&[here]).client().unwrap_err();
        assert!(matches!(error, RegistryArgsError::Client(_)), "{error}");
    }
}
