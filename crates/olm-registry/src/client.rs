//! Pulling.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::TryStreamExt as _;
use http::{Method, StatusCode, header::CONTENT_TYPE};
use olm_fs::Digest;

use crate::answer::{BodyError, read_capped};
use crate::auth::{AuthFile, Credentials};
use crate::blob::{Blob, Place};
use crate::config::ClientConfig;
use crate::error::RegistryError;
use crate::manifest::{self, ImageConfig, LayerDescriptor, Manifest};
use crate::mirror;
use crate::reference::Reference;
use crate::retry;
use crate::roots::Roots;
use crate::session::{self, Request, Session};

/// Sessions that are kept; the one not used for longest goes.
const MAX_SESSIONS: usize = 32;
/// Longest time for one operation at a mirror.
const HASTE: Duration = Duration::from_secs(10);
/// Indexes within indexes that are followed.
const MAX_INDEXES: usize = 2;

/// Says that a mirror did not give what it was asked for.
fn missing(mirrored: &Reference, error: &RegistryError) {
    tracing::warn!(image = %mirrored, %error, "a mirror does not give the image");
}

/// How a registry is accessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Who asks. Default: anonymous.
    pub credentials: Credentials,
    /// Where the credentials for mirrors are. Default: none.
    pub mirror_credentials: AuthFile,
    /// Whether the registry's certificate is checked. Default: true.
    pub tls_verify: bool,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            credentials: Credentials::Anonymous,
            mirror_credentials: AuthFile::default(),
            tls_verify: true,
        }
    }
}

/// An image: what its manifest and configuration say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// The digest of the index that the reference names, if it names one.
    pub index_digest: Option<Digest>,
    /// The digest of the manifest of the member that was chosen.
    pub manifest_digest: Digest,
    /// The image's configuration.
    pub config: ImageConfig,
    /// Its layers, the lowest first.
    pub layers: Vec<LayerDescriptor>,
}

impl Image {
    /// What the reference resolves to: the digest of the index where there is one, that of the
    /// manifest otherwise.
    pub const fn digest(&self) -> &Digest {
        match &self.index_digest {
            Some(digest) => digest,
            None => &self.manifest_digest,
        }
    }
}

/// A client for any number of registries. Cloning is cheap; clones share connections and tokens.
#[derive(Debug, Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    pool: Arc<Mutex<Pool>>,
}

