//! From manifests to a set of objects that may be applied: cleaned, placed, owned, ordered.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use crate::discovery::Resource;
use crate::error::{Refusal, RefusalReason};
use crate::identity::ObjectId;
use crate::owner::Owner;
use crate::phases::{self, Phase};

/// Most objects in a set. Each is about 150 bytes of the owner's status, and that has to fit in
/// one object of the API server.
pub const MAX_OBJECTS: usize = 5_000;

/// Where and for whom a set is prepared.
#[derive(Clone, Debug)]
pub struct Placement {
    /// Who owns the objects.
    pub owner: Owner,
    /// Namespace of objects of namespaced kinds that name none. It is made where it is missing
    /// and something goes there.
    pub install_namespace: Option<String>,
    /// Namespaces in which nothing may be placed and that may not be changed: the suite's own.
    pub protected_namespaces: Vec<String>,
}

/// One object that is ready to be applied.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) id: ObjectId,
    pub(crate) phase: Phase,
    pub(crate) resource: Resource,
    /// What is sent: identity, labels, annotations and content.
    pub(crate) body: Value,
    /// Whether the API server served the kind when the set was prepared.
    pub(crate) served: bool,
    /// Whether the set itself defines the kind, by this `CustomResourceDefinition`.
    pub(crate) defined_by: Option<String>,
    /// Whether it is the install namespace, which may be somebody else's.
    pub(crate) shared: bool,
}

/// The objects of one owner, in the order in which they are applied.
#[derive(Clone, Debug)]
pub struct ObjectSet {
    pub(crate) owner: Owner,
    pub(crate) manifests: Vec<Manifest>,
    /// Whether changes of definitions are refused that could break objects of their kinds.
    pub(crate) is_careful: bool,
    pub(crate) keeping: Keeping,
}

/// Definitions that stay as they are where a change of them could break objects of their kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// None.
    #[default]
    Nothing,
    /// Those of these names.
    Named(BTreeSet<String>),
    /// All of them.
    Everything,
}

impl Keeping {
    pub(crate) fn covers(&self, id: &ObjectId) -> bool {
        id.is_crd()
            && match self {
                Self::Nothing => false,
                Self::Named(names) => names.contains(&id.name),
                Self::Everything => true,
            }
    }
}

impl ObjectSet {
    /// Whose objects they are.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The same set, with definitions that may change in any way. Without this, one whose change
    /// could break objects of its kind is refused.
    #[must_use]
    pub fn allowing_unsafe_upgrades(mut self) -> Self {
        self.is_careful = false;
        self
    }

    /// The same set, in which a definition stays as it is where a change of it could break objects
    /// of its kind: for the way back to what ran before. [`Plan::kept`](crate::Plan::kept) tells
    /// which these are.
    #[must_use]
    pub fn keeping_definitions(mut self) -> Self {
        self.keeping = Keeping::Everything;
        self
    }

    /// The same, of the definitions of these names only: those that stayed on the way back.
    #[must_use]
    pub fn keeping_these_definitions(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.keeping = Keeping::Named(names.into_iter().collect());
        self
    }

    /// All objects, in the order of application.
    pub fn ids(&self) -> impl Iterator<Item = &ObjectId> {
        self.manifests.iter().map(|manifest| &manifest.id)
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.manifests.len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.manifests.is_empty()
    }
}

/// A manifest of which the kind is not looked up yet.
#[derive(Debug)]
pub(crate) struct Draft {
    id: ObjectId,
    body: Value,
}

impl Draft {
    /// Group, version and kind.
    pub(crate) fn kind(&self) -> (String, String, String) {
        (
            self.id.group.clone(),
            self.id.version.clone(),
            self.id.kind.clone(),
        )
    }
}

/// Kinds by group, version and kind; a kind that nobody serves is absent.
pub(crate) type Served = HashMap<(String, String, String), Resource>;

/// First half: identities and clean bodies.
pub(crate) fn draft(objects: Vec<Value>, refusals: &mut Vec<Refusal>) -> Vec<Draft> {
    let mut drafts = Vec::with_capacity(objects.len());
    for object in objects.into_iter().flat_map(flatten) {
        if drafts.len() == MAX_OBJECTS {
            refusals.push(Refusal::malformed(format!(
                "more than {MAX_OBJECTS} objects"
            )));
            break;
        }
        match ObjectId::of(&object) {
            Ok(id) => match clean(object) {
                Ok(body) => drafts.push(Draft { id, body }),
                Err(problem) => refusals.push(Refusal::new(
                    &id,
                    RefusalReason::Malformed(problem.to_owned()),
                )),
            },
            Err(error) => refusals.push(Refusal::malformed(error)),
        }
    }
    drafts
}

