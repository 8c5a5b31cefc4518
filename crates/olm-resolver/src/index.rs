//! Where to find the bundles of a catalog that provide something.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::{Api, Bundle, Package};

/// The bundles of one catalog by what they provide. Made once, when the catalog is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    apis: HashMap<Api, Vec<Arc<Bundle>>>,
    labels: HashMap<String, Vec<Arc<Bundle>>>,
}

impl Index {
    pub(crate) fn new(packages: &BTreeMap<String, Package>) -> Self {
        let mut index = Self::default();
        for bundle in packages.values().flat_map(|package| &package.bundles) {
            for api in bundle.provides.iter() {
                match index.apis.get_mut(api) {
                    Some(providers) => providers.push(Arc::clone(bundle)),
                    None => {
                        index.apis.insert(api.clone(), vec![Arc::clone(bundle)]);
                    }
                }
            }
            for label in &bundle.labels {
                let carriers = index.labels.entry(label.clone()).or_default();
                carriers.push(Arc::clone(bundle));
            }
        }
        index
    }

    /// Those that provide an API.
    pub(crate) fn providers(&self, api: &Api) -> &[Arc<Bundle>] {
        self.apis.get(api).map_or(&[], Vec::as_slice)
    }

    /// Those that carry a label.
    pub(crate) fn carriers(&self, label: &str) -> &[Arc<Bundle>] {
        self.labels.get(label).map_or(&[], Vec::as_slice)
    }
}
