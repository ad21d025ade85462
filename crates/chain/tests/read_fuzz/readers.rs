//! Everything that takes bytes from a node, and what is done with what comes out.

use std::fmt::Write as _;
use std::io::sink;

use chain::read::scale::{FromScale, ScaleError, Value};
use chain::read::{
    AccountId, AccountInfo, DelegateInfo, DynamicInfo, Event, Fixed, Neuron, Runtime, SelectiveMetagraph, SubnetInfo, SubnetState,
};
use serde::Serialize;

/// Whether the bytes were right.
type Read = fn(&Runtime, &str, &str, &[u8]) -> bool;

/// One way to read bytes. How it ends does not matter, only that it does.
pub(crate) struct Reader {
    pub(crate) what: String,
    /// Pallet or API, and storage item or method.
    names: (String, String),
    /// The type of what is read, where the runtime describes it.
    pub(crate) ty: Option<u32>,
    read: Read,
}

impl Reader {
    /// Whether the bytes were right.
    pub(crate) fn read(&self, runtime: &Runtime, bytes: &[u8]) -> bool {
        (self.read)(runtime, &self.names.0, &self.names.1, bytes)
    }
}

/// Shown and written, as what is read is by the commands.
fn used<T: Serialize>(result: Result<T, ScaleError>) -> bool {
    match result {
        Ok(value) => serde_json::to_writer(sink(), &value).is_ok(),
        Err(error) => error.to_string().is_empty(),
    }
}

fn call<T: FromScale + Serialize>(runtime: &Runtime, api: &str, method: &str, bytes: &[u8]) -> bool {
    used(runtime.call_answer::<T>(api, method, bytes))
}

fn storage<T: FromScale + Serialize>(runtime: &Runtime, pallet: &str, item: &str, bytes: &[u8]) -> bool {
    used(runtime.storage_value::<T>(pallet, item, Some(bytes)))
}

/// The bytes with the item's prefix in front, without which nothing else is looked at.
fn key<T: FromScale + Serialize>(runtime: &Runtime, pallet: &str, item: &str, bytes: &[u8]) -> bool {
    runtime.storage_key(pallet, item, ()).is_ok_and(|prefix| used(runtime.last_key::<T>(pallet, item, &[&prefix, bytes].concat())))
}

fn bare<T: FromScale + Serialize>(_: &Runtime, _: &str, method: &str, bytes: &[u8]) -> bool {
    used(Runtime::bare_answer::<T>(method, bytes))
}

fn events(runtime: &Runtime, _: &str, _: &str, bytes: &[u8]) -> bool {
    let events = runtime.events(bytes);
    let asked = |event: &Event| event.fields.field("netuid").or_else(|| event.fields.item(0)).and_then(Value::as_u16);
    let netuids: Vec<u16> = events.iter().flatten().filter_map(asked).collect();
    drop(netuids);
    used(events)
}

fn neurons(runtime: &Runtime, api: &str, method: &str, bytes: &[u8]) -> bool {
    let neurons = runtime.call_answer::<Vec<Neuron>>(api, method, bytes);
    let addresses: Vec<_> = neurons.iter().flatten().filter_map(|neuron| neuron.axon_info.address()).collect();
    drop(addresses);
    used(neurons)
}

fn pools(runtime: &Runtime, api: &str, method: &str, bytes: &[u8]) -> bool {
    let pools = runtime.call_answer::<Vec<Option<DynamicInfo>>>(api, method, bytes);
    let mut text = String::new();
    for pool in pools.iter().flatten().flatten() {
        write!(text, "{} {} {:?}", pool.subnet_name, pool.moving_price, pool.spot_price()).unwrap();
    }
    used(pools)
}

const NEURONS: &str = "NeuronInfoRuntimeApi";
const SUBNETS: &str = "SubnetInfoRuntimeApi";
const PALLET: &str = "SubtensorModule";

/// How many of the readers are for types of the product's own.
pub(crate) const OWN: usize = 15 + 6 + 2 + 6;

