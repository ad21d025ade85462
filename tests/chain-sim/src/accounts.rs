//! Accounts with TAO on them.

use blake2::{Blake2b128, Blake2b512, Digest as _};

use crate::World;

/// twox128("System") and twox128("Account").
const ACCOUNT: [u8; 32] = [
    0x26, 0xaa, 0x39, 0x4e, 0xea, 0x56, 0x30, 0xe0, 0x7c, 0x48, 0xae, 0x0c, 0x95, 0x58, 0xce, 0xf7, 0xb9, 0x9d, 0x88, 0x0e, 0xc6, 0x81,
    0x79, 0x9c, 0x0c, 0xf3, 0x0e, 0x88, 0x86, 0x37, 0x1d, 0xa9,
];

/// An account and its rao, of a text such as `5Grwva…=1.5`, in TAO.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn balance(text: &str) -> Result<([u8; 32], u64), String> {
    let (address, tao) = text.split_once('=').ok_or("an address, = and TAO, such as 5Grwva…=1.5")?;
    let account = account(address).ok_or_else(|| format!("{address} is no SS58 address of prefix 42"))?;
    let wrong = || format!("{tao} is no number of TAO");
    let (whole, part) = tao.split_once('.').unwrap_or((tao, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 9 {
        return Err(wrong());
    }
    let (whole, part) = (whole.parse::<u64>().map_err(|_| wrong())?, format!("{part:0<9}").parse::<u64>().map_err(|_| wrong())?);
    let rao = whole.checked_mul(1_000_000_000).and_then(|rao| rao.checked_add(part)).ok_or_else(wrong)?;
    Ok((account, rao))
}

fn account(address: &str) -> Option<[u8; 32]> {
    let bytes = bs58::decode(address).into_vec().ok()?;
    let (key, checksum) = bytes.split_at_checked(33)?;
    let hash = Blake2b512::new().chain_update(b"SS58PRE").chain_update(key).finalize();
    if checksum != hash.get(..2)? {
        return None;
    }
    key.strip_prefix(&[42])?.try_into().ok()
}

impl World {
    /// Gives an account this much, in every block; it has sent nothing yet.
    pub fn set_balance(&mut self, account: [u8; 32], rao: u64) {
        let hash = Blake2b128::digest(account);
        let key = [ACCOUNT.as_slice(), hash.as_slice(), &account].concat();
        // SCALE of `AccountInfo`: nonce, consumers, providers, sufficients; free, reserved, frozen, flags.
        let counts = [0_u32, 0, 1, 0].map(u32::to_le_bytes).concat();
        let value = [counts.as_slice(), &rao.to_le_bytes(), &[0; 32]].concat();
        self.set_storage(0, key, Some(value));
    }
}
