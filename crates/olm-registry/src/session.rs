//! Requests to one registry with one set of credentials.
//!
//! These calls are made on `reqwest` directly: the client library neither limits the size of a
//! manifest, nor tells the status and `Retry-After` of a refusal, nor that a token was refused.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RANGE};
use http::{HeaderValue, Method, StatusCode};
use olm_reference::without_port;
use reqwest::Response;

use crate::answer;
use crate::auth::Credentials;
use crate::challenge::{self, Challenge};
use crate::error::RegistryError;
use crate::reference::Reference;
use crate::token;

/// Tokens that one session keeps at most.
const MAX_TOKENS: usize = 256;

/// One request, below `/v2/REPOSITORY/`.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) accept: &'a str,
    /// First byte that is wanted.
    pub(crate) from: u64,
    pub(crate) content: Option<(&'a str, Bytes)>,
    pub(crate) push: bool,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: Method, path: String, accept: &'a str) -> Self {
        Self {
            method,
            path,
            accept,
            from: 0,
            content: None,
            push: false,
        }
    }
}

/// What answers a challenge.
#[derive(Clone)]
pub(crate) enum Authorization {
    Basic,
    Bearer { token: String, expires: Instant },
}

/// One registry, one set of credentials, one way of checking certificates.
pub(crate) struct Session {
    http: reqwest::Client,
    credentials: Credentials,
    /// Schemes to try, in order; after the first answer the one that worked.
    schemes: Mutex<Vec<&'static str>>,
    /// By scope.
    authorizations: Mutex<HashMap<String, Authorization>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(
        http: reqwest::Client,
        credentials: Credentials,
        schemes: Vec<&'static str>,
    ) -> Self {
        Self {
            http,
            credentials,
            schemes: Mutex::new(schemes),
            authorizations: Mutex::new(HashMap::new()),
        }
    }

    /// Sends a request, answers a challenge, and gives the answer if it is a success.
    pub(crate) async fn send(
        &self,
        image: &Reference,
        request: &Request<'_>,
    ) -> Result<Response, RegistryError> {
        let scope = scope(image, request.push);
        let authorization = self.authorization(&scope);
        let mut response = self.once(image, request, authorization.as_ref()).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenge = challenge::of(response.headers());
            let authorization = self.answer(image, challenge, &scope, request.push).await?;
            let Some(authorization) = authorization else {
                return Err(self.refused(image, StatusCode::UNAUTHORIZED));
            };
            self.keep(&scope, authorization.clone());
            response = self.once(image, request, Some(&authorization)).await?;
        }
        if response.status().is_success() {
            return Ok(response);
        }
        if response.status() == StatusCode::UNAUTHORIZED {
            self.forget(&scope);
        }
        Err(self.failure(image, response).await)
    }

    /// What authorised the last request of this scope, for the library that pushes.
    pub(crate) fn authorization_of_push(&self, image: &Reference) -> Option<Authorization> {
        self.authorization(&scope(image, true))
    }

    pub(crate) const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The scheme that requests go out with.
    pub(crate) fn scheme(&self) -> &'static str {
        self.schemes().first().copied().unwrap_or("https")
    }

    fn schemes(&self) -> Vec<&'static str> {
        self.schemes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn once(
        &self,
        image: &Reference,
        request: &Request<'_>,
        authorization: Option<&Authorization>,
    ) -> Result<Response, RegistryError> {
        let schemes = self.schemes();
        let mut failure = None;
        for scheme in &schemes {
            match self.attempt(scheme, image, request, authorization).await {
                Ok(response) => {
                    if schemes.len() > 1 {
                        *self.schemes.lock().unwrap_or_else(PoisonError::into_inner) =
                            vec![*scheme];
                    }
                    return Ok(response);
                }
                // A registry whose certificate is refused speaks TLS, and would be asked in the clear by
                // nobody who means it.
                Err(error)
                    if matches!(error, RegistryError::Connect { .. })
                        && !is_certificate_refused(&error) =>
                {
                    // Of two schemes the first is the one that was meant.
                    failure = failure.or(Some(error));
                }
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or(RegistryError::Setup {
            reason: "no scheme",
            source: None,
        }))
    }

    async fn attempt(
        &self,
        scheme: &str,
        image: &Reference,
        request: &Request<'_>,
        authorization: Option<&Authorization>,
    ) -> Result<Response, RegistryError> {
        let url = format!(
            "{scheme}://{}/v2/{}/{}",
            image.host(),
            image.repository(),
            request.path
        );
        let mut builder = self
            .http
            .request(request.method.clone(), url)
            .header(ACCEPT, request.accept);
        if request.from > 0 {
            builder = builder.header(RANGE, format!("bytes={}-", request.from));
        }
        if let Some((media_type, body)) = &request.content {
            builder = builder.header(CONTENT_TYPE, *media_type).body(body.clone());
        }
        builder = match (authorization, &self.credentials) {
            (Some(Authorization::Bearer { token, .. }), _)
            | (None, Credentials::RegistryToken(token)) => {
                builder.header(AUTHORIZATION, sensitive("Bearer ", token, image)?)
            }
            (Some(Authorization::Basic), Credentials::Basic { username, password }) => {
                builder.basic_auth(username, Some(password))
            }
            _ => builder,
        };
        builder
            .send()
            .await
            .map_err(|e| failed(image, image.registry(), e))
    }

    /// Obtains what a challenge asks for; `None` when there is nothing to answer with.
    async fn answer(
        &self,
        image: &Reference,
        challenge: Option<Challenge>,
        scope: &str,
        push: bool,
    ) -> Result<Option<Authorization>, RegistryError> {
        match challenge {
            Some(Challenge::Bearer {
                realm,
                service,
                scope: asked,
            }) => {
                // A token for more than the repository, as some registries ask for, is asked for
                // in their words; yet one that is to push as well is not had for the words of a
                // request that only looks what is there.
                let asked = asked.filter(|asked| !push || allows_push(asked));
                let scope = asked.as_deref().unwrap_or(scope);
                token::fetch(self, image, &realm, service.as_deref(), scope)
                    .await
                    .map(Some)
            }
            Some(Challenge::Basic) | None => {
                Ok(matches!(self.credentials, Credentials::Basic { .. })
                    .then_some(Authorization::Basic))
            }
        }
    }

    pub(crate) const fn http(&self) -> &reqwest::Client {
        &self.http
    }

    fn authorization(&self, scope: &str) -> Option<Authorization> {
        let kept = self
            .authorizations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match kept.get(scope) {
            Some(Authorization::Bearer { expires, .. }) if *expires <= Instant::now() => None,
            other => other.cloned(),
        }
    }

    fn keep(&self, scope: &str, authorization: Authorization) {
        let mut kept = self
            .authorizations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_TOKENS {
            kept.clear();
        }
        kept.insert(scope.to_owned(), authorization);
    }

    fn forget(&self, scope: &str) {
        let mut kept = self
            .authorizations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.remove(scope);
    }

    /// The error that an answer stands for.
    pub(crate) async fn failure(&self, image: &Reference, response: Response) -> RegistryError {
        answer::failure(image, response, self.credentials.is_anonymous()).await
    }

    pub(crate) fn refused(&self, image: &Reference, status: StatusCode) -> RegistryError {
        answer::refused(image, status, self.credentials.is_anonymous())
    }
}

