//! What is in a certificate Secret, and what it should become. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::ByteString;

use super::issue::{
    CA_LIFETIME, IssueError, KeyPair, LEAF_LIFETIME, belong_together, inspect, issue_ca,
    issue_leaf, needs_renewal, signed_by,
};

/// Key of the authorities' certificates, the signing one first.
const CA_CERTIFICATE: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const LEAF_CERTIFICATE: &str = "tls.crt";
const LEAF_KEY: &str = "tls.key";

/// Most authorities kept in a bundle.
const MAX_AUTHORITIES: usize = 4;
const END: &str = "-----END CERTIFICATE-----";

/// An authority, those before it that are still trusted, and the leaf in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Material {
    pub(super) authority: KeyPair,
    /// Certificates of earlier authorities, newest first.
    pub(super) earlier: Vec<String>,
    pub(super) leaf: KeyPair,
}

/// Why new material is needed; for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// There is none, or it is damaged.
    Missing,
    /// The authority is old: a new one signs from the next leaf on.
    AuthorityAged,
    /// The leaf is old, of other names, or of no authority we know.
    Leaf,
}

impl Material {
    /// New from nothing.
    pub(super) fn issue(
        component: &str,
        names: &[String],
        now: Timestamp,
    ) -> Result<Self, IssueError> {
        let authority = issue_ca(&common_name(component), now, CA_LIFETIME)?;
        let leaf = issue_leaf(&authority, names, now, LEAF_LIFETIME)?;
        Ok(Self {
            authority,
            earlier: Vec::new(),
            leaf,
        })
    }

    /// What the Secret holds; `None` where a part is missing or the parts do not fit.
    pub(super) fn read(data: &BTreeMap<String, ByteString>) -> Option<Self> {
        let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
        let mut authorities = split(&text(CA_CERTIFICATE)?).into_iter();
        let authority = KeyPair {
            certificate: authorities.next()?,
            key: text(CA_KEY)?,
        };
        let leaf = KeyPair {
            certificate: text(LEAF_CERTIFICATE)?,
            key: text(LEAF_KEY)?,
        };
        let material = Self {
            authority,
            earlier: authorities.collect(),
            leaf,
        };
        let fits = belong_together(&material.authority) && belong_together(&material.leaf);
        fits.then_some(material)
    }

    /// What the Secret is to hold.
    pub(super) fn write(&self) -> BTreeMap<String, ByteString> {
        let entry = |key: &str, text: &str| (key.to_owned(), ByteString(text.as_bytes().to_vec()));
        BTreeMap::from([
            entry(CA_CERTIFICATE, &self.bundle()),
            entry(CA_KEY, &self.authority.key),
            entry(LEAF_CERTIFICATE, &self.leaf.certificate),
            entry(LEAF_KEY, &self.leaf.key),
        ])
    }

    /// The certificates to trust.
    pub(super) fn bundle(&self) -> String {
        let all = std::iter::once(&self.authority.certificate).chain(&self.earlier);
        all.flat_map(|certificate| [certificate.trim(), "\n"])
            .collect()
    }

    /// The material after what is due now, or `None` where nothing is.
    ///
    /// A new authority does not sign a new leaf at once: it is published first, and the leaf of the
    /// earlier one serves until it is due itself, so that clients learn of the new one in time.
    pub(super) fn renew(
        &self,
        component: &str,
        names: &[String],
        now: Timestamp,
    ) -> Result<Option<(Self, Reason)>, IssueError> {
        let expired = |pem: &str| inspect(pem).map_or(true, |facts| facts.not_after <= now);
        if expired(&self.authority.certificate) {
            return Ok(Some((Self::issue(component, names, now)?, Reason::Missing)));
        }
        let mut next = self.clone();
        next.earlier.retain(|certificate| !expired(certificate));
        next.earlier.truncate(MAX_AUTHORITIES - 1);
        let mut reason = (next != *self).then_some(Reason::AuthorityAged);

        if needs_renewal(&self.authority.certificate, now) {
            let authority = issue_ca(&common_name(component), now, CA_LIFETIME)?;
            let before = std::mem::replace(&mut next.authority, authority);
            next.earlier.insert(0, before.certificate);
            next.earlier.truncate(MAX_AUTHORITIES - 1);
            reason = Some(Reason::AuthorityAged);
        }
        let wanted: BTreeSet<String> = names.iter().cloned().collect();
        let trusted = std::iter::once(&next.authority.certificate)
            .chain(&next.earlier)
            .any(|authority| signed_by(&self.leaf.certificate, authority));
        let names_differ =
            inspect(&self.leaf.certificate).map_or(true, |facts| facts.names != wanted);
        if !trusted || names_differ || needs_renewal(&self.leaf.certificate, now) {
            next.leaf = issue_leaf(&next.authority, names, now, LEAF_LIFETIME)?;
            reason = reason.or(Some(Reason::Leaf));
        }
        Ok(reason.map(|reason| (next, reason)))
    }
}

