//! The JSON file in which wallets keep a hotkey.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Keypair, Seed, SeedError};
use crate::ids::{IdError, Ss58};

/// A hotkey read from a wallet's file, checked against the address that stands beside it.
#[derive(Debug, Clone)]
pub struct HotkeyFile {
    keypair: Keypair,
    seed: Option<Seed>,
}

/// Why a hotkey file cannot be used. Never repeats a secret.
#[derive(Debug, thiserror::Error)]
pub enum HotkeyFileError {
    /// Wallets can encrypt a hotkey; this program does not ask for passwords.
    #[error("the hotkey file is encrypted; write it without a password with: chutes-miner wallet convert --to plain --out FILE")]
    Encrypted,
    /// Not the JSON a wallet writes.
    #[error("the file is not the JSON object a wallet writes (line {line}, column {column})")]
    NotJson {
        /// Line of the error.
        line: usize,
        /// Column of the error.
        column: usize,
    },
    /// Only an address.
    #[error("the file holds no secret: neither secretSeed nor privateKey")]
    NoSecret,
    /// `secretSeed` is malformed.
    #[error("secretSeed: {0}")]
    Seed(#[from] SeedError),
    /// `privateKey` is malformed.
    #[error("privateKey is not 64 bytes of an sr25519 secret, in hexadecimal")]
    PrivateKey,
    /// `ss58Address` is malformed.
    #[error("ss58Address: {0}")]
    Address(#[from] IdError),
    /// The secret belongs to another address.
    #[error("the secret in the file belongs to {derived}, but ss58Address says {stated}")]
    OtherAddress {
        /// The address of the secret.
        derived: Ss58,
        /// The address in the file.
        stated: Ss58,
    },
}

#[derive(Deserialize)]
struct Fields {
    // Some old wallets wrote the name with a blank before it.
    #[serde(rename = "ss58Address", alias = " ss58Address")]
    address: Option<String>,
    #[serde(rename = "secretSeed")]
    seed: Option<Hidden>,
    #[serde(rename = "privateKey")]
    private_key: Option<Hidden>,
}

/// A secret as text, wiped when dropped.
#[derive(Deserialize, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
#[serde(transparent)]
struct Hidden(String);

impl HotkeyFile {
    /// Reads a wallet's JSON: `ss58Address` with `secretSeed` (32 bytes) or `privateKey` (64 bytes); the seed wins.
    pub fn parse(text: &str) -> Result<Self, HotkeyFileError> {
        if ["$NACL", "$ANSIBLE_VAULT", "gAAAAA"].iter().any(|mark| text.starts_with(mark)) {
            return Err(HotkeyFileError::Encrypted);
        }
        // The text of serde's own error can quote the value, which may be the secret: only the place is passed on.
        let fields: Fields = serde_json::from_str(text).map_err(|e| HotkeyFileError::NotJson { line: e.line(), column: e.column() })?;
        let stated = fields.address.as_deref().map(str::parse::<Ss58>).transpose()?;
        let mut seed = None;
        let candidates = match (fields.seed.as_ref().map(|s| s.0.as_str()), fields.private_key.as_ref().map(|s| s.0.as_str())) {
            (Some(text), _) if !is_expanded(text) => vec![Keypair::from_seed(seed.insert(text.parse::<Seed>()?))],
            (Some(expanded), _) | (None, Some(expanded)) => expanded_keys(expanded)?,
            (None, None) => return Err(HotkeyFileError::NoSecret),
        };
        let first = candidates.first().ok_or(HotkeyFileError::PrivateKey)?;
        let Some(stated) = stated else { return Ok(Self { keypair: first.clone(), seed }) };
        match candidates.iter().find(|key| *key.address() == stated) {
            Some(key) => Ok(Self { keypair: key.clone(), seed }),
            None => Err(HotkeyFileError::OtherAddress { derived: first.address().clone(), stated }),
        }
    }

    /// The seed the key grew from, if the file holds it.
    pub fn seed(&self) -> Option<&Seed> {
        self.seed.as_ref()
    }

    /// The key.
    pub fn keypair(&self) -> &Keypair {
        &self.keypair
    }

    /// The key, taken out.
    pub fn into_keypair(self) -> Keypair {
        self.keypair
    }

    /// The address of the key.
    pub fn address(&self) -> &Ss58 {
        self.keypair.address()
    }
}

fn digits(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix("0x").unwrap_or(text)
}

fn is_expanded(text: &str) -> bool {
    digits(text).len() == 128
}

/// Both readings of 64 secret bytes; the stated address tells which one the wallet meant.
fn expanded_keys(text: &str) -> Result<Vec<Keypair>, HotkeyFileError> {
    let mut bytes = Zeroizing::new([0u8; 64]);
    hex::decode_to_slice(digits(text), bytes.as_mut_slice()).map_err(|_| HotkeyFileError::PrivateKey)?;
    let keys: Vec<_> =
        [Keypair::from_expanded(bytes.as_slice()), Keypair::from_expanded_ed25519(bytes.as_slice())].into_iter().flatten().collect();
    if keys.is_empty() { Err(HotkeyFileError::PrivateKey) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "e031170f32b4cda05df2f3cf6bc8d7687b683bbce23d9fa960c0b3fc21641b8a";
    const ADDRESS: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";

    fn expanded(ed25519: bool) -> String {
        let mini = schnorrkel::MiniSecretKey::from_bytes(&hex::decode(SEED).unwrap()).unwrap();
        let secret = mini.expand(schnorrkel::ExpansionMode::Ed25519);
        hex::encode(if ed25519 { secret.to_ed25519_bytes() } else { secret.to_bytes() })
    }

    #[test]
    fn a_seed_file_is_read() {
        let file = format!(r#"{{"accountId":"0x1","ss58Address":"{ADDRESS}","secretSeed":"0x{SEED}","secretPhrase":null}}"#);
        assert_eq!(HotkeyFile::parse(&file).unwrap().address(), ADDRESS);
    }

    #[test]
    fn a_private_key_file_is_read_in_both_spellings() {
        for ed25519 in [false, true] {
            let file = format!(r#"{{"ss58Address":"{ADDRESS}","privateKey":"0x{}"}}"#, expanded(ed25519));
            let file = HotkeyFile::parse(&file).unwrap();
            let signature = file.keypair().sign(b"m");
            assert!(super::super::verify(file.address(), b"m", &signature));
            assert_eq!(file.address(), ADDRESS);
        }
    }

    #[test]
    fn a_secret_of_another_address_is_refused() {
        let other = Keypair::generate();
        let file = format!(r#"{{"ss58Address":"{}","secretSeed":"{SEED}"}}"#, other.address());
        assert!(matches!(HotkeyFile::parse(&file), Err(HotkeyFileError::OtherAddress { .. })));
    }

    #[test]
    fn errors_never_quote_the_secret() {
        for file in [
            format!(r#"{{"secretSeed":"{SEED}ff"}}"#),
            format!(r#"{{"secretSeed":{{"{SEED}":1}}}}"#),
            format!(r#"{{"privateKey":"{SEED}"}}"#),
            format!("\"{SEED}\""),
        ] {
            let error = HotkeyFile::parse(&file).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(&SEED[..8]), "{error}");
        }
        assert!(matches!(HotkeyFile::parse("$NACL..."), Err(HotkeyFileError::Encrypted)));
        assert!(matches!(HotkeyFile::parse("{}"), Err(HotkeyFileError::NoSecret)));
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text in ".*", seed in ".*") {
            let _ = HotkeyFile::parse(&text);
            let _ = HotkeyFile::parse(&serde_json::json!({ "secretSeed": seed, "privateKey": seed }).to_string());
        }
    }
}
