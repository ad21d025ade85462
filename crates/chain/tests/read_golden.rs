//! What was recorded from the real chain decodes to what is known of it, without a byte left over.
//!
//! Recorded were runtimes 208, 274, 315, 320 and 343; metadata is at hand of 343 and 365. The older answers are decoded by that of 343:
//! a layout that changed in between would not come out without bytes left over.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use chain::read::scale::Value;
use chain::read::{AccountInfo, DelegateInfo, Fixed, Neuron, RAO_PER_TAO, Runtime, SelectiveMetagraph, SubnetInfo, SubnetState};
use chain_sim::{METADATA_V14, METADATA_V15, METADATA_V16, Recording, unpack};
use serde_json::Value as Json;

fn runtime(version: u32, packed: &[u8]) -> Runtime {
    Runtime::new(version, &unpack(packed).unwrap()).unwrap()
}

fn bytes(value: &Json) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap()
}

/// The result of the one exchange of a scenario whose first parameter begins so.
fn result(scenario: &str, method: &str, first: &str) -> Json {
    let exchanges = Recording::shipped().unwrap().exchanges(scenario).unwrap();
    let fits = |(name, params, _): &&(String, Json, Json)| {
        name == method && (first.is_empty() || params[0].as_str().is_some_and(|text| text.starts_with(first)))
    };
    let found: Vec<_> = exchanges.iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{scenario} {method} {first}");
    found[0].2["result"].clone()
}

/// Pallet and item of each storage prefix.
fn prefixes(runtime: &Runtime) -> BTreeMap<Vec<u8>, (String, String)> {
    let mut prefixes = BTreeMap::new();
    for pallet in runtime.metadata().pallets() {
        for entry in pallet.storage().into_iter().flat_map(|storage| storage.entries()) {
            let key = runtime.storage_key(pallet.name(), entry.name(), ()).unwrap();
            prefixes.insert(key, (pallet.name().to_owned(), entry.name().to_owned()));
        }
    }
    prefixes
}

/// How many of what was decoded.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    scenarios: usize,
    calls: usize,
    values: usize,
    keys: usize,
    older_methods: usize,
    wire: usize,
    errors: usize,
}

#[test]
fn all_36_recorded_scenarios_decode_to_the_last_byte() {
    let recording = Recording::shipped().unwrap();
    let runtime = runtime(343, METADATA_V15);
    let prefixes = prefixes(&runtime);
    let mut seen = Seen::default();
    let mut gone = Vec::new();
    let mut storage = |key: &Json, value: Option<&Json>, seen: &mut Seen| {
        let key = bytes(key);
        let Some((pallet, item)) = prefixes.get(&key[..32]) else {
            gone.push(hex::encode(&key[..32]));
            return;
        };
        if key.len() > 32 {
            runtime.last_key::<Value>(pallet, item, &key).unwrap();
            seen.keys += 1;
        }
        if let Some(value) = value {
            let value = (!value.is_null()).then(|| bytes(value));
            runtime.storage_value::<Value>(pallet, item, value.as_deref()).unwrap();
            seen.values += 1;
        }
    };
    let scenarios: Vec<String> = recording.scenarios().map(str::to_owned).collect();
    for scenario in &scenarios {
        seen.scenarios += 1;
        for (method, params, response) in recording.exchanges(scenario).unwrap() {
            if response["result"].is_null() && !response["error"].is_null() {
                assert!(response["error"]["message"].as_str().unwrap().contains("State already discarded"));
                seen.errors += 1;
                continue;
            }
            let result = &response["result"];
            match method.as_str() {
                "state_call" => {
                    let (api, name) = params[0].as_str().unwrap().split_once('_').unwrap();
                    let mut answer = bytes(result);
                    let older = match name {
                        // Recorded from runtime 208, which answered with bytes in bytes.
                        "get_neurons_lite" if scenario != "metagraph" => Some("neuronInfo_getNeuronsLite"),
                        "get_subnet_hyperparams" => Some("subnetInfo_getSubnetHyperparams"),
                        _ => None,
                    };
                    if let Some(older) = older {
                        let blob: Vec<u8> = parity_scale_codec::Decode::decode(&mut answer.as_slice()).unwrap();
                        let value: Value = Runtime::bare_answer(older, &blob).unwrap();
                        // The types written down for old runtimes are those that runtime 343 still has, but for what it added.
                        if older == "neuronInfo_getNeuronsLite" {
                            assert!(runtime.call_answer::<Value>(api, name, &blob).unwrap() == value);
                        }
                        answer = Vec::new();
                    }
                    if !answer.is_empty() {
                        runtime.call_answer::<Value>(api, name, &answer).unwrap();
                    }
                    seen.calls += 1;
                }
                "state_getStorageAt" => storage(&params[0], Some(result), &mut seen),
                "state_getKeysPaged" => result.as_array().unwrap().iter().for_each(|key| storage(key, None, &mut seen)),
                "state_queryStorageAt" => {
                    for change in result[0]["changes"].as_array().unwrap() {
                        storage(&change[0], Some(&change[1]), &mut seen);
                    }
                }
                "delegateInfo_getDelegate" | "neuronInfo_getNeuron" => {
                    let blob: Vec<u8> = serde_json::from_value(result.clone()).unwrap();
                    assert!(matches!(Runtime::bare_answer::<Value>(&method, &blob).unwrap(), Value::Variant(some, _) if some == "Some"));
                    seen.older_methods += 1;
                }
                // The node's own forms, which the tests against the stand-in read.
                "chain_getHead"
                | "chain_getHeader"
                | "chain_getBlockHash"
                | "chain_getBlock"
                | "state_getRuntimeVersion"
                | "rpc_methods"
                | "system_chain" => seen.wire += 1,
                other => panic!("{other} of {scenario} is not decoded"),
            }
        }
    }
    gone.sort();
    gone.dedup();
    assert_eq!(gone, Vec::<String>::new(), "storage that runtime 343 does not have");
    assert_eq!((seen.scenarios, seen.calls, seen.older_methods, seen.errors), (36, 10, 2, 1), "{seen:?}");
    assert!(seen.values > 400 && seen.keys > 800, "{seen:?}");
}

