//! What a chute answers: probes and metrics on 8000, the same and its log on 8001.

use std::{
    io::Cursor,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    thread,
};

use tiny_http::{Header, Response, Server};

use super::settings::Settings;

/// How far the launch is; zero is before any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Claimed = 1,
    Verified = 2,
    Active = 3,
}

/// Shared by the two servers.
#[derive(Debug, Default)]
struct Shared {
    state: AtomicU8,
    requests: AtomicU64,
}

/// The servers' state.
#[derive(Debug)]
pub(super) struct Probes(Arc<Shared>);

impl Probes {
    /// Binds both ports and answers in the background.
    pub(super) fn serve(settings: &Settings) -> Result<Self, String> {
        let shared = Arc::new(Shared::default());
        for port in settings.listen {
            let addr = SocketAddr::new(settings.bind, port);
            let server = Server::http(addr).map_err(|why| format!("cannot listen on {addr}: {why}"))?;
            println!("chutes: listening on {}", server.server_addr());
            let shared = shared.clone();
            thread::spawn(move || {
                for request in server.incoming_requests() {
                    let answer = answer(&shared, request.url());
                    // A prober that went away is no concern of ours.
                    let _ = request.respond(answer);
                }
            });
        }
        Ok(Self(shared))
    }

    /// The launch has come this far.
    pub(super) fn set(&self, state: State) {
        self.0.state.store(state as u8, Ordering::Relaxed);
    }
}

fn answer(shared: &Shared, url: &str) -> Response<Cursor<Vec<u8>>> {
    let path = url.split('?').next().unwrap_or(url);
    let state = shared.state.load(Ordering::Relaxed);
    let alive = state >= State::Verified as u8;
    let requests = shared.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let (status, kind, text) = match path {
        "/_alive" if alive => (200, "application/json", r#"{"alive":true}"#.to_owned()),
        "/_alive" => (503, "application/json", r#"{"detail":"not verified yet"}"#.to_owned()),
        "/_ping" => (200, "text/plain", "pong".to_owned()),
        "/_metrics" => (200, "text/plain; version=0.0.4", metrics(state, requests)),
        "/logs" => (200, "application/json", r#"{"logs":["_chute.log"]}"#.to_owned()),
        "/logs/stream" => (200, "text/plain", "fake chute: nothing to tell\n".to_owned()),
        _ => (404, "application/json", r#"{"detail":"Not Found"}"#.to_owned()),
    };
    let header = Header::from_bytes("Content-Type", kind).expect("a constant header is well formed");
    Response::from_string(text).with_status_code(status).with_header(header)
}

fn metrics(state: u8, requests: u64) -> String {
    format!(
        "# HELP fake_chute_state 0 starting, 1 claimed, 2 verified, 3 active\n# TYPE fake_chute_state gauge\nfake_chute_state {state}\n\
         # HELP fake_chute_requests_total Requests answered\n# TYPE fake_chute_requests_total counter\nfake_chute_requests_total {requests}\n"
    )
}
