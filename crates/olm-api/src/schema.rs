//! Schemas that the types cannot say.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Any object. That any further property is permitted must not be said besides: the API server
/// then empties the objects in it. It is applied as a whole: of an object that loses its last
/// member, server-side apply makes a null.
pub(crate) fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "x-kubernetes-preserve-unknown-fields": true,
    })
}
