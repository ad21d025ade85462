//! A ChuteDeployment from its row and the resources it speaks of.

use std::collections::BTreeMap;

use crd::annotations::FINALIZER;
use crd::chute::Listing;
use crd::chute_deployment::{Cache, ChuteRef, PodResources, RunState, resource_name};
use crd::gpu_server::Capacity;
use crd::{Chute, ChuteDeployment, ChuteDeploymentSpec, ChuteSpec, GpuServer, labels};
use protocol::ids::{ChuteId, ChuteVersion, ServerName, Ss58};
use protocol::version::LibraryVersion;
use store::Deployment;

use crate::{Context, Error, Result};

/// The existing miner's default, in GiB.
const DEFAULT_DISK_GIB: u32 = 10;
const CACHE_AGE_DAYS: u32 = 7;
const CACHE_SIZE_GB: u32 = 500;
/// Share of a server's CPU and memory that stays with the node, in percent.
const NODE_SHARE_PERCENT: u32 = 5;

/// Whether a deployment of the chute on the server could be built now.
pub(super) fn check(ctx: &Context, chute: &ChuteId, version: &ChuteVersion, server: &ServerName) -> Result<()> {
    find_chute(ctx, chute, version)?;
    let found = find_server(ctx, server)?;
    if found.metadata.deletion_timestamp.is_some() {
        return Err(Error::Waiting(format!("server {server} is being removed")));
    }
    Ok(())
}

fn find_chute(ctx: &Context, id: &ChuteId, version: &ChuteVersion) -> Result<std::sync::Arc<Chute>> {
    let all = ctx.watches.chutes.all();
    let found = all.into_iter().find(|chute| chute.spec.chute_id == *id && chute.spec.version == *version);
    found.ok_or_else(|| Error::Waiting(format!("chute {id} is not offered in version {version} any more")))
}

fn find_server(ctx: &Context, name: &ServerName) -> Result<std::sync::Arc<GpuServer>> {
    ctx.server(name.as_str()).ok_or_else(|| Error::Waiting(format!("server {name} is not there any more")))
}

/// The resource of a row.
pub(super) fn deployment(ctx: &Context, row: &Deployment) -> Result<ChuteDeployment> {
    let chute = find_chute(ctx, &row.chute_id, &row.version)?;
    of_chute(ctx, row, &chute.spec)
}

/// The resource of a row that is only to be taken down: it needs no chute that could still be launched.
pub(super) fn stopped(ctx: &Context, row: &Deployment) -> Result<ChuteDeployment> {
    let unknown = ChuteSpec {
        validator: row.validator.clone(),
        chute_id: row.chute_id.clone(),
        version: row.version.clone(),
        name: row.chute_id.to_string(),
        image: "unknown".to_owned(),
        ref_str: "unknown:unknown".to_owned(),
        chutes_version: None,
        gpu_count: u8::try_from(row.gpus.len()).unwrap_or(u8::MAX),
        supported_gpus: Vec::new(),
        tee: false,
        public: false,
        disk_gib: None,
        listing: Listing::Withdrawn,
    };
    let mut object = match find_chute(ctx, &row.chute_id, &row.version) {
        Ok(chute) => of_chute(ctx, row, &chute.spec)?,
        Err(_) => of_chute(ctx, row, &unknown)?,
    };
    object.spec.run_state = RunState::Stopped;
    Ok(object)
}

fn of_chute(ctx: &Context, row: &Deployment, chute: &ChuteSpec) -> Result<ChuteDeployment> {
    let server = find_server(ctx, &row.server)?;
    let validator = ctx.watches.validators.all().into_iter().find(|validator| validator.spec.hotkey == row.validator);
    let listed = validator.as_ref().and_then(|validator| validator.spec.registry.as_deref());
    let versions = server.status.as_ref().and_then(|status| status.reported.as_ref()?.versions.as_ref());
    let vm = versions.and_then(|versions| versions.vm.as_deref());
    let registry = registry(ctx.registry_override.as_deref(), listed, vm, &row.validator);
    Ok(build(row, chute, &server, &registry))
}

/// Sealed workers since 1.4.0 hold certificates of their own for the network's registry; all others pull through the miner's.
fn registry(overridden: Option<&str>, listed: Option<&str>, vm: Option<&str>, validator: &Ss58) -> String {
    let direct = vm.is_some_and(|version| LibraryVersion::parse(version).at_least("1.4.0"));
    let chosen = overridden.or(listed).or(direct.then_some("registry.chutes.ai"));
    chosen.map_or_else(|| crd::validator::default_registry(validator), str::to_owned)
}