/// What was made with the roots as they are.
#[derive(Debug)]
struct Pool {
    roots: Roots,
    verifying: Option<reqwest::Client>,
    trusting: Option<reqwest::Client>,
    /// The most recently used last.
    sessions: VecDeque<(Key, Arc<Session>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    registry: String,
    credentials: Credentials,
    tls_verify: bool,
}

impl Client {
    /// A client. The process must have installed a rustls provider before its first request.
    ///
    /// # Errors
    /// [`RegistryError::Setup`] for extra root certificates that are none, and for a file of them
    /// that cannot be read.
    pub fn new(config: ClientConfig) -> Result<Self, RegistryError> {
        let pool = Pool {
            roots: Roots::open(&config)?,
            verifying: None,
            trusting: None,
            sessions: VecDeque::new(),
        };
        Ok(Self {
            config: Arc::new(config),
            pool: Arc::new(Mutex::new(pool)),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// The digest that `reference` stands for: of the index for images of several platforms. A
    /// reference with a digest is answered without asking the registry.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn resolve(
        &self,
        reference: &Reference,
        access: &Access,
    ) -> Result<Digest, RegistryError> {
        if let Some(digest) = reference.digest() {
            return Ok(digest.clone());
        }
        for (mirrored, access) in self.mirrored(reference, access) {
            match self.hasty().resolve_at(&mirrored, &access).await {
                Ok(digest) => return Ok(digest),
                Err(error) => missing(&mirrored, &error),
            }
        }
        self.resolve_at(reference, access).await
    }

    async fn resolve_at(
        &self,
        reference: &Reference,
        access: &Access,
    ) -> Result<Digest, RegistryError> {
        let session = self.session(reference, access)?;
        let path = format!("manifests/{}", reference.manifest());
        let head = Request::new(Method::HEAD, path, manifest::ACCEPT);
        let answer = self
            .operation(reference, || session.send(reference, &head))
            .await;
        let digest = match answer {
            Ok(response) => response
                .headers()
                .get("docker-content-digest")
                .and_then(|value| value.to_str().ok())
                .and_then(|text| text.parse().ok()),
            // A registry that knows no HEAD.
            Err(RegistryError::Status { status, .. })
                if status == StatusCode::METHOD_NOT_ALLOWED =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        match digest {
            Some(digest) => Ok(digest),
            None => Ok(self.manifest(&session, reference).await?.1),
        }
    }

    /// The manifest and configuration of an image. Of an index, the member for this machine's
    /// platform is chosen, then that for linux/amd64, then the first for linux.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn image(
        &self,
        reference: &Reference,
        access: &Access,
    ) -> Result<Image, RegistryError> {
        for (mirrored, access) in self.mirrored(reference, access) {
            match self.hasty().image_at(&mirrored, &access).await {
                Ok(image) => return Ok(image),
                Err(error) => missing(&mirrored, &error),
            }
        }
        self.image_at(reference, access).await
    }

    async fn image_at(
        &self,
        reference: &Reference,
        access: &Access,
    ) -> Result<Image, RegistryError> {
        let session = self.session(reference, access)?;
        let mut index_digest = None;
        let mut at = reference.clone();
        for _ in 0..=MAX_INDEXES {
            let (content_type, digest, bytes) = {
                let (bytes, digest, content_type) = self.manifest(&session, &at).await?;
                (content_type, digest, bytes)
            };
            match manifest::parse(reference, &content_type, &bytes)? {
                Manifest::Index { member } => {
                    index_digest = index_digest.or(Some(digest));
                    at = at.with_digest(member);
                }
                Manifest::Image { config, layers } => {
                    return Ok(Image {
                        index_digest,
                        manifest_digest: digest,
                        config: self.image_config(&session, reference, config).await?,
                        layers,
                    });
                }
            }
        }
        Err(RegistryError::Manifest {
            image: reference.to_string(),
            what: "manifest",
            reason: "its indexes are nested too deep".to_owned(),
        })
    }

    /// The bytes of a layer of `reference`, checked for size and digest as they flow.
    ///
    /// # Errors
    /// [`RegistryError::TooLarge`] when the descriptor is above the limit; the stream's items
    /// carry the other errors.
    pub fn blob(
        &self,
        reference: &Reference,
        layer: &LayerDescriptor,
        access: &Access,
    ) -> Result<Blob, RegistryError> {
        let mut places = VecDeque::new();
        for (mirrored, access) in self.mirrored(reference, access) {
            let hasty = self.hasty();
            places.push_back(Place {
                session: hasty.session(&mirrored, &access)?,
                image: mirrored,
                config: hasty.config,
            });
        }
        let session = self.session(reference, access)?;
        let limit = self.config.limits.blob;
        self.blob_below(places, session, reference, layer, limit)
    }

    /// The mirrors of an image, and who asks there.
    fn mirrored(&self, reference: &Reference, access: &Access) -> Vec<(Reference, Access)> {
        mirror::names(&self.config.mirrors, reference)
            .into_iter()
            .map(|mirrored| {
                let access = Access {
                    credentials: access.mirror_credentials.credentials(&mirrored),
                    ..access.clone()
                };
                (mirrored, access)
            })
            .collect()
    }

    /// The same, that asks once: where somebody else can be asked, nobody is waited for.
    fn hasty(&self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.retry.times = 0;
        config.timeouts.operation = config.timeouts.operation.min(HASTE);
        Self {
            config: Arc::new(config),
            ..self.clone()
        }
    }

    fn blob_below(
        &self,
        mut places: VecDeque<Place>,
        session: Arc<Session>,
        reference: &Reference,
        descriptor: &LayerDescriptor,
        limit: u64,
    ) -> Result<Blob, RegistryError> {
        if descriptor.size > limit {
            return Err(RegistryError::TooLarge {
                image: reference.to_string(),
                what: descriptor.digest.to_string(),
                limit,
            });
        }
        let config = Arc::clone(&self.config);
        places.push_back(Place {
            session,
            config,
            image: reference.clone(),
        });
        Ok(Blob::new(places, descriptor.clone()))
    }

    async fn image_config(
        &self,
        session: &Arc<Session>,
        reference: &Reference,
        descriptor: LayerDescriptor,
    ) -> Result<ImageConfig, RegistryError> {
        let limit = self.config.limits.config;
        let blob = self.blob_below(
            VecDeque::new(),
            Arc::clone(session),
            reference,
            &descriptor,
            limit,
        )?;
        let whole = blob.try_fold(Vec::new(), |mut all, bytes| async move {
            all.extend_from_slice(&bytes);
            Ok(all)
        });
        // It is small, and no layer that may take as long as it keeps coming.
        let bytes = tokio::time::timeout(self.config.timeouts.operation, whole)
            .await
            .map_err(|_| RegistryError::Timeout {
                image: reference.to_string(),
                registry: reference.registry().to_owned(),
            })??;
        manifest::parse_config(reference, &bytes)
    }

    /// A manifest's bytes, their digest and their media type.
    async fn manifest(
        &self,
        session: &Session,
        reference: &Reference,
    ) -> Result<(Vec<u8>, Digest, String), RegistryError> {
        let path = format!("manifests/{}", reference.manifest());
        let request = Request::new(Method::GET, path, manifest::ACCEPT);
        let limit = self.config.limits.manifest;
        let (bytes, content_type) = self
            .operation(reference, || async {
                let response = session.send(reference, &request).await?;
                let content_type = response
                    .headers()
                    .get(CONTENT_TYPE)
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or_default()
                    .to_owned();
                let what = || reference.manifest().to_owned();
                match read_capped(response, limit).await {
                    Ok(bytes) => Ok((bytes, content_type)),
                    Err(BodyError::TooLarge) => Err(RegistryError::TooLarge {
                        image: reference.to_string(),
                        what: what(),
                        limit,
                    }),
                    Err(BodyError::Broken { received, source }) => Err(RegistryError::Body {
                        image: reference.to_string(),
                        what: what(),
                        received,
                        source: Some(Box::new(source)),
                    }),
                }
            })
            .await?;
        let actual = Digest::of(&bytes);
        match reference.digest() {
            Some(expected) if *expected != actual => Err(RegistryError::DigestMismatch {
                image: reference.to_string(),
                expected: expected.clone(),
                actual,
            }),
            _ => Ok((bytes, actual, content_type)),
        }
    }

    pub(crate) async fn operation<T, A: Future<Output = Result<T, RegistryError>>>(
        &self,
        reference: &Reference,
        attempt: impl FnMut() -> A,
    ) -> Result<T, RegistryError> {
        let timed_out = || RegistryError::Timeout {
            image: reference.to_string(),
            registry: reference.registry().to_owned(),
        };
        retry::operation(&self.config, timed_out, attempt).await
    }

    /// The session for a registry and its credentials.
    pub(crate) fn session(
        &self,
        reference: &Reference,
        access: &Access,
    ) -> Result<Arc<Session>, RegistryError> {
        let key = Key {
            registry: reference.registry().to_owned(),
            credentials: access.credentials.clone(),
            tls_verify: access.tls_verify,
        };
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = &mut *pool;
        if pool.roots.follow() {
            // What is under way goes on with what it began with.
            (pool.verifying, pool.trusting) = (None, None);
            pool.sessions.clear();
        }
        if let Some(at) = pool.sessions.iter().position(|(known, _)| *known == key)
            && let Some(entry) = pool.sessions.remove(at)
        {
            let session = Arc::clone(&entry.1);
            pool.sessions.push_back(entry);
            return Ok(session);
        }
        let slot = if access.tls_verify {
            &mut pool.verifying
        } else {
            &mut pool.trusting
        };
        let http = if let Some(http) = slot {
            http.clone()
        } else {
            let http = self.http(&pool.roots, access.tls_verify)?;
            slot.insert(http).clone()
        };
        let schemes = session::schemes(reference, &self.config.plain_http);
        let session = Arc::new(Session::new(http, access.credentials.clone(), schemes));
        if pool.sessions.len() >= MAX_SESSIONS {
            pool.sessions.pop_front();
        }
        pool.sessions.push_back((key, Arc::clone(&session)));
        Ok(session)
    }

    /// The PEM bundles of the authorities that are trusted besides the system's.
    pub(crate) fn root_bundles(&self) -> Vec<Vec<u8>> {
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.roots.bundles()
    }

    fn http(&self, roots: &Roots, tls_verify: bool) -> Result<reqwest::Client, RegistryError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(RegistryError::Setup {
                reason: "the process has installed no TLS provider",
                source: None,
            });
        }
        let timeouts = self.config.timeouts;
        reqwest::Client::builder()
            .user_agent(&self.config.user_agent)
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.read)
            .redirect(session::redirect_policy())
            .referer(false)
            // Digests are of the bytes as they are stored.
            .no_gzip()
            .tls_danger_accept_invalid_certs(!tls_verify)
            .tls_certs_merge(roots.certificates())
            .build()
            .map_err(|e| RegistryError::Setup {
                reason: "TLS cannot be set up; are there root certificates?",
                source: Some(Box::new(e)),
            })
    }
}
