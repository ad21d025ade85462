//! Whether a request is the miner's.

use super::{Public, Refusal};
use axum::http::{HeaderMap, StatusCode};
use protocol::auth::{HeaderView, WINDOW_S, verify_management};
use protocol::sign::{Purpose, sha256_hex};

/// Lets a request pass that the hotkey given at the installation signed just now, and only once. `body` is given for
/// requests that have one.
pub(super) fn check(public: &Public, headers: &HeaderMap, body: Option<&[u8]>) -> Result<(), Refusal> {
    let view = HeaderView::collect(|name| headers.get(name).and_then(|value| value.to_str().ok()));
    let hash = body.map(sha256_hex).unwrap_or_default();
    let now = (public.clock)();
    let signers = std::slice::from_ref(&public.miner);
    let verified = verify_management(&view, body.is_some(), &hash, Purpose::Management, &public.miner, signers, now)
        .map_err(|error| Refusal(StatusCode::UNAUTHORIZED, error.to_string()))?;
    let until = verified.nonce.saturating_add(WINDOW_S);
    if !public.replays.first_use(verified.signature.replay_key(), until, now) {
        return Err(Refusal(StatusCode::UNAUTHORIZED, "go away (replay): this very request was made before; sign it anew".to_owned()));
    }
    Ok(())
}
