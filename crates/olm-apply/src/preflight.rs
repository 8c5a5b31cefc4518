//! What applying a set would do, found out before anything is written.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::stream::{self, StreamExt as _};
use kube::Resource as _;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::labels::OWNER_KIND_BUNDLE_DEPLOYMENT;
use serde_json::Value;

use crate::applier::{Applier, WIDTH, about};
use crate::crd_safety::unsafe_changes;
use crate::drift;
use crate::error::{ApplyError, Refusal, RefusalReason, RequestError};
use crate::identity::{ObjectId, ObjectKey};
use crate::issued::is_issued_for;
use crate::owner::{Owner, Ownership};
use crate::phases::Phase;
use crate::prepare::{Keeping, Manifest, ObjectSet};
use crate::requests::Mode;

/// What is to be done with one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is as desired.
    Nothing,
    /// It is not there.
    Create,
    /// It is there, ours, and differs.
    Change,
    /// It is the install namespace and somebody else's: used, not owned.
    Leave,
    /// It is a definition that differs and stays as it is.
    Keep,
    /// Its kind comes with the set or changes with it; looked at once the kind is in place.
    Later,
}

impl Step {
    fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Change | Self::Later)
    }
}

/// A manifest and what is to be done with it.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) manifest: Manifest,
    pub(crate) step: Step,
    /// UID of the live object.
    pub(crate) uid: Option<String>,
    /// Why it stays as it is, where the step is [`Step::Keep`].
    pub(crate) kept: Vec<Refusal>,
}

/// A set whose every object the API server has accepted in a dry run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) owner: Owner,
    pub(crate) objects: Vec<Planned>,
    /// Keys of what the owner's inventory held.
    pub(crate) known: Vec<ObjectId>,
}

impl Plan {
    /// The objects that belong to the owner once the plan is carried out, in the order of
    /// application. Write them to the owner's inventory, joined with what is there, first.
    pub fn inventory(&self) -> Vec<ObjectId> {
        self.objects
            .iter()
            .filter(|planned| planned.step != Step::Leave)
            .map(|planned| planned.manifest.id.clone())
            .collect()
    }

    /// Whether carrying the plan out writes nothing.
    pub fn is_settled(&self) -> bool {
        self.objects.iter().all(|planned| !planned.step.writes())
    }

    /// The objects that are created or changed.
    pub fn changes(&self) -> impl Iterator<Item = &ObjectId> {
        self.objects
            .iter()
            .filter(|planned| planned.step.writes())
            .map(|planned| &planned.manifest.id)
    }

    /// The definitions that stay as they are because changing them could break objects of their
    /// kinds, and why.
    pub fn kept(&self) -> impl Iterator<Item = (&ObjectId, &[Refusal])> {
        self.objects
            .iter()
            .filter(|planned| planned.step == Step::Keep)
            .map(|planned| (&planned.manifest.id, planned.kept.as_slice()))
    }
}

/// What is known while objects are looked at.
pub(crate) struct Surroundings<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) known: HashSet<ObjectKey<'a>>,
    /// Namespaces that the set makes and that are not there yet.
    pub(crate) absent: BTreeSet<String>,
    /// Definitions in the set that are not there yet or change.
    pub(crate) unsettled: BTreeSet<String>,
    /// Whether changes of definitions are refused that could break objects of their kinds.
    pub(crate) is_careful: bool,
    /// Which of them stay as they are instead.
    pub(crate) keeping: Keeping,
}

/// What came of looking at one object.
pub(crate) enum Finding {
    Planned(Box<Planned>),
    Refused(Vec<Refusal>),
}

