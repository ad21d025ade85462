//! What is read, through nodes that stand in for real ones.

#![allow(clippy::unwrap_used, reason = "tests")]

use chain::read::metagraph::{Column, Metagraph, Store};
use chain::read::scale::Value;
use chain::read::{AccountId, DynamicInfo, Phase, ReadError, Runtime};
use chain_sim::{Faults, METADATA_V14, METADATA_V15, METADATA_V16, Recording, Sim, World, unpack};

#[path = "support/nodes.rs"]
mod nodes;

use nodes::{BLOCK, chain, runtime, world};

#[tokio::test]
async fn a_metagraph_is_read_saved_and_loaded() {
    let sim = Sim::start(world(&["metagraph"])).await.unwrap();
    let chain = chain(&[&sim]);
    let at = chain.at_number(BLOCK).await.unwrap();
    assert_eq!(hex::encode(at.block().hash), "db13c066e2c63969f140164fb3bfe7a0aaa7b71407fc0fe525d68e57329ef9d0");
    let metagraph = Metagraph::fetch(&at, 1, false).await.unwrap();
    assert_eq!((metagraph.name.as_str(), metagraph.neurons.len(), metagraph.spec_version), ("Apex", 1024, 343));
    let best = metagraph.uid(395).unwrap();
    assert_eq!((best.incentive, best.hotkey.to_string().as_str()), (65_535, "5HCFWvRqzSHWRPecN7q8J6c7aKQnrCZTMHstPv39xL1wgDHh"));
    assert_eq!(metagraph.of_hotkey(best.hotkey).map(|uid| uid.uid), Some(395));
    assert!((metagraph.column(Column::Stake)[630] - 645_173.460_056_565).abs() < 1e-6);
    assert!((metagraph.spot_price().unwrap() - 0.009_531).abs() < 1e-6);
    assert_eq!(metagraph.moving_price.unwrap().to_string(), "0.00951566942967474460601806640625");
    let immune = metagraph.neurons.iter().filter(|uid| uid.is_immune(BLOCK, metagraph.immunity_period.unwrap()) == Some(true)).count();
    assert_eq!(immune, 2);
    assert!(metagraph.uid(0).unwrap().axon_address().unwrap().ends_with(":6028"));

    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path(), "finney");
    assert!(store.latest(1).unwrap().is_none());
    let path = store.save(&metagraph).unwrap();
    assert!(path.ends_with(format!("network-finney/netuid-1/block-{BLOCK}.json")), "{}", path.display());
    let mut older = metagraph.clone();
    older.block.number = 99;
    let older = store.save(&older).unwrap();
    std::fs::write(path.with_file_name("block-notes.json"), "x").unwrap();
    assert_eq!(store.blocks(1).unwrap(), [99, BLOCK]);
    assert!(store.latest(1).unwrap().unwrap() == metagraph);
    // A file of another block, or of another network, at this place.
    std::fs::copy(&path, &older).unwrap();
    let error = store.at(1, 99).unwrap_err().to_string();
    assert!(error.contains(&format!("block {BLOCK}")) && error.contains("block-99.json"), "{error}");
    let elsewhere = Store::new(folder.path(), "test").save(&metagraph).unwrap();
    std::fs::copy(&elsewhere, &path).unwrap();
    let error = store.at(1, BLOCK).unwrap_err().to_string();
    assert!(error.contains("network test"), "{error}");
    // Half a file, and one that somebody turned round.
    let whole = std::fs::read_to_string(&elsewhere).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = store.at(1, BLOCK).unwrap_err().to_string();
    assert!(error.contains("EOF") && error.contains(&format!("block-{BLOCK}.json")), "{error}");
    let mut turned: serde_json::Value = serde_json::from_str(&whole).unwrap();
    turned["metagraph"]["neurons"].as_array_mut().unwrap().reverse();
    std::fs::write(&path, turned.to_string()).unwrap();
    let error = store.at(1, BLOCK).unwrap_err().to_string();
    assert!(error.contains("not in order"), "{error}");
    // And a metagraph of another chain.
    let mut foreign = metagraph.clone();
    foreign.genesis = [9; 32];
    let error = foreign.sync(&chain).await.unwrap_err().to_string();
    assert!(error.contains("another chain"), "{error}");
}

