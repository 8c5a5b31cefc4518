//! A token service for registries (distribution "token" and "oauth" specs): it gives tokens for the
//! credentials of one user, which the registry verifies with the service's certificate.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ED25519, SigningKey};
use reqwest::Url;
use serde_json::{Value, json};

use crate::registry::RegistryAuth;

const ISSUER: &str = "olm-test-tokens";
const SERVICE: &str = "olm-test-registry";
/// Life of a token, in seconds.
const LIFE: u64 = 300;
/// Largest request.
const MAX_BODY: usize = 64 << 10;

/// Who is given tokens with rights; anybody else who tries a password or another refresh token is
/// refused, and who tries nothing gets a token without rights.
#[derive(Clone, Debug)]
pub struct TokenUser {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
    /// A refresh token in place of both.
    pub refresh_token: String,
}

/// One question for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAsked {
    /// Whether a password or a refresh token came with it.
    pub with_credentials: bool,
    /// What was asked for: `repository:NAME:ACTIONS`.
    pub scope: String,
    /// The answer.
    pub status: u16,
}

/// The service; it serves on a free loopback port for as long as the runtime lives.
#[derive(Debug)]
pub struct TokenServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    user: TokenUser,
    key: KeyPair,
    /// The key's certificate, as PEM and as tokens carry it.
    certificate: (String, String),
    asked: Mutex<Vec<TokenAsked>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl TokenServer {
    /// Starts it for one user.
    ///
    /// # Errors
    /// When there is no port or no key.
    pub async fn start(user: TokenUser) -> Result<Self> {
        // The only signatures that certificates and JSON Web Tokens write alike.
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, ISSUER.to_owned());
        let certificate = params.self_signed(&key)?;
        let shared = Arc::new(Shared {
            user,
            key,
            certificate: (certificate.pem(), STANDARD.encode(certificate.der())),
            asked: Mutex::default(),
        });
        let router = Router::new()
            .fallback(serve)
            .with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, shared })
    }

    /// What a registry that trusts this service is started with.
    pub fn registry(&self) -> RegistryAuth {
        RegistryAuth::Token {
            realm: format!("http://{}/token", self.address),
            service: SERVICE.to_owned(),
            issuer: ISSUER.to_owned(),
            certificates: self.shared.certificate.0.clone(),
        }
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<TokenAsked> {
        let asked = &self.shared.asked;
        asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match shared.answer(request).await {
        Ok((StatusCode::OK, token)) => axum::Json(token).into_response(),
        Ok((status, _)) => status.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    }
}

impl Shared {
    async fn answer(&self, request: Request) -> Result<(StatusCode, Value)> {
        let (head, body) = request.into_parts();
        let basic = head.headers.get(AUTHORIZATION).cloned();
        let body = to_bytes(body, MAX_BODY).await?;
        // A question by GET has its parameters in the URL, one by POST in its body.
        let form = String::from_utf8(body.to_vec())?;
        let query = head.uri.query().unwrap_or(&form);
        let mut url = Url::parse("http://tokens.invalid/")?;
        url.set_query(Some(query));
        let parameters: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        let parameter = |name: &str| parameters.get(name).map(String::as_str);
        let refresh = parameter("refresh_token");
        let with_credentials = basic.is_some() || refresh.is_some();
        let pair = STANDARD.encode(format!("{}:{}", self.user.name, self.user.password));
        let is_known = basic.is_some_and(|basic| basic == format!("Basic {pair}"))
            || refresh == Some(&self.user.refresh_token);
        let scope = parameter("scope").context("no scope")?;
        let status = if with_credentials && !is_known {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::OK
        };
        let asked = TokenAsked {
            with_credentials,
            scope: scope.to_owned(),
            status: status.as_u16(),
        };
        let log = &self.asked;
        log.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(asked);
        let token = self.token(is_known.then_some(scope))?;
        // The two ways of asking have names of their own for it.
        let name = if refresh.is_some() {
            "access_token"
        } else {
            "token"
        };
        Ok((status, json!({name: token, "expires_in": LIFE})))
    }

    /// A token with the rights that were asked for, or with none.
    fn token(&self, scope: Option<&str>) -> Result<String> {
        let mut access = Vec::new();
        if let Some(scope) = scope {
            let (kind, rest) = scope.split_once(':').context("no kind in the scope")?;
            let (name, actions) = rest.rsplit_once(':').context("no actions in the scope")?;
            let actions: Vec<_> = actions.split(',').collect();
            access.push(json!({"type": kind, "name": name, "actions": actions}));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let header = json!({"typ": "JWT", "alg": "EdDSA", "x5c": [self.certificate.1]});
        let claims = json!({
            "iss": ISSUER, "sub": self.user.name, "aud": [SERVICE], "access": access,
            "iat": now, "nbf": now, "exp": now + LIFE, "jti": "1",
        });
        let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = signed.join(".");
        let signature = self.key.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