impl Applier {
    /// Looks at every live object and tries every write without keeping it.
    ///
    /// `inventory` is what the owner is known to have applied: an object in it that lost the
    /// owner's labels, and that nobody else claims, is still the owner's and is repaired.
    ///
    /// An object is not tried where that cannot work yet: in a namespace that the set is about to
    /// make, and of a kind that the set is about to define or change (that one is tried as soon as
    /// the kind is established, before anything of a later phase is written).
    ///
    /// # Errors
    ///
    /// [`ApplyError::Refused`] with every object that exists and is not the owner's, that is being
    /// deleted, or that the API server refuses, and with every change of a definition that could
    /// break objects of its kind, unless the set allows it; others where the API server does not
    /// answer.
    pub async fn preflight(
        &self,
        set: ObjectSet,
        inventory: &[ObjectId],
    ) -> Result<Plan, ApplyError> {
        let (plan, refusals) = self.examine_set(set, inventory).await?;
        if refusals.is_empty() {
            Ok(plan)
        } else {
            Err(ApplyError::Refused(refusals))
        }
    }

    /// Like [`Applier::preflight`], for the repair of what is installed: the objects that are
    /// refused come beside a plan of the others, so that one does not stop the repair of the rest.
    /// Definitions go back to what they were, except for those that the set keeps.
    ///
    /// The plan's inventory lacks what was refused: do not prune by it unless nothing was.
    ///
    /// # Errors
    ///
    /// The API server does not answer.
    pub async fn preflight_each(
        &self,
        set: ObjectSet,
        inventory: &[ObjectId],
    ) -> Result<(Plan, Vec<Refusal>), ApplyError> {
        self.examine_set(set.allowing_unsafe_upgrades(), inventory)
            .await
    }

    async fn examine_set(
        &self,
        set: ObjectSet,
        inventory: &[ObjectId],
    ) -> Result<(Plan, Vec<Refusal>), ApplyError> {
        let ObjectSet {
            owner,
            manifests,
            is_careful,
            keeping,
        } = set;
        let mut around = Surroundings {
            owner: &owner,
            known: inventory.iter().map(ObjectId::key).collect(),
            absent: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            is_careful,
            keeping,
        };
        let (first, rest): (Vec<_>, Vec<_>) = manifests.into_iter().partition(|manifest| {
            matches!(
                manifest.phase,
                Phase::Namespaces | Phase::CustomResourceDefinitions
            )
        });
        let mut refusals = Vec::new();
        let mut objects = self.examine_all(first, &around, &mut refusals).await?;
        for planned in &objects {
            let name = planned.manifest.id.name.clone();
            if planned.manifest.id.is_crd() {
                if planned.step.writes() {
                    around.unsettled.insert(name);
                }
            } else if planned.step == Step::Create {
                around.absent.insert(name);
            }
        }
        objects.extend(self.examine_all(rest, &around, &mut refusals).await?);
        drop(around);
        sort(&mut objects);
        let plan = Plan {
            owner,
            objects,
            known: inventory.to_vec(),
        };
        Ok((plan, refusals))
    }

    pub(crate) async fn examine_all(
        &self,
        manifests: Vec<Manifest>,
        around: &Surroundings<'_>,
        refusals: &mut Vec<Refusal>,
    ) -> Result<Vec<Planned>, ApplyError> {
        let mut objects = Vec::with_capacity(manifests.len());
        let mut findings = stream::iter(manifests)
            .map(|manifest| self.examine(manifest, around))
            .buffer_unordered(WIDTH);
        while let Some(finding) = findings.next().await {
            match finding? {
                Finding::Planned(planned) => objects.push(*planned),
                Finding::Refused(refused) => refusals.extend(refused),
            }
        }
        Ok(objects)
    }

