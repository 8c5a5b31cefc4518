//! Webhooks of an operator, called by the API server through their Service.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use olm_tests::Wait;
use olm_tests::certificates::{Authority, Identity};
use olm_tests::fixture::{Package, Version, definition};
use olm_tests::publish::Publisher;
use serde_json::{Value, json};

use super::cluster::{REGISTRY, RukpakCluster};
use super::webhook_server::{MOST, WebhookServer};

const NAME: &str = "triple-operator";
const HOME: &str = "triple-operator-system";
const SERVICE: &str = "triple-operator-service";
const LEAF: &str = "triple-operator-service-cert";

/// An operator with a webhook of each type, whose kind has two versions.
fn operator() -> Package {
    // Only the names of its kind are needed here.
    let names = Package::new(NAME, []);
    let (group, plural) = (names.group(), names.plural());
    let mut kind = definition(&format!("{group}/v1"), &names.kind(), &plural);
    let mut second = kind["spec"]["versions"][0].clone();
    second["name"] = json!("v2");
    second["storage"] = json!(false);
    kind["spec"]["versions"]
        .as_array_mut()
        .unwrap()
        .push(second);
    let webhook = |type_: &str, name: &str, more: &Value| {
        let mut webhook = json!({
            "type": type_, "generateName": format!("{name}.{group}"), "deploymentName": NAME,
            "containerPort": 443, "targetPort": 9443, "webhookPath": format!("/{name}"),
            "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
        });
        for (key, value) in more.as_object().unwrap() {
            webhook[key] = value.clone();
        }
        webhook
    };
    let rules = json!({"rules": [{"apiGroups": [group], "apiVersions": ["v1"],
        "operations": ["CREATE"], "resources": [plural]}]});
    let definitions = json!({"conversionCRDs": [format!("{plural}.{group}")]});
    let version = Version::new("1.0.0").with("crd.yaml", kind).with_webhooks([
        webhook("ValidatingAdmissionWebhook", "validate", &rules),
        webhook("MutatingAdmissionWebhook", "mutate", &rules),
        webhook("ConversionWebhook", "convert", &definitions),
    ]);
    Package::new(NAME, [version])
}

/// The custom resources of a package's kind in one of its versions.
fn resources(fixture: &RukpakCluster, package: &Package, version: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(&package.group(), version, &package.kind());
    let resource = ApiResource::from_gvk_with_plural(&kind, &package.plural());
    Api::namespaced_with(fixture.client.clone(), "default", &resource)
}

fn resource(package: &Package, name: &str, size: i64) -> Result<DynamicObject> {
    Ok(serde_json::from_value(json!({
        "apiVersion": format!("{}/v1", package.group()), "kind": package.kind(),
        "metadata": {"name": name}, "spec": {"size": size}}))?)
}

/// Every authority that the API server is told to trust when it calls the operator.
async fn trusted(
    fixture: &RukpakCluster,
    package: &Package,
) -> Result<BTreeSet<Option<ByteString>>> {
    let client = fixture.client.clone();
    let group = package.group();
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let mut trusted = BTreeSet::new();
    for webhook in validating
        .get(&format!("validate.{group}"))
        .await?
        .webhooks
        .unwrap_or_default()
    {
        trusted.insert(webhook.client_config.ca_bundle);
    }
    for webhook in mutating
        .get(&format!("mutate.{group}"))
        .await?
        .webhooks
        .unwrap_or_default()
    {
        trusted.insert(webhook.client_config.ca_bundle);
    }
    let definition = definitions
        .get(&format!("{}.{group}", package.plural()))
        .await?;
    let conversion = definition.spec.conversion.context("no conversion")?;
    let webhook = conversion.webhook.context("no conversion webhook")?;
    let config = webhook.client_config.context("no client config")?;
    trusted.insert(config.ca_bundle);
    Ok(trusted)
}

/// Waits until a create is refused because the certificate of the webhook's server is not trusted.
async fn is_not_trusted(fixture: &RukpakCluster, package: &Package) -> Result<()> {
    let trial = resource(package, "trial", 1)?;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let api = resources(fixture, package, "v1");
    Wait::new("the API server does not trust the server of the webhook")
        .logs(&fixture.suite)
        .explained(async || {
            let answer = api.create(&dry, &trial).await;
            let text = answer
                .err()
                .map_or_else(|| "admitted".to_owned(), |error| error.to_string());
            let is_so = text.contains("failed calling webhook") && text.contains("x509");
            Ok(if is_so { Ok(()) } else { Err(text) })
        })
        .await
}

