//! What is wrong with a Bundle, in the words of the upstream webhook.

use std::collections::{BTreeMap, BTreeSet};

use olm_api::bundle::{Authorization, BundleSource, BundleSpec};

/// What is known of the ConfigMaps that a Bundle names: whether each is immutable. One that does
/// not exist is absent.
pub(crate) type ConfigMaps = BTreeMap<String, bool>;

/// Why a change of a Bundle is refused, if it is. An unchanged spec is never judged again, so that
/// labels and finalizers of any Bundle can be edited.
pub(crate) fn update(old: &BundleSpec, new: &BundleSpec) -> Option<String> {
    (normal(old) != normal(new)).then(|| "bundle.spec is immutable".to_owned())
}

/// The ConfigMaps that must be looked up before [`create`] can judge.
pub(crate) fn config_maps(spec: &BundleSpec) -> BTreeSet<&str> {
    if spec.source.kind != "configMaps" {
        return BTreeSet::new();
    }
    let entries = spec.source.config_maps.iter().flatten();
    entries
        .filter_map(|entry| entry.config_map.name.as_deref())
        .collect()
}

/// Why a new Bundle is refused, if it is. A type that nobody knows is let through, as upstream
/// does: its status says what is wrong.
pub(crate) fn create(spec: &BundleSpec, config_maps: &ConfigMaps) -> Option<String> {
    let source = &spec.source;
    let unset = |member: &str| {
        Some(format!(
            "bundle.spec.source.{member} must be set for source type \"{member}\""
        ))
    };
    match source.kind.as_str() {
        "image" => match &source.image {
            None => unset("image"),
            Some(image) => directory("image", "image", image.directory.as_deref()),
        },
        "git" => match &source.git {
            None => unset("git"),
            Some(git) => directory("git", "repository", git.directory.as_deref()),
        },
        "configMaps" if source.config_maps.as_ref().is_none_or(Vec::is_empty) => {
            unset("configmaps")
        }
        "configMaps" => aggregate(config_map_entries(source, config_maps)),
        "http" if source.http.is_none() => unset("http"),
        "upload" if source.upload.is_none() => unset("upload"),
        _ => None,
    }
}

/// A directory may not lead out of the `whole` that it is in.
fn directory(member: &str, whole: &str, directory: Option<&str>) -> Option<String> {
    let begin = outside(directory?)?;
    Some(format!(
        "bundle.spec.source.{member}.directory begins with \"{begin}\": directory must define path \
         within the {whole}"
    ))
}

fn config_map_entries(source: &BundleSource, config_maps: &ConfigMaps) -> Vec<String> {
    let mut errors = Vec::new();
    for (index, entry) in source.config_maps.iter().flatten().enumerate() {
        let field = format!("bundle.spec.source.configmaps[{index}]");
        let path = entry.path.as_deref().unwrap_or_default();
        if outside(path).is_some() {
            errors.push(format!(
                "{field}.path is invalid: \"{path}\" is outside bundle root"
            ));
        }
        let name = entry.config_map.name.as_deref().unwrap_or_default();
        if config_maps.get(name) == Some(&false) {
            errors.push(format!(
                "{field}.configmap.name is invalid: configmap \"{name}\" is not immutable"
            ));
        }
    }
    errors
}

/// Several errors in the form of Go's aggregates.
fn aggregate(errors: Vec<String>) -> Option<String> {
    let mut distinct: Vec<String> = Vec::new();
    for error in errors {
        if !distinct.contains(&error) {
            distinct.push(error);
        }
    }
    match distinct.len() {
        0 | 1 => distinct.pop(),
        _ => Some(format!("[{}]", distinct.join(", "))),
    }
}

/// How a path begins that leaves the directory that it is relative to: `../` or `/`.
fn outside(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        return Some("/");
    }
    let mut depth = 0_usize;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return Some("../"),
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    None
}

/// The spec with everything absent that means the same as absent: the API's Go types know no
/// difference between an absent, an empty and a false value.
fn normal(spec: &BundleSpec) -> BundleSpec {
    let mut spec = spec.clone();
    let source = &mut spec.source;
    if let Some(image) = &mut source.image {
        drop_empty(&mut image.pull_secret);
        drop_empty(&mut image.directory);
    }
    if let Some(git) = &mut source.git {
        drop_empty(&mut git.directory);
        drop_empty(&mut git.reference.branch);
        drop_empty(&mut git.reference.tag);
        drop_empty(&mut git.reference.commit);
        normalise_auth(&mut git.auth);
    }
    if let Some(http) = &mut source.http {
        normalise_auth(&mut http.auth);
    }
    if source.config_maps.as_ref().is_some_and(Vec::is_empty) {
        source.config_maps = None;
    }
    for entry in source.config_maps.iter_mut().flatten() {
        drop_empty(&mut entry.path);
        drop_empty(&mut entry.config_map.name);
    }
    spec
}

fn drop_empty(text: &mut Option<String>) {
    if text.as_deref() == Some("") {
        *text = None;
    }
}

