//! Signing and verifying with the context "substrate", as wallets and validators do.

use std::fmt;

use schnorrkel::derive::{ChainCode, Derivation as _};
use schnorrkel::{ExpansionMode, MiniSecretKey, PublicKey, SecretKey};
use zeroize::Zeroizing;

use super::{Seed, Signature};
use crate::ids::Ss58;

const CONTEXT: &[u8] = b"substrate";

/// A key that can sign. `Debug` shows only the address.
#[derive(Clone)]
pub struct Keypair {
    pair: schnorrkel::Keypair,
    address: Ss58,
}

impl Keypair {
    /// The key that grows from a seed (Ed25519-style expansion, as Substrate wallets do).
    pub fn from_seed(seed: &Seed) -> Self {
        let mini = MiniSecretKey::from_bytes(seed.expose()).expect("any 32 bytes are a mini secret");
        Self::new(mini.expand_to_keypair(ExpansionMode::Ed25519))
    }

    /// A fresh random key: for tests, and for keys that need not outlive a process.
    pub fn generate() -> Self {
        Self::new(MiniSecretKey::generate().expand_to_keypair(ExpansionMode::Ed25519))
    }

    /// From the 64 bytes of an expanded secret (scalar and nonce, canonical bytes, as wallet files hold them).
    /// `None` if they are not that.
    pub fn from_expanded(bytes: &[u8]) -> Option<Self> {
        Some(Self::new(SecretKey::from_bytes(bytes).ok()?.to_keypair()))
    }

    /// From the same 64 bytes in the Ed25519 spelling, which some exporters write. `None` if they are not that.
    pub fn from_expanded_ed25519(bytes: &[u8]) -> Option<Self> {
        Some(Self::new(SecretKey::from_ed25519_bytes(bytes).ok()?.to_keypair()))
    }

    /// The 64 bytes that [`Keypair::from_expanded`] reads, for whoever writes them into a wallet's file.
    pub fn expanded(&self) -> Zeroizing<[u8; 64]> {
        Zeroizing::new(self.pair.secret.to_bytes())
    }

    /// The seed of the key behind a hard junction (`//name`), as Substrate derives it.
    pub fn hard_junction(&self, chain_code: [u8; 32]) -> Seed {
        let (mini, _) = self.pair.secret.hard_derive_mini_secret_key(Some(ChainCode(chain_code)), b"");
        Seed::from_bytes(mini.to_bytes())
    }

    /// The key behind a soft junction (`/name`), as Substrate derives it. It has no seed.
    #[must_use]
    pub fn soft_junction(&self, chain_code: [u8; 32]) -> Self {
        Self::new(self.pair.derived_key_simple(ChainCode(chain_code), b"").0)
    }

    fn new(pair: schnorrkel::Keypair) -> Self {
        let address = Ss58::from_public_key(&pair.public.to_bytes());
        Self { pair, address }
    }

    /// The address of this key.
    pub fn address(&self) -> &Ss58 {
        &self.address
    }

    /// Signs a message. Signatures are randomised: two of the same message differ.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(self.pair.sign_simple(CONTEXT, message).to_bytes())
    }
}

impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keypair({})", self.address)
    }
}

/// Whether `signature` is `signer`'s, over `message` as it stands or wrapped in `<Bytes>..</Bytes>` (browser wallets
/// wrap what they are given, and the network's own verifiers accept both).
pub fn verify(signer: &Ss58, message: &[u8], signature: &Signature) -> bool {
    let Ok(key) = PublicKey::from_bytes(&signer.public_key()) else { return false };
    let Ok(signature) = schnorrkel::Signature::from_bytes(signature.as_bytes()) else { return false };
    if key.verify_simple(CONTEXT, message, &signature).is_ok() {
        return true;
    }
    let wrapped = [b"<Bytes>", message, b"</Bytes>"].concat();
    key.verify_simple(CONTEXT, &wrapped, &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "e031170f32b4cda05df2f3cf6bc8d7687b683bbce23d9fa960c0b3fc21641b8a";
    const ADDRESS: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";

    fn key() -> Keypair {
        Keypair::from_seed(&SEED.parse().unwrap())
    }

    #[test]
    fn the_golden_seed_has_the_golden_address() {
        assert_eq!(key().address(), ADDRESS);
    }

    #[test]
    fn signatures_of_the_existing_miner_verify() {
        let s = ADDRESS;
        let vectors = [
            (
                format!("{s}:{s}:1700000000:management"),
                "20e61bfcab1fc9c37063390bee3a691ed97e2274c0179715d99f66ef053692121e68d29aa4ca3b211a4b5132dd5908b410512f9810d432df773b9675d15d9c8a",
            ),
            (
                format!("{s}:{s}:1700000000:kubeconfig"),
                "e881d0aab03a2ff8d93f1136f5b6419961bf454c57a7147f0d028b0aa7f5d43c6ed237d7441d748da166484e97d4acc8eba2b0910ad2ab872e33d39c7e6caa8f",
            ),
            (
                format!("{s}:{s}:1700000000:8baa73198470c7bb4c3ce142a8fd651affc0310d878bb9bd159e37a573fb4874"),
                "7aad52ded1b3337baed66a315fb74bd6820351d992649b0f272bb399c01b1e6fa976afe7045accbc78e12543fc39af4837ebf0ffed3974272aab26a695ed3483",
            ),
        ];
        for (message, signature) in vectors {
            let signature: Signature = signature.parse().unwrap();
            assert!(verify(key().address(), message.as_bytes(), &signature), "{message}");
            assert!(!verify(key().address(), format!("{message} ").as_bytes(), &signature));
        }
    }

    #[test]
    fn a_wrapped_message_verifies_too() {
        let signature = key().sign(b"<Bytes>hello</Bytes>");
        assert!(verify(key().address(), b"hello", &signature));
    }

    #[test]
    fn another_keys_signature_does_not_verify() {
        let signature = Keypair::generate().sign(b"hello");
        assert!(!verify(key().address(), b"hello", &signature));
    }

    #[test]
    fn debug_shows_only_the_address() {
        assert_eq!(format!("{:?}", key()), format!("Keypair({ADDRESS})"));
    }

    proptest::proptest! {
        #[test]
        fn verifying_rubbish_never_panics(key: [u8; 32], head: [u8; 32], tail: [u8; 32], message: Vec<u8>) {
            let mut bytes = [0; 64];
            bytes[..32].copy_from_slice(&head);
            bytes[32..].copy_from_slice(&tail);
            proptest::prop_assert!(!verify(&Ss58::from_public_key(&key), &message, &Signature::from_bytes(bytes)));
        }
    }
}