#[test]
fn the_recorded_neurons_are_those_of_subnet_1() {
    let answer = bytes(&result("metagraph", "state_call", "NeuronInfo"));
    for runtime in [runtime(343, METADATA_V15), runtime(365, METADATA_V16)] {
        let neurons: Vec<Neuron> = runtime.call_answer("NeuronInfoRuntimeApi", "get_neurons_lite", &answer).unwrap();
        assert_eq!(neurons.len(), 1024);
        let first = &neurons[0];
        assert_eq!(first.hotkey.0[..4], [0x4a, 0x7a, 0x6c, 0xf2]);
        assert_eq!((first.uid, first.netuid, first.axon_info.port, first.axon_info.version), (0, 1, 6028, 9_011_001));
        assert_eq!(neurons.iter().filter(|neuron| neuron.axon_info.is_serving()).count(), 827);
        assert_eq!(neurons.iter().filter(|neuron| neuron.validator_permit).count(), 12);
        let best = neurons.iter().max_by_key(|neuron| neuron.incentive).unwrap();
        assert_eq!((best.uid, best.incentive), (395, 65_535));
        assert_eq!(best.hotkey.to_string(), "5HCFWvRqzSHWRPecN7q8J6c7aKQnrCZTMHstPv39xL1wgDHh");
        assert_eq!(neurons.iter().map(|neuron| neuron.emission).sum::<u64>(), 82_000_457_507);
        // What is left of two columns that the runtime no longer computes.
        assert_eq!(neurons.iter().filter(|neuron| neuron.rank != 0 || neuron.trust != 0).count(), 1);
        assert!(neurons.iter().enumerate().all(|(index, neuron)| usize::from(neuron.uid) == index));
    }
}

