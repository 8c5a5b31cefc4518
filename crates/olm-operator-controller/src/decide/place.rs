//! From where an Operator goes on whose bundle was asked for and is not there yet, and what lies on
//! its way.

use std::iter;

use olm_api::operator::BundleIdentity;
use olm_resolver::{Bundle, Catalog, EdgeMode, Facts, Request, choose};
use olm_semver::masterminds::Constraint;

use super::there::{There, is_same};
use super::wish::{Wish, installed};

/// Most failed releases in a row that are passed over on the way to one that works.
const MAX_PASSED_OVER: usize = 64;

/// The bundle from which the next one is chosen as if it were installed; `None` for what runs.
///
/// From a bundle that was asked for and could not be installed, the way goes on as if it were: else a
/// broken release would hold up the one that repairs it. What is asked for beyond failed releases
/// stays asked for while it is installed: what failed before it is not tried again in between.
pub(crate) fn from(
    wish: &Wish,
    there: &There,
    catalogs: &[&Catalog],
    mode: EdgeMode,
    facts: &Facts,
) -> Option<BundleIdentity> {
    let asked = &there.asked.as_ref()?.identity;
    let running = there.running.as_ref().map(|running| &running.identity);
    if running.is_some_and(|running| is_same(running, asked)) {
        return None;
    }
    let mut before = None;
    for bundle in steps(wish, wish.request(), catalogs, mode, facts) {
        if is_same(&bundle, asked) {
            return if there.failed { Some(bundle) } else { before };
        }
        before = Some(bundle);
    }
    None
}

/// Names of the bundles that are not tried again once `failed` was taken back: that one, and those
/// that were passed over on the way there because they could not be installed.
pub(crate) fn left_out(
    wish: &Wish,
    failed: &BundleIdentity,
    catalogs: &[&Catalog],
    mode: EdgeMode,
    facts: &Facts,
) -> Vec<String> {
    let mut names = Vec::new();
    for bundle in steps(wish, wish.request(), catalogs, mode, facts) {
        let is_failed = is_same(&bundle, failed);
        names.push(bundle.name);
        if is_failed {
            return names;
        }
    }
    vec![failed.name.clone()]
}

/// The bundle that comes after `failed`, which was taken back, unless what runs leads there too.
pub(crate) fn beyond(
    wish: &Wish,
    failed: &BundleIdentity,
    catalogs: &[&Catalog],
    mode: EdgeMode,
    facts: &Facts,
) -> Option<BundleIdentity> {
    let request = Request {
        installed: installed(failed),
        ..wish.request()
    };
    let beyond = steps(wish, request, catalogs, mode, facts).next()?;
    let direct = Request {
        version: Constraint::parse(&format!("={}", beyond.version)).ok(),
        ..wish.request()
    };
    let is_direct = steps(wish, direct, catalogs, mode, facts).next().is_some();
    (!is_direct).then_some(beyond)
}

/// The bundles that are chosen one after the other, each from the one before as if that were
/// installed.
fn steps(
    wish: &Wish,
    request: Request,
    catalogs: &[&Catalog],
    mode: EdgeMode,
    facts: &Facts,
) -> impl Iterator<Item = BundleIdentity> {
    let catalogs: Vec<&Catalog> = catalogs
        .iter()
        .filter(|catalog| wish.may_answer(&catalog.name))
        .copied()
        .collect();
    let next = move |request: &Request| {
        let choice = choose(&catalogs, request, mode, facts).ok()?;
        identity(&choice.bundle).filter(|_| !choice.stays)
    };
    let first = next(&request);
    iter::successors(first, move |bundle| {
        next(&Request {
            installed: installed(bundle),
            ..request.clone()
        })
    })
    .take(MAX_PASSED_OVER)
}

fn identity(bundle: &Bundle) -> Option<BundleIdentity> {
    Some(BundleIdentity {
        name: bundle.name.clone(),
        version: bundle.version.as_ref().ok()?.to_string(),
        package: bundle.package.clone(),
        channel: None,
        catalog: Some(bundle.catalog.clone()),
        image: bundle.image.clone(),
    })
}
