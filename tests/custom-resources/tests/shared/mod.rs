//! Objects as the renderer makes them, and what an agent that was broken into would change in them.

use custom_resources::{Server, deployment};
use serde_json::{Value, json};
use workload::{NodeProfile, RenderContext};

/// The Job and the Service of a server's deployment, as our agent would create them.
pub(crate) fn rendered(server: &Server) -> (Value, Value) {
    let deployment: crd::ChuteDeployment = serde_json::from_value(deployment(server)).unwrap();
    let profile = NodeProfile::agent_shared(&server.name, &deployment.spec.node_name);
    let service = workload::service(&deployment.spec, &profile);
    let ports: Vec<_> = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()).map(|port| port.port).collect();
    let node_ports: Vec<_> = ports.iter().zip(31_000_u16..).map(|(port, node_port)| node_port_of(*port, node_port)).collect();
    let (miner, config_id) = (&deployment.spec.validator, &"config-1".parse().unwrap());
    let context = RenderContext { miner, config_id, token: None, node_ports: &node_ports };
    let job = workload::job(&deployment.spec, &profile, &context).unwrap();
    let typed = |mut value: Value, version: &str, kind: &str| {
        value["apiVersion"] = json!(version);
        value["kind"] = json!(kind);
        value
    };
    (typed(serde_json::to_value(job).unwrap(), "batch/v1", "Job"), typed(serde_json::to_value(service).unwrap(), "v1", "Service"))
}

fn node_port_of(port: i32, node_port: u16) -> crd::chute_deployment::NodePort {
    crd::chute_deployment::NodePort { port: u16::try_from(port).unwrap(), node_port }
}

/// Sets the field at a JSON pointer; `/-` at its end appends to a list.
pub(crate) fn change(object: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    if parent.is_empty() || object.pointer(parent).is_some() {
        match object.pointer_mut(parent).unwrap() {
            Value::Array(list) if key == "-" => list.push(value),
            Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
            parent => parent[key] = value,
        }
    } else {
        // A parent that is missing is made.
        let list = key == "-";
        change(object, parent, if list { json!([value]) } else { json!({ key: value }) });
    }
}

type Change = (&'static str, Value, &'static str);

/// Changes to a Job, and what the refusal says.
pub(crate) fn job_changes() -> Vec<Change> {
    let host_path = |path: &str| json!({ "name": "more", "hostPath": { "path": path } });
    let volume = |kind: &str, source: Value| json!({ "name": "more", kind: source });
    let mut changes = vec![
        ("/spec/template/spec/nodeName", json!("node-b"), "must name that server's own node, node-a"),
        ("/spec/template/spec/nodeName", Value::Null, "must name that server's own node, node-a"),
        ("/spec/template/spec/hostNetwork", json!(true), "may not share the namespaces of its host"),
        ("/spec/template/spec/hostPID", json!(true), "may not share the namespaces of its host"),
        ("/spec/template/spec/hostIPC", json!(true), "may not share the namespaces of its host"),
        ("/spec/template/spec/shareProcessNamespace", json!(true), "may not share the namespaces of its host"),
        ("/spec/template/spec/containers/0/securityContext", json!({ "privileged": true }), "may not be privileged"),
        ("/spec/template/spec/initContainers/0/securityContext", json!({ "privileged": true }), "may not be privileged"),
        ("/spec/template/spec/containers/0/securityContext", json!({ "allowPrivilegeEscalation": true }), "may not be privileged"),
        (
            "/spec/template/spec/containers/0/securityContext",
            json!({ "capabilities": { "add": ["SYS_ADMIN"] } }),
            "no capability but IPC_LOCK",
        ),
        (
            "/spec/template/spec/initContainers/0/securityContext",
            json!({ "capabilities": { "add": ["IPC_LOCK", "NET_ADMIN"] } }),
            "no capability but IPC_LOCK",
        ),
        (
            "/spec/template/spec/containers/0/securityContext",
            json!({ "seccompProfile": { "type": "Unconfined" } }),
            "may not be privileged",
        ),
        ("/spec/template/spec/containers/0/securityContext", json!({ "runAsUser": 0 }), "may not run as root"),
        ("/spec/template/spec/securityContext", json!({}), "may not run as root"),
        ("/spec/template/spec/securityContext/sysctls", json!([{ "name": "net.ipv4.ip_forward", "value": "1" }]), "or set sysctls"),
        ("/spec/template/spec/securityContext/seccompProfile", json!({ "type": "Unconfined" }), "may not loosen its sandbox"),
        ("/spec/template/spec/containers/0/ports/0/hostPort", json!(8000), "may not take ports of its host"),
        ("/spec/template/spec/automountServiceAccountToken", json!(true), "runs without a Kubernetes token"),
        ("/spec/template/spec/automountServiceAccountToken", Value::Null, "runs without a Kubernetes token"),
        ("/spec/template/spec/serviceAccountName", json!("agent"), "runs without a Kubernetes token"),
        ("/spec/template/spec/resourceClaims", json!([{ "name": "gpu", "resourceClaimName": "gpu" }]), "may not claim devices"),
        ("/spec/template/spec/volumes/-", volume("secret", json!({ "secretName": "x" })), "mounts only emptyDir and hostPath"),
        ("/spec/template/spec/volumes/-", volume("configMap", json!({ "name": "x" })), "mounts only emptyDir and hostPath"),
        (
            "/spec/template/spec/volumes/-",
            volume("persistentVolumeClaim", json!({ "claimName": "x" })),
            "mounts only emptyDir and hostPath",
        ),
        ("/spec/template/spec/volumes/-", volume("nfs", json!({ "server": "x", "path": "/" })), "mounts only emptyDir and hostPath"),
        ("/spec/template/spec/volumes/-", volume("csi", json!({ "driver": "x" })), "mounts only emptyDir and hostPath"),
        (
            "/spec/template/spec/volumes/-",
            volume("projected", json!({ "sources": [{ "serviceAccountToken": { "path": "token" } }] })),
            "mounts only emptyDir and hostPath",
        ),
        (
            "/spec/template/spec/volumes/-",
            json!({ "name": "more", "hostPath": { "path": "/var/snap/cache/x", "type": "Socket" } }),
            "no other host path",
        ),
        ("/spec/parallelism", json!(50), "makes one pod"),
    ];
    for path in ["/", "/etc", "/var/snap", "/var/snap/cachet", "/var/snap/cache/a/b", "//var/snap/cache"] {
        changes.push(("/spec/template/spec/volumes/-", host_path(path), "no other host path"));
    }
    // The API server itself refuses to go up.
    changes.push(("/spec/template/spec/volumes/-", host_path("/var/snap/cache/../../.."), "must not contain '..'"));
    changes
}

/// Changes to a Service, and what the refusal says.
pub(crate) fn service_changes() -> Vec<Change> {
    vec![
        ("/spec/type", json!("LoadBalancer"), "of type NodePort or ClusterIP"),
        ("/spec", json!({ "type": "ExternalName", "externalName": "x.example.com" }), "of type NodePort or ClusterIP"),
        ("/spec/externalIPs", json!(["203.0.113.1"]), "takes no addresses of others"),
        ("/spec/externalTrafficPolicy", json!("Cluster"), "answers on its own node only"),
        ("/spec/selector", Value::Null, "set a selector"),
    ]
}
