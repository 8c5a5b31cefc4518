//! Registries that answer oddly.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, TryStreamExt as _};
use olm_registry::push::{NewImage, NewLayer};
use olm_registry::{
    Access, Client, ClientConfig, Credentials, Digest, LayerDescriptor, Reference, RegistryError,
    Retry,
};

type Answer = Box<dyn Fn(&Method, &str, &HeaderMap, usize) -> Response + Send + Sync>;

struct Shared {
    answer: Answer,
    requests: AtomicUsize,
}

struct Registry {
    address: String,
    shared: Arc<Shared>,
}

impl Registry {
    /// A registry whose answers are those of `answer`, which is told the number of the request.
    async fn new(
        answer: impl Fn(&Method, &str, &HeaderMap, usize) -> Response + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            requests: AtomicUsize::new(0),
        });
        let router = Router::new()
            .fallback(
                |State(shared): State<Arc<Shared>>, request: Request| async move {
                    let number = shared.requests.fetch_add(1, Ordering::SeqCst);
                    let path = request.uri().to_string();
                    (shared.answer)(request.method(), &path, request.headers(), number)
                },
            )
            .with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    fn reference(&self, rest: &str) -> Reference {
        Reference::parse(&format!("{}/{rest}", self.address)).unwrap()
    }

    fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    fn client(&self) -> Client {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        Client::new(ClientConfig {
            plain_http: vec![self.address.clone()],
            retry: Retry {
                times: 2,
                delay: Duration::from_millis(1),
                longest_wait: Duration::from_secs(1),
            },
            ..ClientConfig::default()
        })
        .unwrap()
    }
}

fn basic() -> Access {
    let credentials = Credentials::Basic {
        username: "user".to_owned(),
        password: "s3cret".to_owned(),
    };
    Access {
        credentials,
        ..Access::default()
    }
}

