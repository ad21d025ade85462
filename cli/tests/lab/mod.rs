//! A folder of wallets, and `chutes-miner wallet` run in it.

#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::disallowed_methods, reason = "no runtime runs here whose thread a sleep could block")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) const WORDS: &str = "old leopard transfer rib spatial phone calm indicate online fire caution review";
pub(crate) const SEED: &str = "da3cf5b1e9144931a0f0db65664aab662673b099415a7f8121b7245fb0be4143";
pub(crate) const ADDRESS: &str = "5HDvhV6WDCjCKyrXqGQSDYqQAzkzabNhctmiDYEqgBC66BsX";
pub(crate) const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
pub(crate) const PASSWORD: &str = "testpass123!";
/// What a workplace may have set.
const VARIABLES: [&str; 11] = [
    "BT_WALLET_NAME",
    "BT_WALLET",
    "BT_WALLET_COLD",
    "BT_WALLET_HOTKEY",
    "BT_WALLET_HOT",
    "BT_WALLET_PASSWORD",
    "BT_WALLET_PASSWORD_FILE",
    "HOTKEY",
    "HOTKEY_PASSWORD_FILE",
    "MINER_API",
    "CHUTES_COMPAT",
];

/// A folder of wallets, and files with secrets beside it.
pub(crate) struct Lab {
    pub(crate) folder: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// A file that only its owner may read.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn run(&self, args: &str, stdin: &str) -> Output {
        self.run_with(args, stdin, &[])
    }

    pub(crate) fn run_with(&self, args: &str, stdin: &str, variables: &[(String, String)]) -> Output {
        self.run_any(&format!("wallet {args}"), stdin, variables)
    }

    /// Runs another command than `wallet`.
    pub(crate) fn run_any(&self, args: &str, stdin: &str, variables: &[(String, String)]) -> Output {
        // In a session of its own there is no terminal to ask on, whoever runs the tests.
        let mut child = Command::new("setsid");
        child.current_dir(self.folder.path()).args(["--wait", env!("CARGO_BIN_EXE_chutes-miner")]).args(args.split_whitespace());
        for name in VARIABLES {
            child.env_remove(name);
        }
        child.env("BT_WALLET_PATH", self.path("wallets")).env("BT_WALLET_NAME", "").envs(variables.iter().cloned());
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        for secret in ["leopard", &SEED[..8], PASSWORD, "panicked"] {
            assert!(!all.contains(secret), "{args}: {all}");
        }
        output
    }

    /// Runs `wallet` on a terminal, where `typed` answers each question as it comes: the question, then what is typed, or `signal:NAME`, which
    /// is sent to the program. What the terminal showed, `code N` with the exit code in it; and whether the terminal is as it was before,
    /// also while the program stood still.
    pub(crate) fn on_a_terminal(&self, args: &str, typed: &[(&str, &str)]) -> (String, bool) {
        self.any_on_a_terminal(&format!("wallet {args}"), typed)
    }

    /// Runs another command than `wallet` on a terminal.
    pub(crate) fn any_on_a_terminal(&self, args: &str, typed: &[(&str, &str)]) -> (String, bool) {
        // With jobs as people have them: what Ctrl-C ends is not the shell, and what Ctrl-Z stopped (148) goes on.
        let run = format!("sh -c 'echo $$ >pid; exec \"{}\" {args}'", env!("CARGO_BIN_EXE_chutes-miner"));
        let line = format!(
            "set -m; stty -g >before; {run}; code=$?; stty -g >between; [ $code = 148 ] && {{ fg; code=$?; }}; echo code $code; stty -g >after"
        );
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).current_dir(self.folder.path()).env("SHELL", "/bin/sh");
        for name in VARIABLES {
            command.env_remove(name);
        }
        command.env("BT_WALLET_PATH", self.path("wallets"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut keys, mut screen, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap(), Vec::new());
        let mut seen = 0;
        let mut typed = typed.iter().peekable();
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = screen.read(&mut part) {
            shown.extend_from_slice(&part[..read]);
            let text = String::from_utf8_lossy(&shown).into_owned();
            while let Some((question, answer)) = typed.peek() {
                let Some(at) = text.get(seen..).and_then(|text| text.find(question)) else { break };
                seen += at + question.len();
                // The question comes a moment before the terminal stops to echo.
                std::thread::sleep(std::time::Duration::from_millis(300));
                match answer.strip_prefix("signal:") {
                    Some(signal) => {
                        let pid = std::fs::read_to_string(self.path("pid")).unwrap();
                        let sent = Command::new("kill").args(["-s", signal, pid.trim()]).status();
                        assert!(sent.unwrap().success());
                    }
                    None => keys.write_all(answer.as_bytes()).unwrap(),
                }
                typed.next();
            }
        }
        child.wait().unwrap();
        let state = |name: &str| std::fs::read_to_string(self.path(name)).unwrap();
        let same = state("before") == state("after") && state("before") == state("between");
        (String::from_utf8_lossy(&shown).into_owned(), same)
    }

    /// Runs what shall succeed; what it printed.
    pub(crate) fn done(&self, args: &str, stdin: &str) -> String {
        let output = self.run(args, stdin);
        assert_eq!(output.status.code(), Some(0), "{args}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs what shall fail; its exit code and what it said.
    pub(crate) fn fails(&self, args: &str, stdin: &str) -> (i32, String) {
        let output = self.run(args, stdin);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    pub(crate) fn json(&self, args: &str) -> Value {
        serde_json::from_str(&self.done(args, "")).unwrap()
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

pub(crate) fn key_file(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
