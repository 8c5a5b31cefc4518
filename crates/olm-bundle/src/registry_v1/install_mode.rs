//! Which namespaces an operator may watch.

use std::collections::BTreeSet;

use super::{Bundle, InstallMode, PREFIX};

/// Why an operator cannot watch the namespaces asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstallModeError {
    /// Nothing was asked for, so all namespaces are meant, which the operator does not support.
    #[error("{PREFIX}AllNamespace install mode must be enabled")]
    AllNamespacesRequired,
    /// The operator does not support what was asked for.
    #[error("{PREFIX}invalid option(s): invalid target namespaces [{}]: {problem}", .targets.join(" "))]
    Targets {
        /// The namespaces asked for; one empty name means all.
        targets: Vec<String>,
        /// What is wrong with them.
        problem: InstallModeProblem,
    },
}

/// What is wrong with a list of target namespaces.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstallModeProblem {
    /// None are given, several would do.
    #[error("at least one target namespace must be specified")]
    AtLeastOne,
    /// None are given, one is needed.
    #[error("exactly one target namespace must be specified")]
    ExactlyOne,
    /// All namespaces are asked for.
    #[error("supported install modes [{}] do not support targeting all namespaces", list(.0))]
    All(BTreeSet<InstallMode>),
    /// The install namespace is asked for.
    #[error("supported install modes [{}] do not support targeting own namespace", list(.0))]
    Own(BTreeSet<InstallMode>),
    /// Other namespaces are asked for.
    #[error("supported install modes [{}] do not support target namespaces [{}]", list(.modes), .targets.join(" "))]
    Other {
        /// The supported modes.
        modes: BTreeSet<InstallMode>,
        /// The namespaces asked for, sorted.
        targets: Vec<String>,
    },
}

fn list(modes: &BTreeSet<InstallMode>) -> String {
    let mut names: Vec<String> = modes.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    names.join(" ")
}

impl Bundle {
    /// Checks that the operator may watch `targets` when installed in `install_namespace`.
    ///
    /// `None` means all namespaces, as does a list of one empty name.
    ///
    /// # Errors
    ///
    /// [`InstallModeError`] with the wording of the registry provisioner for `None` and of the
    /// reference renderer otherwise.
    pub fn check_install_mode(
        &self,
        install_namespace: &str,
        targets: Option<&[String]>,
    ) -> Result<(), InstallModeError> {
        let modes = self.install_modes();
        let Some(targets) = targets else {
            return if modes.contains(&InstallMode::AllNamespaces) {
                Ok(())
            } else {
                Err(InstallModeError::AllNamespacesRequired)
            };
        };
        check(&modes, install_namespace, targets).map_err(|problem| InstallModeError::Targets {
            targets: targets.to_vec(),
            problem,
        })
    }
}

fn check(
    modes: &BTreeSet<InstallMode>,
    install_namespace: &str,
    targets: &[String],
) -> Result<(), InstallModeProblem> {
    let names: BTreeSet<&str> = targets.iter().map(String::as_str).collect();
    let supports = |mode| modes.contains(&mode);
    let other = || InstallModeProblem::Other {
        modes: modes.clone(),
        targets: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    let own = names.contains(install_namespace);
    match names.len() {
        0 if supports(InstallMode::MultiNamespace) => Err(InstallModeProblem::AtLeastOne),
        0 => Err(InstallModeProblem::ExactlyOne),
        1 if names.contains("") => supports(InstallMode::AllNamespaces)
            .then_some(())
            .ok_or_else(|| InstallModeProblem::All(modes.clone())),
        1 if own => supports(InstallMode::OwnNamespace)
            .then_some(())
            .ok_or_else(|| InstallModeProblem::Own(modes.clone())),
        1 => supports(InstallMode::SingleNamespace)
            .then_some(())
            .ok_or_else(other),
        _ if own && !supports(InstallMode::OwnNamespace) => {
            Err(InstallModeProblem::Own(modes.clone()))
        }
        _ => (supports(InstallMode::MultiNamespace) && !names.contains(""))
            .then_some(())
            .ok_or_else(other),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("", &[], Some("exactly one target namespace must be specified"))]
    #[case::nothing_of_several("Multi", &[], Some("at least one target namespace must be specified"))]
    #[case::all("All", &[""], None)]
    #[case::not_all("Own Single", &[""],
        Some("supported install modes [OwnNamespace SingleNamespace] do not support targeting all namespaces"))]
    #[case::own("Own", &["ns"], None)]
    #[case::not_own("All", &["ns"],
        Some("supported install modes [AllNamespaces] do not support targeting own namespace"))]
    #[case::single("Single", &["a"], None)]
    #[case::not_single("All Own", &["a"],
        Some("supported install modes [AllNamespaces OwnNamespace] do not support target namespaces [a]"))]
    #[case::several("Multi", &["a", "b"], None)]
    #[case::several_with_own("Multi Own", &["a", "ns"], None)]
    #[case::several_with_own_unsupported("Multi", &["a", "ns"],
        Some("supported install modes [MultiNamespace] do not support targeting own namespace"))]
    #[case::several_and_all("All Multi", &["b", ""],
        Some("supported install modes [AllNamespaces MultiNamespace] do not support target namespaces [ b]"))]
    fn checks_targets_against_supported_modes(
        #[case] modes: &str,
        #[case] targets: &[&str],
        #[case] expected: Option<&str>,
    ) {
        let modes = modes
            .split_whitespace()
            .map(|mode| match mode {
                "All" => InstallMode::AllNamespaces,
                "Own" => InstallMode::OwnNamespace,
                "Multi" => InstallMode::MultiNamespace,
                _ => InstallMode::SingleNamespace,
            })
            .collect();
        let targets: Vec<String> = targets.iter().map(|name| (*name).to_owned()).collect();
        let problem = check(&modes, "ns", &targets)
            .err()
            .map(|problem| problem.to_string());
        assert_eq!(problem.as_deref(), expected);
    }
}
