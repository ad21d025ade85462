use super::*;
use crate::enrolment::tests::ca_pem;
use axum::body::Body;
use axum::http::Request;
use protocol::key::Keypair;
use protocol::sign::{Purpose, Signed, four_part_headers, management_headers};
use serde_json::Value;
use tower::ServiceExt as _;

const NOW: i64 = 1_700_000_000;

/// An agent that works for `hotkey`, and what it was told.
struct Agent {
    hotkey: Keypair,
    router: Router,
    public: Arc<Public>,
    enrolment: watch::Receiver<Option<Enrolment>>,
    orders: mpsc::Receiver<Command>,
    _folder: tempfile::TempDir,
}

impl Agent {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hotkey = Keypair::generate();
        let state = StateDir::open(folder.path()).unwrap();
        let (told, enrolment) = watch::channel(None);
        let (inventory, orders) = mpsc::channel(4);
        let public = Arc::new(Public {
            miner: hotkey.address().clone(),
            node_name: "node-a".to_owned(),
            address: Some("203.0.113.10".to_owned()),
            identity: state.identity().unwrap(),
            state,
            enrolment: told,
            node: watch::channel(None).1,
            gpus: watch::channel(None).1,
            inventory,
            readiness: Readiness::new(),
            clock: || NOW,
            replays: Replays::default(),
        });
        Self { hotkey, router: router(public.clone()), public, enrolment, orders, _folder: folder }
    }

    fn order(&self) -> String {
        json!({ "server": "gpu-0", "control_url": "https://203.0.113.5:32443", "ca_pem": ca_pem(), "miner": self.hotkey.address() })
            .to_string()
    }

    fn signed(&self, body: &str) -> Vec<(&'static str, String)> {
        management_headers(&self.hotkey, Signed::Body(body.as_bytes()), NOW)
    }

    async fn send(&self, method: &str, path: &str, headers: Vec<(&'static str, String)>, body: &str) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = self.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn enroll(&self, headers: Vec<(&'static str, String)>, body: &str) -> (u16, Value) {
        self.send("POST", "/enroll", headers, body).await
    }

    fn is_enrolled(&self) -> bool {
        self.enrolment.borrow().is_some() || self.public.state.enrolment().is_some()
    }
}

#[tokio::test]
async fn the_miners_order_enrols_and_is_answered_with_the_node_key() {
    let mut agent = Agent::new();
    let order = agent.order();
    let (status, answer) = agent.enroll(agent.signed(&order), &order).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["node_key"], agent.public.identity.address().as_str());
    assert_eq!(answer["fingerprint"], agent.public.identity.fingerprint());
    assert_eq!((&answer["node_name"], &answer["address"]), (&json!("node-a"), &json!("203.0.113.10")));
    let kept = agent.public.state.enrolment().unwrap();
    assert_eq!(kept.server, "gpu-0");
    assert_eq!(agent.enrolment.borrow_and_update().as_ref(), Some(&kept));
    assert!(matches!(agent.orders.try_recv(), Ok(Command::Forget)));
}

#[tokio::test]
async fn another_hotkeys_order_is_refused_whatever_it_claims() {
    let agent = Agent::new();
    let stranger = Keypair::generate();
    let order = agent.order();
    let as_itself = management_headers(&stranger, Signed::Body(order.as_bytes()), NOW);
    let about_ours = four_part_headers(&stranger, agent.hotkey.address(), Signed::Body(order.as_bytes()), NOW);
    let mut in_our_name = about_ours.clone();
    for (name, value) in &mut in_our_name {
        if *name == protocol::sign::VALIDATOR_HEADER {
            *value = agent.hotkey.address().to_string();
        }
    }
    for headers in [as_itself, about_ours, in_our_name, Vec::new()] {
        assert_eq!(agent.enroll(headers, &order).await.0, 401);
    }
    assert!(!agent.is_enrolled());
}

#[tokio::test]
async fn a_changed_body_an_old_one_and_a_repeated_one_are_refused() {
    let agent = Agent::new();
    let order = agent.order();
    let changed = order.replace("gpu-0", "gpu-1");
    assert_eq!(agent.enroll(agent.signed(&order), &changed).await.0, 401);
    for nonce in [NOW - 30, NOW + 31] {
        let headers = management_headers(&agent.hotkey, Signed::Body(order.as_bytes()), nonce);
        assert_eq!(agent.enroll(headers, &order).await.0, 401, "{nonce}");
    }
    assert!(!agent.is_enrolled());
    let headers = agent.signed(&order);
    assert_eq!(agent.enroll(headers.clone(), &order).await.0, 200);
    let (status, answer) = agent.enroll(headers, &order).await;
    assert_eq!(status, 401);
    assert!(answer["detail"].as_str().unwrap().contains("replay"));
}

