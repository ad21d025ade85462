//! One pass over one deployment: observe, decide, do, and again until nothing is to be done; then report.

use super::{FRESH, Realizer};
use crate::{
    decide::{Input, Step, Wanted, decide},
    execute::{Outcome, Prepared},
    observe::{Holder, Seen, SeenJob, SeenPod, SeenService, job_devices, pod_devices},
    report,
};
use cluster::controller::{Action, Request};
use crd::{
    ChuteDeployment, annotations,
    chute_deployment::{ChuteDeploymentSpec, Phase, RunState, Workload, WorkloadState},
    gpu_server::GpuHealth,
};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::ResourceExt as _;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use workload::names;

/// Steps of one pass; more than any way through takes.
const MOST_STEPS: usize = 12;
/// A look at everything, though nothing changed.
const RESYNC: Duration = Duration::from_secs(300);

/// Why a pass failed; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassError {
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    #[error("the node cluster was not heard for {0:?}; nothing is launched until it is")]
    Blind(Duration),
    #[error("the pass came to no end; last step {0:?}")]
    Endless(Option<Step>),
}

impl Realizer {
    pub(super) async fn pass(&self, request: Request<ChuteDeployment>) -> Result<Action, PassError> {
        let Some(deployment) = request.object else {
            if let Ok(id) = request.key.name.parse() {
                self.memory.forget(&id);
            }
            return Ok(Action::Await);
        };
        if deployment.spec.server != self.config.server {
            tracing::warn!(deployment = request.key.name, server = %deployment.spec.server, "a deployment of another server is left alone");
            return Ok(Action::Await);
        }
        let spec = &deployment.spec;
        let reported = deployment.status.as_ref().and_then(|status| status.workload.as_ref());
        let refusal = workload::check(spec).err();
        let wanted = wanted(&deployment);
        let prior = self.memory.prior(&spec.deployment_id, reported);
        let mut seen = self.observe(spec);
        let (mut step, mut prepared) = (None, None);
        for _ in 0..MOST_STEPS {
            let input = Input {
                wanted,
                refusal: refusal.as_ref(),
                prior: prior.as_ref(),
                seen: &seen,
                deadlines: self.config.deadlines,
                now: Timestamp::now(),
            };
            let decision = decide(&input);
            let Some(next) = decision.step else {
                let again = decision.again.and_then(|again| Duration::try_from(again).ok()).unwrap_or(RESYNC).min(RESYNC);
                if let Some(report) = decision.report {
                    self.say(&deployment, reported, report).await?;
                }
                return Ok(Action::Requeue(again.max(Duration::from_millis(200))));
            };
            tracing::info!(deployment = request.key.name, step = ?next, "realizing");
            step = Some(next.clone());
            match self.execute(&deployment, next, &mut seen, &mut prepared).await? {
                Outcome::Done => {}
                Outcome::Refused { reason, message } => {
                    let report = self.outcome(&prior, &seen, WorkloadState::Failed, &reason, &message);
                    self.say(&deployment, reported, report).await?;
                    return Ok(Action::Requeue(RESYNC));
                }
                Outcome::Later { reason, message, after } => {
                    let report = self.outcome(&prior, &seen, WorkloadState::Waiting, reason, &message);
                    self.say(&deployment, reported, report).await?;
                    return Ok(Action::Requeue(after));
                }
            }
        }
        Err(PassError::Endless(step))
    }

    async fn execute(
        &self,
        deployment: &ChuteDeployment,
        step: Step,
        seen: &mut Seen,
        prepared: &mut Option<Prepared>,
    ) -> Result<Outcome, PassError> {
        let id = &deployment.spec.deployment_id;
        if matches!(step, Step::CreateJob { .. }) {
            return self.launch(deployment, step, seen, prepared).await;
        }
        let outcome = self.hands.execute(&self.config, deployment, step, seen, prepared).await?;
        if seen.job.is_none() && seen.confirmed_gone {
            self.memory.give_back(id);
        }
        Ok(outcome)
    }

