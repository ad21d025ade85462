//! Launch tokens: HS256 over the claims of validator-protocol 1.7. Signed and checked here only.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest, Sha256};

const BLOCK: usize = 64;

/// A signed token carrying `claims`.
pub(crate) fn sign(key: &str, claims: &Value) -> String {
    let head = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let text = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mac = URL_SAFE_NO_PAD.encode(hmac_sha256(key.as_bytes(), text.as_bytes()));
    format!("{text}.{mac}")
}

/// The claims of a token whose signature is right. Expiry is the caller's to judge, on its own clock.
pub(crate) fn open(key: &str, token: &str) -> Option<Value> {
    let (text, mac) = token.rsplit_once('.')?;
    let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
    if mac != hmac_sha256(key.as_bytes(), text.as_bytes()) {
        return None;
    }
    claims(token)
}

/// The claims of a token, unchecked: for the request log.
pub(crate) fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_that_of_rfc_4231() {
        let mac = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex::encode(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_changed_token_does_not_open() {
        let token = sign("key", &serde_json::json!({"sub": "a"}));
        assert_eq!(open("key", &token).expect("good")["sub"], "a");
        assert!(open("other", &token).is_none());
        let (text, mac) = token.rsplit_once('.').expect("three parts");
        assert!(open("key", &format!("{text}x.{mac}")).is_none());
        assert!(open("key", "no token").is_none());
    }
}
