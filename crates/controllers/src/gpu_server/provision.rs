//! What a server needs on the control cluster before its agent can work: a namespace, an account, its rights.

use crd::GpuServer;
use crd::conditions::{State, get};
use crd::gpu_server::condition;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Api;
use protocol::ids::ServerName;

use super::rbac;
use super::status::Draft;
use crate::context::MANAGER;
use crate::{Context, Result};

/// Grows whenever what is applied here changes, so that an upgrade applies it again and a fleet at rest writes nothing.
const REVISION: &str = "revision 1";

/// Applies it, unless that was done for this revision and generation.
pub(super) async fn provision(ctx: &Context, server: &GpuServer, name: &ServerName, draft: &mut Draft<'_>) -> Result<()> {
    let done = get(&draft.status.conditions, condition::PROVISIONED).is_some_and(|known| {
        known.status == "True" && known.message == REVISION && known.observed_generation == server.metadata.generation
    });
    if done {
        return Ok(());
    }
    let result = apply(ctx, server, name).await;
    match &result {
        Ok(()) => draft.note(condition::PROVISIONED, State::True, "Applied", REVISION),
        Err(error) => draft.note(condition::PROVISIONED, State::False, "NotApplied", &error.to_string()),
    }
    result
}

async fn apply(ctx: &Context, server: &GpuServer, name: &ServerName) -> Result<()> {
    use cluster::apply::ssa;
    let client = || ctx.client.clone();
    let space = crd::node_namespace(name.as_str());
    ssa::<Namespace>(&Api::all(client()), MANAGER, &rbac::namespace(name, &server.spec.node_name)).await?;
    if server.spec.driver.agent.is_none() {
        return Ok(());
    }
    ssa::<ServiceAccount>(&Api::namespaced(client(), &space), MANAGER, &rbac::account(name)).await?;
    ssa::<Role>(&Api::namespaced(client(), &space), MANAGER, &rbac::own_role(name, server.spec.cluster)).await?;
    ssa::<RoleBinding>(&Api::namespaced(client(), &space), MANAGER, &rbac::own_binding(name)).await?;
    ssa::<Role>(&Api::namespaced(client(), crd::FLEET_NAMESPACE), MANAGER, &rbac::fleet_role(server, name)).await?;
    ssa::<RoleBinding>(&Api::namespaced(client(), crd::FLEET_NAMESPACE), MANAGER, &rbac::fleet_binding(server, name)).await?;
    Ok(())
}
