//! Cutting texts to the limits of the API.

/// The longest prefix of `text` that, with `suffix`, fits into `limit` bytes; `text` itself where
/// it fits. Never cuts inside a character.
pub(crate) fn truncate(text: &str, limit: usize, suffix: &str) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let room = limit.saturating_sub(suffix.len());
    let end = (0..=room)
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    format!("{}{suffix}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_a_character_and_keeps_the_limit() {
        assert_eq!(truncate("short", 5, "..."), "short");
        assert_eq!(truncate("longer", 5, "..."), "lo...");
        let cut = truncate("ää-ää", 6, ".");
        assert_eq!(cut, "ää-.");
        assert!(cut.len() <= 6);
    }
}
