//! Weights that the chain reveals itself, and those of mechanisms, as calls of three runtimes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Read as _;

use chain::read::{ReadError, Runtime};
use chain::submit::{Call, EpochSchedule, Mechanism, Round, TimelockError, TimelockedWeights, Weights, reveal_plan};
use chain_sim::{METADATA_V16, Sim, World, unpack};
use parity_scale_codec::Encode as _;

#[path = "support/nodes.rs"]
mod nodes;

fn runtimes() -> [Runtime; 3] {
    [
        runtime(343, include_bytes!("../testdata/metadata-v14-spec343.scale.gz"), &[]),
        runtime(343, include_bytes!("../testdata/metadata-v15-spec343.scale.gz"), &[]),
        runtime(365, include_bytes!("../testdata/metadata-v16-spec365.scale.gz"), &[]),
    ]
}

/// A runtime, with some of its calls under another name of the same length.
fn runtime(version: u32, packed: &[u8], renamed: &[(&str, &str)]) -> Runtime {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    for (old, new) in renamed {
        // A call's name is text with its length before it.
        let named = |name: &str| [&[u8::try_from(name.len() << 2).unwrap()], name.as_bytes()].concat();
        let at = bytes.windows(old.len() + 1).position(|window| window == named(old)).unwrap();
        bytes[at..=at + old.len()].copy_from_slice(&named(new));
    }
    Runtime::new(version, &bytes).unwrap()
}

fn timelocked(mechanism: u8) -> Call {
    let commit = TimelockedWeights::sealed(vec![0xaa, 0xbb], Round(0x0102_0304), 4);
    Call::CommitTimelockedWeights { netuid: 64, mechanism: Mechanism::new(mechanism).unwrap(), commit }
}

#[test]
fn calls_of_mechanisms_and_timelocks_have_their_numbers_and_arguments_in_order() {
    let mechanism = Mechanism::new(1).unwrap();
    let weights = Weights::new([(3, 65_535)], 2).unwrap();
    let weighed = [4, 3, 0, 4, 0xff, 0xff];
    let calls: [(Call, Vec<u8>); 5] = [
        (timelocked(0), vec![7, 113, 64, 0, 8, 0xaa, 0xbb, 4, 3, 2, 1, 0, 0, 0, 0, 4, 0]),
        (timelocked(1), vec![7, 118, 64, 0, 1, 8, 0xaa, 0xbb, 4, 3, 2, 1, 0, 0, 0, 0, 4, 0]),
        (
            Call::SetMechanismWeights { netuid: 64, mechanism, weights: weights.clone() },
            [&[7, 119, 64, 0, 1][..], &weighed, &[2, 0, 0, 0, 0, 0, 0, 0]].concat(),
        ),
        (Call::CommitMechanismWeights { netuid: 64, mechanism, commitment: [8; 32] }, [&[7, 115, 64, 0, 1][..], &[8; 32]].concat()),
        (
            Call::RevealMechanismWeights { netuid: 64, mechanism, weights, salt: vec![5] },
            [&[7, 116, 64, 0, 1][..], &weighed, &[4, 5, 0, 2, 0, 0, 0, 0, 0, 0, 0]].concat(),
        ),
    ];
    for runtime in runtimes() {
        for (call, bytes) in &calls {
            assert_eq!(hex::encode(call.encode(&runtime).unwrap()), hex::encode(bytes), "{call:?}");
        }
        assert_eq!(calls[0].0.name(&runtime), "SubtensorModule.commit_timelocked_weights");
    }
}

/// Runtimes before 343 had only the older call. `commit_crv3_mechanism_weights` is still in this one, and is given to them as theirs.
#[test]
fn a_runtime_without_the_newer_call_is_sent_the_older() {
    let metadata = include_bytes!("../testdata/metadata-v16-spec365.scale.gz");
    let old = runtime(300, metadata, &[("commit_timelocked_mechanism_weights", "commit_timelocked_mechanism_nothing")]);
    assert_eq!(timelocked(1).name(&old), "SubtensorModule.commit_crv3_mechanism_weights");
    let bytes = timelocked(1).encode(&old).unwrap();
    assert_eq!(hex::encode(&bytes[2..]), "40000108aabb0403020100000000");
    // Neither of them: an error, and never something else.
    let neither = runtime(300, metadata, &[("commit_timelocked_weights", "commit_timelocked_nothing")]);
    let error = timelocked(0).encode(&neither).unwrap_err().to_string();
    assert!(error.contains("commit_timelocked_weights"), "{error}");
}

