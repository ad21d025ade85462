//! What would hurt a chutes miner.

use std::fmt;

use jiff::Timestamp;

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

/// What the chain looks at before it takes weights of a hotkey (`internal_set_weights`, `internal_commit_weights`).
#[derive(Debug, Clone)]
struct Validator {
    hotkey: AccountId,
    uid: Option<u16>,
    /// May weigh others.
    permit: bool,
    uids: u16,
    least: u16,
    version_key: u64,
    mechanism: Mechanism,
    /// How many mechanisms the subnet has.
    mechanisms: u8,
    /// Blocks until the next are taken.
    wait: u64,
    commit_reveal: bool,
}

impl Validator {
    async fn read(at: &At, netuid: u16, mechanism: Mechanism, hotkey: AccountId) -> Result<Self, ReadError> {
        let uid = at.uid(netuid, hotkey).await?;
        let of_uid = usize::from(uid.unwrap_or(u16::MAX));
        let permits: Vec<bool> = at.storage(PALLET, "ValidatorPermit", (netuid,)).await?.unwrap_or_default();
        let owner: Option<AccountId> = at.storage(PALLET, "SubnetOwnerHotkey", (netuid,)).await?;
        // Each mechanism has its own; all else is the subnet's.
        let updates: Vec<u64> = at.storage(PALLET, "LastUpdate", (mechanism.storage_index(netuid),)).await?.unwrap_or_default();
        let count = "MechanismCountCurrent";
        let mechanisms = if at.runtime().has_storage(PALLET, count) { at.storage(PALLET, count, (netuid,)).await? } else { None };
        let limit: u64 = at.storage(PALLET, "WeightsSetRateLimit", (netuid,)).await?.unwrap_or_default();
        Ok(Self {
            hotkey,
            uid,
            permit: owner == Some(hotkey) || permits.get(of_uid).copied().unwrap_or_default(),
            uids: at.storage(PALLET, "SubnetworkN", (netuid,)).await?.unwrap_or_default(),
            least: at.storage(PALLET, "MinAllowedWeights", (netuid,)).await?.unwrap_or_default(),
            version_key: at.storage(PALLET, "WeightsVersionKey", (netuid,)).await?.unwrap_or_default(),
            mechanism,
            // Of a subnet that never asked for more.
            mechanisms: mechanisms.unwrap_or(1),
            wait: wait(updates.get(of_uid).copied().unwrap_or_default(), limit, at.block().number),
            commit_reveal: at.storage(PALLET, "CommitRevealWeightsEnabled", (netuid,)).await?.unwrap_or_default(),
        })
    }

    fn to_weigh(&self, weights: &Weights) -> Vec<Warning> {
        let Some(uid) = self.uid else { return vec![Warning::NotRegistered { hotkey: self.hotkey }] };
        let mut warnings = Vec::new();
        warnings.extend(self.no_such_mechanism());
        warnings.extend(self.commit_reveal.then_some(Warning::CommitReveal));
        warnings.extend(self.of_weights(uid, weights));
        warnings.extend((self.wait > 0 && !self.commit_reveal).then_some(Warning::TooSoon { blocks: self.wait }));
        warnings
    }

    fn to_commit(&self) -> Vec<Warning> {
        if self.uid.is_none() {
            return vec![Warning::NotRegistered { hotkey: self.hotkey }];
        }
        let off = (!self.commit_reveal).then_some(Warning::NoCommitReveal);
        let soon = (self.wait > 0).then_some(Warning::TooSoon { blocks: self.wait });
        [self.no_such_mechanism(), off, soon].into_iter().flatten().collect()
    }

    /// Beside what stands in the way of the commitment.
    fn to_reveal(&self, weights: &Weights) -> Vec<Warning> {
        self.uid.map_or_else(Vec::new, |uid| self.of_weights(uid, weights))
    }

