//! A miner that grants launches, and a handle on the process.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use validator_sim::{ChuteSpec, Config, DevKey, Selector, Simulator};

pub(crate) const GPU: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const DEVICE: &str = "GPU-aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
pub(crate) const DEPLOYMENT: &str = "7b0f1a52-5c0e-4d3e-9d55-111111111111";
const HOST: &str = "203.0.113.10";

/// A simulator, one chute, one verified GPU, one launch granted.
pub(crate) struct Granted {
    pub(crate) sim: Simulator,
    pub(crate) config_id: String,
    pub(crate) token: String,
}

pub(crate) async fn granted(config: Config, tee: bool) -> Granted {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let key = DevKey::from_seed([1; 32]);
    let mut config = config;
    config.scenario.miners.push(key.address().to_owned());
    let sim = Simulator::start(config).await.expect("it starts");
    let selector = Selector { include: Some(vec!["h100_sxm".to_owned()]), ..Selector::default() };
    let row = sim.create_chute(ChuteSpec { selector, tee, ..ChuteSpec::named("demo") }).expect("a chute");

    let http = reqwest::Client::new();
    let hotkey = key.address().to_owned();
    let sign = |last: &str| {
        let nonce = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        [
            ("X-Chutes-Hotkey", hotkey.clone()),
            ("X-Chutes-Nonce", nonce.to_string()),
            ("X-Chutes-Signature", key.sign(&format!("{hotkey}:{nonce}:{last}"))),
        ]
    };
    let node = json!({
        "uuid": GPU, "name": "NVIDIA H100 80GB HBM3", "memory": 85_520_809_984_u64, "major": 9, "minor": 0, "processors": 132,
        "sxm": true, "clock_rate": 1_980_000.0, "max_threads_per_processor": 2048, "concurrent_kernels": true, "ecc": true,
        "device_index": 0, "gpu_identifier": "h100_sxm", "verification_host": HOST, "verification_port": 31234,
    });
    let body = json!({"server_id": "server-1", "nodes": [node]}).to_string();
    let mut request = http.post(format!("{}/nodes/", sim.url()));
    for (name, value) in sign(&hex::encode(Sha256::digest(&body))) {
        request = request.header(name, value);
    }
    assert_eq!(request.body(body).send().await.expect("an answer").status().as_u16(), 202);
    sim.advance(Duration::from_secs(5));

    let mut request = http.get(format!("{}/instances/launch_config?chute_id={}", sim.url(), row["chute_id"].as_str().expect("an id")));
    for (name, value) in sign("launch") {
        request = request.header(name, value);
    }
    let reply: Value = request.send().await.expect("an answer").json().await.expect("json");
    let text = |key: &str| reply[key].as_str().expect("text").to_owned();
    Granted { config_id: text("config_id"), token: text("token"), sim }
}

/// An applet of the binary, called by its own name.
pub(crate) fn applet(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fake-chute"));
    command.arg0(name).env_clear();
    command
}

/// A running chute.
pub(crate) struct Chute {
    child: Child,
    /// Addresses of 8000 and 8001, when it came that far.
    pub(crate) listening: Vec<String>,
    output: Vec<String>,
}

impl Drop for Chute {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Chute {
    /// Starts with the pod's environment and some more, and reads until both ports are bound.
    pub(crate) fn start(token: &str, more: &[(&str, &str)]) -> Self {
        let mut command = applet("chutes");
        command
            .args(["run", "chute:chute", "--port", "8000", "--miner-ss58", "M", "--validator-ss58", "V"])
            .envs([
                ("CHUTES_LAUNCH_JWT", token),
                ("CHUTES_EXTERNAL_HOST", HOST),
                ("CHUTES_PORT_PRIMARY", "31000"),
                ("CHUTES_PORT_LOGGING", "31001"),
                ("NVIDIA_VISIBLE_DEVICES", DEVICE),
                ("FAKE_CHUTE_BIND", "127.0.0.1"),
                ("FAKE_CHUTE_PORT_8000", "0"),
                ("FAKE_CHUTE_PORT_8001", "0"),
                ("FAKE_CHUTE_DELAY_MS", "50"),
            ])
            .env("HOSTNAME", format!("chute-{DEPLOYMENT}-abcde"))
            .envs(more.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut chute = Self { child: command.spawn().expect("it starts"), listening: Vec::new(), output: Vec::new() };
        let mut lines = BufReader::new(chute.child.stdout.take().expect("piped"));
        let mut line = String::new();
        while chute.listening.len() < 2 && lines.read_line(&mut line).expect("text") > 0 {
            if let Some(addr) = line.trim().strip_prefix("chutes: listening on ") {
                chute.listening.push(addr.to_owned());
            }
            chute.output.push(std::mem::take(&mut line));
        }
        chute.child.stdout = Some(lines.into_inner());
        chute
    }

    pub(crate) fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("sent");
    }

    /// Waits for the end. Status, and everything it printed.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let mut text = self.output.concat();
        if let Some(mut out) = self.child.stdout.take() {
            out.read_to_string(&mut text).expect("text");
        }
        if let Some(mut err) = self.child.stderr.take() {
            err.read_to_string(&mut text).expect("text");
        }
        (self.child.wait().expect("it ends"), text)
    }
}

/// Looks until it holds; a test that waits for ever says what for.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
