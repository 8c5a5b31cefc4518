//! What a chosen bundle requires of what is installed.

use olm_resolver::{Api, InstalledBundle, check_dependencies};
use olm_semver::Version;
use serde_json::{Value, json};

use crate::fixture::{ask, bundle, catalog, resolve};

fn chosen(properties: &[Value]) -> std::sync::Arc<olm_resolver::Bundle> {
    let catalog = catalog("c", 0, &[bundle("A", "1.19.3", properties)]);
    resolve(&[&catalog], &ask("A", None, None, None))
        .unwrap()
        .bundle
}

fn requires_package(name: &str, range: &str) -> Value {
    json!({"type": "olm.package.required", "value": {"packageName": name, "versionRange": range}})
}

fn api(type_: &str, kind: &str) -> Value {
    json!({"type": type_, "value": {"group": "example.com", "version": "v1", "kind": kind}})
}

#[test]
fn what_a_bundle_requires_must_be_installed() {
    let bundle = chosen(&[
        requires_package("B", ">=1.0.0"),
        api("olm.gvk.required", "Thing"),
    ]);
    let installed = |package: &str, version: &str, kinds: &[&str]| InstalledBundle {
        package: package.to_owned(),
        version: Version::parse_strict(version).unwrap(),
        apis: kinds
            .iter()
            .map(|kind| Api {
                group: "example.com".to_owned(),
                version: "v1".to_owned(),
                kind: (*kind).to_owned(),
            })
            .collect(),
    };
    let text = |installed: &[InstalledBundle]| {
        check_dependencies(&bundle, installed).map_err(|refusal| refusal.to_string())
    };
    assert_eq!(
        text(&[]).unwrap_err(),
        "A 1.19.3 requires package \"B\" in range \">=1.0.0\", which is not installed, and API \
         example.com/v1 Thing, which no installed bundle provides"
    );
    assert_eq!(
        text(&[installed("B", "0.9.0", &["Thing"])]).unwrap_err(),
        "A 1.19.3 requires package \"B\" in range \">=1.0.0\", which is not installed (installed: 0.9.0)"
    );
    // The older version of the package itself is about to go.
    assert_eq!(
        text(&[
            installed("B", "1.0.0", &[]),
            installed("A", "1.0.0", &["Thing"])
        ])
        .unwrap_err(),
        "A 1.19.3 requires API example.com/v1 Thing, which no installed bundle provides"
    );
    assert_eq!(
        text(&[
            installed("B", "1.0.0", &[]),
            installed("C", "1.0.0", &["Thing"])
        ]),
        Ok(())
    );
}

#[test]
fn a_bundle_may_provide_what_it_requires() {
    let bundle = chosen(&[
        requires_package("A", "1.19.3"),
        api("olm.gvk.required", "Thing"),
        api("olm.gvk", "Thing"),
    ]);
    assert_eq!(check_dependencies(&bundle, &[]), Ok(()));
}

#[test]
fn compound_constraints_are_refused() {
    let bundle = chosen(&[json!({"type": "olm.constraint", "value":
        {"all": {"constraints": [{"package": {"packageName": "B", "versionRange": "1.0.0"}}]}}})]);
    assert_eq!(
        check_dependencies(&bundle, &[]).unwrap_err().to_string(),
        "bundle \"A.1.19.3\" has a dependency declared via property \"olm.constraint\" which is \
         currently not supported"
    );
}

#[test]
fn three_missing_parts_read_as_a_list() {
    let bundle = chosen(&[
        requires_package("B", "1.0.0"),
        requires_package("B", "1.0.0"),
        requires_package("C", "1.0.0"),
        requires_package("D", "1.0.0"),
    ]);
    assert_eq!(
        check_dependencies(&bundle, &[]).unwrap_err().to_string(),
        "A 1.19.3 requires package \"B\" in range \"1.0.0\", which is not installed, package \"C\" in \
         range \"1.0.0\", which is not installed, and package \"D\" in range \"1.0.0\", which is not \
         installed"
    );
}
