//! No bytes from a node panic, hang, or claim memory that they do not fill.
//!
//! A moderate number of inputs each time; `CHAIN_FUZZ_CASES=1000000` for as many as are wanted before a release.

#![allow(clippy::unwrap_used, reason = "tests")]

use chain::read::scale::Value;
use chain::read::{AccountInfo, DynamicInfo, Neuron, Runtime, SelectiveMetagraph, SubnetInfo, SubnetState};
use chain_sim::{METADATA_V14, METADATA_V15, METADATA_V16, Recording, unpack};

/// A small generator of our own: a failure is repeated by its number, and a million inputs cost little.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    /// Bytes that are nearly right: some of a right answer, with a few changed, lost or put in.
    fn spoilt(&mut self, right: &[u8]) -> Vec<u8> {
        let mut bytes = right.to_vec();
        if self.below(4) == 0 {
            bytes.truncate(self.below(bytes.len() + 1));
        }
        for _ in 0..self.below(6) {
            let at = self.below(bytes.len());
            match self.below(3) {
                0 if !bytes.is_empty() => bytes[at] = [0, 1, 3, 0xff, 0xfe][self.below(5)],
                1 if !bytes.is_empty() => drop(bytes.remove(at)),
                _ => bytes.insert(at, self.next().to_le_bytes()[0]),
            }
        }
        bytes
    }
}

fn cases() -> u64 {
    std::env::var("CHAIN_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(4_000)
}

const SUBNETS: &str = "SubnetInfoRuntimeApi";
const NEURONS: &str = "NeuronInfoRuntimeApi";

/// Decodes as whatever `kind` says; how it ends does not matter.
fn decode(runtime: &Runtime, kind: usize, bytes: &[u8]) {
    match kind {
        0 => drop(runtime.call_answer::<Vec<Neuron>>(NEURONS, "get_neurons_lite", bytes)),
        1 => drop(runtime.call_answer::<Option<Neuron>>(NEURONS, "get_neuron", bytes)),
        2 => drop(runtime.call_answer::<Vec<Option<SubnetInfo>>>(SUBNETS, "get_subnets_info_v2", bytes)),
        3 => drop(runtime.call_answer::<Option<SubnetState>>(SUBNETS, "get_subnet_state", bytes)),
        4 => drop(runtime.call_answer::<Option<SelectiveMetagraph>>(SUBNETS, "get_selective_mechagraph", bytes)),
        5 => drop(runtime.call_answer::<Vec<Option<DynamicInfo>>>(SUBNETS, "get_all_dynamic_info", bytes)),
        6 => drop(runtime.call_answer::<Option<Value>>(SUBNETS, "get_subnet_hyperparams_v2", bytes)),
        7 => drop(runtime.events(bytes)),
        8 => drop(runtime.storage_value::<AccountInfo>("System", "Account", Some(bytes))),
        9 => drop(Runtime::bare_answer::<Vec<Neuron>>("neuronInfo_getNeuronsLite", bytes)),
        10 => drop(Runtime::bare_answer::<Option<Value>>("delegateInfo_getDelegate", bytes)),
        11 => drop(runtime.last_key::<u16>("SubtensorModule", "Uids", bytes)),
        12 => drop(runtime.storage_value::<Value>("Commitments", "CommitmentOf", Some(bytes))),
        _ => drop(runtime.storage_value::<Value>("SubtensorModule", "Weights", Some(bytes))),
    }
}

/// Encodes whatever is asked for; how it ends does not matter.
fn encode(runtime: &Runtime) {
    drop(runtime.storage_key("SubtensorModule", "Burn", (64u16,)));
    drop(runtime.storage_key("SubtensorModule", "Uids", (64u16, [7u8; 32])));
    drop(runtime.storage_key("System", "Account", ([7u8; 32],)));
    drop(runtime.call_arguments(NEURONS, "get_neurons_lite", (64u16,)));
    drop(runtime.call_arguments(SUBNETS, "get_selective_mechagraph", (64u16, 0u8, vec![1u16, 2])));
}

/// Recorded answers, each with the kind that [`decode`] calls it.
fn right_answers() -> Vec<(usize, Vec<u8>)> {
    let recording = Recording::shipped().unwrap();
    let mut answers = Vec::new();
    for scenario in ["metagraph", "get_all_subnets_info", "get_neuron_for_pubkey_and_subnet"] {
        for (method, params, response) in recording.exchanges(scenario).unwrap() {
            if method != "state_call" {
                continue;
            }
            let kind = match params[0].as_str().unwrap() {
                "NeuronInfoRuntimeApi_get_neurons_lite" => 0,
                "NeuronInfoRuntimeApi_get_neuron" => 1,
                "SubnetInfoRuntimeApi_get_subnets_info_v2" => 2,
                "SubnetInfoRuntimeApi_get_subnet_state" => 3,
                "SubnetInfoRuntimeApi_get_selective_mechagraph" => 4,
                "SubnetInfoRuntimeApi_get_all_dynamic_info" => 5,
                other => panic!("{other} is decoded as nothing"),
            };
            answers.push((kind, hex::decode(response["result"].as_str().unwrap().trim_start_matches("0x")).unwrap()));
        }
    }
    answers
}

#[test]
fn no_answer_of_a_node_panics() {
    let runtimes = [Runtime::new(343, &unpack(METADATA_V15).unwrap()).unwrap(), Runtime::new(365, &unpack(METADATA_V16).unwrap()).unwrap()];
    let answers = right_answers();
    assert_eq!(answers.len(), 5);
    for case in 0..cases() {
        let mut random = Random(case);
        let runtime = &runtimes[random.below(2)];
        let (kind, answer) = &answers[random.below(answers.len())];
        match random.below(8) {
            0..4 => decode(runtime, random.below(14), &random.bytes(512)),
            4 => decode(runtime, random.below(14), &random.spoilt(answer)),
            // Several hundred KiB each: a few.
            _ if case % 8 == 0 => decode(runtime, *kind, &random.spoilt(answer)),
            _ => {}
        }
    }
}

#[test]
fn no_metadata_panics() {
    let right: Vec<Vec<u8>> = [METADATA_V14, METADATA_V15, METADATA_V16].into_iter().map(|packed| unpack(packed).unwrap()).collect();
    // Each costs some milliseconds.
    for case in 0..(cases() / 200).max(20) {
        let mut random = Random(case);
        let mut bytes = right[random.below(3)].clone();
        for _ in 0..=random.below(4) {
            // The first bytes and the version now and then, else they would seldom be hit.
            let at = if random.below(8) == 0 { random.below(8) } else { random.below(bytes.len()) };
            bytes[at] = random.next().to_le_bytes()[0];
        }
        if random.below(4) == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        if let Ok(runtime) = Runtime::new(1, &bytes) {
            let answer = random.bytes(64);
            encode(&runtime);
            for kind in 0..14 {
                decode(&runtime, kind, &answer);
            }
        }
    }
}

#[test]
fn metadata_whose_first_bytes_name_its_own_length_is_refused() {
    // Read as a length, the first bytes give the number of all bytes: the library's own decoder then calls itself for ever.
    assert!(Runtime::new(1, &[0x10, 0, 0, 0]).is_err());
    for packed in [METADATA_V14, METADATA_V15, METADATA_V16] {
        assert!(Runtime::new(1, &unpack(packed).unwrap()[..6_491]).is_err());
    }
    assert!(Runtime::new(1, &vec![0; 5 << 20]).is_err());
}

#[test]
fn metadata_with_wrongly_numbered_types_is_refused() {
    use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed};
    use parity_scale_codec::{Decode as _, Encode as _};
    let mut metadata = RuntimeMetadataPrefixed::decode(&mut unpack(METADATA_V14).unwrap().as_slice()).unwrap();
    let RuntimeMetadata::V14(inner) = &mut metadata.1 else { panic!("version 14") };
    for ty in &mut inner.types.types {
        match ty.ty.path.segments.last_mut() {
            Some(name) if name == "RuntimeCall" => ty.id = u32::MAX / 8,
            // Without it, a call's number is looked up without a question whether it is there.
            Some(name) if name == "RuntimeError" => "Other".clone_into(name),
            _ => {}
        }
    }
    assert!(Runtime::new(1, &metadata.encode()).is_err());
}

