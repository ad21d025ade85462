//! What every request passes: a fault if one is ordered, and the journal.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{MatchedPath, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};

use super::{App, Hangup, auth::text, refusal::Noted};
use crate::{
    clock::iso,
    jwt,
    model::{FaultMode, LoggedRequest, Unexpected},
};

/// Rows of a stream, left in a response whose body is built at the end, when faults are known.
#[derive(Debug, Clone)]
pub(crate) struct Frames(pub(crate) Vec<Bytes>);

/// Time for the last good row to leave before the connection breaks.
const FLUSH: Duration = Duration::from_millis(30);
/// No answer of ours is larger.
const MOST: usize = 64 << 20;

/// Applies faults, counts, remembers.
pub(crate) async fn entry(State(app): State<App>, request: Request, next: Next) -> Response {
    let method = request.method().to_string();
    let path = request.uri().path_and_query().map_or_else(|| request.uri().path().to_owned(), ToString::to_string);
    let route = request.extensions().get::<MatchedPath>().map_or("(unknown)", |matched| matched.as_str()).to_owned();
    // One route serves all streams; count them apart.
    let route = if route == "/miner/{kind}/" { request.uri().path().to_owned() } else { route };
    let signer = signer(&request);
    let fault = {
        let mut world = app.world();
        world.tick();
        world.take_fault(&method, request.uri().path())
    };
    let response = match fault {
        Some(FaultMode::Status(code)) => refuse(code),
        Some(FaultMode::DropConnection) => hang_up(),
        Some(FaultMode::DelayMs(ms)) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            next.run(request).await
        }
        _ => next.run(request).await,
    };
    let response = match fault {
        Some(FaultMode::DropAnswer) => hang_up(),
        Some(mode) => finish(response, Some(mode)).await,
        None => finish(response, None).await,
    };
    let status = if response.extensions().get::<Hangup>().is_some() { 0 } else { response.status().as_u16() };
    let mut world = app.world();
    if let Some(noted) = response.extensions().get::<Noted>() {
        let entry =
            Unexpected { kind: noted.kind.to_owned(), method: method.clone(), path: path.clone(), status, detail: noted.detail.clone() };
        world.journal.unexpected(entry);
    }
    let at = iso(world.now());
    let fault = fault.map(|mode| format!("{mode:?}"));
    world.journal.request(format!("{method} {route}"), LoggedRequest { seq: 0, at, method, path, status, signer, fault });
    response
}

fn signer(request: &Request) -> Option<String> {
    let headers = request.headers();
    if let Some(hotkey) = text(headers, "x-chutes-hotkey") {
        return Some(hotkey.to_owned());
    }
    let token = text(headers, "authorization")?.split_whitespace().last()?;
    Some(format!("launch:{}", jwt::claims(token)?["sub"].as_str()?))
}

fn refuse(code: u16) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], r#"{"detail":"a fault of the test"}"#).into_response()
}

fn hang_up() -> Response {
    let mut response = StatusCode::IM_A_TEAPOT.into_response();
    response.extensions_mut().insert(Hangup);
    response
}

/// Builds the body of a stream, and bends any body as the fault says.
async fn finish(mut response: Response, fault: Option<FaultMode>) -> Response {
    let frames = response.extensions_mut().remove::<Frames>();
    let bent =
        matches!(fault, Some(FaultMode::EmptyStream | FaultMode::CutStream(_) | FaultMode::PartialStream(_) | FaultMode::PartialJson));
    let (mut parts, body) = response.into_parts();
    let frames = match (frames, bent) {
        (Some(frames), _) => frames.0,
        (None, false) => return Response::from_parts(parts, body),
        (None, true) => vec![few_rows(to_bytes(body, MOST).await.unwrap_or_default(), fault)],
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = match fault {
        Some(FaultMode::EmptyStream) => Body::from_stream(stream::iter(Vec::<std::io::Result<Bytes>>::new())),
        Some(FaultMode::PartialStream(rows)) => flowing(frames.into_iter().take(rows).collect()),
        Some(FaultMode::CutStream(rows)) => {
            let broken = stream::once(async {
                tokio::time::sleep(FLUSH).await;
                Err(std::io::Error::other("cut by a fault of the test"))
            });
            Body::from_stream(stream::iter(frames.into_iter().take(rows).map(Ok)).chain(broken))
        }
        Some(FaultMode::PartialJson) => {
            let whole = frames.concat();
            Body::from(whole[..whole.len() / 2].to_vec())
        }
        _ => flowing(frames),
    };
    Response::from_parts(parts, body)
}

/// Of a JSON array as many rows as a partial answer has; anything else as it is.
fn few_rows(whole: Bytes, fault: Option<FaultMode>) -> Bytes {
    match (fault, serde_json::from_slice(&whole)) {
        (Some(FaultMode::PartialStream(rows)), Ok(serde_json::Value::Array(mut all))) => {
            all.truncate(rows);
            Bytes::from(serde_json::Value::Array(all).to_string())
        }
        _ => whole,
    }
}

fn flowing(frames: Vec<Bytes>) -> Body {
    Body::from_stream(stream::iter(frames.into_iter().map(std::io::Result::Ok)))
}
