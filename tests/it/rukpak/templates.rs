//! Templates of BundleDeployments: each stands for one Bundle, and what comes of it when the template
//! is edited, the Bundle goes or the BundleDeployment does.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use olm_api::bundle::Bundle;
use olm_tests::Wait;
use olm_tests::fixture::definition;
use olm_tests::wait::{self, message};
use serde_json::{Value, json};

use super::cluster::{OWNER_NAME, PLAIN, RukpakCluster};
use super::objects::image;
use super::status::active;

const OWNER_KIND: &str = "core.rukpak.io/owner-kind";
const HASH: &str = "core.rukpak.io/bundle-template-hash";

/// A finalizer that nobody serves keeps a Bundle for as long as a test wants.
const HELD: &str = "example.com/held";

fn template(reference: &str, labels: &Value) -> Value {
    json!({"template": {"metadata": {"labels": labels}, "spec": {
        "provisionerClassName": PLAIN, "source": image(reference)}}})
}

impl RukpakCluster {
    /// Pushes a bundle of definitions.
    async fn push_definitions(&self, name: &str) -> Result<String> {
        let groups = definition("operators.coreos.com/v1", "OperatorGroup", "operatorgroups");
        let catalogs = "operators.coreos.com/v1alpha1";
        let catalogs = definition(catalogs, "CatalogSource", "catalogsources");
        self.push(
            name,
            &[
                ("manifests/groups.yaml", groups),
                ("manifests/catalogs.yaml", catalogs),
            ],
        )
        .await
    }

    /// The names of the definitions that belong to a BundleDeployment.
    async fn definitions_of(&self, name: &str) -> Result<Vec<String>> {
        let all: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let selector = format!("{OWNER_KIND}=BundleDeployment,{OWNER_NAME}={name}");
        let found = all.list(&ListParams::default().labels(&selector)).await?;
        Ok(found.iter().map(kube::ResourceExt::name_any).collect())
    }

    /// How many Secrets there are; none of them is a record of a release.
    async fn secrets(&self) -> Result<usize> {
        let all: Api<Secret> = Api::all(self.client.clone());
        let found = all.list(&ListParams::default()).await?.items;
        let is_record = |secret: &Secret| secret.type_.as_deref() == Some("helm.sh/release.v1");
        ensure!(!found.iter().any(is_record), "a record of a release");
        Ok(found.len())
    }

    /// The Bundle that stands for the template that a BundleDeployment has now.
    async fn wanted(&self, name: &str) -> Result<Bundle> {
        let spec = self.deployments.get(name).await?.spec.template.spec;
        let selector = format!("{OWNER_NAME}={name}");
        let parameters = ListParams::default().labels(&selector);
        Wait::new(format!("there is a Bundle of the template of `{name}`"))
            .logs(&self.suite)
            .value(async || {
                let mut found = self.bundles.list(&parameters).await?.items.into_iter();
                Ok(found.find(|bundle| bundle.spec == spec))
            })
            .await
    }

    /// Lets the Bundles of a BundleDeployment go that a test held.
    async fn release(&self, name: &str) -> Result<()> {
        for bundle in self.bundles_of(name).await? {
            let mut finalizers = self.bundles.get(&bundle).await?.finalizers().to_vec();
            finalizers.retain(|finalizer| finalizer != HELD);
            let released = json!({"metadata": {"finalizers": finalizers}});
            let parameters = PatchParams::default();
            let patch = Patch::Merge(&released);
            self.bundles.patch(&bundle, &parameters, &patch).await?;
        }
        Ok(())
    }

    /// What a user wrote as the template, as it stands in the cluster.
    async fn written(&self, name: &str) -> Result<Value> {
        let template = self.deployments.get(name).await?.spec.template;
        Ok(json!({"template": serde_json::to_value(template)?}))
    }
}

fn is_named_after_its_hash(deployment: &str, bundle: &Bundle) {
    let hash = &bundle.labels()[HASH];
    let mut name = format!("{deployment}-{hash}");
    name.truncate(52);
    assert_eq!(bundle.name_any(), name);
}

