//! Chutes on a simulated node are processes: they claim, their end shows, and they end with their pod.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, whose waiting threads hold up nobody")]

use e2e::pods::{PodRunner, PodRunnerOptions, RunningPod};
use e2e::wait;
use kubelab::{Guard, Lab, Level, Nodes, Options, level_or_skip};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use validator_sim::{ChuteSpec, Config, DevKey, InstanceView, LaunchState, Selector, Simulator};

const HOST: &str = "203.0.113.10";
const LIMIT: Duration = Duration::from_secs(30);

/// A lab with one simulated node, a validator with one chute, and a miner with eight proven GPUs.
struct Stage {
    // Dropped in this order.
    runner: Option<PodRunner>,
    lab: Guard,
    sim: Simulator,
    runtime: Runtime,
    dir: TempDir,
    key: DevKey,
    chute: String,
}

impl Stage {
    fn up() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let runtime = Runtime::new().unwrap();
        let key = DevKey::from_seed([1; 32]);
        let mut config = Config::relaxed();
        config.scenario.miners.push(key.address().to_owned());
        let sim = runtime.block_on(Simulator::start(config)).unwrap();
        let selector = Selector { include: Some(vec!["h100_sxm".to_owned()]), ..Selector::default() };
        let chute = sim.create_chute(ChuteSpec { selector, target: 8, ..ChuteSpec::named("demo") }).unwrap();
        let chute = chute["chute_id"].as_str().unwrap().to_owned();
        let dir = tempfile::Builder::new().prefix("pods").tempdir().unwrap();
        let lab = Lab::up(Options::new(dir.path().join("lab")).nodes(Nodes::simulated(1)), |_| ()).unwrap().guard();
        lab.apply(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "chutes" } })).unwrap();
        let runner = Some(PodRunner::start(&lab, options(&dir)).unwrap());
        let stage = Self { runner, lab, sim, runtime, dir, key, chute };
        stage.advertise();
        stage
    }

    fn runner(&self) -> &PodRunner {
        self.runner.as_ref().unwrap()
    }

    fn signed(&self, request: reqwest::RequestBuilder, last: &str) -> Value {
        let nonce = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let hotkey = self.key.address();
        let request = request
            .header("X-Chutes-Hotkey", hotkey)
            .header("X-Chutes-Nonce", nonce.to_string())
            .header("X-Chutes-Signature", self.key.sign(&format!("{hotkey}:{nonce}:{last}")));
        self.runtime.block_on(async { request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap() })
    }

    fn advertise(&self) {
        let nodes: Vec<Value> = (0..8)
            .map(|index| {
                json!({
                    "uuid": gpu(index).0, "name": "NVIDIA H100 80GB HBM3", "memory": 85_520_809_984_u64, "major": 9, "minor": 0,
                    "processors": 132, "sxm": true, "clock_rate": 1_980_000.0, "max_threads_per_processor": 2048,
                    "concurrent_kernels": true, "ecc": true, "device_index": index, "gpu_identifier": "h100_sxm",
                    "verification_host": HOST, "verification_port": 31234,
                })
            })
            .collect();
        let body = json!({ "server_id": "server-1", "nodes": nodes }).to_string();
        let digest = hex::encode(Sha256::digest(&body));
        self.signed(reqwest::Client::new().post(format!("{}/nodes/", self.sim.url())).body(body), &digest);
        self.sim.advance(Duration::from_secs(5));
    }

    /// A granted launch on one GPU as the realizer would leave it in the cluster: the token in a Secret, and a Job. Returns the Job's name.
    fn launch(&self, gpu_index: u32, more: &[(&str, &str)]) -> String {
        let url = format!("{}/instances/launch_config?chute_id={}", self.sim.url(), self.chute);
        let grant = self.signed(reqwest::Client::new().get(url), "launch");
        let id = format!("7b0f1a52-5c0e-4d3e-9d55-11111111111{gpu_index}");
        let name = format!("chute-{id}");
        let device = gpu(gpu_index).1;
        let mut env = vec![
            json!({ "name": "NVIDIA_VISIBLE_DEVICES", "value": device }),
            json!({ "name": "CHUTES_PORT_PRIMARY", "value": format!("3100{gpu_index}") }),
            json!({ "name": "CHUTES_PORT_LOGGING", "value": format!("3110{gpu_index}") }),
            json!({ "name": "CHUTES_LAUNCH_JWT", "valueFrom": { "secretKeyRef": { "name": format!("launch-{id}"), "key": "token" } } }),
            json!({ "name": "CHUTES_EXTERNAL_HOST", "value": HOST }),
            json!({ "name": "FAKE_CHUTE_DELAY_MS", "value": "50" }),
        ];
        env.extend(more.iter().map(|(name, value)| json!({ "name": name, "value": value })));
        let labels = json!({ "chutes/chute": "true", "chutes/chute-id": self.chute, "chutes/deployment-id": id });
        let command = ["chutes", "run", "chute:chute", "--port", "8000", "--miner-ss58", "M", "--validator-ss58", "V"];
        self.lab
            .apply(&json!({ "apiVersion": "v1", "kind": "List", "items": [
                {
                    "apiVersion": "v1", "kind": "Secret", "metadata": { "name": format!("launch-{id}"), "namespace": "chutes" },
                    "stringData": { "token": grant["token"] },
                },
                {
                    "apiVersion": "batch/v1", "kind": "Job",
                    "metadata": { "name": name, "namespace": "chutes", "labels": labels },
                    "spec": { "backoffLimit": 0, "template": { "metadata": { "labels": labels }, "spec": {
                        "restartPolicy": "Never", "nodeName": "sim-0", "runtimeClassName": "nvidia", "terminationGracePeriodSeconds": 20,
                        "containers": [{ "name": "chute", "image": "example/chute:1", "command": command, "env": env }],
                    } } },
                },
            ] }))
            .unwrap();
        name
    }

    /// The pod of a Job.
    fn pod(&self, job: &str) -> Option<Value> {
        let selector = format!("-l=job-name={job}");
        let list = self.lab.kubectl_run(["get", "pods", "-n=chutes", &selector, "-o=json"]).unwrap();
        serde_json::from_str::<Value>(&list).unwrap()["items"].get(0).cloned()
    }

    fn wait_active(&self) -> InstanceView {
        wait::until("the instance to be active", LIMIT, || {
            Ok(self.sim.snapshot().instances.into_iter().find(|instance| instance.activated_at.is_some()))
        })
        .unwrap()
    }

    fn wait_failed(&self, job: &str) -> i64 {
        let pod = wait::until("the pod to fail", LIMIT, || Ok(self.pod(job).filter(|pod| pod["status"]["phase"] == "Failed"))).unwrap();
        pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"].as_i64().unwrap()
    }

    fn only_process(&self) -> RunningPod {
        let running = self.runner().running();
        assert_eq!(running.len(), 1, "{running:?}");
        running.into_iter().next().unwrap()
    }
}

