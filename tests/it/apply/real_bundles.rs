//! Bundles of real catalogs, applied and removed.

use std::time::Duration;

use anyhow::Result;
use kube::api::PostParams;
use olm_apply::{ApplyError, ApplyOptions, ObjectId, RefusalReason, UninstallOptions};
use olm_bundle::registry_v1::{self, CertificateProvider, Config, RenderOptions};
use olm_tests::{Wait, content};
use serde_json::{Value, json};

use super::objects::operator;
use super::owner::BundleOwner;

/// Those that show the most in the least time, in their first mode; `OLM_TEST_CORPUS=all` takes
/// every one in every mode (minutes).
const SAMPLE: [&str; 5] = [
    "cert-manager",
    "eventing-kogito",
    "flux",
    "nfs-provisioner-operator",
    "opentelemetry-operator",
];

/// What the real bundles render to, by name; where they are not there, a bundle of our own.
fn bundles(namespace: &str) -> Result<Vec<(String, Vec<Value>)>> {
    let mut bundles = vec![("fixture".to_owned(), operator(namespace))];
    let Some(data) = content::data()? else {
        return Ok(bundles);
    };
    let all = std::env::var_os("OLM_TEST_CORPUS").is_some_and(|corpus| corpus == "all");
    for name in content::bundles(&data)? {
        let package = name.split('/').next().unwrap_or_default();
        if !all && !SAMPLE.contains(&package) {
            continue;
        }
        let files = content::files(&data.join("bundles").join(&name))?;
        // What does not load or render is the business of the tests of bundles.
        let Ok(bundle) = registry_v1::load(&files) else {
            continue;
        };
        let targets: [&[&str]; 4] = [
            &[""],
            &[namespace],
            &["default"],
            &["default", "kube-public"],
        ];
        let rendered = targets.into_iter().filter_map(|targets| {
            let options = RenderOptions {
                config: Config::watching(targets.iter().map(ToString::to_string).collect()),
                ..RenderOptions::new(namespace, CertificateProvider::Own)
            };
            let rendered = registry_v1::render(&bundle, &options).ok()?;
            let title = format!("{} {targets:?}", bundle.csv_name());
            Some((title, rendered.objects))
        });
        bundles.extend(rendered.take(if all { usize::MAX } else { 1 }));
    }
    Ok(bundles)
}

#[tokio::test]
async fn real_bundles_are_installed_stay_settled_and_go_without_a_trace() -> Result<()> {
    let name = "apply-corpus";
    // Nobody's namespace, so that it need not go and come with every bundle.
    let space = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    let spaces = BundleOwner::new(name).await?.api("Namespace");
    spaces.create(&PostParams::default(), &space).await?;
    let mut wrong = Vec::new();
    for (bundle, mut objects) in bundles(name)? {
        let fixture = BundleOwner::new(name).await?;
        // Kinds of operators that are not installed here.
        let missing: Vec<(String, String)> = match fixture.plan(&objects, &[]).await {
            Err(ApplyError::Refused(refusals)) => refusals
                .into_iter()
                .filter(|refusal| refusal.reason == RefusalReason::NoMatch)
                .filter_map(|refusal| refusal.object)
                .map(|id| (id.api_version(), id.kind))
                .collect(),
            _ => Vec::new(),
        };
        objects.retain(|object| {
            let is = |kind: &(String, String)| {
                object["apiVersion"] == kind.0.as_str() && object["kind"] == kind.1.as_str()
            };
            !missing.iter().any(is)
        });
        let outcome = async {
            let plan = fixture.plan(&objects, &[]).await?;
            let inventory = plan.inventory();
            let options = ApplyOptions {
                // An API server that has no time for large definitions is not the matter here.
                establish_within: Duration::from_mins(2),
                ..ApplyOptions::default()
            };
            let applied = fixture.applier.apply(plan, options).await?;
            let plan = fixture.plan(&objects, &inventory).await?;
            let changes: Vec<String> = plan.changes().map(ToString::to_string).collect();
            Ok::<_, ApplyError>((applied, changes))
        };
        match outcome.await {
            Err(error) => wrong.push(format!("{bundle}: {}", error.message())),
            Ok((applied, changes)) => {
                if !applied.is_complete() {
                    wrong.push(format!("{bundle}: waits for {:?}", applied.waiting));
                }
                if !changes.is_empty() {
                    wrong.push(format!("{bundle}: does not settle: {changes:?}"));
                }
            }
        }
        // What a failure left is found by its labels.
        let inventory = fixture.applier.find_owned(&fixture.owner).await?;
        let uninstall = async || {
            let options = UninstallOptions::default();
            let step = fixture
                .applier
                .uninstall(&fixture.owner, &inventory, options)
                .await?;
            Ok(step.is_done().then_some(()))
        };
        Wait::new(format!("{bundle} is gone"))
            .logs(&fixture.cluster)
            .value(uninstall)
            .await?;
        let left = fixture.applier.find_owned(&fixture.owner).await?;
        assert_eq!(left, Vec::<ObjectId>::new(), "{bundle}");
    }
    // Examples that their own definitions do not admit, an account that every namespace has, and a
    // permission without an API group.
    wrong.retain(|text| {
        let known = [
            ("ack-iam-controller.v0.0.10 ", "]: Role "),
            (
                "assisted-service-operator.v0.0.1 ",
                "]: ServiceAccount \"default\" ",
            ),
            ("ecr-secret-operator.v0.3.2 ", "]: Secret "),
            ("oadp-operator.v0.2.3 ", "]: Role "),
        ];
        let is_known =
            |(start, object): &(&str, &str)| text.starts_with(start) && text.contains(object);
        !known.iter().any(is_known)
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
