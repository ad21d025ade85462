//! The node key: what this server proves itself with.

use protocol::ids::Ss58;
use protocol::key::{Keypair, Seed};
use protocol::sign::fingerprint;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The node key. `Debug` shows only its address.
#[derive(Clone, Debug)]
pub struct Identity {
    key: Arc<Keypair>,
}

impl Identity {
    /// A new key, and the text to keep it as.
    #[must_use]
    pub fn generate() -> (Self, Zeroizing<String>) {
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        let digits: Zeroizing<String> = Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
        (Self { key: Arc::new(Keypair::from_seed(&Seed::from_bytes(*bytes))) }, digits)
    }

    /// From the text of [`Identity::generate`].
    ///
    /// # Errors
    /// Not 64 hexadecimal digits; the text is not repeated.
    pub fn from_hex(text: &str) -> Result<Self, String> {
        let seed: Seed = text.trim().parse().map_err(|error: protocol::key::SeedError| error.to_string())?;
        Ok(Self { key: Arc::new(Keypair::from_seed(&seed)) })
    }

    /// The key itself, for signing.
    #[must_use]
    pub fn key(&self) -> &Keypair {
        &self.key
    }

    /// The address of the key, which the control plane pins.
    #[must_use]
    pub fn address(&self) -> &Ss58 {
        self.key.address()
    }

    /// A short form of the address for people to compare at enrolment: the start of its SHA-256, in groups of four.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(self.address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_key_is_the_same_key() {
        let (made, text) = Identity::generate();
        assert_eq!(Identity::from_hex(&text).unwrap().address(), made.address());
        assert!(!format!("{made:?}").contains(text.as_str()));
    }

    #[test]
    fn fingerprints_differ_by_key() {
        let (one, other) = (Identity::generate().0, Identity::generate().0);
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert_eq!(one.fingerprint().len(), 19);
    }
}
