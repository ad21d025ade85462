//! What the chain asks of who weighs.

use super::super::{Mechanism, Weights};
use super::{PALLET, Warning};
use crate::read::{AccountId, At, ReadError};

/// What the chain looks at before it takes weights of a hotkey (`internal_set_weights`, `internal_commit_weights`).
#[derive(Debug, Clone)]
pub(super) struct Validator {
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
    pub(super) async fn read(at: &At, netuid: u16, mechanism: Mechanism, hotkey: AccountId) -> Result<Self, ReadError> {
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

    pub(super) fn to_weigh(&self, weights: &Weights) -> Vec<Warning> {
        let Some(uid) = self.uid else { return vec![Warning::NotRegistered { hotkey: self.hotkey }] };
        let mut warnings = Vec::new();
        warnings.extend(self.no_such_mechanism());
        warnings.extend(self.commit_reveal.then_some(Warning::CommitReveal));
        warnings.extend(self.of_weights(uid, weights));
        warnings.extend((self.wait > 0 && !self.commit_reveal).then_some(Warning::TooSoon { blocks: self.wait }));
        warnings
    }

    pub(super) fn to_commit(&self) -> Vec<Warning> {
        if self.uid.is_none() {
            return vec![Warning::NotRegistered { hotkey: self.hotkey }];
        }
        let off = (!self.commit_reveal).then_some(Warning::NoCommitReveal);
        let soon = (self.wait > 0).then_some(Warning::TooSoon { blocks: self.wait });
        [self.no_such_mechanism(), off, soon].into_iter().flatten().collect()
    }

    /// Beside what stands in the way of the commitment.
    pub(super) fn to_reveal(&self, weights: &Weights) -> Vec<Warning> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
