//! The event feed against a websocket server that speaks Engine.IO 4 and Socket.IO 5 as validators do.
//!
//! Nothing here measures time: every wait is for something that happens, with a generous limit.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{RawQuery, State};
use axum::routing::any;
use common::{key, serve};
use protocol::auth::{HeaderView, verify_hotkey};
use protocol::event::MinerEvent;
use protocol::key::Keypair;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};
use validator::{EventFeed, FeedOptions, FeedStatus, Link};

const LIMIT: Duration = Duration::from_secs(20);
const LONG: &str = r#"0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
const SHORT: &str = r#"0{"sid":"e","upgrades":[],"pingInterval":50,"pingTimeout":50}"#;

/// The server's end of one connection.
struct Peer(WebSocket);

impl Peer {
    async fn send(&mut self, text: impl Into<String>) {
        // A client that went away is what some tests want; what it then does is what they look at.
        let _ = self.0.send(Message::text(text.into())).await;
    }

    /// The next text from the client; `None` once it went away.
    async fn hear(&mut self) -> Option<String> {
        loop {
            match self.0.recv().await? {
                Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn handshake(&mut self, open: &str) {
        self.send(open).await;
        assert_eq!(self.hear().await.as_deref(), Some("40{}"));
        self.send(r#"40{"sid":"s"}"#).await;
    }

    /// The next login: the number to acknowledge it with, if the signature is right.
    async fn login(&mut self, miner: &Keypair) -> Option<String> {
        loop {
            let text = self.hear().await?;
            let Some(rest) = text.strip_prefix("42") else { continue };
            let (number, event) = rest.split_at(rest.find('[').unwrap());
            let event: Value = serde_json::from_str(event).unwrap();
            assert_eq!(event[0], "authenticate");
            let headers = HeaderView::collect(|name| event[1].get(name).and_then(Value::as_str));
            let verified = verify_hotkey(&headers, "sockets", 600, jiff::Timestamp::now().as_second()).unwrap();
            assert_eq!(verified.signer, *miner.address());
            return Some(number.to_owned());
        }
    }

    async fn welcome(&mut self, miner: &Keypair) {
        self.handshake(LONG).await;
        let number = self.login(miner).await.unwrap();
        self.send(r#"42["auth_success",{"message":"Authenticated"}]"#).await;
        self.send(format!("43{number}[true]")).await;
    }

    async fn broadcast(&mut self, reason: &str, data: Value) {
        self.send(format!("42{}", json!(["miner_broadcast", { "reason": reason, "data": data }]))).await;
    }
}

/// A server that hands its connections to the test, one after the other.
struct Validator {
    peers: mpsc::Receiver<Peer>,
    miner: Arc<Keypair>,
    feed: EventFeed,
}

type Peers = Arc<Mutex<mpsc::Sender<Peer>>>;

async fn accept(upgrade: WebSocketUpgrade, RawQuery(query): RawQuery, State(peers): State<Peers>) -> axum::response::Response {
    assert_eq!(query.as_deref(), Some("EIO=4&transport=websocket"));
    upgrade.on_upgrade(move |socket| async move {
        let _ = peers.lock().await.send(Peer(socket)).await;
    })
}

impl Validator {
    async fn start(change: impl FnOnce(&mut FeedOptions)) -> Self {
        let (sender, peers) = mpsc::channel(8);
        let state: Peers = Arc::new(Mutex::new(sender));
        let config = serve(Router::new().route("/socket.io/", any(accept)).with_state(state)).await;
        let mut options =
            FeedOptions { backoff_min: Duration::from_millis(1), backoff_max: Duration::from_millis(5), ..FeedOptions::default() };
        change(&mut options);
        let miner = key();
        let feed = EventFeed::start(&config, miner.clone(), options).unwrap();
        Self { peers, miner, feed }
    }

    async fn peer(&mut self) -> Peer {
        in_time(self.peers.recv()).await.unwrap()
    }

    async fn status(&self, wanted: impl FnMut(&FeedStatus) -> bool) -> FeedStatus {
        let mut status = self.feed.status();
        in_time(status.wait_for(wanted)).await.unwrap().clone()
    }

    async fn event(&mut self) -> MinerEvent {
        in_time(self.feed.next()).await.unwrap()
    }
}

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("nothing happened")
}

#[tokio::test]
async fn a_login_is_signed_and_events_arrive() {
    let mut validator = Validator::start(|_| {}).await;
    let mut peer = validator.peer().await;
    peer.welcome(&validator.miner).await;
    let status = validator.status(|s| s.link == Link::Authenticated).await;
    assert_eq!((status.connections, status.last_error), (1, None));
    peer.broadcast("chute_deleted", json!({ "chute_id": "c1", "version": "v1" })).await;
    peer.broadcast("something_new", json!(1)).await;
    assert_eq!(validator.event().await.reason(), "chute_deleted");
    assert!(matches!(validator.event().await, MinerEvent::Unknown { reason, .. } if reason == "something_new"));
}

#[tokio::test]
async fn an_acknowledgement_alone_is_a_login_too() {
    let mut validator = Validator::start(|_| {}).await;
    let mut peer = validator.peer().await;
    peer.handshake(LONG).await;
    let number = peer.login(&validator.miner).await.unwrap();
    validator.status(|s| s.link == Link::Connected).await;
    peer.send(format!("43{number}[true]")).await;
    validator.status(|s| s.link == Link::Authenticated).await;
}

#[tokio::test]
async fn pings_and_wishes_for_acknowledgement_are_answered() {
    let mut validator = Validator::start(|_| {}).await;
    let mut peer = validator.peer().await;
    peer.welcome(&validator.miner).await;
    peer.send("2").await;
    assert_eq!(in_time(peer.hear()).await.as_deref(), Some("3"));
    peer.send(r#"427["miner_broadcast",{"reason":"image_created","data":{"image_id":"m"}}]"#).await;
    assert_eq!(in_time(peer.hear()).await.as_deref(), Some("437[]"));
    assert_eq!(validator.event().await.reason(), "image_created");
}

#[tokio::test]
async fn every_way_to_end_a_connection_leads_to_a_new_one() {
    let mut validator = Validator::start(|_| {}).await;
    for (round, end) in [(1, "1"), (2, "41"), (3, "")] {
        let mut peer = validator.peer().await;
        peer.welcome(&validator.miner).await;
        validator.status(|s| s.connections == round).await;
        if !end.is_empty() {
            peer.send(end).await;
        }
        drop(peer);
        validator.status(|s| s.link != Link::Authenticated && s.last_error.is_some()).await;
    }
    let mut peer = validator.peer().await;
    peer.welcome(&validator.miner).await;
    let status = validator.status(|s| s.connections == 4).await;
    assert_eq!((status.link, status.last_error), (Link::Authenticated, None));
}

#[tokio::test]
async fn a_refused_login_is_tried_again_and_its_words_are_kept() {
    let mut validator = Validator::start(|_| {}).await;
    let mut peer = validator.peer().await;
    peer.handshake(LONG).await;
    let number = peer.login(&validator.miner).await.unwrap();
    peer.send(r#"42["auth_failed",{"error":"Authentication failed: Hotkey is not registered on netuid 64"}]"#).await;
    peer.send(format!("43{number}[false]")).await;
    let status = validator.status(|s| s.last_error.is_some()).await;
    assert!(status.last_error.unwrap().contains("not registered"));
    validator.peer().await.welcome(&validator.miner).await;
    validator.status(|s| s.connections == 1).await;
}

#[tokio::test]
async fn silence_longer_than_the_handshake_allows_ends_the_connection() {
    let mut validator = Validator::start(|_| {}).await;
    let mut silent = validator.peer().await;
    silent.handshake(SHORT).await;
    let mut next = validator.peer().await;
    next.welcome(&validator.miner).await;
    validator.status(|s| s.connections == 1).await;
}

#[tokio::test]
async fn pings_keep_a_quiet_connection() {
    let mut validator = Validator::start(|_| {}).await;
    let mut peer = validator.peer().await;
    peer.handshake(SHORT.replace("50", "1000").as_str()).await;
    let number = peer.login(&validator.miner).await.unwrap();
    peer.send(format!("43{number}[true]")).await;
    for _ in 0..5 {
        peer.send("2").await;
        assert_eq!(in_time(peer.hear()).await.as_deref(), Some("3"));
    }
    let status = validator.status(|s| s.link == Link::Authenticated).await;
    assert_eq!(status.connections, 1);
}

#[tokio::test]
async fn the_login_is_repeated_on_the_same_connection() {
    let mut validator = Validator::start(|options| options.login_every = Duration::from_millis(5)).await;
    let mut peer = validator.peer().await;
    peer.handshake(LONG).await;
    for _ in 0..3 {
        let number = in_time(peer.login(&validator.miner)).await.unwrap();
        peer.send(format!("43{number}[true]")).await;
    }
    let status = validator.status(|s| s.link == Link::Authenticated).await;
    assert_eq!(status.connections, 1, "a repeated login is no news");
}

#[tokio::test]
async fn a_login_that_nobody_answers_ends_the_connection() {
    let mut validator = Validator::start(|options| options.step_timeout = Duration::from_millis(200)).await;
    let mut deaf = validator.peer().await;
    deaf.handshake(LONG).await;
    let status = validator.status(|s| s.last_error.is_some()).await;
    assert!(status.last_error.unwrap().contains("logging in"));
    validator.peer().await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_loses_events_but_not_the_connection() {
    let mut validator = Validator::start(|options| options.queue = 2).await;
    let mut peer = validator.peer().await;
    peer.welcome(&validator.miner).await;
    for n in 0..5 {
        peer.broadcast("chute_created", json!({ "chute_id": format!("c{n}") })).await;
    }
    peer.send("2").await;
    assert_eq!(in_time(peer.hear()).await.as_deref(), Some("3"));
    let status = validator.status(|s| s.dropped == 3).await;
    assert_eq!(status.link, Link::Authenticated);
    for n in 0..2 {
        let MinerEvent::ChuteCreated(event) = validator.event().await else { panic!("another event") };
        assert_eq!(event.chute_id, format!("c{n}").as_str());
    }
}

#[tokio::test]
async fn rubbish_does_no_harm() {
    let mut validator = Validator::start(|_| {}).await;
    let mut peer = validator.peer().await;
    peer.welcome(&validator.miner).await;
    for rubbish in ["", "9", "42", "42{", "43x[1]", "42[\"miner_broadcast\"]", "é", "451-[\"b\",{}]"] {
        peer.send(rubbish).await;
    }
    let _ = peer.0.send(Message::binary(vec![1, 2, 3])).await;
    peer.broadcast("job_deleted", json!({ "job_id": "j1" })).await;
    assert!(matches!(validator.event().await, MinerEvent::Unknown { reason, .. } if reason.is_empty()));
    assert_eq!(validator.event().await.reason(), "job_deleted");
}

#[tokio::test]
async fn dropping_the_feed_closes_the_connection() {
    let mut validator = Validator::start(|_| {}).await;
    let mut peer = validator.peer().await;
    peer.welcome(&validator.miner).await;
    validator.status(|s| s.link == Link::Authenticated).await;
    drop(validator.feed);
    assert_eq!(in_time(peer.hear()).await, None);
}
