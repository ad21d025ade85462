//! One-time nonces of TEE instances: bound to the asker's address, ten minutes.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::World;

const LIFE: SignedDuration = SignedDuration::from_mins(10);

/// An issued nonce.
#[derive(Debug)]
pub(super) struct Nonce {
    to: IpAddr,
    until: Timestamp,
}

impl World {
    /// A fresh nonce for this address.
    pub(crate) fn issue_nonce(&mut self, to: IpAddr) -> (String, Timestamp) {
        let until = self.now().saturating_add(LIFE).unwrap_or(Timestamp::MAX);
        let text = self.ids.hex(64);
        self.nonces.insert(text.clone(), Nonce { to, until });
        (text, until)
    }

    /// Uses a nonce up; whether it was good.
    pub(super) fn spend_nonce(&mut self, text: &str, from: IpAddr) -> bool {
        let now = self.now();
        self.nonces.remove(text).is_some_and(|nonce| nonce.to == from && nonce.until >= now)
    }
}
