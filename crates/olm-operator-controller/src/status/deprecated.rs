//! What catalogs say against using a package, a channel or a bundle.

use olm_api::conditions::{self, operator as reasons};

use super::Verdict;
use crate::decide::deprecation::Deprecations;

const UNKNOWN: &str = "deprecation status unknown: catalog data unavailable";

/// The conditions about deprecation.
pub(super) fn verdicts(known: Option<&Deprecations>, is_installed: bool) -> [Verdict; 4] {
    let kinds = [
        conditions::PACKAGE_DEPRECATED,
        conditions::CHANNEL_DEPRECATED,
        conditions::BUNDLE_DEPRECATED,
        conditions::DEPRECATED,
    ];
    let Some(known) = known else {
        return kinds.map(|kind| Verdict {
            kind,
            status: "Unknown",
            reason: reasons::DEPRECATION_STATUS_UNKNOWN,
            message: UNKNOWN.to_owned(),
        });
    };
    let Deprecations {
        package,
        channels,
        bundle,
    } = known;
    let all = [package, channels, bundle].map(Vec::as_slice).concat();
    let told = |kind, texts: &[String], none: &str| match texts {
        [] => Verdict {
            kind,
            status: "False",
            reason: reasons::NOT_DEPRECATED,
            message: none.to_owned(),
        },
        texts => Verdict {
            kind,
            status: "True",
            reason: reasons::DEPRECATED,
            message: texts.join("\n"),
        },
    };
    let of_bundle = if is_installed {
        told(kinds[2], bundle, "bundle not deprecated")
    } else {
        Verdict {
            kind: kinds[2],
            status: "Unknown",
            reason: reasons::ABSENT,
            message: "no bundle installed yet".to_owned(),
        }
    };
    [
        told(kinds[0], package, "package not deprecated"),
        told(kinds[1], channels, "channel not deprecated"),
        of_bundle,
        told(kinds[3], &all, "not deprecated"),
    ]
}
