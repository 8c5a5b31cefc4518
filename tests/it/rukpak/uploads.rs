//! Bundles whose content is uploaded.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use olm_fs::pack;
use olm_tests::Wait;
use olm_tests::wait::{has_condition, message};
use olm_tree::MemoryTree;
use serde_json::{Value, json};

use super::cluster::{PLAIN, RukpakCluster};
use super::contents;
use super::objects::{config_map, image, namespace};
use super::people::Person;
use super::status::why;

fn archive(files: &[(&str, Value)]) -> Result<Vec<u8>> {
    let mut tree = MemoryTree::new();
    for (path, object) in files {
        tree.insert(path, object.to_string())?;
    }
    let mut bytes = Vec::new();
    pack::tar_gz(&tree, &pack::Options::default(), &mut bytes)?;
    Ok(bytes)
}

fn one(value: &str) -> Result<Vec<u8>> {
    archive(&[("manifests/a.yaml", config_map("default", "uploaded", value))])
}

/// An archive that takes more than one Secret: letters in no order do not pack.
fn large() -> Result<Vec<u8>> {
    let mut state = 1_u64;
    let letters = (0..900_000).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b"abcdefghijklmnopqrstuvwxyzABCDEF0123456789"[(state >> 33) as usize % 42])
    });
    one(&letters.collect::<String>())
}

/// Takes rukpak's disk away, as with its pod.
fn lose_disk(fixture: &RukpakCluster) -> Result<()> {
    fixture.suite.kill("rukpak")?;
    contents::remove_all(fixture.suite.directory())?;
    std::fs::remove_dir_all(fixture.suite.directory().join("rukpak/data/uploads"))?;
    Ok(())
}

/// The names of the Secrets in which uploads are kept.
async fn copies(fixture: &RukpakCluster) -> Result<Vec<String>> {
    let secrets = secrets(fixture);
    let found = secrets.list(&ListParams::default()).await?.items;
    let found = found.iter().map(kube::ResourceExt::name_any);
    Ok(found.filter(|name| name.starts_with("upload-")).collect())
}

async fn lose_copies(fixture: &RukpakCluster) -> Result<()> {
    for name in copies(fixture).await? {
        secrets(fixture)
            .delete(&name, &DeleteParams::default())
            .await?;
    }
    Ok(())
}

fn secrets(fixture: &RukpakCluster) -> Api<Secret> {
    Api::namespaced(fixture.client.clone(), fixture.suite.namespace())
}

fn source() -> Value {
    json!({"type": "upload", "upload": {}})
}

fn phase(bundle: &olm_api::bundle::Bundle) -> &str {
    let status = bundle.status.as_ref();
    status
        .and_then(|status| status.phase.as_deref())
        .unwrap_or_default()
}

/// Where uploads go to.
struct Uploads(String);

impl Uploads {
    fn of(fixture: &RukpakCluster) -> Result<Self> {
        let address = fixture.suite.address("rukpak", 8443)?;
        Ok(Self(format!("https://{address}/uploads/")))
    }

    fn url(&self, bundle: &str) -> String {
        format!("{}{bundle}.tgz", self.0)
    }
}

