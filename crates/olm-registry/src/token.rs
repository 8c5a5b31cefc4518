//! Bearer tokens (distribution "token" and "oauth" specs).

use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Deserialize;

use crate::answer::{BodyError, read_capped};
use crate::auth::Credentials;
use crate::error::RegistryError;
use crate::reference::Reference;
use crate::session::{Authorization, Session, failed};

/// Largest answer of a token service.
const MAX_BODY: u64 = 256 << 10;
/// Life of a token that does not say (distribution "token" spec).
const DEFAULT_LIFE: Duration = Duration::from_mins(1);
/// Longest life that is believed.
const MAX_LIFE: Duration = Duration::from_hours(1);
/// Taken off the life of a token, for clocks and the time on the way.
const MARGIN: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Body {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Asks the token service that the registry named.
pub(crate) async fn fetch(
    session: &Session,
    image: &Reference,
    realm: &str,
    service: Option<&str>,
    scope: &str,
) -> Result<Authorization, RegistryError> {
    let unusable = || RegistryError::Token {
        image: image.to_string(),
        registry: image.registry().to_owned(),
    };
    let mut url = reqwest::Url::parse(realm).map_err(|_| unusable())?;
    // Credentials do not leave in the clear where the registry itself is asked in HTTPS.
    if url.scheme() != "https" && !(url.scheme() == "http" && session.scheme() == "http") {
        return Err(unusable());
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    let request = match session.credentials() {
        Credentials::IdentityToken(refresh) => {
            let mut form = vec![
                ("grant_type", "refresh_token"),
                ("client_id", "olm-rs"),
                ("refresh_token", refresh),
                ("scope", scope),
            ];
            form.extend(service.map(|service| ("service", service)));
            let mut encoded = reqwest::Url::parse("form:").map_err(|_| unusable())?;
            encoded.query_pairs_mut().extend_pairs(form);
            session
                .http()
                .post(url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(encoded.query().unwrap_or_default().to_owned())
        }
        credentials => {
            {
                let mut query = url.query_pairs_mut();
                query.append_pair("scope", scope);
                if let Some(service) = service {
                    query.append_pair("service", service);
                }
            }
            let request = session.http().get(url);
            match credentials {
                Credentials::Basic { username, password } => {
                    request.basic_auth(username, Some(password))
                }
                _ => request,
            }
        }
    };
    let response = request.send().await.map_err(|e| failed(image, &host, e))?;
    match response.status() {
        status if status.is_success() => {}
        // Token services answer a wrong password with any of these.
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
            return Err(session.refused(image, StatusCode::UNAUTHORIZED));
        }
        _ => return Err(session.failure(image, response).await),
    }
    let bytes = match read_capped(response, MAX_BODY).await {
        Ok(bytes) => bytes,
        Err(BodyError::TooLarge) => return Err(unusable()),
        Err(BodyError::Broken { source, .. }) => return Err(failed(image, &host, source)),
    };
    let body: Body = serde_json::from_slice(&bytes).map_err(|_| unusable())?;
    let token = body
        .token
        .or(body.access_token)
        .filter(|token| !token.is_empty());
    let life = body.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs);
    Ok(Authorization::Bearer {
        token: token.ok_or_else(unusable)?,
        expires: Instant::now() + life.min(MAX_LIFE).saturating_sub(MARGIN),
    })
}
