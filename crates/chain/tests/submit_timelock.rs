//! Weights that the chain reveals itself, and those of mechanisms, as calls of three runtimes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Read as _;

use chain::read::Runtime;
use chain::submit::{Call, Mechanism, Round, TimelockedWeights, Weights};

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
