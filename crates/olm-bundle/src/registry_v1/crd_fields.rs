//! The fields of a CustomResourceDefinition (`apiextensions.k8s.io/v1`).

/// The type of a field. Unless said otherwise a zero value (null, empty, `false`, 0) is left out.
pub(crate) enum Shape {
    Text,
    Flag,
    /// A boolean that is always written.
    KeptFlag,
    /// A boolean that may be absent; `false` is written.
    OptionalFlag,
    Integer,
    /// An integer that may be absent; 0 is written.
    OptionalInteger,
    /// A number that may be absent; 0 is written.
    OptionalNumber,
    /// Any JSON but null.
    Json,
    JsonList,
    Texts,
    TextMap,
    Struct(&'static [Field]),
    Structs(&'static [Field]),
    Schemas,
    SchemaMap,
    Schema,
    SchemaOrFlag,
    SchemaOrSchemas,
    SchemaOrTexts,
}

/// Name and type of a field.
pub(crate) type Field = (&'static str, Shape);

pub(crate) static DEFINITION: &[Field] = &[
    ("apiVersion", Shape::Text),
    ("kind", Shape::Text),
    ("metadata", Shape::Struct(METADATA)),
    ("spec", Shape::Struct(SPEC)),
];

/// What of the metadata is the author's; the rest belongs to a server.
static METADATA: &[Field] = &[
    ("name", Shape::Text),
    ("annotations", Shape::TextMap),
    ("labels", Shape::TextMap),
];

static SPEC: &[Field] = &[
    ("group", Shape::Text),
    ("names", Shape::Struct(NAMES)),
    ("scope", Shape::Text),
    ("versions", Shape::Structs(VERSION)),
    ("conversion", Shape::Struct(CONVERSION)),
    ("preserveUnknownFields", Shape::Flag),
];

static NAMES: &[Field] = &[
    ("plural", Shape::Text),
    ("singular", Shape::Text),
    ("shortNames", Shape::Texts),
    ("kind", Shape::Text),
    ("listKind", Shape::Text),
    ("categories", Shape::Texts),
];

static VERSION: &[Field] = &[
    ("name", Shape::Text),
    ("served", Shape::KeptFlag),
    ("storage", Shape::KeptFlag),
    ("deprecated", Shape::Flag),
    ("deprecationWarning", Shape::Text),
    (
        "schema",
        Shape::Struct(&[("openAPIV3Schema", Shape::Schema)]),
    ),
    ("subresources", Shape::Struct(SUBRESOURCES)),
    ("additionalPrinterColumns", Shape::Structs(COLUMN)),
    (
        "selectableFields",
        Shape::Structs(&[("jsonPath", Shape::Text)]),
    ),
];

static SUBRESOURCES: &[Field] = &[
    ("status", Shape::Struct(&[])),
    (
        "scale",
        Shape::Struct(&[
            ("specReplicasPath", Shape::Text),
            ("statusReplicasPath", Shape::Text),
            ("labelSelectorPath", Shape::Text),
        ]),
    ),
];

static COLUMN: &[Field] = &[
    ("name", Shape::Text),
    ("type", Shape::Text),
    ("format", Shape::Text),
    ("description", Shape::Text),
    ("priority", Shape::Integer),
    ("jsonPath", Shape::Text),
];

static CONVERSION: &[Field] = &[
    ("strategy", Shape::Text),
    (
        "webhook",
        Shape::Struct(&[
            (
                "clientConfig",
                Shape::Struct(&[
                    ("url", Shape::Text),
                    (
                        "service",
                        Shape::Struct(&[
                            ("namespace", Shape::Text),
                            ("name", Shape::Text),
                            ("path", Shape::Text),
                            ("port", Shape::OptionalInteger),
                        ]),
                    ),
                    ("caBundle", Shape::Text),
                ]),
            ),
            ("conversionReviewVersions", Shape::Texts),
        ]),
    ),
];

pub(crate) static SCHEMA: &[Field] = &[
    ("id", Shape::Text),
    ("$schema", Shape::Text),
    ("$ref", Shape::Text),
    ("description", Shape::Text),
    ("type", Shape::Text),
    ("format", Shape::Text),
    ("title", Shape::Text),
    ("default", Shape::Json),
    ("maximum", Shape::OptionalNumber),
    ("exclusiveMaximum", Shape::Flag),
    ("minimum", Shape::OptionalNumber),
    ("exclusiveMinimum", Shape::Flag),
    ("maxLength", Shape::OptionalInteger),
    ("minLength", Shape::OptionalInteger),
    ("pattern", Shape::Text),
    ("maxItems", Shape::OptionalInteger),
    ("minItems", Shape::OptionalInteger),
    ("uniqueItems", Shape::Flag),
    ("multipleOf", Shape::OptionalNumber),
    ("enum", Shape::JsonList),
    ("maxProperties", Shape::OptionalInteger),
    ("minProperties", Shape::OptionalInteger),
    ("required", Shape::Texts),
    ("items", Shape::SchemaOrSchemas),
    ("allOf", Shape::Schemas),
    ("oneOf", Shape::Schemas),
    ("anyOf", Shape::Schemas),
    ("not", Shape::Schema),
    ("properties", Shape::SchemaMap),
    ("additionalProperties", Shape::SchemaOrFlag),
    ("patternProperties", Shape::SchemaMap),
    ("dependencies", Shape::SchemaOrTexts),
    ("additionalItems", Shape::SchemaOrFlag),
    ("definitions", Shape::SchemaMap),
    (
        "externalDocs",
        Shape::Struct(&[("description", Shape::Text), ("url", Shape::Text)]),
    ),
    ("example", Shape::Json),
    ("nullable", Shape::Flag),
    ("x-kubernetes-preserve-unknown-fields", Shape::OptionalFlag),
    ("x-kubernetes-embedded-resource", Shape::Flag),
    ("x-kubernetes-int-or-string", Shape::Flag),
    ("x-kubernetes-list-map-keys", Shape::Texts),
    ("x-kubernetes-list-type", Shape::Text),
    ("x-kubernetes-map-type", Shape::Text),
    (
        "x-kubernetes-validations",
        Shape::Structs(&[
            ("rule", Shape::Text),
            ("message", Shape::Text),
            ("messageExpression", Shape::Text),
            ("reason", Shape::Text),
            ("fieldPath", Shape::Text),
            ("optionalOldSelf", Shape::OptionalFlag),
        ]),
    ),
];
