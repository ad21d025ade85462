//! The environment of a chute, in the existing miner's order. Sealed workers refuse pods with any variable that is not on their
//! list, so nothing private of ours is ever added here.

use super::RenderContext;
use crate::{
    NodeProfile, Refusal, TokenDelivery, names,
    ports::{ATTESTATION, LOGGING, PRIMARY, node_port_of, wanted},
};
use crd::chute_deployment::ChuteDeploymentSpec;
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, SecretKeySelector};
use protocol::version::LibraryVersion;

pub(super) fn var(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), ..EnvVar::default() }
}

/// The GPUs as the driver names them, separated by commas.
pub(super) fn devices(spec: &ChuteDeploymentSpec) -> String {
    spec.gpus.iter().map(protocol::ids::GpuUuid::device_name).collect::<Vec<_>>().join(",")
}

pub(super) fn chute(spec: &ChuteDeploymentSpec, profile: &NodeProfile, context: &RenderContext<'_>) -> Result<Vec<EnvVar>, Refusal> {
    let ports = wanted(spec);
    let port_var = |name: &str, port| Ok(var(name, node_port_of(context.node_ports, port)?.to_string()));
    let mut all = vec![
        var("NCCL_P2P_DISABLE", "1"),
        var("NCCL_IB_DISABLE", "1"),
        var("NCCL_SHM_DISABLE", "0"),
        var("NCCL_NET_GDR_LEVEL", "0"),
        var("NVIDIA_VISIBLE_DEVICES", devices(spec)),
        var("CHUTES_NVIDIA_DEVICES", devices(spec)),
        port_var("CHUTES_PORT_PRIMARY", PRIMARY)?,
        port_var("CHUTES_PORT_LOGGING", LOGGING)?,
    ];
    if ports.iter().any(|port| port.port == ATTESTATION && !port.extra) {
        all.push(port_var("CHUTES_PORT_ATTESTATION", ATTESTATION)?);
    }
    all.extend([
        var("CHUTES_EXECUTION_CONTEXT", "REMOTE"),
        var("VLLM_DISABLE_TELEMETRY", "1"),
        var("NCCL_DEBUG", "INFO"),
        var("NCCL_SOCKET_IFNAME", "lo"),
        var("NCCL_SOCKET_FAMILY", "AF_INET"),
        var("HF_HOME", "/cache"),
        var("CIVITAI_HOME", "/cache/civitai"),
        launch_token(spec, profile, context)?,
        var("CHUTES_EXTERNAL_HOST", &spec.address),
    ]);
    // All of them: the existing miner skips the first one of chutes that have no attestation port.
    for port in ports.iter().filter(|port| port.extra) {
        all.push(port_var(&format!("CHUTES_PORT_{}_{}", port.protocol, port.port), port.port)?);
    }
    if spec.chute.tee {
        all.extend(downloads(profile.vm_version.as_deref()));
    }
    Ok(all)
}

fn launch_token(spec: &ChuteDeploymentSpec, profile: &NodeProfile, context: &RenderContext<'_>) -> Result<EnvVar, Refusal> {
    const NAME: &str = "CHUTES_LAUNCH_JWT";
    if profile.token == TokenDelivery::Literal {
        return Ok(var(NAME, context.token.ok_or(Refusal::NoToken)?.expose()));
    }
    // The existing miner writes the token into the Job; ours stands in a Secret, so that reading Jobs reveals no token. The
    // process in the pod cannot tell the difference.
    Ok(EnvVar {
        name: NAME.to_owned(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: names::launch_secret(&spec.deployment_id),
                key: names::TOKEN_KEY.to_owned(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    })
}

/// How models are downloaded inside sealed workers, which depends on their image.
fn downloads(vm_version: Option<&str>) -> [EnvVar; 2] {
    if vm_version.is_some_and(|version| LibraryVersion::parse(version).at_least("1.3.1")) {
        [var("HF_XET_FIXED_DOWNLOAD_CONCURRENCY", "16"), var("TOKIO_WORKER_THREADS", "8")]
    } else {
        [var("HF_HUB_DISABLE_XET", "1"), var("HF_HUB_ENABLE_HF_TRANSFER", "1")]
    }
}
