//! Lines for the person who runs the tests, written past the test runner's capture.

use std::io::Write;

/// Writes one line to standard error at once.
pub fn line(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The last `count` lines of `text`.
pub fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// What has logs to show when a wait fails.
pub trait Logs: Send + Sync {
    /// Name and last lines of each log, most telling first.
    fn tails(&self) -> Vec<(String, String)>;
}

/// The tails of `logs` as text to append to a message; empty when there are none.
pub fn tails(logs: &[&dyn Logs]) -> String {
    let mut text = String::new();
    for (name, tail) in logs.iter().flat_map(|logs| logs.tails()) {
        if !tail.is_empty() {
            text.push_str("\n--- end of the log of ");
            text.push_str(&name);
            text.push_str(" ---\n");
            text.push_str(&tail);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn tail_gives_the_last_lines_or_all_when_fewer() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 5), "a");
        assert_eq!(tail("", 5), "");
    }
}
