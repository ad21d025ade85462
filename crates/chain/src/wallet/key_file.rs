//! What the bytes of a key file say.

use protocol::ids::Ss58;
use protocol::key::{HotkeyFile, HotkeyFileError, Keypair, Seed};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::key::public_hex;
use super::{Form, Phrase, PhraseError, Sealed, WalletKey};

/// The content of a key file, checked against the address that stands in it.
#[derive(Debug, Clone)]
pub enum KeyFile {
    /// A key that can sign.
    Key(Box<WalletKey>),
    /// An address without a secret, as in `coldkeypub.txt`.
    Public(Ss58),
    /// A password opens it.
    Sealed(Sealed),
}

/// Why bytes are no key file. Never repeats a secret.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Neither JSON nor text of any other known form.
    #[error("this is no key file: neither a wallet's JSON, nor one of the encrypted forms, nor a bare seed or phrase")]
    Unknown,
    /// A browser wallet's export.
    #[error("this is an export of a browser wallet, not a key file; read it in with: chutes-miner wallet regen KIND --polkadot-json FILE")]
    PolkadotExport,
    /// ed25519 keys have the same file.
    #[error("this key is of {0}; only sr25519 (1) can be used for hotkeys and coldkeys here")]
    OtherCurve(String),
    /// `secretPhrase` is malformed.
    #[error("secretPhrase: {0}")]
    Phrase(#[from] PhraseError),
    /// Seed, private key or address are malformed or contradict each other.
    #[error("{0}")]
    Fields(#[from] HotkeyFileError),
    /// `ss58Address` is malformed. Only why: people put secrets into the wrong field, and no text of the file is shown.
    #[error("ss58Address is no SS58 address: {0}")]
    Address(String),
    /// `publicKey` or `accountId` is malformed or belongs to another address.
    #[error("{field} is not the public key of the address in the file, {address}")]
    OtherPublicKey {
        /// Which of the two.
        field: &'static str,
        /// The address that the rest of the file agrees on.
        address: Ss58,
    },
    /// The words are those of another key.
    #[error("secretPhrase belongs to {phrase}, but the rest of the file to {stated}")]
    OtherPhrase {
        /// The address of the words.
        phrase: Ss58,
        /// The address of the rest.
        stated: Ss58,
    },
}

/// What [`HotkeyFile`] does not read.
#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "ss58Address", alias = " ss58Address")]
    address: Option<String>,
    #[serde(rename = "publicKey")]
    public_key: Option<String>,
    #[serde(rename = "accountId")]
    account_id: Option<String>,
    #[serde(rename = "secretPhrase")]
    phrase: Option<Hidden>,
    #[serde(rename = "cryptoType")]
    curve: Option<serde_json::Value>,
    encoded: Option<Hidden>,
}

/// A secret as text, wiped when dropped.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
struct Hidden(String);

impl KeyFile {
    /// Reads the bytes of a key file of any form.
    ///
    /// # Errors
    /// See [`KeyFileError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFileError> {
        match Form::of(bytes) {
            Form::Plain => Self::parse_plain(bytes),
            form => Ok(Self::Sealed(Sealed::new(form, bytes))),
        }
    }

    /// Reads what stands in a plain file or was opened from a sealed one.
    pub(super) fn parse_plain(bytes: &[u8]) -> Result<Self, KeyFileError> {
        let text = std::str::from_utf8(bytes).map_err(|_| KeyFileError::Unknown)?;
        // Editors of other systems put a mark there, which no JSON may have.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if !text.trim_start().starts_with('{') {
            return bare(text);
        }
        let at = |e: &serde_json::Error| HotkeyFileError::NotJson { line: e.line(), column: e.column() };
        let fields: Fields = serde_json::from_str(text).map_err(|error| at(&error))?;
        if fields.encoded.is_some() && fields.phrase.is_none() {
            return Err(KeyFileError::PolkadotExport);
        }
        check_curve(fields.curve.as_ref())?;
        let stated = fields.address.as_deref().map(str::parse::<Ss58>).transpose().map_err(|error| KeyFileError::Address(error.why))?;
        let phrase = match fields.phrase.as_ref().filter(|phrase| !phrase.0.trim().is_empty()) {
            Some(phrase) => Some(Phrase::parse(&phrase.0)?),
            None => None,
        };
        let file = match (HotkeyFile::parse(text), phrase) {
            (Ok(file), phrase) => Self::Key(Box::new(with_phrase(&file, phrase)?)),
            (Err(HotkeyFileError::NoSecret), Some(phrase)) => {
                let key = WalletKey::from_phrase(phrase);
                agree(key.address(), stated.as_ref())?;
                Self::Key(Box::new(key))
            }
            (Err(HotkeyFileError::NoSecret), None) => Self::Public(public_address(&fields, stated)?),
            (Err(error), _) => return Err(error.into()),
        };
        if let Some(address) = file.address() {
            check_public(&fields, address)?;
        }
        Ok(file)
    }

    /// The address, unless a password hides it.
    pub fn address(&self) -> Option<&Ss58> {
        match self {
            Self::Key(key) => Some(key.address()),
            Self::Public(address) => Some(address),
            Self::Sealed(_) => None,
        }
    }
}

