//! The field `deploymentConfig`: what an administrator changes in the operator's Deployments.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvFromSource, EnvVar, ResourceRequirements, Toleration, Volume, VolumeMount,
};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::csv::normalise_fields;
use super::schema::Checker;

/// Changes to every Deployment of an operator and to each of its containers (not to init
/// containers): environment, volumes, resources, placement and annotations.
///
/// It is the `config` of a Subscription of OLM 0.x, without its `selector`. The default changes
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeploymentConfig {
    pub(crate) env: Vec<EnvVar>,
    pub(crate) env_from: Vec<EnvFromSource>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) volume_mounts: Vec<VolumeMount>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) resources: Option<ResourceRequirements>,
    pub(crate) node_selector: Option<BTreeMap<String, String>>,
    pub(crate) affinity: Option<Affinity>,
    pub(crate) annotations: BTreeMap<String, String>,
}

impl DeploymentConfig {
    /// Checks and decodes the value at `path`. What does not fit the schema is added to
    /// `problems`; what fits it and cannot be decoded is the error.
    pub(super) fn parse(
        value: &Value,
        path: &[&str],
        problems: &mut Vec<String>,
    ) -> Result<Self, String> {
        let mut generator = SchemaGenerator::default();
        let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "affinity": one::<Affinity>(&mut generator),
                "annotations": texts,
                "env": many::<EnvVar>(&mut generator),
                "envFrom": many::<EnvFromSource>(&mut generator),
                "nodeSelector": texts,
                "resources": one::<ResourceRequirements>(&mut generator),
                "tolerations": many::<Toleration>(&mut generator),
                "volumeMounts": many::<VolumeMount>(&mut generator),
                "volumes": many::<Volume>(&mut generator),
            },
        });
        let mut checker = Checker::new(generator);
        let mut path = path.iter().map(|part| (*part).to_owned()).collect();
        checker.check(&schema, value, &mut path);
        if !checker.problems.is_empty() {
            problems.append(&mut checker.problems);
            return Ok(Self::default());
        }
        if checker.has_bad_quantity {
            return Err("quantities must match the regular expression \
                        '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                .to_owned());
        }
        serde_json::from_value(normalise_fields(value.clone())).map_err(|error| error.to_string())
    }
}

fn one<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn many<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    json!({"type": "array", "items": one::<T>(generator)})
}
