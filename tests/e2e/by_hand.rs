//! What operator-controller makes of BundleDeployments of which rukpak says nothing: their statuses are
//! written by hand here.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::names;
use olm_api::operator::Operator;
use olm_tests::Wait;
use olm_tests::wait::{self, message};
use serde_json::{Value, json};

use crate::health;
use crate::packages::{Shape as _, package};
use crate::user::{PATIENCE, Text, User};
use crate::world::World;

const NAME: &str = "prometheus";
const VERSIONS: [&str; 4] = ["1.0.0", "1.0.1", "1.2.0", "2.0.0"];

fn image(version: &str) -> String {
    format!("example.com/prometheus:{version}")
}

impl User<'_> {
    /// Writes into the status of the BundleDeployment, as rukpak does.
    async fn writes(
        &self,
        kind: &str,
        truth: &str,
        text: &str,
        active: Option<&str>,
    ) -> Result<()> {
        let generation = self.deployments.get(NAME).await?.metadata.generation;
        let condition = json!({"type": kind, "status": truth, "reason": "ByHand", "message": text,
            "lastTransitionTime": Timestamp::now().to_string(), "observedGeneration": generation});
        let mut status = json!({"observedGeneration": generation, "conditions": [condition]});
        if let Some(active) = active {
            status["activeBundle"] = json!(active);
        }
        let patch = Patch::Merge(json!({"status": status}));
        self.deployments
            .patch_status(NAME, &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    /// The BundleDeployment once it asks for this version, by the class for its format.
    async fn asks_for(&self, version: &str) -> Result<BundleDeployment> {
        Wait::new(format!("prometheus {version} is asked for"))
            .within(PATIENCE)
            .logs(&self.world.suite)
            .object(&self.deployments, NAME, |found| {
                let spec = &found.spec.template.spec;
                let source = spec.source.image.as_ref();
                source.is_some_and(|source| source.reference == image(version))
                    && spec.provisioner_class_name == names::PROVISIONER_REGISTRY
                    && found.spec.provisioner_class_name == names::PROVISIONER_PLAIN
            })
            .await
    }

    /// The version is asked for, and installed by hand.
    async fn installs(&self, version: &str) -> Result<Operator> {
        self.asks_for(version).await?;
        let active = format!("prometheus-{version}");
        self.writes("Installed", "True", "", Some(&active)).await?;
        let text = format!("installed from {:?}", image(version));
        let row = "Installed=True/Success";
        self.said(NAME, row, Text::Is(&text)).await
    }
}

fn spec(version: &str) -> Value {
    json!({"packageName": NAME, "version": version})
}

fn deprecation(operator: &Operator) -> Vec<String> {
    let kinds = [
        "PackageDeprecated",
        "ChannelDeprecated",
        "BundleDeprecated",
        "Deprecated",
    ];
    kinds
        .iter()
        .map(|kind| {
            let found = wait::condition(operator, kind).unwrap_or_default();
            let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
            format!("{}/{}: {}", text("status"), text("reason"), text("message"))
        })
        .collect()
}

/// A catalog of guests who each want a room of their own, of which there is one too few: to find out
/// takes more steps than there are.
fn crowded(guests: usize) -> String {
    let mut lines = Vec::new();
    let mut package = |name: &str, versions: &[String], wants: Option<&Value>| {
        let bundle = |version: &String| format!("{name}.v{version}");
        let entries: Vec<_> = versions
            .iter()
            .map(|version| json!({"name": bundle(version)}))
            .collect();
        lines.push(json!({"schema": "olm.package", "name": name, "defaultChannel": "c"}));
        lines.push(
            json!({"schema": "olm.channel", "package": name, "name": "c", "entries": entries}),
        );
        for version in versions {
            let own = json!({"type": "olm.package",
                "value": {"packageName": name, "version": version}});
            let properties: Vec<_> = std::iter::once(&own).chain(wants).collect();
            lines.push(
                json!({"schema": "olm.bundle", "package": name, "name": bundle(version),
                "image": format!("example.com/{name}:{version}"), "properties": properties}),
            );
        }
    };
    for guest in 0..guests {
        let room = |room: usize| {
            json!({"package": {"packageName": format!("room{room}"),
                "versionRange": format!("1.0.{guest}")}})
        };
        let rooms: Vec<_> = (1..guests).map(room).collect();
        let wants = json!({"type": "olm.constraint",
            "value": {"failureMessage": "no room", "any": {"constraints": rooms}}});
        package(
            &format!("guest{guest}"),
            &["1.0.0".to_owned()],
            Some(&wants),
        );
    }
    let versions: Vec<String> = (0..guests).map(|guest| format!("1.0.{guest}")).collect();
    for room in 1..guests {
        package(&format!("room{room}"), &versions, None);
    }
    lines.iter().map(|line| line.to_string() + "\n").collect()
}

/// What bundles require is met one by one, and judged for those only that are needed.
async fn odd_requirements(user: &User<'_>) -> Result<()> {
    let requires = |package: &str| json!({"packageName": package, "versionRange": ">=1.0.0"});
    let kind = "olm.package.required";
    let plain = |name: &str, versions: &[&str]| {
        let content = package(name, versions);
        versions.iter().fold(content, |content, version| {
            content.with_image(version, &format!("example.com/{name}:{version}"))
        })
    };
    let odd = [
        // One of two is there.
        plain("odd-both", &["1.0.0"])
            .with_property("1.0.0", kind, requires("odd-there"))
            .with_property("1.0.0", kind, requires("odd-nowhere")),
        // Only the older one has to be left alone.
        plain("odd-stale", &["1.0.0", "1.1.0"]).with_property(
            "1.0.0",
            kind,
            requires("odd-nowhere"),
        ),
        plain("odd-text", &["1.0.0"]).with_property("1.0.0", kind, json!({"packageName": 7})),
        plain("odd-rule", &["1.0.0"]).with_property("1.0.0", "olm.constraint", json!({"nor": 1})),
        plain("odd-there", &["1.0.0"]),
        // The default channel is not asked for.
        plain("odd-channel", &["1.0.0", "2.0.0"])
            .with_channel("stable", &["1.0.0"])
            .with_channel("beta", &["2.0.0"]),
    ];
    user.publish("odd", &odd).await?;
    for name in ["both", "stale", "text", "rule", "channel"] {
        let name = format!("odd-{name}");
        user.ask(&name, json!({"packageName": name})).await?;
    }
    for (name, told) in [
        ("odd-both", "odd-nowhere"),
        ("odd-text", "olm.package.required"),
        ("odd-rule", "olm.constraint"),
    ] {
        let row = "Resolved=False/ResolutionFailed";
        user.said(name, row, Text::Has(&[told])).await?;
        ensure!(user.deployments.get_opt(name).await?.is_none());
    }
    for (name, version) in [("odd-stale", "1.1.0"), ("odd-channel", "2.0.0")] {
        let text = format!("resolved to {:?}", format!("example.com/{name}:{version}"));
        user.said(name, "Resolved=True/Success", Text::Is(&text))
            .await?;
    }
    Ok(())
}

/// What takes too long to decide is told to those who ask for it.
async fn takes_too_long(user: &User<'_>) -> Result<()> {
    const GUESTS: usize = 14;
    let names: Vec<String> = (0..GUESTS).map(|guest| format!("guest{guest}")).collect();
    for name in &names {
        user.ask(name, json!({"packageName": name})).await?;
    }
    let alone = package("bar", &["1.0.0"]).with_image("1.0.0", "example.com/bar:1");
    let text = crowded(GUESTS);
    user.publish_with("hotel", &[alone], &[("guests/catalog.json", &text)])
        .await?;
    user.ask("bar", json!({"packageName": "bar"})).await?;
    for name in &names {
        user.refused(name, "cancelled before a solution could be found")
            .await?;
    }
    user.said("bar", "Resolved=True/Success", Text::Any).await?;
    Ok(())
}

#[tokio::test]
async fn what_is_written_into_a_deployment_is_told_and_semver_mode_skips_versions() -> Result<()> {
    let gate = "--feature-gates=ForceSemverUpgradeConstraints=true";
    let world = World::own_with(&[gate]).await?;
    world.suite.kill(names::COMPONENT_RUKPAK)?;
    let user = world.user().await?;
    let content = VERSIONS
        .iter()
        .fold(package(NAME, &VERSIONS), |content, version| {
            content.with_image(version, &image(version))
        });
    user.publish("test-catalog", std::slice::from_ref(&content))
        .await?;

    // Row by row, from what is made to what is installed.
    user.ask(NAME, spec("1.0.0")).await?;
    let unknown = "Installed=Unknown/InstallationStatusUnknown";
    let failed = "Installed=False/InstallationFailed";
    let text = "bundledeployment status is unknown";
    let operator = user.said(NAME, unknown, Text::Is(text)).await?;
    assert_eq!(
        message(&operator, "Resolved"),
        format!("resolved to {:?}", image("1.0.0"))
    );
    assert_eq!(
        deprecation(&operator),
        [
            "False/NotDeprecated: package not deprecated",
            "False/NotDeprecated: channel not deprecated",
            "Unknown/Absent: no bundle installed yet",
            "False/NotDeprecated: not deprecated",
        ]
    );
    user.asks_for("1.0.0").await?;
    user.writes("HasValidBundle", "False", "unpacking failed", None)
        .await?;
    let text = "bundledeployment status is unknown: unpacking failed";
    user.said(NAME, unknown, Text::Is(text)).await?;
    for (truth, told) in [("False", "failed to install"), ("Unknown", "installing")] {
        user.writes("Installed", truth, told, None).await?;
        let text = format!("bundledeployment not ready: {told}");
        user.said(NAME, failed, Text::Is(&text)).await?;
    }
    // However long it is.
    let limit = 32_768;
    user.writes("Installed", "False", &"x".repeat(limit), None)
        .await?;
    let text = "xxx\n\n... [message truncated]";
    let operator = user.said(NAME, failed, Text::Has(&[text])).await?;
    ensure!(message(&operator, "Installed").len() <= limit);
    let operator = user.installs("1.0.0").await?;
    // Monitoring is told as well.
    for line in [
        "operator_controller_operators{answer=\"resolved\"} 1",
        "operator_controller_operators_installed 1",
        "operator_controller_catalog_bundles{catalog=\"test-catalog\"} 4",
    ] {
        Wait::new(format!("the metrics say {line}"))
            .within(PATIENCE)
            .logs(&world.suite)
            .value(async || {
                let component = names::COMPONENT_OPERATOR_CONTROLLER;
                let text = world.suite.metrics(component).await?;
                Ok(text.lines().any(|found| found == line).then_some(()))
            })
            .await?;
    }
    let status = operator.status.unwrap_or_default();
    assert_eq!(status.installed_bundle_resource, image("1.0.0"));

    // Another class or image is put right; what ran before that runs until rukpak says otherwise.
    for spec in [
        json!({"provisionerClassName": "somebody-elses"}),
        json!({"template": {"spec": {"provisionerClassName": "somebody-elses"}}}),
        json!({"template": {"spec": {"source": {"image": {"ref": "example.com/other:1"}}}}}),
    ] {
        let patch = Patch::Merge(json!({"spec": spec}));
        user.deployments
            .patch(NAME, &PatchParams::default(), &patch)
            .await?;
        user.asks_for("1.0.0").await?;
    }
    let operator = user.installs("1.0.0").await?;
    ensure!(wait::has_condition(&operator, "Resolved", "True"));

    // Only compatible versions, newer ones, and those in one go.
    let refused = "Resolved=False/ResolutionFailed";
    user.ask(NAME, spec("2.0.0")).await?;
    let text = [
        "constraints not satisfiable",
        "installed package prometheus requires at least one of test-catalog-prometheus-\
         prometheus.v1.2.0, test-catalog-prometheus-prometheus.v1.0.1, \
         test-catalog-prometheus-prometheus.v1.0.0",
    ];
    let operator = user.said(NAME, refused, Text::Has(&text)).await?;
    health::is(&operator, "Degraded")?;
    let status = operator.status.clone().unwrap_or_default();
    assert_eq!(status.resolved_bundle_resource, "");
    assert_eq!(status.installed_bundle_resource, image("1.0.0"));
    user.ask(NAME, spec("1.2.0")).await?;
    user.asks_for("1.2.0").await?;
    // Until rukpak says otherwise, what ran runs.
    let row = "Installed=True/Success";
    let text = [image("1.0.0"), "1.2.0".to_owned()];
    let text = text.each_ref().map(String::as_str);
    let operator = user.said(NAME, row, Text::Has(&text)).await?;
    let status = operator.status.clone().unwrap_or_default();
    assert_eq!(status.installed_bundle_resource, image("1.0.0"));
    assert_eq!(status.resolved_bundle_resource, image("1.2.0"));
    ensure!(wait::has_condition(&operator, "Ready", "False"));
    health::is(&operator, "Progressing")?;
    user.installs("1.2.0").await?;
    user.ask(NAME, spec("1.0.1")).await?;
    user.said(NAME, refused, Text::Has(&["constraints not satisfiable"]))
        .await?;
    // Any, where the policy says so.
    for version in ["2.0.0", "1.0.0"] {
        let mut spec = spec(version);
        spec["upgradeConstraintPolicy"] = json!("Ignore");
        user.ask(NAME, spec).await?;
        user.installs(version).await?;
    }

    // What the catalog says against it.
    let entries: Vec<Value> = [
        (json!({"schema": "olm.package"}), "the package is old"),
        (
            json!({"schema": "olm.channel", "name": "stable"}),
            "the channel is old",
        ),
        (
            json!({"schema": "olm.bundle", "name": "prometheus.v1.0.0"}),
            "the bundle is old",
        ),
    ]
    .map(|(reference, message)| json!({"reference": reference, "message": message}))
    .to_vec();
    let against =
        json!({"schema": "olm.deprecations", "package": NAME, "entries": entries}).to_string();
    user.publish_with(
        "test-catalog",
        &[content],
        &[("prometheus/against.json", &against)],
    )
    .await?;
    let operator = Wait::new("the deprecations are told")
        .within(PATIENCE)
        .logs(&world.suite)
        .object(&user.operators, NAME, |operator| {
            wait::has_reason(operator, "Deprecated", "True", "Deprecated")
        })
        .await
        .context("no deprecations")?;
    assert_eq!(
        deprecation(&operator),
        [
            "True/Deprecated: the package is old",
            "True/Deprecated: the channel is old",
            "True/Deprecated: the bundle is old",
            "True/Deprecated: the package is old\nthe channel is old\nthe bundle is old",
        ]
    );
    odd_requirements(&user).await?;
    takes_too_long(&user).await?;
    // Who has nothing to do with it is decided all the time.
    let operator = user.operators.get(NAME).await?;
    ensure!(wait::has_reason(&operator, "Ready", "True", "Success"));
    user.ask(NAME, spec("1.0.1")).await?;
    user.installs("1.0.1").await?;
    world.is_unharmed_but_for(&[names::COMPONENT_RUKPAK])
}
