//! The control plane: etcd, API server, controller manager, scheduler.

use std::fs;
use std::path::Path;

use crate::binaries::Binaries;
use crate::certs::Authority;
use crate::error::{At, Result};
use crate::options::{Nodes, Options};
use crate::slot::Slot;
use crate::state::Component;

pub(crate) const ETCD: &str = "etcd";
pub(crate) const API_SERVER: &str = "kube-apiserver";
pub(crate) const CONTROLLER_MANAGER: &str = "kube-controller-manager";
pub(crate) const SCHEDULER: &str = "kube-scheduler";

/// Makes the certificates and kubeconfigs of the control plane and its people.
pub(crate) fn credentials(dir: &Path, slot: Slot, options: &Options) -> Result<Authority> {
    let authority = Authority::new(&dir.join("pki"))?;
    authority.service_account_keys()?;
    let mut sans: Vec<String> =
        ["localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(String::from).into();
    sans.push("kubernetes.default.svc.cluster.local".to_owned());
    sans.push(slot.kubernetes_ip().to_string());
    // Pods of any lab of this machine may reach this API server at their own
    // host address, also those of labs that start later.
    sans.extend(Slot::all().map(|slot| slot.host_ip().to_string()));
    sans.extend(options.sans.iter().cloned());
    authority.issue("apiserver", "kube-apiserver", None, &sans)?;
    authority.issue("apiserver-kubelet-client", "kube-apiserver-kubelet-client", Some("system:masters"), &[])?;

    let server = format!("https://127.0.0.1:{}", slot.api_port());
    let users = [
        ("kubeconfig", "admin", Some("system:masters")),
        ("controller-manager.kubeconfig", "system:kube-controller-manager", None),
        ("scheduler.kubeconfig", "system:kube-scheduler", None),
    ];
    for (file, user, group) in users {
        authority.kubeconfig(&dir.join(file), &options.name, &server, user, group)?;
    }
    Ok(authority)
}

/// etcd without the wait for the disk: a lab does not outlive its machine.
pub(crate) fn etcd(dir: &Path, slot: Slot, binaries: &Binaries) -> Component {
    let client = format!("http://127.0.0.1:{}", slot.etcd_port());
    let peer = format!("http://127.0.0.1:{}", slot.etcd_peer_port());
    let args = [
        "etcd".to_owned(),
        format!("--data-dir={}", dir.join("etcd").display()),
        "--name=lab".to_owned(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=lab={peer}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
        "--quota-backend-bytes=4294967296".to_owned(),
        // Left alone, a long benchmark fills the store with old revisions.
        "--auto-compaction-mode=periodic".to_owned(),
        "--auto-compaction-retention=5m".to_owned(),
    ];
    Component::new(&binaries.kubernetes(), args)
}

/// The API server, with role-based access, node restriction and an audit log.
pub(crate) fn api_server(dir: &Path, slot: Slot, binaries: &Binaries, authority: &Authority, options: &Options) -> Result<Component> {
    let policy = dir.join("audit-policy.json");
    fs::write(&policy, audit_policy(options.audit_reads)).at("write", &policy)?;
    let exposed = options.expose || matches!(options.nodes, Nodes::Real { .. });
    let issuer = "https://kubernetes.default.svc.cluster.local";
    let mut args = vec![
        API_SERVER.to_owned(),
        format!("--bind-address={}", if exposed { "0.0.0.0" } else { "127.0.0.1" }),
        format!("--secure-port={}", slot.api_port()),
        // Loopback would be refused; pods reach the Service `kubernetes` here.
        format!("--advertise-address={}", slot.host_ip()),
        format!("--etcd-servers=http://127.0.0.1:{}", slot.etcd_port()),
        format!("--service-cluster-ip-range={}", slot.service_cidr()),
        format!("--service-node-port-range={}-{}", options.node_ports.start(), options.node_ports.end()),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--anonymous-auth=false".to_owned(),
        "--allow-privileged=true".to_owned(),
        format!("--client-ca-file={}", authority.file("ca.crt")),
        format!("--tls-cert-file={}", authority.file("apiserver.crt")),
        format!("--tls-private-key-file={}", authority.file("apiserver.key")),
        format!("--kubelet-certificate-authority={}", authority.file("ca.crt")),
        format!("--kubelet-client-certificate={}", authority.file("apiserver-kubelet-client.crt")),
        format!("--kubelet-client-key={}", authority.file("apiserver-kubelet-client.key")),
        // Without it the node's name is looked up, and logs and exec fail.
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        format!("--service-account-issuer={issuer}"),
        format!("--service-account-key-file={}", authority.file("sa.pub")),
        format!("--service-account-signing-key-file={}", authority.file("sa.key")),
        format!("--audit-policy-file={}", policy.display()),
        format!("--audit-log-path={}", dir.join("audit.log").display()),
        "--audit-log-format=json".to_owned(),
        "--audit-log-maxsize=2048".to_owned(),
        // A lab that goes down has nobody to say goodbye to.
        "--shutdown-delay-duration=0s".to_owned(),
    ];
    args.extend(extra(options, API_SERVER));
    Ok(Component::new(&binaries.kubernetes(), args))
}

/// The controller manager with all controllers: without the garbage collector,
/// owner references would be promises.
pub(crate) fn controller_manager(dir: &Path, slot: Slot, binaries: &Binaries, authority: &Authority, options: &Options) -> Component {
    let mut args = vec![
        CONTROLLER_MANAGER.to_owned(),
        format!("--kubeconfig={}", dir.join("controller-manager.kubeconfig").display()),
        format!("--service-account-private-key-file={}", authority.file("sa.key")),
        format!("--root-ca-file={}", authority.file("ca.crt")),
        format!("--cluster-signing-cert-file={}", authority.file("ca.crt")),
        format!("--cluster-signing-key-file={}", authority.file("ca.key")),
        format!("--cluster-cidr={}", slot.pod_cidr()),
        format!("--service-cluster-ip-range={}", slot.service_cidr()),
        "--use-service-account-credentials=true".to_owned(),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        // The default of a few tens a second would be most of the start-up time.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
    ];
    args.extend(extra(options, CONTROLLER_MANAGER));
    Component::new(&binaries.kubernetes(), args)
}

/// The scheduler.
pub(crate) fn scheduler(dir: &Path, binaries: &Binaries, options: &Options) -> Component {
    let mut args = vec![
        SCHEDULER.to_owned(),
        format!("--kubeconfig={}", dir.join("scheduler.kubeconfig").display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        // The default of a few tens a second would be most of the start-up time.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
    ];
    args.extend(extra(options, SCHEDULER));
    Component::new(&binaries.kubernetes(), args)
}

/// The caller's own flags for a component.
pub(crate) fn extra(options: &Options, component: &str) -> Vec<String> {
    options.extra_args.get(component).cloned().unwrap_or_default()
}

/// Every change at level Metadata, once it is answered.
fn audit_policy(reads: bool) -> String {
    let mut rules = vec![serde_json::json!({
        "level": "Metadata",
        "verbs": ["create", "update", "patch", "delete", "deletecollection"],
    })];
    if reads {
        rules.push(serde_json::json!({ "level": "Metadata", "verbs": ["get", "list", "watch"] }));
    }
    rules.push(serde_json::json!({ "level": "None" }));
    let policy = serde_json::json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": rules,
    });
    format!("{policy:#}\n")
}
