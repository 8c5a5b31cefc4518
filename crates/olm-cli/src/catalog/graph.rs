//! `olmctl catalog graph`.

use std::fmt::Write as _;
use std::io::Write as _;

use olm_fbc::convert::Conversion;
use olm_fbc::graph::{ChannelGraph, EdgeKind};
use olm_fbc::load::Keep;
use olm_fbc::mermaid::{self, Options};
use olm_fbc::model::{Channel, Level, Package};
use olm_fbc::release::VersionRelease;

use crate::args::{Graph, GraphForm};
use crate::failure::{Failure, Outcome};
use crate::output::{self, say};
use crate::source;

/// Draws the channels of a package.
pub(super) async fn run(args: Graph) -> Result<Outcome, Failure> {
    if args.output == GraphForm::Text && (args.minimum_edge.is_some() || args.draw_v0_semantics) {
        return Err(Failure::Usage {
            message: "--minimum-edge and --draw-v0-semantics need --output mermaid".to_owned(),
        });
    }
    let loaded = source::load(&args.from, Keep::Graph, Some(&args.package)).await?;
    let mut outcome = super::report(&loaded);
    let config = loaded.config;
    if config.package_names().is_empty() {
        return Err(Failure::NoPackage {
            package: args.package,
        });
    }
    let text = match args.output {
        GraphForm::Mermaid => {
            let options = Options {
                minimum_edge: args.minimum_edge,
                package: Some(args.package),
                draw_v0_semantics: args.draw_v0_semantics,
            };
            let drawing = mermaid::draw(&config, &options)?;
            for warning in &drawing.warnings {
                outcome = Outcome::Found;
                say(&format!("warning: {warning}"));
            }
            drawing.text
        }
        GraphForm::Text => {
            let conversion = Conversion::of(config, Level::R34);
            for error in &conversion.errors {
                outcome = Outcome::Found;
                say(&format!("warning: {error}"));
            }
            conversion.model.packages.values().map(lines).collect()
        }
    };
    let mut out = output::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(outcome)
}

/// A package for people: channels by name, entries from the newest to the oldest, and below each
/// what it may be installed over.
fn lines(package: &Package) -> String {
    let mut text = String::new();
    for channel in package.channels.values() {
        let is_default = package.default_channel.as_ref() == Some(&channel.name);
        let mut notes = Vec::new();
        if is_default {
            notes.push("default".to_owned());
        }
        if channel.deprecation.is_some() {
            notes.push("deprecated".to_owned());
        }
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}/{}{}",
            package.name,
            channel.name,
            in_brackets(&notes)
        );
        entries(package, channel, &mut text);
    }
    text
}

fn entries(package: &Package, channel: &Channel, text: &mut String) {
    let graph = ChannelGraph::new(channel.entries.values());
    if let Err(error) = graph.check() {
        let _ = writeln!(text, "  ERROR: {error}");
    }
    let head = graph.head().ok().map(|head| head.name.as_str());
    let version = |name: &str| -> Option<&VersionRelease> {
        package.bundles.get(name).map(|bundle| &bundle.version)
    };
    let edges = graph.edges(|name| version(name).map(|version| &version.version));
    let mut names: Vec<&String> = channel.entries.keys().collect();
    names.sort_by(|a, b| version(b).cmp(&version(a)).then_with(|| a.cmp(b)));
    for name in names {
        let mut notes = Vec::new();
        if head == Some(name.as_str()) {
            notes.push("head".to_owned());
        }
        if graph.skipped().any(|skipped| skipped == name) {
            notes.push("skipped".to_owned());
        }
        match package.bundles.get(name) {
            None => notes.push("no bundle".to_owned()),
            Some(bundle) if bundle.deprecation.is_some() => notes.push("deprecated".to_owned()),
            Some(_) => {}
        }
        let _ = writeln!(text, "  {name}{}", in_brackets(&notes));
        let of = |kind| {
            let names: Vec<&str> = edges
                .iter()
                .filter(|edge| edge.to == name && edge.kind == kind)
                .map(|edge| edge.from)
                .collect();
            names.join(", ")
        };
        for (kind, word) in [(EdgeKind::Replace, "replaces"), (EdgeKind::Skip, "skips")] {
            let names = of(kind);
            if !names.is_empty() {
                let _ = writeln!(text, "    {word} {names}");
            }
        }
        let range = channel
            .entries
            .get(name)
            .and_then(|entry| entry.skip_range.as_deref());
        if let Some(range) = range.filter(|range| !range.is_empty()) {
            let _ = writeln!(text, "    skips range {range}: {}", of(EdgeKind::SkipRange));
        }
    }
}

fn in_brackets(notes: &[String]) -> String {
    if notes.is_empty() {
        String::new()
    } else {
        format!(" ({})", notes.join(", "))
    }
}
