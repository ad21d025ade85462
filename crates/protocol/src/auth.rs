//! Signed requests, the receiving side: is this request the one a known signer sent just now?
//!
//! Pure: the caller brings headers, body hash and clock. Whether the same request was seen before is the caller's to
//! remember, by [`Signature::replay_key`], for the length of the window. Malformed input is an [`AuthError`], never a
//! panic.

use subtle::{Choice, ConstantTimeEq};

use crate::ids::Ss58;
use crate::key::{Signature, verify};
use crate::sign::{self, Purpose, four_part_text, three_part_text};

/// How far a nonce may lie in the past or in the future, in seconds.
pub const WINDOW_S: i64 = 30;

/// The headers of a signed request, as they came; `None` where absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeaderView<'a> {
    /// `X-Chutes-Hotkey` (three-part requests).
    pub hotkey: Option<&'a str>,
    /// `X-Chutes-Miner` (four-part requests).
    pub miner: Option<&'a str>,
    /// `X-Chutes-Validator` (four-part requests): the signer.
    pub validator: Option<&'a str>,
    /// `X-Chutes-Nonce`.
    pub nonce: Option<&'a str>,
    /// `X-Chutes-Signature`.
    pub signature: Option<&'a str>,
}

impl<'a> HeaderView<'a> {
    /// Collects the headers with a lookup by name, such as a closure over an HTTP library's header map.
    pub fn collect(mut get: impl FnMut(&'static str) -> Option<&'a str>) -> Self {
        Self {
            hotkey: get(sign::HOTKEY_HEADER),
            miner: get(sign::MINER_HEADER),
            validator: get(sign::VALIDATOR_HEADER),
            nonce: get(sign::NONCE_HEADER),
            signature: get(sign::SIGNATURE_HEADER),
        }
    }
}

/// A request that is what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who signed.
    pub signer: Ss58,
    /// When, Unix seconds.
    pub nonce: i64,
    /// The signature, for noticing replays.
    pub signature: Signature,
}

/// Why a request is refused. All are 401; the texts may be shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// A header is absent or empty.
    #[error("go away (missing): the header {0} is missing")]
    Missing(&'static str),
    /// The request is about another miner.
    #[error("go away (missing): this is not the control plane of that miner")]
    OtherMiner,
    /// The signer is not one of those allowed here.
    #[error("go away (missing): that signer is not allowed here")]
    OtherSigner,
    /// The signer is no address.
    #[error("go away (malformed): the signer is not an SS58 address")]
    MalformedSigner,
    /// The nonce is not Unix seconds in plain digits.
    #[error("go away (malformed): the nonce must be Unix seconds in decimal digits")]
    MalformedNonce,
    /// The signature is not 128 hexadecimal digits.
    #[error("go away (malformed): the signature must be 128 hexadecimal digits without 0x")]
    MalformedSignature,
    /// Signed too long ago.
    #[error("go away (stale): signed {0} s ago, at most {WINDOW_S} s are allowed; check your clock")]
    Stale(i64),
    /// Signed in the future.
    #[error("go away (early): signed {0} s in the future, at most {WINDOW_S} s are allowed; check your clock")]
    Early(i64),
    /// The signature is not the signer's, or not over this request.
    #[error("go away: (sig): the signature does not fit; it should sign {expected:?}")]
    BadSignature {
        /// The text that should have been signed.
        expected: String,
    },
}

impl AuthError {
    /// The HTTP status of the refusal.
    pub fn status(&self) -> u16 {
        401
    }
}

/// Checks a four-part request to a control plane or an agent.
///
/// `method_has_body` is true for POST, PUT and PATCH: then `body_sha256` (small hexadecimal digits, see
/// [`sign::sha256_hex`]) is what must be signed and the purpose counts for nothing, even if the body is empty.
pub fn verify_management(
    headers: &HeaderView<'_>,
    method_has_body: bool,
    body_sha256: &str,
    purpose: Purpose,
    expected_miner: &Ss58,
    allowed_signers: &[Ss58],
    unix_now: i64,
) -> Result<Verified, AuthError> {
    let miner = present(headers.miner, sign::MINER_HEADER)?;
    let signer = present(headers.validator, sign::VALIDATOR_HEADER)?;
    let nonce = present(headers.nonce, sign::NONCE_HEADER)?;
    let signature = present(headers.signature, sign::SIGNATURE_HEADER)?;
    if !bool::from(same(miner, expected_miner.as_str())) {
        return Err(AuthError::OtherMiner);
    }
    // Every allowed signer is compared, so that the time taken does not tell which one matched.
    let allowed = allowed_signers.iter().fold(Choice::from(0), |any, known| any | same(signer, known.as_str()));
    if !bool::from(allowed) {
        return Err(AuthError::OtherSigner);
    }
    let last = if method_has_body { body_sha256 } else { purpose.as_str() };
    let text = four_part_text(miner, signer, nonce, last);
    finish(signer, nonce, signature, text, WINDOW_S, unix_now)
}

/// Checks a three-part request, as validators and attestation proxies receive them, against the wanted last part
/// (a purpose word or a body's SHA-256). `window_s` is 30 on nodes and 600 at validators.
pub fn verify_hotkey(headers: &HeaderView<'_>, last_part: &str, window_s: i64, unix_now: i64) -> Result<Verified, AuthError> {
    let signer = present(headers.hotkey, sign::HOTKEY_HEADER)?;
    let nonce = present(headers.nonce, sign::NONCE_HEADER)?;
    let signature = present(headers.signature, sign::SIGNATURE_HEADER)?;
    let text = three_part_text(signer, nonce, last_part);
    finish(signer, nonce, signature, text, window_s, unix_now)
}

fn present<'a>(value: Option<&'a str>, name: &'static str) -> Result<&'a str, AuthError> {
    value.filter(|v| !v.is_empty()).ok_or(AuthError::Missing(name))
}

fn same(a: &str, b: &str) -> Choice {
    a.as_bytes().ct_eq(b.as_bytes())
}

fn finish(signer: &str, nonce: &str, signature: &str, text: String, window_s: i64, unix_now: i64) -> Result<Verified, AuthError> {
    let signer: Ss58 = signer.parse().map_err(|_| AuthError::MalformedSigner)?;
    let nonce = parse_nonce(nonce)?;
    let age = unix_now.saturating_sub(nonce);
    if age >= window_s {
        return Err(AuthError::Stale(age));
    }
    if age < -window_s {
        return Err(AuthError::Early(age.saturating_neg()));
    }
    let signature: Signature = signature.parse().map_err(|_| AuthError::MalformedSignature)?;
    if !verify(&signer, text.as_bytes(), &signature) {
        return Err(AuthError::BadSignature { expected: text });
    }
    Ok(Verified { signer, nonce, signature })
}

/// Plain digits only: other spellings of the same number would be other signed texts, and confuse whoever compares.
fn parse_nonce(text: &str) -> Result<i64, AuthError> {
    if text.len() > 18 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AuthError::MalformedNonce);
    }
    text.parse().map_err(|_| AuthError::MalformedNonce)
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
