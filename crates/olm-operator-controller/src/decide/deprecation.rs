//! What a catalog says against using what an Operator has.

use super::there::There;
use super::wish::Wish;
use crate::catalogs::{Content, Snapshot};

/// Messages of deprecation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deprecations {
    /// Of the package.
    pub(crate) package: Vec<String>,
    /// Of the channel that is asked for, or of all channels where none is.
    pub(crate) channels: Vec<String>,
    /// Of the bundle that runs.
    pub(crate) bundle: Vec<String>,
}

/// What is said by the catalog that the bundle came from, else by the preferred one of those that
/// have the package; `None` where none has.
pub(super) fn of(catalogs: &Snapshot, wish: &Wish, there: &There) -> Option<Deprecations> {
    let name = &wish.spec.package_name;
    let offers = |content: &&Content| content.offers(name);
    let read = |catalog: &str| catalogs.catalogs.get(catalog)?.content.as_deref();
    let running = there.running.as_ref().map(|running| &running.identity);
    let asked = there.asked.as_ref().map(|asked| &asked.identity);
    let origin = [running, asked].into_iter().flatten();
    let mut origin = origin.filter_map(|identity| read(identity.catalog.as_deref()?));
    let all = || {
        let known = catalogs.catalogs.iter();
        let known = known.filter(|(catalog, _)| wish.may_answer(catalog));
        let contents = known.filter_map(|(_, known)| known.content.as_deref());
        // The first by name of those of the highest priority.
        contents.filter(offers).reduce(|best, other| {
            if other.model.priority > best.model.priority {
                other
            } else {
                best
            }
        })
    };
    let content = origin.find(offers).or_else(all)?;
    let package = content.model.package(name)?;
    let is_asked = |channel: &str| {
        let asked = wish.spec.channel.as_deref();
        asked.is_none_or(|asked| asked == channel)
    };
    let channels = package.channels.iter();
    let channels = channels.filter(|(channel, _)| is_asked(channel));
    let bundles = package.bundles.iter();
    let mut runs = bundles.filter(|b| running.is_some_and(|running| running.name == b.name));
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Some(Deprecations {
        package: text(&package.deprecated).into_iter().collect(),
        channels: channels.filter_map(|(_, message)| text(message)).collect(),
        bundle: runs
            .next()
            .and_then(|b| text(&b.deprecated))
            .into_iter()
            .collect(),
    })
}