    fn of_weights(&self, uid: u16, weights: &Weights) -> Vec<Warning> {
        let least = self.least.min(self.uids);
        // Everybody may weigh himself, alone.
        let others = weights.uids() != [uid];
        let unknown = weights.uids().iter().find(|uid| **uid >= self.uids);
        [
            (others && !self.permit).then_some(Warning::NoPermit),
            unknown.map(|uid| Warning::NoSuchUid { uid: *uid }),
            (others && weights.uids().len() < usize::from(least)).then_some(Warning::TooFewWeights { least }),
            (weights.version_key() < self.version_key).then_some(Warning::OldVersionKey { least: self.version_key }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn no_such_mechanism(&self) -> Option<Warning> {
        (self.mechanism.number() >= self.mechanisms).then_some(Warning::NoSuchMechanism { count: self.mechanisms })
    }
}

/// Blocks until weights are taken again, from the next block on (`check_rate_limit`). 0 is no block: it never set any.
fn wait(last: u64, limit: u64, block: u64) -> u64 {
    if last == 0 { 0 } else { last.saturating_add(limit).saturating_sub(block.saturating_add(1)) }
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
    fn weights_are_held_against_what_the_chain_asks_for() {
        let of = AccountId([1; 32]);
        let fine = Validator {
            hotkey: of,
            uid: Some(3),
            permit: true,
            uids: 8,
            least: 2,
            version_key: 5,
            mechanism: Mechanism::MAIN,
            mechanisms: 1,
            wait: 0,
            commit_reveal: false,
        };
        let two = Weights::new([(1, 1), (7, 1)], 5).unwrap();
        assert_eq!(fine.to_weigh(&two), []);
        let told = |validator: Validator, weights: &Weights| validator.to_weigh(weights);
        assert_eq!(told(Validator { uid: None, ..fine.clone() }, &two), [Warning::NotRegistered { hotkey: of }]);
        assert_eq!(told(Validator { permit: false, ..fine.clone() }, &two), [Warning::NoPermit]);
        assert_eq!(told(Validator { uids: 7, ..fine.clone() }, &two), [Warning::NoSuchUid { uid: 7 }]);
        assert_eq!(told(Validator { least: 9, ..fine.clone() }, &two), [Warning::TooFewWeights { least: 8 }]);
        assert_eq!(told(Validator { version_key: 6, ..fine.clone() }, &two), [Warning::OldVersionKey { least: 6 }]);
        assert_eq!(told(Validator { version_key: 0, ..fine.clone() }, &two), []);
        assert_eq!(told(Validator { wait: 4, ..fine.clone() }, &two), [Warning::TooSoon { blocks: 4 }]);
        assert_eq!(told(Validator { commit_reveal: true, wait: 4, ..fine.clone() }, &two), [Warning::CommitReveal]);
        let alone = Weights::new([(3, 1)], 5).unwrap();
        assert_eq!(told(Validator { permit: false, ..fine.clone() }, &alone), [], "itself");
        let another = Weights::new([(4, 1)], 5).unwrap();
        assert_eq!(told(fine.clone(), &another), [Warning::TooFewWeights { least: 2 }]);

        assert_eq!(fine.to_commit(), [Warning::NoCommitReveal]);
        assert_eq!(Validator { commit_reveal: true, ..fine.clone() }.to_commit(), []);
        assert_eq!(Validator { commit_reveal: true, wait: 9, ..fine.clone() }.to_commit(), [Warning::TooSoon { blocks: 9 }]);
        let second = Validator { mechanism: Mechanism::new(1).unwrap(), commit_reveal: true, ..fine.clone() };
        assert_eq!(second.to_commit(), [Warning::NoSuchMechanism { count: 1 }]);
        assert_eq!(second.to_weigh(&two), [Warning::NoSuchMechanism { count: 1 }, Warning::CommitReveal]);
        assert_eq!(Validator { mechanisms: 2, ..second }.to_commit(), []);

        // What is hidden is held against the same, without what only an open call meets.
        let hidden = Validator { commit_reveal: true, wait: 4, permit: false, uids: 7, version_key: 6, ..fine.clone() };
        let all = [Warning::NoPermit, Warning::NoSuchUid { uid: 7 }, Warning::OldVersionKey { least: 6 }];
        assert_eq!(hidden.to_reveal(&two), all);
        assert_eq!(Validator { uid: None, ..hidden }.to_reveal(&two), [], "the commitment says it already");
    }

    #[test]
    fn the_wait_counts_from_the_next_block() {
        assert_eq!(wait(0, 100, 5), 0, "never");
        assert_eq!((wait(1000, 100, 1000), wait(1000, 100, 1098), wait(1000, 100, 1099)), (99, 1, 0));
        assert_eq!(wait(u64::MAX, u64::MAX, 0), u64::MAX - 1);
    }

    #[test]
    fn a_second_hotkey_hurts_only_while_one_is_paid() {
        let at = |text: &str| one_hotkey_is_paid(text.parse().unwrap());
        assert!(at("2026-04-23T23:59:59Z"));
        assert!(!at("2026-04-24T00:00:00Z"));
        assert!(!at("2026-11-21T00:00:00Z"));
    }
}
