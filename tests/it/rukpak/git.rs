//! Bundles from git repositories, over https and ssh.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::PostParams;
use olm_tests::certificates::Authority;
use olm_tests::git::{GitRepository, GitServer, GitServerOptions};
use olm_tests::{Wait, scratch, wait};
use serde_json::{Value, json};

use super::cluster::{PLAIN, RukpakCluster};
use super::contents;
use super::objects::config_map;
use super::ssh_server::{SshServer, wrong_host};
use super::status::{message, why};

const OPAQUE: &str = "Opaque";
const BASIC: &str = "kubernetes.io/basic-auth";
const SSH: &str = "kubernetes.io/ssh-auth";

/// A web server with TLS in front of `combo.git`, which needs a password where one is given.
struct Forge {
    repository: GitRepository,
    server: GitServer,
    authority: String,
    folder: std::path::PathBuf,
}

impl Forge {
    async fn start(user: Option<(&str, &str)>) -> Result<Self> {
        let authority = Authority::new("olm-test-forge")?;
        let identity = authority.server(&["localhost", "127.0.0.1"])?;
        let folder = scratch::subdirectory("forge")?;
        let repository = GitRepository::create(&folder, "combo.git").await?;
        let options = GitServerOptions {
            user: user.map(|(user, password)| (user.to_owned(), password.to_owned())),
            identity: Some((identity.certificate, identity.key)),
            redirects: Vec::new(),
        };
        Ok(Self {
            server: GitServer::start(&folder, options).await?,
            repository,
            authority: authority.certificate(),
            folder,
        })
    }

    /// Commits a bundle with one ConfigMap.
    async fn commit(&self, name: &str, value: &str) -> Result<String> {
        let object = config_map("default", name, value).to_string();
        let files = [
            ("manifests/a.yaml", object.as_str()),
            ("dev/deploy/manifests/a.yaml", object.as_str()),
            ("README.md", "A bundle."),
        ];
        self.repository.commit("main", &files).await
    }
}

async fn secret(fixture: &RukpakCluster, name: &str, kind: &str, data: Value) -> Result<()> {
    secret_with(fixture, name, kind, data, json!({})).await
}

async fn secret_with(
    fixture: &RukpakCluster,
    name: &str,
    kind: &str,
    data: Value,
    mut metadata: Value,
) -> Result<()> {
    metadata["name"] = json!(name);
    let secret =
        serde_json::from_value(json!({"metadata": metadata, "type": kind, "stringData": data}))?;
    let secrets: Api<Secret> = Api::namespaced(fixture.client.clone(), fixture.suite.namespace());
    secrets.create(&PostParams::default(), &secret).await?;
    Ok(())
}

fn released() -> Value {
    json!({"labels": {"core.rukpak.io/source-secret": "true"}})
}

fn git(repository: &str, reference: &Value, secret: &str) -> Value {
    json!({"type": "git", "git": {
        "repository": repository, "ref": reference, "auth": {"secret": {"name": secret}},
    }})
}

