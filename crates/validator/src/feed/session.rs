//! One connection of the feed, from the handshake to its end.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use protocol::event::MinerEvent;
use protocol::key::Keypair;
use protocol::sign::{Purpose, Signed, hotkey_headers};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use url::Url;

use super::FeedOptions;
use super::driver::Sink;
use super::packet::{self, Handshake, Packet};
use crate::error::trimmed;

/// No broadcast comes near this.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// Everything one connection needs.
pub(super) struct Session<'a> {
    pub(super) url: &'a Url,
    pub(super) key: &'a Keypair,
    pub(super) options: &'a FeedOptions,
    pub(super) sink: &'a Sink,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the server closed the connection")]
    Closed,
    #[error("nothing was heard for {0:?}")]
    Silence(Duration),
    #[error("no answer while {0}")]
    Timeout(&'static str),
    #[error("not let in: {0}")]
    Refused(String),
    #[error("login refused: {0}")]
    Login(String),
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The login on its way, if any.
#[derive(Debug)]
struct Login {
    /// Number of the last one.
    number: u64,
    /// Until when an answer must come; `None` when none is awaited.
    answer_by: Option<Instant>,
    /// When to log in again.
    next: Instant,
}

impl Session<'_> {
    /// Runs the connection to its end.
    pub(super) async fn run(&self) -> End {
        match self.connected().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn connected(&self) -> Result<std::convert::Infallible, End> {
        let (mut socket, handshake) = self.open().await?;
        self.sink.connected();
        let longest_silence = handshake.longest_silence();
        let mut login = Login { number: 0, answer_by: None, next: Instant::now() };
        self.log_in(&mut socket, &mut login).await?;
        let mut dead_at = Instant::now() + longest_silence;
        loop {
            let answer_by = login.answer_by.unwrap_or(dead_at);
            tokio::select! {
                message = socket.next() => {
                    dead_at = Instant::now() + longest_silence;
                    if let Some(text) = text_of(message)? {
                        self.packet(&text, &mut socket, &mut login).await?;
                    }
                }
                () = sleep_until(dead_at) => return Err(End::Silence(longest_silence)),
                () = sleep_until(answer_by), if login.answer_by.is_some() => return Err(End::Timeout("logging in")),
                () = sleep_until(login.next), if login.answer_by.is_none() => {
                    self.log_in(&mut socket, &mut login).await?;
                }
            }
        }
    }

    /// Connects, reads the handshake, joins the default namespace.
    async fn open(&self) -> Result<(Socket, Handshake), End> {
        let deadline = Instant::now() + self.options.step_timeout;
        let limits = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE_BYTES)).max_frame_size(Some(MAX_MESSAGE_BYTES));
        let (mut socket, _) = timeout_at(deadline, connect_async_with_config(self.url.as_str(), Some(limits), true))
            .await
            .map_err(|_| End::Timeout("connecting"))?
            .map_err(|error| End::Connect(trimmed(&error.to_string())))?;
        let open = async {
            let mut handshake = None;
            loop {
                let Some(text) = text_of(socket.next().await)? else { continue };
                match packet::parse(&text) {
                    Packet::Open(seen) => {
                        handshake = Some(seen);
                        send(&mut socket, packet::JOIN.to_owned()).await?;
                    }
                    Packet::Ping => send(&mut socket, packet::PONG.to_owned()).await?,
                    Packet::Joined => {
                        return handshake.ok_or_else(|| End::Refused("there was no handshake".to_owned()));
                    }
                    Packet::JoinRefused(why) => return Err(End::Refused(trimmed(&why))),
                    Packet::Close | Packet::Left => return Err(End::Closed),
                    Packet::Event { .. } | Packet::Ack { .. } | Packet::Other => {}
                }
            }
        };
        let handshake = timeout_at(deadline, open).await.map_err(|_| End::Timeout("joining"))??;
        Ok((socket, handshake))
    }

    async fn log_in(&self, socket: &mut Socket, login: &mut Login) -> Result<(), End> {
        let now = jiff::Timestamp::now().as_second();
        let headers = hotkey_headers(self.key, Signed::Purpose(Purpose::Sockets), now);
        let data = headers.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
        login.number += 1;
        login.answer_by = Some(Instant::now() + self.options.step_timeout);
        login.next = Instant::now() + self.options.login_every;
        self.send_in_time(socket, packet::event("authenticate", &Value::Object(data), login.number)).await
    }

    async fn packet(&self, text: &str, socket: &mut Socket, login: &mut Login) -> Result<(), End> {
        match packet::parse(text) {
            Packet::Ping => self.send_in_time(socket, packet::PONG.to_owned()).await?,
            Packet::Event { name, data, ack } => {
                if let Some(id) = ack {
                    self.send_in_time(socket, packet::ack(id)).await?;
                }
                self.event(&name, data, login)?;
            }
            Packet::Ack { id, data } if id == login.number => match data {
                Value::Bool(false) => return Err(End::Login("the validator acknowledged it with false".to_owned())),
                // Handlers that return nothing acknowledge with nothing, and say the rest in an event.
                Value::Null => {}
                _ => self.accepted(login),
            },
            Packet::Close | Packet::Left => return Err(End::Closed),
            Packet::JoinRefused(why) => return Err(End::Refused(trimmed(&why))),
            Packet::Ack { .. } | Packet::Open(_) | Packet::Joined | Packet::Other => {}
        }
        Ok(())
    }

    fn event(&self, name: &str, data: Value, login: &mut Login) -> Result<(), End> {
        match name {
            "miner_broadcast" => self.sink.event(MinerEvent::parse(data)),
            "auth_success" => self.accepted(login),
            "auth_failed" => {
                let words = data.get("error").and_then(Value::as_str).unwrap_or("no words");
                return Err(End::Login(trimmed(words)));
            }
            other => tracing::debug!(event = trimmed(other), "an event that is not for miners"),
        }
        Ok(())
    }

    fn accepted(&self, login: &mut Login) {
        login.answer_by = None;
        self.sink.authenticated();
    }

    /// A peer that takes nothing any more must not hold the session for ever.
    async fn send_in_time(&self, socket: &mut Socket, text: String) -> Result<(), End> {
        let deadline = Instant::now() + self.options.step_timeout;
        timeout_at(deadline, send(socket, text)).await.map_err(|_| End::Timeout("sending"))?
    }
}

async fn send(socket: &mut Socket, text: String) -> Result<(), End> {
    socket.send(Message::text(text)).await.map_err(broken)
}

fn broken(error: tungstenite::Error) -> End {
    End::Broken(trimmed(&error.to_string()))
}

/// The text of a message; `None` for what only keeps the websocket alive.
fn text_of(message: Option<Result<Message, tungstenite::Error>>) -> Result<Option<String>, End> {
    match message {
        Some(Ok(Message::Text(text))) => Ok(Some(text.as_str().to_owned())),
        Some(Ok(Message::Close(_))) | None => Err(End::Closed),
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => Err(broken(error)),
    }
}
