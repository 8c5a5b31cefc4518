//! Making and judging certificates.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Lifetime of an authority: about ten years.
pub const CA_LIFETIME: Duration = Duration::from_hours(24 * 3652);
/// Lifetime of a leaf: 90 days; it is due for renewal after 60.
pub const LEAF_LIFETIME: Duration = Duration::from_hours(24 * 90);
/// Certificates are valid from this long ago, for machines whose clock is behind.
const BACKDATE: SignedDuration = SignedDuration::from_hours(1);
/// Longest common name (X.520 upper bound).
const MAX_COMMON_NAME: usize = 64;

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// A name is no DNS name and no address.
    #[error("cannot use the names in a certificate")]
    Names {
        /// What the generator found.
        source: rcgen::Error,
    },
    /// The key pair or the signature could not be made.
    #[error("cannot issue a certificate")]
    Issue {
        /// What the generator found.
        source: rcgen::Error,
    },
    /// The authority cannot sign: its certificate or key is damaged.
    #[error("cannot use the authority's key pair")]
    Authority {
        /// What the generator found.
        source: rcgen::Error,
    },
    /// A certificate cannot be read.
    #[error("not a certificate in PEM: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The time is out of the range of certificates.
    #[error("the validity is out of range")]
    Validity,
}

/// A certificate and its private key, both PEM. `Debug` hides the key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS#8.
    pub key: String,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// DNS names and addresses it is for.
    pub names: BTreeSet<String>,
}

/// Makes a self-signed authority (ECDSA P-256) that may sign leaves only.
///
/// The common name gets the time of issue appended, so that two authorities of one component can be
/// told apart while they are rotated.
pub fn issue_ca(
    common_name: &str,
    now: Timestamp,
    lifetime: Duration,
) -> Result<KeyPair, IssueError> {
    let key = generate()?;
    let mut params = CertificateParams::default();
    let label = format!("{common_name} {}", now.as_second());
    (params.not_before, params.not_after) = validity(now, lifetime)?;
    params.distinguished_name = named(&label);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params
        .self_signed(&key)
        .map_err(|source| IssueError::Issue { source })?;
    Ok(KeyPair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// Makes a server certificate (ECDSA P-256) for `names` (DNS names, wildcards, addresses), signed
/// by `ca` and not outliving it.
pub fn issue_leaf(
    ca: &KeyPair,
    names: &[String],
    now: Timestamp,
    lifetime: Duration,
) -> Result<KeyPair, IssueError> {
    let authority_key =
        rcgen::KeyPair::from_pem(&ca.key).map_err(|source| IssueError::Authority { source })?;
    let issuer = Issuer::from_ca_cert_pem(&ca.certificate, authority_key)
        .map_err(|source| IssueError::Authority { source })?;
    let authority = inspect(&ca.certificate)?;
    let key = generate()?;
    let mut params =
        CertificateParams::new(names.to_vec()).map_err(|source| IssueError::Names { source })?;
    let (not_before, not_after) = validity(now, lifetime)?;
    params.not_before = not_before;
    params.not_after = not_after.min(at(authority.not_after)?);
    params.distinguished_name = named(names.first().map_or("server", String::as_str));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params
        .signed_by(&key, &issuer)
        .map_err(|source| IssueError::Issue { source })?;
    Ok(KeyPair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// Whether the (first) certificate in `pem` has used up two thirds of its lifetime, is not valid
/// yet, or cannot be read.
pub fn needs_renewal(pem: &str, now: Timestamp) -> bool {
    renewal_in(pem, now).is_none_or(|left| left.is_zero())
}

/// Time until [`needs_renewal`] by age, zero where that is over; `None` where the certificate is not
/// valid yet or cannot be read.
pub fn renewal_in(pem: &str, now: Timestamp) -> Option<Duration> {
    let facts = inspect(pem).ok()?;
    let life = facts.not_after.duration_since(facts.not_before);
    let age = now.duration_since(facts.not_before);
    let left = (life * 2 / 3 - age).max(SignedDuration::ZERO);
    (age >= SignedDuration::ZERO).then(|| left.unsigned_abs())
}

/// Reads the (first) certificate in `pem`.
pub fn inspect(pem: &str) -> Result<Facts, IssueError> {
    let unreadable = |reason| IssueError::Unreadable { reason };
    let der = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|_pem| unreadable("no certificate found"))?;
    let (_, certificate) =
        X509Certificate::from_der(&der).map_err(|_der| unreadable("bad encoding"))?;
    let second = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).map_err(|_range| IssueError::Validity)
    };
    let mut names = BTreeSet::new();
    let alternatives = certificate
        .subject_alternative_name()
        .map_err(|_extension| unreadable("bad subject alternative names"))?;
    for name in alternatives
        .iter()
        .flat_map(|extension| &extension.value.general_names)
    {
        match name {
            GeneralName::DNSName(name) => {
                names.insert((*name).to_owned());
            }
            GeneralName::IPAddress(bytes) => {
                let address = <[u8; 4]>::try_from(*bytes)
                    .map(IpAddr::from)
                    .or_else(|_length| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
                if let Ok(address) = address {
                    names.insert(address.to_string());
                }
            }
            _ => {}
        }
    }
    let validity = certificate.validity();
    Ok(Facts {
        not_before: second(validity.not_before)?,
        not_after: second(validity.not_after)?,
        names,
    })
}

/// Whether `authority` (one certificate) signed the first certificate in `leaf`.
pub(super) fn signed_by(leaf: &str, authority: &str) -> bool {
    let read = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).ok();
    let (Some(leaf), Some(authority)) = (read(leaf), read(authority)) else {
        return false;
    };
    let (Ok((_, leaf)), Ok((_, authority))) = (
        X509Certificate::from_der(&leaf),
        X509Certificate::from_der(&authority),
    ) else {
        return false;
    };
    leaf.issuer() == authority.subject()
        && leaf.verify_signature(Some(authority.public_key())).is_ok()
}

/// Whether the private key is that of the certificate, judged by signing nothing: the public keys
/// are compared.
pub(super) fn belong_together(pair: &KeyPair) -> bool {
    let Ok(key) = rcgen::KeyPair::from_pem(&pair.key) else {
        return false;
    };
    let Ok(der) = CertificateDer::from_pem_slice(pair.certificate.as_bytes()) else {
        return false;
    };
    X509Certificate::from_der(&der).is_ok_and(|(_, certificate)| {
        certificate.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
    })
}

fn generate() -> Result<rcgen::KeyPair, IssueError> {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|source| IssueError::Issue { source })
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "olm-rs");
    name.push(
        DnType::CommonName,
        crate::truncate::truncate(common_name, MAX_COMMON_NAME, ""),
    );
    name
}