fn scope(image: &Reference, push: bool) -> String {
    let actions = if push { "pull,push" } else { "pull" };
    format!("repository:{}:{actions}", image.repository())
}

/// Whether a scope, or one of several with blanks between them, is to push.
fn allows_push(scope: &str) -> bool {
    scope
        .split(' ')
        .filter_map(|one| one.rsplit_once(':'))
        .any(|(_, actions)| actions.split(',').any(|action| action == "push"))
}

fn sensitive(prefix: &str, secret: &str, image: &Reference) -> Result<HeaderValue, RegistryError> {
    let mut value =
        HeaderValue::from_str(&format!("{prefix}{secret}")).map_err(|_| RegistryError::Token {
            image: image.to_string(),
            registry: image.registry().to_owned(),
        })?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a request that got no answer failed of.
pub(crate) fn failed(image: &Reference, registry: &str, error: reqwest::Error) -> RegistryError {
    let (image, registry) = (image.to_string(), registry.to_owned());
    if error.is_timeout() && !error.is_connect() {
        return RegistryError::Timeout { image, registry };
    }
    RegistryError::Connect {
        image,
        registry,
        source: Box::new(error.without_url()),
    }
}

/// Whether a certificate is at the bottom of an error.
fn is_certificate_refused(error: &RegistryError) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        next = match error.downcast_ref::<std::io::Error>() {
            // Its source is that of what it carries, and not what it carries.
            Some(error) => error.get_ref().map(|carried| carried as _),
            None => error.source(),
        };
    }
    false
}

/// Whether a redirect may be followed: not from HTTPS to HTTP, not more than ten.
pub(crate) fn redirect_policy() -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(|attempt| {
        let downgrade = attempt.url().scheme() == "http"
            && attempt.previous().iter().any(|url| url.scheme() == "https");
        if downgrade {
            attempt.error("redirect from HTTPS to HTTP")
        } else if attempt.previous().len() > 10 {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}

/// Schemes for a registry.
pub(crate) fn schemes(image: &Reference, plain_http: &[String]) -> Vec<&'static str> {
    let registry = image.registry();
    let plain = plain_http.iter().any(|host| {
        host.eq_ignore_ascii_case(registry) || host.eq_ignore_ascii_case(without_port(registry))
    });
    if plain {
        vec!["http"]
    } else if image.is_loopback() {
        vec!["https", "http"]
    } else {
        vec!["https"]
    }
}