#[tokio::test]
async fn an_order_caught_on_its_way_to_another_agent_cuts_nobody_off() {
    let agent = Agent::new();
    let order = agent.order();
    assert_eq!(agent.enroll(agent.signed(&order), &order).await.0, 200);
    let control = agent.public.readiness.gate(CONTROL_GATE);
    control.open();
    let others = order.replace("gpu-0", "gpu-1");
    let (status, answer) = agent.enroll(agent.signed(&others), &others).await;
    assert_eq!(status, 409);
    assert!(answer["detail"].as_str().unwrap().contains("chutes-miner delete-node --name gpu-0"), "{answer}");
    assert_eq!(agent.public.state.enrolment().unwrap().server, "gpu-0");
    // Its own order may be repeated with another nonce, and a server that was deleted binds nobody.
    let again = management_headers(&agent.hotkey, Signed::Body(order.as_bytes()), NOW - 1);
    assert_eq!(agent.enroll(again, &order).await.0, 200);
    control.close("401 Unauthorized");
    let again = management_headers(&agent.hotkey, Signed::Body(others.as_bytes()), NOW - 1);
    assert_eq!(agent.enroll(again, &others).await.0, 200);
    assert_eq!(agent.public.state.enrolment().unwrap().server, "gpu-1");
}

#[tokio::test]
async fn an_order_that_names_another_agent_is_refused_at_once() {
    let agent = Agent::new();
    let named = |key: &str| agent.order().replacen('{', &format!("{{\"node_key\":\"{key}\","), 1);
    let others = named(Keypair::generate().address().as_str());
    assert_eq!(agent.enroll(agent.signed(&others), &others).await.0, 422);
    assert!(!agent.is_enrolled());
    let ours = named(agent.public.identity.address().as_str());
    assert_eq!(agent.enroll(agent.signed(&ours), &ours).await.0, 200);
}

#[tokio::test]
async fn a_signature_over_a_purpose_does_not_enrol() {
    let agent = Agent::new();
    let order = agent.order();
    let headers = management_headers(&agent.hotkey, Signed::Purpose(Purpose::Management), NOW);
    assert_eq!(agent.enroll(headers, &order).await.0, 401);
}

#[tokio::test]
async fn an_order_that_makes_no_sense_is_422_and_says_why() {
    let agent = Agent::new();
    for (body, word) in [
        ("{}".to_owned(), "server"),
        ("nonsense".to_owned(), "order"),
        (agent.order().replace("https://", "http://"), "https://"),
        (agent.order().replace("gpu-0", "GPU 0"), "server name"),
    ] {
        let (status, answer) = agent.enroll(agent.signed(&body), &body).await;
        assert_eq!(status, 422, "{body}");
        assert!(answer["detail"].as_str().unwrap().contains(word), "{answer}");
    }
    assert!(!agent.is_enrolled());
}

#[tokio::test]
async fn status_is_for_the_miner_and_ping_for_everybody() {
    let agent = Agent::new();
    agent.public.readiness.gate("nvml").close("no driver");
    assert_eq!(agent.send("GET", "/ping", Vec::new(), "").await, (200, json!({ "message": "pong" })));
    assert_eq!(agent.send("GET", "/status", Vec::new(), "").await.0, 401);
    let headers = management_headers(&agent.hotkey, Signed::Purpose(Purpose::Management), NOW);
    let (status, answer) = agent.send("GET", "/status", headers, "").await;
    assert_eq!(status, 200);
    assert_eq!(answer["closed"], json!([{ "gate": "nvml", "reason": "no driver" }]));
}

#[tokio::test]
async fn an_endless_body_is_refused_before_it_is_read() {
    let agent = Agent::new();
    let body = "x".repeat(LONGEST_BODY + 1);
    assert_eq!(agent.enroll(agent.signed(&body), &body).await.0, 413);
}

#[tokio::test(start_paused = true)]
async fn whoever_never_ends_a_request_is_disconnected() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let agent = Agent::new();
    let Agent { public, router, .. } = agent;
    drop(router);
    let server = tokio::spawn(serve(listener, Arc::into_inner(public).unwrap(), stop.clone()));
    for begun in ["", "GET /ping HTTP/1.1\r\nhost: "] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
    }
    stop.cancel();
    server.await.unwrap();
}
