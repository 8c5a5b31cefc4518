//! Bundles that are larger than they look.

use anyhow::{Result, ensure};
use olm_tests::publish::Publisher;
use olm_tests::{bombs, wait};
use serde_json::json;

use super::cluster::{PLAIN, RukpakCluster};
use super::objects::{config_map, namespace};

#[tokio::test]
async fn every_bomb_is_refused_by_name_while_others_go_on() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let publisher = Publisher::new(&fixture.registry);
    let bombs = bombs::bombs()?;
    for bomb in &bombs {
        let tag = format!("bombs/{}:v1", bomb.name);
        publisher.push(&tag, &bomb.image).await?;
        let image = format!("{}/{tag}", fixture.registry.host());
        let source = json!({"type": "image", "image": {"ref": image}});
        fixture.create(bomb.name, PLAIN, source).await?;
    }
    let good = [
        ("manifests/0.yaml", namespace("beside")),
        ("manifests/1.yaml", config_map("beside", "map", "1")),
    ];
    let good = fixture.push("beside:v1", &good).await?;
    fixture.deploy("beside", PLAIN, &good).await?;
    fixture.installed("beside").await?;
    for bomb in &bombs {
        let refused = fixture.unpacked(bomb.name, "UnpackFailed").await?;
        let message = wait::message(&refused, "Unpacked");
        ensure!(message.contains(bomb.told), "{}: {message}", bomb.name);
    }
    ensure!(fixture.suite.process("rukpak")?.exited()?.is_none());
    Ok(())
}
