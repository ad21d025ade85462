//! What is rendered, byte for byte, for each kind of node. `UPDATE=1` writes the files anew; read the difference before keeping it.
#![allow(clippy::unwrap_used, reason = "a test")]

use crd::chute_deployment::{Cache, ChuteDeploymentSpec, ChuteRef, ExtraPort, JobRef, NodePort, PodResources, RunState};
use protocol::{dto::LaunchToken, ids::ConfigId};
use serde_json::{Value, json};
use workload::{NodeProfile, Refusal, RenderContext, TokenDelivery, shape::shape};

const MINER: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";
const VALIDATOR: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";

fn spec() -> ChuteDeploymentSpec {
    ChuteDeploymentSpec {
        deployment_id: "3f0f9f9e-0b1a-4c5d-8e7f-112233445566".parse().unwrap(),
        server: "gpu-0".parse().unwrap(),
        node_name: "gpu-0.example.net".to_owned(),
        validator: VALIDATOR.parse().unwrap(),
        chute: ChuteRef {
            id: "0a1b2c3d-4e5f-5a6b-8c7d-9e0f1a2b3c4d".parse().unwrap(),
            version: "9a8b7c6d-5e4f-5a3b-9c2d-1e0f9a8b7c6d".parse().unwrap(),
            name: "llama".to_owned(),
            ref_str: "chute:chute".to_owned(),
            chutes_version: "0.5.3".to_owned(),
            tee: false,
        },
        gpu_count: 2,
        gpus: vec!["00000000000000000000000000000001".parse().unwrap(), "GPU-0123abcd-0123-0123-0123-0123456789ab".parse().unwrap()],
        address: "203.0.113.10".to_owned(),
        image: "registry.example.net:30500/user/llama:1".to_owned(),
        ports: vec![],
        resources: PodResources { cpu: 16, memory_gib: 128, disk_gib: 40 },
        cache: Cache { max_age_days: 7, max_size_gb: 500 },
        job: None,
        run_state: RunState::Running,
    }
}

fn sealed(mut spec: ChuteDeploymentSpec) -> ChuteDeploymentSpec {
    spec.chute.tee = true;
    spec.chute.chutes_version = "0.6.1".to_owned();
    spec
}

fn with_job(mut spec: ChuteDeploymentSpec) -> ChuteDeploymentSpec {
    spec.job = Some(JobRef { id: "job-7".parse().unwrap() });
    spec.ports = vec![
        ExtraPort { port: 2202, proto: "tcp".to_owned() },
        ExtraPort { port: 9090, proto: "http".to_owned() },
        ExtraPort { port: 7777, proto: "udp".to_owned() },
    ];
    spec
}

/// As the API server would: ports from 30000 on, in order.
fn give_ports(spec: &ChuteDeploymentSpec, profile: &NodeProfile) -> Vec<NodePort> {
    let mut service = workload::service(spec, profile);
    assert_eq!(workload::node_ports(&service), None, "no port before the API server gave it");
    for (at, port) in service.spec.as_mut().unwrap().ports.as_mut().unwrap().iter_mut().enumerate() {
        port.node_port = Some(30000 + i32::try_from(at).unwrap());
    }
    workload::node_ports(&service).unwrap()
}

fn render(spec: &ChuteDeploymentSpec, profile: &NodeProfile) -> [Value; 3] {
    let token = LaunchToken::new("header.payload.signature");
    let config_id: ConfigId = "c0ffee00-1111-4222-8333-444455556666".parse().unwrap();
    let ports = give_ports(spec, profile);
    let miner = MINER.parse().unwrap();
    let literal = (profile.token == TokenDelivery::Literal).then_some(&token);
    let context = RenderContext { miner: &miner, config_id: &config_id, token: literal, node_ports: &ports };
    [
        serde_json::to_value(workload::service(spec, profile)).unwrap(),
        workload::secret(spec, profile, &config_id, &token).map_or(Value::Null, |secret| serde_json::to_value(secret).unwrap()),
        serde_json::to_value(workload::job(spec, profile, &context).unwrap()).unwrap(),
    ]
}

/// Keys in order, whatever the features that other crates switch on.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<_> = fields.keys().collect();
            keys.sort();
            keys.into_iter().map(|key| (key.clone(), sorted(&fields[key]))).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        leaf => leaf.clone(),
    }
}

fn golden(name: &str, objects: &[Value]) {
    let documents: Vec<String> =
        objects.iter().filter(|object| !object.is_null()).map(|object| serde_saphyr::to_string(&sorted(object)).unwrap()).collect();
    let text = documents.iter().map(|document| document.trim_end()).collect::<Vec<_>>().join("\n---\n") + "\n";
    let path = format!("{}/tests/golden/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "{name}.yaml differs from what is rendered:\n{text}\nIf that is meant, run with UPDATE=1 and read the difference."
    );
}

#[test]
fn an_own_cluster_with_our_agent() {
    golden("agent-own", &render(&spec(), &NodeProfile::agent_own("gpu-0.example.net")));
}

#[test]
fn a_node_of_the_control_cluster() {
    golden("agent-shared", &render(&spec(), &NodeProfile::agent_shared("gpu-0", "gpu-0.example.net")));
}