/// `kind: List` stands for its items; one level, as kubectl makes them.
fn flatten(mut object: Value) -> Vec<Value> {
    let is_list = object["kind"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("List"))
        && object["metadata"]["name"].as_str().is_none();
    match object.get_mut("items") {
        Some(Value::Array(items)) if is_list => std::mem::take(items),
        _ => vec![object],
    }
}

/// Keeps what belongs to the author: of `metadata` the name, labels and annotations, and no
/// `status`. What the server or other controllers write (owner references, finalizers, managed
/// fields) would be a claim that nobody made.
fn clean(object: Value) -> Result<Value, &'static str> {
    let Value::Object(mut map) = object else {
        return Err("is not an object");
    };
    map.remove("status");
    let Some(Value::Object(mut metadata)) = map.remove("metadata") else {
        return Err("`metadata` is not an object");
    };
    let mut kept = Map::new();
    kept.insert(
        "name".to_owned(),
        metadata.remove("name").unwrap_or_default(),
    );
    for (key, problem) in [
        ("labels", "`metadata.labels` is not a map of strings"),
        (
            "annotations",
            "`metadata.annotations` is not a map of strings",
        ),
    ] {
        match metadata.remove(key) {
            None | Some(Value::Null) => {}
            Some(Value::Object(mut entries)) => {
                // A key without a value is written as null; the API reads it as empty.
                for value in entries.values_mut().filter(|value| value.is_null()) {
                    *value = Value::String(String::new());
                }
                if !entries.values().all(Value::is_string) {
                    return Err(problem);
                }
                if !entries.is_empty() {
                    kept.insert(key.to_owned(), Value::Object(entries));
                }
            }
            Some(_) => return Err(problem),
        }
    }
    map.insert("metadata".to_owned(), Value::Object(kept));
    Ok(Value::Object(map))
}

/// Second half: kinds resolved, namespaces filled, labels set, duplicates refused, sorted.
pub(crate) fn place(
    drafts: Vec<Draft>,
    served: &Served,
    placement: &Placement,
    refusals: &mut Vec<Refusal>,
) -> ObjectSet {
    let definitions = definitions(&drafts);
    let mut manifests: Vec<Manifest> = Vec::with_capacity(drafts.len() + 1);
    for Draft { mut id, mut body } in drafts {
        let defined = definitions.get(&(id.group.clone(), id.kind.clone()));
        let found = served.get(&(id.group.clone(), id.version.clone(), id.kind.clone()));
        let coming = defined.and_then(|(_, crd)| Resource::of_crd(crd, &id.version));
        let Some(resource) = found.cloned().or(coming) else {
            refusals.push(Refusal::new(&id, RefusalReason::NoMatch));
            continue;
        };
        if resource.namespaced {
            if id.namespace.is_none() {
                id.namespace.clone_from(&placement.install_namespace);
            }
            if id.namespace.is_none() {
                let problem = "has no namespace, and none is configured".to_owned();
                refusals.push(Refusal::new(&id, RefusalReason::Malformed(problem)));
                continue;
            }
        } else {
            id.namespace = None;
        }
        if is_protected(&id, placement) {
            refusals.push(Refusal::new(&id, RefusalReason::ProtectedNamespace));
            continue;
        }
        finish(&mut body, &id, &placement.owner);
        manifests.push(Manifest {
            phase: Phase::of_object(&id),
            resource,
            body,
            served: found.is_some(),
            defined_by: defined.map(|(name, _)| name.clone()),
            shared: is_namespace(&id) && placement.install_namespace.as_ref() == Some(&id.name),
            id,
        });
    }
    add_install_namespace(&mut manifests, placement);
    manifests.sort_by(|left, right| phases::order(&left.id).cmp(&phases::order(&right.id)));
    for pair in manifests.windows(2) {
        if let [left, right] = pair
            && left.id.is_same_object(&right.id)
        {
            refusals.push(Refusal::new(&left.id, RefusalReason::Duplicate));
        }
    }
    ObjectSet {
        owner: placement.owner.clone(),
        manifests,
        is_careful: true,
        keeping: Keeping::default(),
    }
}

