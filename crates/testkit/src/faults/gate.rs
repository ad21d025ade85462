//! A gate for protocols that the proxy does not read: Postgres, Redis.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::engine::{Engine, FaultError};
use super::line::{Flow, Line, Tap, accept};
use super::pump::{Counts, pump};

/// A TCP port on 127.0.0.1 that leads to another one, until it is told not to.
#[derive(Debug)]
pub struct TcpGate {
    shared: Arc<Shared>,
    engine: Engine,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    line: Line,
    bytes: Counts,
    accepted: AtomicU64,
    open: AtomicU64,
}

impl TcpGate {
    /// Opens a gate to `upstream`, which need not be up yet.
    ///
    /// # Errors
    /// Where there is no port or no thread.
    pub fn start(name: &str, upstream: SocketAddr) -> Result<Self, FaultError> {
        let (engine, listener) = Engine::start(name)?;
        let shared = Shared { upstream, line: Line::new(), bytes: Counts::default(), accepted: AtomicU64::new(0), open: AtomicU64::new(0) };
        let shared = Arc::new(shared);
        engine.handle().spawn(serve(Arc::clone(&shared), listener));
        Ok(Self { shared, engine })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.engine.address()
    }

    /// The port on 127.0.0.1 that clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.engine.address().port()
    }

    /// Closes every connection, and every new one at once, until [`TcpGate::heal`].
    pub fn cut(&self) {
        self.shared.line.set(Flow::Refusing);
    }

    /// Closes every connection that is open now; new ones are welcome.
    pub fn drop_connections(&self) {
        self.shared.line.sever();
    }

    /// Lets no byte pass in either direction and keeps the connections open, until [`TcpGate::heal`].
    pub fn freeze(&self) {
        self.shared.line.set(Flow::Silent);
    }

    /// Lets what clients send pass and nothing come back, until [`TcpGate::heal`]; with [`TcpGate::drop_connections`] after it, what was
    /// sent has its effect and its answer is lost.
    pub fn mute(&self) {
        self.shared.line.set(Flow::Mute);
    }

    /// Lets everything pass again, first what was held back.
    pub fn heal(&self) {
        self.shared.line.set(Flow::Open);
    }

    /// Connections accepted so far, those closed at once while the gate was cut included.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Connections that lead to the upstream now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Bytes that passed so far: from clients, and to them.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.shared.bytes.up.load(Ordering::Relaxed), self.shared.bytes.down.load(Ordering::Relaxed))
    }
}

async fn serve(shared: Arc<Shared>, listener: std::net::TcpListener) {
    let listener = TcpListener::from_std(listener).expect("the listener is non-blocking and the runtime has I/O");
    loop {
        let client = accept(&listener).await;
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        match shared.line.tap() {
            Some(tap) => drop(tokio::spawn(lead(Arc::clone(&shared), client, tap))),
            None => drop(client.set_zero_linger()),
        }
    }
}

async fn lead(shared: Arc<Shared>, client: TcpStream, mut tap: Tap) {
    let connect = tokio::time::timeout(Duration::from_secs(10), TcpStream::connect(shared.upstream));
    let upstream = tokio::select! {
        () = tap.severed() => return,
        upstream = connect => upstream,
    };
    let Ok(Ok(upstream)) = upstream else { return };
    let _ = client.set_nodelay(true);
    let _ = upstream.set_nodelay(true);
    shared.open.fetch_add(1, Ordering::Relaxed);
    pump(client, upstream, tap, None, &shared.bytes).await;
    shared.open.fetch_sub(1, Ordering::Relaxed);
}
