//! SIGKILL of rukpak at its writes: before each is sent and after each was answered. Whatever is
//! cut off, the end is that of an undisturbed run.
//!
//! A proxy before the API server counts the writes of an install, an upgrade, an upgrade that is
//! refused and a removal. A few of them are struck in each run of the tests; `OLM_TEST_CRASH=full`
//! strikes all (`make test-crash`).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;
use olm_tests::api_proxy::{ApiProxy, Moment, Weather};
use olm_tests::publish::Publisher;
use olm_tests::snapshot::Snapshot;
use olm_tests::{
    ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, report, scratch, wait,
};
use olm_tree::MemoryTree;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const PLAIN: &str = "core-rukpak-io-plain";
const NAME: &str = "crash";
/// A namespace of somebody else.
const OTHERS: &str = "others";
/// How long any step may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// Of so many writes one is struck, where not all are.
const STRIDE: usize = 6;

/// What a user does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// A bundle of ten objects.
    Install,
    /// Its next version: one object less, one more, the others changed.
    Upgrade,
    /// A version that would take over what belongs to someone else.
    Refused,
    /// The end.
    Remove,
}

const STAGES: [Stage; 4] = [
    Stage::Install,
    Stage::Upgrade,
    Stage::Refused,
    Stage::Remove,
];

/// rukpak behind the proxy on a control plane of its own.
struct Run {
    suite: Suite,
    proxy: ApiProxy,
    client: Client,
    deployments: Api<BundleDeployment>,
    images: BTreeMap<Stage, String>,
    _registry: Registry,
}

/// What the undisturbed run came to, and how many writes each stage took.
struct Reference {
    ends: BTreeMap<Stage, Snapshot>,
    writes: BTreeMap<Stage, usize>,
}

fn map(namespace: &str, name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace}, "data": {"key": value}})
}

fn workload(image: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "worker", "namespace": NAME},
        "spec": {"selector": {"matchLabels": {"app": NAME}},
            "template": {"metadata": {"labels": {"app": NAME}},
                "spec": {"serviceAccountName": "worker",
                    "containers": [{"name": "worker", "image": image}]}}}})
}

fn definition() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "crashes.rukpak.example.com"},
        "spec": {"group": "rukpak.example.com", "scope": "Namespaced",
            "names": {"kind": "Crash", "plural": "crashes", "singular": "crash", "listKind": "CrashList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object",
                    "properties": {"spec": {"type": "object",
                        "properties": {"size": {"type": "integer"}}}}}}}]}})
}

fn manifests(stage: Stage) -> Vec<Value> {
    let version = if stage == Stage::Install { "1" } else { "2" };
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "worker", "namespace": NAME}});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "worker", "namespace": NAME},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "worker", "namespace": NAME},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "worker"},
        "subjects": [{"kind": "ServiceAccount", "name": "worker", "namespace": NAME}]});
    let instance = json!({"apiVersion": "rukpak.example.com/v1", "kind": "Crash",
        "metadata": {"name": "shipped", "namespace": NAME}, "spec": {"size": 1}});
    let mut all = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}}),
        account,
        role,
        binding,
        definition(),
        instance,
        workload(&format!("example.com/worker:{version}")),
        map(NAME, "kept", version),
        map(
            NAME,
            if stage == Stage::Install {
                "dropped"
            } else {
                "added"
            },
            version,
        ),
    ];
    if stage == Stage::Refused {
        all.push(map(OTHERS, "foreign", "ours"));
    }
    all
}

