//! The life of a Catalog: when its registry is asked, what its status says, what its end leaves.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
};
use olm_api::catalog::Catalog;
use olm_tests::catalogd::{CATALOGD, Catalogd, last_poll, message, package};
use olm_tests::control_plane::Component;
use olm_tests::publish::Publisher;
use olm_tests::{Registry, RegistryOptions, Wait, suite, wait};
use olm_tree::MemoryTree;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const FINALIZER: &str = "catalogd.operatorframework.io/delete-server-cache";

async fn text(world: &Catalogd, url: &str) -> Result<(StatusCode, String)> {
    let response = world.http().await?.get(url).send().await?;
    Ok((response.status(), response.text().await?))
}

#[tokio::test]
async fn a_poll_comes_when_it_is_due_also_after_a_restart_and_never_for_a_digest() -> Result<()> {
    let world = Catalogd::start().await?;
    let (reference, digest) = world.publish("due:latest", &package("one")).await?;
    let by_digest = format!("{}@{digest}", reference.trim_end_matches(":latest"));
    world.create("digest", json!({"ref": by_digest})).await?;
    world
        .create("due", json!({"ref": reference, "pollInterval": "7s"}))
        .await?;
    let first = world.unpacked("due", "True").await?;
    let digest = world.unpacked("digest", "True").await?;
    // What is left of the interval is kept: no poll at the start, and one without any event.
    world.suite.restart(CATALOGD).await?;
    let later = world
        .status("a poll", "due", |status| {
            last_poll(status) > last_poll(&first)
        })
        .await?;
    let passed = last_poll(&later).unwrap() - last_poll(&first).unwrap();
    ensure!(passed >= 7, "polled after {passed} s");
    assert_eq!(later.content_digest, first.content_digest);
    let still = world.unpacked("digest", "True").await?;
    assert_eq!(still, digest);
    Ok(())
}

#[tokio::test]
async fn an_interval_that_is_too_short_is_lengthened_and_says_so() -> Result<()> {
    let world = Catalogd::start().await?;
    let (reference, digest) = world.publish("short:latest", &package("one")).await?;
    world
        .create("short", json!({"ref": reference, "pollInterval": "1ms"}))
        .await?;
    let status = world.unpacked("short", "True").await?;
    let repository = reference.trim_end_matches(":latest");
    assert_eq!(
        message(&status),
        format!(
            "successfully unpacked the catalog image \"{repository}@{digest}\"; pollInterval 1ms is \
             too short, 1s is used instead"
        )
    );
    Ok(())
}

