//! Carrying out one step on the node cluster. Every step may be repeated after a lost answer or a crash.

use crate::{
    config::RealizeConfig,
    decide::Step,
    observe::{Seen, SeenJob, SeenPod, SeenService},
    report::reason,
};
use cluster::{
    Error, Result,
    apply::{Created, Deleted, Propagation, create, delete_uid},
    call::{LIST_LIMIT, bounded_by, get_opt},
};
use crd::{
    ChuteDeployment,
    chute_deployment::{ChuteDeploymentSpec, NodePort},
    labels,
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, Secret, Service},
};
use kube::{Api, api::ListParams};
use protocol::{dto::LaunchToken, ids::ConfigId};
use std::time::Duration;
use workload::{RenderContext, TokenDelivery, names};

/// What came of a step.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// What is seen was brought up to date; decide again.
    Done,
    /// It cannot be done: the deployment failed.
    Refused { reason: String, message: String },
    /// It cannot be done yet.
    Later { reason: &'static str, message: String, after: Duration },
}

/// What a launch needs beside its Service: the launch config and its token, which the node has, too, where it has Secrets.
#[derive(Debug)]
pub(crate) struct Prepared {
    config_id: ConfigId,
    token: LaunchToken,
}

/// The node cluster's objects, and the launch Secrets on the control cluster.
pub(crate) struct Hands {
    pub(crate) services: Api<Service>,
    pub(crate) jobs: Api<Job>,
    pub(crate) pods: Api<Pod>,
    secrets: Api<Secret>,
    launches: Api<Secret>,
}

impl Hands {
    pub(crate) fn new(config: &RealizeConfig) -> Self {
        let (node, namespace) = (&config.node, config.profile.namespace.as_str());
        Self {
            services: Api::namespaced(node.clone(), namespace),
            jobs: Api::namespaced(node.clone(), namespace),
            pods: Api::namespaced(node.clone(), namespace),
            secrets: Api::namespaced(node.clone(), namespace),
            launches: Api::namespaced(config.control.clone(), &crd::node_namespace(config.server.as_str())),
        }
    }

    /// Carries out a step; `seen` is brought up to date with what the API server answered.
    pub(crate) async fn execute(
        &self,
        config: &RealizeConfig,
        deployment: &ChuteDeployment,
        step: Step,
        seen: &mut Seen,
        prepared: &mut Option<Prepared>,
    ) -> Result<Outcome> {
        let spec = &deployment.spec;
        match step {
            Step::PrepareLaunch => {
                // Neither needs the other. Both end before either's error is told: nothing is cut short halfway.
                let (service, token) =
                    tokio::join!(self.ensure_service(config, spec, &[], seen), self.prepare(config, deployment, prepared));
                match service? {
                    Outcome::Done => token,
                    stopped => Ok(stopped),
                }
            }
            Step::EnsureService { node_ports } => self.ensure_service(config, spec, &node_ports, seen).await,
            Step::CreateJob { node_ports } => self.create_job(config, deployment, &node_ports, seen, prepared).await,
            Step::ConfirmGone => self.look(spec, seen).await,
            Step::DeleteJob { uid } => {
                match delete_uid(&self.jobs, &names::job(&spec.deployment_id), &uid, Propagation::Foreground).await? {
                    Deleted::Deleted => {
                        if let Some(job) = &mut seen.job {
                            job.deleting = true;
                        }
                        Ok(Outcome::Done)
                    }
                    Deleted::Gone | Deleted::Replaced => self.look(spec, seen).await,
                }
            }
            Step::DeletePod { name, uid } => match delete_uid(&self.pods, &name, &uid, Propagation::Background).await? {
                Deleted::Deleted => {
                    if let Some(pod) = seen.pods.iter_mut().find(|pod| pod.uid == uid) {
                        pod.deleting = true;
                    }
                    Ok(Outcome::Done)
                }
                Deleted::Gone | Deleted::Replaced => self.look(spec, seen).await,
            },
            Step::DeleteSecret => {
                if config.profile.token == TokenDelivery::Copied {
                    self.delete_secret(spec).await?;
                }
                seen.secret_gone = true;
                Ok(Outcome::Done)
            }
            Step::DeleteService { uid } => {
                delete_uid(&self.services, &names::service(&spec.deployment_id), &uid, Propagation::Background).await?;
                seen.service = get_opt(&self.services, &names::service(&spec.deployment_id)).await?.as_ref().and_then(SeenService::of);
                Ok(Outcome::Done)
            }
        }
    }

