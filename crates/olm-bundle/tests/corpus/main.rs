//! Real bundles against what the reference renderer makes of them.
//!
//! Skipped where the data is absent; the fixtures of the other tests stand on their own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]
#![allow(clippy::disallowed_methods, reason = "reads the data")]

mod differences;
mod normal;
mod table;

use std::collections::BTreeSet;
use std::path::Path;

use olm_bundle::registry_v1::{self, Bundle, CertificateProvider, Config, RenderOptions, Rendered};
use olm_tree::MemoryTree;
use serde_json::Value;

use crate::differences::Difference;
use crate::normal::{identity, normal};
use crate::table::{CASES, Case, Outcome};

const NAMESPACE: &str = "olm-test-install";
const PREFIX: &str = "convert registry+v1 bundle to plain+v0 bundle: ";
const INJECT_FROM: &str = "cert-manager.io/inject-ca-from";
const INJECT: &str = "service.beta.openshift.io/inject-cabundle";
const SERVE: &str = "service.beta.openshift.io/serving-cert-secret-name";

fn read_tree(root: &Path, below: &str, tree: &mut MemoryTree) {
    for entry in std::fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        if entry.file_type().unwrap().is_dir() {
            read_tree(root, &path, tree);
        } else {
            tree.insert(&path, std::fs::read(entry.path()).unwrap())
                .unwrap();
        }
    }
}

