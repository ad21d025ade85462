//! A key with what it grew from.

use protocol::ids::Ss58;
use protocol::key::{Keypair, Seed};
use serde::Serialize;
use zeroize::Zeroizing;

use super::Phrase;

/// A key that can sign, with the seed and the words it grew from as far as they are known. `Debug` shows only the address.
#[derive(Debug, Clone)]
pub struct WalletKey {
    pub(super) keypair: Keypair,
    pub(super) seed: Option<Seed>,
    pub(super) phrase: Option<Phrase>,
}

impl WalletKey {
    /// The key of a phrase.
    pub fn from_phrase(phrase: Phrase) -> Self {
        let seed = phrase.seed("");
        Self { keypair: Keypair::from_seed(&seed), seed: Some(seed), phrase: Some(phrase) }
    }

    /// The key of a seed.
    pub fn from_seed(seed: Seed) -> Self {
        Self { keypair: Keypair::from_seed(&seed), seed: Some(seed), phrase: None }
    }

    /// A key of which nothing else is known.
    pub fn from_keypair(keypair: Keypair) -> Self {
        Self { keypair, seed: None, phrase: None }
    }

    /// The address.
    pub fn address(&self) -> &Ss58 {
        self.keypair.address()
    }

    /// What signs.
    pub fn keypair(&self) -> &Keypair {
        &self.keypair
    }

    /// What signs, taken out.
    pub fn into_keypair(self) -> Keypair {
        self.keypair
    }

    /// Whether the seed is known. Tools that read `secretSeed` alone cannot use a key without it.
    pub fn has_seed(&self) -> bool {
        self.seed.is_some()
    }

    /// The words, if they are known.
    pub fn phrase(&self) -> Option<&Phrase> {
        self.phrase.as_ref()
    }

    /// The plain key file: JSON as the Python wallets write it, but without `cryptoType`, which their older readers (4.0 and before) take for
    /// damage when it is a number, and which every reader takes for sr25519 when it is absent.
    pub fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let public_key = public_hex(self.address());
        let private_key = prefixed(self.keypair.expanded().as_slice());
        let seed = self.seed.as_ref().map(|seed| prefixed(seed.expose()));
        let phrase = self.phrase.as_ref().map(Phrase::words);
        let fields = Fields {
            account_id: &public_key,
            public_key: &public_key,
            private_key: &private_key,
            secret_phrase: phrase.as_ref().map(|words| words.as_str()),
            secret_seed: seed.as_ref().map(|seed| seed.as_str()),
            ss58_address: self.address().as_str(),
        };
        // Larger than any key file, so that it is never moved and left behind.
        let mut json = Zeroizing::new(Vec::with_capacity(2048));
        serde_json::to_writer(&mut *json, &fields).expect("text fields are always JSON");
        json
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    account_id: &'a str,
    public_key: &'a str,
    private_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_phrase: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_seed: Option<&'a str>,
    ss58_address: &'a str,
}

/// The public key as key files spell it.
pub(super) fn public_hex(address: &Ss58) -> String {
    format!("0x{}", hex::encode(address.public_key()))
}

/// Bytes in hexadecimal digits behind `0x`.
fn prefixed(bytes: &[u8]) -> Zeroizing<String> {
    let mut digits = Zeroizing::new(vec![0; bytes.len() * 2]);
    hex::encode_to_slice(bytes, &mut digits).expect("twice as long as the bytes");
    let mut text = Zeroizing::new(String::with_capacity(2 + digits.len()));
    text.push_str("0x");
    text.extend(digits.iter().map(|digit| char::from(*digit)));
    text
}
