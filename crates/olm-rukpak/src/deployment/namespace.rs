//! The namespace that a bundle's namespaced objects go to.

use olm_api::bundle_deployment::BundleDeployment;

/// Why there is no such namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NamespaceError {
    /// The namespace is the suite's own.
    #[error(
        "the bundle would be installed in namespace `{0}`, which is the suite's own: set \
         spec.installNamespace to another one"
    )]
    Reserved(String),
    /// What is installed lies in another namespace.
    #[error(
        "spec.installNamespace is `{wanted}`, and the bundle is installed in `{installed}`: delete \
         the BundleDeployment and make it again to move it"
    )]
    Moved {
        /// The namespace that is asked for.
        wanted: String,
        /// The namespace that it is in.
        installed: String,
    },
}

/// Chooses the install namespace: the one that is asked for, else the one that an earlier version
/// went to, else what the bundle suggests. A plain bundle suggests none: then only objects that
/// name their namespace can be installed.
pub(crate) fn choose(
    deployment: &BundleDeployment,
    suggested: Option<&str>,
    system_namespace: &str,
) -> Result<Option<String>, NamespaceError> {
    let wanted = deployment.spec.install_namespace.as_deref();
    let installed = deployment
        .status
        .as_ref()
        .and_then(|status| status.install_namespace.as_deref());
    if let (Some(wanted), Some(installed)) = (wanted, installed)
        && wanted != installed
    {
        return Err(NamespaceError::Moved {
            wanted: wanted.to_owned(),
            installed: installed.to_owned(),
        });
    }
    match wanted.or(installed).or(suggested) {
        Some(reserved) if reserved == system_namespace => {
            Err(NamespaceError::Reserved(reserved.to_owned()))
        }
        chosen => Ok(chosen.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use olm_api::bundle_deployment::BundleDeploymentStatus;
    use rstest::rstest;

    use super::*;
    use crate::deployment::template::tests::deployment;

    #[rstest]
    #[case::asked_for(Some("a"), None, Some("c"), Ok(Some("a")))]
    #[case::installed_before(None, Some("b"), Some("c"), Ok(Some("b")))]
    #[case::asked_for_again(Some("b"), Some("b"), Some("c"), Ok(Some("b")))]
    #[case::suggested(None, None, Some("c"), Ok(Some("c")))]
    #[case::plain(None, None, None, Ok(None))]
    #[case::moved(
        Some("a"),
        Some("b"),
        None,
        Err(
            "spec.installNamespace is `a`, and the bundle is installed in `b`: delete the BundleDeployment and make it again to move it"
        )
    )]
    #[case::reserved(
        None,
        None,
        Some("olm-system"),
        Err(
            "the bundle would be installed in namespace `olm-system`, which is the suite's own: set spec.installNamespace to another one"
        )
    )]
    #[case::reserved_asked_for(
        Some("olm-system"),
        None,
        None,
        Err(
            "the bundle would be installed in namespace `olm-system`, which is the suite's own: set spec.installNamespace to another one"
        )
    )]
    fn the_namespace_is_chosen_once_and_stays(
        #[case] wanted: Option<&str>,
        #[case] installed: Option<&str>,
        #[case] suggested: Option<&str>,
        #[case] expected: Result<Option<&str>, &str>,
    ) {
        let mut object = deployment("etcd");
        object.spec.install_namespace = wanted.map(str::to_owned);
        object.status = Some(BundleDeploymentStatus {
            install_namespace: installed.map(str::to_owned),
            ..BundleDeploymentStatus::default()
        });
        assert_eq!(
            choose(&object, suggested, "olm-system").map_err(|error| error.to_string()),
            expected
                .map(|name| name.map(str::to_owned))
                .map_err(str::to_owned)
        );
    }
}
