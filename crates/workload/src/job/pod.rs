//! The pod of a chute.

use super::{
    RenderContext,
    env::{self, var},
};
use crate::{NodeProfile, Refusal, check::library, ports};
use crd::chute_deployment::ChuteDeploymentSpec;
use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EmptyDirVolumeSource, ExecAction, HostPathVolumeSource, PodSecurityContext, PodSpec, Probe,
        ResourceRequirements, SecurityContext, Volume, VolumeMount,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use std::collections::BTreeMap;

pub(super) fn pod(spec: &ChuteDeploymentSpec, profile: &NodeProfile, context: &RenderContext<'_>) -> Result<PodSpec, Refusal> {
    Ok(PodSpec {
        restart_policy: Some("Never".to_owned()),
        termination_grace_period_seconds: Some(profile.grace_s),
        // GPUs are ours to give, not the scheduler's.
        node_name: Some(profile.node_name.clone()),
        runtime_class_name: Some(profile.runtime_class.clone()),
        // Strangers' code runs here and has no business with the cluster's API. The existing miner leaves the token mounted;
        // neither the chute's runtime nor the validator looks for it.
        automount_service_account_token: Some(false),
        security_context: Some(PodSecurityContext { run_as_user: Some(1000), run_as_group: Some(1000), ..PodSecurityContext::default() }),
        volumes: Some(volumes(spec, profile)),
        init_containers: Some(vec![cache_init(spec, profile)]),
        containers: vec![chute(spec, profile, context)?],
        ..PodSpec::default()
    })
}

fn volumes(spec: &ChuteDeploymentSpec, profile: &NodeProfile) -> Vec<Volume> {
    let host_path = |name: &str, path: String| Volume {
        name: name.to_owned(),
        host_path: Some(HostPathVolumeSource { path, type_: Some("DirectoryOrCreate".to_owned()) }),
        ..Volume::default()
    };
    let empty_dir = |name: &str, medium: Option<&str>, size: String| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { medium: medium.map(str::to_owned), size_limit: Some(Quantity(size)) }),
        ..Volume::default()
    };
    vec![
        host_path("cache", format!("{}/{}", profile.cache_root, spec.chute.id)),
        host_path("raw-cache", profile.cache_root.clone()),
        empty_dir("tmp", None, format!("{}Gi", spec.resources.disk_gib)),
        empty_dir("shm", Some("Memory"), "16Gi".to_owned()),
    ]
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

/// Evicts what the cache holds too long or too much of, and waits for the GPUs to be idle.
fn cache_init(spec: &ChuteDeploymentSpec, profile: &NodeProfile) -> Container {
    Container {
        name: "cache-init".to_owned(),
        image: Some(profile.cleaner_image.clone()),
        image_pull_policy: Some(profile.pull_policy.clone()),
        env: Some(vec![
            var("CLEANUP_EXCLUDE", spec.chute.id.as_str()),
            var("HF_HOME", "/cache"),
            var("CIVITAI_HOME", "/cache/civitai"),
            var("CACHE_MAX_AGE_DAYS", spec.cache.max_age_days.to_string()),
            var("CACHE_MAX_SIZE_GB", spec.cache.max_size_gb.to_string()),
            var("NVIDIA_VISIBLE_DEVICES", env::devices(spec)),
        ]),
        volume_mounts: Some(vec![mount("raw-cache", "/cache")]),
        // The cache's directories belong to the users of many chutes.
        security_context: Some(SecurityContext { run_as_user: Some(0), run_as_group: Some(0), ..SecurityContext::default() }),
        ..Container::default()
    }
}

fn chute(spec: &ChuteDeploymentSpec, profile: &NodeProfile, context: &RenderContext<'_>) -> Result<Container, Refusal> {
    let command = [
        "chutes",
        "run",
        &spec.chute.ref_str,
        "--port",
        "8000",
        "--miner-ss58",
        context.miner.as_str(),
        "--validator-ss58",
        spec.validator.as_str(),
    ];
    let ports = ports::wanted(spec)
        .into_iter()
        .map(|port| ContainerPort {
            container_port: port.port.into(),
            protocol: port.extra.then(|| port.protocol.to_owned()),
            ..ContainerPort::default()
        })
        .collect();
    Ok(Container {
        name: "chute".to_owned(),
        image: Some(spec.image.clone()),
        image_pull_policy: Some(profile.pull_policy.clone()),
        command: Some(command.map(str::to_owned).to_vec()),
        env: Some(env::chute(spec, profile, context)?),
        resources: Some(resources(spec)),
        volume_mounts: Some(vec![mount("cache", "/cache"), mount("tmp", "/tmp"), mount("shm", "/dev/shm")]),
        security_context: Some(SecurityContext {
            capabilities: Some(Capabilities { add: Some(vec!["IPC_LOCK".to_owned()]), drop: None }),
            ..SecurityContext::default()
        }),
        ports: Some(ports),
        readiness_probe: Some(alive(spec)),
        ..Container::default()
    })
}

/// Requests equal limits. No `nvidia.com/gpu`: which GPUs a chute sees is decided by NVIDIA_VISIBLE_DEVICES and the runtime class.
fn resources(spec: &ChuteDeploymentSpec) -> ResourceRequirements {
    let amounts = BTreeMap::from([
        ("cpu".to_owned(), Quantity(spec.resources.cpu.to_string())),
        ("memory".to_owned(), Quantity(format!("{}Gi", spec.resources.memory_gib))),
        ("ephemeral-storage".to_owned(), Quantity(format!("{}Gi", spec.resources.disk_gib))),
    ]);
    ResourceRequirements { requests: Some(amounts.clone()), limits: Some(amounts), ..ResourceRequirements::default() }
}

fn alive(spec: &ChuteDeploymentSpec) -> Probe {
    let port = if library(spec).at_least("0.3.3") { ports::LOGGING } else { ports::PRIMARY };
    let command = format!("curl -f http://127.0.0.1:{port}/_alive || exit 1");
    Probe {
        exec: Some(ExecAction { command: Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), command]) }),
        initial_delay_seconds: Some(15),
        period_seconds: Some(15),
        timeout_seconds: Some(1),
        success_threshold: Some(1),
        failure_threshold: Some(60),
        ..Probe::default()
    }
}
