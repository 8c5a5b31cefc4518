//! What is refused, and what that costs.

use std::time::{Duration, Instant};

use anyhow::Result;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use olm_api::bundle::Bundle;
use serde_json::json;

use super::{PATIENCE, Rukpak, milliseconds};
use crate::publish::Publisher;
use crate::wait::is_because;
use crate::{Wait, bombs};

/// Refuses each bomb alone, and prints a table.
pub(super) async fn refuse(rukpak: &Rukpak) -> Result<()> {
    let publisher = Publisher::new(&rukpak.registry);
    let bundles = Api::<Bundle>::all(rukpak.cluster.client().await?);
    println!("  bombs, applied until they are refused; memory above that at rest:");
    println!("    | Bomb | Pushed, KiB | ms | MiB at the peak |");
    println!("    |---|---|---|---|");
    for bomb in bombs::bombs()? {
        let tag = format!("bench/{}:v1", bomb.name);
        publisher.push(&tag, &bomb.image).await?;
        let bundle = serde_json::from_value(json!({
            "apiVersion": "core.rukpak.io/v1alpha1",
            "kind": "Bundle",
            "metadata": {"name": bomb.name},
            "spec": {
                "provisionerClassName": "core-rukpak-io-plain",
                "source": {"type": "image", "image": {
                    "ref": format!("{}/{tag}", rukpak.registry.host()),
                }},
            },
        }))?;
        let rest = rukpak.process()?.memory()?.now;
        rukpak.process()?.forget_peak()?;
        let started = Instant::now();
        bundles.create(&PostParams::default(), &bundle).await?;
        Wait::new("the bomb is refused")
            .within(PATIENCE)
            .every(Duration::from_millis(5))
            .logs(&rukpak.suite)
            .object(&bundles, bomb.name, |bundle| {
                is_because(bundle, "Unpacked", "UnpackFailed")
            })
            .await?;
        let time = started.elapsed();
        println!(
            "    | {} | {} | {:.0} | {:.1} |",
            bomb.name,
            bomb.size() >> 10,
            milliseconds(time),
            rukpak.process()?.memory()?.peak - rest,
        );
        bundles.delete(bomb.name, &DeleteParams::default()).await?;
        Wait::new("the Bundle is gone")
            .within(PATIENCE)
            .gone(&bundles, bomb.name)
            .await?;
    }
    Ok(())
}
