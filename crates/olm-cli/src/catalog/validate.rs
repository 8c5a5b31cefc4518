//! `olmctl catalog validate`.

use olm_fbc::load::Keep;
use olm_fbc::model::Level;
use serde::Serialize;

use crate::args::{Form, LevelName, Validate};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::source;

/// The result for programs, in the field's form with all findings besides.
#[derive(Debug, Serialize)]
struct Verdict {
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Message>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Message {
    message: String,
}

/// Checks a catalog and prints all that is wrong with it.
pub(super) async fn run(args: Validate) -> Result<Outcome, Failure> {
    let level = match args.level {
        LevelName::Current => Level::Current,
        LevelName::R34 => Level::R34,
    };
    let loaded = source::load(&args.from, Keep::Graph, None).await?;
    let (_, findings) = loaded.validate(level);
    let texts = findings.texts();
    let outcome = if texts.is_empty() {
        Outcome::Fine
    } else {
        Outcome::Found
    };
    if args.output == Form::Table {
        for text in &texts {
            output::say(text);
        }
        return Ok(outcome);
    }
    let result = Verdict {
        passed: texts.is_empty(),
        error: texts.first().cloned().map(|message| Message { message }),
        findings: texts,
    };
    let mut out = output::stdout();
    output::value(&result, args.output, &mut out)?;
    std::io::Write::flush(&mut out)?;
    Ok(outcome)
}
