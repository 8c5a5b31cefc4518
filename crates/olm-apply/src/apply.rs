//! Carrying out a plan, phase by phase.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::applier::{Applier, WIDTH, about};
use crate::error::{ApplyError, Refusal, RefusalReason, RequestError};
use crate::identity::ObjectId;
use crate::owner::{Owner, Ownership};
use crate::phases::Phase;
use crate::preflight::{self, Plan, Planned, Step, Surroundings};
use crate::prepare::{Keeping, Manifest};
use crate::requests::Mode;

/// How long and for what [`Applier::apply`] waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyOptions {
    /// How long to wait for definitions to be established. After that the call returns with
    /// [`Applied::waiting`] filled, and another call goes on. Default 10 s.
    pub establish_within: Duration,
    /// Whether webhooks wait until the workloads of the set are healthy. The call does not block
    /// on this; it returns with [`Applied::waiting`] filled. Default no.
    pub wait_for_workloads: bool,
    /// Whether everything that the plan made is removed again where an object is refused of which
    /// that is known only once its kind is established: for a first installation. Definitions of
    /// which there are objects stay. Default no.
    pub undo_refused: bool,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self {
            establish_within: Duration::from_secs(10),
            wait_for_workloads: false,
            undo_refused: false,
        }
    }
}

/// What was done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// It was not there.
    Created,
    /// It was there and differed.
    Changed,
    /// It was as desired; nothing was written.
    Unchanged,
    /// It is the install namespace and somebody else's; nothing was written.
    Left,
    /// It is a definition that differs and stays as it is; nothing was written.
    Kept,
}

/// An object and what was done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectResult {
    /// The object.
    pub id: ObjectId,
    /// What was done.
    pub action: Action,
}

/// What came of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The objects that were dealt with, in the order of application.
    pub results: Vec<ObjectResult>,
    /// What the rest waits for, one line each; empty when everything is applied.
    pub waiting: Vec<String>,
}

impl Applied {
    /// Whether everything is applied.
    pub fn is_complete(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Number of objects that were written.
    pub fn written(&self) -> usize {
        let written =
            |result: &&ObjectResult| matches!(result.action, Action::Created | Action::Changed);
        self.results.iter().filter(written).count()
    }
}

/// Pause between two looks at something that takes milliseconds in the normal case.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long a new schema may take to reach the handler of its kind.
const SCHEMA_SETTLES: Duration = Duration::from_secs(3);

impl Applier {
    /// Writes what the plan says, one phase after the other, at most eight objects at once.
    ///
    /// An object that was not there is looked for once more, so that one that somebody made in the
    /// meantime is refused and not taken over; two owners of this process that make the same object
    /// do so one after the other. One that is the owner's is applied with force and under the
    /// precondition that it is still the same object. The next phase begins only when the one before
    /// it has succeeded; after definitions it begins when they are established.
    ///
    /// # Errors
    ///
    /// Those of the first phase in which something failed, all of that phase. What was written
    /// stays; another preflight and apply go on from there.
    pub async fn apply(&self, plan: Plan, options: ApplyOptions) -> Result<Applied, ApplyError> {
        let Plan {
            owner,
            objects,
            known,
        } = plan;
        let all: Vec<ObjectId> = objects
            .iter()
            .filter(|planned| planned.step != Step::Leave)
            .map(|planned| planned.manifest.id.clone())
            .collect();
        let mut phases = preflight::by_phase(objects);
        let mut applied = Applied::default();
        let deadline = Instant::now() + options.establish_within;

        for phase in Phase::ALL {
            if phase == Phase::Roles {
                let around = Surroundings {
                    owner: &owner,
                    known: known.iter().map(ObjectId::key).collect(),
                    absent: BTreeSet::new(),
                    unsettled: BTreeSet::new(),
                    is_careful: false,
                    keeping: Keeping::default(),
                };
                let settled = self
                    .settle_kinds(&mut phases, &around, &applied, deadline)
                    .await;
                applied.waiting = match settled {
                    Ok(waiting) => waiting,
                    Err(ApplyError::Refused(refusals))
                        if options.undo_refused && !refusals.iter().all(Refusal::is_transient) =>
                    {
                        self.prune(&owner, &all, &[]).await?;
                        return Err(ApplyError::Undone(refusals));
                    }
                    Err(error) => return Err(error),
                };
                if !applied.waiting.is_empty() {
                    return Ok(applied);
                }
            }
            let Some(objects) = phases.remove(&phase) else {
                continue;
            };
            if phase == Phase::Admission && options.wait_for_workloads {
                let news = objects.iter().any(|planned| planned.step != Step::Nothing);
                let workloads: Vec<ObjectId> = applied
                    .results
                    .iter()
                    .filter(|result| Phase::of_object(&result.id) == Phase::Workloads)
                    .map(|result| result.id.clone())
                    .collect();
                if news {
                    applied.waiting = self.read_health(&workloads).await?.lines();
                    if !applied.waiting.is_empty() {
                        return Ok(applied);
                    }
                }
            }
            applied
                .results
                .extend(self.write_all(&owner, objects).await?);
        }
        Ok(applied)
    }

