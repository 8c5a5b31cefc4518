//! Who makes the certificates of webhooks.

use anyhow::{Context as _, Result};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{Secret, Service};
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt as _};
use olm_tests::certificates::Authority;
use olm_tests::fixture::{Package, Version, definition};
use olm_tests::publish::Publisher;
use olm_tests::wait::message;
use olm_tests::{Wait, chart};
use serde_json::json;

use super::cluster::{OWNER_NAME, REGISTRY, RukpakCluster};

/// Publishes two versions of an operator with a webhook; their references.
async fn operator(fixture: &RukpakCluster, name: &str) -> Result<[String; 2]> {
    let versions = ["1.0.0", "1.1.0"].map(|version| Version::new(version).with_webhook());
    let content = Package::new(name, versions).content();
    let publisher = Publisher::new(&fixture.registry);
    let mut references = Vec::new();
    for version in ["1.0.0", "1.1.0"] {
        let files = &content.bundle(version)?.files;
        let tag = format!("{name}:v{version}");
        references.push(publisher.bundle(&tag, files).await?);
    }
    references.try_into().ok().context("two references")
}

/// Installs a bundle; who makes its certificates.
async fn installed(fixture: &RukpakCluster, name: &str, reference: &str) -> Result<String> {
    fixture.deploy(name, REGISTRY, reference).await?;
    let deployment = fixture.installed(name).await?;
    let inventory = deployment.status.context("no status")?.inventory;
    let applied = inventory.and_then(|inventory| inventory.installed);
    let provider = applied.and_then(|applied| applied.certificate_provider);
    provider.context("no provider")
}

/// Who is asked to write the authority into the configuration of a package's webhook, and whether
/// there is one.
async fn configuration(fixture: &RukpakCluster, package: &str) -> Result<(Option<String>, bool)> {
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(fixture.client.clone());
    let found = webhooks.get(&format!("v.{package}.example.com")).await?;
    let asked = found
        .annotations()
        .get("cert-manager.io/inject-ca-from")
        .or_else(|| {
            found
                .annotations()
                .get("service.beta.openshift.io/inject-cabundle")
        })
        .cloned();
    let webhooks = found.webhooks.unwrap_or_default();
    let trusts = webhooks
        .iter()
        .any(|webhook| webhook.client_config.ca_bundle.is_some());
    Ok((asked, trusts))
}

#[tokio::test]
async fn auto_takes_what_the_cluster_has_and_never_switches() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let [first, second] = operator(&fixture, "early-operator").await?;
    assert_eq!(installed(&fixture, "early", &first).await?, "own");

    let kind = |kind: &str, plural: &str| definition("cert-manager.io/v1", kind, plural);
    for definition in [
        kind("Certificate", "certificates"),
        kind("Issuer", "issuers"),
    ] {
        chart::apply(&fixture.client, &definition, "default").await?;
    }
    assert_eq!(installed(&fixture, "early", &second).await?, "own");
    assert_eq!(
        configuration(&fixture, "early-operator").await?,
        (None, true)
    );

    let [late, _] = operator(&fixture, "late-operator").await?;
    assert_eq!(installed(&fixture, "late", &late).await?, "cert-manager");
    let home = "late-operator-system";
    let name = "late-operator-service-cert";
    assert_eq!(
        configuration(&fixture, "late-operator").await?,
        (Some(format!("{home}/{name}")), false)
    );
    let kind = GroupVersionKind::gvk("cert-manager.io", "v1", "Certificate");
    let resource = ApiResource::from_gvk(&kind);
    let certificates: Api<DynamicObject> =
        Api::namespaced_with(fixture.client.clone(), home, &resource);
    let certificate = certificates.get(name).await?;
    assert_eq!(certificate.data["spec"]["secretName"], name);
    let secrets: Api<Secret> = Api::namespaced(fixture.client.clone(), home);
    assert!(secrets.get_opt(name).await?.is_none());
    let authorities: Api<Secret> =
        Api::namespaced(fixture.client.clone(), fixture.suite.namespace());
    assert!(authorities.get_opt("late-webhook-ca").await?.is_none());

    fixture.uninstall("late").await?;
    Wait::new("the certificate is gone")
        .logs(&fixture.suite)
        .gone(&certificates, name)
        .await?;
    fixture.uninstall("early").await
}

/// Starts rukpak anew with another provider.
async fn ask(fixture: &RukpakCluster, provider: &str) -> Result<()> {
    fixture.suite.kill("rukpak")?;
    let process = fixture.suite.process("rukpak")?;
    let mut program = process.program();
    let flag = "--certificate-provider=";
    program
        .arguments
        .retain(|argument| !argument.starts_with(flag));
    program.arguments.push(format!("{flag}{provider}"));
    process.set_program(program);
    fixture.suite.start_component("rukpak").await
}

