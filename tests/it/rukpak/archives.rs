//! Bundles from archives on web servers.

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use olm_fs::pack;
use olm_tests::certificates::Authority;
use olm_tests::git::{GitServer, GitServerOptions};
use olm_tests::{Suite, SuiteOptions, Wait, scratch};
use olm_tree::MemoryTree;
use serde_json::{Value, json};

use super::cluster::{PLAIN, RukpakCluster};
use super::contents;
use super::objects::config_map;
use super::status::why;

fn archive(value: &str) -> Result<Vec<u8>> {
    let mut tree = MemoryTree::new();
    let object = config_map("default", "archived", value).to_string();
    tree.insert("manifests/a.yaml", object)?;
    let mut bytes = Vec::new();
    pack::tar_gz(&tree, &pack::Options::default(), &mut bytes)?;
    Ok(bytes)
}

fn http(url: &str, secret: &str) -> Value {
    json!({"type": "http", "http": {"url": url, "auth": {"secret": {"name": secret}}}})
}

#[tokio::test]
async fn an_archive_is_unpacked_and_must_stay_what_it_was() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let authority = Authority::new("olm-test-archives")?;
    let identity = authority.server(&["localhost"])?;
    let folder = scratch::subdirectory("archives")?;
    let options = GitServerOptions {
        user: Some(("ann".to_owned(), "geheim".to_owned())),
        identity: Some((identity.certificate, identity.key)),
        ..GitServerOptions::default()
    };
    let server = GitServer::start(&folder, options).await?;
    std::fs::write(folder.join("a.tgz"), archive("1")?)?;
    std::fs::write(folder.join("text"), "no archive")?;
    let secrets: Api<Secret> = Api::namespaced(fixture.client.clone(), fixture.suite.namespace());
    let secret = serde_json::from_value(json!({
        "metadata": {"name": "archives"}, "type": "kubernetes.io/basic-auth",
        "stringData": {
            "username": "ann", "password": "geheim", "ca.crt": authority.certificate(),
        },
    }))?;
    secrets.create(&PostParams::default(), &secret).await?;

    let source = http(&server.url("a.tgz"), "archives");
    fixture.create("archive", PLAIN, source.clone()).await?;
    let bundle = fixture.unpacked("archive", "UnpackSuccessful").await?;
    assert_eq!(why(&bundle), "Successfully unpacked the http Bundle");
    let status = bundle.status.context("no status")?;
    assert_eq!(serde_json::to_value(&status.resolved_source)?, source);
    let digest = status.content_digest.context("no digest")?;
    for (name, text) in [
        ("text", "gzip: invalid header"),
        ("none", "unexpected status \"404 Not Found\""),
    ] {
        fixture
            .create(name, PLAIN, http(&server.url(name), "archives"))
            .await?;
        let found = why(&fixture.unpacked(name, "UnpackFailed").await?);
        assert!(found.starts_with("source bundle content: "), "{found}");
        assert!(found.ends_with(text), "{found}");
    }
    // Without the Secret there is neither the authority nor the password.
    let mut open = http(&server.url("a.tgz"), "");
    fixture.create("unknown", PLAIN, open.clone()).await?;
    let found = why(&fixture.unpacked("unknown", "UnpackFailed").await?);
    assert!(found.contains("UnknownIssuer"), "{found}");
    open["http"]["auth"] = json!({"insecureSkipVerify": true});
    fixture.create("stranger", PLAIN, open).await?;
    let found = why(&fixture.unpacked("stranger", "UnpackFailed").await?);
    let expected = "unexpected status \"401 Unauthorized\"";
    assert!(found.ends_with(expected), "{found}");
    // Types that say what they are not were the end of the upstream controller.
    let file = json!({"type": "http", "http": {"url": "file:///etc/passwd"}});
    fixture.create("file", PLAIN, file).await?;
    let found = why(&fixture.unpacked("file", "UnpackFailed").await?);
    assert!(
        found.contains("unsupported protocol scheme \"file\""),
        "{found}"
    );

    // Other content under the URL is never taken for the first.
    std::fs::write(folder.join("a.tgz"), archive("2")?)?;
    fixture.suite.kill("rukpak")?;
    contents::remove_all(fixture.suite.directory())?;
    fixture.suite.start_component("rukpak").await?;
    let found = why(&fixture.unpacked("archive", "UnpackFailed").await?);
    let expected = format!("expected files with the digest {digest}, found sha256:");
    assert!(found.contains(&expected), "{found}");
    std::fs::write(folder.join("a.tgz"), archive("1")?)?;
    fixture.unpacked("archive", "UnpackSuccessful").await?;
    assert!(!fixture.suite.log("rukpak")?.contains("geheim"));
    Ok(())
}