    /// Waits until definitions are established that were written or that objects of later phases
    /// need, then looks at those objects and plans them. Returns what is still waited for.
    async fn settle_kinds(
        &self,
        phases: &mut BTreeMap<Phase, Vec<Planned>>,
        around: &Surroundings<'_>,
        applied: &Applied,
        deadline: Instant,
    ) -> Result<Vec<String>, ApplyError> {
        let later: Vec<Manifest> = phases
            .values_mut()
            .flat_map(|objects| {
                objects
                    .extract_if(.., |planned| planned.step == Step::Later)
                    .map(|planned| Manifest {
                        served: true,
                        ..planned.manifest
                    })
            })
            .collect();
        let needed: BTreeSet<&String> = later
            .iter()
            .filter_map(|manifest| manifest.defined_by.as_ref())
            .collect();
        let mut definitions: Vec<&ObjectId> = applied
            .results
            .iter()
            .filter(|result| result.id.is_crd())
            .filter(|result| result.action != Action::Unchanged || needed.contains(&result.id.name))
            .map(|result| &result.id)
            .collect();
        loop {
            let mut waiting = Vec::new();
            for id in std::mem::take(&mut definitions) {
                if !self.is_established(id).await? {
                    waiting.push(id);
                }
            }
            if waiting.is_empty() {
                break;
            }
            if Instant::now() >= deadline {
                return Ok(waiting
                    .iter()
                    .map(|id| format!("{id} is not established"))
                    .collect());
            }
            definitions = waiting;
            sleep(LOOK_AGAIN).await;
        }
        if later.is_empty() {
            return Ok(Vec::new());
        }
        // The handler of a kind learns of a new schema a moment after the definition says so.
        let give_up = deadline.min(Instant::now() + SCHEMA_SETTLES);
        let planned = loop {
            let mut refusals = Vec::new();
            let planned = self
                .examine_all(later.clone(), around, &mut refusals)
                .await?;
            if refusals.is_empty() {
                break planned;
            }
            if Instant::now() >= give_up {
                return Err(ApplyError::Refused(refusals));
            }
            sleep(LOOK_AGAIN).await;
        };
        for planned in planned {
            phases
                .entry(planned.manifest.phase)
                .or_default()
                .push(planned);
        }
        Ok(Vec::new())
    }

    async fn is_established(&self, id: &ObjectId) -> Result<bool, ApplyError> {
        let Some(resource) = self.resource_of(id).await? else {
            return Ok(false);
        };
        let live = self
            .requests
            .get(&resource, id)
            .await
            .map_err(about("read", id))?;
        let Some(live) = live else { return Ok(false) };
        let condition = |name: &str| -> Option<&Value> {
            live["status"]["conditions"]
                .as_array()?
                .iter()
                .find(|condition| condition["type"] == name)
        };
        if let Some(names) = condition("NamesAccepted").filter(|found| found["status"] == "False") {
            let message = names["message"]
                .as_str()
                .unwrap_or("its names are not accepted");
            return Err(ApplyError::Refused(vec![Refusal::new(
                id,
                RefusalReason::Rejected {
                    code: 422,
                    message: message.to_owned(),
                },
            )]));
        }
        Ok(condition("Established").is_some_and(|found| found["status"] == "True"))
    }

