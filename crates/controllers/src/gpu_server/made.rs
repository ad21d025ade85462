//! What provisioning made, as the control cluster has it now: somebody may delete or change it.

use cluster::controller::{Trigger, on_touch};
use cluster::watch::{ObjectRef, WatchHandle, WatchOptions, Watched, source};
use crd::annotations::NODE_NAME;
use crd::{GpuServer, labels};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::{Api, Client, Resource, ResourceExt as _};

use super::rbac::Place;

/// Watches of everything that provisioning makes.
pub(super) struct Made {
    spaces: WatchHandle<Namespace>,
    accounts: WatchHandle<ServiceAccount>,
    roles: WatchHandle<Role>,
    bindings: WatchHandle<RoleBinding>,
}

impl Made {
    pub(super) fn watch(client: &Client) -> Self {
        let ours = || WatchOptions::default().labels(format!("{}={},{}", labels::MANAGED_BY, labels::MANAGER, labels::SERVER));
        Self {
            spaces: source(Api::all(client.clone()), ours()),
            accounts: source(Api::all(client.clone()), ours()),
            roles: source(Api::all(client.clone()), ours()),
            bindings: source(Api::all(client.clone()), ours()),
        }
    }

    /// Whenever one of a server's objects is touched, look at the server.
    pub(super) fn triggers(&self) -> Vec<Trigger<GpuServer>> {
        vec![on_touch(&self.spaces, owner), on_touch(&self.accounts, owner), on_touch(&self.roles, owner), on_touch(&self.bindings, owner)]
    }

    /// Whether anything is missing or differs. Whoever cannot see says no: what is there is not made anew for nothing.
    pub(super) fn lacks(&self, place: &Place) -> bool {
        let access = place.access.as_ref().is_some_and(|access| {
            misses(&self.accounts, std::slice::from_ref(&access.account), |_, _| true)
                || misses(&self.roles, &access.roles, same_role)
                || misses(&self.bindings, &access.bindings, same_binding)
        });
        access || misses(&self.spaces, std::slice::from_ref(&place.namespace), same_space)
    }
}

fn owner<K: Resource>(object: &K) -> Vec<ObjectRef<GpuServer>> {
    let name = object.labels().get(labels::SERVER);
    name.map(|name| ObjectRef::new(name).within(crd::FLEET_NAMESPACE)).into_iter().collect()
}

fn misses<K: Watched>(watch: &WatchHandle<K>, wanted: &[K], same: fn(&K, &K) -> bool) -> bool {
    // A reference of the object itself: one without a namespace is not one in the namespace of no name.
    let get = |object: &K| watch.store.get(&ObjectRef::from_obj(object));
    watch.is_ready() && wanted.iter().any(|object| get(object).is_none_or(|found| !stands(&*found, object, same)))
}

/// Whether an object is there, is to stay, and is as it should be.
fn stands<K: Resource>(found: &K, wanted: &K, same: fn(&K, &K) -> bool) -> bool {
    found.meta().deletion_timestamp.is_none() && same(found, wanted)
}

fn same_space(found: &Namespace, wanted: &Namespace) -> bool {
    found.annotations().get(NODE_NAME) == wanted.annotations().get(NODE_NAME)
}

fn same_role(found: &Role, wanted: &Role) -> bool {
    found.rules == wanted.rules
}

fn same_binding(found: &RoleBinding, wanted: &RoleBinding) -> bool {
    let subject = |binding: &RoleBinding| {
        let subjects = binding.subjects.clone().unwrap_or_default();
        subjects.into_iter().map(|subject| (subject.kind, subject.namespace, subject.name)).collect::<Vec<_>>()
    };
    found.role_ref.name == wanted.role_ref.name && subject(found) == subject(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn place() -> Place {
        let server: GpuServer = serde_json::from_value(serde_json::json!({
            "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GpuServer",
            "metadata": {"name": "gpu-0", "namespace": "chutes", "uid": "u"},
            "spec": {
                "nodeName": "n", "address": "203.0.113.1", "validator": "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj",
                "gpuRef": "h100_sxm", "gpuCount": 1, "hourlyCostPerGpu": 1.0,
                "driver": {"agent": {"nodeKey": "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj"}},
            },
        }))
        .unwrap();
        Place::of(&server, &"gpu-0".parse().unwrap())
    }

    /// As an API server gives it back: with its own words in the metadata.
    fn stored<K: Resource + Clone>(object: &K) -> K {
        let mut stored = object.clone();
        stored.meta_mut().uid = Some("uid".to_owned());
        stored.meta_mut().resource_version = Some("7".to_owned());
        stored
    }

    #[test]
    fn what_was_applied_stands_and_what_somebody_changed_does_not() {
        let Place { namespace, access } = place();
        let access = access.unwrap();
        for role in &access.roles {
            let mut found = stored(role);
            assert!(stands(&found, role, same_role));
            found.rules.as_mut().unwrap().pop();
            assert!(!stands(&found, role, same_role));
        }
        for binding in &access.bindings {
            let mut found = stored(binding);
            // The API server may fill in the group of a subject.
            found.subjects.as_mut().unwrap()[0].api_group = Some(String::new());
            assert!(stands(&found, binding, same_binding));
            found.subjects = None;
            assert!(!stands(&found, binding, same_binding));
        }
        let mut space = stored(&namespace);
        assert!(stands(&space, &namespace, same_space));
        space.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
        assert!(!stands(&space, &namespace, same_space));
    }

    #[test]
    fn every_object_leads_back_to_its_server() {
        let Place { namespace, access } = place();
        let access = access.unwrap();
        let server = vec![ObjectRef::new("gpu-0").within(crd::FLEET_NAMESPACE)];
        assert_eq!((owner(&namespace), owner(&access.account)), (server.clone(), server.clone()));
        assert!(access.roles.iter().all(|role| owner(role) == server));
        assert!(access.bindings.iter().all(|binding| owner(binding) == server));
    }
}