#[test]
fn a_sealed_worker() {
    golden("remote-sealed", &render(&sealed(spec()), &NodeProfile::remote_sealed("gpu-0.example.net", Some("1.4.0".to_owned()))));
}

#[test]
fn an_ordinary_cluster_from_afar() {
    golden("remote-open", &render(&spec(), &NodeProfile::remote_open("gpu-0.example.net")));
}

#[test]
fn a_deployment_that_runs_a_job() {
    golden("agent-own-job", &render(&with_job(spec()), &NodeProfile::agent_own("gpu-0.example.net")));
}

#[test]
fn every_extra_port_gets_its_variable_and_its_container_port() {
    let [_, _, job] = render(&with_job(spec()), &NodeProfile::agent_own("n"));
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let value = |name: &str| container["env"].as_array().unwrap().iter().find(|var| var["name"] == name).map(|var| var["value"].clone());
    assert_eq!(value("CHUTES_PORT_TCP_2202"), Some(json!("30002")));
    assert_eq!(value("CHUTES_PORT_TCP_9090"), Some(json!("30003")));
    assert_eq!(value("CHUTES_PORT_UDP_7777"), Some(json!("30004")));
    let ports: Vec<_> = container["ports"].as_array().unwrap().iter().map(|port| port["containerPort"].as_u64().unwrap()).collect();
    assert_eq!(ports, [8000, 8001, 2202, 9090, 7777]);
}

#[test]
fn a_sealed_workers_downloads_follow_its_image() {
    let names = |vm: Option<&str>| {
        let [_, _, job] = render(&sealed(spec()), &NodeProfile::remote_sealed("n", vm.map(str::to_owned)));
        let env = job["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap().clone();
        env[env.len() - 2]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(names(Some("1.3.1")), "HF_XET_FIXED_DOWNLOAD_CONCURRENCY");
    assert_eq!(names(Some("1.3.0")), "HF_HUB_DISABLE_XET");
    assert_eq!(names(None), "HF_HUB_DISABLE_XET");
}

#[test]
fn a_token_stands_in_a_job_only_where_there_are_no_secrets() {
    let holds = |profile: &NodeProfile| render(&sealed(spec()), profile)[2].to_string().contains("header.payload.signature");
    assert!(holds(&NodeProfile::remote_sealed("n", None)));
    for profile in [NodeProfile::agent_own("n"), NodeProfile::agent_shared("s", "n"), NodeProfile::remote_open("n")] {
        assert!(!holds(&profile), "{profile:?}");
    }
}

#[test]
fn another_chute_changes_values_and_not_the_shape() {
    let mut other = spec();
    other.chute.id = "ffffffff-4e5f-5a6b-8c7d-9e0f1a2b3c4d".parse().unwrap();
    other.gpus.truncate(1);
    other.gpu_count = 1;
    other.resources.cpu = 3;
    other.image = "another:2".to_owned();
    let profile = NodeProfile::agent_own("n");
    let (one, two) = (render(&spec(), &profile), render(&other, &profile));
    assert_ne!(one[2], two[2]);
    assert_eq!(shape(&one[2]), shape(&two[2]));
    assert_ne!(shape(&one[2]), shape(&render(&with_job(spec()), &profile)[2]));
}

#[test]
fn what_cannot_be_rendered_is_refused_with_a_reason() {
    let refusal = |change: fn(&mut ChuteDeploymentSpec)| {
        let mut spec = spec();
        change(&mut spec);
        workload::check(&spec).map_err(|refusal| refusal.reason())
    };
    assert_eq!(refusal(|_| ()), Ok(()));
    assert_eq!(refusal(|spec| spec.chute.chutes_version = "0.3.60".to_owned()), Err("ChuteTooOld"));
    assert_eq!(refusal(|spec| spec.chute.chutes_version = String::new()), Err("ChuteTooOld"));
    let old_but_sealed: fn(&mut ChuteDeploymentSpec) = |spec| {
        spec.chute.chutes_version = "0.3.60".to_owned();
        spec.chute.tee = true;
    };
    assert_eq!(refusal(old_but_sealed), Ok(()));
    assert_eq!(refusal(|spec| spec.chute.id = "-a".parse().unwrap()), Err("NotALabel"));
    assert_eq!(refusal(|spec| spec.chute.id = "a:b".parse().unwrap()), Err("NotALabel"));
    assert_eq!(refusal(|spec| spec.ports = vec![ExtraPort { port: 8000, proto: "tcp".to_owned() }]), Err("PortTwice"));
}

#[test]
fn a_job_without_its_node_ports_or_its_token_is_not_rendered() {
    let (miner, config_id) = (MINER.parse().unwrap(), "c-1".parse().unwrap());
    let ports = give_ports(&spec(), &NodeProfile::agent_own("n"));
    let context = RenderContext { miner: &miner, config_id: &config_id, token: None, node_ports: &ports[..1] };
    assert_eq!(workload::job(&spec(), &NodeProfile::agent_own("n"), &context).unwrap_err(), Refusal::NoNodePort { port: 8001 });
    let context = RenderContext { node_ports: &ports, ..context };
    assert_eq!(workload::job(&spec(), &NodeProfile::remote_sealed("n", None), &context).unwrap_err(), Refusal::NoToken);
}