/// The definitions in the set, by the group and kind that they define.
fn definitions(drafts: &[Draft]) -> BTreeMap<(String, String), (String, Value)> {
    let mut definitions = BTreeMap::new();
    for draft in drafts.iter().filter(|draft| draft.id.is_crd()) {
        let spec = &draft.body["spec"];
        if let (Some(group), Some(kind)) = (spec["group"].as_str(), spec["names"]["kind"].as_str())
        {
            // Only what says which kind it is: schemas are megabytes.
            let versions: Vec<Value> = spec["versions"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|version| {
                    json!({"name": version["name"], "served": version["served"],
                                      "storage": version["storage"]})
                })
                .collect();
            let digest = json!({"spec": {"group": group, "names": spec["names"],
                                         "scope": spec["scope"], "versions": versions}});
            definitions.insert(
                (group.to_owned(), kind.to_owned()),
                (draft.id.name.clone(), digest),
            );
        }
    }
    definitions
}

fn is_namespace(id: &ObjectId) -> bool {
    id.is_kind("", "Namespace")
}

fn is_protected(id: &ObjectId, placement: &Placement) -> bool {
    let place = if is_namespace(id) {
        Some(&id.name)
    } else {
        id.namespace.as_ref()
    };
    place.is_some_and(|place| placement.protected_namespaces.contains(place))
}

fn finish(body: &mut Value, id: &ObjectId, owner: &Owner) {
    let metadata = &mut body["metadata"];
    if let Some(namespace) = &id.namespace {
        metadata["namespace"] = Value::String(namespace.clone());
    }
    if metadata.get("labels").is_none() {
        metadata["labels"] = json!({});
    }
    if let Some(labels) = metadata["labels"].as_object_mut() {
        owner.label(labels);
    }
}

