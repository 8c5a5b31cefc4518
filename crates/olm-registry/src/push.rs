//! Pushing images that were made in memory: catalogs and bundles for tests and demonstrations.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, StatusCode};
use oci_client::client::{ClientConfig as OciConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use olm_fs::Digest;
use serde_json::json;

use crate::auth::Credentials;
use crate::client::{Access, Client};
use crate::config::USER_AGENT;
use crate::error::RegistryError;
use crate::manifest::{OCI_MANIFEST, architecture};
use crate::reference::Reference;
use crate::session::{Authorization, Request, Session};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A layer to push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLayer {
    media_type: &'static str,
    bytes: Bytes,
    diff_id: Digest,
}

impl NewLayer {
    /// An uncompressed tar.
    pub fn tar(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let diff_id = Digest::of(&bytes);
        Self {
            media_type: LAYER,
            bytes,
            diff_id,
        }
    }

    /// A tar compressed with gzip; `diff_id` is the digest of the tar inside.
    pub fn tar_gz(bytes: impl Into<Bytes>, diff_id: Digest) -> Self {
        Self {
            media_type: LAYER_GZIP,
            bytes: bytes.into(),
            diff_id,
        }
    }

    /// Bytes as they are pushed.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// An image to push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImage {
    /// Layers, the lowest first.
    pub layers: Vec<NewLayer>,
    /// Labels of its configuration.
    pub labels: BTreeMap<String, String>,
    /// Architecture in Go's words. Default: this machine's.
    pub architecture: String,
}

impl Default for NewImage {
    fn default() -> Self {
        Self {
            layers: Vec::new(),
            labels: BTreeMap::new(),
            architecture: architecture().to_owned(),
        }
    }
}

impl NewImage {
    /// The bytes of its configuration, the same for the same image.
    fn config(&self) -> Bytes {
        let diff_ids: Vec<_> = self
            .layers
            .iter()
            .map(|layer| layer.diff_id.as_str())
            .collect();
        let config = json!({
            "architecture": self.architecture,
            "os": "linux",
            "config": { "Labels": self.labels },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        config.to_string().into()
    }

    /// The bytes of its manifest.
    fn manifest(&self, config: &Bytes) -> Bytes {
        let layers: Vec<_> = self
            .layers
            .iter()
            .map(|layer| descriptor(layer.media_type, &layer.bytes))
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(CONFIG, config),
            "layers": layers,
        });
        manifest.to_string().into()
    }

    /// The digest that the image has wherever it is pushed.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest(&self.config()))
    }
}

fn descriptor(media_type: &str, bytes: &Bytes) -> serde_json::Value {
    json!({
        "mediaType": media_type,
        "digest": Digest::of(bytes).as_str(),
        "size": bytes.len(),
    })
}

