//! A registry that is away, slow or lying: the condition says so, the last good content is served,
//! and it heals without help.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use kube::api::DeleteParams;
use olm_tests::catalogd::{CATALOGD, Catalogd, last_poll, message, package};
use olm_tests::{Wait, wait};
use serde_json::json;
use tokio::net::TcpListener;

/// What is wrong with the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing.
    None,
    /// Bodies of blobs break off in the middle.
    HalfBlobs,
    /// Bodies of manifests break off in the middle.
    HalfManifests,
    /// It wants to be left alone for two seconds.
    TooManyRequests,
    /// It is broken.
    Unavailable,
    /// It takes requests and says nothing.
    Silent,
    /// Blobs are other bytes than their digest says.
    OtherBlobs,
    /// Manifests are other bytes than their digest says.
    OtherManifests,
    /// It refuses every token.
    NoToken,
}

/// A registry in front of a real one that wants tokens, each of which it takes a few times.
#[derive(Clone, Debug)]
struct FaultyRegistry {
    address: SocketAddr,
    upstream: String,
    client: reqwest::Client,
    state: Arc<Mutex<Tokens>>,
}

#[derive(Debug)]
struct Tokens {
    fault: Fault,
    /// Number of the token that is taken.
    current: usize,
    /// How many requests it is still taken for.
    left: usize,
}

/// Requests that one token is taken for.
const TOKEN_LASTS: usize = 5;

impl FaultyRegistry {
    /// Will answer at `listener` once it is served.
    fn start_at(listener: &TcpListener) -> Result<Self> {
        olm_tests::certificates::install_provider();
        Ok(Self {
            address: listener.local_addr()?,
            upstream: String::new(),
            client: reqwest::Client::new(),
            state: Arc::new(Mutex::new(Tokens {
                fault: Fault::None,
                current: 0,
                left: 0,
            })),
        })
    }

    fn serve(&self, listener: TcpListener, upstream: String) {
        let this = Self {
            upstream,
            ..self.clone()
        };
        tokio::spawn(async move {
            let router = Router::new().fallback(answer).with_state(this);
            axum::serve(listener, router).await.unwrap();
        });
    }

    fn fail(&self, fault: Fault) {
        self.state.lock().unwrap().fault = fault;
    }

    fn fault(&self) -> Fault {
        self.state.lock().unwrap().fault
    }

    /// A new token, which takes the place of the one before.
    fn token(&self) -> Response {
        let mut state = self.state.lock().unwrap();
        state.current += 1;
        state.left = TOKEN_LASTS;
        let token = format!("token-{}", state.current);
        json!({"token": token, "expires_in": 3600})
            .to_string()
            .into_response()
    }

    fn takes(&self, headers: &HeaderMap) -> bool {
        let mut state = self.state.lock().unwrap();
        let given = headers.get(header::AUTHORIZATION);
        let wanted = format!("Bearer token-{}", state.current);
        if state.fault == Fault::NoToken
            || state.left == 0
            || given.is_none_or(|given| given != wanted.as_str())
        {
            return false;
        }
        state.left -= 1;
        true
    }

    fn challenge(&self) -> Response {
        let realm = format!(
            "Bearer realm=\"http://{}/token\",service=\"faulty\",error=\"invalid_token\"",
            self.address
        );
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"the token has expired"}]}"#;
        let challenge = [(header::WWW_AUTHENTICATE, realm)];
        (StatusCode::UNAUTHORIZED, challenge, body).into_response()
    }
}

async fn answer(State(registry): State<FaultyRegistry>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    let path = request.uri.path();
    if path == "/token" {
        return registry.token();
    }
    let fault = registry.fault();
    match fault {
        Fault::TooManyRequests => {
            let after = [(header::RETRY_AFTER, "2")];
            return (StatusCode::TOO_MANY_REQUESTS, after, "slow down").into_response();
        }
        Fault::Unavailable => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Fault::Silent => {
            // Until whoever asked has gone.
            return std::future::pending().await;
        }
        _ => {}
    }
    if !registry.takes(&request.headers) {
        return registry.challenge();
    }
    let blob = path.contains("/blobs/");
    let manifest = path.contains("/manifests/");
    let url = format!("{}{}", registry.upstream, request.uri);
    let mut asked = registry.client.request(request.method.clone(), url);
    if let Some(accept) = request.headers.get(header::ACCEPT) {
        asked = asked.header(header::ACCEPT, accept);
    }
    let Ok(answer) = asked.send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if name != header::CONNECTION && name != header::TRANSFER_ENCODING {
            response = response.header(name, value);
        }
    }
    if request.method == Method::HEAD {
        return response.body(Body::empty()).unwrap();
    }
    let bytes = answer.bytes().await.unwrap_or_default();
    let other = blob && fault == Fault::OtherBlobs || manifest && fault == Fault::OtherManifests;
    let half = blob && fault == Fault::HalfBlobs || manifest && fault == Fault::HalfManifests;
    let body = if other {
        let mut bytes = bytes.to_vec();
        if let Some(byte) = bytes.iter_mut().find(|byte| **byte == b'a') {
            *byte = b'b';
        }
        Body::from(bytes)
    } else if half {
        let first = bytes.slice(..bytes.len() / 2);
        let first = futures::stream::once(async { Ok(first) });
        let broken = futures::stream::once(async {
            // What came before has to be sent, else the answer never began.
            tokio::task::yield_now().await;
            Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
        });
        Body::from_stream(first.chain(broken))
    } else {
        Body::from(bytes)
    };
    response.body(body).unwrap()
}

