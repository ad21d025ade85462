//! Answers, values, keys and events; and metadata with what is then read and encoded by it.

use chain::read::{AccountId, Block, Runtime};
use chain::submit::{Axon, Call, Extrinsic, Mortality, Signing, Weights};
use chain_sim::{METADATA_V14, METADATA_V15, METADATA_V16, unpack};

use crate::corpus::{Subject, subjects};
use crate::hunt::{Case, cases, hunt};
use crate::made;
use crate::random::{CLAIMS, Random};
use crate::readers::{OWN, Reader, readers};

/// Bytes that may be held while so many are read: room for error texts and lists that grow, and no more than some hundred times as much
/// as came in. A list of nothing takes that much, up to the bound of a decoding.
fn most(bytes: usize) -> u64 {
    (1 << 20) + 256 * bytes as u64
}

#[test]
fn no_answer_of_a_node_panics() {
    hunt("fuzz_tests::no_answer_of_a_node_panics", cases(4_000), subjects, answer);
}

fn answer(subjects: &[Subject; 3], number: u64) -> Case<'_> {
    let random = &mut Random::of_case(number);
    let subject = random.one(subjects);
    let made = |reader: &Reader, random: &mut Random| {
        let mut bytes = Vec::new();
        reader.ty.iter().for_each(|ty| made::value(subject.runtime.metadata().types(), *ty, random, &mut bytes));
        bytes
    };
    let any = |random: &mut Random| random.below(subject.readers.len());
    // The product's own types are few among all.
    let one = |random: &mut Random| if random.one_in(3) { random.below(OWN) } else { random.below(subject.readers.len()) };
    let (how, (place, mut bytes)) = match random.below(100) {
        0..33 => {
            let place = one(random);
            ("made up", (place, made(&subject.readers[place], random)))
        }
        33..68 => ("recorded", random.one(&subject.small).clone()),
        68..76 => ("recorded as something else", (one(random), random.one(&subject.small).1.clone())),
        76..84 => ("made up as something else", (one(random), made(&subject.readers[any(random)], random))),
        84..95 => ("by chance", (one(random), random.bytes(512))),
        95..99 => {
            let mut bytes = random.bytes(4);
            bytes.extend(*random.one(&CLAIMS));
            bytes.extend(random.bytes(40));
            ("claimed", (one(random), bytes))
        }
        _ => ("recorded whole", random.one(&subject.large).clone()),
    };
    if !random.one_in(8) {
        random.spoil(&mut bytes);
    }
    let reader = &subject.readers[place];
    Case {
        what: format!("{} of {}, {how}", reader.what, subject.name),
        most: most(bytes.len()),
        bytes,
        read: Box::new(|bytes| reader.read(&subject.runtime, bytes)),
    }
}

#[test]
fn no_metadata_panics() {
    let unpacked = || [METADATA_V14, METADATA_V15, METADATA_V16].map(|packed| unpack(packed).unwrap());
    hunt("fuzz_tests::no_metadata_panics", cases(4_000) / 100, unpacked, metadata);
}

fn metadata(right: &[Vec<u8>; 3], number: u64) -> Case<'_> {
    let random = &mut Random::of_case(number);
    let mut bytes = random.one(right).clone();
    for _ in 0..random.below(4) {
        // The first bytes and the version now and then, else they would seldom be hit.
        let at = if random.one_in(8) { random.below(8) } else { random.below(bytes.len()) };
        bytes[at] = random.byte();
    }
    if random.one_in(8) {
        bytes.truncate(random.below(bytes.len()));
    }
    let seed = random.next();
    Case { what: "metadata".to_owned(), bytes, most: 8 << 20, read: Box::new(move |bytes| described(bytes, seed)) }
}

/// Takes the bytes for metadata, and reads and encodes by it.
fn described(bytes: &[u8], seed: u64) -> bool {
    let Ok(runtime) = Runtime::new(1, bytes) else { return false };
    let random = &mut Random::of_case(seed);
    let readers = readers(&runtime);
    for (place, reader) in readers.iter().enumerate() {
        // All of the product's own, and some of the others.
        if place >= OWN && !random.one_in(16) {
            continue;
        }
        let mut bytes = Vec::new();
        reader.ty.iter().for_each(|ty| made::value(runtime.metadata().types(), *ty, random, &mut bytes));
        reader.read(&runtime, &bytes);
    }
    encode(&runtime);
    true
}

/// Encodes all that we ever encode; how it ends does not matter.
pub(crate) fn encode(runtime: &Runtime) {
    let (neurons, subnets, pallet) = ("NeuronInfoRuntimeApi", "SubnetInfoRuntimeApi", "SubtensorModule");
    drop(runtime.storage_key(pallet, "Burn", (64u16,)));
    drop(runtime.storage_key(pallet, "Uids", (64u16, [7u8; 32])));
    drop(runtime.storage_key("System", "Account", ([7u8; 32],)));
    drop(runtime.call_arguments(neurons, "get_neurons_lite", (64u16,)));
    drop(runtime.call_arguments(subnets, "get_selective_mechagraph", (64u16, 0u8, vec![1u16, 2])));
    let birth = Block { number: 7, hash: [7; 32] };
    let signing = Signing {
        genesis: [1; 32],
        spec_version: 1,
        transaction_version: 1,
        nonce: 3,
        mortality: Some(Mortality::new(birth, 64)),
        tip_rao: 5,
    };
    let account = AccountId([9; 32]);
    let weights = Weights::new([(1, 2), (3, 4)], 5).unwrap();
    let calls = [
        Call::Register { netuid: 64, hotkey: account, limit_rao: 7 },
        Call::ServeAxon { netuid: 64, axon: Axon::new("1.2.3.4".parse().unwrap(), 99, 1).unwrap() },
        Call::SetWeights { netuid: 64, weights: weights.clone() },
        Call::CommitWeights { netuid: 64, commitment: [4; 32] },
        Call::RevealWeights { netuid: 64, weights, salt: vec![1, 2] },
        Call::Transfer { to: account, rao: 1, keep_alive: true },
    ];
    for call in calls {
        drop(call.encode(runtime));
        drop(Extrinsic::payload(&call, &signing, runtime));
    }
}
