//! `olmctl catalog` against a real registry and a real catalogd: whatever the source of a catalog,
//! it says the same.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use olm_api::catalog::Catalog;
use olm_registry::push::NewImage;
use olm_tests::publish::{CATALOG_LABEL, Publisher, image};
use olm_tests::{
    ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, content, wait,
};
use olm_tree::MemoryTree;
use serde_json::json;
use tempfile::TempDir;

const SQLITE_LABEL: &str = "operators.operatorframework.io.index.database.v1";

const CATALOG: &str = "\
schema: olm.package
name: foo
defaultChannel: stable
---
schema: olm.channel
package: foo
name: stable
entries:
- {name: foo.v1.0.0, skipRange: <1.0.0}
---
schema: olm.bundle
package: foo
name: foo.v1.0.0
image: quay.io/test/foo:v1
properties:
- type: olm.package
  value: {packageName: foo, version: 1.0.0}
";

/// A run of `olmctl`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) said: String,
}

pub(crate) async fn olmctl(args: &[&str]) -> Result<Ran> {
    let folder = if let Some(folder) = std::env::var_os("OLM_TEST_BIN_DIR") {
        PathBuf::from(folder)
    } else {
        let executable = std::env::current_exe()?;
        let profile = executable.parent().and_then(Path::parent);
        profile
            .context("the test executable is nowhere")?
            .to_owned()
    };
    let output = tokio::process::Command::new(folder.join("olmctl"))
        .args(args)
        .env_remove("REGISTRY_AUTH_FILE")
        .output()
        .await
        .context("cannot run olmctl: run `cargo build --bins` first")?;
    Ok(Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        said: String::from_utf8(output.stderr)?,
    })
}

/// What is said of a catalog, besides where it is.
async fn all(source: &str, access: &[&str], package: &str) -> Result<Vec<Ran>> {
    let mut runs = Vec::new();
    for command in [
        vec!["validate", source],
        vec!["list", "packages", source],
        vec!["list", "channels", source],
        vec!["list", "bundles", source, "-o", "json"],
        vec!["show", source, package],
        vec!["graph", source, package],
    ] {
        runs.push(olmctl(&[&["catalog"], command.as_slice(), access].concat()).await?);
    }
    Ok(runs)
}

/// A folder with a catalog, the real one where it is there, and a package of it.
fn folder() -> Result<(TempDir, PathBuf, &'static str)> {
    let scratch = tempfile::tempdir()?;
    if let Some(data) = content::data()? {
        let real = data.join("catalogs/community-v4.20");
        return Ok((scratch, real, "rabbitmq-cluster-operator"));
    }
    std::fs::write(scratch.path().join("catalog.yaml"), CATALOG)?;
    let path = scratch.path().to_owned();
    Ok((scratch, path, "foo"))
}

#[tokio::test]
async fn a_folder_an_image_and_a_served_catalog_say_the_same() -> Result<()> {
    let (_scratch, path, package) = folder()?;
    let files = content::files(&path)?;
    let local = all(path.to_str().context("no UTF-8")?, &[], package).await?;
    for ran in &local {
        ensure!(ran.code == Some(0) && ran.said.is_empty(), "{ran:?}");
    }

    let cluster = ControlPlane::own().await?;
    let registry = Registry::start(RegistryOptions::default()).await?;
    let publisher = Publisher::new(&registry);
    let (reference, digest) = publisher.catalog_tree("olmctl/catalog:v1", &files).await?;
    assert_eq!(all(&reference, &["--plain-http"], package).await?, local);
    let pinned = format!("{}/olmctl/catalog@{digest}", registry.host());
    let list = ["catalog", "list", "bundles", "-o", "json"];
    let ran = olmctl(&[&list[..], &[&pinned, "--plain-http"]].concat()).await?;
    assert_eq!(ran, local[3]);

    let options = SuiteOptions::plain_http([registry.host()]);
    let suite = Suite::start_only(&cluster, options, &["catalogd"]).await?;
    let client = cluster.client().await?;
    let catalogs = Api::<Catalog>::all(client.clone());
    let catalog = serde_json::from_value(json!({
        "apiVersion": "catalogd.operatorframework.io/v1alpha1",
        "kind": "Catalog",
        "metadata": {"name": "olmctl"},
        "spec": {"source": {"type": "image", "image": {"ref": reference}}},
    }))?;
    catalogs.create(&PostParams::default(), &catalog).await?;
    let catalog = Wait::new("the Catalog is unpacked")
        .logs(&suite)
        .object(&catalogs, "olmctl", |catalog| {
            wait::has_condition(catalog, "Unpacked", "True")
        })
        .await?;
    let url = catalog
        .status
        .and_then(|status| status.content_url)
        .context("no contentURL")?;
    let maps = Api::<ConfigMap>::namespaced(client, suite.namespace());
    let trust = maps.get("olm-trust").await?.data.unwrap_or_default();
    let authority = trust.get("catalogd").context("no authority of catalogd")?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), authority)?;
    let file = file.path().to_str().context("no UTF-8")?;
    assert_eq!(all(&url, &["--ca-file", file], package).await?, local);
    let ran = olmctl(&[&list[..], &[&url, "--insecure-skip-tls-verify"]].concat()).await?;
    assert_eq!(ran, local[3]);
    let refused = olmctl(&["catalog", "validate", &url]).await?;
    ensure!(
        refused.code == Some(1) && refused.said.starts_with("error: cannot get `https://"),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test]