fn build(row: &Deployment, chute: &ChuteSpec, server: &GpuServer, registry: &str) -> ChuteDeployment {
    let spec = &server.spec;
    let gpus = u8::try_from(row.gpus.len()).unwrap_or(u8::MAX);
    let capacity = server.status.as_ref().and_then(|status| status.reported.as_ref()?.capacity.clone()).unwrap_or_default();
    let cache = spec.cache.as_ref();
    let name = resource_name(&row.id);
    let mut object = ChuteDeployment::new(
        &name,
        ChuteDeploymentSpec {
            deployment_id: row.id.clone(),
            server: row.server.clone(),
            node_name: spec.node_name.clone(),
            validator: row.validator.clone(),
            chute: ChuteRef {
                id: row.chute_id.clone(),
                version: row.version.clone(),
                name: chute.name.clone(),
                ref_str: chute.ref_str.clone(),
                chutes_version: chute.chutes_version.clone().unwrap_or_default(),
                tee: chute.tee,
            },
            gpu_count: gpus,
            gpus: row.gpus.clone(),
            address: spec.address.clone(),
            image: format!("{registry}/{}", chute.image),
            ports: Vec::new(),
            resources: resources(&capacity, u32::from(gpus), u32::from(spec.gpu_count), chute.disk_gib),
            cache: Cache {
                max_age_days: cache.and_then(|cache| cache.max_age_days).unwrap_or(CACHE_AGE_DAYS),
                max_size_gb: cache.and_then(|cache| cache.max_size_gb).unwrap_or(CACHE_SIZE_GB),
            },
            job: None,
            run_state: RunState::Running,
        },
    );
    let labels = [
        (labels::MANAGED_BY, labels::MANAGER.to_owned()),
        (labels::DEPLOYMENT_ID, row.id.to_string()),
        (labels::CHUTE_ID, row.chute_id.to_string()),
        (labels::SERVER, row.server.to_string()),
    ];
    let labels: BTreeMap<String, String> =
        labels.into_iter().filter(|(_, value)| value.len() <= 63).map(|(key, value)| (key.to_owned(), value)).collect();
    object.metadata.namespace = Some(row.node_namespace.clone());
    object.metadata.labels = Some(labels);
    object.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    object
}

/// The share of its GPUs in what the server can give, less what the node needs for itself.
fn resources(capacity: &Capacity, gpus: u32, of: u32, disk_gib: Option<u32>) -> PodResources {
    let share = |all: u32| {
        let given = u64::from(all) * u64::from(100 - NODE_SHARE_PERCENT) / 100;
        u32::try_from(given * u64::from(gpus) / u64::from(of.max(1))).unwrap_or(u32::MAX).max(1)
    };
    PodResources {
        cpu: share(capacity.cpu).min(4096),
        memory_gib: share(capacity.memory_gib).min(65536),
        disk_gib: disk_gib.unwrap_or(DEFAULT_DISK_GIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_single_gpu_pods_fit_beside_the_node() {
        let capacity = Capacity { cpu: 192, memory_gib: 2000, disk_gib: 1000 };
        let one = resources(&capacity, 1, 8, None);
        assert_eq!((one.cpu, one.memory_gib, one.disk_gib), (22, 237, 10));
        assert!(one.cpu * 8 < 192);
    }

    #[test]
    fn an_unknown_capacity_still_makes_a_valid_pod() {
        let least = resources(&Capacity::default(), 1, 0, Some(50));
        assert_eq!((least.cpu, least.memory_gib, least.disk_gib), (1, 1, 50));
    }

    #[test]
    fn an_override_beats_the_validators_registry() {
        let hotkey: Ss58 = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj".parse().unwrap();
        assert_eq!(registry(Some("r:5000"), Some("listed"), Some("1.4.0"), &hotkey), "r:5000");
        assert_eq!(registry(None, Some("listed"), Some("1.4.0"), &hotkey), "listed");
        assert_eq!(registry(None, None, Some("1.4.0.rc1"), &hotkey), "registry.chutes.ai");
        for proxied in [None, Some("1.3.9")] {
            assert!(registry(None, None, proxied, &hotkey).ends_with(".localregistry.chutes.ai:30500"));
        }
    }
}
