//! What would hurt a chutes miner.

use std::fmt;

use jiff::Timestamp;

use super::Call;
use crate::read::{AccountId, At, ReadError};

/// The subnet of chutes on the main network.
pub const CHUTES_NETUID: u16 = 64;

/// 24 April 2026, 00:00 UTC: from about then on, validators of chutes pay several hotkeys of one coldkey. Before, only the best.
const SEVERAL_HOTKEYS_SINCE: i64 = 1_776_988_800;

/// What a miner may regret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "warning", rename_all = "snake_case")]
pub enum Warning {
    /// The coldkey has a UID on the subnet already, and only the best is paid.
    SecondUid {
        /// The UID it has.
        uid: u16,
        /// Its hotkey.
        hotkey: AccountId,
    },
    /// An axon is announced, or would be.
    Axon {
        /// The hotkey.
        hotkey: AccountId,
    },
    /// The chain does not hold to the limit of a registration.
    LimitNotHeld,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecondUid { uid, hotkey } => {
                write!(f, "the coldkey has UID {uid} already ({hotkey}), and chutes pays only the best hotkey of a coldkey")
            }
            Self::Axon { hotkey } => write!(f, "a chutes miner must not announce an axon ({hotkey})"),
            Self::LimitNotHeld => f.write_str(
                "this runtime has no registration with a limit: the price was looked at, but others may raise it before the registration is in a block",
            ),
        }
    }
}

/// What a signer should know before this call. `chutes` is the subnet of chutes on this chain, if it has one.
///
/// # Errors
///
/// [`ReadError`] where the chain cannot be read.
pub async fn warnings(at: &At, call: &Call, signer: AccountId, chutes: Option<u16>) -> Result<Vec<Warning>, ReadError> {
    let mut warnings = Vec::new();
    match call {
        Call::Register { netuid, hotkey, .. } => {
            if !Call::chain_holds_limit(at.runtime()) {
                warnings.push(Warning::LimitNotHeld);
            }
            if chutes != Some(*netuid) {
                return Ok(warnings);
            }
            let neurons = at.neurons_lite(*netuid).await?;
            let places = neurons.iter().map(|neuron| (neuron.uid, neuron.hotkey, neuron.coldkey));
            warnings.extend(second_uid(at.time().await?, places, *hotkey, signer));
            let announced = neurons.iter().any(|neuron| neuron.coldkey == signer && neuron.hotkey == *hotkey && neuron.axon_info.ip != 0);
            if announced {
                warnings.push(Warning::Axon { hotkey: *hotkey });
            }
        }
        Call::ServeAxon { netuid, .. } if chutes == Some(*netuid) => warnings.push(Warning::Axon { hotkey: signer }),
        _ => {}
    }
    Ok(warnings)
}

/// The UID that a coldkey has already, where that hurts. Places are UID, hotkey and coldkey.
fn second_uid(
    now: Timestamp,
    mut places: impl Iterator<Item = (u16, AccountId, AccountId)>,
    hotkey: AccountId,
    coldkey: AccountId,
) -> Option<Warning> {
    let (uid, hotkey, _) = places.find(|(_, other, owner)| *owner == coldkey && *other != hotkey).filter(|_| one_hotkey_is_paid(now))?;
    Some(Warning::SecondUid { uid, hotkey })
}

/// Whether validators pay only the best hotkey of a coldkey, by the rule in force at a time.
fn one_hotkey_is_paid(now: Timestamp) -> bool {
    now.as_second() < SEVERAL_HOTKEYS_SINCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_uid_is_one_of_the_same_coldkey_with_another_hotkey() {
        let of = |n: u8| AccountId([n; 32]);
        let places = [(3, of(1), of(101)), (5, of(2), of(102))];
        let told = |hotkey: u8, coldkey: u8, now: &str| second_uid(now.parse().unwrap(), places.into_iter(), of(hotkey), of(coldkey));
        let (before, after) = ("2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z");
        assert_eq!(told(9, 102, before), Some(Warning::SecondUid { uid: 5, hotkey: of(2) }));
        assert_eq!(told(2, 102, before), None, "the same hotkey again");
        assert_eq!(told(9, 103, before), None, "another coldkey");
        assert_eq!(told(9, 102, after), None);
    }

    #[test]
    fn a_second_hotkey_hurts_only_while_one_is_paid() {
        let at = |text: &str| one_hotkey_is_paid(text.parse().unwrap());
        assert!(at("2026-04-23T23:59:59Z"));
        assert!(!at("2026-04-24T00:00:00Z"));
        assert!(!at("2026-11-21T00:00:00Z"));
    }
}
