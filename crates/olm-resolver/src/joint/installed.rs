//! What is installed, as a bundle like others.

use std::sync::Arc;

use crate::candidates::Survey;
use crate::edges::{EdgeMode, Installed, Origin};
use crate::eligibility::Facts;
use crate::model::{Bundle, Catalog, INSTALLED_CATALOG, Requirement};

use super::problem::{Declared, Dependencies, Member, Running};

/// The bundle that is installed: the one that a catalog offers, the same image first, judged by what
/// it declared when it was installed.
pub(crate) fn bundle(
    survey: &Survey<'_>,
    installed: &Installed,
    origin: Origin<'_>,
    declared: Option<&Declared>,
) -> Arc<Bundle> {
    let offered = || {
        let bundles = survey.offered.iter().map(|candidate| candidate.bundle);
        bundles.filter(|bundle| origin.is(bundle))
    };
    let found = offered()
        .find(|bundle| Some(&bundle.image) == installed.image.as_ref())
        .or_else(|| offered().next());
    if let (Some(found), None) = (found, declared) {
        return Arc::clone(found);
    }
    let mut bundle = found.map_or_else(|| unlisted(installed, origin), |b| b.as_ref().clone());
    if let Some(declared) = declared {
        bundle.requires = Ok(declared.requires.clone());
        bundle.provides = declared.provides.as_slice().into();
        bundle.labels.clone_from(&declared.labels);
        bundle.properties.clone_from(&declared.properties);
    }
    Arc::new(bundle)
}

/// An installed bundle that no catalog offers.
pub(crate) fn unlisted(installed: &Installed, origin: Origin<'_>) -> Bundle {
    Bundle {
        catalog: INSTALLED_CATALOG.to_owned(),
        release: origin.release.to_owned(),
        image: installed.image.clone().unwrap_or_default(),
        ..Bundle::new(
            installed.package.clone(),
            installed.name.clone(),
            installed.version.clone(),
        )
    }
}

/// Requirements that count for a bundle.
pub(crate) fn requirements(bundle: &Bundle, dependencies: Dependencies) -> &[Requirement] {
    match (&bundle.requires, dependencies) {
        (Ok(requires), Dependencies::Install | Dependencies::Require) => requires,
        _ => &[],
    }
}

impl Member {
    /// What is installed of the package it asks for.
    pub(crate) fn running(&self) -> Option<&Installed> {
        let installed = self.request.installed.as_ref()?;
        (installed.package == self.request.package).then_some(installed)
    }
}

impl Running {
    /// The bundle that runs, as solutions see it: what the catalogs say of it, judged by what it
    /// declared when it was installed.
    pub fn bundle(&self, catalogs: &[&Catalog]) -> Arc<Bundle> {
        let request = self.request();
        let survey = Survey::new(catalogs, &request, EdgeMode::default(), &Facts::default());
        let declared = self.declared.as_ref();
        match survey.origin {
            Some(origin) => bundle(&survey, &self.installed, origin, declared),
            // A request for what is installed always has an origin.
            None => Arc::new(unlisted(&self.installed, self.installed.origin())),
        }
    }

    /// A request for what is installed, whatever its version.
    pub(crate) fn request(&self) -> crate::Request {
        crate::Request {
            package: self.installed.package.clone(),
            installed: Some(self.installed.clone()),
            ..crate::Request::default()
        }
    }
}