#[tokio::test]
async fn a_provider_that_is_asked_for_takes_over_with_the_next_version() -> Result<()> {
    let fixture = RukpakCluster::start_with(&["rukpak.certificateProvider=cert-manager"]).await?;
    for (kind, plural) in [("Certificate", "certificates"), ("Issuer", "issuers")] {
        let definition = definition("cert-manager.io/v1", kind, plural);
        chart::apply(&fixture.client, &definition, "default").await?;
    }
    let package = "moving-operator";
    let [first, second] = operator(&fixture, package).await?;
    assert_eq!(installed(&fixture, "moving", &first).await?, "cert-manager");
    // What cert-manager makes of the Certificate.
    let (home, name) = ("moving-operator-system", "moving-operator-service-cert");
    let made = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {
            "name": name,
            "namespace": home,
            "labels": {"controller.cert-manager.io/fao": "true"},
            "annotations": {"cert-manager.io/certificate-name": name},
        },
        "stringData": {"ca.crt": "a", "tls.crt": "b", "tls.key": "c"},
    });
    let secrets: Api<Secret> = Api::namespaced(fixture.client.clone(), home);
    let parameters = PatchParams::apply("cert-manager-certificates-issuing");
    secrets
        .patch(name, &parameters, &Patch::Apply(&made))
        .await?;

    ask(&fixture, "own").await?;
    // Nothing changes for what is installed.
    let (asked, trusts) = configuration(&fixture, package).await?;
    assert_eq!((asked.is_some(), trusts), (true, false));
    assert_eq!(installed(&fixture, "moving", &second).await?, "own");
    assert_eq!(configuration(&fixture, package).await?, (None, true));
    let kind = GroupVersionKind::gvk("cert-manager.io", "v1", "Certificate");
    let resource = ApiResource::from_gvk(&kind);
    let certificates: Api<DynamicObject> =
        Api::namespaced_with(fixture.client.clone(), home, &resource);
    assert!(certificates.get_opt(name).await?.is_none());
    let data = secrets.get(name).await?.data.context("no data")?;
    assert!(data["tls.crt"].0.starts_with(b"-----BEGIN CERTIFICATE"));

    ask(&fixture, "cert-manager").await?;
    assert_eq!(installed(&fixture, "moving", &first).await?, "cert-manager");
    let (asked, trusts) = configuration(&fixture, package).await?;
    assert_eq!((asked.is_some(), trusts), (true, false));
    certificates.get(name).await?;
    Wait::new("our own certificate is gone")
        .logs(&fixture.suite)
        .gone(&secrets, name)
        .await?;
    fixture.uninstall("moving").await
}

#[tokio::test]
async fn the_service_authority_of_openshift_is_asked_by_annotations() -> Result<()> {
    let fixture = RukpakCluster::start_with(&["rukpak.certificateProvider=service-ca"]).await?;
    let [reference, _] = operator(&fixture, "shift-operator").await?;
    assert_eq!(
        installed(&fixture, "shift", &reference).await?,
        "service-ca"
    );
    assert_eq!(
        configuration(&fixture, "shift-operator").await?,
        (Some("true".to_owned()), false)
    );
    let services: Api<Service> = Api::namespaced(fixture.client.clone(), "shift-operator-system");
    let service = services.get("shift-operator-service").await?;
    assert_eq!(
        service.annotations()["service.beta.openshift.io/serving-cert-secret-name"],
        "shift-operator-service-cert"
    );
    fixture.uninstall("shift").await
}

#[tokio::test]
async fn auto_asks_the_service_authority_of_openshift_where_it_is_and_cert_manager_before_it()
-> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let mut configuration = definition("operator.openshift.io/v1", "ServiceCA", "servicecas");
    configuration["spec"]["scope"] = json!("Cluster");
    chart::define(&fixture.client, &[configuration]).await?;
    let [reference, _] = operator(&fixture, "first-operator").await?;
    assert_eq!(
        installed(&fixture, "first", &reference).await?,
        "service-ca"
    );
    assert_eq!(
        self::configuration(&fixture, "first-operator").await?,
        (Some("true".to_owned()), false)
    );

    let kind = |kind: &str, plural: &str| definition("cert-manager.io/v1", kind, plural);
    let definitions = [
        kind("Certificate", "certificates"),
        kind("Issuer", "issuers"),
    ];
    chart::define(&fixture.client, &definitions).await?;
    let [reference, _] = operator(&fixture, "second-operator").await?;
    assert_eq!(
        installed(&fixture, "second", &reference).await?,
        "cert-manager"
    );
    let authorities: Api<Secret> =
        Api::namespaced(fixture.client.clone(), fixture.suite.namespace());
    for name in ["first", "second"] {
        let authority = authorities.get_opt(&format!("{name}-webhook-ca")).await?;
        assert!(authority.is_none());
        fixture.uninstall(name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_no_authority_and_never_touched() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let secrets: Api<Secret> = Api::namespaced(fixture.client.clone(), fixture.suite.namespace());
    let stranger = Authority::new("stranger")?;
    let name = "guest-webhook-ca";
    let theirs = serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"app": "theirs"}},
        "stringData": {"ca.crt": stranger.certificate(), "ca.key": stranger.key()},
    }))?;
    let before = secrets.create(&PostParams::default(), &theirs).await?;

    let [reference, _] = operator(&fixture, "guest-operator").await?;
    fixture.deploy("guest", REGISTRY, &reference).await?;
    let refused = fixture.said("guest", "Installed", "InstallFailed").await?;
    let text = message(&refused, "Installed");
    let namespace = fixture.suite.namespace();
    let why = format!(
        "Secret `{namespace}/{name}` is not this BundleDeployment's, and the authority of its \
         webhooks would be kept there: delete or rename that Secret"
    );
    assert!(text.contains(&why), "{text}");
    assert_eq!(secrets.get(name).await?, before);
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(fixture.client.clone());
    let webhook = "v.guest-operator.example.com";
    assert!(webhooks.get_opt(webhook).await?.is_none());

    // Their Secret outlives the BundleDeployment, too.
    fixture.uninstall("guest").await?;
    assert_eq!(secrets.get(name).await?, before);

    secrets.delete(name, &DeleteParams::default()).await?;
    assert_eq!(installed(&fixture, "guest", &reference).await?, "own");
    assert_eq!(secrets.get(name).await?.labels()[OWNER_NAME], "guest");
    fixture.uninstall("guest").await
}
