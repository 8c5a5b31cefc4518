//! The flags of the `rukpak` binary.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand, ValueEnum};
use olm_runtime::{CommonArgs, RegistryArgs};

/// Fetches bundles and applies them to the cluster, or judges Bundles at admission
#[derive(Debug, Parser)]
#[command(name = "rukpak", version)]
pub struct Cli {
    /// What to be.
    #[command(subcommand)]
    pub command: Command,
}

/// The parts of rukpak, which run in Deployments of their own: admission must not hold the rights
/// of the one who applies.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the controllers of Bundles and BundleDeployments
    Manager(ManagerArgs),
    /// Serve the admission webhook of Bundles
    Webhooks(WebhooksArgs),
}

/// Flags of `rukpak manager`.
#[derive(Debug, Clone, Args)]
pub struct ManagerArgs {
    /// Flags that every process has.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Directory that the content of Bundles is kept in
    #[arg(long, value_name = "DIRECTORY", default_value = "/var/cache/rukpak")]
    pub storage_dir: PathBuf,

    /// How much content of Bundles there may be in it, as bytes or with a unit (512Mi, 10Gi); what
    /// would be more is not unpacked until other Bundles are gone
    #[arg(long, value_name = "SIZE", default_value = "10Gi")]
    pub storage_quota: ByteSize,

    /// Who makes the certificates of the webhooks of bundles; auto: cert-manager where the cluster
    /// has it, else the service CA of OpenShift where the cluster has that, else rukpak itself, and
    /// for what is installed whoever makes them now
    #[arg(long, value_name = "PROVIDER", value_enum, default_value_t)]
    pub certificate_provider: CertificateChoice,

    /// Flags that every process that pulls images has.
    #[command(flatten)]
    pub registry: RegistryArgs,

    /// Let git and http sources of Bundles name hosts at loopback and link-local addresses
    #[arg(long)]
    pub allow_local_sources: bool,

    /// Address that the content of Bundles is served at and uploads are taken at, over HTTPS
    #[arg(long, value_name = "ADDRESS", default_value = ":8443")]
    pub http_bind_address: String,

    /// Address under which clients reach it; the prefix of status.contentURL. Default: that of the
    /// Service rukpak-service
    #[arg(long, value_name = "URL")]
    pub http_external_address: Option<String>,

    /// Further name or address that the server's certificate is for; may be repeated
    #[arg(long, value_name = "NAME")]
    pub tls_san: Vec<String>,
}

/// Who is to make the certificates of the webhooks of bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum CertificateChoice {
    /// Whoever made those of what is installed, else what the cluster has, else rukpak.
    #[default]
    Auto,
    /// cert-manager.
    CertManager,
    /// The service CA of OpenShift.
    ServiceCa,
    /// rukpak itself.
    Own,
}

/// Flags of `rukpak webhooks`.
#[derive(Debug, Clone, Args)]
pub struct WebhooksArgs {
    /// Flags that every process has.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Address of the webhook server
    #[arg(long, value_name = "ADDRESS", default_value = ":9443")]
    pub webhook_bind_address: String,

    /// Further name or address that the server's certificate is for; may be repeated
    #[arg(long, value_name = "NAME")]
    pub tls_san: Vec<String>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_are_those_of_the_chart() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from([
            "rukpak",
            "manager",
            "--leader-elect",
            "--storage-dir=/s",
            "--storage-quota=512Mi",
            "--plain-http-registry=a:5000",
            "--plain-http-registry=b",
            "--certificate-provider=service-ca",
        ])
        .unwrap();
        let Command::Manager(args) = cli.command else {
            panic!("another command")
        };
        assert_eq!(args.registry.plain_http_registry, ["a:5000", "b"]);
        assert!(args.common.leader_elect);
        assert!(!args.allow_local_sources);
        assert_eq!(args.http_bind_address, ":8443");
        assert_eq!(args.http_external_address, None);
        assert_eq!(args.storage_quota, ByteSize::mib(512));
        assert_eq!(args.certificate_provider, CertificateChoice::ServiceCa);
        let cli = Cli::try_parse_from(["rukpak", "webhooks", "--tls-san=127.0.0.1"]).unwrap();
        let Command::Webhooks(args) = cli.command else {
            panic!("another command")
        };
        assert_eq!(args.webhook_bind_address, ":9443");
    }
}
