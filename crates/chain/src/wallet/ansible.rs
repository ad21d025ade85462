//! The older form: an Ansible vault, version 1.1 or 1.2.
//!
//! A line that names the format, then hexadecimal digits of three lines of hexadecimal digits: salt, HMAC-SHA256 of the ciphertext,
//! ciphertext. PBKDF2-HMAC-SHA256 makes both keys and the first counter from password and salt.

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::sealed::{OpenError, SealError, random};
use super::{Password, stretch};

pub(super) const MARK: &[u8] = b"$ANSIBLE_VAULT";
const HEADING: &str = "$ANSIBLE_VAULT;1.1;AES256\n";
const ROUNDS: u32 = 10_000;
const BLOCK_BYTES: usize = 16;
/// Of the digits after the heading.
const LINE_DIGITS: usize = 80;

/// Cipher key, HMAC key and first counter, one after the other.
pub(super) type Keys = Zeroizing<[u8; 32 + 32 + 16]>;

fn keys(password: &Password, salt: &[u8]) -> Keys {
    let mut keys = Keys::new([0; 80]);
    stretch::sha256(password.expose().as_bytes(), salt, ROUNDS, keys.as_mut_slice());
    keys
}

fn apply(keys: &Keys, text: &mut [u8]) -> Option<()> {
    Ctr128BE::<Aes256>::new_from_slices(&keys[..32], &keys[64..]).ok()?.try_apply_keystream(text).ok()
}

fn mac(keys: &Keys, ciphertext: &[u8]) -> Option<Hmac<Sha256>> {
    Some(Hmac::<Sha256>::new_from_slice(&keys[32..64]).ok()?.chain_update(ciphertext))
}

/// Salt, HMAC and ciphertext.
pub(super) fn parts(bytes: &[u8]) -> Result<[Vec<u8>; 3], OpenError> {
    let damaged = OpenError::Damaged;
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("an Ansible vault is text"))?;
    let (heading, digits) = text.split_once('\n').ok_or(damaged("nothing follows the first line"))?;
    let mut fields = heading.trim_end().split(';').skip(1);
    match (fields.next(), fields.next()) {
        (Some("1.1" | "1.2"), Some("AES256")) => {}
        _ => return Err(damaged("it is an Ansible vault of an unknown version or cipher")),
    }
    let digits: String = digits.split_ascii_whitespace().collect();
    let inner = hex::decode(digits).map_err(|_| damaged("there are other characters than hexadecimal digits in it"))?;
    let mut lines = inner.split(|byte| *byte == b'\n');
    let mut next = || lines.next().and_then(|line| hex::decode(line).ok()).ok_or(damaged("it has not the three parts of an Ansible vault"));
    Ok([next()?, next()?, next()?])
}

pub(super) fn open(bytes: &[u8], password: &Password) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let [salt, stated_mac, ciphertext] = parts(bytes)?;
    open_with(&keys(password, &salt), &stated_mac, ciphertext)
}

pub(super) fn open_with(keys: &Keys, stated_mac: &[u8], ciphertext: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    mac(keys, &ciphertext).and_then(|mac| mac.verify_slice(stated_mac).ok()).ok_or(OpenError::WrongPassword)?;
    let mut text = Zeroizing::new(ciphertext);
    apply(keys, &mut text).ok_or(OpenError::Damaged("it is too long"))?;
    // PKCS#7, of which the cipher has no need, but the format.
    let padding = text.last().map_or(0, |byte| usize::from(*byte));
    let length = text.len().checked_sub(padding).filter(|_| (1..=BLOCK_BYTES).contains(&padding));
    text.truncate(length.ok_or(OpenError::Damaged("its padding is wrong"))?);
    Ok(text)
}

pub(super) fn seal(plain: &[u8], password: &Password) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let salt = random()?;
    seal_with(plain, &salt, &keys(password, &salt))
}

pub(super) fn seal_with(plain: &[u8], salt: &[u8; 32], keys: &Keys) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let padding = BLOCK_BYTES - plain.len() % BLOCK_BYTES;
    let mut text = Zeroizing::new(Vec::with_capacity(plain.len() + padding));
    text.extend_from_slice(plain);
    text.resize(plain.len() + padding, u8::try_from(padding).map_err(|_| SealError::Cipher)?);
    apply(keys, &mut text).ok_or(SealError::Cipher)?;
    let mac = mac(keys, &text).ok_or(SealError::Cipher)?.finalize().into_bytes();
    let inner = format!("{}\n{}\n{}", hex::encode(salt), hex::encode(mac), hex::encode(&*text));
    let digits = hex::encode(inner);
    let mut file = HEADING.as_bytes().to_vec();
    for line in digits.as_bytes().chunks(LINE_DIGITS) {
        file.extend_from_slice(line);
        file.push(b'\n');
    }
    Ok(Zeroizing::new(file))
}
