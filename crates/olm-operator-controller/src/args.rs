//! What operator-controller can be told when it is started.

use std::path::PathBuf;

use clap::Parser;
use olm_runtime::args::CommonArgs;

/// operator-controller: chooses a bundle for each Operator and hands it to rukpak.
#[derive(Clone, Debug, Parser)]
#[command(name = "operator-controller", version)]
pub struct Args {
    /// What every component takes.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Folder in which what is needed of each catalog is kept across restarts.
    #[arg(long, default_value = "/var/cache/operator-controller")]
    pub cache_path: PathBuf,

    /// Features to turn on or off, as NAME=true|false pairs separated by commas. Known:
    /// `ForceSemverUpgradeConstraints` (false): any newer version of the same major line may follow
    /// an installed one, instead of what the package names as its successors.
    #[arg(long, default_value = "", value_parser = parse_gates)]
    pub feature_gates: FeatureGates,
}

/// Features that can be turned on or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeatureGates {
    /// Upgrade edges by version instead of by what the package names. Off by default.
    pub force_semver_upgrade_constraints: bool,
}

fn parse_gates(text: &str) -> Result<FeatureGates, String> {
    let mut gates = FeatureGates::default();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair
            .trim()
            .split_once('=')
            .ok_or_else(|| format!("`{pair}` is not NAME=true|false"))?;
        let value = value
            .parse::<bool>()
            .map_err(|_| format!("`{value}` is neither true nor false for feature `{name}`"))?;
        match name {
            "ForceSemverUpgradeConstraints" => gates.force_semver_upgrade_constraints = value,
            _ => return Err(format!("there is no feature `{name}`")),
        }
    }
    Ok(gates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_named() {
        let on = FeatureGates {
            force_semver_upgrade_constraints: true,
        };
        assert_eq!(parse_gates("ForceSemverUpgradeConstraints=true"), Ok(on));
        assert_eq!(parse_gates(""), Ok(FeatureGates::default()));
        assert!(parse_gates("Nope=true").is_err_and(|e| e.contains("`Nope`")));
        assert!(parse_gates("ForceSemverUpgradeConstraints=1").is_err());
    }
}
