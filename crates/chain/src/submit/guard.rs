//! What would hurt a chutes miner.

mod validator;

use std::fmt;

use jiff::Timestamp;

use validator::Validator;

use super::{Call, Mechanism, Weights, registration};
use crate::read::{AccountId, At, AxonInfo, ReadError};

const PALLET: &str = "SubtensorModule";

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
    /// The subnet takes no registrations.
    Closed {
        /// The subnet.
        netuid: u16,
    },
    /// The hotkey is registered on the subnet already.
    Registered {
        /// Its UID.
        uid: u16,
    },
    /// The hotkey is another coldkey's, which alone can register it.
    OthersHotkey {
        /// Whose it is.
        owner: AccountId,
    },
    /// The hotkey has no UID on the subnet.
    NotRegistered {
        /// The hotkey.
        hotkey: AccountId,
    },
    /// The hotkey may weigh nobody but itself.
    NoPermit,
    /// The weights are fewer than the subnet asks for.
    TooFewWeights {
        /// How many there must be.
        least: u16,
    },
    /// A UID with a weight is not in use.
    NoSuchUid {
        /// The first such.
        uid: u16,
    },
    /// The subnet asks for weights of a newer version.
    OldVersionKey {
        /// The least that it takes.
        least: u64,
    },
    /// The hotkey set or committed weights a short while ago.
    TooSoon {
        /// Blocks to wait.
        blocks: u64,
    },
    /// The subnet takes weights only as commitments.
    CommitReveal,
    /// The subnet takes no commitments.
    NoCommitReveal,
    /// The subnet has not as many mechanisms.
    NoSuchMechanism {
        /// How many it has.
        count: u8,
    },
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
            Self::Closed { netuid } => write!(f, "subnet {netuid} takes no registrations"),
            Self::Registered { uid } => write!(f, "the hotkey is registered already, as UID {uid}"),
            Self::OthersHotkey { owner } => write!(f, "the hotkey is {owner}'s, and no other coldkey can register it"),
            Self::NotRegistered { hotkey } => write!(f, "{hotkey} is not registered on the subnet"),
            Self::NoPermit => f.write_str("the hotkey has no permit to validate; it may weigh only itself"),
            Self::TooFewWeights { least } => write!(f, "the subnet asks for at least {least} weights"),
            Self::NoSuchUid { uid } => write!(f, "UID {uid} is not in use"),
            Self::OldVersionKey { least } => write!(f, "the subnet asks for version key {least} or higher"),
            Self::TooSoon { blocks } => write!(f, "too soon after the last weights; {blocks} blocks to wait"),
            Self::CommitReveal => f.write_str("the subnet takes weights only as commitments that are revealed later"),
            Self::NoCommitReveal => f.write_str("the subnet takes no commitments; weights are set as they are"),
            Self::NoSuchMechanism { count: 1 } => f.write_str("the subnet has one mechanism only, number 0"),
            Self::NoSuchMechanism { count } => write!(f, "the subnet has {count} mechanisms, numbered from 0"),
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
            if !registration::open(at, *netuid).await? {
                warnings.push(Warning::Closed { netuid: *netuid });
            }
            warnings.extend(at.uid(*netuid, *hotkey).await?.map(|uid| Warning::Registered { uid }));
            warnings.extend(at.owner(*hotkey).await?.filter(|owner| *owner != signer).map(|owner| Warning::OthersHotkey { owner }));
            if chutes != Some(*netuid) {
                return Ok(warnings);
            }
            let now = at.time().await?;
            if one_hotkey_is_paid(now) {
                let neurons = at.neurons_lite(*netuid).await?;
                let places = neurons.iter().map(|neuron| (neuron.uid, neuron.hotkey, neuron.coldkey));
                warnings.extend(second_uid(now, places, *hotkey, signer));
            }
            // Where it stands, and not with the neurons: what the hotkey announced before it lost its UID counts again when it has one.
            let axon: Option<AxonInfo> = at.storage(PALLET, "Axons", (*netuid, hotkey.0)).await?;
            if axon.is_some_and(|axon| axon.is_serving()) {
                warnings.push(Warning::Axon { hotkey: *hotkey });
            }
        }
        Call::ServeAxon { netuid, .. } => {
            if chutes == Some(*netuid) {
                warnings.push(Warning::Axon { hotkey: signer });
            }
            if at.uid(*netuid, signer).await?.is_none() {
                warnings.push(Warning::NotRegistered { hotkey: signer });
            }
        }
        Call::SetWeights { netuid, weights } => {
            warnings.extend(Validator::read(at, *netuid, Mechanism::MAIN, signer).await?.to_weigh(weights));
        }
        Call::SetMechanismWeights { netuid, mechanism, weights } => {
            warnings.extend(Validator::read(at, *netuid, *mechanism, signer).await?.to_weigh(weights));
        }
        Call::CommitWeights { netuid, .. } => {
            warnings.extend(Validator::read(at, *netuid, Mechanism::MAIN, signer).await?.to_commit());
        }
        Call::CommitMechanismWeights { netuid, mechanism, .. } | Call::CommitTimelockedWeights { netuid, mechanism, .. } => {
            warnings.extend(Validator::read(at, *netuid, *mechanism, signer).await?.to_commit());
        }
        // What was committed to is looked at when it is revealed, and the dry run does that.
        Call::RevealWeights { .. } | Call::RevealMechanismWeights { .. } | Call::Transfer { .. } => {}
    }
    Ok(warnings)
}

/// What the chain would hold against weights when they are revealed, if the subnet stays as it is. A commitment hides them, so
/// [`warnings`] cannot know; and what the chain reveals itself it drops without a word.
///
/// # Errors
///
/// [`ReadError`] where the chain cannot be read.
pub async fn warnings_of_hidden(at: &At, netuid: u16, weights: &Weights, signer: AccountId) -> Result<Vec<Warning>, ReadError> {
    Ok(Validator::read(at, netuid, Mechanism::MAIN, signer).await?.to_reveal(weights))
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
