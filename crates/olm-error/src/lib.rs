//! An error and its causes on one line.
//!
//! **Problem.** Errors here name what was attempted and leave the cause to `source`. Conditions,
//! events, logs and command lines show one line.
//!
//! **Model.** [`Chain`] shows an error followed by its causes, joined with `: `. A caller that knows
//! some foreign error better than its `Display` does gives [`Chain::with`] a function for it.
//!
//! **Guarantees.** At most [`MAX_DEPTH`] causes are shown, and a cause that the line already ends
//! with is not shown again: some libraries repeat their cause in their own message.
//!
//! ```
//! use std::error::Error;
//!
//! #[derive(Debug, thiserror::Error)]
//! #[error("cannot pull `a`")]
//! struct Pull(#[source] std::io::Error);
//!
//! let error = Pull(std::io::Error::other("no route"));
//! assert_eq!(olm_error::Chain::new(&error).to_string(), "cannot pull `a`: no route");
//! ```

use std::error::Error;
use std::fmt;

/// Causes beyond this depth are not shown.
pub const MAX_DEPTH: usize = 16;

/// What a caller says of one link: its text, which ends the line, or nothing special.
type Known = fn(&(dyn Error + 'static)) -> Option<String>;

/// Shows an error and its causes.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    error: &'a (dyn Error + 'static),
    known: Known,
}

impl<'a> Chain<'a> {
    /// Every link by its own text.
    pub fn new(error: &'a (dyn Error + 'static)) -> Self {
        Self::with(error, |_| None)
    }

    /// As [`Chain::new`], where a link that `known` has a text for is shown by that, without its
    /// causes.
    pub fn with(error: &'a (dyn Error + 'static), known: Known) -> Self {
        Self { error, known }
    }
}

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        let mut next = Some(self.error);
        for _ in 0..MAX_DEPTH {
            let Some(error) = next else { break };
            let known = (self.known)(error);
            next = if known.is_some() {
                None
            } else {
                error.source()
            };
            let text = known.unwrap_or_else(|| error.to_string());
            if line.is_empty() {
                line = text;
            } else if !text.is_empty() && !line.ends_with(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
        }
        formatter.write_str(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    fn link(text: &'static str, source: Option<Link>) -> Link {
        Link {
            text,
            source: source.map(Box::new),
        }
    }

    #[test]
    fn joins_causes_and_drops_repetitions() {
        let middle = link("cannot connect: no route", Some(link("no route", None)));
        let outer = link("cannot pull `a`", Some(middle));
        assert_eq!(
            Chain::new(&outer).to_string(),
            "cannot pull `a`: cannot connect: no route"
        );
    }

    #[test]
    fn a_known_link_ends_the_line() {
        let outer = link(
            "cannot write",
            Some(link("ApiError {…}", Some(link("more", None)))),
        );
        let known: Known = |error| {
            error
                .to_string()
                .starts_with("ApiError")
                .then(|| "it is refused".to_owned())
        };
        assert_eq!(
            Chain::with(&outer, known).to_string(),
            "cannot write: it is refused"
        );
    }

    #[test]
    fn endless_causes_end() {
        let deep = (0..100).fold(link("0", None), |cause, n| {
            link(if n % 2 == 0 { "a" } else { "b" }, Some(cause))
        });
        assert_eq!(
            Chain::new(&deep).to_string().matches(": ").count(),
            MAX_DEPTH - 1
        );
    }
}
