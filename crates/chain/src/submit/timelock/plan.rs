//! To which round weights are sealed, and the sealing.

use jiff::Timestamp;
use parity_scale_codec::Encode as _;

use super::drand::{self, Round};
use super::{EpochSchedule, SealError, seal};
use crate::read::{AccountId, At, ReadError, Runtime};
use crate::submit::Weights;

const PALLET: &str = "SubtensorModule";
/// The longest commitment that every runtime takes (`MAX_CRV3_COMMIT_SIZE_BYTES`, the bound of the call's argument).
const MAX_COMMIT: usize = 5_000;
/// Blocks after the first that may reveal, by which nodes have brought the pulse to the chain; from then on every block of the epoch tries
/// (`SECURITY_BLOCK_OFFSET` of `bittensor-drand`).
const INGESTION_BLOCKS: u64 = 3;
/// Rounds by which the pulse must have been there where nothing is tried twice (`SUBTENSOR_PULSE_DELAY` of `bittensor-drand` before 1.0).
const INGESTION_ROUNDS: u64 = 24;
/// Of the main network, in milliseconds.
const BLOCK_MS: u64 = 12_000;

/// When weights that are committed to now will be revealed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RevealPlan {
    /// The subnet.
    pub netuid: u16,
    /// The round whose pulse opens them.
    pub round: Round,
    /// When that is made.
    pub time: Timestamp,
    /// The first block that may reveal them.
    pub block: u64,
    /// Epochs until then (`RevealPeriodEpochs`).
    pub period_epochs: u64,
    /// How the subnet's epochs follow each other.
    pub schedule: EpochSchedule,
    /// `CommitRevealWeightsVersion`, which the call must name; `None` where it names none.
    pub version: Option<u16>,
}

/// Weights that nobody can read until a round's pulse, as [`Call::CommitTimelockedWeights`](crate::submit::Call::CommitTimelockedWeights)
/// takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelockedWeights {
    bytes: Vec<u8>,
    round: Round,
    version: u16,
}

/// Why weights cannot be timelocked.
#[derive(Debug, thiserror::Error)]
pub enum TimelockError {
    /// The chain cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The subnet takes weights openly.
    #[error("subnet {0} does not hide weights (CommitRevealWeightsEnabled is off): set them openly")]
    Open(u16),
    /// Nobody can say when the subnet reveals.
    #[error("subnet {netuid} never reveals what is committed to now: its tempo is {tempo}, its reveal period {period_epochs} epochs")]
    Never {
        /// The subnet.
        netuid: u16,
        /// Its tempo, in blocks.
        tempo: u16,
        /// Its reveal period.
        period_epochs: u64,
    },
    /// The weights could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// More than the chain takes.
    #[error("the commitment has {0} bytes, and the chain takes no more than {MAX_COMMIT}: leave out what weighs nothing")]
    TooLong(usize),
}

/// When the chain will reveal what is committed to in the next block. `at` should be the best block rather than the finalized one: what is
/// included an epoch later than thought is readable an epoch early.
///
/// # Errors
///
/// [`TimelockError::Read`], [`TimelockError::Open`], [`TimelockError::Never`].
pub async fn reveal_plan(at: &At, netuid: u16) -> Result<RevealPlan, TimelockError> {
    if !at.storage::<bool>(PALLET, "NetworksAdded", (netuid,)).await?.unwrap_or_default() {
        return Err(ReadError::NoSuchSubnet(netuid).into());
    }
    if !at.storage::<bool>(PALLET, "CommitRevealWeightsEnabled", (netuid,)).await?.unwrap_or_default() {
        return Err(TimelockError::Open(netuid));
    }
    let tempo: u16 = at.storage(PALLET, "Tempo", (netuid,)).await?.unwrap_or_default();
    let period_epochs: u64 = at.storage(PALLET, "RevealPeriodEpochs", (netuid,)).await?.unwrap_or(1);
    let schedule = if at.runtime().has_storage(PALLET, "SubnetEpochIndex") {
        let number = async |item| Ok::<u64, ReadError>(at.storage(PALLET, item, (netuid,)).await?.unwrap_or_default());
        EpochSchedule::Kept {
            tempo,
            last_epoch_block: number("LastEpochBlock").await?,
            pending_epoch_at: number("PendingEpochAt").await?,
            epoch_index: number("SubnetEpochIndex").await?,
            blocks_since_last_step: number("BlocksSinceLastStep").await?,
        }
    } else {
        EpochSchedule::Counted { netuid, tempo }
    };
    let version = if at.runtime().has_storage(PALLET, "CommitRevealWeightsVersion") {
        at.storage(PALLET, "CommitRevealWeightsVersion", ()).await?
    } else {
        None
    };
    let head = (at.block().number, at.time().await?);
    let never = TimelockError::Never { netuid, tempo, period_epochs };
    RevealPlan::of(at.runtime(), head, netuid, schedule, period_epochs, version).ok_or(never)
}

impl RevealPlan {
    fn of(
        runtime: &Runtime,
        (head, time): (u64, Timestamp),
        netuid: u16,
        schedule: EpochSchedule,
        period_epochs: u64,
        version: Option<u16>,
    ) -> Option<Self> {
        let block_ms = block_ms(runtime);
        let block = schedule.reveal_block(head, period_epochs)?;
        // Early runtimes ask for the pulse once, in the block that runs the epoch, which is the one before the next is counted.
        let (wait, earlier) = if version.is_some() { (INGESTION_BLOCKS, 0) } else { (0, INGESTION_ROUNDS) };
        let known_by = drand::after(time, block.saturating_add(wait).saturating_sub(head), block_ms);
        let round = Round::at(known_by).earlier(earlier);
        Some(Self { netuid, round, time: round.time(), block, period_epochs, schedule, version })
    }

