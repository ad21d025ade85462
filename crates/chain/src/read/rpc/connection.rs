//! One WebSocket: requests and their answers by number, subscriptions by name.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};
use url::Url;

use super::envelope::{self, Said};
use super::error::{RpcError, shown};
use super::{RpcOptions, tls};

/// Requests that wait for the socket.
const QUEUE: usize = 64;
/// Notifications that wait for their reader. A reader that falls behind further loses the subscription, and resumes.
const NOTIFICATIONS: usize = 64;

/// Largest notification that is kept: a header has a few hundred bytes.
const MAX_NOTIFICATION: usize = 64 << 10;

/// Messages in a row that nobody asked for, after which a node is left. Some are rightly so: answers that come too late, and what was on
/// its way when a subscription ended.
const MAX_UNASKED: u32 = 1024;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Reply = oneshot::Sender<Result<Value, RpcError>>;

/// A subscription's notifications. Ends when the connection does, or when the reader is too slow.
#[derive(Debug)]
pub struct Subscription {
    notifications: mpsc::Receiver<Value>,
    endpoint: Arc<str>,
}

impl Subscription {
    /// The next notification; `None` when there will be no more.
    pub async fn next(&mut self) -> Option<Value> {
        self.notifications.recv().await
    }

    /// Host and port of the node.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

enum Purpose {
    Call(Reply),
    Subscribe(Reply, mpsc::Sender<Value>),
    /// An answer that nobody waits for.
    Nothing,
}

struct Command {
    method: &'static str,
    params: Value,
    purpose: Purpose,
}

/// A connection to one node. Clones share it; it closes when the last is gone.
#[derive(Debug, Clone)]
pub(in crate::read) struct Connection {
    commands: mpsc::Sender<Command>,
    endpoint: Arc<str>,
    options: Arc<RpcOptions>,
    opened: Instant,
    /// Whether it was of use so far.
    answered: Arc<AtomicBool>,
}

impl Connection {
    pub(super) async fn open(url: &Url, options: Arc<RpcOptions>) -> Result<Self, RpcError> {
        let endpoint: Arc<str> = shown(url).into();
        let failed = |why: String| RpcError::Connect { endpoint: endpoint.to_string(), why };
        let limits =
            WebSocketConfig::default().max_message_size(Some(options.max_message_bytes)).max_frame_size(Some(options.max_message_bytes));
        let connector = if url.scheme() == "wss" { Some(tls::connector().await?) } else { None };
        let connect = connect_async_tls_with_config(url.as_str(), Some(limits), true, connector);
        let (socket, _) = timeout(options.connect_timeout, connect)
            .await
            .map_err(|_| failed(format!("no connection within {:?}", options.connect_timeout)))?
            .map_err(|error| failed(tls::explained(&error)))?;
        let (commands, queue) = mpsc::channel(QUEUE);
        let driver = Driver {
            endpoint: Arc::clone(&endpoint),
            options: Arc::clone(&options),
            waiting: HashMap::new(),
            subscriptions: HashMap::new(),
            next_id: 1,
            unasked: 0,
        };
        tokio::spawn(driver.run(socket, queue));
        Ok(Self { commands, endpoint, options, opened: Instant::now(), answered: Arc::default() })
    }

    /// Host and port of the node.
    pub(in crate::read) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Whether any request was answered with a result.
    pub(super) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn forget_answers(&self) {
        self.answered.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_open(&self) -> bool {
        !self.commands.is_closed()
    }

    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.commands.same_channel(&other.commands)
    }

    pub(in crate::read) async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        self.ask(method, params, Purpose::Call).await
    }

    pub(in crate::read) async fn subscribe(&self, method: &'static str, params: Value) -> Result<Subscription, RpcError> {
        let (sender, notifications) = mpsc::channel(NOTIFICATIONS);
        self.ask(method, params, |reply| Purpose::Subscribe(reply, sender)).await?;
        Ok(Subscription { notifications, endpoint: Arc::clone(&self.endpoint) })
    }

    async fn ask(&self, method: &'static str, params: Value, purpose: impl FnOnce(Reply) -> Purpose) -> Result<Value, RpcError> {
        let broken = || RpcError::Broken { endpoint: self.endpoint.to_string(), why: "it was closed".to_owned() };
        let (reply, answer) = oneshot::channel();
        let command = Command { method, params, purpose: purpose(reply) };
        let exchange = async {
            self.commands.send(command).await.map_err(|_| broken())?;
            answer.await.map_err(|_| broken())?
        };
        let after = self.options.request_timeout;
        let late = || Err(RpcError::Timeout { endpoint: self.endpoint.to_string(), method, after });
        let result = timeout(after, exchange).await.unwrap_or_else(|_| late());
        if result.is_ok() {
            self.answered.store(true, Ordering::Relaxed);
        }
        result
    }
}

