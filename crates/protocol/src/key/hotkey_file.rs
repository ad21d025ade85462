//! The JSON file in which wallets keep a hotkey.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Keypair, Seed, SeedError};
use crate::ids::Ss58;

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
    #[error(
        "the hotkey file is encrypted; write it without a password with: chutes-miner wallet convert --file FILE --to plain --out FILE"
    )]
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
    /// `ss58Address` is malformed. Only why: people put secrets into the wrong field, and no text of the file is shown.
    #[error("ss58Address is no SS58 address: {0}")]
    Address(String),
    /// `privateKey` stands beside a seed that has another address.
    #[error("privateKey does not belong to {0}, the address of the seed beside it")]
    OtherPrivateKey(Ss58),
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
    /// Reads a wallet's JSON: `ss58Address` with `secretSeed` (32 bytes), `privateKey` (64 bytes) or both. Empty ones count as absent.
    ///
    /// # Errors
    /// See [`HotkeyFileError`].
    pub fn parse(text: &str) -> Result<Self, HotkeyFileError> {
        if ["$NACL", "$ANSIBLE_VAULT", "gAAAAA"].iter().any(|mark| text.starts_with(mark)) {
            return Err(HotkeyFileError::Encrypted);
        }
        // The text of serde's own error can quote the value, which may be the secret: only the place is passed on.
        let fields: Fields = serde_json::from_str(text).map_err(|e| HotkeyFileError::NotJson { line: e.line(), column: e.column() })?;
        let stated = fields.address.as_deref().map(str::parse::<Ss58>).transpose().map_err(|error| HotkeyFileError::Address(error.why))?;
        let mut seed = None;
        let private_key = said(fields.private_key.as_ref());
        let candidates = match (said(fields.seed.as_ref()), private_key) {
            (Some(text), _) if !is_expanded(text) => vec![Keypair::from_seed(seed.insert(text.parse::<Seed>()?))],
            (Some(expanded), _) | (None, Some(expanded)) => expanded_keys(expanded)?,
            (None, None) => return Err(HotkeyFileError::NoSecret),
        };
        let first = candidates.first().ok_or(HotkeyFileError::PrivateKey)?;
        let keypair = match stated {
            None => first.clone(),
            Some(stated) => match candidates.iter().find(|key| *key.address() == stated) {
                Some(key) => key.clone(),
                None => return Err(HotkeyFileError::OtherAddress { derived: first.address().clone(), stated }),
            },
        };
        // Some tools sign with one of the two, some with the other.
        if let Some(text) = private_key
            && !expanded_keys(text)?.iter().any(|key| key.address() == keypair.address())
        {
            return Err(HotkeyFileError::OtherPrivateKey(keypair.address().clone()));
        }
        Ok(Self { keypair, seed })
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

/// The text of a field, unless it is empty.
fn said(field: Option<&Hidden>) -> Option<&str> {
    field.map(|hidden| hidden.0.trim()).filter(|text| !text.is_empty())
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
    fn a_private_key_beside_a_seed_must_be_its_own() {
        let file = |private: &str| format!(r#"{{"ss58Address":"{ADDRESS}","secretSeed":"0x{SEED}","privateKey":"{private}"}}"#);
        for own in [expanded(false), format!("0x{}", expanded(true)), String::new(), " ".to_owned()] {
            assert_eq!(HotkeyFile::parse(&file(&own)).unwrap().address(), ADDRESS);
        }
        let other = hex::encode(*Keypair::generate().expanded());
        assert!(matches!(HotkeyFile::parse(&file(&other)), Err(HotkeyFileError::OtherPrivateKey(address)) if address == ADDRESS));
        assert!(matches!(HotkeyFile::parse(&file("rubbish")), Err(HotkeyFileError::PrivateKey)));
        let without_address = format!(r#"{{"secretSeed":"0x{SEED}","privateKey":"{other}"}}"#);
        assert!(matches!(HotkeyFile::parse(&without_address), Err(HotkeyFileError::OtherPrivateKey(_))));
    }

    #[test]
    fn an_empty_secret_is_none() {
        let private = expanded(false);
        let file = HotkeyFile::parse(&format!(r#"{{"ss58Address":"{ADDRESS}","secretSeed":"","privateKey":"{private}"}}"#)).unwrap();
        assert_eq!((file.address().as_str(), file.seed().is_some()), (ADDRESS, false));
        assert!(matches!(HotkeyFile::parse(r#"{"secretSeed":"","privateKey":""}"#), Err(HotkeyFileError::NoSecret)));
    }

    #[test]
    fn errors_never_quote_the_secret() {
        for file in [
            format!(r#"{{"ss58Address":"{SEED}","secretSeed":"{SEED}"}}"#),
            format!(r#"{{"ss58Address":"{}","secretSeed":"{SEED}"}}"#, &SEED[..40]),
            format!(r#"{{"ss58Address":"{SEED}"}}"#),
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
