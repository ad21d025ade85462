//! The state of the wire between the clients and the upstream, apart from any single request.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the wire lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// Everything.
    Open,
    /// What clients send; nothing comes back.
    Mute,
    /// Nothing, and connections stay open.
    Silent,
    /// No connection.
    Refusing,
}

#[derive(Debug, Clone, Copy)]
struct State {
    flow: Flow,
    /// Connections of an earlier number are to be closed.
    era: u64,
}

#[derive(Debug)]
pub(super) struct Line(watch::Sender<State>);

impl Line {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(State { flow: Flow::Open, era: 0 }))
    }

    /// Refusing closes what is open as well.
    pub(super) fn set(&self, flow: Flow) {
        self.0.send_modify(|state| {
            state.flow = flow;
            state.era += u64::from(flow == Flow::Refusing);
        });
    }

    /// Closes every connection that is open now.
    pub(super) fn sever(&self) {
        self.0.send_modify(|state| state.era += 1);
    }

    /// A new connection's view of the wire; `None` where it refuses connections.
    pub(super) fn tap(&self) -> Option<Tap> {
        let state = self.0.subscribe();
        let State { flow, era } = *state.borrow();
        (flow != Flow::Refusing).then_some(Tap { state, era })
    }
}

/// The next connection.
pub(super) async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((client, _)) => return client,
            // Out of descriptors: the clients that go will give some back.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// One connection's view of the wire.
#[derive(Debug, Clone)]
pub(super) struct Tap {
    state: watch::Receiver<State>,
    era: u64,
}

impl Tap {
    /// Waits until this connection is to be closed.
    pub(super) async fn severed(&mut self) {
        let era = self.era;
        let _ = self.state.wait_for(|state| state.era != era).await;
    }

    /// Waits until what the client sent may pass; `false` where its connection was closed instead.
    pub(super) async fn up(&mut self) -> bool {
        self.pass(|flow| matches!(flow, Flow::Open | Flow::Mute)).await
    }

    /// Waits until what the upstream sent may pass; `false` where the connection was closed instead.
    pub(super) async fn down(&mut self) -> bool {
        self.pass(|flow| flow == Flow::Open).await
    }

    async fn pass(&mut self, open: impl Fn(Flow) -> bool) -> bool {
        let era = self.era;
        let state = self.state.wait_for(|state| state.era != era || open(state.flow)).await;
        state.is_ok_and(|state| state.era == era)
    }
}
