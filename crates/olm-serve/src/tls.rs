//! The certificate of a server, replaceable while it runs.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Longest chain that is accepted; longer ones are a mistake in the Secret.
const MAX_CHAIN: usize = 16;

/// Why a key pair or a TLS configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The certificate file is not PEM.
    #[error("cannot read the certificate chain")]
    Certificate {
        /// What the PEM reader found.
        source: rustls_pki_types::pem::Error,
    },
    /// The certificate file holds no certificate, or too many.
    #[error("the certificate chain has {count} certificates, wanted 1 to {MAX_CHAIN}")]
    ChainLength {
        /// How many were found (counting stops at one above the limit).
        count: usize,
    },
    /// The key file is not PEM or holds no private key.
    #[error("cannot read the private key")]
    Key {
        /// What the PEM reader found.
        source: rustls_pki_types::pem::Error,
    },
    /// The key cannot be used, or is not the key of the certificate.
    #[error("the certificate and the private key do not fit together")]
    Mismatch {
        /// What rustls found.
        source: rustls::Error,
    },
    /// The provider supports none of the TLS versions wanted.
    #[error("cannot set up TLS")]
    Setup {
        /// What rustls found.
        source: rustls::Error,
    },
}

/// The key pair that a server shows, shared and replaceable: clones are the same source.
///
/// Handshakes fail while no key pair is loaded; make readiness depend on [`Self::is_loaded`].
#[derive(Clone)]
pub struct CertificateSource {
    current: Arc<ArcSwapOption<CertifiedKey>>,
    provider: Arc<CryptoProvider>,
}

impl CertificateSource {
    /// An empty source.
    pub fn new() -> Self {
        Self {
            current: Arc::new(ArcSwapOption::empty()),
            provider: Arc::new(rustls::crypto::ring::default_provider()),
        }
    }

    /// Replaces the key pair for all handshakes from now on.
    ///
    /// `chain` is PEM, leaf first; `key` is the PEM of the leaf's private key (PKCS#8, SEC1 or
    /// PKCS#1).
    ///
    /// # Errors
    ///
    /// Any error leaves the old key pair in use.
    pub fn set_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(chain).take(MAX_CHAIN + 1) {
            certificates.push(certificate.map_err(|source| TlsError::Certificate { source })?);
        }
        if certificates.is_empty() || certificates.len() > MAX_CHAIN {
            return Err(TlsError::ChainLength {
                count: certificates.len(),
            });
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|source| TlsError::Key { source })?;
        let pair = CertifiedKey::from_der(certificates, key, &self.provider)
            .map_err(|source| TlsError::Mismatch { source })?;
        self.current.store(Some(Arc::new(pair)));
        Ok(())
    }

    /// Whether there is a key pair to show.
    pub fn is_loaded(&self) -> bool {
        self.current.load().is_some()
    }

    /// The configuration of a server that shows this source's key pair, for TLS 1.2 and 1.3, with
    /// HTTP/2 and HTTP/1.1 offered.
    pub fn server_config(&self) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|source| TlsError::Setup { source })?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl Default for CertificateSource {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CertificateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateSource")
            .field("loaded", &self.is_loaded())
            .finish()
    }
}

impl ResolvesServerCert for CertificateSource {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn keeps_the_old_pair_when_the_new_one_is_refused() {
        let source = CertificateSource::new();
        assert!(!source.is_loaded());
        let (certificate, key) = pair();
        let (_, other_key) = pair();
        source
            .set_pem(certificate.as_bytes(), key.as_bytes())
            .unwrap();
        let before = source.current.load_full().unwrap();
        assert!(matches!(
            source.set_pem(certificate.as_bytes(), other_key.as_bytes()),
            Err(TlsError::Mismatch { .. })
        ));
        assert!(matches!(
            source.set_pem(b"no pem", key.as_bytes()),
            Err(TlsError::ChainLength { count: 0 })
        ));
        assert!(matches!(
            source.set_pem(certificate.as_bytes(), b""),
            Err(TlsError::Key { .. })
        ));
        assert!(Arc::ptr_eq(&before, &source.current.load_full().unwrap()));
    }
}
