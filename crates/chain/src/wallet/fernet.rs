//! The oldest form: a Fernet token (<https://github.com/fernet/spec>) in base 64.
//!
//! Version 0x80, time in seconds, IV of 16 bytes, AES-128-CBC ciphertext with PKCS#7 padding, HMAC-SHA256 over all of it. Its time is not
//! looked at: a key file does not age.

use aes::Aes128;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::sealed::{OpenError, SealError, random};
use super::{Password, stretch};

pub(super) const MARK: &[u8] = b"gAAAAA";
const VERSION: u8 = 0x80;
const HEAD_BYTES: usize = 1 + 8 + 16;
const MAC_BYTES: usize = 32;

/// The same for every wallet.
const SALT: &[u8] = b"Iguesscyborgslikemyselfhaveatendencytobeparanoidaboutourorigins";
const ROUNDS: u32 = 10_000_000;

/// Padded or not, as long as it is base 64 for URLs.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// Half of it signs, half of it encrypts.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// The key of a password: some seconds of work.
pub(super) fn key(password: &Password) -> Key {
    let mut key = Key::default();
    stretch::sha256(password.expose().as_bytes(), SALT, ROUNDS, key.as_mut_slice());
    key
}

fn mac(key: &Key, signed: &[u8]) -> Option<Hmac<Sha256>> {
    Some(Hmac::<Sha256>::new_from_slice(&key[..16]).ok()?.chain_update(signed))
}

/// The token without its base 64: of the known version, and at least a head and an HMAC long.
pub(super) fn token(bytes: &[u8]) -> Result<Vec<u8>, OpenError> {
    let token = BASE64.decode(bytes.trim_ascii()).map_err(|_| OpenError::Damaged("it is not base 64"))?;
    if token.len() < HEAD_BYTES + MAC_BYTES {
        return Err(OpenError::Damaged("it ends before its content begins"));
    }
    if token.first() != Some(&VERSION) {
        return Err(OpenError::Damaged("it is a Fernet token of an unknown version"));
    }
    Ok(token)
}

pub(super) fn open(bytes: &[u8], key: &Key) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let token = token(bytes)?;
    let (signed, stated_mac) = token.split_at(token.len() - MAC_BYTES);
    let (head, ciphertext) = signed.split_at(HEAD_BYTES);
    mac(key, signed).and_then(|mac| mac.verify_slice(stated_mac).ok()).ok_or(OpenError::WrongPassword)?;
    let cipher = cbc::Decryptor::<Aes128>::new_from_slices(&key[16..], &head[9..]).map_err(|_| OpenError::WrongPassword)?;
    let plain = cipher.decrypt_padded_vec::<Pkcs7>(ciphertext).map_err(|_| OpenError::Damaged("its padding is wrong"))?;
    Ok(Zeroizing::new(plain))
}

pub(super) fn seal(plain: &[u8], key: &Key) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    seal_with(plain, key, now, &random()?)
}

fn seal_with(plain: &[u8], key: &Key, unix_now: u64, iv: &[u8; 16]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let cipher = cbc::Encryptor::<Aes128>::new_from_slices(&key[16..], iv).map_err(|_| SealError::Cipher)?;
    let ciphertext = cipher.encrypt_padded_vec::<Pkcs7>(plain);
    let mut token = [&[VERSION], &unix_now.to_be_bytes()[..], iv, &ciphertext].concat();
    let mac = mac(key, &token).ok_or(SealError::Cipher)?.finalize().into_bytes();
    token.extend_from_slice(&mac);
    let padded = base64::engine::general_purpose::URL_SAFE.encode(&token);
    Ok(Zeroizing::new(padded.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with the Python package `cryptography` from the password testpass123!, the time 1700000000 and the IV 00..0f.
    const KEY: &str = "2e730d6b3e32e4902197048521a79405104f8cca62254391777b838479ce9ea1";
    const PLAIN: &[u8] = br#"{"ss58Address":"5HDvhV6WDCjCKyrXqGQSDYqQAzkzabNhctmiDYEqgBC66BsX"}"#;
    const FILE: &str = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD1bOJ_Qee1L0qeQOKg3t4EvLcqqPGuA6bqtNdkrw1gIiqFHiO-gcfQPXwBsQf2lRjSoueWdPCjW1FMt0\
        0x7Ir0U7qGSwJ4knZhRaxAqHSdSGSG0xurpr4S3bCbzkAUj3o1MgkQW9Bpl0LnL6iiqd_y4=";

    fn golden_key() -> Key {
        Key::new(hex::decode(KEY).unwrap().try_into().unwrap())
    }

    #[test]
    fn the_golden_password_has_the_golden_key() {
        assert_eq!(hex::encode(*key(&Password::new("testpass123!"))), KEY);
    }

    #[test]
    fn the_golden_token_opens_and_is_written_again() {
        let iv: Vec<u8> = (0..16).collect();
        assert_eq!(seal_with(PLAIN, &golden_key(), 1_700_000_000, &iv.try_into().unwrap()).unwrap().as_slice(), FILE.as_bytes());
        for file in [FILE.to_owned(), format!("{FILE}\n"), FILE.trim_end_matches('=').to_owned()] {
            assert_eq!(open(file.as_bytes(), &golden_key()).unwrap().as_slice(), PLAIN);
        }
    }

    #[test]
    fn damage_and_a_wrong_key_are_errors() {
        let wrong = Key::new([7; 32]);
        assert!(matches!(open(FILE.as_bytes(), &wrong), Err(OpenError::WrongPassword)));
        assert!(matches!(open(b"gAAAAA", &wrong), Err(OpenError::Damaged(_))));
        assert!(matches!(open(b"gAAAAA!", &wrong), Err(OpenError::Damaged(_))));
        for length in 0..FILE.len() - 1 {
            assert!(open(&FILE.as_bytes()[..length], &golden_key()).is_err(), "{length}");
        }
    }
}
