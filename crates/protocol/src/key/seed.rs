//! The 32-byte mini secret a hotkey grows from.

use std::fmt;
use std::str::FromStr;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The seed of a hotkey. Wiped when dropped; `Debug` shows nothing of it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

/// Why a text is no seed. Never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// Wrong number of digits.
    #[error("a seed has 64 hexadecimal digits (after an optional 0x), not {0}")]
    Length(usize),
    /// Something that is no hexadecimal digit.
    #[error("a seed has hexadecimal digits only")]
    NotHex,
}

impl Seed {
    /// A seed from its bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for whoever writes them into a wallet's file.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Seed {
    type Err = SeedError;

    fn from_str(text: &str) -> Result<Self, SeedError> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() != 64 {
            return Err(SeedError::Length(digits.chars().count()));
        }
        let mut seed = Self([0; 32]);
        hex::decode_to_slice(digits, &mut seed.0).map_err(|_| SeedError::NotHex)?;
        Ok(seed)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "e031170f32b4cda05df2f3cf6bc8d7687b683bbce23d9fa960c0b3fc21641b8a";

    #[test]
    fn the_prefix_is_optional() {
        let bare: Seed = SEED.parse().unwrap();
        let prefixed: Seed = format!("0x{SEED}\n").parse().unwrap();
        assert_eq!(bare.expose(), prefixed.expose());
    }

    #[test]
    fn neither_debug_nor_errors_show_the_seed() {
        let seed: Seed = SEED.parse().unwrap();
        assert!(!format!("{seed:?}").contains("e031"));
        let error = SEED.replace('e', "z").parse::<Seed>().unwrap_err();
        assert_eq!(error, SeedError::NotHex);
        assert!(!error.to_string().contains("031170"));
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = text.parse::<Seed>();
        }
    }
}
