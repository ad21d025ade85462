//! Key files go back and forth between us and the Python wallet (`bittensor-wallet` from PyPI): keys, addresses, signatures, passwords.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chain::wallet::place::{Name, Wallet, Wallets};
use chain::wallet::{Form, KeyFile, Password, WalletKey, key_from_uri, public_json, seal, store};
use protocol::key::verify;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The version that is known to work; its files are those of the versions before and after.
const VERSION: &str = "4.1.1";
const PASSWORD: &str = "testpass123!";
const MESSAGE: &[u8] = b"5HDvhV6WDCjCKyrXqGQSDYqQAzkzabNhctmiDYEqgBC66BsX:1700000000:sockets";
const WORDS: &str = "old leopard transfer rib spatial phone calm indicate online fire caution review";

/// A Python with the wallet in it, made once for all runs that share a target folder. `None` where that cannot be made.
fn python() -> Option<&'static Path> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    MADE.get_or_init(|| {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bittensor-wallet-{VERSION}"));
        if !kept.join("bin/python").exists() {
            let made = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let venv = made.path().join("venv");
            succeeds(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
            let package = format!("bittensor-wallet=={VERSION}");
            let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--retries", "1", "--timeout", "20", &package];
            succeeds(Command::new(venv.join("bin/python")).args(pip))?;
            // Whole under its name or not at all; another run may have been faster.
            let _ = std::fs::rename(&venv, &kept);
        }
        Some(kept.join("bin/python"))
    })
    .as_deref()
}

fn succeeds(command: &mut Command) -> Option<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    status.success().then_some(())
}

/// Whether the test may go on.
fn ready() -> bool {
    let needs = format!("python3 with venv and pip, and PyPI to install bittensor-wallet {VERSION} from (Debian: python3-venv)");
    testkit::level::beyond(2, python().is_some(), &needs)
}

fn ask(what: &str, folder: &Path) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/their_side.py");
    let mut command = Command::new(python().unwrap());
    let output = command.args([script, what]).arg(folder).stdin(Stdio::null()).env("HOME", folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&std::fs::read(folder.join("answer.json")).unwrap()).unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn write_hotkey(wallet: &Wallet, hotkey: &str, key: &WalletKey, form: Form) {
    let file = seal(&key.to_json(), form, &Password::new(PASSWORD)).unwrap();
    store::write(&wallet.hotkey(&name(hotkey)), &file, false).unwrap();
    store::write(&wallet.hotkey_public(&name(hotkey)), &public_json(key.address()), false).unwrap();
}

/// What the other side is asked to verify.
fn signed(key: &WalletKey) -> Value {
    json!({ "address": key.address(), "signature": key.keypair().sign(MESSAGE).to_string() })
}

#[test]
fn the_python_wallet_reads_what_we_write_and_verifies_what_we_sign() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let wallet = Wallets::at(folder.path()).wallet(&name("ours"));
    let seed_only = key_from_uri("0xda3cf5b1e9144931a0f0db65664aab662673b099415a7f8121b7245fb0be4143").unwrap();
    let keys = [
        ("plain", key_from_uri(WORDS).unwrap(), Form::Plain),
        ("seed", seed_only, Form::Plain),
        ("hard", key_from_uri("//Alice").unwrap(), Form::Plain),
        ("soft", key_from_uri("//Alice/soft").unwrap(), Form::Plain),
        ("vault", key_from_uri("//Bob").unwrap(), Form::Ansible),
    ];
    let mut hotkeys = json!({});
    for (hotkey, key, form) in &keys {
        write_hotkey(&wallet, hotkey, key, *form);
        hotkeys[hotkey] = signed(key);
    }
    let coldkey = key_from_uri("//Charlie").unwrap();
    let file = seal(&coldkey.to_json(), Form::Nacl, &Password::new(PASSWORD)).unwrap();
    store::write(&wallet.coldkey(), &file, false).unwrap();
    store::write(&wallet.coldkey_public(), &public_json(coldkey.address()), false).unwrap();
    std::fs::write(folder.path().join("ask.json"), json!({ "hotkeys": hotkeys, "coldkey": signed(&coldkey) }).to_string()).unwrap();

    let answer = ask("read", folder.path());
    for (name, key) in keys.iter().map(|(name, key, _)| (*name, key)).chain([("coldkey", &coldkey)]) {
        let told = &answer[name];
        let address = key.address().as_str();
        assert_eq!((&told[0], &told[1], &told[3]), (&json!(address), &json!(address), &json!(true)), "{name}: {told}");
        let signature = told[2].as_str().unwrap().parse().unwrap();
        assert!(verify(key.address(), MESSAGE, &signature), "{name}");
    }
}

#[test]
fn we_read_what_the_python_wallet_writes() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let told = ask("write", folder.path());
    let wallets = Wallets::at(folder.path());
    let list = wallets.list().unwrap();
    assert_eq!(list.iter().map(|wallet| wallet.name().as_str()).collect::<Vec<_>>(), ["theirs"]);
    let wallet = &list[0];
    assert_eq!(wallet.hotkeys().unwrap(), [name("plain"), name("soft"), name("vault")]);
    let read = |path: &Path| store::read(path).unwrap().key;

    let variable = Password::variable(&wallet.coldkey());
    assert_eq!(variable, told["variable"], "the name of the password's variable");
    let password = Password::from_variable(&variable, told["value"].as_str().unwrap()).unwrap();
    assert_eq!(password, Password::new(PASSWORD));
    let KeyFile::Sealed(coldkey) = read(&wallet.coldkey()) else { panic!("the coldkey is not sealed") };
    assert_eq!(coldkey.form(), Form::Nacl);
    let KeyFile::Key(opened) = coldkey.open(&password).unwrap() else { panic!("the coldkey has no secret") };
    assert_eq!(opened.address(), told["coldkey"].as_str().unwrap());
    assert!(opened.phrase().is_some());
    assert!(matches!(read(&wallet.coldkey_public()), KeyFile::Public(address) if address == told["coldkey"].as_str().unwrap()));

    for (hotkey, seed) in [("plain", true), ("soft", false)] {
        let KeyFile::Key(key) = read(&wallet.hotkey(&name(hotkey))) else { panic!("{hotkey} has no secret") };
        assert_eq!((key.address().as_str(), key.has_seed()), (told[hotkey].as_str().unwrap(), seed));
        assert_eq!(read(&wallet.hotkey_public(&name(hotkey))).address(), Some(key.address()));
        let signature = told["signature"].as_str().unwrap().parse().unwrap();
        assert_eq!(verify(key.address(), MESSAGE, &signature), hotkey == "plain");
    }
    let KeyFile::Sealed(vault) = read(&wallet.hotkey(&name("vault"))) else { panic!("the vault is not sealed") };
    assert_eq!(vault.form(), Form::Ansible);
    assert_eq!(vault.open(&password).unwrap().address().unwrap(), told["plain"].as_str().unwrap());
}
