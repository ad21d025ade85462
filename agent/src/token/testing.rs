//! A miner API that sells tokens, for tests: real TLS, real signatures.

use crate::enrolment::Enrolment;
use crate::identity::Identity;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::{Router, routing::post};
use jiff::{SignedDuration, Timestamp};
use protocol::auth::{HeaderView, verify_management};
use protocol::ids::Ss58;
use protocol::key::Keypair;
use protocol::sign::{Purpose, sha256_hex};
use service::tls::{Ca, ServerIdentity};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(super) const TOKEN: &str = "s3cret-token";

pub(super) fn enrolment(ca_pem: &str, port: u16) -> Enrolment {
    Enrolment {
        server: "gpu-0".parse().unwrap(),
        control_url: format!("https://127.0.0.1:{port}").parse().unwrap(),
        ca_pem: ca_pem.to_owned(),
        miner: Keypair::generate().address().clone(),
    }
}

pub(super) fn answer(namespace: &str, expires_at: Timestamp) -> String {
    serde_json::json!({
        "token": TOKEN, "expires_at": expires_at, "api_server": "https://127.0.0.1:6443",
        "ca_pem": crate::enrolment::tests::ca_pem(), "namespace": namespace
    })
    .to_string()
}

struct Shop {
    miner: Ss58,
    node: Ss58,
    requests: AtomicUsize,
    /// So many requests are refused before one is served.
    refusals: AtomicUsize,
    /// Another node key is pinned meanwhile.
    replaced: AtomicBool,
}

/// Serves until the test ends.
pub(super) struct MinerApi {
    enrolment: Enrolment,
    shop: Arc<Shop>,
}

impl MinerApi {
    /// One that sells to this node key.
    pub(super) async fn start(node: &Identity) -> Self {
        service::tls::install_provider();
        let (ca, _) = Ca::generate().unwrap();
        let config = ServerIdentity::generate(&ca, &["127.0.0.1".to_owned()]).unwrap().config().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let enrolment = enrolment(ca.pem(), listener.local_addr().unwrap().port());
        let shop = Arc::new(Shop {
            miner: enrolment.miner.clone(),
            node: node.address().clone(),
            requests: AtomicUsize::new(0),
            refusals: AtomicUsize::new(0),
            replaced: AtomicBool::new(false),
        });
        let app = Router::new().route("/nodes/gpu-0/token", post(sell)).with_state(shop.clone());
        let tls = axum_server::tls_rustls::RustlsConfig::from_config(config);
        let server = axum_server::from_tcp_rustls(listener, tls).unwrap();
        tokio::spawn(server.serve(app.into_make_service()));
        Self { enrolment, shop }
    }

    pub(super) fn enrolment(&self) -> Enrolment {
        self.enrolment.clone()
    }

    pub(super) fn requests(&self) -> usize {
        self.shop.requests.load(Ordering::SeqCst)
    }

    /// Pins another node key, or this one again.
    pub(super) fn replace(&self, replaced: bool) {
        self.shop.replaced.store(replaced, Ordering::SeqCst);
    }

    /// Refuses the next requests.
    pub(super) fn refuse(&self, times: usize) {
        self.shop.refusals.store(times, Ordering::SeqCst);
    }
}

async fn sell(State(shop): State<Arc<Shop>>, headers: HeaderMap, body: String) -> impl IntoResponse {
    shop.requests.fetch_add(1, Ordering::SeqCst);
    let view = HeaderView::collect(|name| headers.get(name).and_then(|value| value.to_str().ok()));
    let hash = sha256_hex(body.as_bytes());
    let now = Timestamp::now();
    let refuse = |status, why: String| (status, serde_json::json!({ "detail": why }).to_string());
    let nodes = std::slice::from_ref(&shop.node);
    if let Err(error) = verify_management(&view, true, &hash, Purpose::Management, &shop.miner, nodes, now.as_second()) {
        return refuse(StatusCode::UNAUTHORIZED, error.to_string());
    }
    if shop.replaced.load(Ordering::SeqCst) {
        let words = serde_json::json!({ "detail": "another node key is pinned", "code": "NodeKeyNotPinned" });
        return (StatusCode::FORBIDDEN, words.to_string());
    }
    if shop.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        return refuse(StatusCode::FORBIDDEN, "the server was deleted".to_owned());
    }
    (StatusCode::OK, answer("chutes-node-gpu-0", now + SignedDuration::from_hours(1)))
}