#[test]
fn real_bundles_render_as_the_reference_but_for_named_differences() {
    let Some(data) = olm_testdata::find("").unwrap() else {
        return;
    };
    let directories: BTreeSet<String> = std::fs::read_dir(data.join("bundles"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .flat_map(|package| {
            std::fs::read_dir(&package).unwrap().map(move |version| {
                let version = version.unwrap().file_name().into_string().unwrap();
                format!(
                    "{}/{version}",
                    package.file_name().unwrap().to_str().unwrap()
                )
            })
        })
        .collect();
    let listed: BTreeSet<String> = CASES.iter().map(|case| case.bundle.to_owned()).collect();
    assert_eq!(
        directories, listed,
        "the table and the data name the same bundles"
    );

    let workers = 4;
    let failures: Vec<String> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..workers)
            .map(|worker| {
                let data = &data;
                scope.spawn(move || {
                    CASES
                        .iter()
                        .skip(worker)
                        .step_by(workers)
                        .flat_map(|case| check(data, case))
                        .collect::<Vec<String>>()
                })
            })
            .collect();
        handles
            .into_iter()
            .flat_map(|handle| handle.join().expect("no panic"))
            .collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(data: &Path, case: &Case) -> Vec<String> {
    let mut tree = MemoryTree::new();
    read_tree(&data.join("bundles").join(case.bundle), "", &mut tree);
    let mut failures = Vec::new();
    let bundle = match (registry_v1::load(&tree), &case.outcome) {
        (Err(error), Outcome::Unreadable(text)) => {
            if error.to_string() != format!("{PREFIX}{text}") {
                failures.push(format!("{}: load says `{error}`", case.bundle));
            }
            return failures;
        }
        (Err(error), _) => return vec![format!("{}: cannot load: {error}", case.bundle)],
        (Ok(_), Outcome::Unreadable(_)) => return vec![format!("{}: loads", case.bundle)],
        (Ok(bundle), _) => bundle,
    };
    match (bundle.validate(), &case.outcome) {
        (Err(error), Outcome::Invalid(row, text)) => {
            if !error.to_string().contains(text) {
                failures.push(format!("{}: validation says `{error}`", case.bundle));
            }
            let rendered = ["all", "own", "single"].iter().any(|mode| {
                reference(data, case, mode).is_some_and(|reference| reference["error"].is_null())
            });
            if !rendered {
                failures.push(format!("{}: {row:?} is allowed but unused", case.bundle));
            }
            return failures;
        }
        (Err(error), _) => return vec![format!("{}: invalid: {error}", case.bundle)],
        (Ok(()), Outcome::Renders(modes)) => {
            let supported: Vec<String> = bundle
                .install_modes()
                .iter()
                .map(ToString::to_string)
                .collect();
            if supported.join(" ") != *modes {
                failures.push(format!("{}: supports {supported:?}", case.bundle));
            }
            let all = bundle.check_install_mode(NAMESPACE, None);
            if all.is_ok() != modes.contains("AllNamespaces")
                || all.is_err_and(|error| {
                    error.to_string()
                        != format!("{PREFIX}AllNamespace install mode must be enabled")
                })
            {
                failures.push(format!(
                    "{}: wrong answer about all namespaces",
                    case.bundle
                ));
            }
        }
        (Ok(()), _) => return vec![format!("{}: valid", case.bundle)],
    }
    compare_modes(data, case, &bundle, &mut failures);
    failures
}

fn reference(data: &Path, case: &Case, mode: &str) -> Option<Value> {
    let file = format!("{}.{mode}.json", case.bundle.replace('/', "_"));
    let content = std::fs::read(data.join("rendered").join(file)).ok()?;
    Some(serde_json::from_slice(&content).unwrap())
}

fn compare_modes(data: &Path, case: &Case, bundle: &Bundle, failures: &mut Vec<String>) {
    let mut used: BTreeSet<Difference> = BTreeSet::new();
    for (suffix, target, provider) in [
        ("all", "", CertificateProvider::CertManager),
        ("all.none", "", CertificateProvider::None),
        ("all.service-ca", "", CertificateProvider::ServiceCa),
        ("all.service-ca", "", CertificateProvider::Own),
        ("own", NAMESPACE, CertificateProvider::CertManager),
        ("own", NAMESPACE, CertificateProvider::Own),
        ("single", "olm-test-watch", CertificateProvider::CertManager),
        ("single", "olm-test-watch", CertificateProvider::Own),
    ] {
        let file = format!("{}.{suffix}.json", case.bundle.replace('/', "_"));
        let Some(mut reference) = reference(data, case, suffix) else {
            // Given only where webhooks make a difference.
            if !suffix.contains('.') {
                failures.push(format!("{file} is missing"));
            }
            continue;
        };
        let options = RenderOptions {
            config: Config::watching(vec![target.to_owned()]),
            ..RenderOptions::new(NAMESPACE, provider)
        };
        let rendered = registry_v1::render(bundle, &options);
        let rendered = match (rendered, reference["error"].as_str()) {
            (Err(error), Some(text)) => {
                if error.to_string() != format!("{PREFIX}{text}") {
                    failures.push(format!("{file}: refused with `{error}`, not `{text}`"));
                }
                continue;
            }
            (Err(error), None) => {
                failures.push(format!("{file}: refused with `{error}`"));
                continue;
            }
            (Ok(_), Some(text)) => {
                failures.push(format!("{file}: renders, should be refused with `{text}`"));
                continue;
            }
            (Ok(rendered), None) => rendered,
        };
        let Value::Array(mut theirs) = reference["objects"].take() else {
            panic!("{file}")
        };
        if provider == CertificateProvider::Own {
            check_certificates(&file, &rendered, failures);
            // The reference has one of the two, the service CA where all namespaces are watched.
            drop_cert_manager(&mut theirs, &rendered);
            for object in &mut theirs {
                drop_service_ca(object, &rendered);
            }
        }
        let mut ours = normal(rendered.objects);
        theirs = normal_reference(theirs);
        for difference in case.differences {
            if difference.reconcile(&mut theirs, &mut ours) {
                used.insert(*difference);
            }
        }
        explain(&file, provider, &theirs, &ours, failures);
    }
    for difference in case.differences {
        if !used.contains(difference) {
            failures.push(format!(
                "{}: {difference:?} is allowed but unused",
                case.bundle
            ));
        }
    }
}

/// The reference is in normal form, but for its order among objects of one identity.
fn normal_reference(mut objects: Vec<Value>) -> Vec<Value> {
    objects = objects.into_iter().filter_map(normal::prune).collect();
    normal::sort(&mut objects);
    objects
}

fn explain(
    file: &str,
    provider: CertificateProvider,
    theirs: &[Value],
    ours: &[Value],
    failures: &mut Vec<String>,
) {
    for object in theirs.iter().filter(|object| !ours.contains(object)) {
        let twin = ours
            .iter()
            .find(|other| identity(other) == identity(object));
        let detail = twin.map_or_else(
            || "absent".to_owned(),
            |twin| first_difference(object, twin, ""),
        );
        failures.push(format!(
            "{file} {provider:?}: {:?}: {detail}",
            identity(object)
        ));
    }
    let known: BTreeSet<[String; 4]> = theirs.iter().map(identity).collect();
    for object in ours
        .iter()
        .filter(|object| !known.contains(&identity(object)))
    {
        failures.push(format!(
            "{file} {provider:?}: {:?}: only ours",
            identity(object)
        ));
    }
    if theirs.len() != ours.len() {
        failures.push(format!(
            "{file} {provider:?}: {} / {} objects",
            theirs.len(),
            ours.len()
        ));
    }
}

fn first_difference(theirs: &Value, ours: &Value, path: &str) -> String {
    match (theirs, ours) {
        (Value::Object(left), Value::Object(right)) => {
            for key in left.keys().chain(right.keys()) {
                let (a, b) = (left.get(key), right.get(key));
                if a != b {
                    return match (a, b) {
                        (Some(a), Some(b)) => first_difference(a, b, &format!("{path}/{key}")),
                        _ => format!("{path}/{key}: {a:?} / {b:?}"),
                    };
                }
            }
            String::new()
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let index = left
                .iter()
                .zip(right)
                .position(|(a, b)| a != b)
                .unwrap_or(0);
            first_difference(&left[index], &right[index], &format!("{path}/{index}"))
        }
        _ => format!("{path}: {theirs} / {ours}"),
    }
}

/// Own certificates are mounted as those of cert-manager, which is asked by objects and by the
/// annotation of what it has to write its authority into.
fn drop_cert_manager(objects: &mut Vec<Value>, rendered: &Rendered) {
    for certificate in &rendered.certificates {
        let asked = format!("{NAMESPACE}/{}", certificate.secret);
        let issuer: Option<String> = objects.iter().find_map(|object| {
            let [_, kind, namespace, name] = identity(object);
            let is_it = kind == "Certificate" && format!("{namespace}/{name}") == asked;
            let issuer = object.pointer("/spec/issuerRef/name")?.as_str()?;
            is_it.then(|| issuer.to_owned())
        });
        objects.retain(|object| {
            let [version, kind, _, name] = identity(object);
            version != "cert-manager.io/v1"
                || !(kind == "Certificate" && name == certificate.secret
                    || kind == "Issuer" && Some(&name) == issuer.as_ref())
        });
        for object in objects.iter_mut() {
            if let Some(annotations) = object["metadata"]
                .get_mut("annotations")
                .and_then(Value::as_object_mut)
            {
                annotations.retain(|key, value| key != INJECT_FROM || *value != asked.as_str());
            }
        }
    }
}

/// Own certificates are mounted as those of the service CA, which is asked by annotations.
fn drop_service_ca(object: &mut Value, rendered: &Rendered) {
    let [_, kind, _, name] = identity(object);
    for certificate in &rendered.certificates {
        let told = certificate
            .ca_targets
            .iter()
            .any(|target| target.kind.as_str() == kind && target.name == name);
        if (told || (kind == "Service" && certificate.service == name))
            && let Some(annotations) = object["metadata"]
                .get_mut("annotations")
                .and_then(Value::as_object_mut)
        {
            annotations.remove(INJECT);
            annotations.remove(SERVE);
        }
    }
}

/// Everything that has a `caBundle` is listed once, and every Secret is mounted.
fn check_certificates(file: &str, rendered: &Rendered, failures: &mut Vec<String>) {
    let mut wanted: Vec<(String, String)> = rendered
        .objects
        .iter()
        .filter(|object| {
            object.get("webhooks").is_some()
                || object.pointer("/spec/conversion/webhook/clientConfig/service/namespace")
                    == Some(&Value::from(NAMESPACE))
        })
        .map(|object| {
            let [_, kind, _, name] = identity(object);
            (kind, name)
        })
        .collect();
    wanted.sort_unstable();
    let mut listed: Vec<(String, String)> = rendered
        .certificates
        .iter()
        .flat_map(|certificate| &certificate.ca_targets)
        .map(|target| (target.kind.as_str().to_owned(), target.name.clone()))
        .collect();
    listed.sort_unstable();
    if wanted != listed {
        failures.push(format!("{file}: CA targets {listed:?}, not {wanted:?}"));
    }
    for certificate in &rendered.certificates {
        let mounted = rendered.objects.iter().any(|object| {
            object["kind"] == "Deployment"
                && object
                    .pointer("/spec/template/spec/volumes")
                    .is_some_and(|volumes| {
                        volumes.as_array().unwrap().iter().any(|volume| {
                            volume.pointer("/secret/secretName")
                                == Some(&Value::from(certificate.secret.as_str()))
                        })
                    })
        });
        if !mounted {
            failures.push(format!(
                "{file}: Secret {} is not mounted",
                certificate.secret
            ));
        }
    }
}
