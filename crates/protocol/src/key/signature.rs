//! A signature as it travels: 128 hexadecimal digits without `0x`.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The 64 bytes of an sr25519 signature. Whether they sign anything, only [`verify`](super::verify) says.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 64]);

/// Why a text is no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a signature is 128 hexadecimal digits without 0x")]
pub struct SignatureError;

impl Signature {
    /// A signature from its bytes.
    pub fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// What to remember to notice the same request twice: a hash of the bytes, not of the text, since the same bytes
    /// can be spelled in small and capital letters.
    pub fn replay_key(&self) -> String {
        hex::encode(Sha256::digest(self.0))
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| SignatureError)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

// A signature is no lasting secret, but within its window it can be replayed: keep it out of logs.
impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}..)", hex::encode(&self.0[..4]))
    }
}
