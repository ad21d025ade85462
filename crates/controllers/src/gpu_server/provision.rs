//! What a server needs on the control cluster before its agent can work: a namespace, an account, its rights.

use cluster::apply::ssa;
use crd::GpuServer;
use crd::conditions::{State, get};
use crd::gpu_server::condition;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use protocol::ids::ServerName;

use super::made::Made;
use super::rbac::Place;
use super::status::Draft;
use crate::context::MANAGER;
use crate::{Context, Result};

/// Grows whenever what is applied here changes, so that an upgrade applies it again and a fleet at rest writes nothing.
const REVISION: &str = "revision 2";

/// Applies it, unless that was done for this revision and generation and still stands.
pub(super) async fn provision(ctx: &Context, made: &Made, server: &GpuServer, name: &ServerName, draft: &mut Draft<'_>) -> Result<()> {
    let place = Place::of(server, name);
    let done = get(&draft.status.conditions, condition::PROVISIONED).is_some_and(|known| {
        known.status == "True" && known.message == REVISION && known.observed_generation == server.metadata.generation
    });
    if done {
        if !made.lacks(&place) {
            return Ok(());
        }
        tracing::warn!(server = %name, "a part of what was provisioned was deleted or changed; it is made anew");
    }
    let result = apply(ctx, &place).await;
    match &result {
        Ok(()) => draft.note(condition::PROVISIONED, State::True, "Applied", REVISION),
        Err(error) => draft.note(condition::PROVISIONED, State::False, "NotApplied", &error.to_string()),
    }
    result
}

async fn apply(ctx: &Context, place: &Place) -> Result<()> {
    ssa::<Namespace>(&Api::all(ctx.client.clone()), MANAGER, &place.namespace).await?;
    let Some(access) = &place.access else { return Ok(()) };
    ssa(&there(ctx, &access.account), MANAGER, &access.account).await?;
    for role in &access.roles {
        ssa(&there(ctx, role), MANAGER, role).await?;
    }
    for binding in &access.bindings {
        ssa(&there(ctx, binding), MANAGER, binding).await?;
    }
    Ok(())
}

/// The namespace that an object names.
fn there<K>(ctx: &Context, object: &K) -> Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(ctx.client.clone(), object.meta().namespace.as_deref().unwrap_or(crd::FLEET_NAMESPACE))
}
