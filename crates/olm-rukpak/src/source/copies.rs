//! Copies of uploads in the cluster: only their author has what was uploaded, and a pod's disk goes
//! with the pod.
//!
//! An archive is kept in Secrets of the suite's namespace, which the Bundle owns: the first says how
//! many there are. What is unpacked never changes, and so neither does its copy.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use olm_api::bundle::Bundle;
use olm_api::names::MANAGER_RUKPAK;

/// Largest archive of which there is a copy, in bytes: what etcd holds is read whole by many. Larger
/// ones live as long as rukpak's storage.
pub(crate) const MAX_COPY: usize = 8 << 20;
/// Bytes in one Secret, which may be 1 MiB with all that is in it.
const PART: usize = 512 << 10;
/// Most Secrets of one archive.
const MAX_PARTS: usize = MAX_COPY.div_ceil(PART);

/// Key of the bytes in a Secret.
const DATA: &str = "archive";
/// Annotation of the first Secret: how many there are.
const PARTS: &str = "core.rukpak.io/upload-parts";
/// Type of the Secrets, which no source may name.
const TYPE: &str = "core.rukpak.io/upload";

/// The copies, in the suite's namespace.
#[derive(Clone)]
pub(crate) struct Copies {
    secrets: Api<Secret>,
}

impl Copies {
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self {
            secrets: Api::namespaced(client, namespace),
        }
    }

    /// Keeps a copy of what was uploaded for a Bundle; of what is too large, none.
    pub(crate) async fn keep(&self, bundle: &Bundle, archive: &[u8]) -> Result<(), kube::Error> {
        let uid = bundle.uid().unwrap_or_default();
        if archive.is_empty() || archive.len() > MAX_COPY {
            return Ok(());
        }
        let count = archive.len().div_ceil(PART);
        let parts: Vec<&[u8]> = archive.chunks(PART).collect();
        // The first one last: where it is, all are.
        for (number, part) in parts.into_iter().enumerate().rev() {
            let secret = Secret {
                metadata: ObjectMeta {
                    name: Some(name(&uid, number)),
                    annotations: (number == 0)
                        .then(|| [(PARTS.to_owned(), count.to_string())].into()),
                    owner_references: Some(bundle.owner_ref(&()).into_iter().collect()),
                    ..ObjectMeta::default()
                },
                type_: Some(TYPE.to_owned()),
                data: Some([(DATA.to_owned(), ByteString(part.to_vec()))].into()),
                ..Secret::default()
            };
            let parameters = PatchParams::apply(MANAGER_RUKPAK).force();
            let name = secret.name_any();
            self.secrets
                .patch(&name, &parameters, &Patch::Apply(&secret))
                .await?;
        }
        Ok(())
    }

    /// Whether there is a copy for the Bundle with this UID.
    pub(crate) async fn has(&self, uid: &str) -> Result<bool, kube::Error> {
        let found = self.secrets.get_metadata_opt(&name(uid, 0)).await?;
        Ok(found.is_some())
    }

    /// The copy for the Bundle with this UID, if there is a whole one.
    pub(crate) async fn get(&self, uid: &str) -> Result<Option<Vec<u8>>, kube::Error> {
        let Some(first) = self.secrets.get_opt(&name(uid, 0)).await? else {
            return Ok(None);
        };
        let count = first.annotations().get(PARTS);
        let count = count.and_then(|count| count.parse::<usize>().ok());
        let Some(count) = count.filter(|count| (1..=MAX_PARTS).contains(count)) else {
            return Ok(None);
        };
        let mut archive = Vec::new();
        let mut next = Some(first);
        for number in 0..count {
            let part = match next.take() {
                Some(part) => Some(part),
                None => self.secrets.get_opt(&name(uid, number)).await?,
            };
            let bytes = part.and_then(|part| part.data?.remove(DATA));
            let Some(bytes) = bytes else {
                tracing::warn!(uid, number, "a part of the copy of an upload is gone");
                return Ok(None);
            };
            archive.extend_from_slice(&bytes.0);
        }
        Ok(Some(archive))
    }
}

fn name(uid: &str, number: usize) -> String {
    format!("upload-{uid}-{number}")
}
