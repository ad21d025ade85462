//! The Job: one pod on one node, never restarted.

mod env;
mod pod;

use crate::{NodeProfile, Refusal, check, names};
use crd::chute_deployment::{ChuteDeploymentSpec, NodePort};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use protocol::{
    dto::LaunchToken,
    ids::{ConfigId, Ss58},
};
use std::collections::BTreeMap;

/// What a Job needs to know beyond its deployment and its node.
#[derive(Clone, Debug)]
pub struct RenderContext<'a> {
    /// The miner's hotkey address.
    pub miner: &'a Ss58,
    /// The launch config it runs with.
    pub config_id: &'a ConfigId,
    /// The launch token; needed only where it stands in the Job itself ([`crate::TokenDelivery::Literal`]).
    pub token: Option<&'a LaunchToken>,
    /// Node ports by container port, as the Service got them.
    pub node_ports: &'a [NodePort],
}

/// The Job of a deployment.
///
/// # Errors
/// What stands in the way: see [`Refusal`].
pub fn job(spec: &ChuteDeploymentSpec, profile: &NodeProfile, context: &RenderContext<'_>) -> Result<Job, Refusal> {
    check::check(spec)?;
    check::label("launch config id", context.config_id.as_str())?;
    let labels = names::job_labels(spec, context.config_id);
    let annotations = [("prometheus.io/scrape", "true"), ("prometheus.io/path", "/_metrics"), ("prometheus.io/port", "8000")];
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels.clone()),
            annotations: Some(BTreeMap::from(annotations.map(|(key, value)| (key.to_owned(), value.to_owned())))),
            ..ObjectMeta::default()
        }),
        spec: Some(pod::pod(spec, profile, context)?),
    };
    Ok(Job {
        metadata: ObjectMeta {
            name: Some(names::job(&spec.deployment_id)),
            namespace: Some(profile.namespace.clone()),
            labels: Some(names::managed(labels)),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            parallelism: Some(1),
            completions: Some(1),
            // A launch token is claimed once: a second pod of the Job could only fail.
            backoff_limit: Some(0),
            ttl_seconds_after_finished: Some(300),
            template,
            ..JobSpec::default()
        }),
        ..Job::default()
    })
}
