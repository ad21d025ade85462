//! A node that stands in for a real one, a wallet, and `chutes-miner chain` run with both.

#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test that cannot go on has failed; nothing else runs on its thread")]

use chain::read::{AccountId, Runtime};
use chain::wallet::{key_from_uri, store};
use chain_sim::{Fate, METADATA_V15, Recording, Sim, World, unpack};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    io::{Read as _, Write as _},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

pub(crate) const BLOCK: u64 = 6_852_690;
pub(crate) const TAO: u64 = 1_000_000_000;
pub(crate) const PRICE: u64 = TAO / 2;
pub(crate) const PASSWORD: &str = "testpass123!";
/// Alice is the coldkey, Bob its hotkey, and Charlie gets what is sent.
pub(crate) const CHARLIE: &str = "5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y";
pub(crate) const FINNEY: &str = "2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03";

pub(crate) fn id(uri: &str) -> AccountId {
    AccountId::from(key_from_uri(uri).unwrap().address())
}

/// A node with subnet 64, and a folder with a wallet.
pub(crate) struct Lab {
    pub(crate) sim: Sim,
    pub(crate) runtime: Runtime,
    folder: tempfile::TempDir,
}

impl Lab {
    pub(crate) async fn new() -> Self {
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

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn set(&self, from: u64, key: Vec<u8>, value: Vec<u8>) {
        self.sim.change(|world| world.set_storage(from, key, Some(value)));
    }

    /// What Alice has.
    pub(crate) fn fund(&self, rao: u64) {
        self.account("//Alice", rao);
    }

    /// An account that sent seven extrinsics.
    pub(crate) fn account(&self, uri: &str, rao: u64) {
        let counts = [7_u32.to_le_bytes(), [0; 4], [1, 0, 0, 0], [0; 4]].concat();
        let data = [rao.to_le_bytes().to_vec(), vec![0; 32]].concat();
        self.set(0, self.runtime.storage_key("System", "Account", (id(uri).0,)).unwrap(), [counts, data].concat());
    }

    pub(crate) fn fate(&self, fate: Fate) {
        self.sim.change(|world| world.extrinsics.fate = fate);
    }

    pub(crate) fn dry_run(&self, answer: &[u8]) {
        self.sim.change(|world| world.extrinsics.dry_run = answer.to_vec());
    }

    /// Once an extrinsic is in a block, Bob has UID 200.
    pub(crate) fn registers(&self) {
        self.fate(Fate::success());
        let uid = self.runtime.storage_key("SubtensorModule", "Uids", (64_u16, id("//Bob").0)).unwrap();
        self.set(BLOCK + 1, uid, vec![200, 0]);
        let since = self.runtime.storage_key("SubtensorModule", "BlockAtRegistration", (64_u16, 200_u16)).unwrap();
        self.set(BLOCK + 1, since, (BLOCK + 1).to_le_bytes().to_vec());
    }

    /// Becomes the main network, where chutes is subnet 64.
    pub(crate) fn is_finney(&self) {
        let genesis: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&FINNEY[at..at + 2], 16).unwrap()).collect();
        self.sim.change(|world| world.set_genesis(genesis.try_into().unwrap()));
    }

    pub(crate) fn sent(&self) -> Vec<Vec<u8>> {
        self.sim.change(|world| world.extrinsics.sent.clone())
    }

    /// Without a terminal, whoever runs the tests.
    pub(crate) fn start(&self, args: &str) -> Child {
        let mut command = Command::new("setsid");
        command.arg("--wait").arg(env!("CARGO_BIN_EXE_chutes-miner")).arg("chain").args(args.split_whitespace());
        self.environment(&mut command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("BT_SUBTENSOR_CHAIN_ENDPOINT", self.sim.url()).env("BT_WALLET_PATH", self.path("wallets")).env("COLUMNS", "80");
        for name in ["BT_WALLET_NAME", "BT_WALLET_HOTKEY", "CHUTES_COMPAT"] {
            command.env_remove(name);
        }
        command.current_dir(self.folder.path())
    }

    pub(crate) fn run(&self, args: &str) -> Output {
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

    pub(crate) fn done(&self, args: &str) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{args}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Fails with this code and these words, and nothing is sent.
    pub(crate) fn refuses(&self, args: &str, code: i32, words: &str) {
        let before = self.sent().len();
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && errors.contains(words), "{args}: {:?} {errors}", output.status.code());
        assert_eq!(self.sent().len(), before, "{args}");
    }

    /// Types answers to questions on a terminal, as they come: what the terminal showed, with `code N` in it.
    pub(crate) fn on_a_terminal(&self, args: &str, typed: &[(&str, &str)]) -> String {
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

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Presses Ctrl-C.
pub(crate) fn interrupt(child: &Child) {
    // The program is the child of what gave it a session of its own.
    let pid = i32::try_from(child.id()).unwrap();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let program = children.split_whitespace().next().map_or(pid, |child| child.parse().unwrap());
    kill(Pid::from_raw(program), Signal::SIGINT).unwrap();
}

pub(crate) fn exchange(scenario: &str, call: &str) -> (String, Value, Value) {
    let all = Recording::shipped().unwrap().exchanges(scenario).unwrap();
    all.into_iter().find(|(method, params, _)| method == "state_call" && params[0] == call).unwrap()
}