#[tokio::test]
async fn a_file_of_a_newer_release_or_of_something_else_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path(), "finney");
    let path = folder.path().join("network-finney/netuid-1/block-7.json");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    for (text, word) in
        [("{\"schema_version\": 2}", "newer release"), ("{}", "schema_version"), ("\u{80}\u{2}ccollections", "expected value")]
    {
        std::fs::write(&path, text).unwrap();
        let error = store.latest(1).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("block-7.json"), "{error}");
    }
}

#[tokio::test]
async fn a_metagraph_is_read_again_only_when_there_is_a_newer_block() {
    let sim = Sim::start(world(&["metagraph"])).await.unwrap();
    let chain = chain(&[&sim]);
    let mut metagraph = Metagraph::fetch(&chain.at_finalized().await.unwrap(), 1, false).await.unwrap();
    let before = sim.requests().iter().filter(|method| *method == "state_call").count();
    assert!(!metagraph.sync(&chain).await.unwrap());
    assert_eq!(sim.requests().iter().filter(|method| *method == "state_call").count(), before);
    sim.advance(5);
    assert!(metagraph.sync(&chain).await.unwrap());
    assert_eq!(metagraph.block.number, BLOCK + 3);
    let unchanged = metagraph.clone();
    sim.advance(5);
    sim.fail(Faults { truncate: 3, ..Faults::default() });
    assert!(matches!(metagraph.sync(&chain).await, Err(ReadError::Scale { .. })));
    assert!(metagraph == unchanged);
    sim.fail(Faults::default());
    assert!(metagraph.sync(&chain).await.unwrap());
}

#[tokio::test]
async fn subnets_keys_and_single_values_are_read() {
    let scenarios = ["get_all_subnets_netuid", "get_all_subnets_info", "get_netuids_for_hotkey", "get_neuron_for_pubkey_and_subnet"];
    let sim = Sim::start(world(&scenarios)).await.unwrap();
    let at = chain(&[&sim]).at_finalized().await.unwrap();
    assert_eq!(at.subnet_infos().await.unwrap().len(), 129);
    // One page of a hundred was recorded.
    assert_eq!(at.subnets().await.unwrap(), (0..100).collect::<Vec<u16>>());
    let hotkey = AccountId(hex::decode("1a33474e4a857009da52aaa4080f176465f99c09763e03b9cd5ee038cec4093e").unwrap().try_into().unwrap());
    assert_eq!(at.uid(14, hotkey).await.unwrap(), Some(29));
    assert_eq!(at.neuron(14, 29).await.unwrap().unwrap().hotkey, hotkey);
    let netuids = at.netuids_of(hotkey).await.unwrap();
    assert!(netuids.contains(&14), "{netuids:?}");
    assert!(at.alpha_sqrt_price(1).await.unwrap().unwrap().to_f64() > 0.0);
    let error = at.burn(999).await.unwrap_err();
    assert!(matches!(error, ReadError::NoSuchSubnet(999)), "{error}");
}

#[tokio::test]
async fn each_block_is_decoded_by_its_own_runtime() {
    let mut world = world(&["metagraph"]);
    world.set_runtime(BLOCK + 2, 365, unpack(METADATA_V16).unwrap());
    world.advance(4);
    let sim = Sim::start(world).await.unwrap();
    let chain = chain(&[&sim]);
    for (number, version) in [(BLOCK, 343), (BLOCK + 2, 365), (BLOCK + 4, 365), (BLOCK, 343)] {
        let at = chain.at_number(number).await.unwrap();
        assert_eq!(at.runtime().spec_version(), version);
        assert_eq!(at.neurons_lite(1).await.unwrap().len(), 1024);
    }
    // Four for neurons, one for metadata 15 of runtime 343, two for that of runtime 365, which has only 16: none is fetched twice.
    assert_eq!(sim.requests().iter().filter(|method| *method == "state_call").count(), 7);
}

#[tokio::test]
async fn runtimes_with_metadata_of_version_14_only_can_be_read_too() {
    let mut world = World::new(BLOCK, 343, unpack(METADATA_V14).unwrap());
    Recording::shipped().unwrap().put("tempo", &mut world).unwrap();
    let sim = Sim::start(world).await.unwrap();
    let at = chain(&[&sim]).at_finalized().await.unwrap();
    let tempo: Option<u16> = at.storage("SubtensorModule", "Tempo", (23u16,)).await.unwrap();
    assert_eq!(tempo, Some(1000));
    let error = at.neurons_lite(23).await.unwrap_err().to_string();
    assert!(error.contains("this runtime has no call") && error.contains("describes no calls at all"), "{error}");
}

