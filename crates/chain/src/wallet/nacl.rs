//! The form wallets write today: `$NACL`, a nonce of 24 bytes, then libsodium's secretbox (a tag of 16 bytes, and the text).

use std::sync::{Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Params, Version};
use crypto_secretbox::{KeyInit as _, XSalsa20Poly1305, aead::Aead as _};
use zeroize::Zeroizing;

use super::Password;
use super::sealed::{OpenError, SealError, random};

pub(super) const MARK: &[u8] = b"$NACL";
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// The same for every wallet: a password that two wallets share has the same key in both.
const SALT: [u8; 16] = [0x13, 0x71, 0x83, 0xdf, 0xf1, 0x5a, 0x09, 0xbc, 0x9c, 0x90, 0xb5, 0x51, 0x87, 0x39, 0xe9, 0xb1];

/// libsodium's "sensitive" limits: 512 MiB, eight passes.
const MEMORY_KIB: u32 = 512 * 1024;
const PASSES: u32 = 8;

pub(super) type Key = Zeroizing<[u8; 32]>;

/// The key of a password. `None` without the memory for it.
pub(super) fn key(password: &Password) -> Option<Key> {
    // Two at a time would need a gibibyte.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).ok()?;
    let mut key = Key::default();
    let argon2 = Argon2::new(Algorithm::Argon2i, Version::V0x13, params);
    argon2.hash_password_into(password.expose().as_bytes(), &SALT, key.as_mut_slice()).ok()?;
    Some(key)
}

/// Nonce, and tag with text.
pub(super) fn parts(bytes: &[u8]) -> Result<(&[u8; NONCE_BYTES], &[u8]), OpenError> {
    let parts = bytes.get(MARK.len()..).and_then(|rest| rest.split_first_chunk::<NONCE_BYTES>());
    parts.filter(|(_, sealed)| sealed.len() >= TAG_BYTES).ok_or(OpenError::Damaged("it ends before its content begins"))
}

pub(super) fn open(bytes: &[u8], key: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (nonce, sealed) = parts(bytes)?;
    let plain = XSalsa20Poly1305::new(key.into()).decrypt(nonce.into(), sealed);
    plain.map(Zeroizing::new).map_err(|_| OpenError::WrongPassword)
}

pub(super) fn seal(plain: &[u8], key: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    seal_with(plain, key, &random()?)
}

fn seal_with(plain: &[u8], key: &[u8; 32], nonce: &[u8; NONCE_BYTES]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let sealed = XSalsa20Poly1305::new(key.into()).encrypt(nonce.into(), plain).map_err(|_| SealError::Cipher)?;
    Ok(Zeroizing::new([MARK, nonce, &sealed].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "b92c8737179104865341c67e1cea30a1cd7acfad37cc208093eb0fb7e18e8089";
    const PLAIN: &[u8] = br#"{"ss58Address":"5HDvhV6WDCjCKyrXqGQSDYqQAzkzabNhctmiDYEqgBC66BsX"}"#;
    const FILE: &str = "244e41434c000102030405060708090a0b0c0d0e0f10111213141516178cf05b826bec76bd199d883287add24338e1d3690cb8299a2690cf567ef69e1b\
        e6ecd0e7b3ec729a200ba27207083cce8b2224f4f11e09fb5b76b9c2477f8c6330d905887e000d2274cb82548eec962eb5a8";

    fn golden_key() -> [u8; 32] {
        hex::decode(KEY).unwrap().try_into().unwrap()
    }

    #[test]
    fn the_golden_password_has_the_golden_key() {
        assert_eq!(hex::encode(*key(&Password::new("testpass123!")).unwrap()), KEY);
    }

    #[test]
    fn the_golden_file_opens_and_is_written_again() {
        let file = hex::decode(FILE).unwrap();
        assert_eq!(open(&file, &golden_key()).unwrap().as_slice(), PLAIN);
        let nonce: Vec<u8> = (0..24).collect();
        assert_eq!(hex::encode(seal_with(PLAIN, &golden_key(), &nonce.try_into().unwrap()).unwrap()), FILE);
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let file = hex::decode(FILE).unwrap();
        for at in MARK.len()..file.len() {
            let mut file = file.clone();
            file[at] ^= 1;
            assert!(matches!(open(&file, &golden_key()), Err(OpenError::WrongPassword)), "byte {at}");
        }
        for length in 0..file.len() {
            assert!(open(&file[..length], &golden_key()).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn no_two_files_have_the_same_nonce() {
        assert_ne!(seal(PLAIN, &golden_key()).unwrap(), seal(PLAIN, &golden_key()).unwrap());
    }
}
