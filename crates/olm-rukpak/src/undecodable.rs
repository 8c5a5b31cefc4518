//! Objects that do not decode: what is known of them, and a status that says so and keeps the rest.

use std::fmt::Debug;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Client, Resource};
use olm_api::names::MANAGER_RUKPAK;
use olm_runtime::conditions::{self, Status};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// An object as the API server has it.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    name: String,
    uid: Option<String>,
    generation: Option<i64>,
    spec: Value,
    status: Value,
}

/// A condition to be set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Says<'a> {
    pub(crate) type_: &'static str,
    pub(crate) status: Status,
    pub(crate) reason: &'static str,
    pub(crate) message: &'a str,
}

impl Raw {
    /// Reads the object that `metadata` is of; `None` where it is gone.
    pub(crate) async fn read<K>(
        client: &Client,
        metadata: &ObjectMeta,
    ) -> Result<Option<Self>, kube::Error>
    where
        K: Resource<DynamicType = ()> + Debug,
    {
        let name = metadata.name.clone().unwrap_or_default();
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::erase::<K>(&()));
        let found = api.get_opt(&name).await?;
        let found = found.filter(|found| found.metadata.uid == metadata.uid);
        Ok(found.map(|mut found| Self {
            name,
            uid: found.metadata.uid,
            generation: found.metadata.generation,
            spec: found.data["spec"].take(),
            status: found.data["status"].take(),
        }))
    }

    /// The provisioner class that the object names, if it does.
    pub(crate) fn class(&self) -> &str {
        self.field("provisionerClassName").unwrap_or_default()
    }

    /// A field of the spec that holds a text.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.spec[name].as_str()
    }

    /// The status, where that is not what does not decode.
    pub(crate) fn status<S: DeserializeOwned>(&self) -> Option<S> {
        serde_json::from_value(self.status.clone()).ok()
    }

    /// The status with these conditions and `fields`, and everything else as it is. Conditions of
    /// other types than `owned` are left out, as they are others'. `None` where that is nothing new.
    fn saying(
        &self,
        says: &[Says<'_>],
        fields: &[(&str, &str)],
        owned: &[&str],
        now: Timestamp,
    ) -> Option<Map<String, Value>> {
        let before = self.status.as_object().cloned().unwrap_or_default();
        let list = before.get("conditions").and_then(Value::as_array);
        let known: Vec<Condition> = list
            .into_iter()
            .flatten()
            .filter_map(|row| serde_json::from_value(row.clone()).ok())
            .collect();
        let mut list = conditions::owned(&known, owned);
        let mut is_news = false;
        for said in says {
            let Says {
                type_,
                status,
                reason,
                message,
            } = *said;
            is_news |= conditions::set(
                &mut list,
                type_,
                status,
                reason,
                message,
                self.generation,
                now,
            );
        }
        let mut status = before.clone();
        for (field, text) in fields {
            status.insert((*field).to_owned(), json!(text));
        }
        is_news |= fields
            .iter()
            .any(|(field, _)| before.get(*field) != status.get(*field));
        status.insert("observedGeneration".to_owned(), json!(self.generation));
        status.insert("conditions".to_owned(), json!(list));
        is_news.then_some(status)
    }

    /// Writes what [`Self::saying`] gives; whether there was anything to write.
    pub(crate) async fn report<K>(
        &self,
        client: &Client,
        says: &[Says<'_>],
        fields: &[(&str, &str)],
        owned: &[&str],
        now: Timestamp,
    ) -> Result<bool, kube::Error>
    where
        K: Resource<DynamicType = ()>,
    {
        let Some(status) = self.saying(says, fields, owned, now) else {
            return Ok(false);
        };
        let resource = ApiResource::erase::<K>(&());
        let body = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": self.name, "uid": self.uid},
            "status": status,
        });
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let parameters = PatchParams::apply(MANAGER_RUKPAK).force();
        match api
            .patch_status(&self.name, &parameters, &Patch::Apply(&body))
            .await
        {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_a_status_says_besides_is_kept_and_nothing_is_said_twice() {
        let mut raw = Raw {
            name: "a".to_owned(),
            uid: None,
            generation: Some(2),
            spec: json!({"provisionerClassName": "core-rukpak-io-plain", "template": 7}),
            status: json!({
                "phase": "Unpacked",
                "inventory": {"objects": ["of another form"]},
                "conditions": [
                    {"type": "Healthy", "status": "True", "reason": "Healthy", "message": "",
                     "lastTransitionTime": "2026-01-01T00:00:00Z"},
                    {"type": "Foreign", "status": "True", "reason": "X", "message": "",
                     "lastTransitionTime": "2026-01-01T00:00:00Z"},
                    "damaged",
                ],
            }),
        };
        assert_eq!(raw.class(), "core-rukpak-io-plain");
        let says = [Says {
            type_: "Ready",
            status: Status::False,
            reason: "Failed",
            message: "it cannot be read",
        }];
        let owned = ["Healthy", "Ready"];
        let fields = [("phase", "Failing")];
        let at = |second| Timestamp::from_second(second).unwrap();
        let status = raw.saying(&says, &fields, &owned, at(1)).unwrap();
        assert_eq!(status["inventory"], raw.status["inventory"]);
        assert_eq!(status["phase"], "Failing");
        let types: Vec<&str> = status["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|row| row["type"].as_str())
            .collect();
        assert_eq!(types, ["Healthy", "Ready"]);
        raw.status = Value::Object(status);
        assert_eq!(raw.saying(&says, &fields, &owned, at(2)), None);
    }
}