struct World {
    catalogd: Catalogd,
    registry: FaultyRegistry,
}

impl World {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let registry = FaultyRegistry::start_at(&listener)?;
        let catalogd = Catalogd::with([registry.address.to_string()], []).await?;
        registry.serve(listener, catalogd.registry.url());
        Ok(Self { catalogd, registry })
    }

    /// The reference of a repository behind the faulty registry.
    fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.address)
    }
}

/// What the condition says of each fault, in its order: the begin, and something that it contains.
const FAULTS: [(Fault, &str, &str); 8] = [
    (
        Fault::HalfBlobs,
        "source bundle content: error unpacking image: ",
        "",
    ),
    (Fault::HalfManifests, "source bundle content: error", ""),
    (
        Fault::TooManyRequests,
        "source bundle content: error fetching image descriptor: ",
        "429",
    ),
    (
        Fault::Unavailable,
        "source bundle content: error fetching image descriptor: ",
        "503",
    ),
    (Fault::Silent, "source bundle content: ", ""),
    (
        Fault::OtherBlobs,
        "source bundle content: error unpacking image: ",
        "sha256:",
    ),
    (Fault::OtherManifests, "source bundle content: error", ""),
    (
        Fault::NoToken,
        "source bundle content: error fetching image descriptor: ",
        "401",
    ),
];

/// A silent registry is given up after this at the latest; two minutes are granted for one question.
const PATIENCE: Duration = Duration::from_mins(4);

#[tokio::test]
async fn each_fault_is_named_the_last_good_content_is_served_and_it_heals_by_itself() -> Result<()>
{
    let world = World::start().await?;
    let catalogd = &world.catalogd;
    let objects = catalogd.catalogs().await?;
    let http = catalogd.http().await?;
    // One catalog for each fault, so that none waits for the backoff of another.
    for (number, (fault, begin, contains)) in FAULTS.into_iter().enumerate() {
        let name = format!("fault-{number}");
        catalogd
            .publish(&format!("{name}:latest"), &package("good"))
            .await?;
        let reference = world.reference(&format!("{name}:latest"));
        catalogd
            .create(&name, json!({"ref": reference, "pollInterval": "1s"}))
            .await?;
        let good = catalogd.unpacked(&name, "True").await?;
        world.registry.fail(fault);
        let lines = package(&format!("news-{number}"));
        catalogd.publish(&format!("{name}:latest"), &lines).await?;
        let ill = Wait::new(format!("{fault:?} is reported"))
            .within(PATIENCE)
            .logs(&catalogd.suite)
            .object(&objects, &name, |catalog| {
                wait::has_condition(catalog, "Unpacked", "False")
            })
            .await?;
        let ill = ill.status.unwrap_or_default();
        let text = message(&ill).to_owned();
        ensure!(text.starts_with(begin), "{fault:?}: {text}");
        ensure!(text.contains(contains), "{fault:?}: {text}");
        assert_eq!(ill.content_digest, good.content_digest, "{fault:?}");
        let digest = ill.content_digest.clone().unwrap_or_default();
        let serving = format!("; still serving the content {digest} of the image ");
        ensure!(text.contains(&serving), "{fault:?}: {text}");
        assert_eq!(ill.phase.as_deref(), Some("Failing"), "{fault:?}");
        assert_eq!(ill.content_url, good.content_url, "{fault:?}");
        let stalled = ill.conditions.iter().any(|row| row.type_ == "Stalled");
        assert!(!stalled, "{fault:?} is over some day");
        let url = catalogd.url(CATALOGD, &name, "all.json")?;
        let asked = http.get(&url).header("if-match", format!("\"{digest}\""));
        let served = asked.send().await?.error_for_status()?.text().await?;
        assert_eq!(served, package("good"), "{fault:?}");

        world.registry.fail(Fault::None);
        let wanted = olm_fs::Digest::of(lines.as_bytes()).to_string();
        Wait::new(format!("it heals from {fault:?}"))
            .within(PATIENCE)
            .logs(&catalogd.suite)
            .object(&objects, &name, |catalog| {
                let status = catalog.status.as_ref();
                wait::has_condition(catalog, "Unpacked", "True")
                    && status.is_some_and(|status| status.content_digest.as_ref() == Some(&wanted))
            })
            .await?;
        assert_eq!(http.get(&url).send().await?.text().await?, lines);
        objects.delete(&name, &DeleteParams::default()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn tokens_that_expire_are_renewed_without_a_word() -> Result<()> {
    let world = World::start().await?;
    let catalogd = &world.catalogd;
    catalogd.publish("tokens:latest", &package("one")).await?;
    let reference = world.reference("tokens:latest");
    catalogd
        .create("tokens", json!({"ref": reference, "pollInterval": "1s"}))
        .await?;
    let mut polled = last_poll(&catalogd.unpacked("tokens", "True").await?);
    let since = |status: &olm_api::catalog::CatalogStatus| {
        let row = status.conditions.iter().find(|row| row.type_ == "Unpacked");
        row.map(|row| row.last_transition_time.clone())
    };
    let first = since(&catalogd.unpacked("tokens", "True").await?);
    for round in 0..8 {
        let status = catalogd
            .status("a poll", "tokens", |status| last_poll(status) > polled)
            .await?;
        polled = last_poll(&status);
        assert_eq!(since(&status), first, "it failed in round {round}");
    }
    ensure!(
        world.registry.state.lock().unwrap().current > 1,
        "no token expired"
    );
    Ok(())
}