    async fn write_all(
        &self,
        owner: &Owner,
        objects: Vec<Planned>,
    ) -> Result<Vec<ObjectResult>, ApplyError> {
        let mut results = Vec::with_capacity(objects.len());
        let mut failures: Vec<(ObjectId, WriteError)> = Vec::new();
        let mut writes = stream::iter(objects)
            .map(|planned| self.write(owner, planned))
            .buffer_unordered(WIDTH);
        while let Some((id, outcome)) = writes.next().await {
            match outcome {
                Ok(action) => results.push(ObjectResult { id, action }),
                Err(error) => failures.push((id, error)),
            }
        }
        results.sort_by(|left, right| left.id.key().cmp(&right.id.key()));
        failures.sort_by(|left, right| left.0.cmp(&right.0));
        match combine(failures) {
            Some(error) => Err(error),
            None => Ok(results),
        }
    }

    async fn write(
        &self,
        owner: &Owner,
        planned: Planned,
    ) -> (ObjectId, Result<Action, WriteError>) {
        let Planned {
            manifest,
            step,
            uid,
            ..
        } = planned;
        let outcome = match step {
            Step::Nothing => Ok(Action::Unchanged),
            Step::Leave => Ok(Action::Left),
            Step::Keep => Ok(Action::Kept),
            Step::Create | Step::Later => self.make(owner, &manifest).await,
            Step::Change => self.change(&manifest, uid).await,
        };
        if let Ok(action @ (Action::Created | Action::Changed)) = &outcome {
            tracing::debug!(object = %manifest.id, ?action, "applied");
        }
        (manifest.id, outcome)
    }

    /// Makes an object where there is still none.
    async fn make(&self, owner: &Owner, manifest: &Manifest) -> Result<Action, WriteError> {
        let Manifest {
            id, resource, body, ..
        } = manifest;
        let _claimed = self.claims.claim(id).await;
        if let Some(live) = self.requests.get_metadata(resource, id).await? {
            let reason = match owner.judge(live.labels.as_ref()) {
                Ownership::Ours => return self.change(manifest, live.uid).await,
                _ if manifest.shared => return Ok(Action::Left),
                Ownership::Nobodys => RefusalReason::NotOwned(owner.clone()),
                Ownership::Others(other) => RefusalReason::OwnedByOther {
                    owner: owner.clone(),
                    other,
                },
            };
            return Err(WriteError::Refused(reason));
        }
        self.requests
            .apply(resource, id, body, Mode::Keep, false)
            .await?;
        Ok(Action::Created)
    }

    /// Changes the very object that was looked at.
    async fn change(&self, manifest: &Manifest, uid: Option<String>) -> Result<Action, WriteError> {
        let mut body = manifest.body.clone();
        if let Some(uid) = uid {
            body["metadata"]["uid"] = Value::String(uid);
        }
        self.requests
            .apply(&manifest.resource, &manifest.id, &body, Mode::Keep, true)
            .await?;
        Ok(Action::Changed)
    }
}

/// Why an object was not written.
enum WriteError {
    Request(RequestError),
    /// Somebody made it since it was looked for.
    Refused(RefusalReason),
}

impl From<RequestError> for WriteError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl WriteError {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Request(error) if error.is_transient())
    }

    fn into_reason(self) -> RefusalReason {
        match self {
            Self::Refused(reason) => reason,
            Self::Request(error) => RefusalReason::Rejected {
                code: error.code().unwrap_or_default(),
                message: preflight::one_line(&error.to_string()),
            },
        }
    }
}

/// One error for a phase: where anything was refused for good, everything is listed.
fn combine(failures: Vec<(ObjectId, WriteError)>) -> Option<ApplyError> {
    if failures.iter().any(|(_, error)| !error.is_transient()) {
        let refusals = failures
            .into_iter()
            .map(|(id, error)| Refusal::new(&id, error.into_reason()))
            .collect();
        return Some(ApplyError::Refused(refusals));
    }
    failures
        .into_iter()
        .find_map(|(object, error)| match error {
            WriteError::Request(source) => Some(ApplyError::Request {
                operation: "apply",
                object,
                source,
            }),
            WriteError::Refused(_) => None,
        })
}
