//! The flags that every process of the suite has.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use crate::go_duration::GoDuration;
use crate::lease::Timing;

/// Where a pod finds the namespace it runs in.
const POD_NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// A namespace has at most 63 bytes.
const MAX_NAMESPACE: usize = 63;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub enum LogFormat {
    /// One JSON object per line, for clusters.
    #[default]
    Json,
    /// For people.
    Text,
}

/// Flags common to all processes; flatten them into the process's own.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    /// Kubeconfig file; without it the in-cluster configuration, then the default kubeconfig
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Address of the plain-HTTP metrics endpoint; 0 or empty for none
    #[arg(long, value_name = "ADDRESS", default_value = ":8080")]
    pub metrics_bind_address: String,

    /// Address of the health endpoint; 0 or empty for none
    #[arg(long, value_name = "ADDRESS", default_value = ":8081")]
    pub health_probe_bind_address: String,

    /// Run controllers only while holding the lease
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false,
          default_missing_value = "true", action = ArgAction::Set)]
    pub leader_elect: bool,

    /// How long a silent leader keeps the lease
    #[arg(long, value_name = "DURATION", default_value = "15s")]
    pub leader_elect_lease_duration: GoDuration,

    /// How long a leader tries to renew before it gives up
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub leader_elect_renew_deadline: GoDuration,

    /// Time between two attempts on the lease
    #[arg(long, value_name = "DURATION", default_value = "2s")]
    pub leader_elect_retry_period: GoDuration,

    /// Namespace of the suite: secrets, leases, trust; without it the pod's own, then olm-system
    #[arg(long, value_name = "NAMESPACE", default_value = "")]
    pub system_namespace: String,

    /// Level, or filter such as `info,kube=warn`
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,

    /// Format of log lines
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,

    /// Name of this replica in leases and events
    #[arg(long, env = "HOSTNAME", hide = true, default_value = "local")]
    pub instance: String,
}

impl CommonArgs {
    /// The suite's namespace: the flag, else the namespace of the pod, else `olm-system`.
    pub async fn system_namespace(&self) -> String {
        if !self.system_namespace.is_empty() {
            return self.system_namespace.clone();
        }
        let from_pod = tokio::fs::read_to_string(POD_NAMESPACE_FILE).await.ok();
        from_pod
            .map(|text| text.trim().to_owned())
            .filter(|name| !name.is_empty() && name.len() <= MAX_NAMESPACE)
            .unwrap_or_else(|| olm_api::names::DEFAULT_SYSTEM_NAMESPACE.to_owned())
    }

    /// The times of the leader election.
    pub fn lease_timing(&self) -> Timing {
        Timing {
            duration: self.leader_elect_lease_duration.get(),
            renew_deadline: self.leader_elect_renew_deadline.get(),
            retry_period: self.leader_elect_retry_period.get(),
        }
    }
}

/// Whether an address flag asks for no server at all.
pub(crate) fn is_disabled(address: &str) -> bool {
    address.is_empty() || address == "0"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Example {
        #[command(flatten)]
        common: CommonArgs,
    }

    fn parse(arguments: &[&str]) -> Result<CommonArgs, clap::Error> {
        let arguments = std::iter::once("example").chain(arguments.iter().copied());
        Example::try_parse_from(arguments).map(|example| example.common)
    }

    #[test]
    fn has_the_documented_defaults() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.metrics_bind_address, ":8080");
        assert_eq!(args.health_probe_bind_address, ":8081");
        assert!(!args.leader_elect);
        assert_eq!(args.lease_timing(), Timing::default());
        assert_eq!(
            (args.log_level.as_str(), args.log_format),
            ("info", LogFormat::Json)
        );
    }

    #[test]
    fn reads_switches_as_go_programs_do() {
        assert!(parse(&["--leader-elect"]).unwrap().leader_elect);
        assert!(parse(&["--leader-elect=true"]).unwrap().leader_elect);
        assert!(!parse(&["--leader-elect=false"]).unwrap().leader_elect);
        let args = parse(&["--leader-elect-retry-period=1m30s", "--log-format=text"]).unwrap();
        assert_eq!(args.leader_elect_retry_period.to_string(), "1m30s");
        assert!(parse(&["--leader-elect-retry-period=soon"]).is_err());
    }

    #[tokio::test]
    async fn the_flag_names_the_namespace() {
        let args = parse(&["--system-namespace=elsewhere"]).unwrap();
        assert_eq!(args.system_namespace().await, "elsewhere");
    }
}
