//! Commands that send, on a node that stands in for a real one. What counts is what the node was sent.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test that cannot go on has failed; nothing else runs on its thread")]

use chain::read::{AccountId, Neuron, Runtime};
use chain::wallet::{Form, Password, key_from_uri, public_json, seal, store};
use chain_sim::{Fate, METADATA_V15, Recording, Sim, World, unpack};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const BLOCK: u64 = 6_852_690;
const TAO: u64 = 1_000_000_000;
const PRICE: u64 = TAO / 2;
const PASSWORD: &str = "testpass123!";
/// Alice is the coldkey, Bob its hotkey, and Charlie gets what is sent.
const CHARLIE: &str = "5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y";
const FINNEY: &str = "2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03";

fn id(uri: &str) -> AccountId {
    AccountId::from(key_from_uri(uri).unwrap().address())
}

/// A node with subnet 64, and a folder with a wallet.
struct Lab {
    sim: Sim,
    runtime: Runtime,
    folder: tempfile::TempDir,
}

impl Lab {
    async fn new() -> Self {
        let metadata = unpack(METADATA_V15).unwrap();
        let runtime = Runtime::new(343, &metadata).unwrap();
        let mut world = World::new(BLOCK, 343, metadata);
        world.extrinsics.fee_rao = 12_000;
        world.extrinsics.nonce = 7;
        let folder = tempfile::tempdir().unwrap();
        let lab = Self { sim: Sim::start(world).await.unwrap(), runtime, folder };
        for (item, value) in [
            ("NetworksAdded", vec![1]),
            ("Burn", PRICE.to_le_bytes().to_vec()),
            ("SubnetworkN", vec![200, 0]),
            ("MaxAllowedUids", vec![0, 1]),
            ("ImmunityPeriod", 7200_u16.to_le_bytes().to_vec()),
        ] {
            let key = lab.runtime.storage_key("SubtensorModule", item, (64_u16,)).unwrap();
            lab.set(0, key, value);
        }
        lab.fund(10 * TAO);
        lab.account("//Bob", 0);
        for (path, uri) in [("wallets/default/coldkey", "//Alice"), ("wallets/default/hotkeys/default", "//Bob")] {
            store::write(&lab.path(path), &key_from_uri(uri).unwrap().to_json(), false).unwrap();
        }
        lab
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn set(&self, from: u64, key: Vec<u8>, value: Vec<u8>) {
        self.sim.change(|world| world.set_storage(from, key, Some(value)));
    }

    /// What Alice has.
    fn fund(&self, rao: u64) {
        self.account("//Alice", rao);
    }

    /// An account that sent seven extrinsics.
    fn account(&self, uri: &str, rao: u64) {
        let counts = [7_u32.to_le_bytes(), [0; 4], [1, 0, 0, 0], [0; 4]].concat();
        let data = [rao.to_le_bytes().to_vec(), vec![0; 32]].concat();
        self.set(0, self.runtime.storage_key("System", "Account", (id(uri).0,)).unwrap(), [counts, data].concat());
    }

    fn fate(&self, fate: Fate) {
        self.sim.change(|world| world.extrinsics.fate = fate);
    }

    fn dry_run(&self, answer: &[u8]) {
        self.sim.change(|world| world.extrinsics.dry_run = answer.to_vec());
    }

    /// Once an extrinsic is in a block, Bob has UID 200.
    fn registers(&self) {
        self.fate(Fate::success());
        let uid = self.runtime.storage_key("SubtensorModule", "Uids", (64_u16, id("//Bob").0)).unwrap();
        self.set(BLOCK + 1, uid, vec![200, 0]);
        let since = self.runtime.storage_key("SubtensorModule", "BlockAtRegistration", (64_u16, 200_u16)).unwrap();
        self.set(BLOCK + 1, since, (BLOCK + 1).to_le_bytes().to_vec());
    }

    /// Becomes the main network, where chutes is subnet 64.
    fn is_finney(&self) {
        let genesis: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&FINNEY[at..at + 2], 16).unwrap()).collect();
        self.sim.change(|world| world.set_genesis(genesis.try_into().unwrap()));
    }

    fn sent(&self) -> Vec<Vec<u8>> {
        self.sim.change(|world| world.extrinsics.sent.clone())
    }

    /// Without a terminal, whoever runs the tests.
    fn start(&self, args: &str) -> Child {
        let mut command = Command::new("setsid");
        command.arg("--wait").arg(env!("CARGO_BIN_EXE_chutes-miner")).arg("chain").args(args.split_whitespace());
        self.environment(&mut command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("BT_SUBTENSOR_CHAIN_ENDPOINT", self.sim.url()).env("BT_WALLET_PATH", self.path("wallets")).env("COLUMNS", "80");
        for name in ["BT_WALLET_NAME", "BT_WALLET_HOTKEY", "CHUTES_COMPAT"] {
            command.env_remove(name);
        }
        command.current_dir(self.folder.path())
    }

    fn run(&self, args: &str) -> Output {
        let output = self.start(args).wait_with_output().unwrap();
        let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!all.contains(PASSWORD) && !all.contains("panicked"), "{args}: {all}");
        let json = args.contains("json");
        assert!(
            json || String::from_utf8_lossy(&output.stdout).lines().all(|line| line.chars().count() <= 80),
            "{args} is too wide: {all}"
        );
        output
    }

    fn done(&self, args: &str) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{args}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Fails with this code and these words, and nothing is sent.
    fn refuses(&self, args: &str, code: i32, words: &str) {
        let before = self.sent().len();
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && errors.contains(words), "{args}: {:?} {errors}", output.status.code());
        assert_eq!(self.sent().len(), before, "{args}");
    }

    /// Types answers to questions on a terminal, as they come: what the terminal showed, with `code N` in it.
    fn on_a_terminal(&self, args: &str, typed: &[(&str, &str)]) -> String {
        let line =
            format!("set -m; stty -g >before; \"{}\" chain {args}; echo code $?; stty -g >after", env!("CARGO_BIN_EXE_chutes-miner"));
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env("SHELL", "/bin/sh");
        let mut child = self.environment(&mut command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut keys, mut screen, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap(), Vec::new());
        let mut typed = typed.iter().peekable();
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = screen.read(&mut part) {
            shown.extend_from_slice(&part[..read]);
            while let Some((_, answer)) = typed.next_if(|(question, _)| String::from_utf8_lossy(&shown).contains(question)) {
                // The question comes a moment before the terminal stops to echo.
                std::thread::sleep(Duration::from_millis(300));
                keys.write_all(answer.as_bytes()).unwrap();
            }
        }
        child.wait().unwrap();
        let state = |name: &str| std::fs::read_to_string(self.path(name)).ok();
        assert!(state("after").is_none_or(|after| Some(after) == state("before")), "the terminal is left as it was");
        String::from_utf8_lossy(&shown).into_owned()
    }
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_all_and_sends_nothing_and_yes_sends() {
    let lab = Lab::new().await;
    lab.registers();
    let tried = json(&lab.run("register 64 --dry-run --tao-usd 400 -o json"));
    assert_eq!(lab.sent().len(), 0);
    assert_eq!((&tried["result"], &tried["error"], &tried["dry_run"]), (&"would_succeed".into(), &Value::Null, &"succeeds".into()));
    assert_eq!((&tried["signer"], &tried["block"]["number"]), (&id("//Alice").to_string().into(), &BLOCK.into()));
    assert_eq!((&tried["quote"]["price_rao"], &tried["limit_rao"], &tried["price_usd"]), (&PRICE.into(), &PRICE.into(), &200.0.into()));
    assert_eq!(
        (&tried["quote"]["uids"], &tried["quote"]["max_uids"], &tried["quote"]["place"]["state"]),
        (&200.into(), &256.into(), &"free".into())
    );
    assert_eq!((&tried["fee_rao"], &tried["balance_after_rao"]), (&12_000.into(), &(10 * TAO - PRICE - 12_000).into()));
    assert_eq!((&tried["warnings"][0]["warning"], &tried["nonce"]), (&"limit_not_held".into(), &7.into()));
    assert_eq!(tried["call"]["arguments"]["hotkey"], id("//Bob").to_string());
    assert!(tried["outcome"].is_null() && tried["registered"].is_null(), "{tried}");
    let shown = lab.done("register 64 --dry-run");
    for words in ["0.500000000 TAO", "200 of 256", "10.000000000 TAO", "it would succeed", "this runtime does not hold it", "1.0 days"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains('$'), "nobody gave a price in dollars: {shown}");

    let output = lab.run("register 64 --limit 0.6TAO --yes -o json");
    let done = json(&output);
    assert_eq!((output.status.code(), &done["result"], lab.sent().len()), (Some(0), &"done".into(), 1), "{done}");
    assert_eq!((&done["outcome"]["block"]["number"], &done["outcome"]["index"]), (&(BLOCK + 1).into(), &1.into()));
    assert_eq!((&done["registered"]["uid"], &done["registered"]["block"]), (&200.into(), &(BLOCK + 1).into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("waiting for a block to take it, up to 6852814"), "{output:?}");
    // What is there now needs no password and no fee.
    lab.refuses("register 64 --limit 1 --yes", 1, "registered on subnet 64 already, as UID 200");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_a_place_on_a_full_subnet_is_told() {
    let lab = Lab::new().await;
    lab.registers();
    for item in ["SubnetworkN", "MaxAllowedUids"] {
        lab.set(0, lab.runtime.storage_key("SubtensorModule", item, (64_u16,)).unwrap(), vec![0, 4]);
    }
    // An estimate that cannot be made keeps nobody from registering.
    let unknown = json(&lab.run("register 64 --dry-run -o json"));
    assert_eq!((&unknown["result"], &unknown["quote"]["place"]["state"]), (&"would_succeed".into(), &"unknown".into()));
    assert!(unknown["quote"]["place"]["why"].is_string() && unknown["quote"]["place"]["uid"].is_null(), "{unknown}");

    // Subnet 1 as it was recorded, under the number 64.
    let hex = |value: &Value| hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap();
    for call in ["SubnetInfoRuntimeApi_get_selective_mechagraph", "NeuronInfoRuntimeApi_get_neurons_lite"] {
        let (_, params, answer) = exchange("metagraph", call);
        let arguments = [&[64, 0], &hex(&params[1])[2..]].concat();
        lab.sim.change(|world| world.set_call(0, call, arguments, hex(&answer["result"])));
    }
    let told = json(&lab.run("register 64 --dry-run -o json"));
    let graph = json(&lab.run("metagraph 64 -o json"));
    let number = |value: &Value| value.as_u64().unwrap();
    let (block, immunity) = (number(&graph["block"]["number"]), number(&graph["immunity_period"]));
    let exposed = graph["neurons"].as_array().unwrap().iter().filter(|one| number(&one["registered_at"]) + immunity <= block);
    let owner = &graph["owner_hotkey"];
    let weakest = exposed.filter(|one| one["hotkey"] != *owner).min_by_key(|one| {
        let keys = ["emission", "registered_at", "uid"];
        keys.map(|key| number(&one[key]))
    });
    let weakest = weakest.unwrap();
    assert_eq!((&told["quote"]["place"]["uid"], &told["quote"]["place"]["hotkey"]), (&weakest["uid"], &weakest["hotkey"]));
    let words = format!("1024 of 1024 are taken; it takes that of UID {}", weakest["uid"]);
    let shown = lab.done("register 64 --dry-run").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains(&words), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_opened_or_asked_where_nobody_can_say_yes() {
    let lab = Lab::new().await;
    lab.registers();
    for args in ["register 64", "register 64 --limit 1", &format!("transfer --to {CHARLIE} --amount 1")] {
        lab.refuses(args, 2, "no terminal");
    }
    lab.refuses("register 64 --yes", 2, "--limit TAO");
    assert_eq!(lab.sim.requests(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_types_yes_or_nothing_is_sent() {
    let lab = Lab::new().await;
    lab.registers();
    for answer in ["no\n", "y\n", "\n", "\x04"] {
        let screen = lab.on_a_terminal("register 64", &[("Type yes: ", answer)]);
        assert!(screen.contains("code 6") && screen.contains("nothing was sent"), "{answer:?}: {screen}");
        assert_eq!(lab.sent().len(), 0, "{answer:?}");
    }
    let screen = lab.on_a_terminal("register 64", &[("Type yes: ", "\x03")]);
    // The shell that would tell the code is interrupted, too.
    assert!(screen.contains("interrupted; nothing was sent"), "{screen}");
    assert_eq!(lab.sent().len(), 0);
    let screen = lab.on_a_terminal("register 64", &[("Type yes: ", "yes\n")]);
    assert!(screen.contains("code 0") && screen.contains("UID 200 on subnet 64, since block 6852691"), "{screen}");
    assert_eq!(lab.sent().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_too_much_or_would_fail_is_not_sent() {
    let lab = Lab::new().await;
    lab.registers();
    lab.refuses("register 64 --limit 0.499999999 --yes", 1, "costs 0.500000000 TAO, more than the limit of 0.499999999");
    lab.refuses("register 64 --limit 0.4 --dry-run", 1, "--limit TAO");
    lab.refuses("register 64 --limit cheap --yes", 2, "no amount of TAO");
    lab.refuses("register 65 --limit 1 --yes", 3, "65");
    lab.fund(PRICE - 1);
    lab.refuses("register 64 --limit 1 --yes", 1, "the coldkey has 0.499999999");
    lab.fund(TAO);
    lab.dry_run(&[0, 1, 3, 7, 1, 0, 0, 0]);
    lab.refuses("register 64 --limit 1 --yes", 1, "SubtensorModule.InvalidIpType: The user is trying to serve");
    lab.refuses("register 64 --limit 1 --dry-run", 1, "nothing was sent");
    lab.dry_run(&[1, 0, 1]);
    let output = lab.run("register 64 --limit 1 --yes -o json");
    let told = json(&output);
    assert_eq!((output.status.code(), &told["result"], lab.sent().len()), (Some(1), &"would_fail".into(), 0));
    assert_eq!(told["dry_run"]["refused"]["meaning"], "the account cannot pay the fee");
    let owner = lab.runtime.storage_key("SubtensorModule", "Owner", (id("//Bob").0,)).unwrap();
    lab.set(0, owner, vec![9; 32]);
    lab.refuses("register 64 --limit 1 --yes", 1, "belongs to the coldkey");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_it_is_told_with_a_code_that_is_not_0() {
    let lab = Lab::new().await;
    lab.fate(Fate::failure(7, 1));
    for args in ["register 64 --limit 1 --yes -o json", "--compat-exit register 64 --limit 1 --yes -o json"] {
        let output = lab.run(args);
        let told = json(&output);
        assert_eq!((output.status.code(), &told["result"]), (Some(5), &"failed".into()), "{told}");
        assert_eq!(told["outcome"]["failure"]["name"], "SubtensorModule.InvalidIpType");
        assert!(told["error"].as_str().unwrap().contains("The user is trying to serve an axon"), "{told}");
    }
    assert_eq!(lab.sent().len(), 2);

    lab.fate(Fate::Refused("Invalid Transaction: Custom error: 2".to_owned()));
    let output = lab.run("register 64 --limit 1 --yes -o json");
    assert_eq!((output.status.code(), &json(&output)["result"]), (Some(1), &"refused".into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the balance is too low"), "{output:?}");

    lab.fate(Fate::Forgotten(140));
    let output = lab.run("register 64 --limit 1 --yes -o json");
    assert_eq!((output.status.code(), &json(&output)["result"]), (Some(1), &"expired".into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("that is safe now"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_on_its_way_already_is_not_sent_again() {
    let lab = Lab::new().await;
    lab.registers();
    lab.sim.change(|world| world.extrinsics.nonce = 9);
    let pay = format!("transfer --to {CHARLIE} --amount 1");
    lab.refuses(&format!("{pay} --yes"), 6, "2 extrinsic(s) of this key were sent and are in no block yet");
    assert_eq!(json(&lab.run(&format!("{pay} --dry-run -o json")))["waiting"], 2);
    lab.done(&format!("{pay} --yes --accept-warnings"));
    assert_eq!(lab.sent().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_while_waiting_says_that_it_may_be_on_its_way() {
    let lab = Lab::new().await;
    lab.fate(Fate::Waiting);
    let child = lab.start("register 64 --limit 1 --yes -o json");
    let begun = Instant::now();
    while lab.sent().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The program is the child of what gave it a session of its own.
    let pid = i32::try_from(child.id()).unwrap();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let program = children.split_whitespace().next().map_or(pid, |child| child.parse().unwrap());
    kill(Pid::from_raw(program), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let (told, errors) = (json(&output), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &told["result"]), (Some(130), &"unknown".into()), "{errors}");
    for words in ["may be on its way", "in a block up to 6852814", "chutes-miner chain neuron 64 5FHne", "above 7", "Do not send it again"]
    {
        assert!(errors.contains(words), "{words}: {errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_hurt_a_chutes_miner_needs_more_than_a_yes() {
    let lab = Lab::new().await;
    lab.fate(Fate::success());
    let serve = "serve-axon 64 --ip 203.0.113.7 --port 8091";
    // Elsewhere subnet 64 is one like any other.
    lab.done(&format!("{serve} --yes"));
    assert_eq!(lab.sent().len(), 1);
    lab.is_finney();
    lab.refuses(&format!("{serve} --yes"), 6, "--accept-warnings beside --yes");
    let output = lab.run(&format!("{serve} --dry-run -o json"));
    assert_eq!((output.status.code(), &json(&output)["warnings"][0]["warning"], lab.sent().len()), (Some(0), &"axon".into(), 1));
    lab.done(&format!("{serve} --yes --accept-warnings"));
    assert_eq!(lab.sent().len(), 2);
    lab.refuses("serve-axon 64 --ip 10.0.0.1 --port 8091 --yes", 2, "cannot be reached from outside");

    // A coldkey that has a UID already, while only its best is paid: the clock of this chain says 1970.
    let (_, _, answer) = exchange("metagraph", "NeuronInfoRuntimeApi_get_neurons_lite");
    let neurons = hex::decode(answer["result"].as_str().unwrap().trim_start_matches("0x")).unwrap();
    lab.sim.change(|world| world.set_call(0, "NeuronInfoRuntimeApi_get_neurons_lite", vec![64, 0], neurons.clone()));
    let decoded: Vec<Neuron> = lab.runtime.call_answer("NeuronInfoRuntimeApi", "get_neurons_lite", &neurons).unwrap();
    let first = decoded[0].coldkey;
    std::fs::remove_file(lab.path("wallets/default/coldkey")).unwrap();
    store::write(&lab.path("wallets/default/coldkeypub.txt"), &public_json(&first.ss58()), false).unwrap();
    lab.set(0, lab.runtime.storage_key("System", "Account", (first.0,)).unwrap(), [vec![0; 16], vec![9; 6], vec![0; 34]].concat());
    lab.refuses("register 64 --limit 1 --yes", 6, "chutes pays only the best hotkey");
    // The guard rail was asked before the key, which is not there.
    lab.refuses("register 64 --limit 1 --yes --accept-warnings", 3, "coldkey");
}

fn exchange(scenario: &str, call: &str) -> (String, Value, Value) {
    let all = Recording::shipped().unwrap().exchanges(scenario).unwrap();
    all.into_iter().find(|(method, params, _)| method == "state_call" && params[0] == call).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_key_is_opened_with_its_password_only() {
    let lab = Lab::new().await;
    lab.registers();
    let alice = key_from_uri("//Alice").unwrap();
    let sealed = seal(&alice.to_json(), Form::Ansible, &Password::new(PASSWORD)).unwrap();
    store::write(&lab.path("wallets/default/coldkey"), &sealed, true).unwrap();
    store::write(&lab.path("wallets/default/coldkeypub.txt"), &public_json(alice.address()), false).unwrap();
    for (name, password) in [("wrong", "another"), ("right", PASSWORD)] {
        std::fs::write(lab.path(name), password).unwrap();
        std::fs::set_permissions(lab.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    lab.refuses("register 64 --limit 1 --yes --password-file wrong", 4, "the password is wrong");
    lab.refuses("register 64 --limit 1 --yes", 2, "no terminal on which to ask for a password");
    // What needs no key needs no password.
    lab.refuses("register 64 --limit 0.1 --yes --password-file wrong", 1, "more than the limit");
    lab.done("register 64 --limit 1 --yes --password-file right");
    assert_eq!(lab.sent().len(), 1);
    let pay = format!("transfer --to {CHARLIE} --amount 1");
    let answers = [("Password of ", "testpass123!\n"), ("Type yes: ", "yes\n")];
    let screen = lab.on_a_terminal(&pay, &answers);
    assert!(screen.contains("code 0") && !screen.contains(PASSWORD), "{screen}");
    assert_eq!(lab.sent().len(), 2);
    let screen = lab.on_a_terminal(&pay, &[("Password of ", "\x03")]);
    assert!(screen.contains("interrupted; nothing was sent") && screen.contains("code 130"), "{screen}");
    assert_eq!(lab.sent().len(), 2);
    // Shown as one, signed as another: no.
    store::write(&lab.path("wallets/default/coldkeypub.txt"), &public_json(&id("//Eve").ss58()), true).unwrap();
    lab.account("//Eve", 10 * TAO);
    lab.refuses(&format!("{pay} --yes --password-file right"), 1, "public half");
}

#[tokio::test(flavor = "multi_thread")]
async fn tao_goes_where_it_shall_and_no_further() {
    let lab = Lab::new().await;
    lab.fate(Fate::success());
    let to = |rest: &str| format!("transfer --to {CHARLIE} {rest}");
    lab.refuses(&format!("transfer --to {} --amount 1 --yes", id("//Alice")), 2, "sender's own address");
    // The same key with the prefix of another chain.
    lab.refuses("transfer --to 14E5nqKAp3oAJcmzgZhUD2RcptBeUBScxKHgJKU4HPNcKVf3 --amount 1 --yes", 2, "--to");
    lab.refuses(&to("--amount 0 --yes"), 2, "nothing is no amount");
    lab.refuses(&to("--yes"), 2, "--amount");
    lab.refuses(&to("--amount 10 --yes"), 1, "9.999999500 TAO can be sent at most");
    let output = lab.run(&to("--amount 9.9999 --dry-run -o json"));
    let tried = json(&output);
    assert_eq!((&tried["call"]["arguments"]["value"], &tried["balance_after_rao"]), (&9_999_900_000_u64.into(), &88_000.into()));
    assert_eq!(tried["call"]["name"], "Balances.transfer_keep_alive");
    assert!(lab.done(&to("--amount 9.999988 --allow-death --dry-run")).contains("an account lives on"));

    let output = lab.run(&to("--all --yes -o json"));
    let done = json(&output);
    assert_eq!((output.status.code(), &done["balance_after_rao"]), (Some(0), &500.into()), "{done}");
    assert_eq!(done["call"]["arguments"]["value"], 10 * TAO - 500 - 12_000);
    let emptied = json(&lab.run(&to("--all --allow-death --yes -o json")));
    assert_eq!((&emptied["call"]["name"], &emptied["balance_after_rao"]), (&"Balances.transfer_allow_death".into(), &0.into()));
    assert_eq!(lab.sent().len(), 2);
    let charlie = id("//Charlie").0;
    assert!(lab.sent().iter().all(|sent| sent.windows(32).any(|window| window == charlie)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_salt_of_weights_is_on_disk_before_they_are_sent() {
    let lab = Lab::new().await;
    // Even if the node then refuses.
    lab.fate(Fate::Refused("Invalid Transaction: Custom error: 6".to_owned()));
    lab.done("commit-weights 64 7=1 9=0.5 --save weights.json --dry-run");
    assert!(!lab.path("weights.json").exists());
    let output = lab.run("commit-weights 64 7=1 9=0.5 --save weights.json --yes");
    assert_eq!((output.status.code(), lab.sent().len()), (Some(1), 1));
    let file = lab.path("weights.json");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((&kept["uids"], &kept["values"]), (&serde_json::json!([7, 9]), &serde_json::json!([65_535, 32_768])));
    let commitment = hex::decode(kept["commitment"].as_str().unwrap()).unwrap();
    assert!(lab.sent()[0].windows(32).any(|window| window == commitment), "what was sent is what was kept");
    lab.refuses("commit-weights 64 7=1 --save weights.json --yes", 1, "--save FILE");
    lab.refuses("commit-weights 64 7=1 7=2 --save other.json --yes", 2, "more than one weight");

    lab.fate(Fate::success());
    let done = json(&lab.run("reveal-weights weights.json --yes -o json"));
    assert_eq!((&done["result"], &done["call"]["name"]), (&"done".into(), &"SubtensorModule.reveal_weights".into()));
    let salt: Vec<u8> = kept["salt"].as_array().unwrap().iter().flat_map(|one| (one.as_u64().unwrap() as u16).to_le_bytes()).collect();
    assert!(lab.sent()[1].windows(16).any(|window| window == salt));
    lab.refuses(
        "reveal-weights weights.json --yes --wallet-hotkey default --key-file wallets/default/coldkey",
        1,
        "committed to these weights",
    );
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap().replace("32768", "32769")).unwrap();
    lab.refuses("reveal-weights weights.json --yes", 1, "not one to these weights");
    lab.done("set-weights 64 7=1 9=3 --yes --version-key 5");
    assert_eq!(lab.sent().len(), 3);
}
