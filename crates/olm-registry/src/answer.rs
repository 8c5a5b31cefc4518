//! What the answers of registries mean, and their bodies, read with a limit.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use reqwest::Response;

use crate::error::RegistryError;
use crate::reference::Reference;

/// Longest error body that is looked at.
const MAX_ERROR_BODY: u64 = 16 << 10;

/// The error that an answer stands for; `anonymous` tells whether it was asked without credentials.
pub(crate) async fn failure(
    image: &Reference,
    response: Response,
    anonymous: bool,
) -> RegistryError {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let registry = image.registry().to_owned();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => refused(image, status, anonymous),
        StatusCode::NOT_FOUND => RegistryError::NotFound {
            image: image.to_string(),
        },
        StatusCode::TOO_MANY_REQUESTS => RegistryError::RateLimited {
            image: image.to_string(),
            registry,
            retry_after,
        },
        _ => RegistryError::Status {
            image: image.to_string(),
            registry,
            status,
            code: error_code(response).await,
            retry_after,
        },
    }
}

/// The error of an answer that wants other credentials.
pub(crate) fn refused(image: &Reference, status: StatusCode, anonymous: bool) -> RegistryError {
    RegistryError::Unauthorized {
        image: image.to_string(),
        status,
        anonymous,
    }
}

/// `Retry-After` in seconds. The other form, a date, is not worth a clock: registries do not use
/// it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// The code in a registry's error body (distribution spec, "Error codes"), for the message. Its
/// text is left out: it may say anything.
async fn error_code(response: Response) -> String {
    #[derive(serde::Deserialize)]
    struct Body {
        errors: Vec<Item>,
    }
    #[derive(serde::Deserialize)]
    struct Item {
        code: String,
    }
    let Ok(bytes) = read_capped(response, MAX_ERROR_BODY).await else {
        return String::new();
    };
    let code = serde_json::from_slice::<Body>(&bytes)
        .ok()
        .and_then(|body| body.errors.into_iter().next())
        .map(|item| item.code)
        .filter(|code| {
            code.len() <= 64 && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        });
    code.map_or_else(String::new, |code| format!(" ({code})"))
}

/// Why a body could not be read whole.
#[derive(Debug)]
pub(crate) enum BodyError {
    TooLarge,
    Broken {
        received: u64,
        source: reqwest::Error,
    },
}

/// A body of at most `limit` bytes.
pub(crate) async fn read_capped(mut response: Response, limit: u64) -> Result<Vec<u8>, BodyError> {
    if response
        .content_length()
        .is_some_and(|length| length > limit)
    {
        return Err(BodyError::TooLarge);
    }
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(bytes),
            Ok(Some(chunk)) => {
                if (bytes.len() + chunk.len()) as u64 > limit {
                    return Err(BodyError::TooLarge);
                }
                bytes.extend_from_slice(&chunk);
            }
            Err(e) => {
                let received = bytes.len() as u64;
                return Err(BodyError::Broken {
                    received,
                    source: e.without_url(),
                });
            }
        }
    }
}