    /// Seals a hotkey's weights so that they are revealed as planned.
    ///
    /// # Errors
    ///
    /// [`TimelockError::Seal`], [`TimelockError::TooLong`].
    pub fn seal(&self, weights: &Weights, hotkey: AccountId) -> Result<TimelockedWeights, TimelockError> {
        let bytes = seal(&self.payload(weights, hotkey), self.round)?;
        if bytes.len() > MAX_COMMIT {
            return Err(TimelockError::TooLong(bytes.len()));
        }
        Ok(TimelockedWeights { bytes, round: self.round, version: self.version.unwrap_or_default() })
    }

    /// `WeightsTlockPayload` of `reveal_commits.rs`. The hotkey is in it since commitments have a version, so that nobody can copy another's.
    fn payload(&self, weights: &Weights, hotkey: AccountId) -> Vec<u8> {
        let weights = (weights.uids(), weights.values(), weights.version_key());
        if self.version.is_some() { (hotkey.0.as_slice(), weights).encode() } else { weights.encode() }
    }
}

impl TimelockedWeights {
    /// Weights that somebody else has sealed. `version` is what the chain has as `CommitRevealWeightsVersion`.
    pub fn sealed(bytes: Vec<u8>, round: Round, version: u16) -> Self {
        Self { bytes, round, version }
    }

    /// The sealed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The round whose pulse opens them.
    pub fn round(&self) -> Round {
        self.round
    }

    /// The version of committing that they follow.
    pub fn version(&self) -> u16 {
        self.version
    }
}

/// What the runtime says a block takes. Chains for testing are faster than the main network.
fn block_ms(runtime: &Runtime) -> u64 {
    let slot = runtime.constant("Aura", "SlotDuration").ok();
    let minimum = || runtime.constant::<u64>("Timestamp", "MinimumPeriod").ok().map(|half| half.saturating_mul(2));
    slot.or_else(minimum).filter(|ms| *ms > 0).unwrap_or(BLOCK_MS)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn runtime() -> Runtime {
        let mut bytes = Vec::new();
        let packed: &[u8] = include_bytes!("../../../testdata/metadata-v16-spec365.scale.gz");
        flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        Runtime::new(365, &bytes).unwrap()
    }

    /// For the block after 1000, which revealed 1109 blocks and 2 epochs of 101 later.
    fn plan(version: Option<u16>) -> RevealPlan {
        let schedule = EpochSchedule::Counted { netuid: 1, tempo: 100 };
        let head = (1000, Timestamp::from_second(1_763_752_702).unwrap());
        RevealPlan::of(&runtime(), head, 1, schedule, 2, version).unwrap()
    }

    #[test]
    fn the_round_is_one_that_the_chain_knows_by_the_reveal() {
        assert_eq!(block_ms(&runtime()), 12_000);
        // (1109 + 3 - 1000) blocks of 12 s are 448 rounds.
        let now = plan(Some(4));
        assert_eq!((now.block, now.round), (1109, Round(23_649_778 + 448)));
        assert_eq!(now.time, now.round.time());
        // 109 blocks are 436 rounds, of which the last 24 are too late.
        assert_eq!(plan(None).round, Round(23_649_778 + 412));
        let closed = EpochSchedule::Counted { netuid: 1, tempo: 0 };
        assert_eq!(RevealPlan::of(&runtime(), (1000, Timestamp::UNIX_EPOCH), 1, closed, 2, None), None);
    }

    #[test]
    fn a_plan_is_told_as_json() {
        let schedule = serde_json::json!({"epochs": "counted", "netuid": 1, "tempo": 100});
        let told = serde_json::to_value(plan(Some(4))).unwrap();
        assert_eq!((&told["schedule"], &told["round"], &told["version"]), (&schedule, &23_650_226.into(), &4.into()));
    }

    #[test]
    fn the_payload_is_what_the_pallet_decodes() {
        let weights = Weights::new([(1, 5), (3, 1)], 7).unwrap();
        let legacy = [8, 1, 0, 3, 0, 8, 5, 0, 1, 0, 7, 0, 0, 0, 0, 0, 0, 0].to_vec();
        assert_eq!(plan(None).payload(&weights, AccountId([9; 32])), legacy);
        // The hotkey is a Vec<u8>, with its length.
        assert_eq!(plan(Some(4)).payload(&weights, AccountId([9; 32])), [&[128][..], &[9; 32], &legacy].concat());
    }

    #[test]
    fn what_the_chain_would_not_take_is_not_sealed() {
        let most = |uids: u16| Weights::new((0..uids).map(|uid| (uid, 1)), 0).unwrap();
        let sealed = plan(Some(4)).seal(&most(1100), AccountId([9; 32])).unwrap();
        assert_eq!((sealed.version(), sealed.round()), (4, plan(Some(4)).round));
        let error = plan(Some(4)).seal(&most(1200), AccountId([9; 32])).unwrap_err();
        assert!(matches!(error, TimelockError::TooLong(5089)), "{error}");
    }
}
