//! `olmctl catalog show`.

use std::io::Write as _;

use olm_fbc::write::{self, Format};

use crate::args::{DocumentForm, Show};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::source;

/// Prints the documents of a package, unknown fields included.
pub(super) async fn run(args: Show) -> Result<Outcome, Failure> {
    let metas = source::package(&args.from, &args.package).await?;
    if metas.is_empty() {
        return Err(Failure::NoPackage {
            package: args.package,
        });
    }
    let format = match args.output {
        DocumentForm::Json => Format::Json,
        DocumentForm::Yaml => Format::Yaml,
    };
    let mut out = output::stdout();
    write::metas(&metas, format, &mut out)?;
    out.flush()?;
    Ok(Outcome::Fine)
}
