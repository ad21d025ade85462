//! The JSON that browser wallets (Polkadot-JS and its kin) export, version 3.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::{KeyInit as _, XSalsa20Poly1305, aead::Aead as _};
use protocol::ids::Ss58;
use protocol::key::Keypair;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Password, WalletKey};

/// What comes before and between the two keys.
const HEAD: [u8; 16] = [48, 83, 2, 1, 1, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
const DIVIDER: [u8; 5] = [161, 35, 3, 33, 0];

/// N, p and r of scrypt that Polkadot-JS itself admits: a forged file must not ask for any amount of memory.
const COSTS: [(u32, u32, u32); 6] = [(1 << 13, 10, 8), (1 << 14, 5, 8), (1 << 15, 3, 8), (1 << 15, 1, 8), (1 << 16, 2, 8), (1 << 17, 1, 8)];

/// Why an export was not read. Never holds anything of what is inside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolkadotError {
    /// No such JSON.
    #[error("this is not the JSON of a browser wallet's export (line {line}, column {column})")]
    NotJson {
        /// Line of the error.
        line: usize,
        /// Column of the error.
        column: usize,
    },
    /// Another version, curve or cipher.
    #[error("exports of version 3 with an sr25519 key under scrypt and xsalsa20-poly1305 are understood, and this is another")]
    OtherEncoding,
    /// It contradicts itself or ends too early.
    #[error("the export is damaged: {0}")]
    Damaged(&'static str),
    /// The seal does not tell the two apart.
    #[error("the password is wrong (or the export is damaged)")]
    WrongPassword,
}

#[derive(Deserialize)]
struct Export {
    encoded: String,
    encoding: Encoding,
    address: String,
}

#[derive(Deserialize)]
struct Encoding {
    content: Vec<String>,
    r#type: Vec<String>,
    version: String,
}

/// Opens an export. Takes up to 128 MiB of memory.
///
/// # Errors
/// See [`PolkadotError`].
pub fn open_polkadot_export(json: &[u8], password: &Password) -> Result<WalletKey, PolkadotError> {
    open_with(json, |salt, costs| key(password, salt, costs))
}

/// Opens an export with what makes its key from salt and costs.
pub(super) fn open_with(
    json: &[u8],
    key: impl FnOnce(&[u8], (u32, u32, u32)) -> Option<Zeroizing<[u8; 32]>>,
) -> Result<WalletKey, PolkadotError> {
    let export: Export =
        serde_json::from_slice(json).map_err(|error| PolkadotError::NotJson { line: error.line(), column: error.column() })?;
    let Encoding { content, r#type, version } = &export.encoding;
    if version != "3" || content != &["pkcs8", "sr25519"] || r#type != &["scrypt", "xsalsa20-poly1305"] {
        return Err(PolkadotError::OtherEncoding);
    }
    let bytes = STANDARD.decode(export.encoded.trim()).map_err(|_| PolkadotError::Damaged("it is not base 64"))?;
    let short = PolkadotError::Damaged("it ends before its content begins");
    let Some((head, sealed)) = bytes.split_first_chunk::<68>() else { return Err(short) };
    let Some(nonce) = head.last_chunk::<24>() else { return Err(short) };
    let number = |at: usize| head.get(at..at + 4).map_or(0, |four| four.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
    let costs = (number(32), number(36), number(40));
    if !COSTS.contains(&costs) {
        return Err(PolkadotError::OtherEncoding);
    }
    let key = key(&head[..32], costs).ok_or(PolkadotError::OtherEncoding)?;
    let plain = XSalsa20Poly1305::new((&*key).into()).decrypt(nonce.into(), sealed);
    read(&Zeroizing::new(plain.map_err(|_| PolkadotError::WrongPassword)?), &export.address)
}

fn key(password: &Password, salt: &[u8], (n, p, r): (u32, u32, u32)) -> Option<Zeroizing<[u8; 32]>> {
    let params = scrypt::Params::new(u8::try_from(n.ilog2()).ok()?, r, p).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(password.expose().as_bytes(), salt, &params, key.as_mut_slice()).ok()?;
    Some(key)
}

/// What the seal hides.
pub(super) fn read(plain: &[u8], address: &str) -> Result<WalletKey, PolkadotError> {
    let parts = plain.strip_prefix(&HEAD).and_then(|rest| rest.split_at_checked(64));
    let parts = parts.and_then(|(secret, rest)| Some((secret, rest.strip_prefix(&DIVIDER)?)));
    let (secret, public) = parts.ok_or(PolkadotError::Damaged("inside is no key in PKCS#8"))?;
    let keypair = Keypair::from_expanded_ed25519(secret).ok_or(PolkadotError::Damaged("inside is no sr25519 secret"))?;
    if keypair.address().public_key() != public {
        return Err(PolkadotError::Damaged("its secret and its public key do not belong together"));
    }
    // Exports carry the prefix of the network they were made for: only an address that can be read is compared.
    if address.parse::<Ss58>().is_ok_and(|stated| stated != *keypair.address()) {
        return Err(PolkadotError::Damaged("its secret and its address do not belong together"));
    }
    Ok(WalletKey::from_keypair(keypair))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's hashlib.scrypt and PyNaCl from //Alice and the password testpass123!; bittensor-wallet 4.1.1 opens it, too.
    const ENCODED: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8AgAAAAQAAAAgAAAAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFheiZFM/gKRZXukcrcvKnBa5\
        r5vv6ngmFdR5FTXd1lKsBy5vx7SYHwAX4lQF1H5loJhtHfrs6xEOAAKHNDM5ccjTZE/zKVoknhUrrSwGdqQFQVrUOhTyBO2c5qrG5j2M+BOl4gyH91AEx+UkQ3gR4OZSwhBw\
        FvSMjHFg7IU4tTv1hmXNDMGT";
    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";

    fn export(encoded: &str, curve: &str, address: &str) -> Vec<u8> {
        let encoding = serde_json::json!({ "content": ["pkcs8", curve], "type": ["scrypt", "xsalsa20-poly1305"], "version": "3" });
        serde_json::json!({ "encoded": encoded, "encoding": encoding, "address": address, "meta": {} }).to_string().into_bytes()
    }

    fn open(json: &[u8], password: &str) -> Result<WalletKey, PolkadotError> {
        open_polkadot_export(json, &Password::new(password))
    }

    #[test]
    fn an_export_opens_with_its_password() {
        let key = open(&export(ENCODED, "sr25519", ALICE), "testpass123!").unwrap();
        assert_eq!((key.address().as_str(), key.has_seed()), (ALICE, false));
        assert_eq!(open(&export(ENCODED, "sr25519", ALICE), "another").unwrap_err(), PolkadotError::WrongPassword);
        let polkadot = "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5";
        assert!(open(&export(ENCODED, "sr25519", polkadot), "testpass123!").is_ok(), "the address of another network");
    }

    #[test]
    fn what_is_wrong_is_an_error() {
        assert_eq!(open(&export(ENCODED, "ed25519", ALICE), "x").unwrap_err(), PolkadotError::OtherEncoding);
        assert!(matches!(open(&export(ENCODED, "sr25519", BOB), "testpass123!").unwrap_err(), PolkadotError::Damaged(_)));
        assert!(matches!(open(&export("AAEC", "sr25519", ALICE), "x").unwrap_err(), PolkadotError::Damaged(_)));
        assert!(matches!(open(b"{", "x").unwrap_err(), PolkadotError::NotJson { .. }));
        let mut greedy = STANDARD.decode(ENCODED).unwrap();
        greedy[32..36].fill(0xff);
        let greedy = STANDARD.encode(greedy);
        assert_eq!(open(&export(&greedy, "sr25519", ALICE), "x").unwrap_err(), PolkadotError::OtherEncoding);
    }
}
