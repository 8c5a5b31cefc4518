//! `olmctl bundle`.

mod place;
mod render;
mod scope;
mod validate;

use crate::args::{Bundle, BundleCommand};
use crate::failure::{Failure, Outcome};

/// Runs a command.
pub(crate) async fn run(args: Bundle) -> Result<Outcome, Failure> {
    match args.command {
        BundleCommand::Render(args) => render::run(args).await,
        BundleCommand::Validate(args) => validate::run(args).await,
    }
}