fn add_install_namespace(manifests: &mut Vec<Manifest>, placement: &Placement) {
    let Some(name) = &placement.install_namespace else {
        return;
    };
    let used = manifests
        .iter()
        .any(|manifest| manifest.id.namespace.as_ref() == Some(name));
    let there = manifests.iter().any(|manifest| manifest.shared);
    if !used || there {
        return;
    }
    let id = ObjectId {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "Namespace".to_owned(),
        namespace: None,
        name: name.clone(),
    };
    let mut body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": id.name}});
    finish(&mut body, &id, &placement.owner);
    manifests.push(Manifest {
        phase: Phase::Namespaces,
        resource: Resource::new("", "v1", "Namespace", "namespaces", false),
        body,
        served: true,
        defined_by: None,
        shared: true,
        id,
    });
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn placement() -> Placement {
        Placement {
            owner: Owner::new("BundleDeployment", "me"),
            install_namespace: Some("there".into()),
            protected_namespaces: vec!["olm-system".into()],
        }
    }

    fn served() -> Served {
        [
            Resource::new("", "v1", "Namespace", "namespaces", false),
            Resource::new("", "v1", "ConfigMap", "configmaps", true),
            Resource::new("apps", "v1", "Deployment", "deployments", true),
            Resource::new(
                "rbac.authorization.k8s.io",
                "v1",
                "ClusterRole",
                "clusterroles",
                false,
            ),
            Resource::new(
                "apiextensions.k8s.io",
                "v1",
                "CustomResourceDefinition",
                "customresourcedefinitions",
                false,
            ),
        ]
        .into_iter()
        .map(|r| {
            (
                (
                    r.api.group.clone(),
                    r.api.version.clone(),
                    r.api.kind.clone(),
                ),
                r,
            )
        })
        .collect()
    }

    fn prepare(objects: Vec<Value>) -> (ObjectSet, Vec<String>) {
        let mut refusals = Vec::new();
        let drafts = draft(objects, &mut refusals);
        let set = place(drafts, &served(), &placement(), &mut refusals);
        (set, refusals.iter().map(Refusal::to_string).collect())
    }

    fn object(api_version: &str, kind: &str, name: &str) -> Value {
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})
    }

    fn crd() -> Value {
        let mut crd = object(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "things.x.io",
        );
        crd["spec"] = json!({
            "group": "x.io", "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "served": true, "storage": true}]
        });
        crd
    }

    #[test]
    fn keeps_only_what_the_author_wrote_and_adds_the_owner() {
        let (set, refusals) = prepare(vec![json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "a", "uid": "1", "resourceVersion": "2", "finalizers": ["x"],
                "creationTimestamp": null, "ownerReferences": [], "managedFields": [],
                "labels": {"app": "a"}, "annotations": {"note": null}
            },
            "spec": {"replicas": 1}, "status": {"replicas": 1}
        })]);
        assert_eq!(refusals, Vec::<String>::new());
        assert_eq!(
            set.manifests.last().map(|manifest| manifest.body.clone()),
            Some(json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {
                    "name": "a", "namespace": "there", "annotations": {"note": ""},
                    "labels": {
                        "app": "a",
                        "core.rukpak.io/owner-kind": "BundleDeployment",
                        "core.rukpak.io/owner-name": "me"
                    }
                },
                "spec": {"replicas": 1}
            }))
        );
    }

    #[rstest]
    #[case::none(json!({"name": "a"}), json!({}))]
    #[case::null(json!({"name": "a", "labels": null}), json!({}))]
    #[case::empty(json!({"name": "a", "labels": {}}), json!({}))]
    #[case::some(json!({"name": "a", "labels": {"app": "a"}}), json!({"app": "a"}))]
    #[case::of_the_owner(
        json!({"name": "a", "labels": {"core.rukpak.io/owner-name": "another"}}), json!({}))]
    fn whatever_labels_there_are_the_owner_s_are_added(
        #[case] metadata: Value,
        #[case] mut labels: Value,
    ) {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
        let (set, refusals) = prepare(vec![object]);
        assert_eq!(refusals, Vec::<String>::new());
        labels["core.rukpak.io/owner-kind"] = json!("BundleDeployment");
        labels["core.rukpak.io/owner-name"] = json!("me");
        let body = set.manifests.last().map(|manifest| &manifest.body);
        assert_eq!(body.map(|body| &body["metadata"]["labels"]), Some(&labels));
    }

    #[test]
    fn makes_the_install_namespace_where_something_goes_there() {
        let (set, _) = prepare(vec![object("v1", "ConfigMap", "a")]);
        let ids: Vec<String> = set.ids().map(ToString::to_string).collect();
        assert_eq!(
            ids,
            [
                r#"Namespace "there""#,
                r#"ConfigMap "a" in namespace "there""#
            ]
        );
        let (set, _) = prepare(vec![object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            "a",
        )]);
        assert_eq!(set.len(), 1);
        let (set, refusals) = prepare(vec![
            object("v1", "Namespace", "there"),
            object("v1", "ConfigMap", "a"),
        ]);
        assert_eq!((set.len(), refusals.len()), (2, 0));
    }

    #[test]
    fn drops_the_namespace_of_cluster_scoped_objects() {
        let mut role = object("rbac.authorization.k8s.io/v1", "ClusterRole", "a");
        role["metadata"]["namespace"] = json!("placeholder");
        let (set, refusals) = prepare(vec![role]);
        assert_eq!(refusals, Vec::<String>::new());
        assert_eq!(set.ids().next().and_then(|id| id.namespace.clone()), None);
        assert_eq!(set.manifests[0].body["metadata"].get("namespace"), None);
    }

    #[test]
    fn knows_kinds_that_the_set_itself_defines() {
        let (set, refusals) = prepare(vec![object("x.io/v1", "Thing", "a"), crd()]);
        assert_eq!(refusals, Vec::<String>::new());
        let thing = set.manifests.last();
        assert_eq!(
            thing.and_then(|m| m.defined_by.as_deref()),
            Some("things.x.io")
        );
        assert_eq!(thing.map(|m| m.served), Some(false));
        assert_eq!(thing.and_then(|m| m.id.namespace.as_deref()), Some("there"));
    }

    #[rstest]
    #[case::unknown_kind(
        vec![object("x.io/v1", "Thing", "a")],
        r#"no matches for kind "Thing" in version "x.io/v1""#
    )]
    #[case::version_that_the_set_does_not_serve(
        vec![object("x.io/v2", "Thing", "a"), crd()],
        r#"no matches for kind "Thing" in version "x.io/v2""#
    )]
    #[case::duplicate(
        vec![object("v1", "ConfigMap", "a"), object("v1", "ConfigMap", "a")],
        r#"ConfigMap "a" in namespace "there" occurs more than once"#
    )]
    #[case::reserved_namespace(
        vec![object("v1", "Namespace", "olm-system")],
        r#"Namespace "olm-system" must not be placed there: the namespace is reserved"#
    )]
    #[case::labels(
        vec![json!({"apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": {"name": "a", "labels": {"x": 1}}})],
        r#"ConfigMap "a": `metadata.labels` is not a map of strings"#
    )]
    fn refuses(#[case] objects: Vec<Value>, #[case] text: &str) {
        assert_eq!(prepare(objects).1, [text]);
    }

    #[test]
    fn takes_the_items_of_a_list() {
        let list = json!({"apiVersion": "v1", "kind": "List",
            "items": [object("v1", "ConfigMap", "a"), object("v1", "ConfigMap", "b")]});
        let (set, refusals) = prepare(vec![list]);
        assert_eq!((set.len(), refusals.len()), (3, 0));
    }
}
