//! Versions in all three dialects and ranges in both languages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use olm_semver::masterminds::{Constraint, PrereleaseMode};
use olm_semver::{Version, blang};

fuzz_target!(|text: &str| {
    let (range, version) = text.split_once('\n').unwrap_or((text, "1.2.3"));
    let Ok(version) = Version::parse_lenient(version) else {
        return;
    };
    assert_eq!(version.cmp(&version), std::cmp::Ordering::Equal);
    let _ = Version::parse_tolerant(range);
    if let Ok(strict) = Version::parse_strict(range) {
        assert_eq!(Version::parse_strict(&strict.to_string()), Ok(strict));
    }
    if let Ok(range) = blang::Range::parse(range) {
        let again = blang::Range::parse(range.as_str()).expect("a range twice");
        assert_eq!(range.contains(&version), again.contains(&version));
    }
    if let Ok(constraint) = Constraint::parse(range) {
        let again = Constraint::parse(&constraint.to_string()).expect("a constraint twice");
        for mode in [
            PrereleaseMode::Single,
            PrereleaseMode::Group,
            PrereleaseMode::Include,
        ] {
            assert_eq!(
                constraint.matches(&version, mode),
                again.matches(&version, mode)
            );
        }
    }
});
