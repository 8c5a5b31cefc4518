//! Why there is no solution, for people.

use std::collections::HashMap;
use std::fmt;

use super::facts::Fact;
use super::summary::Story;

/// Most facts that are listed.
const MAX_FACTS: usize = 20;

/// Longest text, in characters.
const MAX_LENGTH: usize = 32_768;

/// Why what some Operators ask for cannot hold together. Displays as the text of a condition:
/// `constraints not satisfiable:`, the summary, and the facts, one on each line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The reason in one sentence.
    pub summary: String,
    /// The facts that clash: without any one of them, the others could hold. Facts of several
    /// versions that say the same are one.
    pub facts: Vec<String>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("constraints not satisfiable:\n{}", self.summary);
        for fact in self.facts.iter().take(MAX_FACTS) {
            text.push_str("\n- ");
            text.push_str(fact);
        }
        if self.facts.len() > MAX_FACTS {
            let more = self.facts.len() - MAX_FACTS;
            text.push_str("\n... and ");
            text.push_str(&more.to_string());
            text.push_str(" more");
        }
        match text.char_indices().nth(MAX_LENGTH) {
            Some((end, _)) => {
                let end = text[..end].floor_char_boundary(end.saturating_sub(3));
                write!(f, "{}...", &text[..end])
            }
            None => f.write_str(&text),
        }
    }
}

/// A fact about a version of a package, of which several may say the same.
struct Line {
    package: String,
    labels: Vec<String>,
    /// What is said of one, and of several.
    one: String,
    several: String,
}

impl Explanation {
    pub(crate) fn new(story: &Story<'_>) -> Self {
        let mut lines: Vec<Line> = Vec::new();
        let mut places: HashMap<(String, String), usize> = HashMap::new();
        for fact in story.core() {
            let line = line(story, fact);
            if line.labels.is_empty() {
                lines.push(line);
                continue;
            }
            let place = *places
                .entry((line.package.clone(), line.one.clone()))
                .or_insert(lines.len());
            match lines.get_mut(place) {
                Some(other) => other.labels.extend(line.labels),
                None => lines.push(line),
            }
        }
        Self {
            summary: story.summary(),
            facts: lines.into_iter().map(Line::text).collect(),
        }
    }
}

impl Line {
    fn plain(text: String) -> Self {
        Self {
            package: String::new(),
            labels: Vec::new(),
            one: text,
            several: String::new(),
        }
    }

    fn text(mut self) -> String {
        match self.labels.as_slice() {
            [] => self.one,
            [label] => format!("{} {label} {}", self.package, self.one),
            _ => {
                // Candidates come newest first.
                self.labels.reverse();
                let labels = crate::refusal::list(&self.labels);
                format!("{} {labels} {}", self.package, self.several)
            }
        }
    }
}

fn line(story: &Story<'_>, fact: &Fact) -> Line {
    let of_node = |node: usize, one: String, several: String| Line {
        package: story.package(node).to_owned(),
        labels: vec![story.label(node)],
        one,
        several,
    };
    match fact {
        Fact::Request(operator) | Fact::Forced(operator) | Fact::Decided(operator) => {
            let request = story.request(*operator);
            let version = request
                .version
                .as_ref()
                .map_or("*", |version| version.as_str());
            let mut text = format!("you asked for {} {version}", request.package);
            if let Some(channel) = &request.channel {
                text = format!("{text} in channel {channel:?}");
            }
            Line::plain(text)
        }
        Fact::Stays { node, .. } => {
            Line::plain(format!("{} is installed and stays", story.name(*node)))
        }
        Fact::Edges(part) => Line::plain(format!(
            "installed package {} requires at least one of {}",
            story.part(*part),
            crate::refusal::list(&story.identifiers(*part))
        )),
        Fact::Requires { node, need } => {
            let requirement = story.requirement(*node, *need, true);
            let one = format!("requires {requirement}");
            of_node(*node, one, format!("require {requirement}"))
        }
        Fact::Forbids { node, which } => of_node(
            *node,
            format!("does not allow {}", story.forbidden(*node, *which)),
            format!("do not allow {}", story.forbidden(*node, *which)),
        ),
        Fact::OnePerPackage(part) => Line::plain(format!(
            "only one version of {} can be installed",
            story.part(*part)
        )),
        Fact::OneProvider { group, kind } => {
            let slash = if group.is_empty() { "" } else { "/" };
            Line::plain(format!("only one package can provide {group}{slash}{kind}"))
        }
        Fact::Unusable(node) => {
            let why = story.unusable(*node);
            of_node(*node, why.clone(), format!("cannot be used: each {why}"))
        }
    }
}
