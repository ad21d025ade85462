use super::*;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::{Router, routing::post};
use protocol::auth::{HeaderView, verify_management};
use protocol::ids::Ss58;
use protocol::key::Keypair;
use protocol::sign::{Purpose, sha256_hex};
use service::tls::{Ca, ServerIdentity};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const TOKEN: &str = "s3cret-token";

fn enrolment(ca_pem: &str, port: u16) -> Enrolment {
    Enrolment {
        server: "gpu-0".parse().unwrap(),
        control_url: format!("https://127.0.0.1:{port}").parse().unwrap(),
        ca_pem: ca_pem.to_owned(),
        miner: Keypair::generate().address().clone(),
    }
}

fn buyer() -> Buyer {
    service::tls::install_provider();
    Buyer::new(enrolment(&crate::enrolment::tests::ca_pem(), 1), Identity::generate().0).unwrap()
}

fn answer(namespace: &str) -> String {
    serde_json::json!({
        "token": TOKEN, "expires_at": "2030-01-01T00:00:00Z", "api_server": "https://a:6443", "ca_pem": "PEM", "namespace": namespace
    })
    .to_string()
}

#[test]
fn a_good_answer_is_a_grant_for_our_own_namespace() {
    let now: Timestamp = "2029-12-31T23:00:00Z".parse().unwrap();
    let (grant, token) = buyer().grant(answer("chutes-node-gpu-0").as_bytes(), now).unwrap();
    assert_eq!(grant.bought_at, now);
    assert_eq!(token.expose(), TOKEN);
    assert!(!format!("{grant:?} {token:?}").contains(TOKEN));
}

#[test]
fn a_token_for_another_namespace_is_refused() {
    let error = buyer().grant(answer("chutes-node-gpu-1").as_bytes(), Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(error.to_string().contains("chutes-node-gpu-0"), "{error}");
}

#[test]
fn a_broken_answer_is_not_quoted() {
    let broken = answer("x").replace('}', "");
    let error = buyer().grant(broken.as_bytes(), Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(!error.to_string().contains(TOKEN), "{error}");
}

#[test]
fn a_refusal_is_told_in_the_control_planes_words() {
    assert_eq!(complaint(br#"{"detail":"the server was deleted"}"#), "the server was deleted");
    assert_eq!(complaint(b"Bad Gateway"), "Bad Gateway");
    assert_eq!(complaint("x".repeat(5000).as_bytes()).len(), 300);
}

/// What the miner API checks of a request, and answers.
async fn sell(State((miner, node)): State<(Ss58, Ss58)>, headers: HeaderMap, body: String) -> impl IntoResponse {
    let view = HeaderView::collect(|name| headers.get(name).and_then(|value| value.to_str().ok()));
    let hash = sha256_hex(body.as_bytes());
    let now = Timestamp::now().as_second();
    match verify_management(&view, true, &hash, Purpose::Management, &miner, &[node], now) {
        Ok(_) => (StatusCode::OK, answer("chutes-node-gpu-0")),
        Err(error) => (StatusCode::UNAUTHORIZED, serde_json::json!({ "detail": error.to_string() }).to_string()),
    }
}

/// A TLS server with one route, as the miner API has it. Serves until the test ends.
async fn miner_api(ca: &Ca, miner: Ss58, node: Ss58) -> u16 {
    let config = ServerIdentity::generate(ca, &["127.0.0.1".to_owned()]).unwrap().config().unwrap();
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let inner = plain.local_addr().unwrap();
    let app = Router::new().route("/nodes/gpu-0/token", post(sell)).with_state((miner, node));
    tokio::spawn(async move { axum::serve(plain, app).await });
    let outer = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = outer.local_addr().unwrap().port();
    let acceptor = Arc::new(config);
    tokio::spawn(async move {
        while let Ok((stream, _)) = outer.accept().await {
            tokio::spawn(terminate(stream, acceptor.clone(), inner));
        }
    });
    port
}

/// Ends TLS by hand: one request, one answer.
async fn terminate(mut stream: tokio::net::TcpStream, config: Arc<Arc<rustls::ServerConfig>>, inner: std::net::SocketAddr) {
    let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
    let mut back = tokio::net::TcpStream::connect(inner).await.unwrap();
    let (mut wire, mut plain) = ([0u8; 16 * 1024], [0u8; 16 * 1024]);
    loop {
        let mut out = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut out).unwrap();
        }
        if stream.write_all(&out).await.is_err() {
            return;
        }
        tokio::select! {
            read = stream.read(&mut wire) => {
                let Ok(count @ 1..) = read else { return };
                let mut input = &wire[..count];
                while !input.is_empty() {
                    tls.read_tls(&mut input).unwrap();
                    if tls.process_new_packets().is_err() {
                        return;
                    }
                    let mut request = Vec::new();
                    let _ = std::io::Read::read_to_end(&mut tls.reader(), &mut request);
                    back.write_all(&request).await.unwrap();
                }
            }
            read = back.read(&mut plain) => {
                let Ok(count @ 1..) = read else { return };
                std::io::Write::write_all(&mut tls.writer(), &plain[..count]).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_token_is_bought_from_the_pinned_control_plane_with_a_request_signed_by_the_node_key() {
    service::tls::install_provider();
    let (ca, _) = Ca::generate().unwrap();
    let identity = Identity::generate().0;
    let mut enrolment = enrolment(ca.pem(), 0);
    let port = miner_api(&ca, enrolment.miner.clone(), identity.address().clone()).await;
    enrolment.control_url.set_port(Some(port)).unwrap();
    let (_, token) = Buyer::new(enrolment.clone(), identity).unwrap().buy(Timestamp::now()).await.unwrap();
    assert_eq!(token.expose(), TOKEN);

    let stranger = Buyer::new(enrolment, Identity::generate().0).unwrap();
    assert!(matches!(stranger.buy(Timestamp::now()).await, Err(BuyError::Refused { status: 401, .. })));
}

#[tokio::test]
async fn a_control_plane_with_another_authority_gets_no_request() {
    service::tls::install_provider();
    let (real, _) = Ca::generate().unwrap();
    let (pinned, _) = Ca::generate().unwrap();
    let identity = Identity::generate().0;
    let mut enrolment = enrolment(pinned.pem(), 0);
    let port = miner_api(&real, enrolment.miner.clone(), identity.address().clone()).await;
    enrolment.control_url.set_port(Some(port)).unwrap();
    let error = Buyer::new(enrolment, identity).unwrap().buy(Timestamp::now()).await.unwrap_err();
    assert!(matches!(&error, BuyError::Transport { why, .. } if why.contains("certificate")), "{error}");
}