impl Run {
    async fn start() -> Result<Self> {
        let cluster = ControlPlane::own().await?;
        let registry = Registry::start(RegistryOptions::default()).await?;
        let mut images = BTreeMap::new();
        for stage in [Stage::Install, Stage::Upgrade, Stage::Refused] {
            let mut tree = MemoryTree::default();
            for (index, object) in manifests(stage).iter().enumerate() {
                tree.insert(&format!("manifests/{index}.yaml"), object.to_string())?;
            }
            let name = format!("crash:{stage:?}").to_lowercase();
            Publisher::new(&registry).bundle(&name, &tree).await?;
            images.insert(stage, format!("{}/{name}", registry.host()));
        }
        let folder = scratch::subdirectory("proxy")?;
        let proxy = ApiProxy::start(cluster.kubeconfig(), &folder).await?;
        let kubeconfigs = BTreeMap::from([("rukpak".to_owned(), proxy.kubeconfig().to_owned())]);
        let options = SuiteOptions {
            kubeconfigs,
            rendered_leases: true,
            ..SuiteOptions::plain_http([registry.host()])
        };
        let suite = Suite::start_only(&cluster, options, &["rukpak-webhooks", "rukpak"]).await?;
        let client = cluster.client().await?;
        let run = Self {
            suite,
            proxy,
            deployments: Api::all(client.clone()),
            client,
            images,
            _registry: registry,
        };
        run.foreign().await?;
        Ok(run)
    }

    /// Makes an object of somebody else.
    async fn foreign(&self) -> Result<()> {
        let apply = PatchParams::apply("somebody");
        let spaces: Api<Namespace> = Api::all(self.client.clone());
        let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OTHERS}});
        spaces.patch(OTHERS, &apply, &Patch::Apply(&space)).await?;
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), OTHERS);
        let theirs = Patch::Apply(map(OTHERS, "foreign", "theirs"));
        maps.patch("foreign", &apply, &theirs).await?;
        Ok(())
    }

    /// Does what a user does for a stage.
    async fn ask(&self, stage: Stage) -> Result<()> {
        let Some(image) = self.images.get(&stage) else {
            self.deployments
                .delete(NAME, &DeleteParams::default())
                .await?;
            return Ok(());
        };
        let object = json!({
            "apiVersion": "core.rukpak.io/v1alpha1",
            "kind": "BundleDeployment",
            "metadata": {"name": NAME},
            "spec": {
                "provisionerClassName": PLAIN,
                "template": {"spec": {
                    "provisionerClassName": PLAIN,
                    "source": {"type": "image", "image": {"ref": image}},
                }},
            },
        });
        let apply = PatchParams::apply("a-user").force();
        self.deployments
            .patch(NAME, &apply, &Patch::Apply(&object))
            .await?;
        Ok(())
    }

    /// Waits until the BundleDeployment says that a stage is over.
    async fn reached(&self, stage: Stage) -> Result<()> {
        let wait = Wait::new(format!("{stage:?} is over"))
            .within(PATIENCE)
            .logs(&self.suite);
        let reason = match stage {
            Stage::Install | Stage::Upgrade => "InstallationSucceeded",
            Stage::Refused => "UpgradeFailed",
            Stage::Remove => {
                wait.gone(&self.deployments, NAME).await?;
                // They go with it by garbage collection.
                let bundles: Api<Bundle> = Api::all(self.client.clone());
                return Wait::new("its Bundles are gone")
                    .within(PATIENCE)
                    .value(async || {
                        let left = bundles.list(&ListParams::default()).await?;
                        Ok(left.items.is_empty().then_some(()))
                    })
                    .await;
            }
        };
        wait.object(&self.deployments, NAME, |deployment| {
            wait::is_because(deployment, "Installed", reason)
        })
        .await?;
        Ok(())
    }

    /// What the cluster holds once two looks at it are equal.
    async fn settled(&self) -> Result<Snapshot> {
        let mut last: Option<Snapshot> = None;
        Wait::new("nothing changes any more")
            .within(PATIENCE)
            .every(Duration::from_secs(1))
            .logs(&self.suite)
            .explained(async || {
                let now = Snapshot::take(&self.client).await?;
                Ok(match last.replace(now.clone()) {
                    Some(last) if last == now => Ok(now),
                    Some(last) => Err(last.differences(&now).join("\n")),
                    None => Err("there was only one look".to_owned()),
                })
            })
            .await
    }

    /// Waits until the cluster holds what it held at the same end before.
    async fn came_to(&self, end: &Snapshot) -> Result<()> {
        Wait::new("the end is that of an undisturbed run")
            .within(PATIENCE)
            .logs(&self.suite)
            .explained(async || {
                let differences = end.differences(&Snapshot::take(&self.client).await?);
                Ok(if differences.is_empty() {
                    Ok(())
                } else {
                    Err(differences.join("\n"))
                })
            })
            .await
    }

    async fn undisturbed(&self) -> Result<Reference> {
        let (mut ends, mut writes) = (BTreeMap::new(), BTreeMap::new());
        for stage in STAGES {
            self.proxy.count();
            self.ask(stage).await?;
            self.reached(stage).await?;
            ends.insert(stage, self.settled().await?);
            let made = self.proxy.writes();
            report::line(&format!("{stage:?}: {} writes", made.len()));
            ensure!(!made.is_empty(), "nothing was written for {stage:?}");
            writes.insert(stage, made.len());
        }
        Ok(Reference { ends, writes })
    }

    /// Goes through all stages; rukpak is killed at this write of each. Says of how many stages it
    /// was.
    async fn struck_at(
        &self,
        write: usize,
        moment: Moment,
        reference: &Reference,
    ) -> Result<usize> {
        let mut struck = 0;
        for stage in STAGES {
            if write > reference.writes[&stage] {
                self.proxy.count();
            } else {
                let pid = self.suite.process("rukpak")?.pid();
                let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
                let pid = pid.context("rukpak does not run")?;
                self.proxy.strike(write, moment, move || {
                    // It may have ended by itself in the same moment.
                    let _ = kill_process(pid, Signal::KILL);
                });
            }
            self.ask(stage).await?;
            let through = async {
                self.reached(stage).await?;
                self.came_to(&reference.ends[&stage]).await
            };
            tokio::select! {
                over = through => over.with_context(|| {
                    let made = self.proxy.writes();
                    let at = made.get(write - 1).map_or("a write that was not made", String::as_str);
                    format!("{stage:?}, killed {moment:?} write {write}, {at}")
                })?,
                ended = self.keep_running() => ended?,
            }
            if write <= reference.writes[&stage] && !self.proxy.waits() {
                struck += 1;
            }
        }
        Ok(struck)
    }

    /// Starts rukpak again whenever it has ended; never returns but with an error.
    async fn keep_running(&self) -> Result<()> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), self.suite.namespace());
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if self.suite.process("rukpak")?.exited()?.is_some() {
                // Nobody needs to wait for a lease whose holder is known to be dead.
                leases
                    .delete_collection(&DeleteParams::default(), &ListParams::default())
                    .await?;
                self.suite.start_process("rukpak").await?;
            }
        }
    }
}

