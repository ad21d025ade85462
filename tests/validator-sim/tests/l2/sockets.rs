use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};
use validator_sim::{Config, EventFault, EventFaultMode, Simulator};

use crate::common::{Miner, chute, now, world, world_with};

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Up to the answer to the namespace's connect.
    async fn open(sim: &Simulator) -> Self {
        let url = format!("{}/socket.io/?transport=websocket&EIO=4&t=1.5", sim.url().replace("http", "ws"));
        let mut socket = Self(connect_async(url).await.expect("a socket").0);
        let open = socket.next().await.expect("an open packet");
        assert!(open.starts_with("0{") && open.contains("pingInterval"), "{open}");
        socket.say("40{}").await;
        assert!(socket.next().await.expect("a connect packet").starts_with("40{"));
        socket
    }

    async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.expect("sent");
    }

    /// The next text, or `None` at the end of the connection.
    async fn next(&mut self) -> Option<String> {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(5), self.0.next()).await.expect("in time");
            match message {
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The next broadcast.
    async fn event(&mut self) -> Value {
        loop {
            let text = self.next().await.expect("still connected");
            let Some(body) = text.strip_prefix("42") else { continue };
            let parts: Value = serde_json::from_str(body).expect("json");
            if parts[0] == "miner_broadcast" {
                return parts[1].clone();
            }
        }
    }

    async fn login(&mut self, miner: &Miner, purpose: &str) -> String {
        let headers: serde_json::Map<String, Value> =
            miner.headers(purpose, &now().to_string()).into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        self.say(&format!("427{}", json!(["authenticate", headers]))).await;
        let reply = self.next().await.expect("an answer");
        let ack = self.next().await.expect("an ack");
        assert!(ack.starts_with("437["), "{ack}");
        reply
    }
}

#[tokio::test]
async fn a_login_is_confirmed_and_a_bad_one_ends_the_connection() {
    let w = world().await;
    let mut good = Socket::open(&w.sim).await;
    assert_eq!(good.login(&w.miner, "sockets").await, r#"42["auth_success",{"message":"Authenticated"}]"#);
    let mut bad = Socket::open(&w.sim).await;
    let reply = bad.login(&w.miner, "miner").await;
    assert!(reply.starts_with(r#"42["auth_failed",{"error":"Authentication failed: Invalid request signature"#), "{reply}");
    assert_eq!(bad.next().await.as_deref(), Some("41"));
    assert_eq!(bad.next().await, None);
    assert_eq!(w.sim.unexpected()[0].method, "SOCKET");
}

#[tokio::test]
async fn broadcasts_reach_everybody_and_filtered_ones_their_miner() {
    let w = world().await;
    let mut mine = Socket::open(&w.sim).await;
    let mut stranger = Socket::open(&w.sim).await;
    mine.login(&w.miner, "sockets").await;
    let id = chute(&w.sim, "demo", 1, 1);
    for socket in [&mut mine, &mut stranger] {
        let event = socket.event().await;
        assert_eq!((event["reason"].as_str(), event["data"]["chute_id"].as_str()), (Some("chute_created"), Some(id.as_str())));
        assert!(event.get("filter_recipients").is_none());
    }
    w.miner.add_gpus(&[&crate::common::uuid('a')]).await;
    let event = mine.event().await;
    assert_eq!(event["reason"], "gpu_verified");
    assert_eq!(event["filter_recipients"], json!([w.miner.address()]));
    // The stranger's next event is the deletion: the filtered one passed it by.
    w.sim.delete_chute("demo").expect("it exists");
    assert_eq!(stranger.event().await["reason"], "chute_deleted");
}

#[tokio::test]
async fn an_old_session_that_ends_takes_the_new_ones_events_along() {
    let w = world().await;
    let mut old = Socket::open(&w.sim).await;
    old.login(&w.miner, "sockets").await;
    let mut new = Socket::open(&w.sim).await;
    new.login(&w.miner, "sockets").await;
    assert_eq!(w.sim.snapshot().sockets.iter().filter(|s| s.receives).count(), 1);
    old.0.close(None).await.expect("closed");
    while w.sim.snapshot().sockets.len() > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!w.sim.snapshot().sockets[0].receives, "the new session is forgotten");
    w.sim.emit(&json!({"reason": "lost", "data": {}}), None);
    assert_eq!(new.event().await["reason"], "lost", "but unfiltered events still come");
    new.login(&w.miner, "sockets").await;
    assert!(w.sim.snapshot().sockets[0].receives, "a new login repairs it");
}

#[tokio::test]
async fn events_can_be_dropped_doubled_and_made_up() {
    let w = world().await;
    let mut socket = Socket::open(&w.sim).await;
    let fault = |mode| EventFault { reason: Some("chute_created".to_owned()), mode, times: Some(1) };
    w.sim.event_fault(fault(EventFaultMode::Drop));
    chute(&w.sim, "one", 1, 1);
    w.sim.event_fault(fault(EventFaultMode::Duplicate));
    let two = chute(&w.sim, "two", 1, 1);
    for _ in 0..2 {
        assert_eq!(socket.event().await["data"]["chute_id"], json!(two));
    }
    w.sim.emit(&json!({"reason": "unheard_of", "data": {"x": 1}}), None);
    assert_eq!(socket.event().await["data"]["x"], 1);
    assert_eq!(w.sim.counters().events["chute_created"], 2, "due events are counted, sent or not");
}

#[tokio::test]
async fn pings_go_out_and_silence_ends_the_connection() {
    let times = |ms| Duration::from_millis(ms);
    let w = world_with(Config { ping_interval: times(100), ping_timeout: times(400), ..Config::relaxed() }).await;
    let mut socket = Socket::open(&w.sim).await;
    for _ in 0..5 {
        assert_eq!(socket.next().await.as_deref(), Some("2"));
        socket.say("3").await;
    }
    while socket.next().await.is_some() {}
}

#[tokio::test]
async fn a_restart_drops_every_socket() {
    let w = world().await;
    let mut socket = Socket::open(&w.sim).await;
    w.sim.drop_sockets();
    assert_eq!(socket.next().await, None);
    let mut again = Socket::open(&w.sim).await;
    assert!(again.login(&w.miner, "sockets").await.contains("auth_success"));
}

#[tokio::test]
async fn other_transports_are_refused() {
    let w = world().await;
    let response = w.miner.get("/socket.io/?transport=polling&EIO=4", "sockets").await;
    assert_eq!(response.status().as_u16(), 400);
}
