//! The runtimes, and right bytes for their readers: recorded ones, whole and cut small.

use std::collections::BTreeMap;

use chain::read::Runtime;
use chain_sim::{METADATA_V15, METADATA_V16, Recording, unpack};
use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed};
use parity_scale_codec::{Decode as _, Encode as _};
use scale_info::{TypeDef, TypeDefPrimitive};
use serde_json::Value as Json;

use crate::cut;
use crate::readers::{Reader, readers};

/// Answers of more bytes are large.
const LARGE: usize = 4096;

/// A runtime with what is read by it.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) runtime: Runtime,
    pub(crate) readers: Vec<Reader>,
    /// Right bytes, each with the place of its reader: small ones, and large ones with their lists cut.
    pub(crate) small: Vec<(usize, Vec<u8>)>,
    /// Whole large ones.
    pub(crate) large: Vec<(usize, Vec<u8>)>,
}

/// Three runtimes: two as they are, and one that answers with bytes in bytes, as those of before version 220.
pub(crate) fn subjects() -> [Subject; 3] {
    let runtimes = [
        ("runtime 343", Runtime::new(343, &unpack(METADATA_V15).unwrap()).unwrap()),
        ("runtime 365", Runtime::new(365, &unpack(METADATA_V16).unwrap()).unwrap()),
        ("a runtime with bytes in bytes", Runtime::new(208, &bytes_in_bytes()).unwrap()),
    ];
    let recorded = recorded();
    runtimes.map(|(name, runtime)| subject(name, runtime, &recorded))
}

fn subject(name: &'static str, runtime: Runtime, recorded: &[Recorded]) -> Subject {
    let readers = readers(&runtime);
    let mut prefixes = BTreeMap::new();
    for pallet in runtime.metadata().pallets() {
        for entry in pallet.storage().into_iter().flat_map(|storage| storage.entries()) {
            let key = runtime.storage_key(pallet.name(), entry.name(), ());
            prefixes.extend(key.map(|key| (key, format!("{}.{}", pallet.name(), entry.name()))));
        }
    }
    // The first of a name is the product's own.
    let place = |kind: &str, name: &str| readers.iter().position(|reader| reader.what.starts_with(kind) && reader.what.ends_with(name));
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for one in recorded {
        let (place, bytes) = match one {
            Recorded::Answer(call, bytes) => (place("the answer", &format!(" {}", call.replacen('_', ".", 1))), bytes),
            Recorded::Older(method, bytes) => (place("the older", &format!(".{method}")), bytes),
            Recorded::Value(key, bytes) => (prefixes.get(&key[..32]).and_then(|name| place("the value", &format!(" {name}"))), bytes),
            // Without the prefix, which the reader puts in front.
            Recorded::Key(key) => {
                small.extend(
                    prefixes.get(&key[..32]).and_then(|name| place("a key", &format!(" {name}"))).map(|at| (at, key[32..].to_vec())),
                );
                continue;
            }
        };
        let Some(place) = place else { continue };
        if bytes.len() <= LARGE {
            small.push((place, bytes.clone()));
            continue;
        }
        large.push((place, bytes.clone()));
        if let Some(ty) = readers[place].ty {
            let types = runtime.metadata().types();
            let cuts = [0, 1, 2, 3, 8].into_iter().filter_map(|keep| cut::lists(types, ty, bytes, keep));
            small.extend(cuts.filter(|cut| cut.len() <= LARGE).map(|cut| (place, cut)));
        }
    }
    Subject { name, runtime, readers, small, large }
}

/// Right bytes as they were recorded.
enum Recorded {
    Answer(String, Vec<u8>),
    Older(String, Vec<u8>),
    Value(Vec<u8>, Vec<u8>),
    Key(Vec<u8>),
}

fn recorded() -> Vec<Recorded> {
    let bytes = |value: &Json| hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap();
    let recording = Recording::shipped().unwrap();
    let scenarios: Vec<String> = recording.scenarios().map(str::to_owned).collect();
    let mut recorded = Vec::new();
    for (method, params, response) in scenarios.iter().flat_map(|scenario| recording.exchanges(scenario).unwrap()) {
        let result = &response["result"];
        match method.as_str() {
            _ if result.is_null() => {}
            "state_call" => recorded.push(Recorded::Answer(params[0].as_str().unwrap().to_owned(), bytes(result))),
            "state_getStorageAt" => recorded.push(Recorded::Value(bytes(&params[0]), bytes(result))),
            "state_getKeysPaged" => recorded.extend(result.as_array().unwrap().iter().map(|key| Recorded::Key(bytes(key)))),
            "state_queryStorageAt" => {
                let changes = result[0]["changes"].as_array().unwrap().iter().filter(|change| !change[1].is_null());
                recorded.extend(changes.map(|change| Recorded::Value(bytes(&change[0]), bytes(&change[1]))));
            }
            "delegateInfo_getDelegate" | "neuronInfo_getNeuron" => {
                recorded.push(Recorded::Older(method, serde_json::from_value(result.clone()).unwrap()));
            }
            _ => {}
        }
    }
    recorded
}

/// Metadata of runtime 343 whose older calls answer with bytes.
fn bytes_in_bytes() -> Vec<u8> {
    let mut metadata = RuntimeMetadataPrefixed::decode(&mut unpack(METADATA_V15).unwrap().as_slice()).unwrap();
    let RuntimeMetadata::V15(inner) = &mut metadata.1 else { panic!("version 15") };
    let is_u8 = |id: u32| matches!(inner.types.resolve(id).map(|ty| &ty.type_def), Some(TypeDef::Primitive(TypeDefPrimitive::U8)));
    let is_bytes = |ty: &&scale_info::PortableType| matches!(&ty.ty.type_def, TypeDef::Sequence(items) if is_u8(items.type_param.id));
    let bytes = inner.types.types.iter().find(is_bytes).unwrap().id;
    let older = ["get_neurons_lite", "get_neurons", "get_neuron_lite", "get_neuron", "get_subnet_hyperparams", "get_delegate"];
    for method in inner.apis.iter_mut().flat_map(|api| &mut api.methods).filter(|method| older.contains(&method.name.as_str())) {
        method.output = bytes.into();
    }
    metadata.encode()
}