/// Calls each webhook and looks for what it did; `name` is that of the custom resource that stays.
async fn call_each(
    fixture: &RukpakCluster,
    package: &Package,
    server: &WebhookServer,
    name: &str,
) -> Result<()> {
    let api = resources(fixture, package, "v1");
    let parameters = PostParams::default();
    // It takes a moment until a changed configuration is in force.
    let wanted = resource(package, name, 3)?;
    let made = Wait::new(format!("`{name}` is admitted"))
        .logs(&fixture.suite)
        .value(async || Ok(Some(api.create(&parameters, &wanted).await?)))
        .await?;
    assert_eq!(made.data["spec"], json!({"size": 3, "colour": "red"}));

    let refused = api
        .create(&parameters, &resource(package, "large", MOST + 1)?)
        .await;
    let Err(kube::Error::Api(status)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        status.message,
        format!(
            "admission webhook \"validate.{}\" denied the request: a size of 11 is more than 10",
            package.group()
        )
    );

    let second = resources(fixture, package, "v2");
    let converted = Wait::new(format!("`{name}` is converted"))
        .logs(&fixture.suite)
        .value(async || Ok(Some(second.get(name).await?)))
        .await?;
    assert_eq!(
        converted.data["spec"],
        json!({"extent": 3, "colour": "red"})
    );
    let asked = server.asked();
    for path in ["/validate", "/mutate", "/convert"] {
        assert!(asked.contains_key(path), "{path} was not asked: {asked:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_webhook_of_each_type_is_called_under_the_certificate_of_the_own_provider() -> Result<()>
{
    let fixture = RukpakCluster::start().await?;
    let package = operator();
    let content = package.content();
    let reference = Publisher::new(&fixture.registry)
        .bundle("triple:v1", &content.bundle("1.0.0")?.files)
        .await?;
    fixture.deploy("triple", REGISTRY, &reference).await?;
    let deployment = fixture.installed("triple").await?;
    let inventory = deployment.status.context("no status")?.inventory;
    let applied = inventory.and_then(|inventory| inventory.installed);
    let provider = applied.and_then(|applied| applied.certificate_provider);
    assert_eq!(provider.as_deref(), Some("own"));

    // Somebody else behind the Service, with the right name and another authority's certificate.
    let stranger = Authority::new("stranger")?.server(&[&format!("{SERVICE}.{HOME}.svc")])?;
    let server = WebhookServer::start(stranger).await?;
    fixture
        .cluster
        .expose(HOME, SERVICE, 443, &[server.address])
        .await?;
    is_not_trusted(&fixture, &package).await?;
    assert!(server.asked().is_empty(), "a stranger was told of requests");

    let secrets: Api<Secret> = Api::namespaced(fixture.client.clone(), HOME);
    let first = secrets.get(LEAF).await?;
    server.present(&first).await?;
    call_each(&fixture, &package, &server, "first").await?;

    // All is lost: another authority and another certificate follow, and the operator goes on
    // without having been restarted.
    let authorities: Api<Secret> =
        Api::namespaced(fixture.client.clone(), fixture.suite.namespace());
    let gone = DeleteParams::default();
    authorities.delete("triple-webhook-ca", &gone).await?;
    secrets.delete(LEAF, &gone).await?;
    let authority = |secret: &Secret| secret.data.as_ref()?.get("ca.crt").cloned();
    let second = Wait::new("every webhook is trusted by the new authority alone")
        .logs(&fixture.suite)
        .value(async || {
            let Some(leaf) = secrets.get_opt(LEAF).await? else {
                return Ok(None);
            };
            let new = authority(&leaf);
            let is_new = new.is_some() && new != authority(&first);
            let trusted = trusted(&fixture, &package).await?;
            Ok((is_new && trusted == BTreeSet::from([new])).then_some(leaf))
        })
        .await?;
    is_not_trusted(&fixture, &package).await?;
    server.present(&second).await?;
    call_each(&fixture, &package, &server, "second").await?;

    // The custom resources are still there and go first, read through the webhook.
    fixture.uninstall("triple").await?;
    let left = trusted(&fixture, &package).await;
    assert!(left.is_err(), "{left:?}");
    assert!(authorities.get_opt("triple-webhook-ca").await?.is_none());
    Ok(())
}

const DAY: Duration = Duration::from_hours(24);

/// Puts a certificate into the Secret of the webhook's Service, as it was long ago.
async fn put(secrets: &Api<Secret>, leaf: &Identity) -> Result<()> {
    let data = json!({"stringData": {"tls.crt": leaf.certificate, "tls.key": leaf.key}});
    let parameters = PatchParams::default();
    secrets
        .patch(LEAF, &parameters, &Patch::Merge(&data))
        .await?;
    Ok(())
}

fn certificate(secret: &Secret) -> Option<&[u8]> {
    Some(&secret.data.as_ref()?.get("tls.crt")?.0)
}

#[tokio::test]
async fn an_old_certificate_is_renewed_under_its_authority_and_nothing_restarts() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let package = operator();
    let content = package.content();
    let reference = Publisher::new(&fixture.registry)
        .bundle("triple:v1", &content.bundle("1.0.0")?.files)
        .await?;
    fixture.deploy("triple", REGISTRY, &reference).await?;
    fixture.installed("triple").await?;

    let client = fixture.client.clone();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), HOME);
    let workloads: Api<Deployment> = Api::namespaced(client.clone(), HOME);
    let authorities: Api<Secret> = Api::namespaced(client.clone(), fixture.suite.namespace());
    let kept = authorities.get("triple-webhook-ca").await?;
    let pem = |key: &str| -> Result<String> {
        let entry = kept.data.as_ref().and_then(|data| data.get(key));
        Ok(String::from_utf8(entry.context("no entry")?.0.clone())?)
    };
    let authority = Authority::known(&pem("ca.crt")?, &pem("ca.key")?)?;
    let trusted_before = trusted(&fixture, &package).await?;
    let workload = workloads.get(NAME).await?;

    let host = format!("{SERVICE}.{HOME}");
    let names = [
        host.clone(),
        format!("{host}.svc"),
        format!("{host}.svc.cluster.local"),
    ];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Nobody is told that a certificate gets old: what takes rukpak there is something else to repair.
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(client);
    let configuration = format!("validate.{}", package.group());
    let look = async || -> Result<()> {
        let gone = DeleteParams::default();
        validating.delete(&configuration, &gone).await?;
        Wait::new("the configuration is back")
            .logs(&fixture.suite)
            .object(&validating, &configuration, |_| true)
            .await?;
        Ok(())
    };
    let young = authority.aged_server(&names, 59 * DAY, 90 * DAY)?;
    let mut is_left = false;
    // A pass that had read the Secret before writes what it knew; the next one does not.
    for _ in 0..5 {
        put(&secrets, &young).await?;
        look().await?;
        is_left = certificate(&secrets.get(LEAF).await?) == Some(young.certificate.as_bytes());
        if is_left {
            break;
        }
    }
    assert!(is_left, "a young certificate was replaced");

    let old = authority.aged_server(&names, 61 * DAY, 90 * DAY)?;
    let mut fresh = None;
    for _ in 0..5 {
        put(&secrets, &old).await?;
        look().await?;
        let found = Wait::new("the old certificate is replaced")
            .logs(&fixture.suite)
            .object(&secrets, LEAF, |secret| {
                certificate(secret) != Some(old.certificate.as_bytes())
            })
            .await?;
        if certificate(&found) != Some(young.certificate.as_bytes()) {
            fresh = Some(found);
            break;
        }
    }
    let fresh = fresh.context("the old certificate was replaced by the young one")?;

    // The same authority signed it, and is trusted as before.
    assert_eq!(authorities.get("triple-webhook-ca").await?.data, kept.data);
    assert_eq!(trusted(&fixture, &package).await?, trusted_before);
    let server = WebhookServer::start(authority.server(&names)?).await?;
    server.present(&fresh).await?;
    fixture
        .cluster
        .expose(HOME, SERVICE, 443, &[server.address])
        .await?;
    call_each(&fixture, &package, &server, "renewed").await?;

    let after = workloads.get(NAME).await?;
    assert_eq!(after.metadata.generation, workload.metadata.generation);
    assert_eq!(after.spec, workload.spec);
    fixture.uninstall("triple").await
}
