//! Descriptions of a runtime that would lead a decoder or an encoder astray.

use chain::read::Runtime;
use chain_sim::{METADATA_V14, METADATA_V15, METADATA_V16, unpack};

const NEURONS: &str = "NeuronInfoRuntimeApi";

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
