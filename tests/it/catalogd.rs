//! catalogd as a process against a real API server and real registries.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use olm_api::catalog::{Catalog, CatalogStatus};
use olm_registry::push::NewImage;
use olm_registry::{Access, Credentials};
use olm_tests::publish::Publisher;
use olm_tests::{
    ControlPlane, Registry, RegistryAuth, RegistryOptions, Suite, SuiteOptions, Wait, content, wait,
};
use olm_tree::{MemoryTree, RelPath, Tree as _};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

const PACKAGE: &str = "---\nschema: olm.package\nname: etcd\ndefaultChannel: alpha\n---\n\
    schema: olm.channel\npackage: etcd\nname: alpha\nentries:\n- name: etcd.v1\n";
const PACKAGE_LINES: &str = "{\"defaultChannel\":\"alpha\",\"name\":\"etcd\",\"schema\":\"olm.package\"}\n\
    {\"entries\":[{\"name\":\"etcd.v1\"}],\"name\":\"alpha\",\"package\":\"etcd\",\"schema\":\"olm.channel\"}\n";

/// One cluster with catalogd alone, and an open registry.
struct Fixture {
    suite: Suite,
    registry: Registry,
    catalogs: Api<Catalog>,
    client: Client,
}

impl Fixture {
    async fn new() -> Result<Self> {
        let cluster = ControlPlane::own().await?;
        let registry = Registry::start(RegistryOptions::default()).await?;
        let options = SuiteOptions {
            plain_http_registries: vec![registry.host()],
            ..SuiteOptions::default()
        };
        let suite = Suite::install(&cluster, options).await?;
        suite.start_component("catalogd").await?;
        let client = cluster.client().await?;
        Ok(Self {
            catalogs: Api::all(client.clone()),
            suite,
            registry,
            client,
        })
    }

    async fn create(&self, name: &str, image: Value) -> Result<()> {
        let catalog = serde_json::from_value(json!({
            "apiVersion": "catalogd.operatorframework.io/v1alpha1",
            "kind": "Catalog",
            "metadata": {"name": name},
            "spec": {"source": {"type": "image", "image": image}},
        }))?;
        self.catalogs
            .create(&PostParams::default(), &catalog)
            .await?;
        Ok(())
    }

    /// The status once the condition `Unpacked` has this status, for the object as it is.
    async fn unpacked(&self, name: &str, status: &str) -> Result<CatalogStatus> {
        let catalog = Wait::new(format!("Unpacked of `{name}` is {status}"))
            .logs(&self.suite)
            .object(&self.catalogs, name, |catalog| {
                wait::has_condition(catalog, "Unpacked", status)
            })
            .await?;
        catalog.status.context("no status")
    }

    /// The status once `wanted` holds.
    async fn status(
        &self,
        what: &str,
        name: &str,
        wanted: impl Fn(&CatalogStatus) -> bool,
    ) -> Result<CatalogStatus> {
        let catalog = Wait::new(what)
            .logs(&self.suite)
            .object(&self.catalogs, name, |catalog| {
                catalog.status.as_ref().is_some_and(&wanted)
            })
            .await?;
        catalog.status.context("no status")
    }

    /// A client that trusts what the suite publishes and nothing else.
    async fn http(&self) -> Result<reqwest::Client> {
        let maps = Api::<ConfigMap>::namespaced(self.client.clone(), self.suite.namespace());
        let trust = maps.get("olm-trust").await?.data.unwrap_or_default();
        let authority = trust.get("catalogd").context("no authority of catalogd")?;
        let roots = reqwest::Certificate::from_pem_bundle(authority.as_bytes())?;
        Ok(reqwest::Client::builder().tls_certs_only(roots).build()?)
    }

    async fn get(&self, url: &str) -> Result<Response> {
        Ok(self.http().await?.get(url).send().await?)
    }
}

fn tree(files: &[(&str, &str)]) -> MemoryTree {
    let mut tree = MemoryTree::default();
    for (path, text) in files {
        tree.insert(path, *text).unwrap();
    }
    tree
}

fn message(status: &CatalogStatus) -> &str {
    let unpacked = status.conditions.iter().find(|row| row.type_ == "Unpacked");
    unpacked.map_or("", |row| row.message.as_str())
}

