//! A server's agent loses its state, or is replaced by another, while a chute earns: it is enrolled again by the hotkey's order, and
//! nothing of the chute moves. Also what `kubectl describe` tells of all that.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "nothing here runs on an async runtime")]

use anyhow::{Context as _, Result, bail, ensure};
use e2e::fleet::Fleet;
use e2e::quiet::{Mark, Write};
use e2e::stage::Stage;
use e2e::wait;
use kubelab::{Level, level_or_skip};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(90);
/// The second agent.
const ANOTHER: &str = "agent-2";

/// Everything that must be the same afterwards.
#[derive(Debug, PartialEq)]
struct Untouched {
    /// Kind, name and UID of what runs on the node.
    node: Vec<String>,
    /// UID, generation and phase of the deployments, and what the validator calls their instances.
    deployments: Vec<Value>,
    /// The server without the node key and where the agent is.
    server: Value,
    /// Open claims, whole rows.
    claims: Vec<String>,
    /// Instances at the validator.
    instances: Vec<String>,
    /// Launch configs that the validator ever granted.
    launches: u64,
}

impl Untouched {
    fn now(fleet: &Fleet) -> Self {
        let path = r#"{range .items[*]}{.kind}/{.metadata.name} {.metadata.uid}{"\n"}{end}"#;
        let what = ["get", "jobs,pods,services", "-A", "-l", "chutes/deployment-id", "-o", &format!("jsonpath={path}")].map(str::to_owned);
        let mut node: Vec<String> = fleet.node.kubectl_run(what).unwrap().lines().map(str::to_owned).collect();
        node.sort();
        let deployment = |d: &Value| {
            json!([
                d["metadata"]["uid"],
                d["metadata"]["generation"],
                d["status"]["phase"],
                d["status"]["instanceId"],
                d["status"]["configId"]
            ])
        };
        let mut server = self::server(fleet);
        server["spec"]["driver"] = Value::Null;
        let validator = fleet.validator().unwrap();
        Self {
            node,
            deployments: fleet.deployments().unwrap().iter().map(deployment).collect(),
            server: json!([server["metadata"]["uid"], server["spec"], server["status"]["reported"], server["status"]["proof"]]),
            claims: fleet.sql("select c from gpu_claims c where freed_at is null order by gpu").unwrap(),
            instances: validator.snapshot().unwrap().instances.iter().map(|i| i.instance_id.clone()).collect(),
            launches: validator.counters().unwrap().launches.granted,
        }
    }
}

fn server(fleet: &Fleet) -> Value {
    fleet.get(&["gpuserver", &fleet.facts.server, "-n", "chutes"]).unwrap()
}

fn node_key(fleet: &Fleet) -> String {
    server(fleet)["spec"]["driver"]["agent"]["nodeKey"].as_str().unwrap().to_owned()
}

/// Ready, with the account and the Lease of the key that is pinned.
fn ready_with_its_key(fleet: &Fleet) {
    let found = server(fleet);
    assert_eq!(found["status"]["nodeKey"], found["spec"]["driver"]["agent"]["nodeKey"]);
    fleet.await_ready("True", "AllGood").unwrap();
    let lease = fleet.get(&["lease", "agent", "-n", &format!("chutes-node-{}", fleet.facts.server)]).unwrap();
    let key = node_key(fleet).parse().unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], format!("gepetto-agent/{}", protocol::sign::fingerprint(&key)));
}

fn log_of(fleet: &Fleet, program: &str) -> String {
    std::fs::read_to_string(fleet.log(program)).unwrap_or_default()
}

fn await_log(fleet: &Fleet, program: &str, words: &str, times: usize) {
    wait::until(&format!("{program} to say: {words}"), PATIENCE, || {
        Ok((log_of(fleet, program).matches(words).count() >= times).then_some(()))
    })
    .unwrap();
}