fn options(dir: &TempDir) -> PodRunnerOptions {
    // Programs lie beside the folder of the test programs.
    let binary: PathBuf = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("fake-chute");
    PodRunnerOptions::new(binary, dir.path().join("pods"))
}

/// A GPU's UUID as the validator and as the driver write it.
fn gpu(index: u32) -> (String, String) {
    (format!("{}{index}", "a".repeat(31)), format!("GPU-aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaa{index}"))
}

fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_chute_gets_active_and_ends_before_its_pod_does() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let stage = Stage::up();
    let job = stage.launch(0, &[]);
    let instance = stage.wait_active();
    let pod = stage.pod(&job).unwrap();
    assert_eq!((instance.host.as_str(), instance.port, instance.gpus), (HOST, 31000, vec![gpu(0).0]));
    assert_eq!(instance.deployment.as_deref(), job.strip_prefix("chute-"), "the pod's name is the process's host name");
    assert_eq!(pod["status"]["phase"], "Running");
    let process = stage.only_process();
    assert_eq!(Some(process.name.as_str()), pod["metadata"]["name"].as_str());
    assert!(lives(process.pid));

    // A frozen process does not end when asked: its pod must stay, also after the simulation took its part of the pod away.
    let pid = rustix::process::Pid::from_raw(i32::try_from(process.pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    stage.lab.kubectl_run(["delete", "job", "-n=chutes", &job, "--wait=false"]).unwrap();
    let deleted = || Ok(stage.pod(&job).filter(|pod| pod["metadata"]["deletionGracePeriodSeconds"] == 0));
    wait::until("the simulation to delete the pod", LIMIT, deleted).unwrap();
    assert!(lives(process.pid), "a grace period of 20 s has only begun");
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    wait::until("the pod to be gone", LIMIT, || Ok(stage.pod(&job).is_none().then_some(()))).unwrap();
    assert!(!lives(process.pid));
    let log = std::fs::read_to_string(&process.log).unwrap();
    assert!(log.contains("chutes: told to stop"), "{log}");
    assert_eq!(stage.runner().running(), []);
    assert_eq!(stage.sim.counters().unexpected, 0, "{:?}", stage.sim.unexpected());
}

#[test]
fn a_chute_that_ends_by_itself_fails_its_pod_with_its_exit_code() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let stage = Stage::up();
    let job = stage.launch(0, &[("FAKE_CHUTE_FAIL_AT", "claim")]);
    assert_eq!(stage.wait_failed(&job), 137);
    assert_eq!(stage.sim.snapshot().launches[0].state, LaunchState::Created);
    let failed = || {
        let job: Value = serde_json::from_str(&stage.lab.kubectl_run(["get", "job", "-n=chutes", &job, "-o=json"])?)?;
        Ok((job["status"]["failed"] == 1).then_some(()))
    };
    wait::until("the job to fail", LIMIT, failed).unwrap();
    assert_eq!(stage.runner().running(), []);

    // Hooks reach pods that carry no variable of ours, and end when taken back.
    stage.runner().hook(&stage.chute, "FAKE_CHUTE_FAIL_AT", "verify");
    assert_eq!(stage.wait_failed(&stage.launch(1, &[])), 137);
    assert!(stage.sim.snapshot().launches.iter().any(|launch| launch.state == LaunchState::Claimed));
    stage.runner().unhook(&stage.chute);
    let job = stage.launch(2, &[]);
    stage.wait_active();
    let process = stage.only_process();

    // An end that nobody can be told of is told later.
    stage.lab.kill("kube-apiserver").unwrap();
    assert!(stage.runner().crash("chutes", &process.name));
    wait::until("the process to end", LIMIT, || Ok((!lives(process.pid)).then_some(()))).unwrap();
    stage.lab.start("kube-apiserver").unwrap();
    stage.lab.wait_ready(LIMIT).unwrap();
    assert_eq!(stage.wait_failed(&job), 137);
}

#[test]
fn a_stop_ends_every_process_and_the_next_runner_finds_them_dead() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let mut stage = Stage::up();
    let jobs: Vec<String> = (0..4).map(|index| stage.launch(index, &[])).collect();
    let active = || Ok((stage.sim.snapshot().active("demo") == 4).then_some(()));
    wait::until("all instances to be active", LIMIT, active).unwrap();
    let running = stage.runner().running();
    assert_eq!(running.len(), 4);
    stage.runner.take().unwrap().stop();
    assert!(running.iter().all(|process| !lives(process.pid)));
    assert!(jobs.iter().all(|job| stage.pod(job).unwrap()["status"]["phase"] == "Running"), "a stop reports nothing");

    stage.runner = Some(PodRunner::start(&stage.lab, options(&stage.dir)).unwrap());
    for job in &jobs {
        assert_eq!(stage.wait_failed(job), 137);
    }
    assert_eq!(stage.sim.counters().asked("POST /instances/launch_config/{config_id}"), 4, "nobody ran a token twice");
}
