//! Catalogs that cannot be read, as far as they matter to one Operator.

use crate::catalogs::{Snapshot, Unread};

use super::wish::Wish;

/// The first catalog that offered the package when it was last read, and whose present content is not
/// read: what it offers now may be better than what others do.
pub(crate) fn offering<'a>(catalogs: &'a Snapshot, wish: &Wish) -> Option<(&'a str, &'a Unread)> {
    let package = &wish.spec.package_name;
    catalogs.unread_where(|name, content| {
        wish.may_answer(name) && content.is_some_and(|content| content.offers(package))
    })
}

/// The first catalog whose present content is not read and that may hold what is missing: its last
/// known content offers one of the packages, or nothing is known of it.
pub(crate) fn perhaps<'a>(
    catalogs: &'a Snapshot,
    packages: &[&str],
    may_answer: impl Fn(&str) -> bool,
) -> Option<(&'a str, &'a Unread)> {
    catalogs.unread_where(|name, content| {
        may_answer(name)
            && content.is_none_or(|content| packages.iter().any(|package| content.offers(package)))
    })
}
