//! A node that takes extrinsics, or seems to: what only such a node answers, in front of `chain-sim`, which answers the rest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use chain::read::rpc::RpcOptions;
use chain::read::{Chain, ChainConfig, Runtime};
use chain_sim::{METADATA_V15, Sim, World, unpack};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// What becomes of an extrinsic, one after the other; the last for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    /// The next block has it.
    Included,
    /// The next block has it, and the connection is cut before the answer.
    IncludedAndCut,
    /// It is taken and forgotten, and blocks go by.
    Forgotten,
    /// It is taken, and the node dies.
    Death,
    /// It waits in the pool already, and a block has it after that was told.
    Waiting,
    /// The connection is cut before the answer, and it is lost.
    Cut,
    /// It waits in the pool, but the connection is cut before the answer.
    HeldAndCut,
    /// It waits in the pool, but something on the way answers with this code.
    HeldAnd(i64),
    /// It is refused with these words.
    Refused(&'static str),
    /// It is refused with this code.
    RefusedAs(i64),
    /// It is refused because another one took its nonce meanwhile.
    Overtaken,
}

struct State {
    sim: Sim,
    fates: Vec<Fate>,
    sent: Vec<String>,
    /// Extrinsics by their block's hash.
    blocks: HashMap<String, Vec<String>>,
    waiting: Option<String>,
    nonce: u32,
    dead: bool,
    /// How often blocks are not known yet.
    unknown_blocks: u32,
    /// Events of the block that has the extrinsic.
    events: Vec<u8>,
    /// Answers by the name of a method or a runtime call.
    answers: HashMap<&'static str, Value>,
}

/// A running node. It ends with its runtime.
pub(crate) struct Front {
    state: Arc<Mutex<State>>,
    url: String,
}

pub(crate) const NONCE: u32 = 7;

impl Front {
    pub(crate) async fn start(fates: &[Fate]) -> Self {
        Self::of(World::new(1000, 343, unpack(METADATA_V15).unwrap()), fates).await
    }

    pub(crate) async fn of(world: World, fates: &[Fate]) -> Self {
        let sim = Sim::start(world).await.unwrap();
        let upstream = sim.url();
        let fates = fates.iter().rev().copied().collect();
        let state = State {
            sim,
            fates,
            sent: Vec::new(),
            blocks: HashMap::new(),
            waiting: None,
            nonce: NONCE,
            dead: false,
            unknown_blocks: 0,
            // One event: while extrinsic 1 was applied, System.ExtrinsicSuccess, of no weight, normal, paid.
            events: vec![4, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            answers: HashMap::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if !shared.lock().unwrap().dead {
                    tokio::spawn(connection(stream, upstream.clone(), Arc::clone(&shared)));
                }
            }
        });
        Self { state, url }
    }

    pub(crate) fn chain(&self) -> Chain {
        let options =
            RpcOptions { backoff: (std::time::Duration::from_millis(10), std::time::Duration::from_millis(50)), ..RpcOptions::default() };
        Chain::new(ChainConfig { options, ..ChainConfig::parse(&self.url).unwrap() })
    }

    /// No connection is answered any more.
    pub(crate) fn die(&self) {
        let mut state = self.state.lock().unwrap();
        state.dead = true;
        state.sim.cut();
    }

    /// The next times that a block's extrinsics are asked for, it is not known.
    pub(crate) fn forget_blocks(&self, times: u32) {
        self.state.lock().unwrap().unknown_blocks = times;
    }

    /// What happens in the block that has the extrinsic.
    pub(crate) fn set_events(&self, events: Vec<u8>) {
        self.state.lock().unwrap().events = events;
    }

    /// Answers a method, or a call of the runtime, with this.
    pub(crate) fn answer(&self, name: &'static str, answer: Value) {
        self.state.lock().unwrap().answers.insert(name, answer);
    }

    /// Changes what `chain-sim` knows.
    pub(crate) fn change(&self, change: impl FnOnce(&mut World)) {
        self.state.lock().unwrap().sim.change(change);
    }

    /// What was sent so far.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.state.lock().unwrap().sent.clone()
    }
}