impl Client {
    /// Pushes an image under the tag or digest of `reference`, over what is there; returns its
    /// digest.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn push_image(
        &self,
        reference: &Reference,
        image: &NewImage,
        access: &Access,
    ) -> Result<Digest, RegistryError> {
        let session = self.session(reference, access)?;
        let config = image.config();
        for bytes in image
            .layers
            .iter()
            .map(|layer| &layer.bytes)
            .chain([&config])
        {
            self.push_blob(&session, reference, access, bytes).await?;
        }
        self.push_manifest(&session, reference, OCI_MANIFEST, image.manifest(&config))
            .await
    }

    async fn push_blob(
        &self,
        session: &Session,
        reference: &Reference,
        access: &Access,
        bytes: &Bytes,
    ) -> Result<(), RegistryError> {
        let digest = Digest::of(bytes);
        // Asks with the right to push, so that the session holds what the upload needs.
        let mut head = Request::new(Method::HEAD, format!("blobs/{digest}"), "*/*");
        head.push = true;
        match self
            .operation(reference, || session.send(reference, &head))
            .await
        {
            Ok(_) => return Ok(()),
            Err(RegistryError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let uploader = self.uploader(session, access)?;
        let target = oci_client::Reference::with_tag(
            reference.host().to_owned(),
            reference.repository().to_owned(),
            "upload".to_owned(),
        );
        let auth = match (
            session.authorization_of_push(reference),
            session.credentials(),
        ) {
            (Some(Authorization::Bearer { token, .. }), _) => RegistryAuth::Bearer(token),
            (None, Credentials::RegistryToken(token)) => RegistryAuth::Bearer(token.clone()),
            (Some(Authorization::Basic), Credentials::Basic { username, password }) => {
                RegistryAuth::Basic(username.clone(), password.clone())
            }
            _ => RegistryAuth::Anonymous,
        };
        uploader.store_auth_if_needed(reference.host(), &auth).await;
        self.operation(reference, || async {
            uploader
                .push_blob(&target, bytes.clone(), digest.as_str())
                .await
                .map(|_url| ())
                .map_err(|error| translate(reference, session, error))
        })
        .await
    }

    fn uploader(
        &self,
        session: &Session,
        access: &Access,
    ) -> Result<oci_client::Client, RegistryError> {
        let config = OciConfig {
            protocol: if session.scheme() == "http" {
                ClientProtocol::Http
            } else {
                ClientProtocol::Https
            },
            accept_invalid_certificates: !access.tls_verify,
            use_monolithic_push: true,
            extra_root_certificates: self
                .root_bundles()
                .into_iter()
                .map(|data| oci_client::client::Certificate {
                    encoding: oci_client::client::CertificateEncoding::Pem,
                    data,
                })
                .collect(),
            read_timeout: Some(self.config().timeouts.read),
            connect_timeout: Some(self.config().timeouts.connect),
            user_agent: USER_AGENT,
            ..OciConfig::default()
        };
        oci_client::Client::try_from(config).map_err(|_| RegistryError::Setup {
            reason: "the client for uploads cannot be made",
            source: None,
        })
    }

    /// Puts the bytes as they are, so that their digest is the one that was computed.
    async fn push_manifest(
        &self,
        session: &Session,
        reference: &Reference,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Digest, RegistryError> {
        let digest = Digest::of(&bytes);
        let path = format!("manifests/{}", reference.manifest());
        let mut request = Request::new(Method::PUT, path, "*/*");
        request.push = true;
        request.content = Some((media_type, bytes));
        self.operation(reference, || session.send(reference, &request))
            .await?;
        Ok(digest)
    }
}

/// The library's errors, without the URLs that they quote.
fn translate(
    reference: &Reference,
    session: &Session,
    error: OciDistributionError,
) -> RegistryError {
    let image = reference.to_string();
    let registry = reference.registry().to_owned();
    let status = |status| RegistryError::Status {
        image: reference.to_string(),
        registry: reference.registry().to_owned(),
        status,
        code: String::new(),
        retry_after: None,
    };
    let upload = |reason| RegistryError::Upload {
        image: reference.to_string(),
        registry: reference.registry().to_owned(),
        reason,
    };
    match error {
        OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::AuthenticationFailure(_) => {
            session.refused(reference, StatusCode::UNAUTHORIZED)
        }
        OciDistributionError::ServerError { code, .. } => {
            let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            match code {
                StatusCode::FORBIDDEN => session.refused(reference, code),
                StatusCode::TOO_MANY_REQUESTS => RegistryError::RateLimited {
                    image,
                    registry,
                    retry_after: None,
                },
                code => status(code),
            }
        }
        OciDistributionError::RequestError(error) => {
            crate::session::failed(reference, &registry, error)
        }
        // The library tells no status of these, and their texts may quote URLs.
        OciDistributionError::RegistryError { .. } => upload("it refused the upload"),
        OciDistributionError::RegistryNoLocationError
        | OciDistributionError::RegistryNoDigestError
        | OciDistributionError::SpecViolationError(_)
        | OciDistributionError::HeaderValueError(_)
        | OciDistributionError::UrlParseError(_) => {
            upload("its answer to the upload breaks the distribution specification")
        }
        OciDistributionError::PushNoDataError => upload("an empty layer cannot be pushed"),
        _ => upload("the upload failed on this side"),
    }
}