#[tokio::test]
async fn killed_at_any_write_rukpak_comes_to_the_same_end() -> Result<()> {
    let run = Run::start().await?;
    let reference = run.undisturbed().await?;
    let most = reference.writes.values().max().copied().unwrap_or_default();
    let all = std::env::var("OLM_TEST_CRASH").as_deref() == Ok("full");
    let (mut struck, mut cases) = (0, 0);
    for write in 1..=most {
        for (number, moment) in [Moment::Before, Moment::After].into_iter().enumerate() {
            // Both moments are spread over the writes.
            if all || (write + number * STRIDE / 2).is_multiple_of(STRIDE) {
                cases += reference.writes.values().filter(|of| write <= **of).count();
                struck += run.struck_at(write, moment, &reference).await?;
            }
        }
    }
    report::line(&format!("{struck} of {cases} writes were struck"));
    // A write may be one of the status that another pass made unnecessary, not most of them.
    ensure!(struck * 4 >= cases * 3, "too few writes were struck");
    Ok(())
}

#[tokio::test]
async fn conflicts_and_broken_watches_do_not_change_the_end() -> Result<()> {
    let run = Run::start().await?;
    let reference = run.undisturbed().await?;
    for weather in [
        Weather::Conflicts,
        Weather::Gone,
        Weather::Cut,
        Weather::Twice,
    ] {
        run.proxy.weather(weather);
        // Its watches begin anew.
        run.suite.restart("rukpak").await?;
        for stage in STAGES {
            run.ask(stage).await?;
            let through = async {
                run.reached(stage).await?;
                run.came_to(&reference.ends[&stage]).await
            };
            through
                .await
                .with_context(|| format!("{stage:?} in {weather:?}"))?;
        }
        report::line(&format!("{weather:?}: the same end"));
    }
    Ok(())
}