#[tokio::test]
async fn a_runtime_version_that_was_named_wrongly_is_not_kept() {
    let sim = Sim::start(world(&["metagraph"])).await.unwrap();
    let chain = chain(&[&sim]);
    // The node says 365 and hands out the metadata of 343.
    sim.fail(Faults { spec_version: Some(365), ..Faults::default() });
    let error = chain.at_finalized().await.unwrap_err().to_string();
    assert!(error.contains("runtime version 365") && error.contains("of 343"), "{error}");
    sim.fail(Faults::default());
    let at = chain.at_finalized().await.unwrap();
    assert_eq!((at.runtime().spec_version(), at.neurons_lite(1).await.unwrap().len()), (343, 1024));
}

#[tokio::test]
async fn a_runtime_that_one_node_names_wrongly_is_asked_of_the_next() {
    let (wrong, right) = (Sim::start(world(&["metagraph"])).await.unwrap(), Sim::start(world(&["metagraph"])).await.unwrap());
    wrong.fail(Faults { spec_version: Some(365), ..Faults::default() });
    let chain = chain(&[&wrong, &right]);
    let at = chain.at_finalized().await.unwrap();
    assert_eq!((at.runtime().spec_version(), at.neurons_lite(1).await.unwrap().len()), (343, 1024));
    assert_eq!(chain.endpoint().await, Some(right.url()));
}

#[tokio::test]
async fn a_map_is_read_whole_or_not_at_all() {
    let sim = Sim::start(world(&["get_all_subnets_netuid"])).await.unwrap();
    let chain = chain(&[&sim]);
    let at = chain.at_finalized().await.unwrap();
    sim.fail(Faults { page: Some(30), ..Faults::default() });
    assert_eq!(at.subnets().await.unwrap().len(), 100);
    let key = |netuid: u16| format!("0x{}", hex::encode(runtime().storage_key("SubtensorModule", "NetworksAdded", (netuid,)).unwrap()));
    let hash = format!("0x{}", hex::encode(at.block().hash));
    let other = format!("0x{}", "07".repeat(32));
    for answer in [
        serde_json::json!([{"block": hash, "changes": [[key(5), "0x01"]]}]),
        serde_json::json!([{"block": other, "changes": [[key(0), "0x01"]]}]),
        serde_json::json!([{"block": hash, "changes": [[key(0), "0x01"], [key(0), "0x01"]]}]),
    ] {
        sim.fail(Faults { page: Some(1), instead: [("state_queryStorageAt", Ok(answer))].into(), ..Faults::default() });
        let error = at.subnets().await.unwrap_err();
        assert!(matches!(error, ReadError::Malformed { method: "state_queryStorageAt", .. }), "{error}");
    }
}

#[tokio::test]
async fn events_of_a_block_are_named() {
    let mut world = world(&[]);
    let runtime = runtime();
    // Two records, as the runtime writes them: `System.ExtrinsicSuccess` and `SubtensorModule.NeuronRegistered(64, 7, hotkey)`.
    let pallet = |name: &str| runtime.metadata().pallet_by_name(name).unwrap();
    let event = |name: &str, event: &str| {
        let variant = pallet(name).event_variants().unwrap().iter().find(|variant| variant.name == event).unwrap();
        [pallet(name).event_index(), variant.index]
    };
    let mut bytes = vec![8, 0, 1, 0, 0, 0];
    bytes.extend(event("SubtensorModule", "NeuronRegistered"));
    bytes.extend(64u16.to_le_bytes());
    bytes.extend(7u16.to_le_bytes());
    bytes.extend([3; 32]);
    bytes.push(0);
    bytes.push(2);
    bytes.extend(event("SubtensorModule", "NetworkRemoved"));
    bytes.extend(5u16.to_le_bytes());
    bytes.push(0);
    let key = runtime.storage_key("System", "Events", ()).unwrap();
    world.set_storage(BLOCK, key, Some(bytes));
    // The block changes the runtime, and is run by the one before.
    world.set_runtime(BLOCK, 365, unpack(METADATA_V16).unwrap());
    let sim = Sim::start(world).await.unwrap();
    let at = chain(&[&sim]).at_number(BLOCK).await.unwrap();
    assert_eq!(at.runtime().spec_version(), 365);
    let events = at.events().await.unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(
        (events[0].pallet.as_str(), events[0].name.as_str(), events[0].phase),
        ("SubtensorModule", "NeuronRegistered", Phase::Extrinsic(1))
    );
    let fields = &events[0].fields;
    assert_eq!(fields.item(0).unwrap().as_u16(), Some(64));
    assert_eq!(fields.item(1).unwrap().as_u16(), Some(7));
    assert_eq!(fields.item(2).unwrap().as_account(), Some(AccountId([3; 32])));
    assert_eq!((events[1].name.as_str(), events[1].phase), ("NetworkRemoved", Phase::Initialization));
}

