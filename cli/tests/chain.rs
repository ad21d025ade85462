//! `chain` and `subnets snapshot` as people and scripts use them, on a node that stands in for a real one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chain::{
    read::{AccountId, DynamicInfo, Runtime, SubnetInfo, scale},
    tracker::snapshot::Snapshot,
};
use chain_sim::{Faults, METADATA_V15, Recording, Sim, World, unpack};
use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output},
};

const BLOCK: u64 = 6_852_690;
/// Who earns most on the recorded subnet 1.
const BEST: &str = "5HCFWvRqzSHWRPecN7q8J6c7aKQnrCZTMHstPv39xL1wgDHh";
/// `SubtensorModule.NetworksAdded`.
const ADDED: &str = "658faa385070e074c85bf6b568cf05550e30450fc4d507a846032a7fa65d9a43";

fn bytes(value: &Value) -> Vec<u8> {
    hex(value.as_str().unwrap().trim_start_matches("0x"))
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A node with what was recorded, and subnet 1 under the number 64, too.
async fn node() -> Sim {
    let mut world = World::new(BLOCK, 343, unpack(METADATA_V15).unwrap());
    let recording = Recording::shipped().unwrap();
    for scenario in
        ["get_all_subnets_info", "get_subnet_burn_cost", "get_neuron_for_pubkey_and_subnet", "get_netuids_for_hotkey", "metagraph"]
    {
        recording.put(scenario, &mut world).unwrap();
    }
    for netuid in [1u16, 2, 64] {
        world.set_storage(0, [hex(ADDED), netuid.to_le_bytes().to_vec()].concat(), Some(vec![1]));
    }
    for (_, params, answer) in recording.exchanges("metagraph").unwrap() {
        if params[0] == "SubnetInfoRuntimeApi_get_selective_mechagraph" {
            let mut arguments = bytes(&params[1]);
            arguments[..2].copy_from_slice(&64u16.to_le_bytes());
            world.set_call(0, params[0].as_str().unwrap(), arguments, bytes(&answer["result"]));
        }
    }
    Sim::start(world).await.unwrap()
}

fn run(folder: &Path, endpoint: Option<&str>, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chutes-miner"));
    command.current_dir(folder).args(args).env("COLUMNS", "80");
    for name in ["BT_SUBTENSOR_CHAIN_ENDPOINT", "BT_CHAIN_ENDPOINT", "BT_SUBTENSOR_NETWORK"] {
        command.env_remove(name);
    }
    if let Some(endpoint) = endpoint {
        command.env("BT_SUBTENSOR_CHAIN_ENDPOINT", endpoint);
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{args:?}: {errors}");
    output
}

/// What a command that succeeds prints, which has to fit.
fn text(folder: &Path, endpoint: &str, args: &[&str]) -> String {
    let output = run(folder, Some(endpoint), args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(args.contains(&"json") || text.lines().all(|line| line.chars().count() <= 80), "{args:?} is too wide:\n{text}");
    text
}

fn json(folder: &Path, endpoint: &str, args: &[&str]) -> Value {
    serde_json::from_str(&text(folder, endpoint, &[args, &["-o", "json"]].concat())).unwrap()
}

fn fails(folder: &Path, endpoint: Option<&str>, args: &[&str], code: i32, words: &str) {
    let output = run(folder, endpoint, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(code) && errors.contains(words), "{args:?}: {:?} {errors}", output.status.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_the_chain_and_its_subnets_are_told() {
    let (sim, folder) = (node().await, tempfile::tempdir().unwrap());
    let (at, url) = (folder.path(), sim.url());
    let status = json(at, &url, &["chain", "status"]);
    assert_eq!((&status["block"]["number"], &status["best_block"]), (&(BLOCK - 2).into(), &BLOCK.into()));
    assert_eq!((&status["endpoint"], &status["spec_version"], &status["network"]), (&url.clone().into(), &343.into(), &"custom".into()));
    assert!(status["subnet_registration_rao"].as_u64().unwrap() > 0, "{status}");
    let table = text(at, &url, &["chain", "status"]);
    assert!(table.contains("Final block") && table.contains("343") && table.contains(&url), "{table}");

    let subnets = json(at, &url, &["chain", "subnets"]);
    let rows = subnets["subnets"].as_array().unwrap();
    assert_eq!(rows.len(), 129);
    let chutes = &rows[64];
    assert_eq!((&chutes["netuid"], &chutes["max_allowed_uids"]), (&64.into(), &256.into()));
    let price = chutes["alpha_price_tao"].as_f64().unwrap();
    assert!((0.001..1.0).contains(&price), "{price}");
    assert!(rows[0]["alpha_price_tao"].is_null(), "root has no alpha");
    let table = text(at, &url, &["chain", "subnets"]);
    assert!(table.contains("129 subnets at block") && table.lines().count() >= 132, "{table}");
    assert!(table.lines().any(|line| line.contains("64") && line.contains("256/256")), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metagraph_is_shown_saved_loaded_and_brought_up_to_date() {
    let (sim, folder) = (node().await, tempfile::tempdir().unwrap());
    let (at, url) = (folder.path(), sim.url());
    let table = text(at, &url, &["chain", "metagraph", "1", "--save", "1.json"]);
    assert!(table.lines().nth(1).unwrap().split_whitespace().nth(1) == Some("5HCF..gDHh"), "{table}");
    assert!(table.contains("20 of 1024"), "{table}");
    assert_eq!(text(at, &url, &["chain", "metagraph", "1", "--limit", "0", "--sort-by", "uid"]).lines().count(), 1024 + 3 + 1);
    let read = json(at, &url, &["chain", "metagraph", "1"]);
    assert_eq!(read["neurons"][395]["hotkey"], BEST);

    // A file needs no node.
    let asked = sim.requests().len();
    let loaded = json(at, "ws://127.0.0.1:1", &["chain", "metagraph", "1", "--load", "1.json"]);
    assert_eq!((&loaded, sim.requests().len()), (&read, asked));
    let same = run(at, Some(&url), &["chain", "metagraph", "1", "--load", "1.json", "--sync"]);
    assert!(String::from_utf8_lossy(&same.stderr).contains("nothing newer than block 6852688"));
    sim.advance(5);
    let newer = json(at, &url, &["chain", "metagraph", "1", "--load", "1.json", "--sync", "--save", "1.json"]);
    assert_eq!(newer["block"]["number"], BLOCK + 3);
    assert_eq!(json(at, &url, &["chain", "metagraph", "1", "--load", "1.json"]), newer);

    fails(at, None, &["chain", "metagraph", "2", "--load", "1.json"], 2, "is of subnet 1");
    fails(at, None, &["chain", "metagraph", "1", "--load", "2.json"], 3, "2.json");
    std::fs::write(at.join("bad.json"), "{}").unwrap();
    fails(at, None, &["chain", "metagraph", "1", "--load", "bad.json"], 1, "bad.json: this is no saved metagraph: missing field");
    fails(at, None, &["chain", "metagraph", "1", "--sync"], 2, "--load");
    let other = node().await;
    other.change(|world| world.set_genesis([9; 32]));
    fails(at, Some(&other.url()), &["chain", "metagraph", "1", "--load", "1.json", "--sync"], 1, "another chain");
}

/// `Some` of a record of zeros, but for its first field, a small compact number, and its last bytes.
fn record<T: scale::FromScale>(runtime: &Runtime, method: &str, first: u8, last: &[u8]) -> Vec<u8> {
    let mut answer = vec![1];
    while runtime.call_answer::<T>("SubnetInfoRuntimeApi", method, &answer).is_err() {
        answer.push(0);
        assert!(answer.len() < 4096, "{method} takes no zeros");
    }
    answer[1] = first << 2;
    let at = answer.len() - last.len();
    answer[at..].copy_from_slice(last);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subnet_is_told_with_its_pool_and_its_hyperparameters() {
    let (sim, folder) = (node().await, tempfile::tempdir().unwrap());
    let (at, url) = (folder.path(), sim.url());
    let runtime = Runtime::new(343, &unpack(METADATA_V15).unwrap()).unwrap();
    sim.change(|world| {
        let mut set = |method: &str, answer: Vec<u8>| {
            world.set_call(0, &format!("SubnetInfoRuntimeApi_{method}"), vec![7, 0], answer);
        };
        set("get_subnet_info_v2", record::<Option<SubnetInfo>>(&runtime, "get_subnet_info_v2", 7, &[]));
        set("get_dynamic_info", record::<Option<DynamicInfo>>(&runtime, "get_dynamic_info", 7, &40_869_489i128.to_le_bytes()));
        let parameters = record::<Option<scale::Value>>(&runtime, "get_subnet_hyperparams_v2", 10, &[]);
        set("get_subnet_hyperparams_v2", parameters);
        world.set_call(0, "SubnetInfoRuntimeApi_get_subnet_info_v2", vec![9, 0], vec![0]);
    });
    let told = json(at, &url, &["chain", "subnet", "7"]);
    assert_eq!((&told["subnet"]["netuid"], &told["pool"]["moving_price"]), (&7.into(), &"40869489/2^32".into()));
    assert_eq!((&told["hyperparameters"]["rho"], &told["hyperparameters"]["tempo"]), (&10.into(), &0.into()));
    let table = text(at, &url, &["chain", "subnet", "7"]);
    assert!(table.contains("0.00951566942967474460601806640625 TAO") && table.contains("0 of 0, at most 0 validate"), "{table}");
    let value = |name: &str| table.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    assert_eq!((value("rho "), value("alpha_sigmoid_steepness ")), (Some("10"), Some("0")), "{table}");
    fails(at, Some(&url), &["chain", "subnet", "9"], 3, "no subnet 9");
    fails(at, Some(&url), &["chain", "subnet", "64k"], 2, "64k");
    // Not described by a refusal in the node's own words.
    let [subnet, neuron] = [["chain", "subnet", "8"].as_slice(), &["chain", "neuron", "2", "0"]];
    for args in [subnet, neuron, &["chain", "metagraph", "2"]] {
        fails(at, Some(&url), args, 1, "the runtime of this node has no call ");
        fails(at, Some(&url), args, 1, "try: --endpoint URL, another node");
    }
    fails(at, Some(&url), &["chain", "metagraph", "999"], 3, "there is no subnet 999");
    fails(at, Some(&url), &["chain", "metagraph", "999", "--full"], 3, "there is no subnet 999");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_block_are_told() {
    let (sim, folder) = (node().await, tempfile::tempdir().unwrap());
    let (at, url) = (folder.path(), sim.url());
    let runtime = Runtime::new(343, &unpack(METADATA_V15).unwrap()).unwrap();
    let pallet = runtime.metadata().pallet_by_name("SubtensorModule").unwrap();
    let event = |name: &str| {
        let variants = pallet.event_variants().unwrap();
        [pallet.event_index(), variants.iter().find(|variant| variant.name == name).unwrap().index]
    };
    // Two: `NeuronRegistered(64, 7, hotkey)` by the second extrinsic, and `NetworkRemoved(5)` before the first.
    let mut bytes = vec![8, 0, 1, 0, 0, 0];
    bytes.extend(event("NeuronRegistered"));
    bytes.extend([64, 0, 7, 0]);
    bytes.extend([3; 32]);
    bytes.extend([0, 2]);
    bytes.extend(event("NetworkRemoved"));
    bytes.extend([5, 0, 0]);
    let key = runtime.storage_key("System", "Events", ()).unwrap();
    sim.change(|world| world.set_storage(BLOCK - 5, key.clone(), Some(bytes)));
    sim.change(|world| world.set_storage(BLOCK - 4, key, None));
    let block = (BLOCK - 5).to_string();
    let told = json(at, &url, &["chain", "events", "--block", &block]);
    assert_eq!(told["events"].as_array().unwrap().len(), 2);
    let (hotkey, first) = (AccountId([3; 32]).to_string(), &told["events"][0]);
    assert_eq!(
        (&first["name"], &first["fields"], &first["phase"]),
        (&"NeuronRegistered".into(), &serde_json::json!([64, 7, hotkey]), &serde_json::json!({ "extrinsic": 1 }))
    );
    let table = text(at, &url, &["chain", "events", "--block", &block, "--name", "neuronregistered"]);
    assert!(table.starts_with("extrinsic 1    SubtensorModule.NeuronRegistered 64 7\n") && table.contains(&hotkey), "{table}");
    assert!(table.contains("1 of 2 events of block 6852685"), "{table}");
    assert!(text(at, &url, &["chain", "events"]).starts_with("0 of 0 events"), "none were recorded");
    fails(at, Some(&url), &["chain", "events", "--block", "99999999"], 3, "no endpoint knows block");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_of_a_full_metagraph_can_be_seen() {
    let (sim, folder) = (node().await, tempfile::tempdir().unwrap());
    let (at, url) = (folder.path(), sim.url());
    let exchanges = Recording::shipped().unwrap().exchanges("get_neuron_for_pubkey_and_subnet").unwrap();
    let recorded = exchanges.iter().find(|(_, params, _)| params[0] == "NeuronInfoRuntimeApi_get_neuron").unwrap();
    // `Some(neuron)` becomes a list of one.
    let mut neurons = bytes(&recorded.2["result"]);
    neurons[0] = 4;
    sim.change(|world| world.set_call(0, "NeuronInfoRuntimeApi_get_neurons", vec![1, 0], neurons));
    let wide =
        |args: &[&str]| String::from_utf8(run(at, Some(&url), &[&["chain", "metagraph", "1", "--wide"], args].concat()).stdout).unwrap();
    let table = wide(&["--full", "--save", "1.json"]);
    let words = |line: usize| table.lines().nth(line).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(words(0), ["UID", "Hotkey", "S", "I", "E", "C", "Tv", "D", "Days", "R", "T", "W", "B", "Axon", "Coldkey"]);
    let (row, read) = (words(1), json(at, &url, &["chain", "metagraph", "1", "--load", "1.json"]));
    let neuron = &read["neurons"][0];
    assert_eq!((row[11], row[12]), ("5", "32"), "{table}");
    assert_eq!((neuron["weights"].as_array().unwrap().len(), neuron["bonds"].as_array().unwrap().len()), (5, 32));
    assert_eq!((row[1], row[14]), (neuron["hotkey"].as_str().unwrap(), neuron["coldkey"].as_str().unwrap()));
    assert_eq!(wide(&["--load", "1.json"]).lines().nth(1), table.lines().nth(1));
    // An address is a number in the chain, and a text, too, for those who read it.
    let all = json(at, &url, &["chain", "metagraph", "1"]);
    let mut serving = 0;
    for axon in all["neurons"].as_array().unwrap().iter().map(|one| &one["axon"]) {
        let ip = u32::try_from(axon["ip"].as_u64().unwrap()).unwrap();
        serving += usize::from(ip != 0);
        let told = (ip != 0).then(|| format!("{}:{}", std::net::Ipv4Addr::from(ip), axon["port"]));
        assert_eq!(axon["address"].as_str(), told.as_deref(), "{axon}");
    }
    assert!(serving > 0, "nobody serves");
    let lite = wide(&[]);
    assert!(lite.lines().nth(1).unwrap().contains(" /ipv4/") || lite.lines().nth(1).unwrap().contains(" - "), "{lite}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neuron_is_found_by_uid_and_by_hotkey() {
    let (sim, folder) = (node().await, tempfile::tempdir().unwrap());
    let (at, url) = (folder.path(), sim.url());
    let neuron = json(at, &url, &["chain", "neuron", "14", "29"]);
    let hotkey = neuron["neuron"]["hotkey"].as_str().unwrap();
    assert_eq!((&neuron["neuron"]["uid"], &neuron["registered_at"]), (&29.into(), &Value::Null));
    let table = text(at, &url, &["chain", "neuron", "14", hotkey]);
    assert!(table.contains(hotkey) && table.contains("14, 29"), "{table}");
    let axon = neuron["neuron"]["axon_info"].get("address").unwrap().as_str().unwrap_or("none announced");
    assert!(table.contains(&format!("Axon            {axon}\n")), "{table}");
    assert!(
        neuron["total_stake"].is_null() && table.contains("Stake           unknown"),
        "this node does not tell what it weighs: {table}"
    );
    // Where it does, it is the S of the metagraph, not the alpha that happens to be staked.
    let exchanges = Recording::shipped().unwrap().exchanges("get_neuron_for_pubkey_and_subnet").unwrap();
    let recorded = exchanges.iter().find(|(_, params, _)| params[0] == "NeuronInfoRuntimeApi_get_neuron").unwrap();
    let mut answer = bytes(&recorded.2["result"]);
    let metagraph = json(at, &url, &["chain", "metagraph", "1"]);
    let best: AccountId = BEST.parse().unwrap();
    answer[1..33].copy_from_slice(&best.0);
    sim.change(|world| world.set_call(0, "NeuronInfoRuntimeApi_get_neuron", [1u16, 395].map(u16::to_le_bytes).concat(), answer));
    let neuron = json(at, &url, &["chain", "neuron", "1", "395"]);
    assert_eq!(neuron["total_stake"], metagraph["neurons"][395]["total_stake"]);
    assert_eq!(neuron["total_stake"], 10_615_937_441_846u64);
    fails(at, Some(&url), &["chain", "neuron", "13", hotkey], 3, "it is on subnet");
    fails(at, Some(&url), &["chain", "neuron", "14", "5nonsense"], 2, "neither a UID");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_one_that_the_other_commands_read() {
    let (sim, folder) = (node().await, tempfile::tempdir().unwrap());
    let (at, url) = (folder.path(), sim.url());
    let taken = json(at, &url, &["subnets", "snapshot", "--network", "finney"]);
    assert_eq!((&taken["subnets"], &taken["uids"], &taken["block"]["number"]), (&2.into(), &2048.into(), &(BLOCK - 2).into()));
    assert!(taken["failed"]["2"].as_str().unwrap().contains("has no call"), "{taken}");
    let snapshot = Snapshot::read(&at.join(taken["file"].as_str().unwrap())).unwrap();
    assert_eq!((snapshot.network.as_str(), snapshot.timestamp.len(), snapshot.subnets[&64].dated()), ("finney", 26, true));
    sim.advance(7200);
    let shown = run(at, Some(&url), &["subnets", "snapshot", "--dir", "snapshots", "--network", "finney"]);
    assert!(shown.status.success() && String::from_utf8_lossy(&shown.stderr).contains("left out subnet 2"));
    // What is read from it without a node.
    assert!(text(at, "ws://127.0.0.1:1", &["subnets", "cost", "--netuid", "64"]).contains("1024/1024"));
    let eviction = json(at, "ws://127.0.0.1:1", &["subnets", "eviction", "--netuid", "64"]);
    assert_eq!(eviction["uids"][0]["registrations"], 1, "{eviction}");
    let analysis = json(at, "ws://127.0.0.1:1", &["subnets", "analyze"]);
    assert_eq!((&analysis["snapshots"], &analysis["total"]["replacements"]), (&2.into(), &0.into()), "{analysis}");

    std::fs::write(at.join("file"), "").unwrap();
    fails(at, Some(&url), &["subnets", "snapshot", "--dir", "file"], 1, "file cannot be written");
    sim.fail(Faults { truncate: 3, ..Faults::default() });
    fails(at, Some(&url), &["subnets", "snapshot"], 5, "no subnet could be read");
    assert_eq!(std::fs::read_dir(at.join("snapshots")).unwrap().count(), 2, "nothing is written of nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_alone_answers_what_files_do() {
    let (sim, folder) = (node().await, tempfile::tempdir().unwrap());
    let (at, url) = (folder.path(), sim.url());
    let here = ["--endpoint", &url, "--network", "custom"];
    let on = |words: &[&'static str]| [words, &here[..]].concat();
    let cost = json(at, "ws://127.0.0.1:1", &on(&["subnets", "cost", "--netuid", "64", "--tao-usd", "400"]));
    let place = &cost["subnets"][0];
    assert_eq!(
        (cost["subnets"].as_array().unwrap().len(), &place["block"], &place["current_neurons"]),
        (1, &(BLOCK - 2).into(), &1024.into())
    );
    assert!(place["burn_cost_usd"].as_f64().unwrap() > 0.0, "{place}");
    let whole = text(at, "ws://127.0.0.1:1", &on(&["subnets", "cost"]));
    assert!(whole.lines().filter(|line| line.contains("1024/1024")).count() == 2, "{whole}");
    let eviction = json(at, "ws://127.0.0.1:1", &on(&["subnets", "eviction", "--netuid", "64"]));
    assert_eq!(eviction["uids"][0]["registrations"], 1, "{eviction}");
    let answer = text(at, "ws://127.0.0.1:1", &on(&["subnets", "recommend", "--gpu", "8xh200", "--budget", "2TAO", "--days", "30"]));
    assert!(answer.contains("2 of 2 subnets: not enough data"), "one look tells no survival: {answer}");
    assert_eq!(std::fs::read_dir(at).unwrap().count(), 0, "nothing is written");

    // With a file before it there is a period.
    text(at, &url, &["subnets", "snapshot", "--network", "custom"]);
    sim.advance(7200);
    let analysis = json(at, "ws://127.0.0.1:1", &on(&["subnets", "analyze"]));
    assert_eq!((&analysis["snapshots"], &analysis["subnets"][0]["periods"]), (&2.into(), &1.into()), "{analysis}");

    let words = &["subnets", "cost", "--endpoint", &url];
    fails(at, None, words, 2, "of the network \"custom\", not \"finney\"");
    fails(at, None, &["subnets", "cost", "--endpoint", "ws://127.0.0.1:1"], 8, "127.0.0.1:1");
    fails(at, None, &["subnets", "cost", "--dir", "none"], 3, "--endpoint URL");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_bears_the_time_of_its_block_and_none_is_taken_of_a_node_that_is_behind() {
    let (sim, folder) = (node().await, tempfile::tempdir().unwrap());
    let (at, url) = (folder.path(), sim.url());
    let runtime = Runtime::new(343, &unpack(METADATA_V15).unwrap()).unwrap();
    let now = runtime.storage_key("Timestamp", "Now", ()).unwrap();
    let clock = |ms: u64| Some(ms.to_le_bytes().to_vec());
    sim.change(|world| world.set_storage(0, now.clone(), clock(1_767_804_685_035)));
    fails(at, Some(&url), &["subnets", "snapshot"], 5, "would tell of then");
    let warned = run(at, Some(&url), &["chain", "subnets"]);
    assert!(warned.status.success() && String::from_utf8_lossy(&warned.stderr).contains("the node is behind"), "{warned:?}");
    // An old block that is meant stands where it belongs.
    let old = (BLOCK - 20).to_string();
    let taken = json(at, &url, &["subnets", "snapshot", "--network", "finney", "--block", &old]);
    assert!(taken["file"].as_str().unwrap().ends_with("snapshot_2026-01-07T16-51-25.035000.json"), "{taken}");
    fails(at, Some(&url), &["subnets", "snapshot", "--network", "finney", "--block", &old], 1, "of block 6852670 already");
    let fresh = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    sim.change(|world| world.set_storage(BLOCK - 10, now, clock(u64::try_from(fresh).unwrap() - 30_000)));
    let taken = run(at, Some(&url), &["subnets", "snapshot", "--network", "finney"]);
    assert!(taken.status.success() && !String::from_utf8_lossy(&taken.stderr).contains("is behind"), "{taken:?}");
    assert_eq!(std::fs::read_dir(at.join("snapshots")).unwrap().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_take_over_from_each_other_and_old_blocks_come_from_the_archive() {
    let (dead, sim, folder) = (node().await, node().await, tempfile::tempdir().unwrap());
    dead.fail(Faults { refuse: true, ..Faults::default() });
    let (at, url) = (folder.path(), sim.url());
    let status = ["chain", "status", "--endpoint", &dead.url(), "--endpoint", &url, "-o", "json"];
    let status: Value = serde_json::from_slice(&run(at, None, &status).stdout).unwrap();
    assert_eq!(status["endpoint"], url);
    assert!(dead.connections() > 0);
    let old = ["chain", "metagraph", "1", "--block", "6851690", "-o", "json"];
    fails(at, Some(&url), &old, 3, "--archive");
    let archive = node().await;
    archive.change(|world| world.keeps = None);
    let read = json(at, &url, &[&old[..5], &["--archive", &archive.url()]].concat());
    assert_eq!(read["block"]["number"], 6_851_690);
    fails(at, Some(&dead.url()), &["chain", "status"], 8, "--endpoint URL");
    fails(at, Some("ws://127.0.0.1:1"), &["chain", "subnets"], 8, "127.0.0.1:1");
    fails(at, None, &["chain", "status", "--endpoint", "http://x"], 2, "is no network");
    fails(at, None, &["chain", "status", "--endpoint", "finney", "--endpoint", &url], 2, "is a network");
    fails(at, Some(&url), &["chain", "status", "--block", "99999999"], 3, "no endpoint knows block");
}
