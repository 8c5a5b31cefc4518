//! The bytes of a layer, as a stream that is checked as it flows.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http::{Method, StatusCode, header::CONTENT_RANGE};
use olm_fs::Hasher;
use reqwest::Response;

use crate::config::ClientConfig;
use crate::error::RegistryError;
use crate::manifest::LayerDescriptor;
use crate::reference::Reference;
use crate::retry;
use crate::session::{Request, Session};

type Inner = Pin<Box<dyn Stream<Item = Result<Bytes, RegistryError>> + Send>>;

/// The bytes of a blob. When the stream ends without an error, their number and digest were those
/// of the descriptor; before that, nothing about them is known. A body that breaks off is taken up
/// where it ended.
pub struct Blob {
    inner: Inner,
    size: u64,
}

impl Blob {
    /// The bytes from the first of `places` that gives them; they are taken up at the next where one
    /// breaks off. Without a place there is an error.
    pub(crate) fn new(places: VecDeque<Place>, descriptor: LayerDescriptor) -> Self {
        let size = descriptor.size;
        let state = State {
            places,
            descriptor,
            response: None,
            received: 0,
            skip: 0,
            hasher: Some(Hasher::new()),
            resumed: 0,
        };
        Self {
            inner: Box::pin(futures::stream::try_unfold(state, State::next)),
            size,
        }
    }

    /// The number of bytes that will come.
    pub const fn size(&self) -> u64 {
        self.size
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Stream for Blob {
    type Item = Result<Bytes, RegistryError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.as_mut().poll_next(cx)
    }
}

/// Where a blob can be had, and how it is asked for there.
pub(crate) struct Place {
    pub(crate) session: Arc<Session>,
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) image: Reference,
}

struct State {
    /// The first is being asked.
    places: VecDeque<Place>,
    descriptor: LayerDescriptor,
    response: Option<Response>,
    received: u64,
    /// Bytes to drop from a registry that began anew instead of where it was asked to.
    skip: u64,
    /// `None` once the end was reached.
    hasher: Option<Hasher>,
    resumed: usize,
}

impl State {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, RegistryError> {
        loop {
            if self.hasher.is_none() {
                return Ok(None);
            }
            // Nothing is asked for where nothing is missing: a resumed request for zero bytes
            // would be an error.
            if self.received == self.descriptor.size && self.response.is_none() {
                return self.finish().map(|()| None);
            }
            let response = if let Some(response) = &mut self.response {
                response
            } else {
                match self.open().await {
                    Ok((response, skip)) => {
                        self.skip = skip;
                        self.response.insert(response)
                    }
                    Err(error) => {
                        self.elsewhere(error)?;
                        continue;
                    }
                }
            };
            match response.chunk().await {
                Ok(Some(bytes)) => {
                    if let Some(bytes) = self.take(bytes)? {
                        return Ok(Some((bytes, self)));
                    }
                }
                Ok(None) if self.received == self.descriptor.size => {
                    self.response = None;
                }
                Ok(None) => self.broken(None).await?,
                Err(error) => self.broken(Some(error)).await?,
            }
        }
    }

    /// Accounts for what came; `None` when it is to be dropped.
    fn take(&mut self, mut bytes: Bytes) -> Result<Option<Bytes>, RegistryError> {
        if self.skip > 0 {
            let skipped = usize::try_from(self.skip)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            bytes = bytes.split_off(skipped);
            self.skip -= skipped as u64;
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        self.received += bytes.len() as u64;
        if self.received > self.descriptor.size {
            return Err(RegistryError::TooLarge {
                image: self.image(),
                what: self.descriptor.digest.to_string(),
                limit: self.descriptor.size,
            });
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
        }
        Ok(Some(bytes))
    }

    fn finish(&mut self) -> Result<(), RegistryError> {
        let Some(hasher) = self.hasher.take() else {
            return Ok(());
        };
        let actual = hasher.finish();
        if actual != self.descriptor.digest {
            return Err(RegistryError::DigestMismatch {
                image: self.image(),
                expected: self.descriptor.digest.clone(),
                actual,
            });
        }
        Ok(())
    }

    /// Prepares to go on, or gives up.
    async fn broken(&mut self, source: Option<reqwest::Error>) -> Result<(), RegistryError> {
        self.response = None;
        let error = RegistryError::Body {
            image: self.image(),
            what: self.descriptor.digest.to_string(),
            received: self.received,
            source: source.map(|e| Box::new(e.without_url()) as _),
        };
        let retry = self.place().map(|place| place.config.retry);
        let Some(retry) = retry.filter(|retry| self.resumed < retry.times) else {
            return self.elsewhere(error);
        };
        self.resumed += 1;
        tracing::debug!(%error, "going on with a blob");
        tokio::time::sleep(retry.delay).await;
        Ok(())
    }

    /// Goes on to the next place, or gives up.
    fn elsewhere(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        if self.places.len() <= 1 {
            return Err(error);
        }
        tracing::warn!(image = %self.image(), %error, "a mirror does not give the blob");
        self.places.pop_front();
        self.resumed = 0;
        Ok(())
    }

    fn place(&self) -> Option<&Place> {
        self.places.front()
    }

    fn image(&self) -> String {
        self.place()
            .map(|place| place.image.to_string())
            .unwrap_or_default()
    }

    /// The answer to a request for what is missing, and how much of it is to be dropped.
    async fn open(&self) -> Result<(Response, u64), RegistryError> {
        let Some(place) = self.place() else {
            return Err(RegistryError::NotFound {
                image: self.descriptor.digest.to_string(),
            });
        };
        let path = format!("blobs/{}", self.descriptor.digest);
        let mut request = Request::new(Method::GET, path, "*/*");
        request.from = self.received;
        let response = retry::operation(
            &place.config,
            || RegistryError::Timeout {
                image: place.image.to_string(),
                registry: place.image.registry().to_owned(),
            },
            || place.session.send(&place.image, &request),
        )
        .await?;
        let resumed = response.status() == StatusCode::PARTIAL_CONTENT
            && response
                .headers()
                .get(CONTENT_RANGE)
                .and_then(|value| value.to_str().ok())
                .is_some_and(|value| value.starts_with(&format!("bytes {}-", self.received)));
        let skip = if resumed { 0 } else { self.received };
        Ok((response, skip))
    }
}
