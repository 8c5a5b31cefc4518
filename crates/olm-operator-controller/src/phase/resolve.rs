//! Which bundle: pure.

use kube::ResourceExt;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::operator::{BundleIdentity, Operator, UpgradeConstraintPolicy};
use olm_resolver::{
    Bundle, Choice, EdgeMode, Facts, INSTALLED_CATALOG, Installed, InstalledBundle, Policy,
    Refusal, Request, check_dependencies, choose,
};
use olm_semver::Version;
use olm_semver::masterminds::Constraint;

use crate::catalogs::{Snapshot, Unread};
use crate::deployment::{self, Api, Wanted};
use crate::messages;
use crate::phase::rivals;

/// Most failed releases in a row that are passed over on the way to one that works.
const MAX_PASSED_OVER: usize = 64;

/// Everything that the answer depends on.
pub(crate) struct Question<'a> {
    pub(crate) operator: &'a Operator,
    /// The bundle that runs for it.
    pub(crate) installed: Option<&'a BundleIdentity>,
    /// Its BundleDeployment.
    pub(crate) deployment: Option<&'a BundleDeployment>,
    pub(crate) catalogs: &'a Snapshot,
    /// All Operators of the cluster.
    pub(crate) operators: &'a [std::sync::Arc<Operator>],
    /// All BundleDeployments of the cluster.
    pub(crate) deployments: &'a [std::sync::Arc<BundleDeployment>],
    pub(crate) mode: EdgeMode,
    /// What is known of the cluster.
    pub(crate) facts: &'a Facts,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// `spec.version` is no range.
    InvalidSpec,
    /// It cannot be told yet: a catalog is being read for the first time.
    NotYet,
    /// No bundle; why.
    Refused(String),
    /// This one.
    Chosen(Box<Wanted>),
}

/// Chooses the bundle for an Operator.
pub(crate) fn resolve(question: &Question<'_>) -> Answer {
    let spec = &question.operator.spec;
    let Ok(version) = spec.version.as_deref().map(Constraint::parse).transpose() else {
        return Answer::InvalidSpec;
    };
    if let Some(other) = rivals::holder(question) {
        return Answer::Refused(messages::duplicate_package(&spec.package_name, &other));
    }
    let package = spec.package_name.as_str();
    match question.catalogs.unread_offer(package) {
        Some((_, Unread::Loading)) => return Answer::NotYet,
        // What the catalog offers now may be better than what others do: no answer is given that
        // would change once it can be read. What runs stays.
        Some((catalog, Unread::Failed(error))) => {
            return keep(question).unwrap_or_else(|| {
                let text = format!("package {package:?} cannot be resolved");
                Answer::Refused(text + &messages::unread_catalog(catalog, error))
            });
        }
        None => {}
    }
    let installed = question.installed.and_then(origin);
    let request = request(question.operator, version, installed);
    match best(question, &request) {
        Ok(choice) => chosen(question, &choice),
        Err(refusal @ Refusal::NotFound { .. }) => not_found(question, &refusal),
        Err(refusal) => Answer::Refused(refusal.explanation()),
    }
}

/// What is asked of the catalogs for `operator`.
pub(super) fn request(
    operator: &Operator,
    version: Option<Constraint>,
    installed: Option<Installed>,
) -> Request {
    let spec = &operator.spec;
    Request {
        operator: operator.name_any(),
        package: spec.package_name.clone(),
        channel: spec.channel.clone(),
        version,
        policy: match spec.upgrade_constraint_policy {
            UpgradeConstraintPolicy::Enforce => Policy::Enforce,
            UpgradeConstraintPolicy::Ignore => Policy::Ignore,
        },
        installed,
    }
}

/// The best candidate. From a bundle that was asked for and could not be installed, the way goes on
/// as if it were: else a broken release would hold up the one that repairs it.
///
/// What is asked for beyond failed releases stays asked for while it is installed: what failed
/// before it is not tried again in between.
fn best(question: &Question<'_>, request: &Request) -> Result<Choice, Refusal> {
    let models = question.catalogs.models();
    let choice = choose(&models, request, question.mode, question.facts)?;
    let deployment = question
        .deployment
        .filter(|deployment| deployment::is_controlled_by(deployment, question.operator));
    let Some((deployment, asked)) = deployment.zip(deployment.and_then(deployment::requested))
    else {
        return Ok(choice);
    };
    if choice.stays || question.installed == Some(&asked) {
        return Ok(choice);
    }
    let mut step = choice.clone();
    for _ in 0..MAX_PASSED_OVER {
        let bundle = step.bundle.as_ref();
        let is_asked = bundle.name == asked.name && bundle.image == asked.image;
        if is_asked && !deployment::has_failed(deployment) {
            return Ok(step);
        }
        let beyond = place(bundle).and_then(|place| {
            let request = Request {
                installed: Some(place),
                ..request.clone()
            };
            choose(&models, &request, question.mode, question.facts).ok()
        });
        match beyond.filter(|next| !next.stays) {
            Some(next) if is_asked => return Ok(next),
            Some(next) => step = next,
            None if is_asked => return Ok(step),
            None => break,
        }
    }
    Ok(choice)
}

