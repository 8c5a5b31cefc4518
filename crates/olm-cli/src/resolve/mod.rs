//! `olmctl resolve`: what would be installed, and why, or why not.

mod answers;
mod asked;
mod lines;

use std::io::Write as _;

use olm_resolver::{Catalog, DEFAULT_BUDGET, EdgeMode, Facts, Problem};
use olm_semver::Version;

use crate::args::{self, Form, Resolve};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::source;

/// Most bytes of a file, or of a line, that are read.
const MAX_BYTES: u64 = 64 << 20;

/// Runs the command.
pub(crate) async fn run(args: Resolve) -> Result<Outcome, Failure> {
    let mut catalogs: Vec<Catalog> = Vec::new();
    for text in &args.catalogs {
        let (name, source) = named(text);
        if catalogs.iter().any(|catalog| catalog.name == name) {
            return Err(Failure::Usage {
                message: format!("two catalogs are called {name:?}: give them names, NAME=SOURCE"),
            });
        }
        let from = args::From {
            source: source.to_owned(),
            access: args.access.clone(),
        };
        catalogs.push(source::model(&from, &name).await?);
    }
    let facts = Facts {
        kubernetes: args.kubernetes.as_deref().map(tolerant).transpose()?,
        ..Facts::default()
    };
    let mode = if args.semver_upgrades {
        EdgeMode::Semver
    } else {
        EdgeMode::Catalog
    };
    let catalogs: Vec<&Catalog> = catalogs.iter().collect();
    let problem = Problem {
        catalogs: &catalogs,
        operators: &[],
        adopted: &[],
        mode,
        facts: &facts,
        budget: DEFAULT_BUDGET,
    };
    if args.json_lines {
        return lines::lines(&problem, args.no_dependencies);
    }
    let names: Vec<&str> = catalogs
        .iter()
        .map(|catalog| catalog.name.as_str())
        .collect();
    let (operators, adopted) = asked::asked(&args, &names).await?;
    let problem = Problem {
        operators: &operators,
        adopted: &adopted,
        ..problem
    };
    let resolution = problem.solve();
    let mut out = output::stdout();
    if args.output == Form::Table {
        answers::people(&operators, &resolution, &mut out)?;
    } else {
        output::value(
            &answers::document(&operators, &resolution),
            args.output,
            &mut out,
        )?;
    }
    out.flush()?;
    Ok(if resolution.answers.iter().all(Result::is_ok) {
        Outcome::Fine
    } else {
        Outcome::Found
    })
}

/// The name of a catalog, and where it is.
fn named(text: &str) -> (String, &str) {
    match text.split_once('=') {
        Some((name, source)) if !name.is_empty() && !name.contains(['/', ':']) => {
            (name.to_owned(), source)
        }
        _ => {
            let place = text.split('@').next().unwrap_or(text);
            let place = place
                .trim_end_matches("/api/v1/all")
                .trim_end_matches("/all.json")
                .trim_end_matches('/');
            let last = place.rsplit('/').next().unwrap_or(place);
            let name = last.split(':').next().unwrap_or(last);
            (name.to_owned(), text)
        }
    }
}

fn tolerant(text: &str) -> Result<Version, Failure> {
    Version::parse_tolerant(text).map_err(|source| Failure::Version {
        text: text.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case("own=./configs", "own", "./configs")]
    #[case("./configs/", "configs", "./configs/")]
    #[case(
        "quay.io/operatorhubio/catalog:latest",
        "catalog",
        "quay.io/operatorhubio/catalog:latest"
    )]
    #[case("quay.io/x/y@sha256:0123", "y", "quay.io/x/y@sha256:0123")]
    #[case("https://h/catalogs/c/all.json", "c", "https://h/catalogs/c/all.json")]
    fn a_catalog_has_a_name(#[case] text: &str, #[case] name: &str, #[case] source: &str) {
        assert_eq!(super::named(text), (name.to_owned(), source));
    }
}
