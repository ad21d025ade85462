//! The signature of a request: validator-protocol 1.1, checked in the original's order with its texts.

use axum::http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use super::{App, refusal::Refusal};
use crate::keys;

/// Seconds that a nonce may be away from now, in either direction.
const MAX_AGE: u64 = 600;

/// What an endpoint wants signed beside hotkey and nonce.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signed<'a> {
    /// The endpoint's word; wins even when there is a body.
    Purpose(&'a str),
    /// The exact bytes of the body.
    Body(&'a [u8]),
}

/// The three values, from headers or from a socket's `authenticate`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Credentials<'a> {
    pub(crate) hotkey: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) signature: &'a str,
}

/// A header as text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

impl App {
    /// The registered hotkey that signed a request.
    pub(crate) fn miner(&self, headers: &HeaderMap, signed: Signed<'_>) -> Result<String, Refusal> {
        let (Some(hotkey), Some(nonce), Some(signature)) =
            (text(headers, "x-chutes-hotkey"), text(headers, "x-chutes-nonce"), text(headers, "x-chutes-signature"))
        else {
            return Err(Refusal::bad_signature("Can't find a user with that api key in our db :("));
        };
        self.check(Credentials { hotkey, nonce, signature }, signed)
    }

    /// Checks nonce, signature and registration, in this order.
    pub(crate) fn check(&self, from: Credentials<'_>, signed: Signed<'_>) -> Result<String, Refusal> {
        let Credentials { hotkey, nonce, signature } = from;
        let world = self.world();
        let digits = !nonce.is_empty() && nonce.bytes().all(|b| b.is_ascii_digit());
        let fresh = digits && nonce.parse::<i64>().is_ok_and(|nonce| world.now().as_second().abs_diff(nonce) < MAX_AGE);
        if !fresh {
            return Err(Refusal::bad_signature("Invalid nonce!"));
        }
        let last = match signed {
            Signed::Purpose(word) => word.to_owned(),
            Signed::Body(bytes) => hex::encode(Sha256::digest(bytes)),
        };
        let expected = format!("{hotkey}:{nonce}:{last}");
        let raw = hex::decode(signature).map_err(|_| {
            Refusal::bad_signature("Invalid signature: non-hexadecimal number found in fromhex() arg at position 1".to_owned())
        })?;
        if !keys::verified(hotkey, &expected, &raw) {
            return Err(Refusal::bad_signature(format!("Invalid request signature for hotkey {hotkey}. Message: {expected}")));
        }
        if !world.miners.contains_key(hotkey) {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "Hotkey is not registered on netuid 64"));
        }
        Ok(hotkey.to_owned())
    }
}