#[test]
fn the_recorded_metagraph_is_that_of_subnet_1() {
    let answer = bytes(&result("metagraph", "state_call", "SubnetInfoRuntimeApi_get_selective"));
    for runtime in [runtime(343, METADATA_V15), runtime(365, METADATA_V16)] {
        let whole: Option<SelectiveMetagraph> = runtime.call_answer("SubnetInfoRuntimeApi", "get_selective_mechagraph", &answer).unwrap();
        let whole = whole.unwrap();
        assert_eq!((whole.name.unwrap().0.as_str(), whole.symbol.unwrap().0.as_str()), ("Apex", "α"));
        assert_eq!((whole.netuid, whole.block, whole.tempo, whole.burn), (1, Some(6_852_690), Some(99), Some(500_000)));
        assert_eq!((whole.immunity_period, whole.num_uids, whole.max_uids), (Some(7_200), Some(1024), Some(1024)));
        assert_eq!((whole.tao_in, whole.alpha_in), (Some(22_079_400_556_774), Some(2_316_467_425_363_654)));
        assert_eq!(whole.moving_price.unwrap(), Fixed::new(false, 40_869_489, 32).unwrap());
        let stake = whole.total_stake.unwrap();
        let (uid, most) = stake.iter().enumerate().max_by_key(|(_, stake)| **stake).unwrap();
        assert_eq!((uid, *most), (630, 645_173_460_056_565));
        let registered = whole.block_at_registration.unwrap();
        assert_eq!((registered.iter().min(), registered.iter().max()), (Some(&658_038), Some(&6_851_699)));
        assert_eq!(registered.iter().filter(|block| 6_852_690 - **block < 7_200).count(), 2);
        let lists = [whole.hotkeys.unwrap().len(), whole.coldkeys.unwrap().len(), whole.axons.unwrap().len(), whole.active.unwrap().len()];
        assert_eq!(lists, [1024; 4]);
        assert!(whole.owner_hotkey.is_some() && whole.identity.unwrap().is_some());
    }
}

#[test]
fn the_recorded_state_agrees_with_the_metagraph() {
    let runtime = runtime(343, METADATA_V15);
    let answer = bytes(&result("metagraph", "state_call", "SubnetInfoRuntimeApi_get_subnet_state"));
    let state: Option<SubnetState> = runtime.call_answer("SubnetInfoRuntimeApi", "get_subnet_state", &answer).unwrap();
    let answer = bytes(&result("metagraph", "state_call", "SubnetInfoRuntimeApi_get_selective"));
    let whole: Option<SelectiveMetagraph> = runtime.call_answer("SubnetInfoRuntimeApi", "get_selective_mechagraph", &answer).unwrap();
    let (state, whole) = (state.unwrap(), whole.unwrap());
    assert_eq!(Some(state.hotkeys), whole.hotkeys);
    assert_eq!(Some(state.coldkeys), whole.coldkeys);
    assert_eq!(Some(state.total_stake), whole.total_stake);
    assert_eq!(Some(state.block_at_registration), whole.block_at_registration);
    assert_eq!(Some(state.incentives), whole.incentives);
    assert_eq!(Some(state.emission), whole.emission);
}

#[test]
fn the_recorded_subnets_are_all_129() {
    let answer = bytes(&result("get_all_subnets_info", "state_call", ""));
    for runtime in [runtime(343, METADATA_V15), runtime(365, METADATA_V16)] {
        let infos: Vec<Option<SubnetInfo>> = runtime.call_answer("SubnetInfoRuntimeApi", "get_subnets_info_v2", &answer).unwrap();
        let infos: BTreeMap<u16, SubnetInfo> = infos.into_iter().flatten().map(|info| (info.netuid, info)).collect();
        assert_eq!(infos.len(), 129);
        let chutes = &infos[&64];
        assert_eq!(
            (chutes.burn, chutes.immunity_period, chutes.subnetwork_n, chutes.max_allowed_uids, chutes.tempo),
            (500_000, 5_000, 256, 256, 360)
        );
        assert_eq!(infos[&80].burn, 530_452);
        assert_eq!((infos[&81].burn, infos[&81].immunity_period), (1_332_663, 10_799));
        assert_eq!(infos[&2].burn, 56_436_898);
        assert_eq!(chutes.identity.as_ref().unwrap().subnet_name.0, "Chutes");
    }
}

#[test]
fn prices_are_exact() {
    let runtime = runtime(343, METADATA_V15);
    let changes = result("get_all_subnets_info", "state_queryStorageAt", "");
    let mut prices = BTreeMap::new();
    for change in changes[0]["changes"].as_array().unwrap() {
        let netuid: u16 = runtime.last_key("Swap", "AlphaSqrtPrice", &bytes(&change[0])).unwrap();
        let price: Option<Fixed> = runtime.storage_value("Swap", "AlphaSqrtPrice", Some(&bytes(&change[1]))).unwrap();
        let price = price.unwrap();
        // The bits are the recorded bytes themselves.
        assert_eq!(price.magnitude().to_le_bytes().as_slice(), bytes(&change[1]));
        assert_eq!((price.fraction_bits(), price.is_negative()), (64, false));
        prices.insert(netuid, price);
    }
    assert_eq!(prices.len(), 128);
    let price = prices[&1].to_f64().powi(2);
    assert!((0.001..1.0).contains(&price), "{price}");
}