/// An answer of nothing but zeros, as long as the type wants it. Everything in it is 0, empty or `None`.
fn zeros<T: chain::read::scale::FromScale>(runtime: &Runtime, api: &str, method: &str) -> Vec<u8> {
    let mut answer = vec![1];
    while runtime.call_answer::<T>(api, method, &answer).is_err() {
        answer.push(0);
        assert!(answer.len() < 4096, "{method} takes no zeros");
    }
    answer
}

#[tokio::test]
async fn hyperparameters_and_pools_have_the_runtimes_names() {
    let runtime = runtime();
    let mut world = world(&[]);
    let name = "SubnetInfoRuntimeApi";
    let parameters = zeros::<Option<Value>>(&runtime, name, "get_subnet_hyperparams_v2");
    world.set_call(0, "SubnetInfoRuntimeApi_get_subnet_hyperparams_v2", vec![7, 0], parameters);
    let pool = zeros::<Option<DynamicInfo>>(&runtime, name, "get_dynamic_info");
    world.set_call(0, "SubnetInfoRuntimeApi_get_dynamic_info", vec![7, 0], pool);
    world.set_call(0, "SubnetInfoRuntimeApi_get_dynamic_info", vec![8, 0], vec![0]);
    let sim = Sim::start(world).await.unwrap();
    let at = chain(&[&sim]).at_finalized().await.unwrap();
    let parameters = at.hyperparameters(7).await.unwrap();
    let names: Vec<&str> = parameters.iter().map(|(name, _)| name).collect();
    assert!(names.len() >= 33 && names.starts_with(&["rho", "kappa", "immunity_period"]), "{names:?}");
    assert_eq!(parameters.get("tempo").and_then(Value::as_u64), Some(0));
    let Some(Value::Fixed(steepness)) = parameters.get("alpha_sigmoid_steepness") else { panic!("{parameters:?}") };
    assert_eq!(steepness.fraction_bits(), 32);
    let pool = at.dynamic_info(7).await.unwrap();
    assert_eq!((pool.netuid, pool.moving_price.fraction_bits(), pool.spot_price()), (0, 32, None));
    assert!(matches!(at.dynamic_info(8).await, Err(ReadError::NoSuchSubnet(8))));
}

#[tokio::test]
async fn a_full_metagraph_has_weights_and_bonds() {
    let recording = Recording::shipped().unwrap();
    let answer = |scenario: &str, call: &str| {
        let exchanges = recording.exchanges(scenario).unwrap();
        let (_, _, response) = exchanges.iter().find(|(_, params, _)| params[0].as_str().is_some_and(|name| name.contains(call))).unwrap();
        hex::decode(response["result"].as_str().unwrap().trim_start_matches("0x")).unwrap()
    };
    let mut world = world(&["metagraph"]);
    // `Some(neuron)` becomes a list of one.
    let mut neurons = answer("get_neuron_for_pubkey_and_subnet", "get_neuron");
    neurons[0] = 4;
    world.set_call(0, "NeuronInfoRuntimeApi_get_neurons", vec![1, 0], neurons);
    let sim = Sim::start(world).await.unwrap();
    let at = chain(&[&sim]).at_number(BLOCK).await.unwrap();
    let full = Metagraph::fetch(&at, 1, true).await.unwrap();
    assert!(full.full);
    let [uid] = full.neurons.as_slice() else { panic!("{} UIDs", full.neurons.len()) };
    assert_eq!(uid.uid, 29);
    let neuron = at.neurons(1).await.unwrap().remove(0);
    assert_eq!((&uid.weights, &uid.bonds), (&neuron.weights, &neuron.bonds));
    let shares: f64 = uid.weight_shares().iter().map(|(_, share)| share).sum();
    assert_eq!((uid.weights.len(), uid.bonds.len()), (5, 32));
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
}