fn layer(bytes: &[u8]) -> LayerDescriptor {
    LayerDescriptor {
        media_type: String::new(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
    }
}

async fn pull(registry: &Registry, layer: &LayerDescriptor) -> Result<Vec<u8>, RegistryError> {
    let blob = registry
        .client()
        .blob(&registry.reference("a/b:1"), layer, &Access::default())?;
    blob.try_fold(Vec::new(), |mut all, bytes| async move {
        all.extend_from_slice(&bytes);
        Ok(all)
    })
    .await
}

fn digest_header(digest: &Digest) -> [(&'static str, String); 1] {
    [("docker-content-digest", digest.to_string())]
}

#[rstest::rstest]
#[case::internal_error(500, 3)]
#[case::unavailable(503, 3)]
#[case::request_timeout(408, 3)]
#[case::too_many(429, 3)]
#[case::not_found(404, 1)]
#[case::unauthorized(401, 1)]
#[case::forbidden(403, 1)]
#[case::bad_request(400, 1)]
#[tokio::test]
async fn only_failures_in_passing_are_tried_again(#[case] status: u16, #[case] expected: usize) {
    let registry =
        Registry::new(move |_, _, _, _| StatusCode::from_u16(status).unwrap().into_response())
            .await;
    let reference = registry.reference("a/b:1");
    let error = registry
        .client()
        .resolve(&reference, &Access::default())
        .await
        .unwrap_err();
    assert_eq!(registry.requests(), expected, "{error:?}");
    assert_eq!(error.http_status().unwrap().as_u16(), status);
    assert_eq!(error.is_transient(), expected > 1);
    assert!(
        error.to_string().contains(&reference.to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn a_second_attempt_may_succeed_and_the_registrys_wish_to_wait_is_honoured() {
    let digest = Digest::of(b"x");
    let answer = digest.clone();
    let registry = Registry::new(move |_, _, _, number| match number {
        0 => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response(),
        _ => digest_header(&answer).into_response(),
    })
    .await;
    let begin = tokio::time::Instant::now();
    let found = registry
        .client()
        .resolve(&registry.reference("a:1"), &Access::default())
        .await;
    assert_eq!(found.unwrap(), digest);
    assert!(begin.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_long_wish_to_wait_is_passed_on_at_once() {
    let registry = Registry::new(|_, _, _, _| {
        (
            StatusCode::TOO_MANY_REQUESTS,
            [(header::RETRY_AFTER, "3600")],
        )
            .into_response()
    })
    .await;
    let error = registry
        .client()
        .resolve(&registry.reference("a:1"), &Access::default())
        .await
        .unwrap_err();
    assert_eq!(registry.requests(), 1);
    assert!(error.is_rate_limited());
    assert_eq!(error.retry_after(), Some(Duration::from_hours(1)));
}

#[tokio::test]
async fn a_digest_is_resolved_without_asking() {
    let registry = Registry::new(|_, _, _, _| StatusCode::NOT_FOUND.into_response()).await;
    let digest = Digest::of(b"");
    let reference = registry.reference(&format!("a@{digest}"));
    let found = registry
        .client()
        .resolve(&reference, &Access::default())
        .await
        .unwrap();
    assert_eq!((found, registry.requests()), (digest, 0));
}

#[tokio::test]
async fn a_registry_without_digest_header_or_head_is_asked_for_the_manifest() {
    for head in [StatusCode::OK, StatusCode::METHOD_NOT_ALLOWED] {
        let registry = Registry::new(move |method, _, _, _| match *method {
            Method::HEAD => head.into_response(),
            _ => "manifest".into_response(),
        })
        .await;
        let found = registry
            .client()
            .resolve(&registry.reference("a:1"), &Access::default())
            .await;
        assert_eq!(found.unwrap(), Digest::of(b"manifest"));
    }
}

#[tokio::test]
async fn a_manifest_with_another_digest_or_above_its_cap_is_refused() {
    let registry = Registry::new(|_, path, _, _| {
        if path.contains("sha256") {
            "something else".into_response()
        } else {
            vec![b' '; (4 << 20) + 1].into_response()
        }
    })
    .await;
    let wanted = Digest::of(b"manifest");
    let client = registry.client();
    let pinned = registry.reference(&format!("a@{wanted}"));
    let error = client.image(&pinned, &Access::default()).await.unwrap_err();
    assert!(
        matches!(&error, RegistryError::DigestMismatch { expected, actual, .. }
            if *expected == wanted && *actual == Digest::of(b"something else")),
        "{error:?}"
    );
    let error = client
        .image(&registry.reference("a:1"), &Access::default())
        .await
        .unwrap_err();
    assert!(
        error.to_string().ends_with("is larger than 4194304 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn a_blob_with_another_digest_is_refused_by_name() {
    let registry = Registry::new(|_, _, _, _| "evil".into_response()).await;
    let error = pull(&registry, &layer(b"good")).await.unwrap_err();
    let (good, evil) = (Digest::of(b"good"), Digest::of(b"evil"));
    assert!(
        error
            .to_string()
            .ends_with(&format!("with digest `{evil}` for `{good}`")),
        "{error}"
    );
}

#[tokio::test]
async fn a_blob_that_is_longer_than_its_descriptor_is_refused() {
    let registry = Registry::new(|_, _, _, _| "goodandmore".into_response()).await;
    let error = pull(&registry, &layer(b"good")).await.unwrap_err();
    assert!(
        matches!(error, RegistryError::TooLarge { limit: 4, .. }),
        "{error:?}"
    );
}

/// The first `n` bytes, though the length of all is promised.
fn half(bytes: &'static [u8], n: usize) -> Response {
    let parts = futures::stream::iter([
        Ok(&bytes[..n]),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ]);
    // The server sends what it has when the next part is not there yet.
    let parts = parts.then(|part| async {
        tokio::task::yield_now().await;
        part
    });
    let mut response = Body::from_stream(parts).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, bytes.len().into());
    response
}

#[tokio::test]
async fn a_body_that_breaks_off_is_taken_up_where_it_ended() {
    const BYTES: &[u8] = b"0123456789";
    for honours_ranges in [true, false] {
        let registry = Registry::new(move |_, _, headers, number| {
            if number == 0 {
                return half(BYTES, 4);
            }
            assert_eq!(headers[header::RANGE], "bytes=4-");
            if honours_ranges {
                let range = [(header::CONTENT_RANGE, "bytes 4-9/10")];
                (StatusCode::PARTIAL_CONTENT, range, &BYTES[4..]).into_response()
            } else {
                BYTES.into_response()
            }
        })
        .await;
        assert_eq!(pull(&registry, &layer(BYTES)).await.unwrap(), BYTES);
        assert_eq!(registry.requests(), 2);
    }
}

#[tokio::test]
async fn a_body_that_always_breaks_off_or_ends_early_is_an_error() {
    let broken = Registry::new(|_, _, _, _| half(b"0123456789", 4)).await;
    let error = pull(&broken, &layer(b"0123456789")).await.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("broke off after"),
        "{error}"
    );
    let short = Registry::new(|_, _, _, _| "0123".into_response()).await;
    let error = pull(&short, &layer(b"0123456789")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Body { .. }), "{error:?}");
    assert_eq!(short.requests(), 3);
}

#[tokio::test]
async fn an_empty_blob_is_read_without_asking() {
    let registry = Registry::new(|_, _, _, _| StatusCode::NOT_FOUND.into_response()).await;
    assert_eq!(pull(&registry, &layer(b"")).await.unwrap(), b"");
}

/// A registry with a token service; the password is `s3cret`.
async fn with_tokens() -> Registry {
    Registry::new(|_, path, headers, _| {
        let authorization = headers
            .get(header::AUTHORIZATION)
            .map(|v| v.to_str().unwrap());
        if path.starts_with("/token") {
            assert!(path.contains("service=reg"), "{path}");
            return match authorization {
                Some("Basic dXNlcjpzM2NyZXQ=") => {
                    r#"{"access_token":"t0ken","expires_in":300}"#.into_response()
                }
                _ => StatusCode::UNAUTHORIZED.into_response(),
            };
        }
        if authorization == Some("Bearer t0ken") {
            return digest_header(&Digest::of(b"x")).into_response();
        }
        let host = headers[header::HOST].to_str().unwrap();
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="reg""#);
        (
            StatusCode::UNAUTHORIZED,
            [(header::WWW_AUTHENTICATE, challenge)],
        )
            .into_response()
    })
    .await
}

#[tokio::test]
async fn a_token_is_fetched_once_and_kept() {
    let registry = with_tokens().await;
    let client = registry.client();
    let reference = registry.reference("a/b:1");
    for _ in 0..3 {
        client.resolve(&reference, &basic()).await.unwrap();
    }
    assert_eq!(registry.requests(), 5);
}

#[tokio::test]
async fn refused_credentials_are_not_tried_again_and_never_shown() {
    let registry = with_tokens().await;
    let client = registry.client();
    let reference = registry.reference("a/b:1");
    let credentials = Credentials::Basic {
        username: "user".to_owned(),
        password: "wr0ng".to_owned(),
    };
    let access = Access {
        credentials,
        ..Access::default()
    };
    let error = client.resolve(&reference, &access).await.unwrap_err();
    assert!(error.is_unauthorized(), "{error:?}");
    assert!(
        error.to_string().contains("asked with credentials"),
        "{error}"
    );
    assert!(!format!("{error} {error:?} {client:?} {access:?}").contains("wr0ng"));
    assert_eq!(registry.requests(), 2);
    let error = client
        .resolve(&reference, &Access::default())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("asked without credentials"),
        "{error}"
    );
}

#[tokio::test]
async fn basic_credentials_answer_a_basic_challenge_only() {
    let registry = Registry::new(|_, _, headers, _| {
        match headers
            .get(header::AUTHORIZATION)
            .map(|v| v.to_str().unwrap())
        {
            None => (
                StatusCode::UNAUTHORIZED,
                [(header::WWW_AUTHENTICATE, "Basic realm=\"x\"")],
            )
                .into_response(),
            Some("Basic dXNlcjpzM2NyZXQ=") => digest_header(&Digest::of(b"x")).into_response(),
            Some(_) => StatusCode::FORBIDDEN.into_response(),
        }
    })
    .await;
    let client = registry.client();
    let reference = registry.reference("a:1");
    client.resolve(&reference, &basic()).await.unwrap();
    let other = Credentials::RegistryToken("abc".to_owned());
    let access = Access {
        credentials: other,
        ..Access::default()
    };
    assert!(
        client
            .resolve(&reference, &access)
            .await
            .unwrap_err()
            .is_unauthorized()
    );
    assert!(
        client
            .resolve(&reference, &Access::default())
            .await
            .unwrap_err()
            .is_unauthorized()
    );
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let storage = Registry::new(|_, _, headers, _| {
        assert!(!headers.contains_key(header::AUTHORIZATION));
        "good".into_response()
    })
    .await;
    let target = format!("http://{}/x?signature=s1gned", storage.address);
    let registry = Registry::new(move |_, _, headers, _| {
        if headers.contains_key(header::AUTHORIZATION) {
            (
                StatusCode::TEMPORARY_REDIRECT,
                [(header::LOCATION, target.clone())],
            )
                .into_response()
        } else {
            (
                StatusCode::UNAUTHORIZED,
                [(header::WWW_AUTHENTICATE, "Basic")],
            )
                .into_response()
        }
    })
    .await;
    let blob = registry
        .client()
        .blob(&registry.reference("a:1"), &layer(b"good"), &basic())
        .unwrap();
    let parts: Vec<_> = blob.try_collect().await.unwrap();
    assert_eq!(parts.concat(), b"good");
    assert_eq!(storage.requests(), 1);
}

#[tokio::test]
async fn a_registry_on_this_machine_is_spoken_to_in_plain_http_if_need_be() {
    let registry =
        Registry::new(|_, _, _, _| digest_header(&Digest::of(b"x")).into_response()).await;
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new(ClientConfig::default()).unwrap();
    client
        .resolve(&registry.reference("a:1"), &Access::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let retry = Retry {
        times: 0,
        ..Retry::default()
    };
    let client = Client::new(ClientConfig {
        retry,
        ..ClientConfig::default()
    })
    .unwrap();
    let reference = Reference::parse(&format!("{address}/a:1")).unwrap();
    let error = client
        .resolve(&reference, &Access::default())
        .await
        .unwrap_err();
    assert!(error.is_transient());
    assert_eq!(
        error.to_string(),
        format!("registry `{address}` cannot be reached for image `{reference}`")
    );
}

#[tokio::test]
async fn a_registry_that_never_answers_is_given_up_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let mut config = ClientConfig {
        plain_http: vec![address.clone()],
        ..ClientConfig::default()
    };
    config.timeouts.operation = Duration::from_millis(100);
    let client = Client::new(config).unwrap();
    let reference = Reference::parse(&format!("{address}/a:1")).unwrap();
    let error = client
        .resolve(&reference, &Access::default())
        .await
        .unwrap_err();
    assert!(matches!(error, RegistryError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn a_configuration_that_drips_is_given_up_in_time() {
    let config = vec![b' '; 1 << 20];
    let descriptor = layer(&config);
    let manifest = format!(
        r#"{{"config":{{"digest":"{}","size":{}}},"layers":[]}}"#,
        descriptor.digest, descriptor.size
    );
    let pinned = Digest::of(manifest.as_bytes());
    let registry = Registry::new(move |_, path, _, _| {
        if path.contains("/manifests/") {
            return manifest.clone().into_response();
        }
        let pieces = futures::stream::repeat(()).then(|()| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok::<_, std::io::Error>(" ")
        });
        Body::from_stream(pieces).into_response()
    })
    .await;
    let mut config = registry.client().config().clone();
    config.timeouts.operation = Duration::from_millis(300);
    let client = Client::new(config).unwrap();
    let reference = registry.reference(&format!("a@{pinned}"));
    let error = client
        .image(&reference, &Access::default())
        .await
        .unwrap_err();
    assert!(matches!(error, RegistryError::Timeout { .. }), "{error:?}");
}

#[test]
fn root_certificates_that_are_none_are_refused_at_once() {
    let config = ClientConfig {
        extra_root_certificates: vec![b"no pem".to_vec()],
        ..ClientConfig::default()
    };
    assert!(matches!(
        Client::new(config),
        Err(RegistryError::Setup { .. })
    ));
}

#[tokio::test]
async fn a_push_that_no_status_explains_is_no_answer_of_the_registry() {
    // Takes the upload and does not say where.
    let registry = Registry::new(|method, _, _, _| match *method {
        Method::POST => StatusCode::ACCEPTED.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let image = |bytes: &'static [u8]| NewImage {
        layers: vec![NewLayer::tar(bytes)],
        ..NewImage::default()
    };
    let (client, reference) = (registry.client(), registry.reference("a/b:1"));
    let push = async |image| {
        let access = Access::default();
        let pushed = client.push_image(&reference, &image, &access).await;
        let error = pushed.unwrap_err();
        assert_eq!(error.http_status(), None, "{error}");
        assert!(!error.is_transient());
        error.to_string()
    };
    assert_eq!(
        push(image(b"tar")).await,
        format!(
            "image `{reference}` cannot be pushed to registry `{}`: its answer to the upload breaks \
             the distribution specification",
            registry.address
        )
    );
}
