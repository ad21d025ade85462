//! Who may ask: signed requests, each good for thirty seconds and for one use.

use crate::{
    app::App,
    http::{error::ApiError, replays::Replays},
    ports::ledger::Remembered,
};
use axum::http::{HeaderMap, StatusCode};
use protocol::{
    auth::{HeaderView, Verified, WINDOW_S, verify_management},
    ids::Ss58,
    sign::{Purpose, sha256_hex},
};

/// How far the clock of Postgres may be ahead of ours, in seconds.
const CLOCKS_DIFFER_S: i64 = 120;

/// What a request would do if it is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Reads. Let in without Postgres: this process remembers what it has seen meanwhile.
    Read,
    /// Changes something. Refused without Postgres, since another replica may have served it already.
    Change,
}

/// Lets in a request without a body, signed over `purpose` by the miner.
///
/// # Errors
/// 401, or 503 for a change while Postgres is away.
pub async fn admit(app: &App, headers: &HeaderMap, purpose: Purpose, effect: Effect) -> Result<Verified, ApiError> {
    let signers = [app.hotkey().clone()];
    let verified = verify(app, headers, false, "", purpose, &signers)?;
    once(app, &app.replays, verified, effect).await
}

/// Lets in a request with a body, signed over its bytes by one of `signers`.
///
/// # Errors
/// 401, or 503 for a change while Postgres is away.
pub async fn admit_body(app: &App, headers: &HeaderMap, body: &[u8], signers: &[Ss58], effect: Effect) -> Result<Verified, ApiError> {
    let verified = verify(app, headers, true, &sha256_hex(body), Purpose::Management, signers)?;
    once(app, &app.replays, verified, effect).await
}

/// Lets in a request of a server's agent, signed over its bytes by its node key, as often as one server may ask.
///
/// A node can be broken into: what it signs is counted before anything is remembered of it, and is remembered apart from what
/// people sign, so that a flood of its requests shuts out nobody else.
///
/// # Errors
/// 401, or 429 with the seconds to wait.
pub async fn admit_node(app: &App, headers: &HeaderMap, body: &[u8], server: &str, node_key: &Ss58) -> Result<Verified, ApiError> {
    let verified = verify(app, headers, true, &sha256_hex(body), Purpose::Management, std::slice::from_ref(node_key))?;
    app.rates.take(server, app.clock.unix_seconds()).map_err(|seconds| {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, format!("too many requests of this server; again in {seconds} s"))
    })?;
    once(app, &app.node_replays, verified, Effect::Read).await
}

fn verify(app: &App, headers: &HeaderMap, has_body: bool, hash: &str, purpose: Purpose, signers: &[Ss58]) -> Result<Verified, ApiError> {
    let view = HeaderView::collect(|name| headers.get(name).and_then(|value| value.to_str().ok()));
    let now = app.clock.unix_seconds();
    verify_management(&view, has_body, hash, purpose, app.hotkey(), signers, now).map_err(|refusal| {
        app.metrics.refused();
        ApiError::unauthorized(refusal.to_string())
    })
}

async fn once(app: &App, replays: &Replays, verified: Verified, effect: Effect) -> Result<Verified, ApiError> {
    // Neither method nor path is signed, so a signature seen on a read would open a change too: reads are remembered as well.
    let key = verified.signature.replay_key();
    // Later than strictly needed: the clock of Postgres is another one.
    let expires = verified.nonce.saturating_add(WINDOW_S).saturating_add(CLOCKS_DIFFER_S);
    if !replays.first_use(&key, expires, app.clock.unix_seconds()) {
        return Err(replayed(app));
    }
    match (app.ledger.remember(&key, expires).await, effect) {
        (Ok(Remembered::First), _) | (Err(_), Effect::Read) => Ok(verified),
        (Ok(Remembered::Again), _) => Err(replayed(app)),
        (Err(error), Effect::Change) => Err(ApiError::unavailable(format!(
            "Postgres is not available, so changes are refused: a repeated request could not be told from a new one. Reading still works; \
             /readyz shows what is closed. ({error})"
        ))),
    }
}

fn replayed(app: &App) -> ApiError {
    app.metrics.refused();
    ApiError::unauthorized("go away (replayed): this signature was used before; sign each request anew")
}