#[tokio::test]
async fn a_metagraph_is_read_from_storage_where_there_is_no_call_for_it() {
    // The metadata of runtime 343 without the names of the calls.
    let mut metadata = unpack(METADATA_V15).unwrap();
    for name in ["get_selective_metagraph", "get_selective_mechagraph"] {
        let place = metadata.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
        metadata[place..place + 3].copy_from_slice(b"not");
    }
    let mut world = World::new(BLOCK, 343, metadata);
    Recording::shipped().unwrap().put("metagraph", &mut world).unwrap();
    let runtime = runtime();
    let mut set = |item: &str, value: Vec<u8>| {
        world.set_storage(0, runtime.storage_key("SubtensorModule", item, (1u16,)).unwrap(), Some(value));
    };
    set("NetworksAdded", vec![1]);
    set("Tempo", 99u16.to_le_bytes().to_vec());
    set("Burn", 500_000u64.to_le_bytes().to_vec());
    set("SubnetOwner", vec![7; 32]);
    let key = runtime.storage_key("SubtensorModule", "BlockAtRegistration", (1u16, 395u16)).unwrap();
    world.set_storage(0, key, Some(4_000_000u64.to_le_bytes().to_vec()));
    let sim = Sim::start(world).await.unwrap();
    let at = chain(&[&sim]).at_number(BLOCK).await.unwrap();
    let metagraph = Metagraph::fetch(&at, 1, false).await.unwrap();
    assert_eq!((metagraph.netuid, metagraph.neurons.len(), metagraph.tempo, metagraph.burn), (1, 1024, Some(99), Some(500_000)));
    assert_eq!((metagraph.owner_coldkey, metagraph.owner_hotkey), (Some(AccountId([7; 32])), None));
    let best = metagraph.uid(395).unwrap();
    assert_eq!((best.incentive, best.registered_at), (65_535, Some(4_000_000)));
    assert_eq!(metagraph.uid(394).unwrap().registered_at, None);
}

#[tokio::test]
async fn every_recorded_scenario_is_served_and_read() {
    let recording = Recording::shipped().unwrap();
    let runtime = runtime();
    let mut items = std::collections::BTreeMap::new();
    for pallet in runtime.metadata().pallets() {
        for entry in pallet.storage().into_iter().flat_map(|storage| storage.entries()) {
            let key = runtime.storage_key(pallet.name(), entry.name(), ()).unwrap();
            items.insert(key, (pallet.name().to_owned(), entry.name().to_owned()));
        }
    }
    let bytes = |value: &serde_json::Value| hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap();
    let scenarios: Vec<String> = recording.scenarios().map(str::to_owned).collect();
    assert_eq!(scenarios.len(), 36);
    let (mut blocks, mut values) = (0, 0);
    for scenario in scenarios {
        let exchanges = recording.exchanges(&scenario).unwrap();
        let header = exchanges.iter().find(|(method, params, _)| method == "chain_getHeader" && params[0].is_string());
        let Some((_, params, response)) = header else { continue };
        let number = u64::from_str_radix(response["result"]["number"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
        let mut world = World::new(number + 8, 343, unpack(METADATA_V15).unwrap());
        recording.put(&scenario, &mut world).unwrap();
        let sim = Sim::start(world).await.unwrap();
        let chain = chain(&[&sim]);
        let at = chain.at_number(number).await.unwrap();
        assert_eq!(format!("0x{}", hex::encode(at.block().hash)), params[0].as_str().unwrap(), "{scenario}");
        blocks += 1;
        // What was recorded comes out at the other end, where it is of the whole chain or of one subnet.
        for (method, params, response) in &exchanges {
            if method != "state_getStorageAt" {
                continue;
            }
            let key = bytes(&params[0]);
            let (pallet, item) = &items[&key[..32]];
            let recorded = Some(&response["result"]).filter(|value| !value.is_null()).map(&bytes);
            let recorded: Option<Value> = runtime.storage_value(pallet, item, recorded.as_deref()).unwrap();
            let read: Option<Value> = match key[32..] {
                [] => at.storage(pallet, item, ()).await.unwrap(),
                [low, high] => at.storage(pallet, item, (u16::from_le_bytes([low, high]),)).await.unwrap(),
                _ => continue,
            };
            assert_eq!(read, recorded, "{scenario}: {pallet}.{item}");
            values += 1;
        }
    }
    assert!(blocks >= 20 && values >= 15, "{blocks} blocks, {values} values");
}
