//! The upstream of these tests: a collection that can be listed, watched and added to, and an echo over a websocket.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::stream;
use serde_json::json;
use tokio::sync::broadcast;

use crate::faults::engine::Engine;
use crate::faults::{FaultProxy, FaultProxyConfig};

/// The collection's path.
pub(super) const JOBS: &str = "/apis/batch/v1/namespaces/chutes/jobs";
/// Long enough for anything that is to happen.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

struct Inner {
    jobs: Mutex<Vec<String>>,
    added: broadcast::Sender<String>,
    authorizations: Mutex<Vec<String>>,
}

/// A running upstream.
pub(super) struct World {
    inner: Arc<Inner>,
    engine: Engine,
}

impl World {
    pub(super) fn start() -> Self {
        let (world, listener) = Self::new();
        let router = world.router();
        world.engine.handle().spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        world
    }

    /// The same behind TLS; the second is the CA.
    pub(super) fn start_tls() -> (Self, String) {
        let (world, listener) = Self::new();
        let router = world.router();
        let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key).unwrap();
        let config = axum_server::tls_rustls::RustlsConfig::from_config(Arc::new(config));
        world.engine.handle().spawn(async move {
            axum_server::from_tcp_rustls(listener, config).unwrap().serve(router.into_make_service()).await.unwrap();
        });
        (world, own.cert.pem())
    }

    fn new() -> (Self, std::net::TcpListener) {
        let (engine, listener) = Engine::start("world").unwrap();
        let (added, _) = broadcast::channel(64);
        let inner = Inner { jobs: Mutex::default(), added, authorizations: Mutex::default() };
        (Self { inner: Arc::new(inner), engine }, listener)
    }

    fn router(&self) -> Router {
        let echo = |upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(echo) };
        let routes = Router::new().route(JOBS, get(read).post(add)).route("/socket", get(echo));
        let routes = routes.route("/validator/inventory", get(|State(world): State<Arc<Inner>>| async move { world.list() }));
        routes.with_state(Arc::clone(&self.inner))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.engine.address()
    }

    /// What was added, in order.
    pub(super) fn jobs(&self) -> Vec<String> {
        self.inner.jobs.lock().unwrap().clone()
    }

    /// Adds one past the proxy.
    pub(super) fn add(&self, name: &str) {
        self.inner.add(name);
    }

    pub(super) fn watchers(&self) -> usize {
        self.inner.added.receiver_count()
    }

    pub(super) fn authorizations(&self) -> Vec<String> {
        self.inner.authorizations.lock().unwrap().clone()
    }

    pub(super) fn proxy(&self) -> FaultProxy {
        FaultProxy::start(FaultProxyConfig::new("world", format!("http://{}", self.address()).parse().unwrap())).unwrap()
    }
}

impl Inner {
    fn add(&self, name: &str) {
        self.jobs.lock().unwrap().push(name.to_owned());
        // Nobody need be watching.
        let _ = self.added.send(name.to_owned());
    }

    fn list(&self) -> String {
        json!({ "items": *self.jobs.lock().unwrap() }).to_string()
    }
}

async fn read(State(world): State<Arc<Inner>>, Query(query): Query<Vec<(String, String)>>, headers: HeaderMap) -> Response {
    if let Some(value) = headers.get("authorization") {
        world.authorizations.lock().unwrap().push(value.to_str().unwrap().to_owned());
    }
    if !query.iter().any(|(key, value)| key == "watch" && value == "true") {
        return world.list().into_response();
    }
    let events = stream::unfold(world.added.subscribe(), |mut added| async {
        let name = added.recv().await.ok()?;
        let event = json!({ "type": "ADDED", "object": { "metadata": { "name": name } } });
        Some((Ok::<_, std::io::Error>(Bytes::from(format!("{event}\n"))), added))
    });
    Body::from_stream(events).into_response()
}

async fn add(State(world): State<Arc<Inner>>, body: Bytes) -> Response {
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    world.add(body["metadata"]["name"].as_str().unwrap());
    (axum::http::StatusCode::CREATED, body.to_string()).into_response()
}

async fn echo(mut socket: axum::extract::ws::WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

/// A client as our programs are: it keeps connections.
pub(super) struct Client {
    agent: ureq::Agent,
    url: String,
}

impl Client {
    pub(super) fn of(proxy: &FaultProxy) -> Self {
        Self::patient(proxy, LIMIT)
    }

    pub(super) fn patient(proxy: &FaultProxy, limit: Duration) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(limit)).build();
        Self { agent: config.into(), url: proxy.url() }
    }

    pub(super) fn get(&self, path: &str) -> Result<(u16, String), ureq::Error> {
        let mut response = self.agent.get(format!("{}{path}", self.url)).header("authorization", "Bearer t").call()?;
        Ok((response.status().as_u16(), response.body_mut().read_to_string()?))
    }

    pub(super) fn post(&self, name: &str) -> Result<(u16, String), ureq::Error> {
        let body = json!({ "metadata": { "name": name } }).to_string();
        let mut response = self.agent.post(format!("{}{JOBS}", self.url)).send(body)?;
        Ok((response.status().as_u16(), response.body_mut().read_to_string()?))
    }

    /// Opens a watch; the events are its lines.
    pub(super) fn watch(&self) -> BufReader<impl Read + 'static> {
        let response = self.agent.get(format!("{}{JOBS}?watch=true&resourceVersion=1", self.url)).call().unwrap();
        assert_eq!(response.status().as_u16(), 200);
        BufReader::new(response.into_body().into_reader())
    }
}

/// The next line of a watch, empty at its end.
pub(super) fn line(watch: &mut BufReader<impl Read>) -> std::io::Result<String> {
    let mut line = String::new();
    watch.read_line(&mut line).map(|_| line)
}