#[tokio::test]
async fn a_template_is_edited_many_times_in_vain_and_then_installed() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let valid = fixture.push_definitions("valid:v1").await?;
    let first = template(&valid, &json!({}));
    fixture
        .deploy_with("valid", PLAIN, "", first.clone())
        .await?;
    let deployment = fixture.installed("valid").await?;
    assert!(message(&deployment, "Installed").contains("Instantiated bundle"));
    assert!(wait::has_reason(&deployment, "Healthy", "True", "Healthy"));
    let old = fixture.bundles.get(&active(&deployment)).await?;
    assert_eq!(old.labels()[OWNER_KIND], "BundleDeployment");
    assert_eq!(old.labels()[OWNER_NAME], "valid");
    is_named_after_its_hash("valid", &old);
    let owner = old.owner_references().first().context("no owner")?;
    assert_eq!(Some(&owner.uid), deployment.metadata.uid.as_ref());
    assert_eq!(owner.controller, Some(true));
    let secrets = fixture.secrets().await?;

    // Six templates in vain. Their Bundles are kept from going, so that more and more are there.
    let absent = |number: usize| format!("{}/valid:absent-{number}", fixture.registry.host());
    for number in 0..6 {
        let edited = template(&absent(number), &json!({}));
        fixture
            .deploy_with("valid", PLAIN, "", edited.clone())
            .await?;
        let failing = fixture
            .said("valid", "HasValidBundle", "UnpackFailed")
            .await?;
        let younger = fixture.wanted("valid").await?;
        is_named_after_its_hash("valid", &younger);
        assert_ne!(younger.labels()[HASH], old.labels()[HASH]);
        let text = message(&failing, "HasValidBundle");
        let begin = format!("Failed to unpack the {} Bundle: ", younger.name_any());
        assert!(text.starts_with(&begin), "{text}");
        let held =
            json!({"metadata": {"finalizers": [HELD, "core.rukpak.io/delete-cached-bundle"]}});
        let parameters = PatchParams::default();
        fixture
            .bundles
            .patch(&younger.name_any(), &parameters, &Patch::Merge(&held))
            .await?;

        // What runs is what ran, and its Bundle is the one that it was made of.
        let installed = wait::condition(&failing, "Installed").context("no Installed")?;
        assert_eq!(installed["status"], "True");
        assert_eq!(active(&failing), old.name_any());
        let kept = fixture.bundles.get(&old.name_any()).await?;
        assert_eq!(kept.uid(), old.uid());
        assert!(kept.metadata.deletion_timestamp.is_none());
        if number == 0 {
            assert_eq!(fixture.bundles_of("valid").await?.len(), 2);
        }
        assert_eq!(fixture.written("valid").await?, edited);
    }
    assert_eq!(fixture.bundles_of("valid").await?.len(), 7);

    // A label is another template, and is installed whatever is left of the others.
    let labelled = template(&valid, &json!({"e2e-test": "stub"}));
    fixture
        .deploy_with("valid", PLAIN, "", labelled.clone())
        .await?;
    let deployment = fixture.installed("valid").await?;
    let new = fixture.bundles.get(&active(&deployment)).await?;
    assert_eq!(new.labels()["e2e-test"], "stub");
    is_named_after_its_hash("valid", &new);
    assert_ne!(new.name_any(), old.name_any());
    Wait::new("the Bundle before it is gone")
        .logs(&fixture.suite)
        .gone(&fixture.bundles, &old.name_any())
        .await?;
    fixture.release("valid").await?;
    Wait::new("only the Bundle of the template is left")
        .logs(&fixture.suite)
        .value(async || Ok((fixture.bundles_of("valid").await? == [new.name_any()]).then_some(())))
        .await?;

    // The user's template has nothing that the user did not write, and no record of a release is kept.
    assert_eq!(fixture.written("valid").await?, labelled);
    assert_eq!(fixture.secrets().await?, secrets);
    Ok(())
}

#[tokio::test]
async fn a_bundle_that_is_deleted_comes_back_and_everything_goes_with_its_deployment() -> Result<()>
{
    let fixture = RukpakCluster::start().await?;
    let reference = fixture.push_definitions("labelled:v1").await?;
    let labelled = template(&reference, &json!({"e2e-test": "stub"}));
    fixture.deploy_with("labelled", PLAIN, "", labelled).await?;
    let deployment = fixture.installed("labelled").await?;
    let owned = [
        "catalogsources.operators.coreos.com",
        "operatorgroups.operators.coreos.com",
    ];
    assert_eq!(fixture.definitions_of("labelled").await?, owned);
    let definitions: Api<CustomResourceDefinition> = Api::all(fixture.client.clone());
    let before = definitions.get(owned[0]).await?.uid();

    let bundle = fixture.bundles.get(&active(&deployment)).await?;
    fixture
        .bundles
        .delete(&bundle.name_any(), &DeleteParams::default())
        .await?;
    let again = Wait::new("the Bundle is back and unpacked")
        .logs(&fixture.suite)
        .object(&fixture.bundles, &bundle.name_any(), |found| {
            found.uid() != bundle.uid() && wait::is_because(found, "Unpacked", "UnpackSuccessful")
        })
        .await?;
    assert_eq!(again.spec, bundle.spec);
    let deployment = fixture.installed("labelled").await?;
    assert_eq!(active(&deployment), again.name_any());
    assert_eq!(definitions.get(owned[0]).await?.uid(), before);

    fixture.uninstall("labelled").await?;
    assert_eq!(fixture.definitions_of("labelled").await?, [""; 0]);
    Wait::new("its Bundle is collected")
        .logs(&fixture.suite)
        .gone(&fixture.bundles, &again.name_any())
        .await
}

#[tokio::test]
async fn the_content_of_a_bundle_goes_with_it() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let reference = fixture.push_definitions("content:v1").await?;
    fixture.create("content", PLAIN, image(&reference)).await?;
    let bundle = fixture.unpacked("content", "UnpackSuccessful").await?;
    let digest = bundle.status.and_then(|status| status.content_digest);
    let digest = digest.context("no digest")?;
    let storage = fixture.suite.directory().to_owned();
    assert!(super::contents::holds(&storage, &digest)?);

    fixture
        .bundles
        .delete("content", &DeleteParams::default())
        .await?;
    Wait::new("the Bundle is gone")
        .logs(&fixture.suite)
        .gone(&fixture.bundles, "content")
        .await?;
    // What was just used is kept for a minute, in case that it is asked for again.
    Wait::new("its content is gone")
        .within(Duration::from_mins(3))
        .logs(&fixture.suite)
        .value(async || Ok((!super::contents::holds(&storage, &digest)?).then_some(())))
        .await
}
