//! The flags of catalogd.

use std::path::PathBuf;

use clap::Parser;
use olm_runtime::{CommonArgs, GoDuration, RegistryArgs};

/// Unpacks catalog images and serves their File-Based Catalogs to the cluster
#[derive(Clone, Debug, Parser)]
#[command(name = "catalogd", version)]
pub struct Args {
    /// What every process of the suite has.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Address that the content is served at, over HTTPS
    #[arg(long, value_name = "ADDRESS", default_value = ":8443")]
    pub catalogs_server_addr: String,

    /// Address under which clients reach the content; the prefix of status.contentURL
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://catalogd-service.olm-system.svc"
    )]
    pub http_external_address: String,

    /// Folder for catalog content
    #[arg(long, value_name = "FOLDER", default_value = "/var/cache/catalogd")]
    pub cache_dir: PathBuf,

    /// How often tags are asked for where a Catalog does not say; 0 for never
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub poll_interval: GoDuration,

    /// Further name or address of the serving certificate; may be repeated
    #[arg(long, value_name = "NAME")]
    pub tls_san: Vec<String>,

    /// What every process that pulls images has.
    #[command(flatten)]
    pub registry: RegistryArgs,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn has_the_documented_defaults() {
        let args = Args::try_parse_from(["catalogd"]).unwrap();
        assert_eq!(args.catalogs_server_addr, ":8443");
        assert_eq!(
            args.http_external_address,
            "https://catalogd-service.olm-system.svc"
        );
        assert_eq!(args.cache_dir.to_str(), Some("/var/cache/catalogd"));
        assert_eq!(args.poll_interval, GoDuration::from_secs(24 * 3600));
    }

    #[test]
    fn repeats_what_may_be_repeated() {
        let args = [
            "catalogd",
            "--plain-http-registry=127.0.0.1:5000",
            "--plain-http-registry=registry.local",
            "--tls-san=127.0.0.1",
            "--poll-interval=0",
        ];
        let args = Args::try_parse_from(args).unwrap();
        assert_eq!(
            args.registry.plain_http_registry,
            ["127.0.0.1:5000", "registry.local"]
        );
        assert_eq!(args.tls_san, ["127.0.0.1"]);
        assert!(args.poll_interval.get().is_zero());
    }
}