fn has(status: &CatalogStatus, kind: &str) -> bool {
    status
        .conditions
        .iter()
        .any(|row| row.type_ == kind && row.status == "True")
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn last_poll(status: &CatalogStatus) -> Option<i64> {
    let image = status.resolved_source.as_ref()?.image.as_ref()?;
    Some(image.last_poll_attempt.0.as_second())
}

#[tokio::test]
async fn a_catalog_is_served_through_restarts_polls_and_replicas_until_it_is_deleted() -> Result<()>
{
    let mut fixture = Fixture::new().await?;
    let publisher = Publisher::new(&fixture.registry);
    let first = tree(&[
        ("etcd/catalog.yaml", PACKAGE),
        (".indexignore", "*.md\n"),
        ("README.md", ": no YAML : at all"),
    ]);
    let (reference, digest) = publisher.catalog_tree("cat:latest", &first).await?;
    fixture
        .create("life", json!({"ref": reference, "pollInterval": "2s"}))
        .await?;

    let status = fixture.unpacked("life", "True").await?;
    let repository = reference.trim_end_matches(":latest");
    let resolved = format!("{repository}@{digest}");
    assert_eq!(
        message(&status),
        format!("successfully unpacked the catalog image \"{resolved}\"")
    );
    assert_eq!(status.phase.as_deref(), Some("Unpacked"));
    assert!(has(&status, "Ready"));
    let image = status.resolved_source.clone().unwrap().image.unwrap();
    assert_eq!((image.reference, image.resolved_ref), (reference, resolved));
    let url = status.content_url.clone().context("no contentURL")?;
    ensure!(url.ends_with("/catalogs/life/all.json"), "{url}");
    let content_digest = status.content_digest.clone().context("no contentDigest")?;

    // The bytes, their tag, and the other path.
    let response = fixture.get(&url).await?;
    assert_eq!(header(&response, "etag"), format!("\"{content_digest}\""));
    assert_eq!(header(&response, "content-type"), "application/json");
    let modified = header(&response, "last-modified").to_owned();
    assert_eq!(response.text().await?, PACKAGE_LINES);
    let lines = url.replace("all.json", "api/v1/all");
    assert_eq!(fixture.get(&lines).await?.text().await?, PACKAGE_LINES);
    let known = fixture.http().await?.get(&url);
    let known = known.header("if-none-match", format!("\"{content_digest}\""));
    assert_eq!(known.send().await?.status(), StatusCode::NOT_MODIFIED);
    let posted = fixture.http().await?.post(&url).send().await?;
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);

    // A poll without news moves the time of the poll and nothing else.
    let polled = last_poll(&status).unwrap();
    let later = fixture
        .status("a poll", "life", |status| last_poll(status) > Some(polled))
        .await?;
    assert_eq!(later.content_digest, status.content_digest);
    assert_eq!(later.last_unpacked, status.last_unpacked);
    assert_eq!(header(&fixture.get(&url).await?, "last-modified"), modified);

    // After a crash the content is there before anything else: the registry is away.
    fixture.registry.kill()?;
    fixture.suite.restart("catalogd").await?;
    assert_eq!(fixture.get(&url).await?.text().await?, PACKAGE_LINES);
    let away = fixture.unpacked("life", "False").await?;
    ensure!(
        message(&away).starts_with("source bundle content: error fetching image descriptor: "),
        "{}",
        message(&away)
    );
    let kept = format!("; still serving the content {content_digest} of the image {digest}");
    ensure!(message(&away).ends_with(&kept), "{}", message(&away));
    assert_eq!(away.phase.as_deref(), Some("Failing"));
    assert_eq!(away.resolved_source, None);
    assert_eq!(away.content_url, status.content_url);
    assert_eq!(away.content_digest, status.content_digest);
    assert!(!has(&away, "Stalled"));
    assert_eq!(fixture.get(&url).await?.text().await?, PACKAGE_LINES);
    fixture.registry.start_again().await?;
    fixture.unpacked("life", "True").await?;

    // A tag that moves is followed.
    let second = tree(&[(
        "etcd/catalog.json",
        r#"{"schema":"olm.package","name":"two"}"#,
    )]);
    publisher.catalog_tree("cat:latest", &second).await?;
    let moved = fixture
        .status("the new content", "life", |status| {
            status.content_digest.is_some() && status.content_digest != Some(content_digest.clone())
        })
        .await?;
    let response = fixture.get(&url).await?;
    assert_eq!(
        header(&response, "etag"),
        format!("\"{}\"", moved.content_digest.clone().unwrap())
    );
    assert_eq!(
        response.text().await?,
        "{\"name\":\"two\",\"schema\":\"olm.package\"}\n"
    );

    // Another replica makes the same content for itself.
    let replica = fixture.suite.add_replica("catalogd")?;
    fixture.suite.start_component(&replica).await?;
    let address = fixture.suite.address(&replica, 8443)?;
    let other = format!("https://{address}/catalogs/life/all.json");
    let tag = format!("\"{}\"", moved.content_digest.clone().unwrap());
    Wait::new("the replica serves the same")
        .logs(&fixture.suite)
        .value(async || {
            let response = fixture.get(&other).await?;
            Ok((header(&response, "etag") == tag).then_some(()))
        })
        .await?;

    // Metrics count the requests.
    let metrics = fixture.suite.metrics("catalogd").await?;
    ensure!(
        metrics.contains("catalogd_http_request_duration_seconds_count{code=\"200\"}"),
        "{metrics}"
    );

    // Deleted, it is served nowhere.
    fixture
        .catalogs
        .delete("life", &DeleteParams::default())
        .await?;
    Wait::new("the Catalog is gone")
        .logs(&fixture.suite)
        .gone(&fixture.catalogs, "life")
        .await?;
    for url in [&url, &other] {
        Wait::new("its content is gone")
            .logs(&fixture.suite)
            .value(async || {
                let response = fixture.get(url).await?;
                let gone = response.status() == StatusCode::NOT_FOUND;
                Ok((gone && response.text().await? == "404 page not found\n").then_some(()))
            })
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn each_bad_input_is_reported_on_its_own_catalog_and_harms_no_other() -> Result<()> {
    let fixture = Fixture::new().await?;
    let host = fixture.registry.host();
    let publisher = Publisher::new(&fixture.registry);
    let good = tree(&[("etcd/catalog.yaml", PACKAGE)]);
    let (reference, digest) = publisher.catalog_tree("good:v1", &good).await?;
    let half = tree(&[
        ("etcd/catalog.yaml", PACKAGE),
        ("broken/catalog.yaml", "schema: ["),
    ]);
    let (half, _) = publisher.catalog_tree("half:v1", &half).await?;
    let bad = tree(&[("broken/catalog.yaml", "schema: [")]);
    let (bad, _) = publisher.catalog_tree("bad:v1", &bad).await?;
    let unlabelled = publisher
        .push("unlabelled:v1", &NewImage::default())
        .await?;
    let secret = Registry::start(RegistryOptions {
        auth: RegistryAuth::Basic {
            user: "user".to_owned(),
            password: "geheim".to_owned(),
        },
        ..RegistryOptions::default()
    })
    .await?;
    let credentials = Credentials::Basic {
        username: "user".to_owned(),
        password: "geheim".to_owned(),
    };
    let access = Access {
        credentials,
        ..Access::default()
    };
    let private = Publisher::with_access(&secret, access);
    let (private, _) = private.catalog_tree("private:v1", &good).await?;

    let zeros = "0".repeat(64);
    fixture
        .create("missing", json!({"ref": format!("{host}/none:v1")}))
        .await?;
    fixture
        .create(
            "wrong-digest",
            json!({"ref": format!("{host}/good@sha256:{zeros}")}),
        )
        .await?;
    fixture
        .create(
            "unlabelled-tag",
            json!({"ref": format!("{host}/unlabelled:v1")}),
        )
        .await?;
    fixture
        .create(
            "unlabelled",
            json!({"ref": format!("{host}/unlabelled@{unlabelled}")}),
        )
        .await?;
    fixture
        .create("no-reference", json!({"ref": format!("{host}/UPPER:v1")}))
        .await?;
    fixture
        .create(
            "interval",
            json!({"ref": reference, "pollInterval": "1 day"}),
        )
        .await?;
    fixture.create("half", json!({"ref": half})).await?;
    fixture.create("bad", json!({"ref": bad})).await?;
    fixture.create("anonymous", json!({"ref": private})).await?;
    fixture
        .create("no-secret", json!({"ref": private, "pullSecret": "none"}))
        .await?;
    fixture
        .create("good", json!({"ref": format!("{host}/good@{digest}")}))
        .await?;

    let source = "source bundle content: ";
    let unpacking = "source bundle content: error unpacking image: ";
    let label = "operators.operatorframework.io.index.configs.v1";
    for (name, begin, contains, terminal) in [
        (
            "missing",
            format!("{source}error fetching image descriptor: "),
            "was not found",
            false,
        ),
        (
            "wrong-digest",
            format!("{unpacking}error fetching remote image \"{host}/good@sha256:{zeros}\": "),
            "was not found",
            false,
        ),
        (
            "unlabelled-tag",
            format!(
                "{unpacking}catalog image \"{host}/unlabelled:v1\" is missing the required label"
            ),
            label,
            false,
        ),
        (
            "unlabelled",
            format!("{unpacking}catalog image \"{host}/unlabelled@{unlabelled}\" is missing"),
            label,
            true,
        ),
        (
            "no-reference",
            format!("{source}error parsing image reference: "),
            "",
            true,
        ),
        (
            "interval",
            format!("{source}error parsing poll interval: "),
            "1 day",
            true,
        ),
        (
            "bad",
            "failed to store bundle: error storing fbc: error in parsing catalog content files in \
             the filesystem: "
                .to_owned(),
            "broken/catalog.yaml",
            false,
        ),
        (
            "anonymous",
            format!("{source}error fetching image descriptor: "),
            "HTTP 401",
            false,
        ),
        (
            "no-secret",
            format!("{source}error getting auth keychain: "),
            "none",
            false,
        ),
    ] {
        let status = fixture.unpacked(name, "False").await?;
        let text = message(&status);
        ensure!(text.starts_with(&begin), "{name}: {text}");
        ensure!(text.contains(contains), "{name}: {text}");
        assert_eq!(status.phase.as_deref(), Some("Failing"), "{name}");
        assert_eq!(has(&status, "Stalled"), terminal, "{name}: {text}");
        assert_eq!(status.content_url, None, "{name}");
    }

    let status = fixture.unpacked("half", "True").await?;
    ensure!(
        message(&status)
            .contains("except 1 file that cannot be read: configs/broken/catalog.yaml: "),
        "{}",
        message(&status)
    );
    let url = status.content_url.context("no contentURL")?;
    assert_eq!(fixture.get(&url).await?.text().await?, PACKAGE_LINES);
    let status = fixture.unpacked("good", "True").await?;
    let url = status.content_url.context("no contentURL")?;
    assert_eq!(fixture.get(&url).await?.text().await?, PACKAGE_LINES);

    // What is put right is noticed.
    let auths = json!({"auths": {secret.host(): {"username": "user", "password": "geheim"}}});
    let pull: Secret = serde_json::from_value(json!({
        "metadata": {"name": "pull"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": auths.to_string()},
    }))?;
    Api::<Secret>::namespaced(fixture.client.clone(), fixture.suite.namespace())
        .create(&PostParams::default(), &pull)
        .await?;
    let patch = Patch::Merge(json!({"spec": {"source": {"image": {"pullSecret": "pull"}}}}));
    for name in ["anonymous", "no-secret"] {
        fixture
            .catalogs
            .patch(name, &PatchParams::default(), &patch)
            .await?;
        fixture.unpacked(name, "True").await?;
    }
    let patch = Patch::Merge(json!({"spec": {"source": {"image": {"pollInterval": "0s"}}}}));
    fixture
        .catalogs
        .patch("interval", &PatchParams::default(), &patch)
        .await?;
    let status = fixture.unpacked("interval", "True").await?;
    assert!(!has(&status, "Stalled"));
    Ok(())
}

#[tokio::test]
async fn a_catalog_without_spec_says_so_and_can_be_deleted() -> Result<()> {
    let fixture = Fixture::new().await?;
    let resource = kube::api::ApiResource::erase::<Catalog>(&());
    let api: Api<kube::api::DynamicObject> = Api::all_with(fixture.client.clone(), &resource);
    let object = serde_json::from_value(json!({
        "apiVersion": "catalogd.operatorframework.io/v1alpha1",
        "kind": "Catalog",
        "metadata": {"name": "empty", "finalizers": ["catalogd.operatorframework.io/delete-server-cache"]},
    }))?;
    api.create(&PostParams::default(), &object).await?;
    let object = Wait::new("the object without spec is reported")
        .logs(&fixture.suite)
        .object(&api, "empty", |object| {
            wait::has_condition(object, "Unpacked", "False")
        })
        .await?;
    let row = wait::condition(&object, "Unpacked").unwrap_or_default();
    let text = row["message"].as_str().unwrap_or_default();
    ensure!(
        text.starts_with("source bundle content: error parsing catalog: "),
        "{text}"
    );
    api.delete("empty", &DeleteParams::default()).await?;
    Wait::new("it is gone")
        .logs(&fixture.suite)
        .gone(&api, "empty")
        .await
}

#[tokio::test]
async fn a_real_catalog_is_served_whole() -> Result<()> {
    let folder = content::data().map(|data| data.join("catalogs/community-v4.20"));
    let files = match &folder {
        Some(folder) => content::files(folder)?,
        None => tree(&[("etcd/catalog.yaml", PACKAGE)]),
    };
    let fixture = Fixture::new().await?;
    let publisher = Publisher::new(&fixture.registry);
    let (reference, _) = publisher.catalog_tree("real:v1", &files).await?;
    fixture.create("real", json!({"ref": reference})).await?;
    let status = fixture.unpacked("real", "True").await?;
    ensure!(!message(&status).contains("except"), "{}", message(&status));
    let response = fixture
        .get(&status.content_url.context("no contentURL")?)
        .await?;
    let text = response.error_for_status()?.text().await?;
    let digest = olm_fs::Digest::of(text.as_bytes());
    assert_eq!(status.content_digest.as_deref(), Some(digest.as_str()));
    let packages = files.list(&RelPath::root())?;
    let served = text.lines().filter(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["schema"] == "olm.package"
    });
    assert_eq!(served.count(), packages.len());
    Ok(())
}

#[tokio::test]
async fn polling_of_zero_never_asks_again() -> Result<()> {
    let fixture = Fixture::new().await?;
    let publisher = Publisher::new(&fixture.registry);
    let first = tree(&[("etcd/catalog.yaml", PACKAGE)]);
    let (reference, _) = publisher.catalog_tree("still:latest", &first).await?;
    let image = json!({"ref": reference, "pollInterval": "0s"});
    fixture.create("still", image).await?;
    let status = fixture.unpacked("still", "True").await?;
    // Neither an event nor a restart asks the registry; a change of the spec does.
    let patch = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    fixture
        .catalogs
        .patch("still", &PatchParams::default(), &patch)
        .await?;
    fixture.registry.kill()?;
    fixture.suite.restart("catalogd").await?;
    let after = fixture.unpacked("still", "True").await?;
    assert_eq!(last_poll(&after), last_poll(&status));
    fixture.registry.start_again().await?;
    let second = tree(&[(
        "etcd/catalog.json",
        r#"{"schema":"olm.package","name":"two"}"#,
    )]);
    publisher.catalog_tree("still:latest", &second).await?;
    let image = json!({"insecureSkipTLSVerify": true});
    let patch = Patch::Merge(json!({"spec": {"source": {"image": image}}}));
    fixture
        .catalogs
        .patch("still", &PatchParams::default(), &patch)
        .await?;
    let before = status.content_digest;
    fixture
        .status("the new content", "still", |status| {
            status.content_digest != before
        })
        .await?;
    Ok(())
}

/// Longest time that a leader needs to end and another to take over.
const TAKE_OVER: Duration = Duration::from_secs(30);

#[tokio::test]
async fn another_replica_takes_over_with_what_it_has() -> Result<()> {
    let mut fixture = Fixture::new().await?;
    let replica = fixture.suite.add_replica("catalogd")?;
    fixture.suite.start_component(&replica).await?;
    let publisher = Publisher::new(&fixture.registry);
    let files = tree(&[("etcd/catalog.yaml", PACKAGE)]);
    let (reference, _) = publisher.catalog_tree("two:v1", &files).await?;
    fixture
        .create("two", json!({"ref": reference, "pollInterval": "2s"}))
        .await?;
    let status = fixture.unpacked("two", "True").await?;
    let address = fixture.suite.address(&replica, 8443)?;
    let url = format!("https://{address}/catalogs/two/all.json");
    Wait::new("the replica serves it")
        .logs(&fixture.suite)
        .value(async || Ok((fixture.get(&url).await?.status() == StatusCode::OK).then_some(())))
        .await?;
    let ended = fixture.suite.stop("catalogd", TAKE_OVER).await?;
    assert!(ended.success(), "{ended}");
    let polled = last_poll(&status);
    let later = fixture
        .status("the other replica polls", "two", |status| {
            last_poll(status) > polled
        })
        .await?;
    assert_eq!(later.content_digest, status.content_digest);
    assert_eq!(later.last_unpacked, status.last_unpacked);
    Ok(())
}