#[tokio::test]
async fn hosts_on_the_node_itself_are_refused_unless_they_are_allowed() -> Result<()> {
    let cluster = olm_tests::ControlPlane::own().await?;
    let options = SuiteOptions::default();
    let suite = Suite::start_only(&cluster, options, &["rukpak-webhooks", "rukpak"]).await?;
    let client = cluster.client().await?;
    let bundles: Api<olm_api::bundle::Bundle> = Api::all(client);
    let git = |url: &str| json!({"type": "git", "git": {"repository": url, "ref": {"tag": "a"}}});
    for (name, source) in [
        (
            "metadata",
            http("http://169.254.169.254/latest/meta-data", ""),
        ),
        ("loopback", http("http://127.0.0.1:8080/metrics", "")),
        ("mapped", http("http://[::ffff:7f00:1]/", "")),
        ("name", git("https://localhost/a.git")),
        ("ssh", git("ssh://git@127.0.0.1/a.git")),
    ] {
        let mut source = source;
        if name == "ssh" {
            source["git"]["auth"] = json!({"insecureSkipVerify": true});
        }
        let bundle = serde_json::from_value(json!({
            "apiVersion": "core.rukpak.io/v1alpha1", "kind": "Bundle", "metadata": {"name": name},
            "spec": {"provisionerClassName": PLAIN, "source": source},
        }))?;
        bundles.create(&PostParams::default(), &bundle).await?;
        let bundle = Wait::new("the Bundle fails")
            .logs(&suite)
            .object(&bundles, name, |bundle| {
                olm_tests::wait::is_because(bundle, "Unpacked", "UnpackFailed")
            })
            .await?;
        let found = why(&bundle);
        let expected = match name {
            "ssh" => "needs a Secret with `ssh-privatekey`",
            _ => "which is a loopback or link-local address",
        };
        assert!(found.contains(expected), "{name}: {found}");
    }
    Ok(())
}

#[tokio::test]
async fn a_redirect_to_the_node_itself_is_refused() -> Result<()> {
    type Asked = Arc<Mutex<Vec<String>>>;
    /// Answers for every host as its proxy, with a redirect to where the path says.
    async fn answer(State(asked): State<Asked>, request: Request) -> impl IntoResponse {
        asked.lock().unwrap().push(request.uri().to_string());
        let target = match request.uri().path() {
            "/loopback" => "http://127.0.0.1:8080/metrics",
            "/name" => "http://localhost:8080/metrics",
            "/again" => "/metadata",
            _ => "http://169.254.169.254/latest/meta-data",
        };
        (StatusCode::FOUND, [(LOCATION, target)])
    }
    let asked = Asked::default();
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&asked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let proxy = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut options = SuiteOptions::default();
    let environment = [("http_proxy", &*proxy), ("no_proxy", "127.0.0.1,localhost")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    options
        .environment
        .insert("rukpak".to_owned(), environment.to_vec());
    let cluster = olm_tests::ControlPlane::own().await?;
    let suite = Suite::start_only(&cluster, options, &["rukpak-webhooks", "rukpak"]).await?;
    let bundles: Api<olm_api::bundle::Bundle> = Api::all(cluster.client().await?);
    for (name, refused) in [
        ("loopback", "the host `127.0.0.1` is at 127.0.0.1"),
        ("name", "the host `localhost` is at "),
        (
            "metadata",
            "the host `169.254.169.254` is at 169.254.169.254",
        ),
        ("again", "the host `169.254.169.254` is at 169.254.169.254"),
    ] {
        let url = format!("http://archives.example.com/{name}");
        let bundle = serde_json::from_value(json!({
            "apiVersion": "core.rukpak.io/v1alpha1", "kind": "Bundle", "metadata": {"name": name},
            "spec": {"provisionerClassName": PLAIN, "source": http(&url, "")},
        }))?;
        bundles.create(&PostParams::default(), &bundle).await?;
        let bundle = Wait::new("the Bundle fails")
            .logs(&suite)
            .object(&bundles, name, |bundle| {
                olm_tests::wait::is_because(bundle, "Unpacked", "UnpackFailed")
            })
            .await?;
        assert!(why(&bundle).contains(refused), "{name}: {}", why(&bundle));
        // It is the redirect that was refused, not the URL that the Bundle names.
        assert!(asked.lock().unwrap().contains(&url), "{url} was not asked");
    }
    // What is link-local was not asked through the proxy either.
    let asked = asked.lock().unwrap().clone();
    assert!(
        asked
            .iter()
            .all(|url| url.starts_with("http://archives.example.com/"))
    );
    Ok(())
}
