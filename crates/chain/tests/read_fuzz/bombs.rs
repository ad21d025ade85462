//! Few bytes that ask for much: memory, or levels of nesting.

use chain::read::Runtime;
use chain::read::scale::{ScaleError, Value};
use chain_sim::{METADATA_V15, unpack};
use frame_metadata::v15::RuntimeMetadataV15;
use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed};
use parity_scale_codec::{Decode as _, Encode as _};
use scale_info::{Field, PortableType, Type, TypeDef, TypeDefComposite, TypeDefSequence};

use crate::corpus::subjects;
use crate::fuzz_tests::encode;
use crate::made::compact;
use crate::random::CLAIMS;

const SUBNETS: &str = "SubnetInfoRuntimeApi";

/// Bytes that were held at one time.
fn held(run: impl FnOnce()) -> u64 {
    allocation_counter::measure(run).bytes_max
}

#[test]
fn a_length_that_is_only_claimed_claims_no_memory() {
    for subject in subjects() {
        for reader in &subject.readers {
            for claim in CLAIMS {
                for before in [&[][..], &[1], &[0, 1], &[1, 0, 0]] {
                    let bytes = [before, claim, &[0; 8]].concat();
                    let held = held(|| {
                        reader.read(&subject.runtime, &bytes);
                    });
                    assert!(held < 256 << 10, "{}: {held} bytes are held for {}", reader.what, hex::encode(bytes));
                }
            }
        }
    }
}

#[test]
fn a_list_of_very_many_that_are_not_there_is_refused_before_it_takes_memory() {
    // Each item is one byte, `None`, and in memory some hundred: half a million of them are more than a hundred megabytes.
    let runtime = Runtime::new(343, &unpack(METADATA_V15).unwrap()).unwrap();
    let mut bytes = Vec::new();
    compact(1 << 19, &mut bytes);
    bytes.resize(bytes.len() + (1 << 19), 0);
    let mut result = Ok(Vec::new());
    let held = held(|| result = runtime.call_answer::<Vec<Option<chain::read::SubnetInfo>>>(SUBNETS, "get_subnets_info_v2", &bytes));
    let error = result.unwrap_err().to_string();
    assert!(error.contains("more memory than anything on the chain") && held < 1 << 20, "{held} bytes: {error}");
    // What a chain of many subnets may have is read.
    let mut bytes = Vec::new();
    compact(4096, &mut bytes);
    bytes.resize(bytes.len() + 4096, 0);
    let subnets: Vec<Option<chain::read::SubnetInfo>> = runtime.call_answer(SUBNETS, "get_subnets_info_v2", &bytes).unwrap();
    assert_eq!(subnets.len(), 4096);
}

/// Metadata of runtime 343, changed.
fn changed(change: impl FnOnce(&mut RuntimeMetadataV15)) -> Runtime {
    let mut metadata = RuntimeMetadataPrefixed::decode(&mut unpack(METADATA_V15).unwrap().as_slice()).unwrap();
    let RuntimeMetadata::V15(inner) = &mut metadata.1 else { panic!("version 15") };
    change(inner);
    Runtime::new(1, &metadata.encode()).unwrap()
}

/// Adds a type and gives its number.
fn add(metadata: &mut RuntimeMetadataV15, type_def: TypeDef<scale_info::form::PortableForm>) -> u32 {
    let id = u32::try_from(metadata.types.types.len()).unwrap();
    let path = scale_info::Path { segments: Vec::new() };
    metadata.types.types.push(PortableType { id, ty: Type { path, type_params: Vec::new(), type_def, docs: Vec::new() } });
    id
}

#[test]
fn metadata_of_nothing_but_types_takes_bounded_memory() {
    let mut metadata = RuntimeMetadataPrefixed::decode(&mut unpack(METADATA_V15).unwrap().as_slice()).unwrap();
    let RuntimeMetadata::V15(inner) = &mut metadata.1 else { panic!("version 15") };
    // The smallest there are: tuples of nothing.
    while inner.types.types.len() < 200_000 {
        add(inner, TypeDef::Tuple(scale_info::TypeDefTuple { fields: Vec::new() }));
    }
    let bytes = metadata.encode();
    assert!((3 << 19..2 << 20).contains(&bytes.len()), "{}", bytes.len());
    let held = held(|| assert!(Runtime::new(1, &bytes).is_ok()));
    assert!(held < 128 << 20, "{held} bytes");
}

/// A list in a list in a list, so many levels deep, as the answer to a call.
fn nested(levels: u32) -> Runtime {
    changed(|metadata| {
        let is_u8 = |ty: &&PortableType| matches!(ty.ty.type_def, TypeDef::Primitive(scale_info::TypeDefPrimitive::U8));
        let mut ty = metadata.types.types.iter().find(is_u8).unwrap().id;
        for _ in 0..levels {
            ty = add(metadata, TypeDef::Sequence(TypeDefSequence { type_param: ty.into() }));
        }
        let method =
            metadata.apis.iter_mut().flat_map(|api| &mut api.methods).find(|method| method.name == "get_network_registration_cost");
        method.unwrap().output = ty.into();
    })
}

#[test]
fn what_nests_deeply_is_read_on_a_small_stack_and_what_nests_deeper_is_refused() {
    let (api, method) = ("SubnetRegistrationRuntimeApi", "get_network_registration_cost");
    let read = |levels: u32| {
        let runtime = nested(levels);
        // A list of one, down to the innermost, which has none.
        let bytes = [vec![4; levels as usize - 1], vec![0]].concat();
        // As large as the stack of a worker of the asynchronous runtime.
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        thread.spawn(move || runtime.call_answer::<Value>(api, method, &bytes)).unwrap().join().unwrap()
    };
    assert!(read(60).is_ok());
    assert!(matches!(read(100), Err(ScaleError::Unsafe(_))));
}

#[test]
fn extrinsics_of_endless_types_are_not_encoded() {
    // Each number becomes `struct A(A)`: netuids, nonces, tips.
    for wanted in ["U8", "U16", "U32", "U64"] {
        let runtime = changed(|metadata| {
            for ty in &mut metadata.types.types {
                let is_it = matches!(&ty.ty.type_def, TypeDef::Primitive(primitive) if format!("{primitive:?}") == wanted);
                if is_it {
                    let field = Field { name: None, ty: ty.id.into(), type_name: None, docs: Vec::new() };
                    ty.ty.type_def = TypeDef::Composite(TypeDefComposite { fields: vec![field] });
                }
            }
        });
        encode(&runtime);
    }
    // And keys, signatures and hashes.
    let runtime = changed(|metadata| {
        for ty in &mut metadata.types.types {
            if matches!(ty.ty.type_def, TypeDef::Array(_)) {
                let field = Field { name: None, ty: ty.id.into(), type_name: None, docs: Vec::new() };
                ty.ty.type_def = TypeDef::Composite(TypeDefComposite { fields: vec![field] });
            }
        }
    });
    encode(&runtime);
}
