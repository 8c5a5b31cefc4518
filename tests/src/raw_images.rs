//! Images of any form, put into a registry byte for byte: indexes, Docker's manifests, odd layers.

use anyhow::{Context, Result, bail};
use olm_fs::Digest;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, Url};
use serde_json::{Value, json};

use crate::Registry;

/// The media types of one family of images.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Of an image for several platforms.
    pub index: &'static str,
    /// Of an image for one.
    pub manifest: &'static str,
    /// Of its configuration.
    pub config: &'static str,
    /// Of its layers, compressed with gzip.
    pub layer: &'static str,
}

/// What the OCI image specification calls them.
pub const OCI: Family = Family {
    index: "application/vnd.oci.image.index.v1+json",
    manifest: "application/vnd.oci.image.manifest.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: "application/vnd.oci.image.layer.v1.tar+gzip",
};

/// What Docker calls them (image manifest version 2, schema 2).
pub const DOCKER: Family = Family {
    index: "application/vnd.docker.distribution.manifest.list.v2+json",
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
};

/// One repository of an open registry.
#[derive(Debug)]
pub struct RawRepository {
    http: Client,
    base: String,
    name: String,
}

impl RawRepository {
    /// The repository `name` of a registry without TLS and authentication.
    ///
    /// # Errors
    /// When there is no HTTP client.
    pub fn new(registry: &Registry, name: &str) -> Result<Self> {
        Ok(Self {
            http: Client::builder().no_proxy().build()?,
            base: format!("{}/v2/{name}", registry.url()),
            name: format!("{}/{name}", registry.host()),
        })
    }

    /// `HOST:PORT/NAME`, as references begin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts a blob; its descriptor.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn blob(&self, media_type: &str, bytes: Vec<u8>) -> Result<Value> {
        let descriptor = descriptor(media_type, &bytes);
        let begun = self.http.post(format!("{}/blobs/uploads/", self.base));
        let begun = taken(begun.send().await?).await?;
        let location = begun.headers().get(LOCATION).context("no location")?;
        let mut upload = Url::parse(&self.base)?.join(location.to_str()?)?;
        let digest = Digest::of(&bytes).to_string();
        upload.query_pairs_mut().append_pair("digest", &digest);
        taken(self.http.put(upload).body(bytes).send().await?).await?;
        Ok(descriptor)
    }

    /// Puts a manifest or an index, under a tag where one is given; its descriptor.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn manifest(
        &self,
        tag: Option<&str>,
        media_type: &str,
        document: &Value,
    ) -> Result<Value> {
        let bytes = serde_json::to_vec(document)?;
        let digest = Digest::of(&bytes).to_string();
        let url = format!("{}/manifests/{}", self.base, tag.unwrap_or(&digest));
        let descriptor = descriptor(media_type, &bytes);
        let request = self.http.put(url).header(CONTENT_TYPE, media_type);
        taken(request.body(bytes).send().await?).await?;
        Ok(descriptor)
    }

    /// Puts an image for one platform, with these layers and their media types, the lowest first;
    /// its descriptor, with the platform, as indexes hold it.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn image(
        &self,
        tag: Option<&str>,
        family: Family,
        (os, architecture): (&str, &str),
        layers: Vec<(&str, Vec<u8>)>,
    ) -> Result<Value> {
        let platform = json!({"os": os, "architecture": architecture});
        let config = self.blob(family.config, serde_json::to_vec(&platform)?);
        let config = config.await?;
        let mut descriptors = Vec::new();
        for (media_type, bytes) in layers {
            descriptors.push(self.blob(media_type, bytes).await?);
        }
        let document = json!({
            "schemaVersion": 2, "mediaType": family.manifest,
            "config": config, "layers": descriptors,
        });
        let mut descriptor = self.manifest(tag, family.manifest, &document).await?;
        descriptor["platform"] = platform;
        Ok(descriptor)
    }

    /// Puts an index of these members under a tag; its digest.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn index(&self, tag: &str, family: Family, members: &[Value]) -> Result<String> {
        let document = json!({
            "schemaVersion": 2, "mediaType": family.index, "manifests": members,
        });
        let descriptor = self.manifest(Some(tag), family.index, &document).await?;
        digest(&descriptor)
    }
}

/// The digest that a descriptor names.
///
/// # Errors
/// When it names none.
pub fn digest(descriptor: &Value) -> Result<String> {
    let digest = descriptor["digest"].as_str().context("no digest")?;
    Ok(digest.to_owned())
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({
        "mediaType": media_type,
        "digest": Digest::of(bytes).to_string(),
        "size": bytes.len(),
    })
}

async fn taken(response: Response) -> Result<Response> {
    let (status, url) = (response.status(), response.url().clone());
    if status.is_success() {
        return Ok(response);
    }
    let text = response.text().await.unwrap_or_default();
    bail!("{url} answers {status}: {text}")
}
