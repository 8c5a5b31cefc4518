//! The largest real bundle, from a registry until it is stored.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use olm_api::bundle::Bundle;
use serde_json::json;

use super::{PATIENCE, Rukpak, SETTLE, fixed_work, median, milliseconds};
use crate::publish::Publisher;
use crate::wait::has_condition;
use crate::{Wait, content};

/// Times that it is unpacked.
const ROUNDS: usize = 7;
/// In ms.
const TIME_GOAL: f64 = 1_000.0;
/// In MiB above rest.
const MEMORY_GOAL: f64 = 64.0;

/// Unpacks it some times, each time from the registry.
pub(super) async fn unpacking(rukpak: &Rukpak, data: &Path) -> Result<()> {
    let mut sizes = Vec::new();
    for name in content::bundles(data)? {
        sizes.push((content::size(&data.join("bundles").join(&name))?, name));
    }
    let (size, name) = sizes.into_iter().max().context("there is no bundle")?;
    let files = content::files(&data.join("bundles").join(&name))?;
    let image = Publisher::new(&rukpak.registry)
        .bundle("bench/largest:v1", &files)
        .await?;
    let bundles = Api::<Bundle>::all(rukpak.cluster.client().await?);
    let rest = rukpak.process()?.memory()?.now;
    let (mut times, mut units, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
    for _ in 0..ROUNDS {
        units.push(fixed_work());
        rukpak.process()?.forget_peak()?;
        times.push(unpack(rukpak, &bundles, &image).await?);
        peak = peak.max(rukpak.process()?.memory()?.peak);
        bundles.delete("largest", &DeleteParams::default()).await?;
        Wait::new("the Bundle is gone")
            .within(PATIENCE)
            .gone(&bundles, "largest")
            .await?;
        // Its content goes with it, so that the next round fetches it again.
        tokio::time::sleep(SETTLE).await;
    }
    let (time, unit) = (median(&mut times), median(&mut units));
    println!(
        "  {name} ({:.1} MiB), applied until it is unpacked, {ROUNDS} times: median {:.0} ms, worst \
         {:.0} (goal {TIME_GOAL}), ratio {:.2}; at the peak {:.1} MiB above the {rest:.1} at rest \
         (goal {MEMORY_GOAL})",
        f64::from(u32::try_from(size >> 10)?) / 1024.0,
        milliseconds(time),
        milliseconds(times.last().copied().unwrap_or_default()),
        time.as_secs_f64() / unit.as_secs_f64(),
        peak - rest,
    );
    Ok(())
}

async fn unpack(rukpak: &Rukpak, bundles: &Api<Bundle>, image: &str) -> Result<Duration> {
    let bundle = serde_json::from_value(json!({
        "apiVersion": "core.rukpak.io/v1alpha1",
        "kind": "Bundle",
        "metadata": {"name": "largest"},
        "spec": {
            "provisionerClassName": "core-rukpak-io-registry",
            "source": {"type": "image", "image": {"ref": image}},
        },
    }))?;
    let started = Instant::now();
    bundles.create(&PostParams::default(), &bundle).await?;
    Wait::new("the Bundle is unpacked")
        .within(PATIENCE)
        .every(Duration::from_millis(5))
        .logs(&rukpak.suite)
        .object(bundles, "largest", |bundle| {
            has_condition(bundle, "Unpacked", "True")
        })
        .await?;
    Ok(started.elapsed())
}