#[test]
fn single_values_are_what_they_were() {
    let runtime = runtime(343, METADATA_V15);
    let value = |scenario: &str, item: &str| {
        let exchanges = Recording::shipped().unwrap().exchanges(scenario).unwrap();
        let prefix = runtime.storage_key("SubtensorModule", item, ()).unwrap();
        let (_, _, response) =
            exchanges.iter().find(|(method, params, _)| method == "state_getStorageAt" && bytes(&params[0]).starts_with(&prefix)).unwrap();
        runtime.storage_value::<Value>("SubtensorModule", item, Some(&bytes(&response["result"]))).unwrap().unwrap()
    };
    assert_eq!(value("difficulty", "Difficulty").as_u64(), Some(10_000_000));
    assert_eq!(value("recycle", "Burn").as_u64(), Some(1));
    assert_eq!(value("tempo", "Tempo").as_u64(), Some(1_000));
    assert_eq!(value("immunity_period", "ImmunityPeriod").as_u64(), Some(5_000));
    assert_eq!(value("get_total_subnets", "TotalNetworks").as_u64(), Some(247));
    assert_eq!(value("max_weight_limit", "MaxWeightsLimit").as_u64(), Some(65_535));
    assert_eq!(value("get_uid_for_hotkey_on_subnet", "Uids").as_u64(), Some(5));
    assert_eq!(value("get_neuron_for_pubkey_and_subnet", "Uids").as_u64(), Some(29));
    assert_eq!(value("get_delegate_take", "Delegates").as_u64(), Some(0x2e14));
    let updates = value("blocks_since_last_update", "LastUpdate");
    assert_eq!(updates.item(0).and_then(Value::as_u64), Some(0x26_cfa1));
    let cost: u64 = runtime
        .call_answer(
            "SubnetRegistrationRuntimeApi",
            "get_network_registration_cost",
            &bytes(&result("get_subnet_burn_cost", "state_call", "")),
        )
        .unwrap();
    assert_eq!(cost, 0x588b_d440);
}

#[test]
fn an_account_has_its_balance() {
    let runtime = runtime(343, METADATA_V15);
    let account: Option<AccountInfo> =
        runtime.storage_value("System", "Account", Some(&bytes(&result("get_balance", "state_getStorageAt", "")))).unwrap();
    let account = account.unwrap();
    assert_eq!((account.nonce, account.data.free, account.data.reserved), (141, 0x1_bc0f_c3d0, RAO_PER_TAO / 10));
}

#[test]
fn answers_of_bytes_in_bytes_are_read() {
    let blob = |scenario: &str| -> Vec<u8> {
        let answer = bytes(&result(scenario, "state_call", ""));
        parity_scale_codec::Decode::decode(&mut answer.as_slice()).unwrap()
    };
    let neurons: Vec<Neuron> = Runtime::bare_answer("neuronInfo_getNeuronsLite", &blob("neurons_lite")).unwrap();
    assert_eq!(neurons.len(), 19);
    assert!(neurons.iter().all(|neuron| neuron.netuid == 23));
    let parameters: Option<Value> = Runtime::bare_answer("subnetInfo_getSubnetHyperparams", &blob("get_subnet_hyperparameters")).unwrap();
    let parameters = parameters.unwrap();
    assert_eq!(parameters.field("rho").and_then(Value::as_u64), Some(10));
    assert_eq!(parameters.field("immunity_period").and_then(Value::as_u64), Some(5_000));
    assert_eq!(parameters.field("tempo").and_then(Value::as_u64), Some(1_000));
    assert_eq!(parameters.field("liquid_alpha_enabled").and_then(Value::as_bool), Some(false));
    let none: Option<Neuron> = Runtime::bare_answer("neuronInfo_getNeuron", &[]).unwrap();
    assert!(none.is_none());
}

