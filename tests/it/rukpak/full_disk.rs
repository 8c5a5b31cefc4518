//! A store and a disk that are full.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::DeleteParams;
use olm_tests::publish::Publisher;
use olm_tests::{Wait, wait};
use olm_tree::MemoryTree;
use rand::RngCore as _;
use serde_json::json;

use super::cluster::{PLAIN, RukpakCluster};
use super::objects::{config_map, namespace};

/// A bundle of a ConfigMap in a namespace of its own, beside `size` bytes that mean nothing.
async fn push(fixture: &RukpakCluster, name: &str, size: usize) -> Result<String> {
    let mut tree = MemoryTree::default();
    tree.insert("manifests/0.yaml", namespace(name).to_string())?;
    tree.insert("manifests/1.yaml", config_map(name, "map", "1").to_string())?;
    let mut bytes = vec![0; size];
    rand::rng().fill_bytes(&mut bytes);
    tree.insert("metadata/ballast", bytes)?;
    let tag = format!("{name}:v1");
    Publisher::new(&fixture.registry)
        .bundle(&tag, &tree)
        .await?;
    Ok(format!("{}/{tag}", fixture.registry.host()))
}

#[tokio::test]
async fn what_does_not_fit_into_the_store_says_so_and_harms_nobody() -> Result<()> {
    let fixture = RukpakCluster::start_with(&["rukpak.storage.quota=1Mi"]).await?;
    let (small, large) = (
        push(&fixture, "small", 600 << 10).await?,
        push(&fixture, "large", 500 << 10).await?,
    );
    // Content is there once, whoever refers to it.
    for name in ["small", "again"] {
        let source = json!({"type": "image", "image": {"ref": small}});
        fixture.create(name, PLAIN, source).await?;
        fixture.unpacked(name, "UnpackSuccessful").await?;
    }
    let source = json!({"type": "image", "image": {"ref": large}});
    fixture.create("large", PLAIN, source).await?;
    let refused = fixture.unpacked("large", "UnpackFailed").await?;
    let message = wait::message(&refused, "Unpacked");
    ensure!(message.contains("is full: "), "{message}");
    ensure!(message.contains("above its quota of 1.0 MiB"), "{message}");
    for name in ["small", "again"] {
        fixture.unpacked(name, "UnpackSuccessful").await?;
    }
    Ok(())
}

/// Runs rukpak with its content on a disk of its own, of so many bytes, in a mount namespace that
/// nobody else sees.
async fn on_a_disk_of(fixture: &RukpakCluster, size: &str) -> Result<String> {
    let process = fixture.suite.process("rukpak")?;
    let mut program = process.program();
    let folder = program
        .arguments
        .iter()
        .find_map(|argument| argument.strip_prefix("--storage-dir="))
        .context("rukpak has no folder")?
        .to_owned();
    fixture.suite.kill("rukpak")?;
    std::fs::create_dir_all(&folder)?;
    let script = format!(
        "mount -t tmpfs -o size={size} tmpfs '{folder}' && exec setpriv --pdeathsig KILL \"$0\" \"$@\""
    );
    let mut arguments: Vec<String> = ["--user", "--map-root-user", "--mount", "sh", "-c"]
        .map(str::to_owned)
        .into();
    arguments.push(script);
    arguments.push(program.path.display().to_string());
    arguments.append(&mut program.arguments);
    program.arguments = arguments;
    program.path = "unshare".into();
    process.set_program(program);
    fixture.suite.start_component("rukpak").await?;
    Ok(folder)
}

/// Gives the disk another size.
fn resize(fixture: &RukpakCluster, folder: &str, size: &str) -> Result<()> {
    let pid = fixture
        .suite
        .process("rukpak")?
        .pid()
        .context("no rukpak")?;
    let status = Command::new("nsenter")
        .args(["--user", "--mount", "--preserve-credentials", "-t"])
        .arg(pid.to_string())
        .args(["mount", "-o", &format!("remount,size={size}"), folder])
        .status()?;
    ensure!(status.success(), "the disk cannot be resized: {status}");
    Ok(())
}

#[tokio::test]
async fn a_full_disk_is_told_and_what_is_installed_goes_on() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let folder = on_a_disk_of(&fixture, "4m").await?;
    let (small, large) = (
        push(&fixture, "small", 1 << 20).await?,
        push(&fixture, "large", 6 << 20).await?,
    );
    fixture.deploy("small", PLAIN, &small).await?;
    fixture.installed("small").await?;
    fixture.deploy("large", PLAIN, &large).await?;
    let refused = fixture
        .said("large", "HasValidBundle", "UnpackFailed")
        .await?;
    let message = wait::message(&refused, "HasValidBundle");
    ensure!(message.contains("No space left on device"), "{message}");

    // What was there is whole, and repaired from.
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "small");
    maps.delete("map", &DeleteParams::default()).await?;
    Wait::new("the ConfigMap is back")
        .logs(&fixture.suite)
        .object(&maps, "map", |_| true)
        .await?;
    fixture.installed("small").await?;

    resize(&fixture, &folder, "64m")?;
    fixture.installed("large").await?;
    Ok(())
}
