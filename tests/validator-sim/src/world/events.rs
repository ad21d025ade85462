//! Socket sessions and broadcasts: validator-protocol 2.1, its reconnect race included.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::World;
use crate::model::SocketView;

/// Frames waiting for one socket; a reader that falls further behind is cut off.
pub(crate) const QUEUE: usize = 4096;

/// Who is connected.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    sessions: BTreeMap<String, Session>,
    /// The one session of a hotkey that gets its filtered events.
    receiving: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Session {
    frames: mpsc::Sender<String>,
    hotkey: Option<String>,
}

impl Sockets {
    /// A new, unauthenticated session.
    pub(crate) fn connect(&mut self, sid: String, frames: mpsc::Sender<String>) {
        self.sessions.insert(sid, Session { frames, hotkey: None });
    }

    /// The last login of a hotkey gets its events.
    pub(crate) fn authenticated(&mut self, sid: &str, hotkey: &str) {
        if let Some(session) = self.sessions.get_mut(sid) {
            session.hotkey = Some(hotkey.to_owned());
            self.receiving.insert(hotkey.to_owned(), sid.to_owned());
        }
    }

    /// Whether this session ever authenticated.
    pub(crate) fn is_authenticated(&self, sid: &str) -> bool {
        self.sessions.get(sid).is_some_and(|session| session.hotkey.is_some())
    }

    /// A session ends. As in the original it takes the mapping of its hotkey along, even if a newer session
    /// had taken that over: the newer one then gets no filtered events until it authenticates again.
    pub(crate) fn disconnect(&mut self, sid: &str) {
        if let Some(hotkey) = self.sessions.remove(sid).and_then(|session| session.hotkey) {
            self.receiving.remove(&hotkey);
        }
    }

    /// Drops every session, as a restart does.
    pub(crate) fn drop_all(&mut self) {
        self.sessions.clear();
        self.receiving.clear();
    }

    /// Everybody who is connected.
    pub(crate) fn view(&self) -> Vec<SocketView> {
        let one = |(sid, session): (&String, &Session)| SocketView {
            sid: sid.clone(),
            hotkey: session.hotkey.clone(),
            receives: session.hotkey.as_ref().is_some_and(|hotkey| self.receiving.get(hotkey) == Some(sid)),
        };
        self.sessions.iter().map(one).collect()
    }

    fn send(&mut self, frame: &str, recipient: Option<&str>) {
        let only = match recipient {
            None => None,
            Some(hotkey) => match self.receiving.get(hotkey) {
                Some(sid) => Some(sid.clone()),
                None => return,
            },
        };
        let slow: Vec<String> = self
            .sessions
            .iter()
            .filter(|(sid, _)| only.as_ref().is_none_or(|only| only == *sid))
            .filter(|(_, session)| session.frames.try_send(frame.to_owned()).is_err())
            .map(|(sid, _)| sid.clone())
            .collect();
        for sid in slow {
            self.disconnect(&sid);
        }
    }
}

impl World {
    /// Sends an event: to one hotkey, or to every socket whether authenticated or not.
    pub(crate) fn broadcast(&mut self, reason: &str, data: Value, recipient: Option<&str>) {
        let mut payload = json!({"reason": reason, "data": data});
        if let Some(hotkey) = recipient {
            payload["filter_recipients"] = json!([hotkey]);
        }
        self.journal.event(reason, payload.clone());
        for _ in 0..self.copies(reason) {
            self.broadcast_raw(&payload, recipient);
        }
    }

    /// Sends any payload, beyond faults and counters.
    pub(crate) fn broadcast_raw(&mut self, payload: &Value, recipient: Option<&str>) {
        let frame = format!("42{}", json!(["miner_broadcast", payload]));
        self.sockets.send(&frame, recipient);
    }
}
