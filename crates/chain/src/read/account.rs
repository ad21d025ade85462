//! The 32 bytes that name a key on the chain.

use std::fmt;
use std::str::FromStr;

use protocol::ids::Ss58;

/// A public key as the chain stores it. Shown, parsed and serialised as its SS58 address (prefix 42).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub [u8; 32]);

impl AccountId {
    /// The address of the key.
    pub fn ss58(&self) -> Ss58 {
        Ss58::from_public_key(&self.0)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.ss58().as_str())
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<&Ss58> for AccountId {
    fn from(address: &Ss58) -> Self {
        Self(address.public_key())
    }
}

impl FromStr for AccountId {
    type Err = <Ss58 as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Ss58>().map(|address| Self::from(&address))
    }
}

impl serde::Serialize for AccountId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.ss58().serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for AccountId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ss58::deserialize(deserializer).map(|address| Self::from(&address))
    }
}