/// The metadata of 365 in which three maps of a number by netuid have other names: no metadata of a runtime that keeps its epochs is at hand.
/// Names and types are those of subtensor's source.
fn keeping_epochs() -> Vec<u8> {
    let mut bytes = unpack(METADATA_V16).unwrap();
    for (old, new) in [("Difficulty", "SubnetEpochIndex"), ("MinDifficulty", "LastEpochBlock"), ("MaxDifficulty", "PendingEpochAt")] {
        // A storage item's name, followed by 1: it has a default.
        let (old, new) = ([&old.encode()[..], &[1]].concat(), [&new.encode()[..], &[1]].concat());
        let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
        bytes.splice(at..at + old.len(), new);
    }
    bytes
}

/// A node at block 1000 of a chain whose subnet 64 has these numbers.
async fn node(metadata: Vec<u8>, numbers: &[(&str, u64)]) -> Sim {
    let runtime = Runtime::new(365, &metadata).unwrap();
    let mut world = World::new(1000, 365, metadata);
    let mut put = |pallet, item, subnet: bool, value: Vec<u8>| {
        let key = if subnet { runtime.storage_key(pallet, item, (64_u16,)) } else { runtime.storage_key(pallet, item, ()) };
        world.set_storage(0, key.unwrap(), Some(value));
    };
    put("Timestamp", "Now", false, 1_763_752_702_000_u64.encode());
    put("SubtensorModule", "CommitRevealWeightsVersion", false, 4_u16.encode());
    for item in ["NetworksAdded", "CommitRevealWeightsEnabled"] {
        put("SubtensorModule", item, true, vec![1]);
    }
    put("SubtensorModule", "Tempo", true, 360_u16.encode());
    for (item, value) in numbers {
        put("SubtensorModule", item, true, value.encode());
    }
    Sim::start(world).await.unwrap()
}

#[tokio::test]
async fn the_plan_follows_the_epochs_of_the_chain() {
    let counted = node(unpack(METADATA_V16).unwrap(), &[("RevealPeriodEpochs", 3)]).await;
    let chain = nodes::chain(&[&counted]);
    let at = chain.at(chain.best().await.unwrap()).await.unwrap();
    let plan = reveal_plan(&at, 64).await.unwrap();
    // (1001 + 65) / 361 is 2; the fifth begins 65 blocks before 5 * 361.
    assert_eq!((plan.schedule, plan.block, plan.version), (EpochSchedule::Counted { netuid: 64, tempo: 360 }, 1740, Some(4)));
    assert_eq!(plan.round, Round(23_649_778 + (740 + 3) * 4));
    let error = reveal_plan(&at, 65).await.unwrap_err();
    assert!(matches!(error, TimelockError::Read(ReadError::NoSuchSubnet(65))), "{error}");

    let numbers = [
        ("RevealPeriodEpochs", 1),
        ("SubnetEpochIndex", 7),
        ("LastEpochBlock", 900),
        ("PendingEpochAt", 1100),
        ("BlocksSinceLastStep", 100),
    ];
    let kept = node(keeping_epochs(), &numbers).await;
    let chain = nodes::chain(&[&kept]);
    let plan = reveal_plan(&chain.at(chain.best().await.unwrap()).await.unwrap(), 64).await.unwrap();
    let schedule =
        EpochSchedule::Kept { tempo: 360, last_epoch_block: 900, pending_epoch_at: 1100, epoch_index: 7, blocks_since_last_step: 100 };
    assert_eq!((plan.schedule, plan.block, plan.round), (schedule, 1100, Round(23_649_778 + 103 * 4)));

    let never = node(unpack(METADATA_V16).unwrap(), &[("RevealPeriodEpochs", 101)]).await;
    let chain = nodes::chain(&[&never]);
    let error = reveal_plan(&chain.at(chain.best().await.unwrap()).await.unwrap(), 64).await.unwrap_err();
    assert!(matches!(error, TimelockError::Never { netuid: 64, tempo: 360, period_epochs: 101 }), "{error}");
}