    /// Takes the GPUs, then creates the Job.
    async fn launch(
        &self,
        deployment: &ChuteDeployment,
        step: Step,
        seen: &mut Seen,
        prepared: &mut Option<Prepared>,
    ) -> Result<Outcome, PassError> {
        let spec = &deployment.spec;
        let id = &spec.deployment_id;
        let age = self.pods.freshness.age().max(self.jobs.freshness.age()).max(self.neighbours.age());
        if age > FRESH {
            return Err(PassError::Blind(age));
        }
        seen.held = self.memory.take(id, &spec.gpus);
        if !seen.held.is_empty() {
            return Ok(Outcome::Done);
        }
        // Looked at after the taking: what another took is either still taken or shown by now.
        seen.held = self.shown(spec);
        if !seen.held.is_empty() {
            self.memory.give_back(id);
            return Ok(Outcome::Done);
        }
        // After an error the Job may stand all the same: the GPUs stay taken until the next pass knows.
        let outcome = self.hands.execute(&self.config, deployment, step, seen, prepared).await?;
        match (&seen.job, &outcome) {
            (Some(job), _) => self.memory.made(id, job.clone(), &spec.gpus),
            (None, Outcome::Refused { .. } | Outcome::Later { .. }) => self.memory.give_back(id),
            (None, Outcome::Done) => {}
        }
        Ok(outcome)
    }

    fn observe(&self, spec: &ChuteDeploymentSpec) -> Seen {
        let (namespace, id) = (self.config.profile.namespace.as_str(), &spec.deployment_id);
        let mine = |pod: &&Arc<Pod>| names::deployment_of(pod.metadata.labels.as_ref()).as_ref() == Some(id);
        let mut pods: Vec<SeenPod> = self.pods.all().iter().filter(mine).filter_map(|pod| SeenPod::of(pod)).collect();
        pods.sort_by(|a, b| (a.created, &a.uid).cmp(&(b.created, &b.uid)));
        let health = self.config.gpu_health.borrow();
        let lost = spec.gpus.iter().filter(|gpu| health.get(*gpu) == Some(&GpuHealth::Lost)).cloned().collect();
        drop(health);
        let mut seen = Seen {
            service: self.services.get(namespace, &names::service(id)).and_then(|service| SeenService::of(&service)),
            job: self.jobs.get(namespace, &names::job(id)).and_then(|job| SeenJob::of(&job)),
            pods,
            held: Vec::new(),
            lost,
            confirmed_gone: false,
            secret_gone: false,
        };
        self.memory.complete(id, &mut seen, Timestamp::now());
        if seen.job.is_none() {
            seen.held = self.held(spec);
        }
        seen
    }

    /// Who else holds GPUs of this deployment: living pods, unfinished Jobs, Jobs being made that no cache shows yet, and whoever
    /// else is at work on the server.
    fn held(&self, spec: &ChuteDeploymentSpec) -> Vec<Holder> {
        // In this order: what is no longer taken because a cache shows it is shown.
        let mut held = self.memory.held(&spec.deployment_id, &spec.gpus);
        held.extend(self.shown(spec));
        held
    }

    /// As [`Realizer::held`], without the Jobs that no cache shows yet.
    fn shown(&self, spec: &ChuteDeploymentSpec) -> Vec<Holder> {
        let me = &spec.deployment_id;
        let other = |meta: &ObjectMeta| names::deployment_of(meta.labels.as_ref()).as_ref() != Some(me);
        let pods = self.pods.all().into_iter().filter(|pod| other(&pod.metadata)).map(|pod| (pod.name_any(), pod_devices(&pod)));
        let jobs = self.jobs.all().into_iter().filter(|job| other(&job.metadata)).map(|job| (job.name_any(), job_devices(&job)));
        let seen = pods.chain(jobs).flat_map(|(by, devices)| {
            let held = spec.gpus.iter().filter(move |gpu| devices.holds(gpu));
            held.map(move |gpu| Holder { gpu: gpu.clone(), by: by.clone() })
        });
        let others = self.neighbours.holders(&spec.gpus).into_iter().chain(self.config.gpu_processes.holders(&spec.gpus));
        seen.chain(others).collect()
    }

