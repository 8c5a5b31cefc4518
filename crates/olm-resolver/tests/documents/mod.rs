//! Catalogs from their documents.

use olm_fbc::{Reading, read_lines};
use olm_resolver::Catalog;
use serde_json::Value;

/// The catalog of these documents, as it is read from what is served.
pub(crate) fn read(name: &str, priority: i32, documents: &[Value]) -> Catalog {
    let lines: Vec<String> = documents.iter().map(Value::to_string).collect();
    let lines = lines.join("\n");
    let lines = read_lines(lines.as_bytes(), Reading::default());
    Catalog::read(name, priority, lines).unwrap()
}