    async fn examine(
        &self,
        manifest: Manifest,
        around: &Surroundings<'_>,
    ) -> Result<Finding, ApplyError> {
        let waits_for_kind = !manifest.served
            || manifest
                .defined_by
                .as_ref()
                .is_some_and(|name| around.unsettled.contains(name));
        let id = &manifest.id;
        let live = if manifest.served {
            self.requests
                .get(&manifest.resource, id)
                .await
                .map_err(about("read", id))?
        } else {
            None
        };
        if let Some(live) = &live {
            match self.judge(&manifest, live, around) {
                Ok(Step::Leave) => return Ok(planned(manifest, Step::Leave, None)),
                Ok(_) => {}
                Err(RefusalReason::OwnedByOther { other, .. })
                    if id.is_crd() && self.is_gone(&other).await? => {}
                Err(reason) => return Ok(Finding::Refused(vec![Refusal::new(id, reason)])),
            }
        }
        let uid = live
            .as_ref()
            .and_then(|live| live["metadata"]["uid"].as_str())
            .map(str::to_owned);
        if waits_for_kind {
            return Ok(planned(manifest, Step::Later, uid));
        }
        if let Some(live) = &live
            && drift::is_current(&manifest.body, live, self.requests.manager())
        {
            return Ok(planned(manifest, Step::Nothing, uid));
        }
        let step = if live.is_some() {
            Step::Change
        } else {
            Step::Create
        };
        if id
            .namespace
            .as_ref()
            .is_some_and(|name| around.absent.contains(name))
        {
            return Ok(planned(manifest, step, uid));
        }
        let may_stay = live.is_some() && around.keeping.covers(id);
        let before = live.as_ref().filter(|_| around.is_careful || may_stay);
        let refuse = |manifest: Manifest, refusals: Vec<Refusal>, uid| {
            if may_stay && refusals.iter().all(is_of_definition) {
                kept(manifest, uid, refusals)
            } else {
                Finding::Refused(refusals)
            }
        };
        match self.try_out(&manifest, live.as_ref()).await {
            Ok(Some(tried)) => match broken_by(&manifest, before, &tried) {
                refusals if refusals.is_empty() => Ok(planned(manifest, step, uid)),
                refusals => Ok(refuse(manifest, refusals, uid)),
            },
            Ok(None) => Ok(planned(manifest, Step::Nothing, uid)),
            Err(error) => {
                if error.is_not_found() {
                    // Either the namespace or the path of the kind; if the latter, look again.
                    self.discovery().forget(&manifest.resource).await;
                }
                let mut refusals = broken_by(&manifest, before, &manifest.body);
                match judge_trial(&manifest, error) {
                    Trial::Inconclusive if refusals.is_empty() => Ok(planned(manifest, step, uid)),
                    Trial::Inconclusive => Ok(refuse(manifest, refusals, uid)),
                    Trial::Refused(refusal) => {
                        refusals.push(refusal);
                        Ok(refuse(manifest, refusals, uid))
                    }
                    Trial::Failed(error) => Err(about("try to apply", id)(error)),
                }
            }
        }
    }

    /// What a write would make of the object, by a dry run; `None` where it would change nothing.
    async fn try_out(
        &self,
        manifest: &Manifest,
        live: Option<&Value>,
    ) -> Result<Option<Value>, RequestError> {
        let Manifest {
            id, resource, body, ..
        } = manifest;
        let mut is_there = live.is_some();
        let mut again: Option<Value> = None;
        let mut trials = 1;
        loop {
            let tried = self
                .requests
                .apply(resource, id, body, Mode::Try, is_there)
                .await?;
            let Some(before) = again.as_ref().or(live).filter(|_| is_there) else {
                return Ok(Some(tried));
            };
            if drift::is_same(&tried, before) {
                return Ok(None);
            }
            let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
            if version(&tried) == version(before) {
                return Ok(Some(tried));
            }
            // Somebody wrote in between, a controller its annotation perhaps: compare what
            // belongs together.
            again = self.requests.get(resource, id).await?;
            is_there = again.is_some();
            if again
                .as_ref()
                .is_some_and(|live| drift::is_same(&tried, live))
            {
                return Ok(None);
            }
            if trials == TRIALS {
                return Ok(Some(tried));
            }
            trials += 1;
        }
    }

