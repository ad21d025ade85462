//! The threads that a proxy's connections run on, so that its handle can be used from a test that blocks.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use tokio::runtime::{Builder, Handle, Runtime};

/// Why a proxy did not start.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// No port on 127.0.0.1, or no threads.
    #[error("cannot start the fault proxy `{name}`: {source}")]
    Start {
        /// The proxy's name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The upstream's address is unusable.
    #[error("the upstream `{url}` is not usable: {problem}")]
    Upstream {
        /// The address as it was given.
        url: String,
        /// What is wrong with it, and what to give.
        problem: String,
    },
}

/// A runtime of its own, and a listener on a free port of 127.0.0.1.
#[derive(Debug)]
pub(super) struct Engine {
    runtime: Option<Runtime>,
    address: SocketAddr,
}

impl Engine {
    /// Starts the threads; the listener is to be served on them.
    pub(super) fn start(name: &str) -> Result<(Self, TcpListener), FaultError> {
        let failed = |source| FaultError::Start { name: name.to_owned(), source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name(format!("fault-{name}")).enable_all().build();
        Ok((Self { runtime: Some(runtime.map_err(failed)?), address }, listener))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn handle(&self) -> &Handle {
        self.runtime.as_ref().expect("taken only on drop").handle()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // In the background: a handle may be dropped on a thread that must not block, and a hook may still run.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
