//! What the catalogs of the cluster offer, read once per content digest.
//!
//! A [`Loader`] follows the Catalogs. For each content digest that it has not read it fetches the
//! lines from catalogd, keeps of them what choosing needs, and publishes a new [`Snapshot`]. What
//! was read is also kept on disk, so that a restart reads nothing twice and does not wait for
//! catalogd.
//!
//! One catalog never holds up another: each is loaded by a task of its own, with its own delays.

mod cache;
mod fetch;
mod loader;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use cache::Cache;
pub(crate) use fetch::Fetcher;
pub(crate) use loader::Loader;

/// What is known of all catalogs at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// Whether the Catalogs of the cluster were listed.
    pub(crate) listed: bool,
    /// The catalogs by name.
    pub(crate) catalogs: BTreeMap<String, Known>,
}

/// What is known of one catalog.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// The newest content that was read, which may be older than what the Catalog has now.
    pub(crate) content: Option<Arc<Content>>,
    /// Why the content that the Catalog has now is not read.
    pub(crate) unread: Option<Unread>,
    /// The labels of the Catalog.
    pub(crate) labels: BTreeMap<String, String>,
}

/// Why the content of a catalog is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is being read for the first time.
    Loading,
    /// It could not be read, and is tried again.
    Failed(String),
}

/// What was kept of a catalog's content.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Content {
    /// The digest of the lines that it was read from.
    pub(crate) digest: String,
    /// What choosing needs. The priority in it is that of the Catalog now.
    pub(crate) model: olm_resolver::Catalog,
}

impl Content {
    /// Whether it has bundles of that package.
    pub(crate) fn offers(&self, package: &str) -> bool {
        self.model
            .package(package)
            .is_some_and(|package| !package.bundles.is_empty())
    }
}

impl Snapshot {
    /// Everything that was read, in the order of the catalogs' names.
    pub(crate) fn models(&self) -> Vec<&olm_resolver::Catalog> {
        self.contents().map(|(_, content)| &content.model).collect()
    }

    /// The first catalog by name whose present content is not read and for which `matters` holds;
    /// it is told the name and the content that was read last, if any was.
    pub(crate) fn unread_where(
        &self,
        matters: impl Fn(&str, Option<&Content>) -> bool,
    ) -> Option<(&str, &Unread)> {
        self.catalogs.iter().find_map(|(name, known)| {
            let unread = known.unread.as_ref()?;
            matters(name, known.content.as_deref()).then_some((name.as_str(), unread))
        })
    }

    /// Whether the catalog `catalog`, as it was last read, has this bundle.
    pub(crate) fn offers(&self, catalog: &str, package: &str, bundle: &str) -> bool {
        self.catalogs
            .get(catalog)
            .and_then(|known| known.content.as_ref()?.model.package(package))
            .is_some_and(|package| package.bundles.iter().any(|found| found.name == bundle))
    }

    fn contents(&self) -> impl Iterator<Item = (&str, &Content)> {
        self.catalogs
            .iter()
            .filter_map(|(name, known)| Some((name.as_str(), known.content.as_deref()?)))
    }
}