/// The readers of a runtime: first those that the product reads as types of its own, then all it has.
pub(crate) fn readers(runtime: &Runtime) -> Vec<Reader> {
    let mut readers = Vec::new();
    let add = |readers: &mut Vec<Reader>, kind: &str, first: &str, second: &str, ty, read| {
        let what = format!("{kind} {first}.{second}");
        readers.push(Reader { what, names: (first.to_owned(), second.to_owned()), ty, read });
    };
    let metadata = runtime.metadata();
    let answer = |api: &str, method: &str| Some(metadata.runtime_api_trait_by_name(api)?.method_by_name(method)?.output_ty());
    let calls: [(&str, &str, Read); 15] = [
        (NEURONS, "get_neurons_lite", neurons),
        (NEURONS, "get_neurons", neurons),
        (NEURONS, "get_neuron", call::<Option<Neuron>>),
        (NEURONS, "get_neuron_lite", call::<Option<Neuron>>),
        (SUBNETS, "get_subnets_info_v2", call::<Vec<Option<SubnetInfo>>>),
        (SUBNETS, "get_subnet_info_v2", call::<Option<SubnetInfo>>),
        (SUBNETS, "get_subnet_state", call::<Option<SubnetState>>),
        (SUBNETS, "get_selective_mechagraph", call::<Option<SelectiveMetagraph>>),
        (SUBNETS, "get_selective_metagraph", call::<Option<SelectiveMetagraph>>),
        (SUBNETS, "get_all_dynamic_info", pools),
        (SUBNETS, "get_dynamic_info", call::<Option<DynamicInfo>>),
        (SUBNETS, "get_subnet_hyperparams", call::<Option<Value>>),
        (SUBNETS, "get_subnet_hyperparams_v2", call::<Option<Value>>),
        ("DelegateInfoRuntimeApi", "get_delegate", call::<Option<DelegateInfo>>),
        ("BlockBuilder", "apply_extrinsic", call::<Value>),
    ];
    for (api, method, read) in calls {
        add(&mut readers, "the answer of", api, method, answer(api, method), read);
    }
    let value = |pallet: &str, item: &str| {
        let storage = metadata.pallet_by_name(pallet)?.storage()?;
        Some(storage.entry_by_name(item)?.value_ty())
    };
    let items: [(&str, &str, Read); 6] = [
        ("System", "Events", events),
        ("System", "Account", storage::<AccountInfo>),
        (PALLET, "ValidatorPermit", storage::<Vec<bool>>),
        (PALLET, "Owner", storage::<AccountId>),
        (PALLET, "Burn", storage::<u64>),
        ("Swap", "AlphaSqrtPrice", storage::<Fixed>),
    ];
    for (pallet, item, read) in items {
        add(&mut readers, "the value of", pallet, item, value(pallet, item), read);
    }
    for (item, read) in [("Uids", key::<AccountId> as Read), ("Keys", key::<u16>)] {
        add(&mut readers, "a key of", PALLET, item, None, read);
    }
    let older: [(&str, Read); 6] = [
        ("neuronInfo_getNeuronsLite", bare::<Vec<Neuron>>),
        ("neuronInfo_getNeurons", bare::<Vec<Neuron>>),
        ("neuronInfo_getNeuronLite", bare::<Option<Neuron>>),
        ("neuronInfo_getNeuron", bare::<Option<Neuron>>),
        ("subnetInfo_getSubnetHyperparams", bare::<Option<Value>>),
        ("delegateInfo_getDelegate", bare::<Option<DelegateInfo>>),
    ];
    for (method, read) in older {
        add(&mut readers, "the older answer of", "", method, None, read);
    }
    assert_eq!(readers.len(), OWN);
    for api in metadata.runtime_api_traits() {
        for method in api.methods() {
            add(&mut readers, "the answer, whatever it is, of", api.name(), method.name(), Some(method.output_ty()), call::<Value>);
        }
    }
    for pallet in metadata.pallets() {
        for entry in pallet.storage().into_iter().flat_map(|storage| storage.entries()) {
            add(&mut readers, "the value, whatever it is, of", pallet.name(), entry.name(), Some(entry.value_ty()), storage::<Value>);
            add(&mut readers, "a key, whatever it is, of", pallet.name(), entry.name(), None, key::<Value>);
        }
    }
    readers
}
