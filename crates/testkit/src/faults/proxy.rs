//! The HTTP proxy: its handle, its listener, its connections.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

use super::action::Rule;
use super::book::{Book, Outcome, RuleHandle};
use super::engine::{Engine, FaultError};
use super::exchange::{Reply, Slot, exchange};
use super::identity::Identity;
use super::line::{Flow, Line, Tap, accept};
use super::lists::Lists;
use super::matcher::Matcher;
use super::seen::Seen;
use super::upstream::Upstream;

/// What a proxy stands in front of.
#[derive(Debug, Clone)]
pub struct FaultProxyConfig {
    /// How it is called in transcripts.
    pub name: String,
    /// The real server: `http://` or `https://`.
    pub upstream: Url,
    /// The CA that signed the server's certificate, PEM; needed for `https://`.
    pub ca_pem: Option<String>,
    /// The proxy's own credentials; none where clients bring theirs, which must then be bearer tokens or signatures.
    pub identity: Option<Identity>,
    /// Requests that have an effect although their method says otherwise.
    pub also_writes: Vec<Matcher>,
}

impl FaultProxyConfig {
    /// A proxy that takes methods at their word.
    #[must_use]
    pub fn new(name: impl Into<String>, upstream: Url) -> Self {
        Self { name: name.into(), upstream, ca_pem: None, identity: None, also_writes: Vec::new() }
    }

    /// The CA of an `https://` upstream, PEM.
    #[must_use]
    pub fn ca(mut self, pem: impl Into<String>) -> Self {
        self.ca_pem = Some(pem.into());
        self
    }

    /// Credentials for clients that bring none. Clients built on Go's library never do over plain http.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Counts these as writes too, as a GET of the validator that makes something.
    #[must_use]
    pub fn also_write(mut self, matcher: Matcher) -> Self {
        self.also_writes.push(matcher);
        self
    }
}

/// What the handle and the connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) upstream: Upstream,
    pub(super) also_writes: Vec<Matcher>,
    pub(super) book: Arc<Book>,
    pub(super) lists: Arc<Lists>,
    pub(super) expiry: watch::Sender<u64>,
    line: Line,
}

/// A proxy in front of one HTTP server. Clones are handles to the same proxy, which ends with the last of them; a hook that holds one
/// keeps it up until the rules are cleared.
#[derive(Debug, Clone)]
pub struct FaultProxy {
    name: Arc<str>,
    shared: Arc<Shared>,
    engine: Arc<Engine>,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1. The upstream need not be up yet.
    ///
    /// # Errors
    /// Where the upstream's address or CA is unusable, or there is no port or no thread.
    pub fn start(config: FaultProxyConfig) -> Result<Self, FaultError> {
        let upstream = Upstream::new(config.upstream, config.ca_pem.as_deref(), config.identity.as_ref())?;
        let (engine, listener) = Engine::start(&config.name)?;
        let shared = Arc::new(Shared {
            upstream,
            also_writes: config.also_writes,
            book: Arc::default(),
            lists: Arc::default(),
            expiry: watch::Sender::new(0),
            line: Line::new(),
        });
        engine.handle().spawn(serve(Arc::clone(&shared), listener));
        Ok(Self { name: config.name.into(), shared, engine: Arc::new(engine) })
    }

    /// `http://127.0.0.1:port`, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.engine.address())
    }

    /// Adds a rule behind those that are there.
    pub fn plan(&self, rule: Rule) -> RuleHandle {
        self.shared.book.plan(rule)
    }

    /// Every request so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.seen_of(&Matcher::any())
    }

    /// The requests so far that match.
    #[must_use]
    pub fn seen_of(&self, matcher: &Matcher) -> Vec<Seen> {
        self.shared.book.journal(matcher).into_iter().map(|(seen, _)| seen).collect()
    }

    /// The requests so far that match, and what became of those that are decided.
    #[must_use]
    pub fn outcomes(&self, matcher: &Matcher) -> Vec<(Seen, Option<Outcome>)> {
        self.shared.book.journal(matcher)
    }

    /// The number of writes so far, [housekeeping](Seen::is_housekeeping) left out.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.seen_of(&Matcher::writes()).len() as u64
    }

    /// Waits until `count` requests that match were seen; whether they were.
    #[must_use]
    pub fn wait_seen(&self, matcher: &Matcher, count: usize, limit: Duration) -> bool {
        self.shared.book.wait_seen(limit, matcher, count)
    }

    /// The journal as text, a line for each request that matches: for the message of a test that fails.
    #[must_use]
    pub fn transcript(&self, matcher: &Matcher) -> String {
        let mut text = format!("{}:\n", self.name);
        for (seen, outcome) in self.outcomes(matcher) {
            let outcome = outcome.map_or_else(|| "under way".to_owned(), |outcome| outcome.to_string());
            let _ = writeln!(text, "  {seen} -> {outcome}");
        }
        text
    }

    /// `true`: the server is unreachable, every connection is closed and every new one reset. `false`: it is back.
    pub fn partition(&self, on: bool) {
        self.shared.line.set(if on { Flow::Refusing } else { Flow::Open });
    }

    /// `true`: connections stay open and nothing passes in either direction. `false`: everything passes, first what was held back.
    pub fn freeze(&self, on: bool) {
        self.shared.line.set(if on { Flow::Silent } else { Flow::Open });
    }

    /// Closes every connection that is open now; new ones are welcome.
    pub fn drop_connections(&self) {
        self.shared.line.sever();
    }

    /// Ends every watch that is open now as the API server does when it has forgotten the watch's resource version.
    pub fn expire_watches(&self) {
        self.shared.expiry.send_modify(|era| *era += 1);
    }

    /// `true`: stale answers are from now on those that were the latest now (or the first later, where there was none yet).
    /// `false`: the latest again.
    pub fn pin_lists(&self, on: bool) {
        self.shared.lists.pin(on);
    }

    /// Forgets the rules.
    pub fn clear_rules(&self) {
        self.shared.book.clear_rules();
    }

    /// Forgets the journal, the rules and the recorded answers, and opens the line.
    pub fn reset(&self) {
        self.shared.book.reset();
        self.shared.lists.clear();
        self.shared.line.set(Flow::Open);
    }
}

async fn serve(shared: Arc<Shared>, listener: std::net::TcpListener) {
    let listener = TcpListener::from_std(listener).expect("the listener is non-blocking and the runtime has I/O");
    loop {
        let client = accept(&listener).await;
        match shared.line.tap() {
            Some(tap) => drop(tokio::spawn(connection(Arc::clone(&shared), client, tap))),
            None => drop(client.set_zero_linger()),
        }
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("a fault closed the connection")]
struct Closed;

async fn connection(shared: Arc<Shared>, client: TcpStream, mut tap: Tap) {
    let _ = client.set_nodelay(true);
    let (slot, own) = (Slot::default(), tap.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        // A task of its own: a client that dies after it sent a request does not undo the request.
        let task = tokio::spawn(exchange(Arc::clone(&shared), Arc::clone(&slot), own.clone(), request));
        async move {
            match task.await {
                Ok(Reply::Answer(answer)) => Ok(answer),
                Ok(Reply::Silence) => std::future::pending().await,
                Ok(Reply::Close) | Err(_) => Err(Closed),
            }
        }
    });
    // No limit on the wait for the next request: idle connections are the upstream's to close, as they would be without the proxy.
    let server = http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(client), service).with_upgrades();
    tokio::select! {
        () = tap.severed() => {}
        _ = server => {}
    }
}
