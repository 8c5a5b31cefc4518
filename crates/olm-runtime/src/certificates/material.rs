//! What is in a certificate Secret, and what it should become. No I/O.

use jiff::Timestamp;

use super::authority::{Authority, Entries, read_leaf, write_leaf};
use super::issue::{IssueError, KeyPair};

/// An authority and the leaf in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Material {
    pub(super) authority: Authority,
    pub(super) leaf: KeyPair,
}

/// Why new material is needed; for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// There is none, or it is damaged.
    Missing,
    /// The authority is old: a new one signs from the next leaf on.
    AuthorityAged,
    /// An earlier authority has nothing in use any more and is no longer trusted.
    EarlierAuthorityOver,
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
        let authority = Authority::issue(&common_name(component), now)?;
        let leaf = authority.issue_leaf(names, now)?;
        Ok(Self { authority, leaf })
    }

    /// New where this one was lost; what its authority signed stays trusted, for those who serve with
    /// it and do not know yet.
    pub(super) fn succeed(
        &self,
        component: &str,
        names: &[String],
        now: Timestamp,
    ) -> Result<Self, IssueError> {
        let authority = self.authority.succeed(&common_name(component), now)?;
        let leaf = authority.issue_leaf(names, now)?;
        Ok(Self { authority, leaf })
    }

    /// What the Secret holds; `None` where a part is missing or the parts do not fit.
    pub(super) fn read(data: &Entries) -> Option<Self> {
        Some(Self {
            authority: Authority::read(data)?,
            leaf: read_leaf(data)?,
        })
    }

    /// What the Secret is to hold.
    pub(super) fn write(&self) -> Entries {
        let mut entries = self.authority.write();
        entries.extend(write_leaf(&self.leaf));
        entries
    }

    /// The certificates to trust.
    pub(super) fn bundle(&self) -> String {
        self.authority.bundle()
    }

    /// Whether those who trust this material accept the leaf of `next`.
    pub(super) fn vouches_for(&self, next: &Self) -> bool {
        self.authority.trusts(&next.leaf)
    }

    /// The certificates to trust while servers change from `before` to this.
    pub(super) fn bundle_beside(&self, before: &Self) -> String {
        let mut bundle = self.bundle();
        if !bundle.contains(before.authority.certificate().trim()) {
            bundle.push_str(&before.bundle());
        }
        bundle
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
        let mut next = self.clone();
        let mut reason = None;
        if let Some(authority) = self.authority.renew(&common_name(component), now)? {
            reason = Some(if self.authority.is_expired(now) {
                Reason::Missing
            } else if authority.signing == self.authority.signing {
                Reason::EarlierAuthorityOver
            } else {
                Reason::AuthorityAged
            });
            next.authority = authority;
        }
        if !next.authority.keeps(&self.leaf, names, now) {
            next.leaf = next.authority.issue_leaf(names, now)?;
            reason = reason.or(Some(Reason::Leaf));
        }
        Ok(reason.map(|reason| (next, reason)))
    }
}

fn common_name(component: &str) -> String {
    format!("{component} CA")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use jiff::SignedDuration;
    use k8s_openapi::ByteString;
    use rstest::rstest;

    use super::super::issue::signed_by;
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
        assert!(new.bundle().contains(old.authority.certificate().trim()));
        assert!(new.bundle().starts_with(new.authority.certificate().trim()));
        let read = Material::read(&new.write()).unwrap();
        assert_eq!(read.authority.earlier.len(), 1);
        let (later, _) = read
            .renew("example", &names(), start + days(61))
            .unwrap()
            .unwrap();
        assert!(signed_by(
            &later.leaf.certificate,
            new.authority.certificate()
        ));
        // The old authority leaves the bundle when all that it signed is over.
        let end = start + days(30) + days(90);
        assert_eq!(
            later.renew("example", &names(), end - days(1)).unwrap(),
            None
        );
        let (end, reason) = later.renew("example", &names(), end).unwrap().unwrap();
        assert_eq!(reason, Reason::EarlierAuthorityOver);
        assert_eq!(end.leaf, later.leaf);
        assert!(end.authority.earlier.is_empty());
    }

    #[test]
    fn an_expired_authority_is_replaced_at_once() {
        let (new, reason) = material()
            .renew("example", &names(), now() + days(4000))
            .unwrap()
            .unwrap();
        assert_eq!(reason, Reason::Missing);
        assert!(signed_by(
            &new.leaf.certificate,
            new.authority.certificate()
        ));
    }
}