fn validity(
    now: Timestamp,
    lifetime: Duration,
) -> Result<(OffsetDateTime, OffsetDateTime), IssueError> {
    let lifetime = SignedDuration::try_from(lifetime).map_err(|_range| IssueError::Validity)?;
    let from = now
        .checked_sub(BACKDATE)
        .map_err(|_range| IssueError::Validity)?;
    let to = now
        .checked_add(lifetime)
        .map_err(|_range| IssueError::Validity)?;
    Ok((at(from)?, at(to)?))
}

fn at(time: Timestamp) -> Result<OffsetDateTime, IssueError> {
    OffsetDateTime::from_unix_timestamp(time.as_second()).map_err(|_range| IssueError::Validity)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    fn days(days: i64) -> SignedDuration {
        SignedDuration::from_hours(24 * days)
    }

    #[test]
    fn a_leaf_names_its_servers_and_is_signed_by_its_authority() {
        let ca = issue_ca("example", now(), CA_LIFETIME).unwrap();
        let names = [
            "a.b.svc".to_owned(),
            "10.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        let leaf = issue_leaf(&ca, &names, now(), LEAF_LIFETIME).unwrap();
        let facts = inspect(&leaf.certificate).unwrap();
        assert_eq!(facts.names, names.iter().cloned().collect());
        assert_eq!(facts.not_after, now() + days(90));
        assert!(signed_by(&leaf.certificate, &ca.certificate));
        assert!(belong_together(&leaf) && belong_together(&ca));
        let other = issue_ca("example", now(), CA_LIFETIME).unwrap();
        assert!(!signed_by(&leaf.certificate, &other.certificate));
        let crossed = KeyPair {
            certificate: leaf.certificate,
            key: other.key,
        };
        assert!(!belong_together(&crossed));
    }

    #[test]
    fn a_leaf_does_not_outlive_its_authority() {
        let ca = issue_ca("example", now(), Duration::from_hours(48)).unwrap();
        let leaf = issue_leaf(&ca, &["a".to_owned()], now(), LEAF_LIFETIME).unwrap();
        let end = inspect(&ca.certificate).unwrap().not_after;
        assert_eq!(inspect(&leaf.certificate).unwrap().not_after, end);
    }

    #[test]
    fn a_leaf_is_due_after_two_thirds_of_its_life() {
        let ca = issue_ca("example", now(), CA_LIFETIME).unwrap();
        let leaf = issue_leaf(&ca, &["a".to_owned()], now(), LEAF_LIFETIME).unwrap();
        let due = |time| needs_renewal(&leaf.certificate, time);
        assert!(!due(now()) && !due(now() + days(59)));
        assert!(due(now() + days(60)) && due(now() + days(600)) && due(now() - days(1)));
        assert!(needs_renewal("nonsense", now()));
    }

    #[test]
    fn keys_do_not_show_in_debug_output() {
        let ca = issue_ca("example", now(), CA_LIFETIME).unwrap();
        assert!(!format!("{ca:?}").contains("PRIVATE"));
    }

    #[test]
    fn refuses_a_damaged_authority() {
        let ca = KeyPair {
            certificate: "x".to_owned(),
            key: "y".to_owned(),
        };
        let outcome = issue_leaf(&ca, &["a".to_owned()], now(), LEAF_LIFETIME);
        assert!(matches!(outcome, Err(IssueError::Authority { .. })));
    }
}