#[tokio::test]
async fn a_repository_behind_https_is_unpacked_and_pinned_to_its_commit() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let forge = Forge::start(None).await?;
    let url = forge.server.url("combo.git");
    let old = forge.commit("first", "1").await?;
    forge.repository.git(&["tag", "v0.0.1"]).await.ok();
    forge
        .repository
        .git(&["update-ref", "refs/tags/v0.0.1", &old])
        .await?;
    let new = forge.commit("second", "2").await?;
    let authority = json!({"ca.crt": forge.authority});
    secret_with(&fixture, "forge", OPAQUE, authority, released()).await?;
    for (name, reference, commit) in [
        ("commit", json!({"commit": old}), &old),
        ("tag", json!({"tag": "v0.0.1"}), &old),
        ("branch", json!({"branch": "main"}), &new),
    ] {
        fixture
            .create(name, PLAIN, git(&url, &reference, "forge"))
            .await?;
        let bundle = fixture.unpacked(name, "UnpackSuccessful").await?;
        assert_eq!(why(&bundle), "Successfully unpacked the git Bundle");
        let status = bundle.status.context("no status")?;
        let resolved = serde_json::to_value(status.resolved_source)?;
        let expected = git(&url, &json!({"commit": commit}), "forge");
        assert_eq!(resolved, expected, "{name}");
        let digest = status.content_digest.context("no digest")?;
        ensure!(
            contents::holds(fixture.suite.directory(), &digest)?,
            "{name}: {digest}"
        );
    }
    // Another directory, and no check of the certificate.
    let mut source = git(&url, &json!({"branch": "main"}), "");
    source["git"]["directory"] = json!("./dev/deploy");
    source["git"]["auth"] = json!({"insecureSkipVerify": true});
    fixture.create("directory", PLAIN, source).await?;
    fixture.unpacked("directory", "UnpackSuccessful").await?;

    // The branch moves and the storage is lost: the same commit comes back.
    forge.commit("third", "3").await?;
    let before = fixture.bundles.get("branch").await?.status;
    fixture.suite.kill("rukpak")?;
    ensure!(contents::remove_all(fixture.suite.directory())? > 0);
    fixture.suite.start_component("rukpak").await?;
    let digest = before
        .as_ref()
        .and_then(|status| status.content_digest.clone());
    let digest = digest.context("no digest")?;
    Wait::new("the content is fetched again")
        .logs(&fixture.suite)
        .value(async || Ok(contents::holds(fixture.suite.directory(), &digest)?.then_some(())))
        .await?;
    let after = fixture.unpacked("branch", "UnpackSuccessful").await?.status;
    let pins = |status: Option<olm_api::bundle::BundleStatus>| {
        status.map(|status| (status.resolved_source, status.content_digest))
    };
    assert_eq!(pins(after), pins(before));

    // It installs, and a template whose tag is not there leaves what runs.
    let template = |reference: Value| {
        json!({"template": {"spec": {"provisionerClassName": PLAIN,
               "source": git(&url, &reference, "forge")}}})
    };
    fixture
        .deploy_with("combo", PLAIN, "", template(json!({"tag": "v0.0.1"})))
        .await?;
    fixture.installed("combo").await?;
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "default");
    assert!(maps.get_opt("first").await?.is_some());
    fixture
        .deploy_with("combo", PLAIN, "", template(json!({"tag": "v9"})))
        .await?;
    let failed = fixture
        .said("combo", "HasValidBundle", "UnpackFailed")
        .await?;
    let text = message(&failed, "HasValidBundle");
    assert!(text.starts_with("Failed to unpack the combo-"), "{text}");
    assert!(
        text.ends_with("couldn't find remote ref \"refs/tags/v9\""),
        "{text}"
    );
    let installed = wait::condition(&failed, "Installed");
    assert_eq!(installed.map(|row| row["status"] == "True"), Some(true));
    assert_eq!(fixture.bundles_of("combo").await?.len(), 2);
    fixture.uninstall("combo").await
}

