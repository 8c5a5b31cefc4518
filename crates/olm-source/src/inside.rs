//! Paths in content, as people write them.

use olm_tree::RelPath;

/// A path below the root of some content, cleaned: `./dev/../deploy` is `deploy`. `None` for one
/// that leads out (`..`, an absolute path) or holds a character that no path has.
pub fn inside(text: &str) -> Option<RelPath> {
    if text.starts_with('/') {
        return None;
    }
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    RelPath::parse(&parts.join("/")).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", Some(""))]
    #[case(".", Some(""))]
    #[case("a", Some("a"))]
    #[case("./dev/../deploy/", Some("deploy"))]
    #[case("a/../..", None)]
    #[case("..", None)]
    #[case("/a", None)]
    #[case("a\\b", None)]
    fn paths_are_cleaned_and_stay_inside(#[case] text: &str, #[case] path: Option<&str>) {
        let found = inside(text);
        assert_eq!(found.as_ref().map(RelPath::as_str), path);
    }
}