    /// Asks the API server itself.
    async fn look(&self, spec: &ChuteDeploymentSpec, seen: &mut Seen) -> Result<Outcome> {
        let id = &spec.deployment_id;
        seen.job = get_opt(&self.jobs, &names::job(id)).await?.as_ref().and_then(SeenJob::of);
        let params = ListParams::default().labels(&format!("{}={id}", labels::DEPLOYMENT_ID));
        let pods = bounded_by(LIST_LIMIT, &format!("listing the pods of {id}"), self.pods.list(&params)).await?;
        seen.pods = pods.iter().filter_map(SeenPod::of).collect();
        seen.service = get_opt(&self.services, &names::service(id)).await?.as_ref().and_then(SeenService::of);
        seen.confirmed_gone = seen.job.is_none();
        Ok(Outcome::Done)
    }

    async fn ensure_service(
        &self,
        config: &RealizeConfig,
        spec: &ChuteDeploymentSpec,
        had: &[NodePort],
        seen: &mut Seen,
    ) -> Result<Outcome> {
        let mut service = workload::service(spec, &config.profile);
        for port in service.spec.iter_mut().flat_map(|spec| spec.ports.iter_mut().flatten()) {
            let before = had.iter().find(|had| i32::from(had.port) == port.port);
            port.node_port = before.map(|before| before.node_port.into());
        }
        let made = match create(&self.services, &service).await {
            Ok(Created::Created(made)) => Some(made),
            Ok(Created::Existed) => get_opt(&self.services, &names::service(&spec.deployment_id)).await?,
            Err(error) => return refused(error, None),
        };
        seen.service = made.as_ref().and_then(SeenService::of);
        Ok(Outcome::Done)
    }

    /// Fetches the launch token, and makes its Secret where the node has Secrets.
    async fn prepare(&self, config: &RealizeConfig, deployment: &ChuteDeployment, prepared: &mut Option<Prepared>) -> Result<Outcome> {
        let spec = &deployment.spec;
        let Some((config_id, token)) = self.launch(deployment).await? else {
            let message = format!("Secret {} holds no launch token", names::launch_secret(&spec.deployment_id));
            return Ok(Outcome::Later { reason: reason::TOKEN_MISSING, message, after: Duration::from_secs(5) });
        };
        if let Some(secret) = workload::secret(spec, &config.profile, &config_id, &token)
            && let Err(error) = self.ensure_secret(&secret).await
        {
            return refused(error, Some(&token));
        }
        *prepared = Some(Prepared { config_id, token });
        Ok(Outcome::Done)
    }

    async fn create_job(
        &self,
        config: &RealizeConfig,
        deployment: &ChuteDeployment,
        node_ports: &[NodePort],
        seen: &mut Seen,
        prepared: &mut Option<Prepared>,
    ) -> Result<Outcome> {
        let (spec, profile) = (&deployment.spec, &config.profile);
        if prepared.is_none() {
            // The Service is from an earlier pass that came to no end.
            let outcome = self.prepare(config, deployment, prepared).await?;
            if !matches!(outcome, Outcome::Done) {
                return Ok(outcome);
            }
        }
        let Some(Prepared { config_id, token }) = prepared.as_ref() else { return Ok(Outcome::Done) };
        let literal = (profile.token == TokenDelivery::Literal).then_some(token);
        let context = RenderContext { miner: &config.miner, config_id, token: literal, node_ports };
        let job = match workload::job(spec, profile, &context) {
            Ok(job) => job,
            Err(refusal) => return Ok(Outcome::Refused { reason: refusal.reason().to_owned(), message: refusal.to_string() }),
        };
        let made = match create(&self.jobs, &job).await {
            Ok(Created::Created(made)) => Some(made),
            // An earlier attempt whose answer was lost.
            Ok(Created::Existed) => get_opt(&self.jobs, &names::job(&spec.deployment_id)).await?,
            Err(error) => return refused(error, Some(token)),
        };
        seen.job = made.as_ref().and_then(SeenJob::of);
        Ok(Outcome::Done)
    }

