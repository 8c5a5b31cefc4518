//! The layers of the workspace: a crate may depend on its own layer and on those below.

use anyhow::bail;
use cargo_metadata::MetadataCommand;

/// Which crate lies in which layer, from the pure ones at the bottom to what drives everything.
const LAYERS: [&[&str]; 6] = [
    &[
        "olm-error",
        "olm-semver",
        "olm-yaml",
        "olm-tree",
        "olm-reference",
        "olm-api",
        "olm-fbc",
        "olm-bundle",
        "olm-resolver",
    ],
    &["olm-fs", "olm-registry", "olm-source", "olm-serve"],
    &["olm-runtime", "olm-apply"],
    &["olm-operator-controller", "olm-catalogd", "olm-rukpak"],
    &["olm-cli", "xtask"],
    &["olm-testdata", "olm-tests", "olm-fuzz"],
];

/// What a pure crate must not depend on: it neither waits nor reads nor writes.
const IMPURE: [&str; 6] = ["tokio", "reqwest", "hyper", "cap-std", "tempfile", "rustls"];

/// Fails when a crate depends upwards, on a sibling controller, or is in no layer.
pub(crate) fn run() -> anyhow::Result<()> {
    let metadata = MetadataCommand::new().no_deps().exec()?;
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let Some(layer) = layer(name) else {
            wrong.push(format!(
                "{name} is in no layer: add it to crates/xtask/src/layers.rs"
            ));
            continue;
        };
        let dependencies = package
            .dependencies
            .iter()
            .filter(|d| d.kind != cargo_metadata::DependencyKind::Development);
        for dependency in dependencies {
            let on = dependency.name.as_str();
            match self::layer(on) {
                Some(below) if below > layer => {
                    wrong.push(format!(
                        "{name} (layer {layer}) depends upwards on {on} ({below})"
                    ));
                }
                Some(3) if layer == 3 => {
                    wrong.push(format!(
                        "{name} depends on {on}: controllers meet only in the API"
                    ));
                }
                None if layer == 0 && IMPURE.contains(&on) => {
                    wrong.push(format!("{name} is pure and depends on {on}"));
                }
                _ => {}
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    println!("layers hold: {} crates", metadata.packages.len());
    Ok(())
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}