#[tokio::test]
async fn only_those_who_may_upload_and_only_what_is_an_archive() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let uploads = Uploads::of(&fixture)?;
    let ann = Person::new(&fixture, "ann", Some("bundle-uploader")).await?;
    let viewer = Person::new(&fixture, "viewer", Some("olm-rs-viewer")).await?;
    let nobody = Person::new(&fixture, "nobody", None).await?;
    let stranger = Person::with_token(&fixture, "no-token".to_owned()).await?;
    fixture.create("upload", PLAIN, source()).await?;
    let waiting = fixture.unpacked("upload", "UnpackPending").await?;
    assert_eq!(why(&waiting), "waiting for bundle to be uploaded");
    assert_eq!(phase(&waiting), "Pending");

    let (url, first) = (uploads.url("upload"), one("1")?);
    let said = stranger.put(&url, first.clone()).await?;
    assert_eq!(said, (401, "Unauthorized".to_owned()));
    let (status, text) = nobody.put(&url, first.clone()).await?;
    assert_eq!(status, 403, "{text}");
    assert!(
        text.contains("system:serviceaccount:default:nobody"),
        "{text}"
    );
    // Who may look at Bundles may not upload.
    assert_eq!(viewer.put(&url, first.clone()).await?.0, 403);
    let said = ann.put(&uploads.url("none"), first.clone()).await?;
    let text = "bundles.core.rukpak.io \"none\" not found";
    assert_eq!(said, (404, text.to_owned()));
    fixture
        .create("image", PLAIN, image("example.com/a:v1"))
        .await?;
    let said = ann.put(&uploads.url("image"), first.clone()).await?;
    let text = "bundle source type is \"image\"; expected \"upload\"";
    assert_eq!(said, (409, text.to_owned()));
    assert_eq!(ann.get(&url).await?.status(), 404);
    assert_eq!(ann.delete(&url).await?.0, 405);
    assert_eq!(
        ann.get(&url.replace("upload.tgz", "upload"))
            .await?
            .status(),
        404
    );
    assert_eq!(
        ann.get(&url.replace("upload.tgz", "..%2fx.tgz"))
            .await?
            .status(),
        404
    );

    // What is no archive, not whole or too large is not taken at all.
    let (status, text) = ann.put(&url, b"no archive".to_vec()).await?;
    assert_eq!(status, 400);
    assert!(text.ends_with("gzip: invalid header"), "{text}");
    let half = first[..first.len() / 2].to_vec();
    assert_eq!(ann.put(&url, half).await?.0, 400);
    let mut large = first[..10].to_vec();
    large.resize((64 << 20) + 1, 0);
    let (status, text) = ann.put(&url, large).await?;
    assert_eq!(
        (status, text.as_str()),
        (413, "the archive has more than 67108864 bytes")
    );
    assert_eq!(ann.get(&url).await?.status(), 404);
    let waiting = fixture.unpacked("upload", "UnpackPending").await?;
    assert_eq!(why(&waiting), "waiting for bundle to be uploaded");
    Ok(())
}