    /// The launch config and its token, as the operator left them.
    async fn launch(&self, deployment: &ChuteDeployment) -> Result<Option<(ConfigId, LaunchToken)>> {
        let Some(secret) = get_opt(&self.launches, &names::launch_secret(&deployment.spec.deployment_id)).await? else { return Ok(None) };
        let data = secret.data.unwrap_or_default();
        let text = |key: &str| data.get(key).and_then(|value| String::from_utf8(value.0.clone()).ok());
        let label = secret.metadata.labels.as_ref().and_then(|all| all.get(labels::CONFIG_ID)).cloned();
        let config_id = text(names::CONFIG_ID_KEY).or(label).and_then(|id| id.parse().ok());
        let config_id = config_id.or_else(|| deployment.status.as_ref().and_then(|status| status.config_id.clone()));
        Ok(config_id.zip(text(names::TOKEN_KEY).filter(|token| !token.is_empty()).map(LaunchToken::new)))
    }

    /// Creates the Secret; one of that name with another token is from a launch that came to nothing, and is replaced.
    async fn ensure_secret(&self, secret: &Secret) -> Result<()> {
        for _ in 0..2 {
            if let Created::Created(_) = create(&self.secrets, secret).await? {
                return Ok(());
            }
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            let Some(found) = get_opt(&self.secrets, name).await? else { continue };
            if found.data == secret.data {
                return Ok(());
            }
            let uid = found.metadata.uid.unwrap_or_default();
            delete_uid(&self.secrets, name, &uid, Propagation::Background).await?;
        }
        Err(Error::Config("the launch Secret on the node keeps changing under us".to_owned()))
    }

    async fn delete_secret(&self, spec: &ChuteDeploymentSpec) -> Result<()> {
        let name = names::launch_secret(&spec.deployment_id);
        if let Some(uid) = get_opt(&self.secrets, &name).await?.and_then(|secret| secret.metadata.uid) {
            delete_uid(&self.secrets, &name, &uid, Propagation::Background).await?;
        }
        Ok(())
    }
}

/// Sorts a creation's error: a refusal of the object itself is final, everything else is tried again.
fn refused(error: Error, token: Option<&LaunchToken>) -> Result<Outcome> {
    let Error::Refused { code: 400 | 403 | 405 | 413 | 422, message, what, .. } = &error else { return Err(error) };
    let mut message = format!("{what}: {message}");
    // An admission policy may quote the object, and on sealed workers the token stands in it.
    if let Some(token) = token {
        message = message.replace(token.expose(), "(redacted)");
    }
    Ok(Outcome::Refused { reason: reason::CREATE_REFUSED.to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u16, message: &str) -> Error {
        Error::Refused { what: "creating Job chute-1".into(), code, reason: String::new(), message: message.into() }
    }

    #[test]
    fn a_refusal_that_quotes_the_token_is_reported_without_it() {
        let token = LaunchToken::new("aaa.bbb.ccc");
        let Outcome::Refused { message, .. } = refused(error(403, "denied: env CHUTES_LAUNCH_JWT=aaa.bbb.ccc"), Some(&token)).unwrap()
        else {
            panic!("a refusal");
        };
        assert_eq!(message, "creating Job chute-1: denied: env CHUTES_LAUNCH_JWT=(redacted)");
    }

    #[test]
    fn what_may_pass_is_no_refusal() {
        for code in [401, 404, 409, 429, 500, 503] {
            assert!(refused(error(code, "x"), None).is_err(), "{code}");
        }
    }
}