fn normalise_auth(auth: &mut Option<Authorization>) {
    let Some(found) = auth else { return };
    if let Some(secret) = &mut found.secret {
        drop_empty(&mut secret.name);
        if secret.name.is_none() {
            found.secret = None;
        }
    }
    if found.insecure_skip_verify == Some(false) {
        found.insecure_skip_verify = None;
    }
    if *found == Authorization::default() {
        *auth = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn spec(source: &Value) -> BundleSpec {
        serde_json::from_value(json!({
            "provisionerClassName": "core-rukpak-io-plain",
            "source": source,
        }))
        .unwrap()
    }

    fn git(directory: &str) -> Value {
        json!({"type": "git", "git": {"repository": "r", "ref": {"tag": "v1"},
               "directory": directory}})
    }

    const NO_IMAGE: &str = r#"bundle.spec.source.image must be set for source type "image""#;
    const NO_GIT: &str = r#"bundle.spec.source.git must be set for source type "git""#;
    const NO_MAPS: &str =
        r#"bundle.spec.source.configmaps must be set for source type "configmaps""#;
    const NO_HTTP: &str = r#"bundle.spec.source.http must be set for source type "http""#;
    const NO_UPLOAD: &str = r#"bundle.spec.source.upload must be set for source type "upload""#;
    const GIT_UP: &str = r#"bundle.spec.source.git.directory begins with "../": directory must define path within the repository"#;
    const GIT_ROOT: &str = r#"bundle.spec.source.git.directory begins with "/": directory must define path within the repository"#;

    #[rstest]
    #[case::image(json!({"type": "image", "image": {"ref": "a"}}), None)]
    #[case::image_with_git(json!({"type": "image", "git": {"repository": "r", "ref": {}}}), Some(NO_IMAGE))]
    #[case::image_directory(json!({"type": "image", "image": {"ref": "a", "directory": "./a/.."}}), None)]
    #[case::image_up(json!({"type": "image", "image": {"ref": "a", "directory": "a/../.."}}),
        Some(r#"bundle.spec.source.image.directory begins with "../": directory must define path within the image"#))]
    #[case::git_with_image(json!({"type": "git", "image": {"ref": "a"}}), Some(NO_GIT))]
    #[case::git(git("./dev/../deploy"), None)]
    #[case::git_short(git("a"), None)]
    #[case::git_here(git("."), None)]
    #[case::git_up(git("../a"), Some(GIT_UP))]
    #[case::git_only_up(git(".."), Some(GIT_UP))]
    #[case::git_up_later(git("a/../../b"), Some(GIT_UP))]
    #[case::git_absolute(git("/a"), Some(GIT_ROOT))]
    #[case::maps_absent(json!({"type": "configMaps", "image": {"ref": "a"}}), Some(NO_MAPS))]
    #[case::maps_empty(json!({"type": "configMaps", "configMaps": []}), Some(NO_MAPS))]
    #[case::maps(json!({"type": "configMaps", "configMaps": [
        {"configMap": {"name": "fixed"}, "path": "manifests"},
        {"configMap": {"name": "absent"}}]}), None)]
    #[case::maps_open(json!({"type": "configMaps", "configMaps": [{"configMap": {"name": "open"}}]}),
        Some(r#"bundle.spec.source.configmaps[0].configmap.name is invalid: configmap "open" is not immutable"#))]
    #[case::maps_outside(json!({"type": "configMaps", "configMaps": [
        {"configMap": {"name": "fixed"}, "path": ".."},
        {"configMap": {"name": "fixed"}, "path": "/a"}]}),
        Some(r#"[bundle.spec.source.configmaps[0].path is invalid: ".." is outside bundle root, bundle.spec.source.configmaps[1].path is invalid: "/a" is outside bundle root]"#))]
    #[case::http_absent(json!({"type": "http", "image": {"ref": "a"}}), Some(NO_HTTP))]
    #[case::http(json!({"type": "http", "http": {"url": "u"}}), None)]
    #[case::upload_absent(json!({"type": "upload", "image": {"ref": "a"}}), Some(NO_UPLOAD))]
    #[case::upload(json!({"type": "upload", "upload": {}}), None)]
    #[case::unknown(json!({"type": "ftp", "image": {"ref": "a"}}), None)]
    fn the_source_must_be_of_its_type(#[case] source: Value, #[case] text: Option<&str>) {
        let known = ConfigMaps::from([("fixed".to_owned(), true), ("open".to_owned(), false)]);
        assert_eq!(create(&spec(&source), &known).as_deref(), text);
    }

    #[rstest]
    #[case::same(json!({"type": "image", "image": {"ref": "a"}}), json!({"type": "image", "image": {"ref": "a"}}), true)]
    #[case::other_reference(json!({"type": "image", "image": {"ref": "a"}}), json!({"type": "image", "image": {"ref": "b"}}), false)]
    #[case::other_directory(json!({"type": "image", "image": {"ref": "a"}}), json!({"type": "image", "image": {"ref": "a", "directory": "b"}}), false)]
    #[case::empty_directory(json!({"type": "image", "image": {"ref": "a"}}), json!({"type": "image", "image": {"ref": "a", "directory": ""}}), true)]
    #[case::empty_secret(json!({"type": "image", "image": {"ref": "a"}}), json!({"type": "image", "image": {"ref": "a", "pullSecret": ""}}), true)]
    #[case::empty_auth(git(""), json!({"type": "git", "git": {"repository": "r", "ref": {"tag": "v1", "branch": ""},
        "auth": {"secret": {"name": ""}, "insecureSkipVerify": false}}}), true)]
    #[case::empty_list(json!({"type": "upload", "upload": {}, "configMaps": []}), json!({"type": "upload", "upload": {}}), true)]
    #[case::member_added(json!({"type": "upload"}), json!({"type": "upload", "upload": {}}), false)]
    fn a_spec_never_changes_its_meaning(
        #[case] old: Value,
        #[case] new: Value,
        #[case] fine: bool,
    ) {
        let verdict = update(&spec(&old), &spec(&new));
        assert_eq!(
            verdict,
            (!fine).then(|| "bundle.spec is immutable".to_owned())
        );
    }

    #[test]
    fn another_class_is_another_spec() {
        let old = spec(&json!({"type": "upload", "upload": {}}));
        let new = BundleSpec {
            provisioner_class_name: "other".to_owned(),
            ..old.clone()
        };
        assert!(update(&old, &new).is_some());
    }
}