#[tokio::test]
async fn an_upload_is_unpacked_once_and_kept_through_restarts() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let uploads = Uploads::of(&fixture)?;
    let ann = Person::new(&fixture, "ann", Some("bundle-uploader")).await?;
    let (url, first, second) = (uploads.url("upload"), one("1")?, large()?);
    fixture.create("upload", PLAIN, source()).await?;
    fixture.unpacked("upload", "UnpackPending").await?;

    // What is no bundle can be replaced; what was unpacked cannot.
    let folders = archive(&[("manifests/sub/b.yaml", namespace("b"))])?;
    assert_eq!(ann.put(&url, folders).await?.0, 201);
    let failed = fixture.unpacked("upload", "UnpackFailed").await?;
    let text = "subdirectories are not allowed within the \"manifests\" directory of the bundle \
                image filesystem: found \"manifests/sub\"";
    assert!(why(&failed).ends_with(text), "{}", why(&failed));
    assert_eq!(phase(&failed), "Failing");
    assert_eq!(ann.put(&url, first.clone()).await?, (201, String::new()));
    let unpacked = fixture.unpacked("upload", "UnpackSuccessful").await?;
    assert_eq!(why(&unpacked), "Successfully unpacked the upload Bundle");
    let status = unpacked.status.context("no status")?;
    assert_eq!(serde_json::to_value(&status.resolved_source)?, source());
    let digest = status.content_digest.context("no digest")?;
    assert_eq!(ann.put(&url, first.clone()).await?, (204, String::new()));
    let said = ann.put(&url, second.clone()).await?;
    let text = "bundle has already been unpacked, cannot change content of existing bundle";
    assert_eq!(said, (409, text.to_owned()));
    assert_eq!(ann.get(&url).await?.bytes().await?, first);

    // After a restart without the unpacked content it is unpacked again from what was uploaded.
    fixture.suite.kill("rukpak")?;
    assert!(contents::remove_all(fixture.suite.directory())? > 0);
    fixture.suite.start_component("rukpak").await?;
    let directory = fixture.suite.directory().to_owned();
    Wait::new("the content is unpacked again")
        .logs(&fixture.suite)
        .value(async || Ok(contents::holds(&directory, &digest)?.then_some(())))
        .await?;
    assert_eq!(ann.get(&url).await?.bytes().await?, first);

    // After the loss of the disk, too: there is a copy in the cluster.
    assert_eq!(copies(&fixture).await?.len(), 1);
    lose_disk(&fixture)?;
    fixture.suite.start_component("rukpak").await?;
    Wait::new("the content is there again")
        .logs(&fixture.suite)
        .value(async || Ok(contents::holds(&directory, &digest)?.then_some(())))
        .await?;
    assert_eq!(ann.get(&url).await?.bytes().await?, first);

    // Where the copy is lost as well, the same can come again and nothing else.
    lose_disk(&fixture)?;
    lose_copies(&fixture).await?;
    fixture.suite.start_component("rukpak").await?;
    let waiting = fixture.unpacked("upload", "UnpackPending").await?;
    assert_eq!(why(&waiting), "waiting for bundle to be uploaded");
    assert_eq!(ann.put(&url, second.clone()).await?, (409, text.to_owned()));
    assert_eq!(ann.put(&url, first).await?.0, 201);
    let unpacked = fixture.unpacked("upload", "UnpackSuccessful").await?;
    let status = unpacked.status.context("no status")?;
    assert_eq!(status.content_digest.as_deref(), Some(digest.as_str()));

    // Another Bundle of the name does not find it.
    let parameters = DeleteParams::default();
    fixture.bundles.delete("upload", &parameters).await?;
    Wait::new("the Bundle is gone")
        .logs(&fixture.suite)
        .gone(&fixture.bundles, "upload")
        .await?;
    Wait::new("its copy is gone")
        .value(async || Ok(copies(&fixture).await?.is_empty().then_some(())))
        .await?;
    fixture.create("upload", PLAIN, source()).await?;
    fixture.unpacked("upload", "UnpackPending").await?;

    // A BundleDeployment waits for its Bundle and installs what comes.
    let template =
        json!({"template": {"spec": {"provisionerClassName": PLAIN, "source": source()}}});
    fixture.deploy_with("uploaded", PLAIN, "", template).await?;
    let bundle = Wait::new("there is a Bundle")
        .logs(&fixture.suite)
        .value(async || Ok(fixture.bundles_of("uploaded").await?.into_iter().next()))
        .await?;
    fixture.unpacked(&bundle, "UnpackPending").await?;
    fixture
        .said("uploaded", "HasValidBundle", "UnpackPending")
        .await?;
    let url = uploads.url(&bundle);
    assert_eq!(ann.put(&url, second.clone()).await?.0, 201);
    fixture.installed("uploaded").await?;

    // Where the disk is lost, what runs is repaired from the copy, of more than one part.
    assert_eq!(copies(&fixture).await?.len(), 2);
    lose_disk(&fixture)?;
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "default");
    maps.delete("uploaded", &DeleteParams::default()).await?;
    fixture.suite.start_component("rukpak").await?;
    Wait::new("what was deleted is there again")
        .logs(&fixture.suite)
        .object(&maps, "uploaded", |_| true)
        .await?;
    fixture.said("uploaded", "Healthy", "Healthy").await?;

    // Where all is lost, what runs is left as it is, and who uploaded is asked to do so again.
    lose_disk(&fixture)?;
    lose_copies(&fixture).await?;
    fixture.suite.start_component("rukpak").await?;
    let ill = fixture
        .said("uploaded", "Healthy", "ReconcileFailed")
        .await?;
    assert_eq!(
        message(&ill, "Healthy"),
        format!(
            "cannot repair what is installed: the content of Bundle `{bundle}` was uploaded and is \
             lost: upload it again; what runs is left as it is until then"
        )
    );
    assert!(has_condition(&ill, "Installed", "True"));
    assert_eq!(ann.put(&url, second).await?.0, 201);
    fixture.said("uploaded", "Healthy", "Healthy").await?;
    fixture.uninstall("uploaded").await
}
