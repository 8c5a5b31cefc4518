//! Compound constraints as a catalog may write them, and rules: whatever they say, a bundle passes or
//! does not, and says the same after it was stored.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use olm_fbc::{Reading, read_lines};
use olm_resolver::{Bundle, Catalog, Constraint, Rule};

const LINES: &str = r#"{"schema":"olm.bundle","package":"p","name":"p.v1.2.3","image":"example.com/p:1","properties":[{"type":"olm.package","value":{"packageName":"p","version":"1.2.3"}},{"type":"olm.gvk","value":{"group":"g","version":"v1","kind":"K"}},{"type":"olm.label","value":{"label":"lts"}},{"type":"custom","value":{"list":[1,2.5,"x",null,true],"map":{"a":{"b":"c"}}}}]}
{"schema":"olm.channel","package":"p","name":"stable","entries":[{"name":"p.v1.2.3"}]}
"#;

static BUNDLE: LazyLock<Arc<Bundle>> = LazyLock::new(|| {
    let items = read_lines(LINES.as_bytes(), Reading::default());
    let catalog = Catalog::read("c", 0, items).expect("a catalog");
    Arc::clone(&catalog.package("p").expect("a package").bundles[0])
});

fuzz_target!(|text: &str| {
    if let Ok(rule) = Rule::parse(text) {
        let _ = rule.holds(&BUNDLE);
    }
    let Ok(constraint) = Constraint::parse(text) else {
        return;
    };
    let holds = constraint.test.holds(&BUNDLE);
    let _ = (constraint.test.to_string(), constraint.is_prohibition());
    let stored = serde_json::to_string(&constraint).expect("it can be stored");
    let again: Constraint = serde_json::from_str(&stored).expect("what was stored can be read");
    assert_eq!(again, constraint);
    assert_eq!(again.test.holds(&BUNDLE), holds);
});
