//! Certificates of the control plane and of test servers: ECDSA P-256, made anew for each run.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A certificate and its private key, both as PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate alone, without its issuer's.
    pub certificate: String,
    /// The private key as PKCS #8.
    pub key: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// A certificate authority: one of a test process, or one that was made elsewhere.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes one with the common name `name`.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        Ok(Self {
            certificate: params.self_signed(&key)?.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// One that somebody else made, from its certificate and key as PEM.
    pub fn known(certificate: &str, key: &str) -> Result<Self> {
        Ok(Self {
            certificate: certificate.to_owned(),
            issuer: Issuer::from_ca_cert_pem(certificate, KeyPair::from_pem(key)?)?,
        })
    }

    /// The authority's certificate as PEM.
    pub fn certificate(&self) -> String {
        self.certificate.clone()
    }

    /// The authority's private key as PKCS #8.
    pub fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A serving certificate for DNS names and IP addresses.
    pub fn server(&self, names: &[&str]) -> Result<Identity> {
        self.sign(server(names)?)
    }

    /// The same, issued `age` ago for `life`.
    pub fn aged_server(&self, names: &[&str], age: Duration, life: Duration) -> Result<Identity> {
        let mut params = server(names)?;
        let issued = SystemTime::now() - age;
        params.not_before = issued.into();
        params.not_after = (issued + life).into();
        self.sign(params)
    }

    /// A client certificate: `name` is the user, `group` the group Kubernetes reads from it.
    pub fn client(&self, name: &str, group: Option<&str>) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(group) = group {
            params
                .distinguished_name
                .push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Result<Identity> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn server(names: &[&str]) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let name = names.first().cloned().unwrap_or_default();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// Installs the process's provider of TLS cryptography, which every TLS client needs.
///
/// Whatever starts a control plane or a registry has done so; a second call changes nothing.
pub fn install_provider() {
    // Fails only when there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The key that signs `ServiceAccount` tokens, private and public part as PEM.
///
/// ECDSA rather than RSA: Kubernetes takes either, and this one needs neither seconds of
/// computation nor another library.
pub(crate) fn token_key() -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}