    /// Whether an owner is not in the cluster any more: the definitions that it left behind, with
    /// their custom resources, are there for the next one.
    async fn is_gone(&self, owner: &Owner) -> Result<bool, ApplyError> {
        if owner.kind != OWNER_KIND_BUNDLE_DEPLOYMENT {
            return Ok(false);
        }
        let id = ObjectId {
            group: BundleDeployment::group(&()).into_owned(),
            version: BundleDeployment::version(&()).into_owned(),
            kind: owner.kind.clone(),
            namespace: None,
            name: owner.name.clone(),
        };
        let Some(resource) = self.resource_of(&id).await? else {
            return Ok(false);
        };
        let found = self.requests.get_metadata(&resource, &id).await;
        Ok(found.map_err(about("read", &id))?.is_none())
    }

    /// Whether a live object may be written to, and whether it should.
    fn judge(
        &self,
        manifest: &Manifest,
        live: &Value,
        around: &Surroundings<'_>,
    ) -> Result<Step, RefusalReason> {
        let owner = around.owner;
        let ownership = owner.judge_value(live);
        if live["metadata"]["deletionTimestamp"].is_string() {
            return Err(RefusalReason::BeingDeleted);
        }
        match ownership {
            Ownership::Ours => Ok(Step::Change),
            // Before the rule for the install namespace: one that is the owner's must not fall
            // out of the set for the sake of its labels, or it would be pruned.
            Ownership::Nobodys
                if around.known.contains(&manifest.id.key())
                    && is_managed_by(live, self.requests.manager()) =>
            {
                Ok(Step::Change)
            }
            Ownership::Nobodys if is_issued_for(live, &around.known) => Ok(Step::Change),
            _ if manifest.shared => Ok(Step::Leave),
            Ownership::Nobodys => Err(RefusalReason::NotOwned(owner.clone())),
            Ownership::Others(other) => Err(RefusalReason::OwnedByOther {
                owner: owner.clone(),
                other,
            }),
        }
    }
}

/// What the step from `before` to `after` could break, where it is a definition that changes.
fn broken_by(manifest: &Manifest, before: Option<&Value>, after: &Value) -> Vec<Refusal> {
    let before = before.filter(|_| manifest.id.is_crd() && manifest.id.version == "v1");
    let changes = before.map(|before| unsafe_changes(before, after));
    let refusal = |change| Refusal::new(&manifest.id, RefusalReason::UnsafeUpgrade(change));
    changes.into_iter().flatten().map(refusal).collect()
}

/// Whether the refusal speaks of what the definition says, and not of who may write it: the API
/// server itself refuses some ways back, such as from a version in which objects are stored.
fn is_of_definition(refusal: &Refusal) -> bool {
    matches!(
        refusal.reason,
        RefusalReason::UnsafeUpgrade(_) | RefusalReason::Rejected { code: 422, .. }
    )
}

pub(crate) fn sort(objects: &mut [Planned]) {
    objects.sort_by(|left, right| {
        crate::phases::order(&left.manifest.id).cmp(&crate::phases::order(&right.manifest.id))
    });
}

fn planned(manifest: Manifest, step: Step, uid: Option<String>) -> Finding {
    Finding::Planned(Box::new(Planned {
        manifest,
        step,
        uid,
        kept: Vec::new(),
    }))
}

fn kept(manifest: Manifest, uid: Option<String>, why: Vec<Refusal>) -> Finding {
    Finding::Planned(Box::new(Planned {
        manifest,
        step: Step::Keep,
        uid,
        kept: why,
    }))
}

fn is_managed_by(live: &Value, manager: &str) -> bool {
    live["metadata"]["managedFields"]
        .as_array()
        .is_some_and(|entries| {
            entries
                .iter()
                .any(|entry| entry["manager"] == manager && entry["operation"] == "Apply")
        })
}

/// Dry runs of one object that keeps changing, before it counts as changed.
const TRIALS: usize = 3;

/// What a refused dry run means.
#[derive(Debug)]
enum Trial {
    /// The object would be refused as well.
    Refused(Refusal),
    /// The trial failed for a reason of its own; only the write can tell.
    Inconclusive,
    /// The API server is not able to answer.
    Failed(RequestError),
}