async fn connection(stream: TcpStream, upstream: String, state: Arc<Mutex<State>>) {
    let Ok(mut client) = tokio_tungstenite::accept_async(stream).await else { return };
    let (mut node, _) = tokio_tungstenite::connect_async(upstream).await.unwrap();
    loop {
        tokio::select! {
            message = client.next() => {
                let Some(Ok(message)) = message else { return };
                let Message::Text(text) = &message else { continue };
                let request: Value = serde_json::from_str(text.as_str()).unwrap();
                let answer = state.lock().unwrap().answer(request["method"].as_str().unwrap(), &request["params"]);
                match answer {
                    None => node.send(message).await.unwrap(),
                    Some(None) => return,
                    Some(Some(mut answer)) => {
                        answer["jsonrpc"] = json!("2.0");
                        answer["id"] = request["id"].clone();
                        let _ = client.send(Message::text(answer.to_string())).await;
                    }
                }
            }
            message = node.next() => {
                let Some(Ok(message)) = message else { return };
                let _ = client.send(message).await;
            }
        }
    }
}

impl State {
    /// `None` where it is for the other to answer; `Some(None)` where the connection is cut.
    fn answer(&mut self, method: &str, params: &Value) -> Option<Option<Value>> {
        let result = |result: Value| Some(Some(json!({"result": result})));
        let refused = |data: &str| Some(Some(json!({"error": {"code": 1010, "message": "Invalid Transaction", "data": data}})));
        let name = if method == "state_call" { params[0].as_str()? } else { method };
        if let Some(answer) = self.answers.get(name) {
            return result(answer.clone());
        }
        let unknown = || Some(Some(json!({"error": {"code": -32601, "message": "Method not found"}})));
        match method {
            // As a public node does, and one with a runtime that cannot be asked what a call costs.
            "system_dryRun" => unknown(),
            "state_call" if name == "TransactionPaymentApi_query_info" => unknown(),
            "system_accountNextIndex" => result(json!(self.nonce)),
            "chain_getBlock" if self.unknown_blocks > 0 => {
                self.unknown_blocks -= 1;
                result(Value::Null)
            }
            "chain_getBlock" => {
                let extrinsics = self.blocks.get(params[0].as_str()?).cloned().unwrap_or_default();
                result(json!({"block": {"header": {}, "extrinsics": extrinsics}}))
            }
            "chain_subscribeFinalizedHeads" => {
                if let Some(extrinsic) = self.waiting.take() {
                    self.include(extrinsic);
                }
                None
            }
            "author_submitExtrinsic" => {
                let extrinsic = params[0].as_str()?.to_owned();
                self.sent.push(extrinsic.clone());
                let fate = if self.fates.len() > 1 { self.fates.pop() } else { self.fates.last().copied() };
                match fate? {
                    Fate::Included => {
                        self.include(extrinsic);
                        result(json!("0x00"))
                    }
                    Fate::IncludedAndCut => {
                        self.include(extrinsic);
                        Some(None)
                    }
                    Fate::Forgotten => {
                        self.sim.advance(20);
                        result(json!("0x00"))
                    }
                    Fate::Death => {
                        self.dead = true;
                        Some(None)
                    }
                    Fate::Cut => Some(None),
                    Fate::HeldAndCut => {
                        self.waiting = Some(extrinsic);
                        Some(None)
                    }
                    Fate::HeldAnd(code) => {
                        self.waiting = Some(extrinsic);
                        Some(Some(json!({"error": {"code": code, "message": "of a proxy"}})))
                    }
                    Fate::RefusedAs(code) => Some(Some(json!({"error": {"code": code, "message": "of the pool"}}))),
                    Fate::Waiting => {
                        self.waiting = Some(extrinsic);
                        Some(Some(json!({"error": {"code": 1013, "message": "Transaction Already Imported"}})))
                    }
                    Fate::Refused(words) => refused(words),
                    Fate::Overtaken => {
                        self.nonce += 1;
                        refused("Transaction is outdated")
                    }
                }
            }
            _ => None,
        }
    }

    fn include(&mut self, extrinsic: String) {
        let runtime = Runtime::new(343, &unpack(METADATA_V15).unwrap()).unwrap();
        let key = runtime.storage_key("System", "Events", ()).unwrap();
        let events = self.events.clone();
        let hash = self.sim.change(|world| {
            world.advance(1);
            world.set_storage(world.best, key, Some(events));
            world.hash(world.best).unwrap()
        });
        self.blocks.insert(format!("0x{}", hex::encode(hash)), vec!["0x280403000b".to_owned(), extrinsic]);
        self.sim.advance(3);
    }
}