    fn outcome(&self, prior: &Option<Workload>, seen: &Seen, state: WorkloadState, reason: &str, message: &str) -> Workload {
        let mut workload = prior.clone().unwrap_or(Workload {
            state,
            reason: None,
            message: None,
            job_uid: None,
            pod_uid: None,
            pod_name: None,
            node_ports: Vec::new(),
            exit_code: None,
        });
        workload.state = state;
        workload.reason = Some(reason.to_owned());
        workload.message = Some(report::short(message));
        if let Some(ports) = seen.service.as_ref().and_then(|service| service.node_ports.clone()) {
            workload.node_ports = ports;
        }
        workload
    }

    /// Writes the report if it changed.
    async fn say(&self, deployment: &ChuteDeployment, reported: Option<&Workload>, report: Workload) -> Result<(), PassError> {
        let id = &deployment.spec.deployment_id;
        self.memory.waits(id, report.state == WorkloadState::Waiting);
        if report.reason.as_deref() == Some(report::reason::GPU_BUSY) {
            self.config.gpu_processes.look.notify_one();
        }
        if !self.memory.say(id, &report, reported, Instant::now()) {
            return Ok(());
        }
        match report::write(&self.reports, &self.config.manager, &deployment.name_any(), &report).await {
            Ok(()) => {
                self.memory.written(id, report, Instant::now());
                Ok(())
            }
            // The resource is gone; so is its reader.
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn wanted(deployment: &ChuteDeployment) -> Wanted {
    let phase = deployment.status.as_ref().and_then(|status| status.phase);
    // A deletion alone ends nothing: it waits for its confirmation, upon which the operator sets the run state.
    if deployment.spec.run_state == RunState::Stopped {
        let released = deployment.annotations().get(annotations::RELEASE).is_some_and(|value| value == "true");
        return Wanted::Stop { release: released || phase.is_some_and(Phase::is_terminal) };
    }
    Wanted::Run {
        // A wish that this release does not understand launches nothing and ends nothing.
        granted: deployment.spec.run_state == RunState::Running && matches!(phase, Some(Phase::Granted | Phase::Starting)),
        claimed: matches!(phase, Some(Phase::Claimed | Phase::Verified | Phase::Active)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(run_state: &str, phase: Option<&str>, release: bool) -> ChuteDeployment {
        let annotations = if release { json!({"gepetto.fleet/release": "true"}) } else { json!({}) };
        serde_json::from_value(json!({
            "apiVersion": "gepetto.fleet/v1alpha1", "kind": "ChuteDeployment",
            "metadata": {"name": "d", "annotations": annotations},
            "spec": {
                "deploymentId": "3f0f9f9e-0b1a-4c5d-8e7f-112233445566", "server": "gpu-0", "nodeName": "gpu-0",
                "validator": "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj",
                "chute": {"id": "c", "version": "v", "name": "n", "refStr": "a:b"},
                "gpuCount": 1, "gpus": ["0123abcd0123012301230123456789ab"], "address": "a", "image": "i",
                "resources": {"cpu": 1, "memoryGib": 1, "diskGib": 1}, "cache": {"maxAgeDays": 1, "maxSizeGb": 1}, "runState": run_state,
            },
            "status": {"phase": phase},
        }))
        .unwrap()
    }

    #[test]
    fn what_is_wanted_follows_from_run_state_phase_and_release() {
        let run = |granted, claimed| Wanted::Run { granted, claimed };
        let stop = |release| Wanted::Stop { release };
        let table = [
            ("Running", None, false, run(false, false)),
            ("Running", Some("Pending"), false, run(false, false)),
            ("Running", Some("Granted"), false, run(true, false)),
            ("Running", Some("Starting"), false, run(true, false)),
            ("Running", Some("Active"), false, run(false, true)),
            ("Running", Some("Granted"), true, run(true, false)),
            ("Hibernating", Some("Granted"), false, run(false, false)),
            ("Stopped", Some("Active"), false, stop(false)),
            ("Stopped", Some("Stopping"), true, stop(true)),
            ("Stopped", Some("Failed"), false, stop(true)),
        ];
        for (run_state, phase, release, expected) in table {
            assert_eq!(wanted(&deployment(run_state, phase, release)), expected, "{run_state} {phase:?} {release}");
        }
    }

    #[test]
    fn a_deletion_that_nobody_confirmed_ends_nothing() {
        let mut deleted = deployment("Running", Some("Active"), false);
        deleted.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH));
        assert_eq!(wanted(&deleted), Wanted::Run { granted: false, claimed: true });
    }
}