/// Parts of messages of the API server. A webhook that does not answer may be the very thing that
/// this set repairs.
const INCONCLUSIVE: [&str; 4] = [
    "failed calling webhook",
    "failed calling admission webhook",
    "conversion webhook for",
    "does not support dry run",
];

/// How the API server opens its refusal of fields that a schema lacks; it sends status 500.
const NOT_IN_SCHEMA: &str = "failed to create typed patch object";

fn judge_trial(manifest: &Manifest, error: RequestError) -> Trial {
    let Some(code) = error.code() else {
        return Trial::Failed(error);
    };
    let message = error.to_string();
    if INCONCLUSIVE.iter().any(|part| message.contains(part)) {
        return Trial::Inconclusive;
    }
    let refused = |code| {
        Trial::Refused(Refusal::new(
            &manifest.id,
            RefusalReason::Rejected {
                code,
                message: one_line(&message),
            },
        ))
    };
    match code {
        _ if message.starts_with(NOT_IN_SCHEMA) => refused(422),
        // The role that the binding names may be in the same set.
        404 if manifest.phase == Phase::Bindings => Trial::Inconclusive,
        // A bare pod is checked against the account and the priority class that it names.
        403 if manifest.id.is_kind("", "Pod") => Trial::Inconclusive,
        401 | 408 | 409 | 429 | 500.. => Trial::Failed(error),
        code => refused(code),
    }
}

pub(crate) fn one_line(message: &str) -> String {
    message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Groups by phase, in order.
pub(crate) fn by_phase(objects: Vec<Planned>) -> BTreeMap<Phase, Vec<Planned>> {
    let mut phases: BTreeMap<Phase, Vec<Planned>> = BTreeMap::new();
    for planned in objects {
        phases
            .entry(planned.manifest.phase)
            .or_default()
            .push(planned);
    }
    phases
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::discovery::Resource;

    fn manifest(group: &str, kind: &str) -> Manifest {
        let id = ObjectId {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: Some("ns".into()),
            name: "a".into(),
        };
        Manifest {
            phase: Phase::of_object(&id),
            resource: Resource::new(group, "v1", kind, "things", true),
            body: json!({}),
            served: true,
            defined_by: None,
            shared: false,
            id,
        }
    }

    #[rstest]
    #[case::schema(
        "apps",
        "Deployment",
        500,
        "failed to create typed patch object (ns/a; apps/v1, Kind=Deployment): errors:\n  .x: no",
        "refused"
    )]
    #[case::invalid(
        "apps",
        "Deployment",
        422,
        "Deployment.apps \"a\" is invalid",
        "refused"
    )]
    #[case::denied("apps", "Deployment", 403, "denied the request", "refused")]
    #[case::no_namespace("", "ConfigMap", 404, "namespaces \"ns\" not found", "refused")]
    #[case::own_webhook_is_down("x.io", "Thing", 500, "failed calling webhook \"w\"", "unknown")]
    #[case::side_effects("x.io", "Thing", 400, "webhook does not support dry run", "unknown")]
    #[case::role_comes_later("rbac.authorization.k8s.io", "RoleBinding", 404, "no", "unknown")]
    #[case::account_comes_later("", "Pod", 403, "serviceaccount \"a\" not found", "unknown")]
    #[case::overload("apps", "Deployment", 429, "slow down", "failed")]
    #[case::broken("apps", "Deployment", 503, "away", "failed")]
    fn reads_a_refused_dry_run(
        #[case] group: &str,
        #[case] kind: &str,
        #[case] code: u16,
        #[case] message: &str,
        #[case] expected: &str,
    ) {
        let status = Status::failure(message, "").with_code(code).boxed();
        let verdict = match judge_trial(&manifest(group, kind), RequestError::Refused(status)) {
            Trial::Refused(refusal) => {
                assert!(!refusal.to_string().contains('\n'));
                "refused"
            }
            Trial::Inconclusive => "unknown",
            Trial::Failed(_) => "failed",
        };
        assert_eq!(verdict, expected);
    }
}
