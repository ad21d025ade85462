//! The node as a server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::rpc::{answer, header};
use crate::{Faults, World};

struct Shared {
    world: Mutex<World>,
    faults: Mutex<Faults>,
    /// Counts connections and requests, for tests that ask what a client did.
    counts: Mutex<Counts>,
    /// Number of the newest final block.
    finalized: watch::Sender<u64>,
    cut: broadcast::Sender<()>,
}

#[derive(Default)]
struct Counts {
    connections: u64,
    requests: Vec<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running node. It ends when this is dropped.
pub struct Sim {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.task.abort();
        let _ = self.shared.cut.send(());
    }
}

impl Sim {
    /// Serves a world on a free local port.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn start(world: World) -> Result<Self> {
        Self::start_at(world, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Serves a world at an address.
    ///
    /// # Errors
    ///
    /// When it is taken.
    pub async fn start_at(world: World, address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            finalized: watch::Sender::new(world.finalized()),
            world: Mutex::new(world),
            faults: Mutex::default(),
            counts: Mutex::default(),
            cut: broadcast::Sender::new(1),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { shared, address, task })
    }

    /// `ws://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Changes the world; subscribers hear of new final blocks.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let (result, finalized) = {
            let mut world = lock(&self.shared.world);
            (change(&mut world), world.finalized())
        };
        self.shared.finalized.send_if_modified(|known| std::mem::replace(known, finalized) != finalized);
        result
    }

    /// Makes blocks.
    pub fn advance(&self, blocks: u64) {
        self.change(|world| world.advance(blocks));
    }

    /// Fails from now on in these ways, and in no others.
    pub fn fail(&self, faults: Faults) {
        *lock(&self.shared.faults) = faults;
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        let _ = self.shared.cut.send(());
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> u64 {
        lock(&self.shared.counts).connections
    }

    /// Methods that were asked for so far, in order.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.shared.counts).requests.clone()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        lock(&shared.counts).connections += 1;
        if lock(&shared.faults).refuse {
            continue;
        }
        // As a real node does: else an answer behind another waits for the reader's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let cut = shared.cut.subscribe();
            if let Ok(socket) = tokio_tungstenite::accept_async(stream).await {
                let _ = connection(socket, &shared, cut).await;
            }
        });
    }
}

async fn connection(mut socket: WebSocketStream<TcpStream>, shared: &Shared, mut cut: broadcast::Receiver<()>) -> Result<()> {
    let mut finalized = shared.finalized.subscribe();
    let mut subscriptions: Vec<u64> = Vec::new();
    let mut requests = 0;
    loop {
        tokio::select! {
            // Without a closing handshake: a cut, not a goodbye.
            _ = cut.recv() => return Ok(()),
            changed = finalized.changed(), if !subscriptions.is_empty() => {
                changed?;
                notify(&mut socket, shared, &subscriptions).await?;
                if lock(&shared.faults).flood {
                    // As if there were another one.
                    finalized.mark_changed();
                }
            }
            message = socket.next() => {
                let Some(message) = message else { return Ok(()) };
                let Message::Text(text) = message? else { continue };
                let faults = lock(&shared.faults).clone();
                requests += 1;
                if faults.cut_after.is_some_and(|most| requests > most) {
                    return Ok(());
                }
                let Ok(request) = serde_json::from_str::<Value>(text.as_str()) else { continue };
                let method = request["method"].as_str().unwrap_or_default();
                lock(&shared.counts).requests.push(method.to_owned());
                if faults.silent {
                    continue;
                }
                if faults.delay > Duration::ZERO {
                    tokio::time::sleep(faults.delay).await;
                }
                let result = match method {
                    "chain_subscribeFinalizedHeads" => {
                        let id = subscriptions.last().map_or(1, |last| last + 1);
                        subscriptions.push(id);
                        // As a real node does: the newest final block at once.
                        finalized.mark_changed();
                        Ok(json!(format!("sub-{id}")))
                    }
                    "chain_unsubscribeFinalizedHeads" => {
                        subscriptions.retain(|id| faults.flood || request["params"][0] != json!(format!("sub-{id}")));
                        Ok(json!(true))
                    }
                    method => {
                        let (result, newest) = {
                            let mut world = lock(&shared.world);
                            (answer(&mut world, &faults, method, &request["params"]), world.finalized())
                        };
                        // An extrinsic may have made blocks.
                        shared.finalized.send_if_modified(|known| std::mem::replace(known, newest) != newest);
                        result
                    }
                };
                let response = match result {
                    Ok(result) => json!({"jsonrpc": "2.0", "id": request["id"], "result": result}),
                    Err((code, message)) => json!({"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}}),
                };
                let mut text = if faults.garbage { "{\"jsonrpc\": 2.0, }".to_owned() } else { response.to_string() };
                text.extend(std::iter::repeat_n(' ', faults.blanks));
                socket.send(Message::text(text)).await?;
            }
        }
    }
}

/// Tells of the newest final block only: real nodes leave out those before it, too.
async fn notify(socket: &mut WebSocketStream<TcpStream>, shared: &Shared, subscriptions: &[u64]) -> Result<()> {
    let header = {
        let mut world = lock(&shared.world);
        let number = world.finalized();
        let parent = world.hash(number.saturating_sub(1)).unwrap_or_default();
        header(lock(&shared.faults).claims_final.unwrap_or(number), parent)
    };
    for id in subscriptions {
        let params = json!({"subscription": format!("sub-{id}"), "result": header});
        let text = json!({"jsonrpc": "2.0", "method": "chain_finalizedHead", "params": params}).to_string();
        socket.send(Message::text(text)).await?;
    }
    Ok(())
}