#[tokio::test]
async fn a_private_repository_opens_only_to_secrets_that_bundles_may_name() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let forge = Forge::start(Some(("ann", "geheim"))).await?;
    forge.commit("private", "1").await?;
    let url = forge.server.url("combo.git");
    let data = json!({"username": "ann", "password": "geheim", "ca.crt": forge.authority});
    let bound = |hosts: &str| json!({"annotations": {"core.rukpak.io/allowed-hosts": hosts}});
    secret_with(&fixture, "labelled", OPAQUE, data.clone(), released()).await?;
    secret(&fixture, "unlabelled", OPAQUE, data.clone()).await?;
    secret(&fixture, "basic", BASIC, data.clone()).await?;
    secret_with(&fixture, "bound", BASIC, data.clone(), bound("localhost")).await?;
    secret_with(
        &fixture,
        "elsewhere",
        BASIC,
        data.clone(),
        bound("example.com"),
    )
    .await?;
    let wrong = json!({"username": "ann", "password": "falsch", "ca.crt": forge.authority});
    secret(&fixture, "wrong", BASIC, wrong).await?;
    let main = json!({"branch": "main"});
    for name in ["labelled", "basic", "bound"] {
        fixture.create(name, PLAIN, git(&url, &main, name)).await?;
        fixture.unpacked(name, "UnpackSuccessful").await?;
    }
    let namespace = fixture.suite.namespace();
    for (name, begin, end) in [
        (
            "unlabelled",
            format!("configuring Auth error: secret `{namespace}/unlabelled` is of type `Opaque`"),
            "with the label `core.rukpak.io/source-secret: \"true\"`",
        ),
        (
            "elsewhere",
            format!("configuring Auth error: secret `{namespace}/elsewhere` is not for the host"),
            "its annotation `core.rukpak.io/allowed-hosts` lacks it",
        ),
        (
            "missing",
            format!("configuring Auth error: cannot read secret `{namespace}/missing`: "),
            "not found",
        ),
        (
            "wrong",
            "bundle unpack git clone error: GET https://localhost:".to_owned(),
            "unexpected status \"401 Unauthorized\"",
        ),
    ] {
        fixture.create(name, PLAIN, git(&url, &main, name)).await?;
        let text = why(&fixture.unpacked(name, "UnpackFailed").await?);
        let begin = format!("source bundle content: {begin}");
        assert!(text.starts_with(&begin) && text.contains(end), "{text}");
        assert!(
            !text.contains("geheim") && !text.contains("falsch"),
            "{text}"
        );
    }
    let log = fixture.suite.log("rukpak")?;
    assert!(!log.contains("geheim") && !log.contains("falsch"));
    Ok(())
}

#[tokio::test]
async fn a_repository_behind_ssh_opens_to_its_key_and_must_be_the_known_one() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let forge = Forge::start(None).await?;
    let commit = forge.commit("ssh", "1").await?;
    let server = SshServer::start(&forge.folder).await?;
    let (key, known) = (server.private_key()?, server.known_hosts()?);
    let wrong = wrong_host(&known)?;
    for (name, data) in [
        (
            "known",
            json!({"ssh-privatekey": key, "ssh-knownhosts": known}),
        ),
        (
            "wrong",
            json!({"ssh-privatekey": key, "ssh-knownhosts": wrong}),
        ),
        ("unknown", json!({"ssh-privatekey": key})),
    ] {
        secret(&fixture, name, SSH, data).await?;
    }
    let url = server.url("combo.git");
    let main = json!({"branch": "main"});
    fixture
        .create("known", PLAIN, git(&url, &main, "known"))
        .await?;
    let bundle = fixture.unpacked("known", "UnpackSuccessful").await?;
    let resolved = bundle.status.and_then(|status| status.resolved_source?.git);
    assert_eq!(resolved.and_then(|git| git.reference.commit), Some(commit));
    for name in ["wrong", "unknown"] {
        let mut source = git(&url, &main, name);
        fixture.create(name, PLAIN, source.clone()).await?;
        let text = why(&fixture.unpacked(name, "UnpackFailed").await?);
        let expected = match name {
            "unknown" => "the Secret has no `ssh-knownhosts`",
            _ => "Host key verification failed",
        };
        assert!(text.contains(expected), "{text}");
        source["git"]["auth"]["insecureSkipVerify"] = json!(true);
        let trusting = format!("{name}-trusting");
        fixture.create(&trusting, PLAIN, source).await?;
        fixture.unpacked(&trusting, "UnpackSuccessful").await?;
    }
    fixture
        .create("keyless", PLAIN, git(&url, &main, ""))
        .await?;
    let text = why(&fixture.unpacked("keyless", "UnpackFailed").await?);
    assert!(
        text.contains("needs a Secret with `ssh-privatekey`"),
        "{text}"
    );
    Ok(())
}
