//! How everything of a deployment is called, and the labels it carries. Names follow from the deployment's id, so that a restart
//! finds what it made, and nothing is made twice.

use crd::{chute_deployment::ChuteDeploymentSpec, labels};
use protocol::ids::{ConfigId, DeploymentId};
use std::collections::BTreeMap;

/// Selects everything that belongs to a chute, ours or the existing miner's.
pub const CHUTES: &str = "chutes/chute=true";

/// On the Job and pods of a deployment that runs a job.
pub const JOB: &str = "chutes/job";
/// The job's id, beside [`JOB`].
pub const JOB_ID: &str = "chutes/job-id";

/// Name of a deployment's Service.
#[must_use]
pub fn service(id: &DeploymentId) -> String {
    format!("chute-service-{id}")
}

/// Name of a deployment's Job.
#[must_use]
pub fn job(id: &DeploymentId) -> String {
    format!("chute-{id}")
}

/// Name of the Secret that holds a deployment's launch token, on either cluster.
#[must_use]
pub fn launch_secret(id: &DeploymentId) -> String {
    crd::chute_deployment::launch_secret_name(id)
}

/// Key of the launch token in that Secret.
pub const TOKEN_KEY: &str = "token";
/// Key of the launch config's id in that Secret.
pub const CONFIG_ID_KEY: &str = "config-id";

/// The deployment that an object's labels name.
#[must_use]
pub fn deployment_of(labels: Option<&BTreeMap<String, String>>) -> Option<DeploymentId> {
    labels?.get(labels::DEPLOYMENT_ID)?.parse().ok()
}

/// Labels of the Service.
pub(crate) fn service_labels(spec: &ChuteDeploymentSpec) -> BTreeMap<String, String> {
    BTreeMap::from([
        (labels::DEPLOYMENT_ID.to_owned(), spec.deployment_id.to_string()),
        (labels::CHUTE.to_owned(), "true".to_owned()),
        (labels::CHUTE_ID.to_owned(), spec.chute.id.to_string()),
        (labels::VERSION.to_owned(), spec.chute.version.to_string()),
    ])
}

/// Labels of the Job and its pods.
pub(crate) fn job_labels(spec: &ChuteDeploymentSpec, config_id: &ConfigId) -> BTreeMap<String, String> {
    let mut all = service_labels(spec);
    all.insert(labels::CONFIG_ID.to_owned(), config_id.to_string());
    if let Some(job) = &spec.job {
        all.insert(JOB_ID.to_owned(), job.id.to_string());
        all.insert(JOB.to_owned(), "true".to_owned());
    }
    all
}

/// Adds the label that tells our objects from the existing miner's. Not on pods: those are as the existing miner makes them.
pub(crate) fn managed(mut all: BTreeMap<String, String>) -> BTreeMap<String, String> {
    all.insert(labels::MANAGED_BY.to_owned(), labels::MANAGER.to_owned());
    all
}