/// Whether what an agent kept in its state folder still opens the API server.
fn is_open_to(fleet: &Fleet, state: &Path) -> Result<bool> {
    let config = state.join("test.kubeconfig");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{ "name": "a", "cluster": { "server": fleet.control.api_url, "certificate-authority": fleet.control.dir.join("pki/ca.crt") } }],
        "users": [{ "name": "a", "user": { "tokenFile": state.join("control.token") } }],
        "contexts": [{ "name": "a", "context": { "cluster": "a", "user": "a" } }],
    });
    std::fs::write(&config, text.to_string())?;
    let kubectl = fleet.control.kubectl();
    let mut command = Command::new(kubectl.get_program());
    command.arg("--kubeconfig").arg(&config).args(["get", "gpuserver", &fleet.facts.server, "-n", "chutes", "-o", "name"]);
    let output = command.output().context("running kubectl")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    match (output.status.success(), complaint.contains("Unauthorized") || complaint.contains("logged in")) {
        (true, _) => Ok(true),
        (false, true) => Ok(false),
        (false, false) => bail!("{complaint}"),
    }
}

fn copy_state(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// No write about chutes: nothing of a deployment, a Job, a pod, a Service or a Secret.
fn about_chutes(fleet: &Fleet, mark: Mark) -> Vec<Write> {
    let chutes = ["chutedeployments", "jobs", "pods", "services", "secrets"];
    let is_one = |write: &Write| chutes.contains(&write.resource.split('/').next().unwrap_or_default());
    fleet.writes_since(mark).unwrap().into_iter().filter(is_one).collect()
}

/// The events that `kubectl describe` lists, from its own words.
fn described(fleet: &Fleet, args: &[&str]) -> Result<String> {
    let text = fleet.control.kubectl_run(["describe"].iter().chain(args))?;
    let events = text.split_once("\nEvents:").with_context(|| format!("no events in:\n{text}"))?.1;
    Ok(events.to_owned())
}

fn await_described(fleet: &Fleet, args: &[&str], wanted: &[&str]) {
    wait::until(&format!("kubectl describe {} to tell the story", args.join(" ")), Duration::from_secs(20), || {
        let events = described(fleet, args)?;
        let missing: Vec<&&str> = wanted.iter().filter(|reason| !events.contains(&format!(" {reason} "))).collect();
        ensure!(missing.is_empty(), "{missing:?} are missing in:{events}");
        Ok(Some(()))
    })
    .unwrap();
}

fn state_of_first(fleet: &Fleet) -> PathBuf {
    fleet.dir.join("agent")
}

/// Starts one more agent on the same node, with a state folder of its own.
fn start_another(stage: &mut Stage) -> String {
    let port = || testkit::child::free_port().unwrap();
    let (listen, admin) = (format!("127.0.0.1:{}", port()), format!("127.0.0.1:{}", port()));
    let fleet = &mut stage.fleet;
    let mut program = fleet.facts.programs["agent"].clone();
    let state = fleet.dir.join(ANOTHER).display().to_string();
    for (flag, value) in [("--state-dir", &state), ("--listen", &listen), ("--admin-listen", &admin)] {
        let at = program.args.iter().position(|arg| arg == flag).unwrap();
        program.args[at + 1].clone_from(value);
    }
    fleet.facts.programs.insert(ANOTHER.to_owned(), program);
    fleet.start(ANOTHER).unwrap();
    await_log(fleet, ANOTHER, "listening for the miner API", 1);
    format!("http://{listen}")
}

/// Waits until no chute is written about any more.
fn settle(fleet: &Fleet) {
    wait::until("the chute to settle", PATIENCE, || {
        let mark = fleet.mark()?;
        std::thread::sleep(Duration::from_secs(3));
        let writes = about_chutes(fleet, mark);
        ensure!(writes.is_empty(), "still written: {writes:?}");
        Ok(Some(()))
    })
    .unwrap();
}

#[test]
fn an_agent_that_lost_its_state_or_was_replaced_is_enrolled_again_and_no_chute_moves() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let mut stage = Stage::new(|_| ());
    let fleet = &stage.fleet;
    let name = fleet.facts.server.clone();
    let started = Instant::now();
    let added = fleet.add_server().unwrap();
    println!("add-node took {:.2} s:\n{added}", started.elapsed().as_secs_f64());
    let validator = fleet.validator().unwrap();
    validator.offer(&stage.chute("steady", 2, 1)).unwrap();
    let steady = fleet.await_active(&["steady"]).unwrap().remove(0);
    settle(fleet);
    let (before, first_key, mark) = (Untouched::now(fleet), node_key(fleet), fleet.mark().unwrap());
    assert!(!before.node.is_empty() && before.instances.len() == 1 && before.claims.len() == 2, "{before:?}");

    wiped(fleet, &first_key);
    assert_eq!(Untouched::now(fleet), before);
    let (second_key, second_state) = (node_key(fleet), state_of_first(fleet));

    // Another agent takes over while this one is alive and well.
    let api = start_another(&mut stage);
    let fleet = &stage.fleet;
    let shown = fleet.run(&["add-node", "--name", &name, "--re-enrol", "--agent-api", &api]).unwrap();
    println!("{shown}");
    assert_ne!(node_key(fleet), second_key);
    ready_with_its_key(fleet);
    await_log(fleet, "agent", "this agent may not serve this server", 1);
    assert!(log_of(fleet, "agent").contains("stop this one"));
    assert!(!second_state.join("control.token").exists(), "it let go of what it held");
    assert_eq!(Untouched::now(fleet), before);
    let writes = about_chutes(fleet, mark);
    assert!(writes.is_empty(), "{writes:#?}");

    let server = ["gpuserver", name.as_str(), "-n", "chutes"];
    await_described(fleet, &server, &["Provisioning", "Enrolled", "Advertised", "Verified", "Ready", "ReEnrolled"]);
    let deployment = ["chutedeployment", steady.id.as_str(), "-n", steady.namespace.as_str()];
    // Not InstanceClaimed: between two looks at the validator a fast copy is claimed and verified, and the later move is told.
    let launch = ["Planned", "TokenReceived", "Applied", "InstanceVerified", "InstanceActive"];
    await_described(fleet, &deployment, &launch);

    // The twin: the agent that is enrolled now does its work. The deployment's object goes with its end.
    fleet.kill("agent").unwrap();
    validator.withdraw("steady").unwrap();
    fleet.stop(&steady).unwrap();
    fleet.await_no_residue().unwrap();
    fleet.delete_server().unwrap();
    assert_eq!(validator.unexpected().unwrap(), Vec::<String>::new());
}

