//! A running API with everything behind it scripted.

use crate::{
    app::{App, Clock},
    enrol::EnrolSettings,
    fixtures,
    http::{Listener, rate::Rates, replays::Replays, router},
    metrics::Metrics,
    ports::{
        agents::{AgentStatus, Agents, EnrolError, EnrolOrder, EnrolReply},
        fleet::{AgentToken, Fleet, FleetError, OperatorSigns, View},
        ledger::{Ledger, LedgerDown, Remembered, Sums},
        validators::Validators,
    },
};
use async_trait::async_trait;
use crd::{ChuteDeployment, GpuServer, gpu_server::Hold};
use jiff::Timestamp;
use protocol::{
    ids::Ss58,
    key::{Keypair, Seed},
    sign::{Purpose, Signed, four_part_headers},
};
use serde_json::Value;
use service::readiness::Readiness;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::watch;

const SEED: &str = "e031170f32b4cda05df2f3cf6bc8d7687b683bbce23d9fa960c0b3fc21641b8a";

pub(super) fn hotkey() -> Keypair {
    Keypair::from_seed(&SEED.parse::<Seed>().unwrap())
}

/// What the scripted world was asked to do, and what it answers.
pub(super) struct Script {
    pub view: Mutex<View>,
    pub changes: watch::Sender<u64>,
    pub calls: Mutex<Vec<String>>,
    pub seen: Mutex<HashSet<String>>,
    pub ledger_up: AtomicBool,
    pub supported: Mutex<Result<BTreeSet<String>, String>>,
    pub agent: Mutex<Result<EnrolReply, EnrolError>>,
    /// Calls that fail, by their first word.
    pub failing: Mutex<HashMap<&'static str, FleetError>>,
    /// What the agent was told.
    pub orders: Mutex<Vec<EnrolOrder>>,
    /// What the agent says when it is only asked; `None`: as it would reply to an order.
    pub look: Mutex<Option<AgentStatus>>,
    /// The node key that somebody else pins while the agent is being enrolled.
    pub meanwhile: Mutex<Option<Ss58>>,
    /// What the control cluster holds where the caches lag behind it.
    pub ahead: Mutex<Option<GpuServer>>,
}

impl Script {
    pub(super) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn call(&self, text: String) {
        self.calls.lock().unwrap().push(text);
    }

    /// A call that may be told to fail.
    fn tried(&self, text: String) -> Result<(), FleetError> {
        let failing = self.failing.lock().unwrap().get(text.split(' ').next().unwrap()).cloned();
        self.call(text);
        failing.map_or(Ok(()), Err)
    }

    pub(super) fn edit(&self, edit: impl FnOnce(&mut View)) {
        edit(&mut self.view.lock().unwrap());
        self.changes.send_modify(|count| *count += 1);
    }
}