fn common_name(component: &str) -> String {
    format!("{component} CA")
}

/// The single certificates of a PEM bundle, at most one more than are kept.
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
    use rstest::rstest;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    fn days(days: i64) -> SignedDuration {
        SignedDuration::from_hours(24 * days)
    }

    fn names() -> Vec<String> {
        vec!["b".to_owned(), "a".to_owned()]
    }

    fn material() -> Material {
        Material::issue("example", &names(), now()).unwrap()
    }

    #[test]
    fn reads_back_what_it_wrote_and_leaves_it_alone() {
        let made = material();
        let read = Material::read(&made.write()).unwrap();
        assert_eq!(read.write(), made.write());
        assert_eq!(read.renew("example", &names(), now()).unwrap(), None);
        let reordered = ["a".to_owned(), "b".to_owned()];
        assert_eq!(
            read.renew("example", &reordered, now() + days(59)).unwrap(),
            None
        );
    }

    #[rstest]
    #[case("ca.crt")]
    #[case("ca.key")]
    #[case("tls.crt")]
    #[case("tls.key")]
    fn does_not_read_a_damaged_secret(#[case] key: &str) {
        let mut data = material().write();
        data.insert(key.to_owned(), ByteString(b"damaged".to_vec()));
        assert_eq!(Material::read(&data), None);
        data.remove(key);
        assert_eq!(Material::read(&data), None);
    }

    #[test]
    fn issues_a_new_leaf_when_names_change_or_two_thirds_of_its_life_are_over() {
        let old = material();
        let (new, reason) = old
            .renew("example", &["c".to_owned()], now())
            .unwrap()
            .unwrap();
        assert_eq!(reason, Reason::Leaf);
        assert_eq!(new.authority, old.authority);
        assert_ne!(new.leaf, old.leaf);
        assert!(
            old.renew("example", &names(), now() + days(60))
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn a_new_authority_is_published_beside_the_old_one_before_it_signs() {
        // A leaf that is young when the authority gets old.
        let start = now() + days(2430);
        let (old, _) = material()
            .renew("example", &names(), start)
            .unwrap()
            .unwrap();
        let (new, reason) = old
            .renew("example", &names(), start + days(30))
            .unwrap()
            .unwrap();
        assert_eq!(reason, Reason::AuthorityAged);
        assert_ne!(new.authority, old.authority);
        assert_eq!(new.leaf, old.leaf);
        assert!(new.bundle().contains(old.authority.certificate.trim()));
        assert!(new.bundle().starts_with(new.authority.certificate.trim()));
        let read = Material::read(&new.write()).unwrap();
        assert_eq!(read.earlier.len(), 1);
        let (later, _) = read
            .renew("example", &names(), start + days(61))
            .unwrap()
            .unwrap();
        assert!(signed_by(
            &later.leaf.certificate,
            &new.authority.certificate
        ));
        // The old authority leaves the bundle when it has expired.
        let (end, _) = later
            .renew("example", &names(), now() + days(3653))
            .unwrap()
            .unwrap();
        assert!(end.earlier.is_empty());
    }

    #[test]
    fn an_expired_authority_is_replaced_at_once() {
        let (new, reason) = material()
            .renew("example", &names(), now() + days(4000))
            .unwrap()
            .unwrap();
        assert_eq!(reason, Reason::Missing);
        assert!(signed_by(&new.leaf.certificate, &new.authority.certificate));
    }
}