#[test]
fn keys_and_arguments_of_endless_types_are_not_encoded() {
    use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed};
    use parity_scale_codec::{Decode as _, Encode as _};
    let mut metadata = RuntimeMetadataPrefixed::decode(&mut unpack(METADATA_V15).unwrap().as_slice()).unwrap();
    let RuntimeMetadata::V15(inner) = &mut metadata.1 else { panic!("version 15") };
    // `u16` becomes `struct A(A)`.
    let (id, ty) = inner
        .types
        .types
        .iter_mut()
        .find_map(|ty| {
            matches!(ty.ty.type_def, scale_info::TypeDef::Primitive(scale_info::TypeDefPrimitive::U16)).then_some((ty.id, &mut ty.ty))
        })
        .unwrap();
    let field = scale_info::Field { name: None, ty: id.into(), type_name: None, docs: Vec::new() };
    ty.type_def = scale_info::TypeDef::Composite(scale_info::TypeDefComposite { fields: vec![field] });
    let runtime = Runtime::new(1, &metadata.encode()).unwrap();
    let unsafe_key = runtime.storage_key("SubtensorModule", "Burn", (64u16,)).unwrap_err();
    let unsafe_argument = runtime.call_arguments(NEURONS, "get_neurons_lite", (1u16,)).unwrap_err();
    for error in [unsafe_key, unsafe_argument] {
        assert!(matches!(error, chain::read::scale::ScaleError::Unsafe(_)), "{error}");
    }
}

#[test]
fn a_length_that_is_only_claimed_claims_no_memory() {
    let runtime = Runtime::new(343, &unpack(METADATA_V15).unwrap()).unwrap();
    // 2^30 - 1 items, and none of them there.
    let claim = [0xfe, 0xff, 0xff, 0xff];
    for kind in 0..14 {
        decode(&runtime, kind, &claim);
        decode(&runtime, kind, &[&[1], claim.as_slice()].concat());
        decode(&runtime, kind, &[0x13, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    }
}

#[test]
fn everything_that_is_decoded_is_safe_by_its_description() {
    for (version, packed) in [(343, METADATA_V15), (365, METADATA_V16)] {
        let runtime = Runtime::new(version, &unpack(packed).unwrap()).unwrap();
        assert!(runtime.events(&[0]).unwrap().is_empty());
        let shapes = chain::read::scale::Shapes::new(runtime.metadata().types());
        let recursive: Vec<u32> =
            (0..runtime.metadata().types().types.len()).map(|id| id as u32).filter(|id| !shapes.is_safe(*id)).collect();
        // Calls that hold calls, and the few types that hold those: not all types, and not none.
        assert!((1..120).contains(&recursive.len()), "{}", recursive.len());
        let call = runtime.metadata().outer_enums().call_enum_ty();
        assert!(recursive.contains(&call), "a call may hold calls");
    }
}