#[async_trait]
impl Fleet for Script {
    fn view(&self) -> View {
        self.view.lock().unwrap().clone()
    }
    async fn operator(&self) -> Result<OperatorSigns, FleetError> {
        fixtures::operator()
    }
    fn server_changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
    async fn ensure_namespace(&self, server: &str) -> Result<(), FleetError> {
        self.tried(format!("namespace {server}"))
    }
    async fn keep_kubeconfig(&self, server: &str, _: &str) -> Result<String, FleetError> {
        self.tried(format!("kubeconfig {server}"))?;
        Ok("kubeconfig".into())
    }
    async fn create_server(&self, server: &GpuServer) -> Result<GpuServer, FleetError> {
        let name = server.metadata.name.clone().unwrap();
        self.tried(format!("create {name}"))?;
        let mut made = server.clone();
        made.metadata.uid = Some(format!("cr-{name}"));
        self.edit(|view| view.servers.push(Arc::new(made.clone())));
        Ok(made)
    }
    async fn server(&self, name: &str) -> Result<GpuServer, FleetError> {
        if let Some(ahead) = self.ahead.lock().unwrap().clone() {
            return Ok(ahead);
        }
        let found = self.view().servers.into_iter().find(|one| one.metadata.name.as_deref() == Some(name));
        found.map(|one| (*one).clone()).ok_or(FleetError::NotFound)
    }
    async fn pin(&self, seen: &GpuServer, node_key: &Ss58, agent_api: &str) -> Result<GpuServer, FleetError> {
        let key = |server: &GpuServer| server.spec.driver.agent.as_ref().map(|agent| agent.node_key.clone());
        let name = seen.metadata.name.clone().unwrap();
        let now = self.server(&name).await?;
        if key(&now) != key(seen) {
            return Err(FleetError::Changed);
        }
        self.call(format!("pin {name} {agent_api}"));
        self.edit(|view| {
            fixtures::edit_server(view, |one| {
                let agent = one.spec.driver.agent.as_mut().unwrap();
                agent.node_key = node_key.clone();
                agent.api = Some(agent_api.to_owned());
            });
        });
        self.server(&name).await
    }
    async fn set_hold(&self, server: &str, owner: &str, hold: Option<Hold>) -> Result<GpuServer, FleetError> {
        self.call(format!("hold {server} {owner} {}", hold.is_some()));
        self.edit(|view| {
            fixtures::edit_server(view, |one| {
                one.spec.holds.retain(|one| one.owner != owner);
                one.spec.holds.extend(hold);
            });
        });
        Ok((*self.view().servers[0]).clone())
    }
    async fn delete_server(&self, server: &GpuServer, lost: bool) -> Result<(), FleetError> {
        self.tried(format!("delete {} lost={lost}", server.metadata.name.as_deref().unwrap()))
    }
    async fn stop_deployment(&self, deployment: &ChuteDeployment) -> Result<(), FleetError> {
        self.call(format!("stop {}", deployment.spec.deployment_id));
        Ok(())
    }
    async fn agent_token(&self, server: &str) -> Result<AgentToken, FleetError> {
        self.call(format!("token {server}"));
        Ok(AgentToken { token: service::redact::Redacted::new("t0ken".into()), expires_at: fixtures::now() })
    }
}

#[async_trait]
impl Ledger for Script {
    async fn remember(&self, key: &str, _: i64) -> Result<Remembered, LedgerDown> {
        if !self.ledger_up.load(Ordering::SeqCst) {
            return Err(LedgerDown("connection refused".into()));
        }
        Ok(if self.seen.lock().unwrap().insert(key.to_owned()) { Remembered::First } else { Remembered::Again })
    }
    async fn event(&self, kind: &str, subject: &str, _: &str) {
        self.call(format!("event {kind} {subject}"));
    }
    async fn sums(&self) -> Result<Sums, LedgerDown> {
        if self.ledger_up.load(Ordering::SeqCst) { Ok(Sums::default()) } else { Err(LedgerDown("connection refused".into())) }
    }
}

#[async_trait]
impl Agents for Script {
    async fn look(&self, _: &str) -> Result<AgentStatus, EnrolError> {
        if let Some(look) = self.look.lock().unwrap().clone() {
            return Ok(look);
        }
        let reply = self.agent.lock().unwrap().clone()?;
        Ok(AgentStatus { node_key: reply.node_key, node_name: reply.node_name, node_uid: reply.node_uid, server: None })
    }
    async fn enrol(&self, agent_api: &str, order: &EnrolOrder) -> Result<EnrolReply, EnrolError> {
        self.call(format!("enrol {agent_api} {} {}", order.server, order.control_url));
        self.orders.lock().unwrap().push(order.clone());
        if let Some(key) = self.meanwhile.lock().unwrap().take() {
            self.edit(|view| fixtures::edit_server(view, |one| one.spec.driver.agent.as_mut().unwrap().node_key = key));
        }
        self.agent.lock().unwrap().clone()
    }
}