/// The bundle as if it were installed.
fn place(bundle: &Bundle) -> Option<Installed> {
    Some(Installed {
        package: bundle.package.clone(),
        name: bundle.name.clone(),
        version: bundle.version.as_ref().ok()?.clone(),
        release: bundle.release.clone(),
        image: Some(bundle.image.clone()),
    })
}

fn chosen(question: &Question<'_>, choice: &Choice) -> Answer {
    let bundle = choice.bundle.as_ref();
    let asked_for = question.deployment.and_then(deployment::requested);
    // What runs, or is already being installed, was judged before and is not taken back.
    let judged = choice.stays || asked_for.is_some_and(|asked| asked.name == bundle.name);
    if !judged && let Err(refusal) = check_dependencies(bundle, &installed(question.deployments)) {
        return Answer::Refused(refusal.to_string());
    }
    if bundle.catalog == INSTALLED_CATALOG {
        return keep(question)
            .unwrap_or_else(|| Answer::Refused(format!("no catalog offers {}", bundle.name)));
    }
    let mut wanted = wanted(bundle, question.operator.spec.channel.as_deref());
    // Another catalog that offers the same bundle changes nothing.
    let same =
        |identity: &&BundleIdentity| identity.name == bundle.name && identity.image == bundle.image;
    let asked = question.deployment.and_then(deployment::requested);
    let before = question
        .installed
        .filter(same)
        .or_else(|| asked.as_ref().filter(same));
    if let Some(catalog) = before.and_then(|before| before.catalog.as_deref())
        && question
            .catalogs
            .offers(catalog, &bundle.package, &bundle.name)
    {
        wanted.identity.catalog = Some(catalog.to_owned());
    }
    Answer::Chosen(Box::new(wanted))
}

fn not_found(question: &Question<'_>, refusal: &Refusal) -> Answer {
    let package = &question.operator.spec.package_name;
    match question.catalogs.unread(package) {
        Some((_, Unread::Loading)) => Answer::NotYet,
        Some((catalog, Unread::Failed(error))) => Answer::Refused(format!(
            "{refusal}{}",
            messages::unread_catalog(catalog, error)
        )),
        // Without any catalog, what runs is what is wanted, until one is there again.
        None if question.catalogs.catalogs.is_empty() => {
            keep(question).unwrap_or_else(|| Answer::Refused(refusal.to_string()))
        }
        None => Answer::Refused(refusal.to_string()),
    }
}

/// What runs, as the answer, if it is what the Operator asks for.
fn keep(question: &Question<'_>) -> Option<Answer> {
    let installed = question.installed?;
    let spec = &question.operator.spec;
    let version = Version::parse_strict(&installed.version).ok()?;
    let in_range = match spec.version.as_deref() {
        None => true,
        Some(range) => Constraint::parse(range).is_ok_and(|range| {
            range.matches(&version, olm_semver::masterminds::PrereleaseMode::Group)
        }),
    };
    let in_channel = spec.channel.is_none() || spec.channel == installed.channel;
    if !in_range || !in_channel || installed.package != spec.package_name {
        return None;
    }
    let deployment = question.deployment?;
    let template = &deployment.spec.template.spec;
    let plain = template.provisioner_class_name == olm_api::names::PROVISIONER_PLAIN;
    Some(Answer::Chosen(Box::new(Wanted {
        identity: installed.clone(),
        media_type: plain.then(|| "plain+v0".to_owned()),
        apis: deployment::provided_apis(deployment),
    })))
}

fn origin(identity: &BundleIdentity) -> Option<Installed> {
    Some(Installed {
        package: identity.package.clone(),
        name: identity.name.clone(),
        version: Version::parse_strict(&identity.version).ok()?,
        release: String::new(),
        image: Some(identity.image.clone()),
    })
}

/// The bundles that are installed now, by what their BundleDeployments say.
fn installed(deployments: &[std::sync::Arc<BundleDeployment>]) -> Vec<InstalledBundle> {
    deployments
        .iter()
        .filter(|deployment| deployment::is_installed(deployment))
        .filter_map(|deployment| {
            let identity = deployment::requested(deployment)?;
            let apis = deployment::provided_apis(deployment);
            Some(InstalledBundle {
                package: identity.package,
                version: Version::parse_strict(&identity.version).ok()?,
                apis: apis
                    .into_iter()
                    .map(
                        |Api {
                             group,
                             version,
                             kind,
                         }| olm_resolver::Api {
                            group,
                            version,
                            kind,
                        },
                    )
                    .collect(),
            })
        })
        .collect()
}

fn wanted(bundle: &Bundle, channel: Option<&str>) -> Wanted {
    let channel = channel
        .or_else(|| bundle.entries.first().map(|edge| edge.channel.as_str()))
        .map(str::to_owned);
    Wanted {
        identity: BundleIdentity {
            name: bundle.name.clone(),
            version: bundle
                .version
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            package: bundle.package.clone(),
            channel,
            catalog: Some(bundle.catalog.clone()),
            image: bundle.image.clone(),
        },
        media_type: Some(bundle.media_type.clone()).filter(|media_type| !media_type.is_empty()),
        apis: bundle
            .provides
            .iter()
            .map(|api| Api {
                group: api.group.clone(),
                version: api.version.clone(),
                kind: api.kind.clone(),
            })
            .collect(),
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
