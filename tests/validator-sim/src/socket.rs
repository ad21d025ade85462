//! The miners' socket: Socket.IO 5 on Engine.IO 4, websocket only, default namespace. validator-protocol 2.1.

use std::{collections::HashMap, time::Instant};

use axum::{
    extract::{
        Query, State,
        ws::{Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    http::{
        App,
        auth::{Credentials, Signed},
        refusal::Refusal,
    },
    world::events::QUEUE,
};

/// Opens a session, or refuses other transports.
pub(crate) async fn upgrade(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let asked = |key: &str| query.get(key).map(String::as_str);
    if asked("EIO") != Some("4") || asked("transport") != Some("websocket") {
        return Refusal { unexpected: Some("malformed"), ..Refusal::bad("only EIO=4 over transport=websocket is served") }.into_response();
    }
    match upgrade {
        Ok(upgrade) => upgrade.on_upgrade(move |socket| serve(app, socket)),
        Err(_) => Refusal { unexpected: Some("malformed"), ..Refusal::bad("not a websocket upgrade") }.into_response(),
    }
}

/// How a session goes on after a packet.
enum Next {
    Stay,
    Say(Vec<String>),
    Leave(Vec<String>),
}

async fn serve(app: App, mut socket: WebSocket) {
    let (ping, patience) = (app.config().ping_interval, app.config().ping_timeout);
    let sid = app.world().ids.hex(20);
    let open = json!({
        "sid": sid, "upgrades": [], "pingInterval": ping.as_millis() as u64, "pingTimeout": patience.as_millis() as u64,
        "maxPayload": 1_000_000,
    });
    if socket.send(Message::text(format!("0{open}"))).await.is_err() {
        return;
    }
    let (frames, mut waiting) = mpsc::channel::<String>(QUEUE);
    let mut frames = Some(frames);
    let mut ticks = tokio::time::interval_at((Instant::now() + ping).into(), ping);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            () = app.stop().cancelled() => break,
            _ = ticks.tick() => {
                if heard.elapsed() > ping + patience || socket.send(Message::text("2")).await.is_err() {
                    break;
                }
            }
            // The channel closes when the world drops the session, but only once it has been handed over.
            frame = waiting.recv() => match frame {
                Some(frame) => if socket.send(Message::text(frame)).await.is_err() { break },
                None => break,
            },
            message = socket.recv() => {
                let text = match message {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                };
                heard = Instant::now();
                let (say, leave) = match packet(&app, &sid, &text, &mut frames) {
                    Next::Stay => continue,
                    Next::Say(say) => (say, false),
                    Next::Leave(say) => (say, true),
                };
                let mut broken = false;
                for line in say {
                    broken |= socket.send(Message::text(line)).await.is_err();
                }
                if leave || broken {
                    break;
                }
            }
        }
    }
    app.world().sockets.disconnect(&sid);
    let _ = socket.send(Message::Close(None)).await;
}

fn packet(app: &App, sid: &str, text: &str, frames: &mut Option<mpsc::Sender<String>>) -> Next {
    match text.as_bytes() {
        [b'2', rest @ ..] => Next::Say(vec![format!("3{}", String::from_utf8_lossy(rest))]),
        [b'4', b'0', ..] => {
            // The session exists for broadcasts from here on.
            if let Some(frames) = frames.take() {
                app.world().sockets.connect(sid.to_owned(), frames);
            }
            Next::Say(vec![format!("40{}", json!({"sid": sid}))])
        }
        [b'4', b'1', ..] => Next::Leave(Vec::new()),
        [b'4', b'2', ..] => event(app, sid, &text[2..]),
        _ => Next::Stay,
    }
}

fn event(app: &App, sid: &str, text: &str) -> Next {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (ack, body) = text.split_at(digits);
    let Ok(Value::Array(parts)) = serde_json::from_str(body) else {
        return Next::Leave(Vec::new());
    };
    match parts.first().and_then(Value::as_str) {
        Some("authenticate") => {
            let (ok, mut say) = authenticate(app, sid, parts.get(1).unwrap_or(&Value::Null));
            if !ack.is_empty() {
                say.push(format!("43{ack}{}", json!([ok])));
            }
            if ok {
                Next::Say(say)
            } else {
                say.push("41".to_owned());
                Next::Leave(say)
            }
        }
        Some("miner_message") if !app.world().sockets.is_authenticated(sid) => Next::Leave(vec!["41".to_owned()]),
        _ => Next::Stay,
    }
}

fn authenticate(app: &App, sid: &str, headers: &Value) -> (bool, Vec<String>) {
    let find = |name: &str| {
        let found = headers.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        found.1.as_str()
    };
    let checked = match (find("x-chutes-hotkey"), find("x-chutes-nonce"), find("x-chutes-signature")) {
        (Some(hotkey), Some(nonce), Some(signature)) => app.check(Credentials { hotkey, nonce, signature }, Signed::Purpose("sockets")),
        _ => Err(Refusal::bad_signature("Missing authentication headers")),
    };
    match checked {
        Ok(hotkey) => {
            app.world().sockets.authenticated(sid, &hotkey);
            (true, vec![format!("42{}", json!(["auth_success", {"message": "Authenticated"}]))])
        }
        Err(refusal) => {
            let mut world = app.world();
            if let Some(kind) = refusal.unexpected {
                world.journal.unexpected(crate::Unexpected {
                    kind: kind.to_owned(),
                    method: "SOCKET".to_owned(),
                    path: "authenticate".to_owned(),
                    status: refusal.status.as_u16(),
                    detail: refusal.detail.clone(),
                });
            }
            (false, vec![format!("42{}", json!(["auth_failed", {"error": format!("Authentication failed: {}", refusal.detail)}]))])
        }
    }
}