#[test]
fn the_older_methods_are_read() {
    let list = |scenario: &str, method: &str| -> Vec<u8> { serde_json::from_value(result(scenario, method, "")).unwrap() };
    let neuron: Option<Neuron> = Runtime::bare_answer("neuronInfo_getNeuron", &list("neuron_for_uid", "neuronInfo_getNeuron")).unwrap();
    let neuron = neuron.unwrap();
    assert_eq!((neuron.netuid, neuron.uid, neuron.hotkey.0[..4].to_vec()), (23, 5, vec![74, 247, 89, 137]));
    let delegate: Option<DelegateInfo> =
        Runtime::bare_answer("delegateInfo_getDelegate", &list("get_delegate_by_hotkey", "delegateInfo_getDelegate")).unwrap();
    assert_eq!(delegate.unwrap().delegate_ss58, neuron.hotkey);
}

#[test]
fn keys_are_those_that_were_asked_for() {
    let recorded = |scenario: &str, index: usize| -> Vec<u8> {
        let exchanges = Recording::shipped().unwrap().exchanges(scenario).unwrap();
        let keys: Vec<_> =
            exchanges.iter().filter(|(method, _, _)| method == "state_getStorageAt").map(|(_, params, _)| bytes(&params[0])).collect();
        keys[index].clone()
    };
    for runtime in [runtime(343, METADATA_V14), runtime(343, METADATA_V15), runtime(365, METADATA_V16)] {
        assert_eq!(runtime.storage_key("SubtensorModule", "NetworksAdded", (23u16,)).unwrap(), recorded("tempo", 0));
        assert_eq!(runtime.storage_key("SubtensorModule", "Tempo", (23u16,)).unwrap(), recorded("tempo", 1));
        assert_eq!(runtime.storage_key("SubtensorModule", "TotalNetworks", ()).unwrap(), recorded("get_total_subnets", 0));
        let uids = recorded("get_uid_for_hotkey_on_subnet", 0);
        let key: [u8; 32] = uids[uids.len() - 32..].try_into().unwrap();
        assert_eq!(runtime.storage_key("SubtensorModule", "Uids", (23u16, key)).unwrap(), uids);
        let account = recorded("get_balance", 0);
        let key: [u8; 32] = account[account.len() - 32..].try_into().unwrap();
        assert_eq!(runtime.storage_key("System", "Account", (key,)).unwrap(), account);
    }
    let arguments = runtime(343, METADATA_V15)
        .call_arguments("SubnetInfoRuntimeApi", "get_selective_mechagraph", (1u16, 0u8, (0..74u16).collect::<Vec<_>>()))
        .unwrap();
    let exchanges = Recording::shipped().unwrap().exchanges("metagraph").unwrap();
    let asked = exchanges.iter().find(|(_, params, _)| params[0] == "SubnetInfoRuntimeApi_get_selective_mechagraph").unwrap();
    assert_eq!(arguments, bytes(&asked.1[1]));
}

#[test]
fn metadata_of_version_14_knows_no_calls() {
    let runtime = runtime(343, METADATA_V14);
    let error = runtime.call_answer::<Value>("SubnetInfoRuntimeApi", "get_subnet_hyperparams", &[]).unwrap_err();
    assert!(error.to_string().contains("this runtime has no call SubnetInfoRuntimeApi_get_subnet_hyperparams"), "{error}");
}

#[test]
fn an_entry_without_a_value_has_the_runtimes_default() {
    let runtime = runtime(343, METADATA_V14);
    assert_eq!(runtime.storage_value::<u64>("SubtensorModule", "Burn", None).unwrap(), Some(100_000_000));
    assert_eq!(runtime.storage_value::<u16>("SubtensorModule", "Uids", None).unwrap(), None);
    let error = runtime.storage_value::<u64>("SubtensorModule", "Nothing", None).unwrap_err();
    assert_eq!(error.to_string(), "this runtime has no storage SubtensorModule.Nothing");
    let error = runtime.storage_value::<u64>("SubtensorModule", "Burn", Some(&[1; 9])).unwrap_err();
    assert_eq!(error.to_string(), "SubtensorModule.Burn has 1 bytes more than its type");
}

#[test]
fn calls_can_be_encoded_on_the_same_metadata() {
    for runtime in [runtime(343, METADATA_V14), runtime(343, METADATA_V15), runtime(365, METADATA_V16)] {
        let metadata = runtime.metadata();
        let call = frame_decode::extrinsics::encode_call_data(
            "SubtensorModule",
            "burned_register",
            &(1u16, [9u8; 32]),
            metadata,
            metadata.types(),
        );
        assert_eq!(call.unwrap(), [&[7, 7, 1, 0], [9; 32].as_slice()].concat());
    }
}
