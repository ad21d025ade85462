//! When a subnet's epochs are, and with that when the chain opens what was committed to.

/// How a subnet's epochs follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "epochs", rename_all = "snake_case")]
pub enum EpochSchedule {
    /// Counted from the block's number: `(block + netuid + 1) / (tempo + 1)` (`get_epoch_index` of runtimes before `SubnetEpochIndex`).
    Counted {
        /// The subnet.
        netuid: u16,
        /// Blocks of an epoch, less one.
        tempo: u16,
    },
    /// Kept in storage, as it is after a block.
    Kept {
        /// Blocks from epoch to epoch.
        tempo: u16,
        /// `LastEpochBlock`: the block that ran the last one.
        last_epoch_block: u64,
        /// `PendingEpochAt`: the block in which the subnet's owner wants the next one, 0 for none.
        pending_epoch_at: u64,
        /// `SubnetEpochIndex`: how many there were.
        epoch_index: u64,
        /// `BlocksSinceLastStep`
        blocks_since_last_step: u64,
    },
}

/// The longest tempo there may be (`MAX_TEMPO` of the pallet), after which an epoch is run in any case.
const MAX_TEMPO: u64 = 50_400;
/// The longest `RevealPeriodEpochs` that the chain accepts (`MAX_COMMIT_REVEAL_PEROIDS`).
const MAX_PERIOD: u64 = 100;

impl EpochSchedule {
    /// The first block that reveals what is committed to in the block after `head`, when commitments are revealed `period` epochs later.
    /// `None` where no epochs run (tempo 0), and for a period that the chain does not have (more than 100).
    ///
    /// In the block that runs an epoch, runtimes that keep their epochs count what is committed for the next one already. Of those that
    /// count them some do; this is the earlier of both blocks, because a pulse that comes too late loses the weights, and one that comes
    /// too early only shows them.
    pub fn reveal_block(&self, head: u64, period: u64) -> Option<u64> {
        let included = head.checked_add(1)?;
        match *self {
            _ if period > MAX_PERIOD => None,
            Self::Counted { tempo: 0, .. } | Self::Kept { tempo: 0, .. } => None,
            Self::Counted { netuid, tempo } => {
                let (shift, length) = (u64::from(netuid) + 1, u64::from(tempo) + 1);
                let epoch = included.checked_add(shift)? / length;
                epoch.checked_add(period)?.checked_mul(length).map(|start| start.saturating_sub(shift).max(included))
            }
            Self::Kept { tempo, last_epoch_block, pending_epoch_at, epoch_index, blocks_since_last_step } => {
                let epochs =
                    Epochs { tempo: tempo.into(), last: last_epoch_block, pending: pending_epoch_at, since: blocks_since_last_step };
                epochs.reveal_block(included, epoch_index, period)
            }
        }
    }
}

/// What `run_coinbase` of the pallet goes by, as it is after a block; a port of `bittensor-drand`'s `epoch_schedule.rs` (2.0), which leaves
/// out as well that a block may put an epoch off when too many subnets have theirs.
#[derive(Clone, Copy)]
struct Epochs {
    tempo: u64,
    last: u64,
    pending: u64,
    since: u64,
}

impl Epochs {
    /// Commitments are revealed before a block runs its epoch, and counted to the epoch that it is about to run.
    fn reveal_block(mut self, included: u64, mut index: u64, period: u64) -> Option<u64> {
        let target = (index + u64::from(self.runs(included))).checked_add(period)?;
        // The longest that so many epochs can take; all are a few million steps of a few instructions.
        let most = (period + 1) * MAX_TEMPO;
        for block in included..=included.checked_add(most)? {
            if index + u64::from(self.runs(block)) == target {
                return Some(block);
            }
            self.since = self.since.saturating_add(1);
            if self.runs(block) {
                index += 1;
                self = Self { last: block, pending: 0, since: 0, ..self };
            }
        }
        None
    }

    /// `should_run_epoch`
    fn runs(&self, block: u64) -> bool {
        (self.pending > 0 && block >= self.pending) || self.since > MAX_TEMPO || block.saturating_sub(self.last) >= self.tempo
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(tempo: u16, last_epoch_block: u64, pending_epoch_at: u64, blocks_since_last_step: u64) -> EpochSchedule {
        EpochSchedule::Kept { tempo, last_epoch_block, pending_epoch_at, epoch_index: 7, blocks_since_last_step }
    }

    /// The first three are `src/epoch_schedule_vectors.rs` of `bittensor-drand` 2.0.
    #[test]
    fn kept_epochs_follow_storage() {
        assert_eq!(kept(0, 10, 0, 0).reveal_block(10, 1), None);
        assert_eq!(kept(50, 10, 0, 0).reveal_block(10, 1), Some(60));
        assert_eq!(kept(20, 80, 95, 0).reveal_block(91, 1), Some(95));
        // After a pending one, the cadence starts anew.
        assert_eq!(kept(20, 80, 95, 0).reveal_block(91, 2), Some(115));
        // Committed in the block that runs an epoch: counted to the next.
        assert_eq!(kept(50, 10, 0, 0).reveal_block(59, 1), Some(110));
        assert_eq!(kept(50, 10, 0, 0).reveal_block(58, 1), Some(60));
        assert_eq!(kept(360, 0, 0, 5).reveal_block(100, 100), Some(36_000));
        // Whatever storage says, an epoch is run after so many blocks, and there is an end.
        assert_eq!(kept(u16::MAX, 0, 0, MAX_TEMPO + 1).reveal_block(0, 1), Some(MAX_TEMPO + 3));
        assert_eq!(kept(50, u64::MAX, 0, 0).reveal_block(10, 1), Some(MAX_TEMPO + 12));
    }

    #[test]
    fn counted_epochs_follow_the_blocks_number() {
        let of = |netuid, tempo| EpochSchedule::Counted { netuid, tempo };
        // Epochs of 101 blocks, of which the tenth begins at block 10 * 101 - 2.
        assert_eq!(of(1, 100).reveal_block(1000, 2), Some(1109));
        assert_eq!((of(1, 100).reveal_block(1006, 1), of(1, 100).reveal_block(1007, 1)), (Some(1008), Some(1109)));
        assert_eq!(of(64, 360).reveal_block(6_000_000, 1), Some(6_000_116));
        assert_eq!(of(1, 0).reveal_block(1000, 1), None);
    }

    proptest::proptest! {
        #[test]
        fn no_state_of_a_chain_panics(
            head: u64, period: u64, netuid: u16, tempo: u16, last: u64, pending: u64, index in proptest::prelude::any::<u64>(), since: u64,
        ) {
            let kept = EpochSchedule::Kept {
                tempo, last_epoch_block: last, pending_epoch_at: pending, epoch_index: index, blocks_since_last_step: since,
            };
            for schedule in [kept, EpochSchedule::Counted { netuid, tempo }] {
                for period in [period, period % 3] {
                    proptest::prop_assert!(schedule.reveal_block(head, period).is_none_or(|block| block > head));
                }
            }
        }
    }
}
