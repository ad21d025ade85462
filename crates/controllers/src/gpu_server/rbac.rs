//! What a server has on the control cluster, and the rights of its agent: its own namespace, its own GpuServer, nothing else. Pure.

use std::collections::BTreeMap;

use crd::gpu_server::Cluster;
use crd::{GpuServer, annotations, labels};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;
use protocol::ids::{ServerName, Ss58};

/// The agent's account, role and binding in its server's namespace.
const AGENT: &str = "agent";

fn meta(name: &str, namespace: Option<&str>, server: &ServerName) -> ObjectMeta {
    let labels = [(labels::MANAGED_BY, labels::MANAGER), (labels::SERVER, server.as_str())];
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: namespace.map(str::to_owned),
        labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
        ..ObjectMeta::default()
    }
}

/// What a server has on the control cluster. Whoever holds a token of the account in it holds these rights and no other.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where its ChuteDeployments and launch Secrets live.
    pub namespace: Namespace,
    /// What its agent holds; nothing for a server that is driven remotely.
    pub access: Option<Access>,
}

/// An agent's account and what it may do.
#[derive(Clone, Debug)]
pub struct Access {
    /// The account.
    pub account: ServiceAccount,
    /// Its rights in its own namespace, and to its own GpuServer in the fleet's.
    pub roles: [Role; 2],
    /// What gives each of these roles to the account.
    pub bindings: [RoleBinding; 2],
}

impl Place {
    /// The place of `object`, whose name is `server`.
    #[must_use]
    pub fn of(object: &GpuServer, server: &ServerName) -> Self {
        let access = object.spec.driver.agent.as_ref().map(|agent| Access {
            account: account(server, &agent.node_key),
            roles: [own_role(server, object.spec.cluster), fleet_role(object, server)],
            bindings: [own_binding(server), fleet_binding(object, server)],
        });
        Self { namespace: namespace(server, &object.spec.node_name), access }
    }
}

fn namespace(server: &ServerName, node_name: &str) -> Namespace {
    let mut metadata = meta(&crd::node_namespace(server.as_str()), None, server);
    metadata.annotations = Some(BTreeMap::from([(annotations::NODE_NAME.to_owned(), node_name.to_owned())]));
    Namespace { metadata, ..Namespace::default() }
}

fn account(server: &ServerName, node_key: &Ss58) -> ServiceAccount {
    let space = crd::node_namespace(server.as_str());
    let mut metadata = meta(AGENT, Some(&space), server);
    metadata.annotations = Some(BTreeMap::from([(annotations::NODE_KEY.to_owned(), node_key.to_string())]));
    ServiceAccount { metadata, ..ServiceAccount::default() }
}

fn rule(group: &str, resources: &[&str], names: &[&str], verbs: &[&str]) -> PolicyRule {
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(list(resources)),
        resource_names: (!names.is_empty()).then(|| list(names)),
        verbs: list(verbs),
        ..PolicyRule::default()
    }
}

fn own_role(server: &ServerName, cluster: Cluster) -> Role {
    let mut rules = vec![
        rule(crd::GROUP, &["chutedeployments"], &[], &["get", "list", "watch"]),
        rule(crd::GROUP, &["chutedeployments/status"], &[], &["get", "patch"]),
        // Names of launch Secrets are not known beforehand; without `list` only whoever knows a name gets one.
        rule("", &["secrets"], &[], &["get"]),
        rule("coordination.k8s.io", &["leases"], &[AGENT], &["get", "update", "patch"]),
        // A creation cannot be limited to a name.
        rule("coordination.k8s.io", &["leases"], &[], &["create"]),
    ];
    if cluster == Cluster::Shared {
        rules.push(rule("", &["services"], &[], &["get", "list", "watch", "create", "patch", "delete"]));
        rules.push(rule("batch", &["jobs"], &[], &["get", "list", "watch", "create", "patch", "delete"]));
        // Jobs make the pods; one whose Job is gone is deleted by its UID.
        rules.push(rule("", &["pods"], &[], &["get", "list", "watch", "delete"]));
    }
    let space = crd::node_namespace(server.as_str());
    Role { metadata: meta(AGENT, Some(&space), server), rules: Some(rules) }
}

fn own_binding(server: &ServerName) -> RoleBinding {
    let space = crd::node_namespace(server.as_str());
    binding(meta(AGENT, Some(&space), server), AGENT, server)
}

fn binding(metadata: ObjectMeta, role: &str, server: &ServerName) -> RoleBinding {
    RoleBinding {
        metadata,
        role_ref: RoleRef { api_group: "rbac.authorization.k8s.io".to_owned(), kind: "Role".to_owned(), name: role.to_owned() },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: AGENT.to_owned(),
            namespace: Some(crd::node_namespace(server.as_str())),
            ..Subject::default()
        }]),
    }
}

/// In the fleet's namespace the object ends with its GpuServer.
fn fleet_meta(object: &GpuServer, server: &ServerName) -> ObjectMeta {
    let mut metadata = meta(&format!("agent-{server}"), Some(crd::FLEET_NAMESPACE), server);
    metadata.owner_references = object.controller_owner_ref(&()).map(|owner| vec![owner]);
    metadata
}

fn fleet_role(object: &GpuServer, server: &ServerName) -> Role {
    let own = [server.as_str()];
    let rules = vec![
        rule(crd::GROUP, &["gpuservers"], &own, &["get", "list", "watch"]),
        rule(crd::GROUP, &["gpuservers/status"], &own, &["get", "patch"]),
    ];
    Role { metadata: fleet_meta(object, server), rules: Some(rules) }
}

fn fleet_binding(object: &GpuServer, server: &ServerName) -> RoleBinding {
    binding(fleet_meta(object, server), &format!("agent-{server}"), server)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> ServerName {
        "gpu-0".parse().unwrap()
    }

    #[test]
    fn an_agent_may_not_list_secrets_nor_write_specs() {
        for cluster in [Cluster::Own, Cluster::Shared] {
            for rule in own_role(&server(), cluster).rules.unwrap() {
                let resources = rule.resources.unwrap();
                if resources.iter().any(|r| r == "secrets") {
                    assert_eq!(rule.verbs, ["get"]);
                }
                if resources.iter().any(|r| r == "chutedeployments") {
                    assert!(!rule.verbs.iter().any(|verb| ["create", "update", "patch", "delete"].contains(&verb.as_str())));
                }
            }
        }
    }

    #[test]
    fn only_a_shared_cluster_lets_an_agent_make_pods_here() {
        let pods = |cluster| {
            let rules = own_role(&server(), cluster).rules.unwrap();
            rules.iter().any(|rule| rule.resources.as_ref().is_some_and(|r| r.iter().any(|r| r == "pods" || r == "jobs")))
        };
        assert!(!pods(Cluster::Own));
        assert!(pods(Cluster::Shared));
    }
}