async fn credentials_and_certificates_are_used_and_asked_for() -> Result<()> {
    let options = RegistryOptions {
        tls: true,
        ..RegistryOptions::password("ann", "sesame")
    };
    let registry = Registry::start(options).await?;
    let publisher = Publisher::with_password(&registry, "ann", "sesame");
    let mut files = MemoryTree::new();
    files.insert("foo/catalog.yaml", CATALOG)?;
    let (reference, _) = publisher.catalog_tree("private/catalog:v1", &files).await?;
    let scratch = tempfile::tempdir()?;
    let write = |name: &str, text: &str| -> Result<String> {
        let path = scratch.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.to_str().context("no UTF-8")?.to_owned())
    };
    let auths = json!({"auths": {registry.host(): {"username": "ann", "password": "sesame"}}});
    let auth = write("auth.json", &auths.to_string())?;
    let authority = write("ca.pem", registry.authority().context("no authority")?)?;

    let list = ["catalog", "list", "bundles", &reference];
    let trusted = [&list[..], &["--authfile", &auth, "--ca-file", &authority]].concat();
    let ran = olmctl(&trusted).await?;
    ensure!(
        ran.code == Some(0) && ran.out.contains("foo.v1.0.0") && ran.said.is_empty(),
        "{ran:?}"
    );
    let careless = ["--authfile", &auth, "--insecure-skip-tls-verify"];
    assert_eq!(olmctl(&[&list[..], &careless].concat()).await?, ran);
    for access in [
        vec!["--authfile", &auth],
        vec![
            "--ca-file",
            &authority,
            "--runtime-dir",
            "/x",
            "--home",
            "/x",
        ],
    ] {
        let refused = olmctl(&[&list[..], &access].concat()).await?;
        ensure!(
            refused.code == Some(1) && refused.out.is_empty(),
            "{refused:?}"
        );
        ensure!(
            refused.said.starts_with("error: cannot pull `"),
            "{refused:?}"
        );
        ensure!(!refused.said.contains("sesame"), "{refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_image_that_is_no_catalog_is_refused_with_what_to_do() -> Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let publisher = Publisher::new(&registry);
    let mut files = MemoryTree::new();
    files.insert("index.db", "SQLite format 3")?;
    let label = |name: &str, value: &str| [(name.to_owned(), value.to_owned())];
    let old: NewImage = image(
        &files,
        "database",
        label(SQLITE_LABEL, "/database/index.db"),
    )?;
    publisher.push("old:v1", &old).await?;
    publisher.push("none:v1", &image(&files, "", [])?).await?;
    let mut catalog = MemoryTree::new();
    catalog.insert("catalog.yaml", CATALOG)?;
    let mut both = image(&catalog, "configs", label(CATALOG_LABEL, "/configs"))?;
    both.labels
        .extend(label(SQLITE_LABEL, "/database/index.db"));
    publisher.push("both:v1", &both).await?;
    for (name, text) in [
        ("old:v1", "convert it with `opm migrate "),
        (
            "none:v1",
            "it has no label `operators.operatorframework.io.index.configs.v1`",
        ),
    ] {
        let reference = format!("{}/{name}", registry.host());
        let ran = olmctl(&["catalog", "validate", &reference, "--plain-http"]).await?;
        ensure!(ran.code == Some(1) && ran.said.contains(text), "{ran:?}");
    }
    let reference = format!("{}/both:v1", registry.host());
    let ran = olmctl(&["catalog", "validate", &reference, "--plain-http"]).await?;
    ensure!(ran.code == Some(0) && ran.said.is_empty(), "{ran:?}");
    Ok(())
}