/// The agent's state folder is emptied under it: what it says, what `add-node` says, and the way back.
fn wiped(fleet: &Fleet, first_key: &str) {
    let (name, state) = (&fleet.facts.server, state_of_first(fleet));
    let kept = fleet.dir.join("agent-before");
    fleet.kill("agent").unwrap();
    copy_state(&state, &kept);
    std::fs::remove_dir_all(&state).unwrap();
    fleet.start("agent").unwrap();
    await_log(fleet, "agent", "listening for the miner API", 2);
    assert_eq!(log_of(fleet, "agent").matches("made a new node key").count(), 2, "at its first start, and now");

    let refused = fleet.add_server().unwrap_err().to_string();
    assert!(refused.contains("HTTP 409") && refused.contains(&format!("chutes-miner add-node --name {name} --re-enrol")), "{refused}");
    assert_eq!(node_key(fleet), first_key, "nothing was pinned");
    assert!(is_open_to(fleet, &kept).unwrap(), "the twin: what the old key bought is good until another is pinned");

    let started = Instant::now();
    let shown = fleet.run(&["add-node", "--name", name, "--re-enrol"]).unwrap();
    println!("add-node --re-enrol took {:.2} s:\n{shown}", started.elapsed().as_secs_f64());
    let key = node_key(fleet);
    assert_ne!(key, first_key);
    let fingerprint = protocol::sign::fingerprint(&key.parse().unwrap());
    assert!(shown.contains(&fingerprint) && log_of(fleet, "agent").contains(&fingerprint), "to be compared by people: {shown}");
    assert!(shown.contains("completed server bootstrapping in"), "{shown}");
    ready_with_its_key(fleet);
    wait::until("the old token to be refused", PATIENCE, || Ok((!is_open_to(fleet, &kept)?).then_some(()))).unwrap();
    println!("the old token was refused {:.1} s after the order", started.elapsed().as_secs_f64());
    let history = fleet.sql(&format!("select message from events where kind = 'ServerReEnrolled' and subject = '{name}'")).unwrap();
    assert!(history.len() == 1 && history[0].contains(&fingerprint), "{history:?}");
}
