//! What the Operators ask for, and what becomes of each.

use crate::candidates::Survey;
use crate::choose::{Policy, Request, refusal, unambiguous};
use crate::model::{Bundle, Catalog};
use crate::refusal::Refusal;

use super::closure::{Bound, Closure, Wish};
use super::installed::bundle as installed_bundle;
use super::problem::{Approval, Ties};

impl<'a> Closure<'a> {
    /// Numbers what the Operators ask for.
    pub(super) fn ask(&mut self) {
        let problem = self.problem;
        let mut surveys = Vec::new();
        for place in self.order.clone() {
            let member = &problem.operators[place];
            let part = self.part(&member.request.package);
            if let Some(holder) = self.parts[part].operator {
                let refusal = Refusal::Duplicate {
                    package: member.request.package.clone(),
                    other: problem.operators[holder].request.operator.clone(),
                };
                self.refusals.insert(place, refusal);
                continue;
            }
            let survey = Survey::new(
                &self.chosen_catalogs(member.catalogs.as_deref()),
                &member.request,
                problem.mode,
                problem.facts,
            );
            self.parts[part].operator = Some(place);
            self.parts[part].dependencies = member.dependencies;
            if let (Some(installed), Some(origin)) = (member.running(), survey.origin) {
                let bundle = installed_bundle(&survey, installed, origin, member.declared.as_ref());
                self.install(part, bundle, origin);
                if member.request.policy == Policy::Enforce {
                    self.parts[part].bound = Some(Bound {
                        channel: member.request.channel.clone(),
                    });
                }
            }
            surveys.push((place, part, survey));
        }
        for running in problem.adopted {
            let part = self.part(&running.installed.package);
            if self.parts[part].operator.is_some() || self.parts[part].installed.is_some() {
                continue;
            }
            let request = running.request();
            let survey = Survey::new(problem.catalogs, &request, problem.mode, problem.facts);
            if let Some(origin) = survey.origin {
                let declared = running.declared.as_ref();
                let bundle = installed_bundle(&survey, &running.installed, origin, declared);
                self.install(part, bundle, origin);
                self.parts[part].bound = Some(Bound { channel: None });
            }
        }
        let asked = surveys.iter().map(|(_, _, survey)| survey.asked.len());
        let asked = asked.sum();
        self.nodes.reserve(asked);
        self.of_bundle.reserve(asked);
        for (place, part, survey) in surveys {
            self.wish(place, part, &survey);
        }
    }

    fn chosen_catalogs(&self, names: Option<&[String]>) -> Vec<&'a Catalog> {
        let all = self.problem.catalogs.iter().copied();
        all.filter(|catalog| names.is_none_or(|names| names.contains(&catalog.name)))
            .collect()
    }

    /// Decides what becomes of an Operator.
    fn wish(&mut self, place: usize, part: usize, survey: &Survey<'_>) {
        let problem = self.problem;
        let member = &problem.operators[place];
        let request = &member.request;
        let installed = self.parts[part].installed;
        let stays = |closure: &mut Self, refusal: Option<Refusal>| {
            closure.wishes[place] = installed.map_or(Wish::Nothing, Wish::Stays);
            if let Some(refusal) = refusal {
                closure.refusals.insert(place, refusal);
            }
        };
        if member.suspended {
            let refusal = Refusal::Suspended {
                package: request.package.clone(),
            };
            return stays(self, installed.is_none().then_some(refusal));
        }
        let is_let_in = |bundle: &Bundle| {
            !member.avoid.contains(&bundle.name)
                && match (&member.approval, installed) {
                    (Approval::Automatic, _) | (_, None) => true,
                    (Approval::Manual(approved), Some(_)) => {
                        approved.as_ref() == bundle.version.as_ref().ok()
                    }
                }
        };
        let mut candidates = Vec::new();
        let mut has_installed = false;
        for asked in &survey.asked {
            let unusable = asked.unusable.clone();
            let node = self.node_of(part, asked.candidate.bundle, unusable);
            if Some(node) == installed {
                if !std::mem::replace(&mut has_installed, true) {
                    candidates.push(node);
                }
            } else if is_let_in(asked.candidate.bundle) {
                candidates.push(node);
            }
        }
        if let Some(node) = installed
            && !has_installed
            && keeps(survey, request)
        {
            candidates.push(node);
        }
        if !candidates.iter().any(|node| self.nodes[*node].is_open()) {
            let refusal = refusal(survey, request, problem.mode, problem.facts);
            return stays(self, Some(refusal));
        }
        if member.ties == Ties::Refuse {
            let mut open = survey.reachable();
            open.retain(|candidate| {
                self.of_bundle.get(candidate.bundle) == installed || is_let_in(candidate.bundle)
            });
            if let Some(best) = open.first()
                && let Err(refusal) = unambiguous(best, &open, request, survey.origin)
            {
                return stays(self, Some(refusal));
            }
        }
        self.wishes[place] = Wish::OneOf(candidates);
    }
}

/// Whether what is installed and no longer offered lies in what is asked for.
fn keeps(survey: &Survey<'_>, request: &Request) -> bool {
    let Some(origin) = survey.origin else {
        return false;
    };
    let is_offered = survey.offered.iter().any(|other| origin.is(other.bundle));
    !is_offered
        && request.channel.is_none()
        && request.version.as_ref().is_none_or(|range| {
            let prereleases = olm_semver::masterminds::PrereleaseMode::default();
            range.matches(origin.version, prereleases)
        })
}
