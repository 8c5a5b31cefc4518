//! The chart: what its settings lead to, and which it refuses.

use anyhow::Result;
use olm_tests::chart::Chart;
use serde_json::{Value, json};

const KUBERNETES: &str = "1.33.0";

async fn render(values: &[&str]) -> Result<Vec<Value>> {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    let chart = Chart {
        values,
        ..Chart::default()
    };
    Ok(chart.render(KUBERNETES).await?.objects)
}

async fn deployment(name: &str, values: &[&str]) -> Result<Value> {
    let mut objects = render(values).await?.into_iter();
    let found =
        objects.find(|object| object["kind"] == "Deployment" && object["metadata"]["name"] == name);
    Ok(found.unwrap())
}

#[tokio::test]
async fn a_claim_is_used_by_one_pod_at_a_time() -> Result<()> {
    for (name, block) in [
        ("catalogd", "catalogd"),
        ("operator-controller", "operatorController"),
        ("rukpak", "rukpak"),
    ] {
        let plain = deployment(name, &[]).await?;
        assert_eq!(plain["spec"]["strategy"], Value::Null);
        let claim = format!("{block}.storage.existingClaim=data");
        let kept = deployment(name, &[&claim]).await?;
        assert_eq!(kept["spec"]["strategy"], json!({"type": "Recreate"}));
        let volumes = kept["spec"]["template"]["spec"]["volumes"]
            .as_array()
            .unwrap();
        let cache = volumes
            .iter()
            .find(|volume| volume["name"] == "cache")
            .unwrap();
        assert_eq!(cache["persistentVolumeClaim"]["claimName"], "data");

        let two = format!("{block}.replicas=2");
        let error = render(&[&claim, &two]).await.unwrap_err().to_string();
        let told = format!("{name}: 2 replicas cannot share the claim \"data\"");
        assert!(error.contains(&told), "{error}");
        assert_eq!(deployment(name, &[&two]).await?["spec"]["replicas"], 2);
        let alone = [two.as_str(), "leaderElection.enabled=false"];
        let error = render(&alone).await.unwrap_err().to_string();
        let told = format!("{name}: 2 replicas need leaderElection.enabled");
        assert!(error.contains(&told), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn every_container_says_whether_it_lives_and_is_ready() -> Result<()> {
    let objects = render(&[]).await?;
    let deployments = objects
        .iter()
        .filter(|object| object["kind"] == "Deployment");
    let mut asked = 0;
    for deployment in deployments {
        let containers = deployment["spec"]["template"]["spec"]["containers"].as_array();
        for container in containers.unwrap() {
            for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
                assert_eq!(
                    container[probe]["httpGet"]["path"], path,
                    "{} {probe}",
                    deployment["metadata"]["name"]
                );
                asked += 1;
            }
        }
    }
    assert_eq!(asked, 4 * 2);
    Ok(())
}

#[tokio::test]
async fn settings_that_are_none_are_refused_by_name() -> Result<()> {
    for (value, place) in [
        ("catalogd.replica=2", "/catalogd"),
        ("catalogd.replicas=two", "/catalogd/replicas"),
        ("catalogd.replicas=-1", "/catalogd/replicas"),
        ("catalogd.pollInterval=often", "/catalogd/pollInterval"),
        (
            "leaderElection.leaseDuration=15",
            "/leaderElection/leaseDuration",
        ),
        ("log.format=xml", "/log/format"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        (
            "operatorController.featureGates=X=maybe",
            "/operatorController/featureGates",
        ),
        (
            "rukpakWebhooks.storage.existingClaim=data",
            "/rukpakWebhooks",
        ),
        (
            "rukpak.certificateProvider=vault",
            "/rukpak/certificateProvider",
        ),
        ("crds.install=yes", "/crds/install"),
        ("nonsense=1", "''"),
    ] {
        let error = render(&[value]).await.unwrap_err().to_string();
        assert!(error.contains(place), "{value}: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn settings_of_every_kind_are_taken() -> Result<()> {
    for value in [
        "catalogd.pollInterval=0s",
        "catalogd.pollInterval=1h30m0.5s",
        "rukpakWebhooks.replicas=3",
        "operatorController.featureGates=ForceSemverUpgradeConstraints=true",
        "log.level=info\\,olm_apply=debug",
        "extraEnv[0].name=HTTPS_PROXY,extraEnv[0].value=http://proxy:3128",
        "image.pullSecrets[0].name=registry",
        "rukpak.certificateProvider=cert-manager",
        "rukpak.resources.limits.memory=1Gi",
        "tolerations[0].operator=Exists",
        "affinity.nodeAffinity.x=y",
        "plainHTTPRegistries[0]=localhost:5000",
        "registryMirrors[0].source=quay.io,registryMirrors[0].mirrors[0]=mirror:5000",
        "registryCA.configMap=authority",
        "crds.install=false",
        "global.anything=1",
    ] {
        render(&[value]).await?;
    }
    Ok(())
}

/// The objects of a generated manifest.
fn manifest(path: &str) -> Result<Vec<Value>> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../config")
        .join(path);
    let text = std::fs::read_to_string(path)?;
    yaml_serde::Deserializer::from_str(&text)
        .map(|document| Ok(serde::Deserialize::deserialize(document)?))
        .collect()
}

#[tokio::test]
async fn manifests_without_helm_say_what_the_chart_says() -> Result<()> {
    let chart = Chart {
        namespace: "olm-system".to_owned(),
        ..Chart::default()
    };
    let charted = chart.render(KUBERNETES).await?.objects;
    let mut compared = 0;
    let mut files = vec![
        "services.yaml".to_owned(),
        "webhook/rukpak-webhooks.yaml".to_owned(),
    ];
    for component in [
        "catalogd",
        "operator-controller",
        "rukpak",
        "rukpak-webhooks",
    ] {
        files.push(format!("rbac/{component}.yaml"));
    }
    for object in files
        .iter()
        .map(|file| manifest(file))
        .collect::<Result<Vec<_>>>()?
        .concat()
    {
        let found = charted.iter().find(|charted| {
            charted["kind"] == object["kind"]
                && charted["metadata"]["name"] == object["metadata"]["name"]
        });
        let found = found.unwrap_or(&Value::Null);
        for field in ["webhooks", "rules", "roleRef", "subjects"] {
            assert_eq!(
                found[field], object[field],
                "{} {field}",
                object["metadata"]
            );
        }
        for field in ["name", "port"] {
            let pointer = format!("/spec/ports/0/{field}");
            assert_eq!(found.pointer(&pointer), object.pointer(&pointer));
        }
        compared += 1;
    }
    assert!(compared >= 4 + 4 * 4, "{compared}");
    Ok(())
}

#[tokio::test]
async fn webhooks_lead_to_and_watch_the_namespace_of_the_release() -> Result<()> {
    let chart = Chart {
        namespace: "elsewhere".to_owned(),
        ..Chart::default()
    };
    let objects = chart.render(KUBERNETES).await?.objects;
    let configuration = objects
        .iter()
        .find(|object| object["kind"] == "ValidatingWebhookConfiguration")
        .unwrap();
    let webhooks = configuration["webhooks"].as_array().unwrap();
    assert_eq!(webhooks.len(), 3);
    for webhook in webhooks {
        assert_eq!(webhook["clientConfig"]["service"]["namespace"], "elsewhere");
    }
    let selector = &webhooks[1]["namespaceSelector"]["matchLabels"];
    assert_eq!(
        *selector,
        json!({"kubernetes.io/metadata.name": "elsewhere"})
    );
    Ok(())
}
