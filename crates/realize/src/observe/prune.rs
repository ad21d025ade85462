//! What is kept of Jobs and pods in memory: names, labels, states, and which GPUs they hold. Above all not their environment,
//! where on sealed workers the launch token stands.

use super::gpus::VISIBLE;
use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::{Container, Pod, PodSpec, PodTemplateSpec},
};

fn container(container: &Container) -> Container {
    Container {
        name: container.name.clone(),
        env: container.env.as_ref().map(|env| env.iter().filter(|var| var.name == VISIBLE).cloned().collect()),
        ..Container::default()
    }
}

fn pod_spec(spec: &PodSpec) -> PodSpec {
    PodSpec {
        node_name: spec.node_name.clone(),
        containers: spec.containers.iter().map(container).collect(),
        init_containers: spec.init_containers.as_ref().map(|all| all.iter().map(container).collect()),
        ..PodSpec::default()
    }
}

/// Prunes a pod.
pub(crate) fn pod(pod: &mut Pod) {
    pod.metadata.annotations = None;
    pod.spec = pod.spec.as_ref().map(pod_spec);
}

/// Prunes a Job.
pub(crate) fn job(job: &mut Job) {
    job.metadata.annotations = None;
    let template = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).map(pod_spec);
    job.spec = Some(JobSpec { template: PodTemplateSpec { spec: template, ..PodTemplateSpec::default() }, ..JobSpec::default() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_in_the_environment_is_not_kept() {
        let spec = json!({"containers": [{"name": "chute", "env": [
            {"name": "CHUTES_LAUNCH_JWT", "value": "s3cret"}, {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]}]});
        let mut one: Job = serde_json::from_value(json!({"metadata": {"name": "j"}, "spec": {"template": {"spec": spec}}})).unwrap();
        let mut two: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
        job(&mut one);
        pod(&mut two);
        assert!(!format!("{one:?}{two:?}").contains("s3cret"));
        assert!(crate::observe::job_devices(&one).all && crate::observe::pod_devices(&two).all);
    }
}
