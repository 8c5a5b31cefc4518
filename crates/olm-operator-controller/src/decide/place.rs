//! From where an Operator goes on whose bundle was asked for and is not there yet.

use olm_api::operator::BundleIdentity;
use olm_resolver::{Bundle, Catalog, EdgeMode, Facts, Request, choose};

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
    let catalogs: Vec<&Catalog> = catalogs
        .iter()
        .filter(|catalog| wish.may_answer(&catalog.name))
        .copied()
        .collect();
    let request = wish.request();
    let first = choose(&catalogs, &request, mode, facts).ok()?;
    if first.stays {
        return None;
    }
    let mut place: Option<BundleIdentity> = None;
    let mut step = first;
    for _ in 0..MAX_PASSED_OVER {
        let bundle = identity(&step.bundle)?;
        let is_asked = is_same(&bundle, asked);
        if is_asked && !there.failed {
            return place;
        }
        let request = Request {
            installed: installed(&bundle),
            ..request.clone()
        };
        let beyond = choose(&catalogs, &request, mode, facts).ok();
        if is_asked {
            return Some(bundle);
        }
        step = beyond.filter(|next| !next.stays)?;
        place = Some(bundle);
    }
    None
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
