//! An authority with those before it that are still trusted, and the leaves it signs, in the form in
//! which Secrets keep them. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::ByteString;

use super::issue::{
    CA_LIFETIME, IssueError, KeyPair, LEAF_LIFETIME, belong_together, inspect, issue_ca,
    issue_leaf, needs_renewal, signed_by,
};

/// Key of a Secret under which the certificates to trust are, the signing one first.
pub const CA_CERTIFICATE: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const LEAF_CERTIFICATE: &str = "tls.crt";
const LEAF_KEY: &str = "tls.key";

/// Most authorities kept in a bundle.
const MAX_AUTHORITIES: usize = 4;
const END: &str = "-----END CERTIFICATE-----";

/// The entries of a Secret.
pub type Entries = BTreeMap<String, ByteString>;

/// An authority, and the certificates of those before it that may still have signed what is in use:
/// each is trusted for the life of a leaf ([`LEAF_LIFETIME`]) from the issue of the one after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    pub(super) signing: KeyPair,
    /// Certificates of earlier authorities, newest first; at most three.
    pub(super) earlier: Vec<String>,
}

impl Authority {
    /// New from nothing, for about ten years ([`CA_LIFETIME`]).
    ///
    /// # Errors
    ///
    /// [`IssueError`].
    pub fn issue(common_name: &str, now: Timestamp) -> Result<Self, IssueError> {
        Ok(Self {
            signing: issue_ca(common_name, now, CA_LIFETIME)?,
            earlier: Vec::new(),
        })
    }

    /// What `ca.crt` and `ca.key` of a Secret hold; `None` where one is missing or they do not fit.
    pub fn read(data: &Entries) -> Option<Self> {
        let mut certificates = split(&text(data, CA_CERTIFICATE)?).into_iter();
        let signing = KeyPair {
            certificate: certificates.next()?,
            key: text(data, CA_KEY)?,
        };
        belong_together(&signing).then(|| Self {
            signing,
            earlier: certificates.collect(),
        })
    }

    /// `ca.crt` and `ca.key` as a Secret is to hold them.
    pub fn write(&self) -> Entries {
        BTreeMap::from([
            entry(CA_CERTIFICATE, &self.bundle()),
            entry(CA_KEY, &self.signing.key),
        ])
    }

    /// The certificate that signs, PEM.
    pub fn certificate(&self) -> &str {
        &self.signing.certificate
    }

    /// The certificates to trust, PEM.
    pub fn bundle(&self) -> String {
        self.certificates()
            .flat_map(|certificate| [certificate.trim(), "\n"])
            .collect()
    }

    /// The authority after what is due now, or `None` where nothing is.
    ///
    /// One that is old gets a successor and stays trusted for the life of a leaf; leaves of it serve
    /// until they are due themselves, so that clients learn of the new one in time. One that has
    /// expired is gone.
    ///
    /// # Errors
    ///
    /// [`IssueError`].
    pub fn renew(&self, common_name: &str, now: Timestamp) -> Result<Option<Self>, IssueError> {
        if self.is_expired(now) {
            return Self::issue(common_name, now).map(Some);
        }
        if needs_renewal(&self.signing.certificate, now) {
            return self.succeed(common_name, now).map(Some);
        }
        let earlier = still_trusted(&self.signing.certificate, &self.earlier, now);
        Ok((earlier != self.earlier).then(|| Self {
            signing: self.signing.clone(),
            earlier,
        }))
    }

    /// A new authority where this one is old, was lost or is no longer wanted; what it signed stays
    /// trusted for the life of a leaf.
    ///
    /// # Errors
    ///
    /// [`IssueError`].
    pub(super) fn succeed(&self, common_name: &str, now: Timestamp) -> Result<Self, IssueError> {
        let signing = issue_ca(common_name, now, CA_LIFETIME)?;
        let before: Vec<String> = self.certificates().cloned().collect();
        let earlier = still_trusted(&signing.certificate, &before, now);
        Ok(Self { signing, earlier })
    }

    /// The certificates to trust, the newest first.
    fn certificates(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.signing.certificate).chain(&self.earlier)
    }

    /// Whether a leaf was signed by this authority or one before it.
    pub(super) fn trusts(&self, leaf: &KeyPair) -> bool {
        self.certificates()
            .any(|authority| signed_by(&leaf.certificate, authority))
    }

    /// Whether nothing that this authority signed is valid any more.
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        expired(&self.signing.certificate, now)
    }

    /// A new leaf for these DNS names and addresses, for 90 days ([`LEAF_LIFETIME`]).
    ///
    /// # Errors
    ///
    /// [`IssueError`].
    pub fn issue_leaf(&self, names: &[String], now: Timestamp) -> Result<KeyPair, IssueError> {
        issue_leaf(&self.signing, names, now, LEAF_LIFETIME)
    }

    /// Whether a leaf can go on serving: of this authority or one before it that is still trusted,
    /// for exactly these names, and not due for renewal.
    pub fn keeps(&self, leaf: &KeyPair, names: &[String], now: Timestamp) -> bool {
        let wanted: BTreeSet<String> = names.iter().cloned().collect();
        self.trusts(leaf)
            && inspect(&leaf.certificate).is_ok_and(|facts| facts.names == wanted)
            && !needs_renewal(&leaf.certificate, now)
    }
}

