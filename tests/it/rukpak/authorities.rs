//! Private registries whose authority changes while rukpak runs.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use kube::Api;
use kube::api::PostParams;
use olm_api::bundle::Bundle;
use olm_tests::publish::Publisher;
use olm_tests::{
    ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, scratch, wait,
};
use olm_tree::MemoryTree;
use serde_json::json;

use super::cluster::PLAIN;
use super::objects::config_map;
use super::status::why;

/// A file as ConfigMaps are mounted: a link into a folder that is exchanged as a whole.
struct Mounted {
    folder: PathBuf,
    versions: usize,
}

impl Mounted {
    fn new(content: &str) -> Result<Self> {
        let mut mounted = Self {
            folder: scratch::subdirectory("authorities")?,
            versions: 0,
        };
        symlink("..data/ca.crt", mounted.file())?;
        mounted.publish(content)?;
        Ok(mounted)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    fn publish(&mut self, content: &str) -> Result<()> {
        self.versions += 1;
        let version = format!("..{}", self.versions);
        std::fs::create_dir(self.folder.join(&version))?;
        std::fs::write(self.folder.join(&version).join("ca.crt"), content)?;
        let next = self.folder.join("..data_tmp");
        symlink(Path::new(&version), &next)?;
        std::fs::rename(next, self.folder.join("..data"))?;
        Ok(())
    }
}

async fn tls() -> Result<Registry> {
    let options = RegistryOptions {
        tls: true,
        ..RegistryOptions::default()
    };
    Registry::start(options).await
}

fn authority(registry: &Registry) -> Result<String> {
    Ok(registry.authority().context("no authority")?.to_owned())
}

/// Pushes a bundle of this name and asks for it.
async fn ask(bundles: &Api<Bundle>, registry: &Registry, name: &str) -> Result<()> {
    let mut tree = MemoryTree::default();
    let object = config_map("default", name, "1").to_string();
    tree.insert("manifests/a.yaml", object)?;
    let reference = Publisher::new(registry)
        .bundle(&format!("team/{name}:v1"), &tree)
        .await?;
    // By its tag, so that the registry has to be asked.
    let (repository, _digest) = reference.split_once('@').context("no digest")?;
    let source = json!({"type": "image", "image": {"ref": format!("{repository}:v1")}});
    let bundle = serde_json::from_value(json!({
        "apiVersion": "core.rukpak.io/v1alpha1", "kind": "Bundle", "metadata": {"name": name},
        "spec": {"provisionerClassName": PLAIN, "source": source},
    }))?;
    bundles.create(&PostParams::default(), &bundle).await?;
    Ok(())
}

#[tokio::test]
async fn an_authority_is_followed_as_its_file_changes_and_a_damaged_file_changes_nothing()
-> Result<()> {
    let (constant, mut rotated) = (tls().await?, tls().await?);
    let both = format!("{}{}", authority(&constant)?, authority(&rotated)?);
    let mut file = Mounted::new(&both)?;
    let options = SuiteOptions {
        registry_ca_file: Some(file.file()),
        ..SuiteOptions::default()
    };
    let cluster = ControlPlane::own().await?;
    let suite = Suite::start_only(&cluster, options, &["rukpak-webhooks", "rukpak"]).await?;
    let bundles: Api<Bundle> = Api::all(cluster.client().await?);
    let unpacked = async |name: &str, reason: &str| {
        Wait::new(format!("Unpacked of Bundle `{name}` is {reason}"))
            .logs(&suite)
            .object(&bundles, name, |bundle| {
                wait::is_because(bundle, "Unpacked", reason)
            })
            .await
    };
    ask(&bundles, &constant, "before").await?;
    unpacked("before", "UnpackSuccessful").await?;
    ask(&bundles, &rotated, "before-rotation").await?;
    unpacked("before-rotation", "UnpackSuccessful").await?;

    // The registry is ahead of the file.
    rotated.change_authority().await?;
    ask(&bundles, &rotated, "rotated").await?;
    let failed = unpacked("rotated", "UnpackFailed").await?;
    ensure!(
        why(&failed).contains("invalid peer certificate"),
        "{}",
        why(&failed)
    );

    // What cannot be used changes nothing and is told.
    file.publish("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")?;
    ask(&bundles, &constant, "damaged").await?;
    unpacked("damaged", "UnpackSuccessful").await?;
    let text = "the authorities of registries have changed and cannot be used";
    let log = suite.log("rukpak")?;
    ensure!(log.contains(text), "the log does not say so");
    assert_eq!(log.matches(text).count(), 1, "it is said once");

    // With the file the registry is trusted again, by what failed and without a restart.
    file.publish(&format!(
        "{}{}",
        authority(&constant)?,
        authority(&rotated)?
    ))?;
    unpacked("rotated", "UnpackSuccessful").await?;
    ask(&bundles, &constant, "after").await?;
    unpacked("after", "UnpackSuccessful").await?;

    // Who is taken out of the file is trusted no more.
    file.publish(&authority(&rotated)?)?;
    ask(&bundles, &rotated, "alone").await?;
    unpacked("alone", "UnpackSuccessful").await?;
    ask(&bundles, &constant, "distrusted").await?;
    let failed = unpacked("distrusted", "UnpackFailed").await?;
    ensure!(
        why(&failed).contains("invalid peer certificate"),
        "{}",
        why(&failed)
    );
    Ok(())
}