/// The public half of a key file: JSON as in `coldkeypub.txt`.
pub fn public_json(address: &Ss58) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Public<'a> {
        account_id: &'a str,
        public_key: &'a str,
        ss58_address: &'a str,
    }
    let key = public_hex(address);
    let fields = Public { account_id: &key, public_key: &key, ss58_address: address.as_str() };
    serde_json::to_vec(&fields).expect("text fields are always JSON")
}

/// Wallets before JSON, and people, write nothing but the secret.
fn bare(text: &str) -> Result<KeyFile, KeyFileError> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let key = if !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_hexdigit()) {
        if digits.len() == 128 {
            let mut bytes = Zeroizing::new([0; 64]);
            hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| HotkeyFileError::PrivateKey)?;
            WalletKey::from_keypair(Keypair::from_expanded(bytes.as_slice()).ok_or(HotkeyFileError::PrivateKey)?)
        } else {
            WalletKey::from_seed(digits.parse::<Seed>().map_err(HotkeyFileError::Seed)?)
        }
    } else if text.contains(' ') && text.bytes().all(|c| c.is_ascii_alphabetic() || c.is_ascii_whitespace()) {
        WalletKey::from_phrase(Phrase::parse(text)?)
    } else {
        return Err(KeyFileError::Unknown);
    };
    Ok(KeyFile::Key(Box::new(key)))
}

/// Writers put a number, a number as text, or nothing.
fn check_curve(stated: Option<&serde_json::Value>) -> Result<(), KeyFileError> {
    let text = match stated {
        None | Some(serde_json::Value::Null) => return Ok(()),
        Some(serde_json::Value::String(text)) => text.trim().to_ascii_lowercase(),
        Some(serde_json::Value::Number(number)) => number.to_string(),
        Some(_) => String::new(),
    };
    match text.as_str() {
        "1" | "sr25519" => Ok(()),
        // Quoted in the error, so nothing else may come from the file: people put secrets into the wrong field.
        known @ ("0" | "2" | "ed25519" | "ecdsa") => Err(KeyFileError::OtherCurve(format!("cryptoType {known}"))),
        _ => Err(KeyFileError::OtherCurve("an unknown cryptoType".to_owned())),
    }
}

fn with_phrase(file: &HotkeyFile, phrase: Option<Phrase>) -> Result<WalletKey, KeyFileError> {
    let mut seed = file.seed().cloned();
    if let Some(phrase) = &phrase {
        let grown = phrase.seed("");
        let key = Keypair::from_seed(&grown);
        if key.address() != file.address() {
            return Err(KeyFileError::OtherPhrase { phrase: key.address().clone(), stated: file.address().clone() });
        }
        seed = Some(grown);
    }
    Ok(WalletKey { keypair: file.keypair().clone(), seed, phrase })
}

fn agree(phrase: &Ss58, stated: Option<&Ss58>) -> Result<(), KeyFileError> {
    match stated {
        Some(stated) if stated != phrase => Err(KeyFileError::OtherPhrase { phrase: phrase.clone(), stated: stated.clone() }),
        _ => Ok(()),
    }
}

/// The address of a file without a secret; some have only the public key.
fn public_address(fields: &Fields, stated: Option<Ss58>) -> Result<Ss58, KeyFileError> {
    let key = || fields.public_key.as_deref().or(fields.account_id.as_deref()).and_then(public_key);
    stated.or_else(|| key().map(|key| Ss58::from_public_key(&key))).ok_or(KeyFileError::Fields(HotkeyFileError::NoSecret))
}

fn check_public(fields: &Fields, address: &Ss58) -> Result<(), KeyFileError> {
    for (field, value) in [("publicKey", &fields.public_key), ("accountId", &fields.account_id)] {
        // Wallets of other chains leave them empty.
        let Some(value) = value.as_deref().filter(|value| !value.is_empty()) else { continue };
        if public_key(value) != Some(address.public_key()) {
            return Err(KeyFileError::OtherPublicKey { field, address: address.clone() });
        }
    }
    Ok(())
}

fn public_key(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim().trim_start_matches("0x"), &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
#[path = "key_file_tests.rs"]
mod tests;