#[async_trait]
impl Validators for Script {
    async fn supported_gpus(&self, _: &Ss58) -> Result<BTreeSet<String>, String> {
        self.supported.lock().unwrap().clone()
    }
}

/// A running API.
pub(super) struct World {
    pub script: Arc<Script>,
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    pub http: reqwest::Client,
}

/// What came back.
pub(super) struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }
    pub(super) fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap_or_else(|| panic!("no detail: {}", self.text)).to_owned()
    }
}

impl World {
    pub(super) async fn start() -> Self {
        service::tls::install_provider();
        let agent = EnrolReply { node_key: fixtures::KEY.into(), node_name: "gpu-2".into(), gpus: Some(2), ..EnrolReply::default() };
        let script = Arc::new(Script {
            view: Mutex::new(fixtures::fleet()),
            changes: watch::channel(0).0,
            calls: Mutex::default(),
            seen: Mutex::default(),
            ledger_up: AtomicBool::new(true),
            supported: Mutex::new(Ok(["h100_sxm".to_owned(), "h200".to_owned()].into())),
            agent: Mutex::new(Ok(agent)),
            failing: Mutex::default(),
            orders: Mutex::default(),
            look: Mutex::default(),
            meanwhile: Mutex::default(),
            ahead: Mutex::default(),
        });
        let app = Arc::new(App {
            hotkey: hotkey().address().clone(),
            clock: Clock::Fixed(fixtures::now()),
            fleet: Arc::<Script>::clone(&script),
            ledger: Arc::<Script>::clone(&script),
            agents: Arc::<Script>::clone(&script),
            validators: Arc::<Script>::clone(&script),
            replays: Replays::default(),
            node_replays: Replays::default(),
            rates: Rates::default(),
            enrol: EnrolSettings {
                control_url: "https://control:32443".into(),
                ca_pem: "CA".into(),
                api_server: "https://control:6443".into(),
                api_server_ca_pem: "K8S CA".into(),
            },
            chain: None,
            metrics: Metrics::default(),
        });
        let plain = serve(router(Arc::clone(&app), Readiness::new(), Listener::Plain)).await;
        // The router of the TLS listener, without the TLS, which has tests of its own.
        let tls = serve(router(app, Readiness::new(), Listener::Tls)).await;
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { script, plain, tls, http }
    }

    pub(super) async fn send(
        &self,
        to: SocketAddr,
        method: &str,
        path: &str,
        headers: Vec<(&'static str, String)>,
        body: Option<&str>,
    ) -> Reply {
        let mut request = self.http.request(method.parse().unwrap(), format!("http://{to}{path}"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Reply { status, headers, text: answer.text().await.unwrap() }
    }

    /// A request without a body, signed over the word `management` by the hotkey, now.
    pub(super) async fn signed(&self, method: &str, path: &str) -> Reply {
        self.send(self.plain, method, path, purpose(Purpose::Management, 0), None).await
    }

    /// A POST, signed over its body by the hotkey, now.
    pub(super) async fn post(&self, path: &str, body: &str) -> Reply {
        self.send(self.plain, "POST", path, over(&hotkey(), body), Some(body)).await
    }
}

/// Headers signed over a purpose, so many seconds from now.
pub(super) fn purpose(purpose: Purpose, offset: i64) -> Vec<(&'static str, String)> {
    four_part_headers(&hotkey(), hotkey().address(), Signed::Purpose(purpose), at(offset))
}

/// Headers signed over a body by some key, about the hotkey's fleet.
pub(super) fn over(key: &Keypair, body: &str) -> Vec<(&'static str, String)> {
    four_part_headers(key, hotkey().address(), Signed::Body(body.as_bytes()), at(0))
}

fn at(offset: i64) -> i64 {
    let now: Timestamp = fixtures::now();
    now.as_second() + offset
}

async fn serve(router: axum::Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}
