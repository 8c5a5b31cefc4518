//! Many deployments of a small bundle: applied at once, and at rest.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::Api;
use kube::api::{ListParams, PostParams};
use olm_api::bundle_deployment::BundleDeployment;
use olm_tree::MemoryTree;
use serde_json::{Value, json};

use super::{PATIENCE, Rukpak, SETTLE, fixed_work};
use crate::Wait;
use crate::publish::Publisher;
use crate::wait::has_condition;

const DEPLOYMENTS: usize = 200;
/// Requests that the user sends at the same time.
const AT_ONCE: usize = 20;
/// In s, for all of them.
const TIME_GOAL: f64 = 60.0;
/// In MiB, for the whole process.
const MEMORY_GOAL: f64 = 80.0;
/// How long rest is looked at, so that whatever is done by the clock is seen.
const REST: Duration = Duration::from_mins(5);
/// In per cent of a core.
const PROCESSOR_GOAL: f64 = 0.5;

/// Installs them, then looks at how they rest.
pub(super) async fn many(rukpak: &Rukpak) -> Result<()> {
    let image = Publisher::new(&rukpak.registry)
        .bundle("bench/small:v1", &small()?)
        .await?;
    let client = rukpak.cluster.client().await?;
    let deployments = Api::<BundleDeployment>::all(client);
    let before = fixed_work();
    rukpak.process()?.forget_peak()?;
    let used = rukpak.process()?.processor()?;
    let started = Instant::now();
    stream::iter(0..DEPLOYMENTS)
        .map(|number| create(&deployments, number, &image))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    let applied = started.elapsed();
    Wait::new("all are installed and healthy")
        .within(PATIENCE)
        .every(Duration::from_millis(250))
        .logs(&rukpak.suite)
        .explained(async || {
            let all = deployments.list(&ListParams::default()).await?.items;
            let well = all.iter().filter(|deployment| {
                has_condition(*deployment, "Installed", "True")
                    && has_condition(*deployment, "Healthy", "True")
            });
            let well = well.count();
            Ok(if well == DEPLOYMENTS {
                Ok(())
            } else {
                Err(format!("{well} of {DEPLOYMENTS}"))
            })
        })
        .await?;
    let time = started.elapsed();
    let unit = (before + fixed_work()) / 2;
    let memory = rukpak.process()?.memory()?;
    println!(
        "  {DEPLOYMENTS} BundleDeployments of 5 objects: all healthy {:.1} s after the first (goal \
         {TIME_GOAL}; created within {:.1} s), ratio {:.0}; {:.1} s of processor; at the peak \
         {:.1} MiB (goal {MEMORY_GOAL})",
        time.as_secs_f64(),
        applied.as_secs_f64(),
        time.as_secs_f64() / unit.as_secs_f64(),
        rukpak
            .process()?
            .processor()?
            .saturating_sub(used)
            .as_secs_f64(),
        memory.peak,
    );
    rest(rukpak).await
}

async fn rest(rukpak: &Rukpak) -> Result<()> {
    tokio::time::sleep(SETTLE).await;
    rukpak.proxy.count();
    let used = rukpak.process()?.processor()?;
    let started = Instant::now();
    tokio::time::sleep(REST).await;
    let share = rukpak
        .process()?
        .processor()?
        .saturating_sub(used)
        .as_secs_f64()
        / started.elapsed().as_secs_f64();
    let (sent, renewals) = rukpak.proxy.besides_renewals();
    println!(
        "  at rest with them, {} s: {} writes and Events (goal 0), {renewals} renewals of the Lease, \
         {:.2} % of a core (goal {PROCESSOR_GOAL}), {:.1} MiB resident",
        REST.as_secs(),
        sent.len(),
        share * 100.0,
        rukpak.process()?.memory()?.now,
    );
    ensure!(sent.is_empty(), "written at rest: {sent:?}");
    Ok(())
}

async fn create(api: &Api<BundleDeployment>, number: usize, image: &str) -> Result<()> {
    let name = format!("small-{number:03}");
    let deployment = serde_json::from_value(json!({
        "apiVersion": "core.rukpak.io/v1alpha1",
        "kind": "BundleDeployment",
        "metadata": {"name": name},
        "spec": {
            "provisionerClassName": "core-rukpak-io-plain",
            "installNamespace": name,
            "template": {"spec": {
                "provisionerClassName": "core-rukpak-io-plain",
                "source": {"type": "image", "image": {"ref": image}},
            }},
        },
    }))?;
    api.create(&PostParams::default(), &deployment).await?;
    Ok(())
}

/// A bundle of what a small operator has; its objects go where it is installed.
fn small() -> Result<MemoryTree> {
    let labels = json!({"app": "small"});
    let role = "rbac.authorization.k8s.io";
    let objects: [(&str, Value); 5] = [
        (
            "account",
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "small"}}),
        ),
        (
            "settings",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "small"},
                "data": {"setting": "value"}}),
        ),
        (
            "role",
            json!({"apiVersion": format!("{role}/v1"), "kind": "Role",
                "metadata": {"name": "small"}, "rules": [
                    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]}),
        ),
        (
            "binding",
            json!({"apiVersion": format!("{role}/v1"), "kind": "RoleBinding",
                "metadata": {"name": "small"},
                "roleRef": {"apiGroup": role, "kind": "Role", "name": "small"},
                "subjects": [{"kind": "ServiceAccount", "name": "small"}]}),
        ),
        (
            "workload",
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "small"},
                "spec": {"selector": {"matchLabels": labels}, "template": {
                    "metadata": {"labels": labels},
                    "spec": {"serviceAccountName": "small",
                        "containers": [{"name": "small", "image": "example.com/small:v1"}]}}}}),
        ),
    ];
    let mut tree = MemoryTree::default();
    for (name, object) in objects {
        tree.insert(&format!("manifests/{name}.yaml"), object.to_string())?;
    }
    Ok(tree)
}
