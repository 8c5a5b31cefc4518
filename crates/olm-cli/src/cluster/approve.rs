//! `olmctl approve`: an upgrade that waits goes on.

use std::io::Write as _;

use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use olm_api::operator::{Operator, UpgradeApproval};
use serde_json::{Value, json};

use crate::args::Named;
use crate::failure::{Failure, Outcome};
use crate::output;

use super::{Cluster, failed, installed, named};

/// Runs the command.
pub(crate) async fn run(args: Named) -> Result<Outcome, Failure> {
    let cluster = Cluster::open(&args.access).await?;
    let operators = cluster.operators().await?;
    let operator = named(&operators, &args.name)?;
    let name = operator.name_any();
    let (change, version) = approval(operator)?;
    // What was looked at is what is approved: where it has changed since, the server refuses.
    cluster
        .api()
        .patch(&name, &PatchParams::default(), &Patch::Merge(&change))
        .await
        .map_err(failed(format!("approve the upgrade of Operator `{name}`")))?;
    let mut out = output::stdout();
    match installed(operator) {
        Some(runs) => writeln!(out, "{name}: {} may become {version}", runs.version)?,
        None => writeln!(out, "{name}: {version} may be installed")?,
    }
    out.flush()?;
    Ok(Outcome::Fine)
}

/// The change that approves what waits, and its version.
fn approval(operator: &Operator) -> Result<(Value, String), Failure> {
    let pending = operator
        .status
        .as_ref()
        .and_then(|status| status.pending_upgrade.as_ref());
    let Some(pending) = pending else {
        let why = match operator.spec.upgrade_approval {
            UpgradeApproval::Automatic => "its upgrades do not wait (spec.upgradeApproval)",
            UpgradeApproval::Manual => "there is none now",
        };
        return Err(Failure::NothingToApprove {
            name: operator.name_any(),
            why: why.to_owned(),
        });
    };
    let change = json!({
        "metadata": {"resourceVersion": operator.resource_version()},
        "spec": {"approvedVersion": pending.version},
    });
    Ok((change, pending.version.clone()))
}