/// The leaf that `tls.crt` and `tls.key` of a Secret hold; `None` where one is missing or they do
/// not belong together.
pub fn read_leaf(data: &Entries) -> Option<KeyPair> {
    let leaf = KeyPair {
        certificate: text(data, LEAF_CERTIFICATE)?,
        key: text(data, LEAF_KEY)?,
    };
    belong_together(&leaf).then_some(leaf)
}

/// `tls.crt` and `tls.key` as a Secret is to hold them.
pub fn write_leaf(leaf: &KeyPair) -> Entries {
    BTreeMap::from([
        entry(LEAF_CERTIFICATE, &leaf.certificate),
        entry(LEAF_KEY, &leaf.key),
    ])
}

fn text(data: &Entries, key: &str) -> Option<String> {
    String::from_utf8(data.get(key)?.0.clone()).ok()
}

fn entry(key: &str, text: &str) -> (String, ByteString) {
    (key.to_owned(), ByteString(text.as_bytes().to_vec()))
}

fn expired(pem: &str, now: Timestamp) -> bool {
    inspect(pem).map_or(true, |facts| facts.not_after <= now)
}

/// Those of the `earlier` authorities (newest first) that are trusted beside `newest`: whose
/// successor was issued less than the life of a leaf ago. What they signed was renewed by then.
fn still_trusted(newest: &str, earlier: &[String], now: Timestamp) -> Vec<String> {
    let successors = std::iter::once(newest).chain(earlier.iter().map(String::as_str));
    successors
        .zip(earlier)
        .filter(|(successor, certificate)| {
            !is_superseded_by(successor, now) && !expired(certificate, now)
        })
        .map(|(_, certificate)| certificate.clone())
        .take(MAX_AUTHORITIES - 1)
        .collect()
}

/// Whether an authority was issued the life of a leaf ago, or cannot be read.
fn is_superseded_by(successor: &str, now: Timestamp) -> bool {
    let end = inspect(successor)
        .ok()
        .and_then(|facts| facts.not_before.checked_add(LEAF_LIFETIME).ok());
    end.is_none_or(|end| end <= now)
}

/// The single certificates of a PEM bundle, at most as many as are kept.
fn split(bundle: &str) -> Vec<String> {
    bundle
        .split_inclusive(END)
        .map(str::trim)
        .filter(|part| part.ends_with(END))
        .take(MAX_AUTHORITIES)
        .map(|part| format!("{part}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use jiff::SignedDuration;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    fn days(days: i64) -> SignedDuration {
        SignedDuration::from_hours(24 * days)
    }

    #[test]
    fn a_leaf_serves_on_while_its_authority_gets_a_successor() {
        let names = ["a".to_owned()];
        let old = Authority::issue("example", now()).unwrap();
        let aged = now() + days(2440);
        let leaf = old.issue_leaf(&names, aged).unwrap();
        let new = old.renew("example", aged).unwrap().unwrap();
        assert_ne!(new.certificate(), old.certificate());
        assert!(new.keeps(&leaf, &names, aged));
        assert_eq!(Authority::read(&new.write()), Some(new.clone()));
        assert_eq!(new.renew("example", aged).unwrap(), None);
        let later = new.issue_leaf(&names, aged).unwrap();
        assert!(!old.keeps(&later, &names, aged));
    }

    #[test]
    fn an_earlier_authority_is_trusted_for_the_life_of_a_leaf_after_its_successor() {
        let names = ["a".to_owned()];
        let old = Authority::issue("example", now()).unwrap();
        let aged = now() + days(2440);
        let leaf = old.issue_leaf(&names, aged).unwrap();
        let both = old.renew("example", aged).unwrap().unwrap();
        assert_eq!(both.earlier, [old.certificate()]);
        assert_eq!(both.renew("example", aged + days(89)).unwrap(), None);
        let alone = both.renew("example", aged + days(90)).unwrap().unwrap();
        assert_eq!(alone.signing, both.signing);
        assert_eq!(alone.bundle(), both.certificate());
        assert!(!alone.keeps(&leaf, &names, aged + days(1)));
        assert_eq!(alone.renew("example", aged + days(91)).unwrap(), None);
    }

    #[test]
    fn each_of_several_authorities_goes_in_its_own_time() {
        let first = Authority::issue("example", now()).unwrap();
        let second = first.succeed("example", now() + days(10)).unwrap();
        let third = second.succeed("example", now() + days(40)).unwrap();
        assert_eq!(third.earlier, [second.certificate(), first.certificate()]);
        let later = third.renew("example", now() + days(100)).unwrap().unwrap();
        assert_eq!(later.earlier, [second.certificate()]);
        let last = later.succeed("example", now() + days(131)).unwrap();
        assert_eq!(last.earlier, [third.certificate()]);
    }

    #[test]
    fn a_leaf_is_read_back_only_with_its_own_key() {
        let authority = Authority::issue("example", now()).unwrap();
        let leaf = authority.issue_leaf(&["a".to_owned()], now()).unwrap();
        assert_eq!(read_leaf(&write_leaf(&leaf)), Some(leaf.clone()));
        let other = authority.issue_leaf(&["a".to_owned()], now()).unwrap();
        let crossed = KeyPair {
            key: other.key,
            ..leaf
        };
        assert_eq!(read_leaf(&write_leaf(&crossed)), None);
        assert_eq!(read_leaf(&Entries::new()), None);
    }
}
