//! From the files of a bundle to the objects that are applied.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use olm_bundle::registry_v1::{self, CertificateProvider, Config, RenderOptions};
use olm_tree::Tree;
use serde_json::{Value, json};

use super::{fixed_work, median, milliseconds};
use crate::content;

/// Times that each bundle is rendered.
const ROUNDS: usize = 9;
/// In ms: what the reference renderer takes on the same bundles, which is 26 and 396, is to be
/// beaten clearly.
const MEDIAN_GOAL: f64 = 10.0;
const LARGEST_GOAL: f64 = 250.0;

/// Renders every real bundle some times, each round beside the fixed piece of work.
pub(super) fn rendering(data: &Path) -> Result<()> {
    let (mut bundles, mut refused) = (Vec::new(), 0);
    for name in content::bundles(data)? {
        let files = content::files(&data.join("bundles").join(&name))?;
        // Some cannot be installed on any cluster of today.
        match render(&files) {
            Ok(_) => bundles.push((files, Vec::new(), name)),
            Err(_) => refused += 1,
        }
    }
    let mut units = Vec::new();
    for _ in 0..ROUNDS {
        units.push(fixed_work());
        for (files, times, _) in &mut bundles {
            let started = Instant::now();
            render(files)?;
            times.push(started.elapsed());
        }
    }
    let unit = median(&mut units);
    let mut typical: Vec<(Duration, String)> = bundles
        .into_iter()
        .map(|(_, mut times, name)| (median(&mut times), name))
        .collect();
    typical.sort();
    println!(
        "  rendering, {} bundles ({refused} more are refused), {ROUNDS} rounds, each from its files \
         to objects:",
        typical.len()
    );
    let middle = typical.get(typical.len() / 2);
    for (which, goal, found) in [
        ("median", MEDIAN_GOAL, middle),
        ("slowest", LARGEST_GOAL, typical.last()),
    ] {
        let Some((time, name)) = found else { continue };
        println!(
            "    {which}: {:.1} ms (goal {goal}), ratio {:.3} ({name})",
            milliseconds(*time),
            time.as_secs_f64() / unit.as_secs_f64(),
        );
    }
    Ok(())
}

fn render(files: &dyn Tree) -> Result<Vec<Value>> {
    let bundle = registry_v1::load(files)?;
    let namespace = bundle.default_install_namespace();
    // Those that cannot watch all namespaces watch their own.
    let config = Config::parse(&bundle, &Value::Null, Some(&namespace)).or_else(|_| {
        Config::parse(
            &bundle,
            &json!({"watchNamespace": namespace}),
            Some(&namespace),
        )
    });
    let config = config.or_else(|_| {
        Config::parse(
            &bundle,
            &json!({"watchNamespace": "watched"}),
            Some(&namespace),
        )
    })?;
    let options = RenderOptions {
        config,
        ..RenderOptions::new(namespace, CertificateProvider::Own)
    };
    Ok(registry_v1::render(&bundle, &options)?.objects)
}
