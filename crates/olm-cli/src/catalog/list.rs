//! `olmctl catalog list`.

use olm_fbc::convert::Conversion;
use olm_fbc::graph::ChannelGraph;
use olm_fbc::load::Keep;
use olm_fbc::model::{Channel, Level, Model, Package};
use serde::Serialize;

use crate::args::{Form, List, ListArgs, ListWhat};
use crate::failure::{Failure, Outcome};
use crate::output::{self, Row, say};
use crate::source;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PackageRow {
    name: String,
    display_name: String,
    default_channel: String,
}

impl Row for PackageRow {
    const COLUMNS: &'static [&'static str] = &["NAME", "DISPLAY NAME", "DEFAULT CHANNEL"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.display_name.clone(),
            self.default_channel.clone(),
        ]
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ChannelRow {
    package: String,
    channel: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Row for ChannelRow {
    const COLUMNS: &'static [&'static str] = &["PACKAGE", "CHANNEL", "HEAD"];

    fn cells(&self) -> Vec<String> {
        let head = match (&self.head, &self.error) {
            (Some(head), _) => head.clone(),
            (None, error) => format!("ERROR: {}", error.as_deref().unwrap_or_default()),
        };
        vec![self.package.clone(), self.channel.clone(), head]
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BundleRow {
    package: String,
    channel: String,
    bundle: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    release: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    replaces: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skips: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    skip_range: String,
    image: String,
}

impl Row for BundleRow {
    const COLUMNS: &'static [&'static str] = &[
        "PACKAGE",
        "CHANNEL",
        "BUNDLE",
        "REPLACES",
        "SKIPS",
        "SKIP RANGE",
        "IMAGE",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.package.clone(),
            self.channel.clone(),
            self.bundle.clone(),
            self.replaces.clone(),
            self.skips.join(","),
            self.skip_range.clone(),
            self.image.clone(),
        ]
    }
}

/// Prints a list.
pub(super) async fn run(args: List) -> Result<Outcome, Failure> {
    match args.what {
        ListWhat::Packages(args) => {
            let (model, outcome) = model(&args).await?;
            let rows: Vec<PackageRow> = model.packages.values().map(package_row).collect();
            print(&rows, args.output)?;
            Ok(outcome)
        }
        ListWhat::Channels(args) => {
            let (model, outcome) = model(&args).await?;
            let rows: Vec<ChannelRow> = channels(&model)
                .map(|(package, channel)| channel_row(package, channel))
                .collect();
            print(&rows, args.output)?;
            Ok(outcome)
        }
        ListWhat::Bundles(args) => {
            let (model, outcome) = model(&args).await?;
            let rows: Vec<BundleRow> = channels(&model)
                .flat_map(|(package, channel)| bundle_rows(package, channel))
                .collect();
            print(&rows, args.output)?;
            Ok(outcome)
        }
    }
}

fn print<R: Row>(rows: &[R], form: Form) -> Result<(), Failure> {
    output::rows(rows, form, &mut output::stdout())
}

/// What makes sense of the catalog; what does not is said.
async fn model(args: &ListArgs) -> Result<(Model, Outcome), Failure> {
    let loaded = source::load(&args.from, Keep::Graph, args.package.as_deref()).await?;
    let mut outcome = super::report(&loaded);
    let conversion = Conversion::of(loaded.config, Level::R34);
    for error in &conversion.errors {
        outcome = Outcome::Found;
        say(&format!("warning: {error}"));
    }
    if let Some(package) = &args.package
        && !conversion.model.packages.contains_key(package)
    {
        return Err(Failure::NoPackage {
            package: package.clone(),
        });
    }
    Ok((conversion.model, outcome))
}

fn channels(model: &Model) -> impl Iterator<Item = (&Package, &Channel)> {
    model.packages.values().flat_map(|package| {
        package
            .channels
            .values()
            .map(move |channel| (package, channel))
    })
}

fn package_row(package: &Package) -> PackageRow {
    let head = package
        .default_channel
        .as_ref()
        .and_then(|name| package.channels.get(name))
        .and_then(|channel| ChannelGraph::new(channel.entries.values()).head().ok())
        .and_then(|head| package.bundles.get(&head.name));
    PackageRow {
        name: package.name.clone(),
        display_name: head
            .map(|bundle| bundle.document.summary.display_name.clone())
            .unwrap_or_default(),
        default_channel: package.default_channel.clone().unwrap_or_default(),
    }
}

fn channel_row(package: &Package, channel: &Channel) -> ChannelRow {
    let head = ChannelGraph::new(channel.entries.values())
        .head()
        .map(|head| head.name.clone());
    let (head, error) = match head {
        Ok(head) => (Some(head), None),
        Err(error) => (None, Some(error.to_string())),
    };
    ChannelRow {
        package: package.name.clone(),
        channel: channel.name.clone(),
        head,
        error,
    }
}

fn bundle_rows<'a>(
    package: &'a Package,
    channel: &'a Channel,
) -> impl Iterator<Item = BundleRow> + 'a {
    channel.entries.values().map(|entry| {
        let bundle = package.bundles.get(&entry.name);
        let version = bundle.map(|bundle| &bundle.version);
        BundleRow {
            package: package.name.clone(),
            channel: channel.name.clone(),
            bundle: entry.name.clone(),
            version: version
                .map(|version| version.version.to_string())
                .unwrap_or_default(),
            release: version
                .and_then(|version| version.release.as_ref())
                .map(ToString::to_string)
                .unwrap_or_default(),
            replaces: entry.replaces.clone().unwrap_or_default(),
            skips: entry.skips.clone(),
            skip_range: entry.skip_range.clone().unwrap_or_default(),
            image: bundle
                .map(|bundle| bundle.document.image.clone())
                .unwrap_or_default(),
        }
    })
}
