//! A miner and a chute of the tests' own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use validator_sim::{ChuteSpec, Config, DevKey, Selector, Simulator};

pub(crate) const HOST: &str = "203.0.113.10";

/// A simulator with one registered miner.
pub(crate) struct World {
    pub(crate) sim: Simulator,
    pub(crate) miner: Miner,
}

pub(crate) struct Miner {
    pub(crate) key: DevKey,
    base: String,
    http: Client,
}

pub(crate) fn client() -> Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder().timeout(Duration::from_secs(10)).redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

pub(crate) async fn world() -> World {
    world_with(Config::relaxed()).await
}

pub(crate) async fn world_with(mut config: Config) -> World {
    let key = DevKey::from_seed([1; 32]);
    config.scenario.miners.push(key.address().to_owned());
    let sim = Simulator::start(config).await.expect("it starts");
    let miner = Miner { key, base: sim.url(), http: client() };
    World { sim, miner }
}

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64
}

impl Miner {
    pub(crate) fn address(&self) -> &str {
        self.key.address()
    }

    /// Another miner of the same simulator.
    pub(crate) fn other(&self, seed: u8) -> Self {
        Self { key: DevKey::from_seed([seed; 32]), base: self.base.clone(), http: self.http.clone() }
    }

    pub(crate) fn headers(&self, last: &str, nonce: &str) -> [(&'static str, String); 3] {
        let hotkey = self.address();
        let signature = self.key.sign(&format!("{hotkey}:{nonce}:{last}"));
        [("X-Chutes-Hotkey", hotkey.to_owned()), ("X-Chutes-Nonce", nonce.to_owned()), ("X-Chutes-Signature", signature)]
    }

    pub(crate) async fn raw(&self, method: Method, path: &str, headers: &[(&'static str, String)], body: Option<Vec<u8>>) -> Response {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        request.send().await.expect("an answer")
    }

    pub(crate) async fn get(&self, path: &str, purpose: &str) -> Response {
        self.raw(Method::GET, path, &self.headers(purpose, &now().to_string()), None).await
    }

    pub(crate) async fn delete(&self, path: &str, purpose: &str) -> Response {
        self.raw(Method::DELETE, path, &self.headers(purpose, &now().to_string()), None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        let body = body.to_string().into_bytes();
        let sha = hex::encode(Sha256::digest(&body));
        self.raw(Method::POST, path, &self.headers(&sha, &now().to_string()), Some(body)).await
    }

    pub(crate) async fn with_token(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        let headers = [("Authorization", token.to_owned())];
        said(self.raw(method, path, &headers, body.map(|body| body.to_string().into_bytes())).await).await
    }

    /// Advertises GPUs and waits until the poll says they are verified.
    pub(crate) async fn add_gpus(&self, uuids: &[&str]) {
        let nodes: Vec<Value> = uuids.iter().enumerate().map(|(index, uuid)| h100(uuid, index)).collect();
        let (status, body) = said(self.post("/nodes/", &json!({"server_id": "server-1", "nodes": nodes})).await).await;
        assert_eq!(status, 202, "{body}");
        let task = body["task_id"].as_str().expect("a task").to_owned();
        loop {
            let (_, body) = said(self.get(&format!("/nodes/verification_status?task_id={task}"), "graval").await).await;
            match body["status"].as_str() {
                Some("pending") => tokio::time::sleep(Duration::from_millis(20)).await,
                Some("verified") => return,
                _ => panic!("unexpected status {body}"),
            }
        }
    }

    /// Asks for a launch config: status, config id, token.
    pub(crate) async fn launch(&self, chute_id: &str) -> (u16, String, String) {
        let (status, body) = said(self.get(&format!("/instances/launch_config?chute_id={chute_id}"), "launch").await).await;
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        (status, text("config_id"), text("token"))
    }

    /// Claims, proves and activates with a granted launch config. The claim's answer.
    pub(crate) async fn bring_up(&self, config_id: &str, token: &str, claim: Value) -> (u16, Value) {
        let path = format!("/instances/launch_config/{config_id}");
        let gpus: Vec<String> =
            claim["gpus"].as_array().expect("gpus").iter().map(|g| g["uuid"].as_str().expect("uuid").to_owned()).collect();
        let (status, claimed) = self.with_token(Method::POST, &path, token, Some(claim)).await;
        if status == 200 {
            let (status, verified) = self.with_token(Method::PUT, &path, token, Some(proof(&claimed, &gpus))).await;
            assert_eq!(status, 200, "{verified}");
            let (status, active) = self.with_token(Method::GET, &format!("{path}/activate"), token, None).await;
            assert_eq!((status, active), (200, json!({"ok": true})));
        }
        (status, claimed)
    }
}

pub(crate) async fn said(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.expect("a whole body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A GPU's uuid made of one digit.
pub(crate) fn uuid(digit: char) -> String {
    std::iter::repeat_n(digit, 32).collect()
}

/// The device as its chute sees it.
pub(crate) fn device(uuid: &str) -> Value {
    json!({
        "uuid": uuid, "name": "NVIDIA H100 80GB HBM3", "memory": 85_520_809_984_u64, "major": 9, "minor": 0, "processors": 132,
        "sxm": true, "clock_rate": 1_980_000.0, "max_threads_per_processor": 2048, "concurrent_kernels": true, "ecc": true,
    })
}

/// The device as its server advertises it.
pub(crate) fn h100(uuid: &str, index: usize) -> Value {
    let mut row = device(uuid);
    for (key, value) in [
        ("device_index", json!(index)),
        ("gpu_identifier", json!("h100_sxm")),
        ("verification_host", json!(HOST)),
        ("verification_port", json!(31234)),
    ] {
        row[key] = value;
    }
    row
}

pub(crate) fn claim(uuids: &[&str], port: u16) -> Value {
    let env = json!({"HOSTNAME": "chute-7b0f1a52-5c0e-4d3e-9d55-111111111111-abcde"}).to_string();
    json!({
        "gpus": uuids.iter().map(|uuid| device(uuid)).collect::<Vec<_>>(), "host": HOST, "env": env,
        "port_mappings": [
            {"internal_port": 8000, "external_port": port, "proto": "TCP", "default": true},
            {"internal_port": 8001, "external_port": port + 1, "proto": "tcp"},
        ],
    })
}

pub(crate) fn proof(claimed: &Value, gpus: &[String]) -> Value {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = claimed["symmetric_key"]["response_plaintext"].as_str().expect("a challenge");
    let products: serde_json::Map<String, Value> = gpus.iter().map(|gpu| (gpu.clone(), json!({"work_product": "00ff"}))).collect();
    json!({"response": STANDARD.encode(text), "iv": "0".repeat(32), "proof": products})
}

/// A chute for `gpu_count` H100s; its id.
pub(crate) fn chute(sim: &Simulator, name: &str, gpu_count: u32, target: u32) -> String {
    let selector = Selector { gpu_count, include: Some(vec!["h100_sxm".to_owned()]), ..Selector::default() };
    let row = sim.create_chute(ChuteSpec { selector, target, ..ChuteSpec::named(name) }).expect("a chute");
    row["chute_id"].as_str().expect("an id").to_owned()
}
