//! What a server needs on the control cluster before its agent can work: a namespace, an account, its rights.
//!
//! The account is of one node key. When another key is pinned (the agent lost its state and was enrolled again) the account is made
//! anew: whatever the old key bought ends with the old account, since a token names the account's UID.

use cluster::apply::{Propagation, delete_uid, ssa};
use cluster::call::get_opt;
use crd::conditions::{State, get};
use crd::gpu_server::condition;
use crd::{GpuServer, annotations};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{Api, ResourceExt as _};
use protocol::ids::ServerName;

use super::made::Made;
use super::rbac::Place;
use super::status::Draft;
use crate::context::MANAGER;
use crate::{Context, Result};

/// Grows whenever what is applied here changes, so that an upgrade applies it again and a fleet at rest writes nothing.
const REVISION: &str = "revision 3";

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
        Ok(()) => {
            draft.note(condition::PROVISIONED, State::True, "Applied", REVISION);
            draft.admitted(server.spec.driver.agent.as_ref().map(|agent| &agent.node_key));
        }
        Err(error) => draft.note(condition::PROVISIONED, State::False, "NotApplied", &error.to_string()),
    }
    result
}

async fn apply(ctx: &Context, place: &Place) -> Result<()> {
    ssa::<Namespace>(&Api::all(ctx.client.clone()), MANAGER, &place.namespace).await?;
    let Some(access) = &place.access else { return Ok(()) };
    revoke_another(ctx, &access.account).await?;
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

/// Ends the account of another node key, and with it what that key bought.
async fn revoke_another(ctx: &Context, wanted: &ServiceAccount) -> Result<()> {
    let accounts = there(ctx, wanted);
    let found = get_opt(&accounts, &wanted.name_any()).await?;
    let Some(old) = found.filter(|account| is_of_another(account, wanted)) else { return Ok(()) };
    delete_uid(&accounts, &old.name_any(), &old.uid().unwrap_or_default(), Propagation::Background).await?;
    tracing::info!(namespace = wanted.namespace(), "another node key is pinned: the tokens of the old one are dead");
    Ok(())
}

/// One that does not say whose it is was made by an earlier release, for the key that is pinned now.
fn is_of_another(account: &ServiceAccount, wanted: &ServiceAccount) -> bool {
    let key = |account: &ServiceAccount| account.annotations().get(annotations::NODE_KEY).cloned();
    key(account).is_some_and(|key_there| Some(key_there) != key(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::key::Keypair;

    fn account(node_key: &str) -> ServiceAccount {
        let server: GpuServer = serde_json::from_value(serde_json::json!({
            "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GpuServer", "metadata": { "name": "gpu-0", "namespace": "chutes" },
            "spec": {
                "nodeName": "n", "address": "203.0.113.1", "validator": node_key, "gpuRef": "h100_sxm", "gpuCount": 1,
                "hourlyCostPerGpu": 1.0, "driver": { "agent": { "nodeKey": node_key } },
            },
        }))
        .unwrap();
        Place::of(&server, &"gpu-0".parse().unwrap()).access.unwrap().account
    }

    #[test]
    fn only_an_account_that_names_another_key_is_made_anew() {
        let [pinned, other] = [(), ()].map(|()| account(Keypair::generate().address().as_str()));
        assert!(!is_of_another(&ServiceAccount::default(), &pinned), "an earlier release wrote no key");
        assert!(!is_of_another(&pinned.clone(), &pinned));
        assert!(is_of_another(&other, &pinned));
    }
}
