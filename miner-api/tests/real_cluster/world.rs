//! Everything around the program: a lab, Postgres, Redis, the simulator, and the program itself as a child.

use kubelab::{Guard, Lab, Options};
use protocol::{
    key::{Keypair, Seed},
    sign::{Purpose, Signed, four_part_headers},
};
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command},
    time::{Duration, Instant},
};
use testkit::{postgres::Postgres, redis::Redis};
use validator_sim::{ChuteSpec, Config, Scenario, Simulator};

const SEED: &str = "e031170f32b4cda05df2f3cf6bc8d7687b683bbce23d9fa960c0b3fc21641b8a";
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) lab: Guard,
    pub(crate) validator: Simulator,
    hotkey: Keypair,
    http: reqwest::Client,
    tls: String,
    program: Child,
    _postgres: Postgres,
    _redis: Redis,
    _folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        service::tls::install_provider();
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::up(Options::new(folder.path().join("lab")), |line| println!("{line}")).unwrap().guard();
        let postgres = Postgres::start().unwrap();
        let database = postgres.fresh_database().unwrap();
        let redis = Redis::start().unwrap();
        let hotkey = Keypair::from_seed(&SEED.parse::<Seed>().unwrap());
        let chutes = ["one", "two"].map(|name| ChuteSpec { name: name.into(), ..ChuteSpec::default() }).into();
        let scenario = Scenario { miners: vec![hotkey.address().to_string()], chutes, ..Scenario::default() };
        let validator = Simulator::start(Config { allow_plain_http: true, scenario, ..Config::default() }).await.unwrap();

        for definition in crd::all() {
            lab.apply(&serde_json::to_value(definition).unwrap()).unwrap();
        }
        lab.kubectl_run(["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]).unwrap();
        lab.apply(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "chutes" } })).unwrap();
        lab.apply(&json!({
            "apiVersion": "gepetto.fleet/v1alpha1", "kind": "Validator", "metadata": { "name": "sim", "namespace": "chutes" },
            "spec": { "hotkey": validator.validator_hotkey(), "api": validator.url(), "socket": validator.url().replacen("http", "ws", 1) },
        }))
        .unwrap();

        let file = folder.path().join("hotkey");
        std::fs::write(&file, json!({ "ss58Address": hotkey.address(), "secretSeed": SEED }).to_string()).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let [plain, tls, admin] = free_ports();
        let state = folder.path().join("state");
        let program = Command::new(env!("CARGO_BIN_EXE_miner-api"))
            .args(["--database-url", &database, "--redis-url", &redis.url(), "--list-seconds", "5"])
            .args([
                "--listen",
                &format!("127.0.0.1:{plain}"),
                "--listen-tls",
                &format!("127.0.0.1:{tls}"),
                "--admin-listen",
                &format!("127.0.0.1:{admin}"),
            ])
            .args(["--public-url", &format!("https://127.0.0.1:{tls}")])
            .arg("--kubeconfig")
            .arg(&lab.kubeconfig)
            .arg("--hotkey-file")
            .arg(&file)
            .arg("--state-dir")
            .arg(&state)
            .spawn()
            .unwrap();
        wait("the certificate authority", || state.join("server.pem").exists()).await;
        let authority = reqwest::Certificate::from_pem(&std::fs::read(state.join("ca.pem")).unwrap()).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
        let tls = format!("https://127.0.0.1:{tls}");
        let world = Self { lab, validator, hotkey, http, tls, program, _postgres: postgres, _redis: redis, _folder: folder };
        let started = Instant::now();
        loop {
            let ready = world.http.get(format!("{}/readyz", world.tls)).send().await.is_ok_and(|answer| answer.status().is_success());
            if ready {
                return world;
            }
            assert!(started.elapsed() < LIMIT, "the program did not become ready");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.lab.kubectl_run(args).unwrap().trim().to_owned()
    }

    pub(crate) fn names(&self, kind: &str) -> Vec<String> {
        self.kubectl(&["-n", "chutes", "get", kind, "-o", "name"]).lines().map(str::to_owned).collect()
    }

    /// Chute lists that the simulator was asked for.
    pub(crate) fn lists(&self) -> usize {
        self.validator.requests().iter().filter(|request| request.path.starts_with("/miner/chutes/")).count()
    }

    /// Writes to our resources that the API server has answered.
    pub(crate) fn our_writes(&self) -> usize {
        let log = std::fs::read_to_string(&self.lab.audit_log).unwrap();
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let ours = |event: &Value| {
            let write = matches!(event["verb"].as_str(), Some("create" | "update" | "patch" | "delete"));
            write && event["requestURI"].as_str().is_some_and(|uri| uri.contains("/gepetto.fleet/"))
        };
        events.filter(ours).count()
    }

    pub(crate) fn add_server(&self, name: &str, node_key: &str) {
        let server = json!({
            "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GpuServer", "metadata": { "name": name, "namespace": "chutes" },
            "spec": { "nodeName": name, "address": "203.0.113.7", "validator": self.validator.validator_hotkey(), "gpuRef": "h100_sxm", "gpuCount": 1,
                      "hourlyCostPerGpu": 1.5, "driver": { "agent": { "nodeKey": node_key } } },
        });
        self.lab.apply(&server).unwrap();
    }

    pub(crate) async fn signed(&self, method: &str, path: &str) -> (u16, Value) {
        let headers = four_part_headers(&self.hotkey, self.hotkey.address(), Signed::Purpose(Purpose::Management), now());
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.tls));
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// A POST signed by some key about the hotkey's fleet.
    pub(crate) async fn post(&self, key: &Keypair, path: &str, body: &str) -> (u16, Value) {
        let headers = four_part_headers(key, self.hotkey.address(), Signed::Body(body.as_bytes()), now());
        let request = self.http.post(format!("{}{path}", self.tls)).header("content-type", "application/json").body(body.to_owned());
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Waits until the list, which is read from a cache, shows the lock.
    pub(crate) async fn eventually_locked(&self, name: &str, locked: bool) {
        for _ in 0..100 {
            let (_, list) = self.signed("GET", "/servers/").await;
            if list.as_array().unwrap().iter().any(|server| server["name"] == name && server["locked"] == locked) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the list does not show {name} locked: {locked}");
    }

    pub(crate) async fn until(&self, what: &str, done: impl Fn() -> bool) {
        wait(what, done).await;
    }
}

async fn wait(what: &str, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < LIMIT, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Three different ports that were free a moment ago.
fn free_ports() -> [u16; 3] {
    let listeners = [0, 1, 2].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