#[tokio::test]
async fn a_catalog_is_taken_out_of_use_and_back() -> Result<()> {
    let mut world = Catalogd::start().await?;
    let replica = world.suite.add_replica(CATALOGD)?;
    world.suite.start_component(&replica).await?;
    let (reference, _) = world.publish("out:v1", &package("one")).await?;
    world.create("out", json!({"ref": reference})).await?;
    let before = world.unpacked("out", "True").await?;
    let urls = [
        world.url(CATALOGD, "out", "api/v1/all")?,
        world.url(&replica, "out", "api/v1/all")?,
    ];
    let all_answer = async |what: &str, wanted: (StatusCode, String)| {
        for url in &urls {
            Wait::new(what)
                .logs(&world.suite)
                .explained(async || {
                    let answer = text(&world, url).await?;
                    Ok((answer == wanted)
                        .then_some(())
                        .ok_or_else(|| format!("{answer:?}")))
                })
                .await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    all_answer("all replicas serve it", (StatusCode::OK, package("one"))).await?;

    world
        .change("out", json!({"availability": "Unavailable"}))
        .await?;
    let catalogs = world.catalogs().await?;
    let catalog = Wait::new("it is out of use and holds nothing")
        .logs(&world.suite)
        .object(&catalogs, "out", |catalog| {
            wait::has_reason(catalog, "Unpacked", "False", "UserSpecifiedUnavailable")
                && catalog.metadata.finalizers.is_none()
        })
        .await?;
    let status = catalog.status.context("no status")?;
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    assert_eq!(
        message(&status),
        "Catalog availability mode is set to Unavailable"
    );
    assert_eq!((status.content_url, status.content_digest), (None, None));
    assert_eq!((status.resolved_source, status.last_unpacked), (None, None));
    let nothing = (StatusCode::NOT_FOUND, "404 Not Found\n".to_owned());
    all_answer("no replica serves it", nothing).await?;

    world
        .change("out", json!({"availability": "Available", "priority": -5}))
        .await?;
    let after = world.unpacked("out", "True").await?;
    assert_eq!(after.content_digest, before.content_digest);
    assert_eq!(after.content_url, before.content_url);
    all_answer("all replicas serve it", (StatusCode::OK, package("one"))).await?;
    let catalog = catalogs.get("out").await?;
    assert_eq!(catalog.spec.priority, -5);
    assert_eq!(
        catalog.metadata.finalizers,
        Some(vec![FINALIZER.to_owned()])
    );

    // Out of use, nothing keeps it from being deleted.
    world
        .change("out", json!({"availability": "Unavailable"}))
        .await?;
    Wait::new("it holds nothing")
        .logs(&world.suite)
        .object(&catalogs, "out", |catalog| {
            catalog.metadata.finalizers.is_none()
        })
        .await?;
    world.suite.kill(CATALOGD)?;
    world.suite.kill(&replica)?;
    catalogs.delete("out", &DeleteParams::default()).await?;
    Wait::new("it is gone").gone(&catalogs, "out").await
}

#[tokio::test]
async fn pull_secrets_of_both_kinds_are_used_and_one_that_comes_late_is_noticed() -> Result<()> {
    let secret = Registry::start(RegistryOptions::password("user", "geheim")).await?;
    let world = Catalogd::with([secret.host()], []).await?;
    let mut tree = MemoryTree::default();
    tree.insert("one/catalog.json", package("one"))?;
    let publisher = Publisher::with_password(&secret, "user", "geheim");
    let (reference, _) = publisher.catalog_tree("private:v1", &tree).await?;
    let secrets = Api::<Secret>::namespaced(world.client().await?, world.suite.namespace());
    for (name, kind, key) in [
        (
            "modern",
            "kubernetes.io/dockerconfigjson",
            ".dockerconfigjson",
        ),
        ("old", "kubernetes.io/dockercfg", ".dockercfg"),
    ] {
        let image = json!({"ref": reference, "pullSecret": name});
        world.create(name, image).await?;
        let status = world.unpacked(name, "False").await?;
        let begin = "source bundle content: error getting auth keychain: ";
        ensure!(message(&status).starts_with(begin), "{}", message(&status));
        let hosts = json!({secret.host(): {"username": "user", "password": "geheim"}});
        let content = match name {
            "modern" => json!({"auths": hosts}),
            _ => hosts,
        };
        let pull: Secret = serde_json::from_value(json!({
            "metadata": {"name": name}, "type": kind,
            "stringData": {key: content.to_string()},
        }))?;
        secrets.create(&PostParams::default(), &pull).await?;
        world.unpacked(name, "True").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_registry_with_an_unknown_certificate_is_asked_only_where_the_spec_says_so() -> Result<()>
{
    let world = Catalogd::start().await?;
    let options = RegistryOptions {
        tls: true,
        ..RegistryOptions::default()
    };
    let unknown = Registry::start(options).await?;
    let mut tree = MemoryTree::default();
    let files = "---\nschema: olm.package\nname: etcd\ndefaultChannel: alpha\n---\n\
        schema: olm.channel\npackage: etcd\nname: alpha\nentries:\n- name: etcd.v1\n---\n\
        schema: olm.bundle\npackage: etcd\nname: etcd.v1\nimage: quay.io/etcd:v1\nproperties:\n\
        - type: olm.package\n  value: {packageName: etcd, version: 1.0.0}\n";
    let expected = concat!(
        r#"{"defaultChannel":"alpha","name":"etcd","schema":"olm.package"}"#,
        "\n",
        r#"{"entries":[{"name":"etcd.v1"}],"name":"alpha","package":"etcd","schema":"olm.channel"}"#,
        "\n",
        r#"{"image":"quay.io/etcd:v1","name":"etcd.v1","package":"etcd","properties":[{"type":"olm.package","value":{"packageName":"etcd","version":"1.0.0"}}],"schema":"olm.bundle"}"#,
        "\n",
    );
    tree.insert("catalog.yaml", files)?;
    tree.insert("expected_all.json", expected)?;
    tree.insert(".indexignore", "/expected_all.json\n..*\n")?;
    tree.insert("..data/catalog.yaml", files)?;
    let (reference, _) = Publisher::new(&unknown)
        .catalog_tree("cat:v1", &tree)
        .await?;
    let image = json!({"ref": reference, "insecureSkipTLSVerify": false});
    world.create("strict", image).await?;
    let status = world.unpacked("strict", "False").await?;
    let begin = "source bundle content: error fetching image descriptor: ";
    ensure!(message(&status).starts_with(begin), "{}", message(&status));
    world
        .change(
            "strict",
            json!({"source": {"image": {"insecureSkipTLSVerify": true}}}),
        )
        .await?;
    let status = world.unpacked("strict", "True").await?;

    let url = status.content_url.context("no contentURL")?;
    assert_eq!(
        text(&world, &url).await?,
        (StatusCode::OK, expected.to_owned())
    );
    let catalogs = world.catalogs().await?;
    catalogs.delete("strict", &DeleteParams::default()).await?;
    Wait::new("it is gone").gone(&catalogs, "strict").await
}

#[tokio::test]
async fn the_status_follows_the_address_under_which_clients_reach_the_content() -> Result<()> {
    let world = Catalogd::start().await?;
    let (reference, _) = world.publish("moved:v1", &package("one")).await?;
    world.create("moved", json!({"ref": reference})).await?;
    let before = world.unpacked("moved", "True").await?;
    // The registry is not needed for it.
    world.registry.kill()?;
    world.suite.kill(CATALOGD)?;
    let process = world.suite.process(CATALOGD)?;
    let mut program = process.program();
    let flag = "--http-external-address=https://catalogs.example.com/olm/";
    program
        .arguments
        .retain(|argument| !argument.starts_with("--http-external-address"));
    program.arguments.push(flag.to_owned());
    process.set_program(program);
    world.suite.start_component(CATALOGD).await?;
    let wanted = "https://catalogs.example.com/olm/catalogs/moved/all.json";
    let after = world
        .status("the new address", "moved", |status| {
            status.content_url.as_deref() == Some(wanted)
        })
        .await?;
    assert_eq!(after.conditions, before.conditions);
    assert_eq!(after.resolved_source, before.resolved_source);
    let address = world.suite.address(CATALOGD, 8443)?;
    let url = format!("https://{address}/olm/catalogs/moved/all.json");
    assert_eq!(text(&world, &url).await?, (StatusCode::OK, package("one")));
    Ok(())
}

#[tokio::test]
async fn content_is_served_while_the_api_server_is_away() -> Result<()> {
    let world = Catalogd::start().await?;
    let (reference, _) = world.publish("alone:v1", &package("one")).await?;
    world.create("alone", json!({"ref": reference})).await?;
    world.unpacked("alone", "True").await?;
    let http = world.http().await?;
    let url = world.url(CATALOGD, "alone", "all.json")?;
    world.cluster.kill(Component::ApiServer)?;
    // As the kubelet would: without the API server.
    world.suite.kill(CATALOGD)?;
    let process = world.suite.process(CATALOGD)?;
    process.start()?;
    let served = Wait::new("it serves what it has")
        .logs(&world.suite)
        .value(async || Ok(Some(http.get(&url).send().await?.text().await?)))
        .await?;
    assert_eq!(served, package("one"));
    let probes = world.suite.address(CATALOGD, 8081)?;
    assert_eq!(suite::get(probes, "/healthz").await?.0, 200);
    let (status, text) = suite::get(probes, "/readyz").await?;
    assert_eq!(status, 500);
    ensure!(
        text.contains("[-]content failed: the Catalogs of the cluster are not known yet"),
        "{text}"
    );
    world.cluster.start_component(Component::ApiServer).await?;
    world.suite.wait_ready(CATALOGD).await
}

#[tokio::test]
async fn content_that_goes_missing_is_made_again() -> Result<()> {
    let world = Catalogd::start().await?;
    let (reference, _) = world.publish("lost:v1", &package("one")).await?;
    let image = json!({"ref": reference, "pollInterval": "0s"});
    world.create("lost", image).await?;
    world.unpacked("lost", "True").await?;
    let url = world.url(CATALOGD, "lost", "api/v1/all")?;
    // While it runs, and while it does not.
    std::fs::remove_dir_all(world.cache(CATALOGD).join("content"))?;
    std::fs::create_dir(world.cache(CATALOGD).join("content"))?;
    let served = async || Ok(text(&world, &url).await?.0 == StatusCode::OK);
    Wait::new("it is served again")
        .logs(&world.suite)
        .value(async || served().await.map(|served| served.then_some(())))
        .await?;
    world.suite.kill(CATALOGD)?;
    std::fs::remove_dir_all(world.cache(CATALOGD))?;
    // Ready means that the content is there.
    world.suite.start_component(CATALOGD).await?;
    assert_eq!(text(&world, &url).await?, (StatusCode::OK, package("one")));
    Ok(())
}

#[tokio::test]
async fn a_pull_that_nobody_waits_for_any_more_is_given_up() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let host = silent.local_addr()?.to_string();
    let world = Catalogd::with([host.clone()], []).await?;
    let (reference, _) = world.publish("good:v1", &package("one")).await?;
    for (name, change) in [
        (
            "changed",
            Some(json!({"source": {"image": {"ref": reference}}})),
        ),
        ("deleted", None),
    ] {
        world
            .create(name, json!({"ref": format!("{host}/stalls:v1")}))
            .await?;
        // It is asked and says nothing.
        let _asked = silent.accept().await?;
        if let Some(change) = change {
            world.change(name, change).await?;
            world.unpacked(name, "True").await?;
        } else {
            let catalogs = world.catalogs().await?;
            catalogs.delete(name, &DeleteParams::default()).await?;
            Wait::new("it is gone")
                .within(Duration::from_secs(20))
                .logs(&world.suite)
                .gone(&catalogs, name)
                .await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_object_that_does_not_decode_keeps_its_status_and_its_content() -> Result<()> {
    let world = Catalogd::start().await?;
    let (reference, _) = world.publish("spec:v1", &package("one")).await?;
    world.create("spec", json!({"ref": reference})).await?;
    let before = world.unpacked("spec", "True").await?;
    let resource = ApiResource::erase::<Catalog>(&());
    let api: Api<DynamicObject> = Api::all_with(world.client().await?, &resource);
    let patch = Patch::Merge(json!({"spec": null}));
    api.patch("spec", &PatchParams::default(), &patch).await?;
    let object = Wait::new("it is reported")
        .logs(&world.suite)
        .object(&api, "spec", |object| {
            wait::has_condition(object, "Stalled", "True")
        })
        .await?;
    let status = &object.data["status"];
    assert_eq!(status["contentURL"], json!(before.content_url));
    assert_eq!(status["contentDigest"], json!(before.content_digest));
    assert_eq!(status["lastUnpacked"], json!(before.last_unpacked));
    assert_eq!(
        status["observedGeneration"],
        json!(before.observed_generation)
    );
    assert_eq!(status["phase"], "Failing");
    let url = before.content_url.context("no contentURL")?;
    assert_eq!(text(&world, &url).await?, (StatusCode::OK, package("one")));
    api.delete("spec", &DeleteParams::default()).await?;
    Wait::new("it is gone").gone(&api, "spec").await
}

#[tokio::test]
async fn a_clean_up_that_fails_is_reported_and_done_once_it_can_be() -> Result<()> {
    let world = Catalogd::start().await?;
    let (reference, _) = world.publish("stuck:v1", &package("one")).await?;
    world.create("stuck", json!({"ref": reference})).await?;
    world.unpacked("stuck", "True").await?;
    // A folder in the place of a file cannot be removed as one.
    let record = world.cache(CATALOGD).join("catalogs/stuck");
    std::fs::remove_file(&record)?;
    std::fs::create_dir_all(record.join("in-the-way"))?;
    let catalogs = world.catalogs().await?;
    catalogs.delete("stuck", &DeleteParams::default()).await?;
    let catalog = Wait::new("it is reported")
        .logs(&world.suite)
        .object(&catalogs, "stuck", |catalog| {
            wait::has_reason(catalog, "Delete", "False", "FailedToDelete")
        })
        .await?;
    let status = catalog.status.context("no status")?;
    let row = status.conditions.iter().find(|row| row.type_ == "Delete");
    let text = row.map_or("", |row| row.message.as_str());
    ensure!(text.starts_with("failed to delete storage: "), "{text}");
    assert_eq!(status.phase.as_deref(), Some("Unpacked"));
    assert_eq!(
        catalog.metadata.finalizers,
        Some(vec![FINALIZER.to_owned()])
    );
    std::fs::remove_dir_all(&record)?;
    Wait::new("it is gone")
        .logs(&world.suite)
        .gone(&catalogs, "stuck")
        .await
}

#[tokio::test]
async fn what_was_left_behind_while_nobody_ran_is_collected() -> Result<()> {
    let world = Catalogd::start().await?;
    let (reference, _) = world.publish("orphan:v1", &package("one")).await?;
    for name in ["orphan", "kept"] {
        world.create(name, json!({"ref": reference})).await?;
        world.unpacked(name, "True").await?;
    }
    world.suite.kill(CATALOGD)?;
    let catalogs = world.catalogs().await?;
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    catalogs
        .patch("orphan", &PatchParams::default(), &patch)
        .await?;
    catalogs.delete("orphan", &DeleteParams::default()).await?;
    let cache = world.cache(CATALOGD);
    let image = olm_fs::Digest::of(b"left").to_string();
    std::fs::create_dir_all(cache.join("unpack").join(&image))?;
    std::fs::write(cache.join("content/.tmp-left"), "half")?;
    world.suite.start_component(CATALOGD).await?;
    Wait::new("its content is gone")
        .logs(&world.suite)
        .value(async || Ok((!cache.join("catalogs/orphan").exists()).then_some(())))
        .await?;
    assert!(!cache.join("unpack").join(&image).exists());
    assert!(!cache.join("content/.tmp-left").exists());
    let url = world.url(CATALOGD, "kept", "all.json")?;
    assert_eq!(text(&world, &url).await?, (StatusCode::OK, package("one")));
    Ok(())
}

#[tokio::test]
async fn events_tell_what_happened_once() -> Result<()> {
    let world = Catalogd::start().await?;
    let host = world.registry.host();
    world
        .create("told", json!({"ref": format!("{host}/told:v1")}))
        .await?;
    world.unpacked("told", "False").await?;
    world.publish("told:v1", &package("one")).await?;
    world.unpacked("told", "True").await?;
    world
        .change("told", json!({"availability": "Unavailable"}))
        .await?;
    let events = Api::<Event>::namespaced(world.client().await?, "default");
    let seen = async || {
        let list = events.list(&ListParams::default()).await?;
        let of_it = list.items.iter().filter(|event| {
            let about = event.regarding.as_ref();
            about.and_then(|about| about.name.as_deref()) == Some("told")
        });
        let mut seen: Vec<Value> = of_it
            .map(|event| json!([event.type_, event.reason, event.action]))
            .collect();
        seen.sort_by_key(ToString::to_string);
        seen.dedup();
        Ok::<_, anyhow::Error>(seen)
    };
    let wanted = [
        json!(["Normal", "UnpackSuccessful", "Unpack"]),
        json!(["Normal", "UserSpecifiedUnavailable", "Unpack"]),
        json!(["Warning", "UnpackFailed", "Unpack"]),
    ];
    Wait::new("the events are there")
        .logs(&world.suite)
        .explained(async || {
            let seen = seen().await?;
            Ok((seen == wanted)
                .then_some(())
                .ok_or_else(|| format!("{seen:?}")))
        })
        .await
}