struct Driver {
    endpoint: Arc<str>,
    options: Arc<RpcOptions>,
    waiting: HashMap<u64, (&'static str, Purpose)>,
    subscriptions: HashMap<String, mpsc::Sender<Value>>,
    next_id: u64,
    /// Messages that nobody asked for since the last one that somebody did.
    unasked: u32,
}

impl Driver {
    async fn run(mut self, mut socket: Socket, mut queue: mpsc::Receiver<Command>) {
        let why = self.drive(&mut socket, &mut queue).await;
        tracing::debug!(endpoint = %self.endpoint, %why, "the connection to the chain ended");
        queue.close();
        for (_, purpose) in self.waiting.into_values() {
            if let Purpose::Call(reply) | Purpose::Subscribe(reply, _) = purpose {
                let _ = reply.send(Err(RpcError::Broken { endpoint: self.endpoint.to_string(), why: why.clone() }));
            }
        }
        let _ = timeout(self.options.connect_timeout, socket.close(None)).await;
    }

    /// Until the connection ends; why it did.
    async fn drive(&mut self, socket: &mut Socket, queue: &mut mpsc::Receiver<Command>) -> String {
        let mut heard = Instant::now();
        let mut tick = interval(self.options.ping_after);
        loop {
            tokio::select! {
                command = queue.recv() => {
                    let Some(command) = command else { return "nobody uses it any more".to_owned() };
                    if let Err(error) = self.send(socket, command).await {
                        return error;
                    }
                }
                message = socket.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => match self.receive(text.as_str()) {
                            Ok(None) => {}
                            Ok(Some(unwanted)) => if let Err(error) = self.send(socket, unwanted).await {
                                return error;
                            },
                            Err(error) => return error,
                        },
                        Some(Ok(Message::Close(_))) | None => return "the node closed it".to_owned(),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return error.to_string(),
                    }
                }
                _ = tick.tick() => {
                    // Who gave up waiting is forgotten, so that a node that never answers fills no memory.
                    self.waiting.retain(|_, (_, purpose)| match purpose {
                        Purpose::Call(reply) | Purpose::Subscribe(reply, _) => !reply.is_closed(),
                        Purpose::Nothing => false,
                    });
                    if heard.elapsed() > self.options.ping_after * 2 {
                        return format!("nothing was heard for {:?}", heard.elapsed());
                    }
                    if let Err(error) = self.write(socket, Message::Ping(Vec::new().into())).await {
                        return error;
                    }
                }
            }
        }
    }

    async fn send(&mut self, socket: &mut Socket, command: Command) -> Result<(), String> {
        let id = self.next_id;
        self.next_id += 1;
        let text = json!({"jsonrpc": "2.0", "id": id, "method": command.method, "params": command.params}).to_string();
        self.waiting.insert(id, (command.method, command.purpose));
        self.write(socket, Message::text(text)).await
    }

    async fn write(&self, socket: &mut Socket, message: Message) -> Result<(), String> {
        match timeout(self.options.request_timeout, socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the node reads nothing".to_owned()),
        }
    }

    /// Handles a message. Gives the end of a subscription that nobody reads any more.
    fn receive(&mut self, text: &str) -> Result<Option<Command>, String> {
        match envelope::read(text)? {
            Some(Said::Answer { id, result }) => {
                // What answers nothing we asked is ignored; the request's timeout tells.
                let Some((method, purpose)) = self.waiting.remove(&id) else { return self.unasked() };
                self.unasked = 0;
                self.answered(purpose, result.map_err(|(code, words)| RpcError::of_node(&self.endpoint, method, code, words)));
                Ok(None)
            }
            Some(Said::News { subscription, result }) => self.notified(&subscription, result, text.len()),
            None => self.unasked(),
        }
    }

    fn unasked(&mut self) -> Result<Option<Command>, String> {
        self.unasked += 1;
        if self.unasked > MAX_UNASKED { Err("it sends what nobody asked for, without end".to_owned()) } else { Ok(None) }
    }

    fn answered(&mut self, purpose: Purpose, result: Result<Value, RpcError>) {
        match purpose {
            Purpose::Nothing => {}
            Purpose::Call(reply) => drop(reply.send(result)),
            Purpose::Subscribe(reply, sender) => {
                if let Ok(name) = &result {
                    self.subscriptions.insert(name.to_string(), sender);
                }
                drop(reply.send(result));
            }
        }
    }

    fn notified(&mut self, name: &Value, result: Value, bytes: usize) -> Result<Option<Command>, String> {
        let Some(sender) = self.subscriptions.get(&name.to_string()) else { return self.unasked() };
        if bytes <= MAX_NOTIFICATION && sender.try_send(result).is_ok() {
            return Ok(None);
        }
        // Gone, too slow, or flooded. Only finalized heads are subscribed, so one way to unsubscribe does.
        self.subscriptions.remove(&name.to_string());
        Ok(Some(Command { method: "chain_unsubscribeFinalizedHeads", params: json!([name]), purpose: Purpose::Nothing }))
    }
}
