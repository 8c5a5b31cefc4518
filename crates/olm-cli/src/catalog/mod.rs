//! `olmctl catalog`.

mod graph;
mod list;
mod show;
mod validate;

use olm_error::Chain;
use olm_fbc::load::Loaded;

use crate::args::{Catalog, CatalogCommand};
use crate::failure::{Failure, Outcome};
use crate::output::say;

/// Runs a command.
pub(crate) async fn run(args: Catalog) -> Result<Outcome, Failure> {
    match args.command {
        CatalogCommand::Validate(args) => validate::run(args).await,
        CatalogCommand::List(args) => list::run(args).await,
        CatalogCommand::Show(args) => show::run(args).await,
        CatalogCommand::Graph(args) => graph::run(args).await,
    }
}

/// Says which documents could not be read; whether there are any.
fn report(loaded: &Loaded) -> Outcome {
    for finding in &loaded.findings {
        say(&format!("warning: {}", Chain::new(finding)));
    }
    if loaded.findings.is_empty() {
        Outcome::Fine
    } else {
        Outcome::Found
    }
}
