//! Under which addresses content is served.

use axum::http::Uri;
use olm_api::names::SERVICE_RUKPAK;

/// An address that clients reach the server under is no address.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not the https address of a server")]
pub struct ExternalAddressError(String);

/// Makes the addresses in `status.contentURL`.
#[derive(Clone, Debug)]
pub(crate) struct ContentUrl {
    /// Without a slash at its end.
    base: String,
    /// The path of it, which stands in front of those of the server.
    prefix: String,
}

impl ContentUrl {
    /// The addresses below `external`, or those of the suite's Service in `namespace`.
    ///
    /// # Errors
    ///
    /// It is not the https address of a server.
    pub(crate) fn new(
        external: Option<&str>,
        namespace: &str,
    ) -> Result<Self, ExternalAddressError> {
        let default = format!("https://{SERVICE_RUKPAK}.{namespace}.svc");
        let text = external.unwrap_or(&default);
        let base = text.trim_end_matches('/').to_owned();
        let uri = base.parse::<Uri>().ok();
        let uri = uri.filter(|uri| uri.scheme_str() == Some("https"));
        let uri = uri.filter(|uri| uri.host().is_some() && uri.query().is_none());
        match uri {
            Some(uri) => Ok(Self {
                prefix: uri.path().trim_end_matches('/').to_owned(),
                base,
            }),
            None => Err(ExternalAddressError(text.to_owned())),
        }
    }

    /// The address of the content of a Bundle.
    pub(crate) fn of(&self, bundle: &str) -> String {
        format!("{}/bundles/{bundle}.tgz", self.base)
    }

    /// The path that stands in front of those of the server.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(None, "https://rukpak-service.olm-system.svc/bundles/b.tgz")]
    #[case(Some("https://a:8443/"), "https://a:8443/bundles/b.tgz")]
    #[case(Some("https://a/x/"), "https://a/x/bundles/b.tgz")]
    #[case(Some("http://a"), "")]
    #[case(Some("a"), "")]
    #[case(Some("https://a/?b"), "")]
    fn content_is_below_the_external_address(#[case] external: Option<&str>, #[case] url: &str) {
        let made = ContentUrl::new(external, "olm-system").map(|base| base.of("b"));
        assert_eq!(made.unwrap_or_default(), url);
    }
}
