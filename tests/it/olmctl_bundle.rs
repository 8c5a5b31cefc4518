//! `olmctl bundle` against a real registry: an image turns into what its folder does.

use anyhow::Result;
use olm_tests::fixture::{Package, Version};
use olm_tests::publish::Publisher;
use olm_tests::{Registry, RegistryOptions};
use olm_tree::{RelPath, Tree as _};

use crate::olmctl_catalog::olmctl;

#[tokio::test]
async fn an_image_is_rendered_as_its_folder_is() -> Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let content = Package::new("mirror-operator", [Version::new("1.0.0").with_webhook()]).content();
    let files = &content.bundle("1.0.0")?.files;
    let reference = Publisher::new(&registry).bundle("mirror:v1", files).await?;
    let folder = tempfile::tempdir()?;
    for path in [
        "manifests/csv.yaml",
        "manifests/crd.yaml",
        "metadata/annotations.yaml",
    ] {
        let file = folder.path().join(path);
        if let Some(parent) = file.parent() {
            tokio::fs::create_dir_all(parent).await?;
        }
        tokio::fs::write(file, files.read(&RelPath::parse(path)?, 1 << 20)?).await?;
    }
    let folder = folder.path().display().to_string();
    let image = olmctl(&["bundle", "render", &reference, "--plain-http"]).await?;
    assert_eq!(image.code, Some(0), "{}", image.said);
    assert!(image.out.contains("kind: ValidatingWebhookConfiguration"));
    assert_eq!(olmctl(&["bundle", "render", &folder]).await?, image);

    let found = olmctl(&["bundle", "validate", &folder]).await?;
    assert_eq!((found.code, found.out.as_str()), (Some(0), ""));
    let absent = format!("{}/absent:v1", registry.host());
    let refused = olmctl(&["bundle", "render", &absent, "--plain-http"]).await?;
    assert_eq!(refused.code, Some(1));
    assert!(refused.said.contains("cannot pull"), "{}", refused.said);
    Ok(())
}
