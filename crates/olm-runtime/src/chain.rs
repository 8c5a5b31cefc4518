//! An error and its causes on one line.

use std::error::Error;
use std::fmt;

/// Causes beyond this depth are not shown.
const MAX_DEPTH: usize = 16;

/// Shows an error followed by its causes, joined with `: `.
///
/// A cause whose text the line already ends with is left out (some libraries repeat their cause in
/// their own message), and an answer of the Kubernetes API is shown by its message alone.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        let mut next = Some(self.0);
        for _ in 0..MAX_DEPTH {
            let Some(error) = next else { break };
            let (text, last) = text_of(error);
            if line.is_empty() {
                line = text;
            } else if !text.is_empty() && !line.ends_with(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            next = if last { None } else { error.source() };
        }
        f.write_str(&line)
    }
}

/// The text of one link, and whether its causes would only repeat it.
fn text_of(error: &(dyn Error + 'static)) -> (String, bool) {
    match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => {
            let text = if status.message.is_empty() {
                &status.reason
            } else {
                &status.message
            }
            .clone();
            (text, true)
        }
        Some(kube::Error::Service(source)) => {
            (format!("cannot reach the API server: {source}"), true)
        }
        _ => (error.to_string(), false),
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

    #[test]
    fn joins_causes_and_drops_repetitions() {
        let inner = Link {
            text: "no route",
            source: None,
        };
        let middle = Link {
            text: "cannot connect: no route",
            source: Some(Box::new(inner)),
        };
        let outer = Link {
            text: "cannot pull `a`",
            source: Some(Box::new(middle)),
        };
        assert_eq!(
            Chain(&outer).to_string(),
            "cannot pull `a`: cannot connect: no route"
        );
    }
}
