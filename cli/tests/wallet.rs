//! `chutes-miner wallet` as people and scripts see it. Nothing secret is ever printed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lab;

use lab::{ADDRESS, ALICE, Lab, PASSWORD, SEED, WORDS, key_file, mode};
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

#[test]
fn a_new_hotkey_is_what_the_other_tools_read() {
    let lab = Lab::new();
    let told: Value = serde_json::from_str(&lab.done("new-hotkey --wallet-name miner --wallet-hotkey h1 -o json", "")).unwrap();
    let (file, public) = (lab.path("wallets/miner/hotkeys/h1"), lab.path("wallets/miner/hotkeys/h1pub.txt"));
    let key = key_file(&file);
    assert_eq!(key["ss58Address"], told["address"]);
    assert_eq!(key["secretSeed"].as_str().unwrap().len(), 66);
    assert_eq!(key["secretPhrase"].as_str().unwrap().split(' ').count(), 12);
    assert_eq!(key_file(&public)["ss58Address"], told["address"]);
    assert_eq!((mode(&file), mode(&public), mode(&lab.path("wallets/miner/hotkeys"))), (0o600, 0o600, 0o700));
    let list = lab.json("list -o json");
    assert_eq!((&list[0]["wallet"], &list[0]["key"], &list[0]["form"]), (&"miner".into(), &"h1".into(), &"plain".into()));
    assert!(lab.done("show --wallet-name miner", "").contains(told["address"].as_str().unwrap()));
}

#[test]
fn no_key_is_replaced_unasked() {
    let lab = Lab::new();
    lab.done("new-hotkey", "");
    let before = std::fs::read(lab.path("wallets/default/hotkeys/default")).unwrap();
    let secret = lab.file("secret", "//Alice");
    for args in ["new-hotkey", "new-hotkey --words 24", &format!("regen hotkey --secret-file {secret}"), "regen hotkey --form ansible"] {
        let (code, told) = lab.fails(args, "");
        assert!(code == 1 && told.contains("exists already"), "{args}: {code} {told}");
    }
    // A public half of another key alone is reason enough.
    std::fs::remove_file(lab.path("wallets/default/hotkeys/default")).unwrap();
    assert!(lab.fails("new-hotkey", "").1.contains("exists already"));
    let (code, told) = lab.fails(&format!("regen hotkey --secret-file {secret}"), "");
    assert!(code == 1 && told.contains("nothing was written") && !lab.path("wallets/default/hotkeys/default").exists(), "{told}");
    lab.done(&format!("regen hotkey --secret-file {secret} --overwrite"), "");
    assert_ne!(std::fs::read(lab.path("wallets/default/hotkeys/default")).unwrap(), before);
}

#[test]
fn a_key_grows_again_from_words_seed_and_uri() {
    let lab = Lab::new();
    for (index, (secret, address)) in [(WORDS, ADDRESS), (SEED, ADDRESS), ("//Alice", ALICE)].into_iter().enumerate() {
        let told = lab.done(&format!("regen hotkey --wallet-hotkey h{index} --secret-file -"), secret);
        assert!(told.starts_with(address), "{told}");
    }
    let (code, told) = lab.fails("regen hotkey --wallet-hotkey x --secret-file -", &WORDS.replace("transfer", "tarnsfer"));
    assert!(code == 2 && told.contains("word 3"), "{code} {told}");
    let open = lab.file("open", WORDS);
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(lab.fails(&format!("regen hotkey --wallet-hotkey x --secret-file {open}"), "").1.contains("chmod 600"));
}

#[test]
fn a_coldkey_is_encrypted_and_its_words_are_never_lost_nor_logged() {
    let lab = Lab::new();
    let (code, told) = lab.fails("new-coldkey --form ansible --password-file -", PASSWORD);
    assert!(code == 2 && told.contains("--phrase-file") && !lab.path("wallets").exists(), "{told}");
    let words = lab.path("words");
    let make = format!("new-coldkey --form ansible --password-file - --phrase-file {}", words.display());
    let (code, told) = lab.fails(&make, "short\n");
    assert!(code == 2 && told.contains("too short") && !words.exists() && !lab.path("wallets").exists(), "{told}");
    lab.done(&make, PASSWORD);
    assert_eq!(mode(&words), 0o600);
    let coldkey = lab.path("wallets/default/coldkey");
    assert!(std::fs::read_to_string(&coldkey).unwrap().starts_with("$ANSIBLE_VAULT"));
    // The words are those of the key.
    let address = lab.json("show -o json")[0]["address"].as_str().unwrap().to_owned();
    let again = lab.done(&format!("regen hotkey --secret-file {}", words.display()), "");
    assert!(again.starts_with(&address), "{again}");
}

#[test]
fn passwords_come_from_files_and_from_the_variable_of_the_python_wallets() {
    let lab = Lab::new();
    let (secret, password) = (lab.file("secret", WORDS), lab.file("password", &format!("{PASSWORD}\n")));
    lab.done(&format!("regen coldkey --form ansible --secret-file {secret} --password-file {password}"), "");
    let signed = lab.done(&format!("sign --coldkey hello --password-file {password}"), "");
    assert!(lab.done(&format!("verify hello --coldkey --signature 0x{signed}"), "").contains(ADDRESS));
    let (code, told) = lab.fails("sign --coldkey hello --password-file -", "wrong password");
    assert!(code == 4 && told.contains("password is wrong"), "{code} {told}");
    let (code, told) = lab.fails("sign --coldkey hello", "");
    assert!(code == 2 && told.contains("--password-file"), "{code} {told}");

    let path = lab.path("wallets/default/coldkey");
    let name = format!("BT_PW_{}", path.to_str().unwrap().replace(['/', '.'], "_").to_uppercase());
    let hidden: Vec<u8> = PASSWORD.bytes().zip(name.bytes().cycle()).map(|(a, b)| a ^ b).collect();
    let value = base64(&hidden);
    let output = lab.run_with("sign --coldkey hello", "", &[(name.clone(), value)]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = lab.run_with("sign --coldkey hello", "", &[(name.clone(), PASSWORD.to_owned())]);
    assert!(String::from_utf8_lossy(&output.stderr).contains(&name), "{output:?}");
}

fn base64(bytes: &[u8]) -> String {
    let mut child = Command::new("base64").arg("-w0").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn signatures_are_told_right_from_wrong() {
    let lab = Lab::new();
    // Made by the Python wallet.
    let message = format!("{ADDRESS}:1700000000:sockets");
    let signature =
        "624f1e605b5dec684cfac5c6ddf8f93cd989c3481666263025b1df97d2960c76b790775ef8962ec70339c12ef69b200f5493d9e9238917e434cf5db1f33c1283";
    lab.done(&format!("verify {message} --signature {signature} --address {ADDRESS}"), "");
    lab.done(&format!("verify --message-file - --signature {signature} --address {ADDRESS}"), &message);
    let (code, told) = lab.fails(&format!("verify {message} --signature {signature} --address {ALICE}"), "");
    assert!(code == 1 && told.contains("not a signature"), "{told}");
    let output = lab.run(&format!("verify {message}x --signature {signature} --address {ADDRESS} -o json"), "");
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["valid"], false);
    assert_eq!(output.status.code(), Some(1));
    for args in ["verify m --signature 12 --address 5x", &format!("verify m --signature {signature} --address 5x")] {
        assert_eq!(lab.fails(args, "").0, 2, "{args}");
    }
    assert_eq!(lab.fails(&format!("verify m --signature {signature}"), "").0, 3, "there is no such wallet");
    assert_eq!(lab.fails("sign m", "").0, 3, "there is no such wallet");
}

#[test]
fn a_key_keeps_its_address_through_every_conversion() {
    let lab = Lab::new();
    let (secret, password) = (lab.file("secret", WORDS), lab.file("password", PASSWORD));
    lab.done(&format!("regen hotkey --secret-file {secret}"), "");
    let hotkey = lab.path("wallets/default/hotkeys/default");
    let plain = std::fs::read(&hotkey).unwrap();
    let out = lab.path("copy");
    lab.done(&format!("convert --to ansible --out {} --new-password-file {password}", out.display()), "");
    assert_eq!(std::fs::read(&hotkey).unwrap(), plain, "the original stays");
    assert!(lab.fails(&format!("convert --to plain --out {}", out.display()), "").1.contains("exists already"));

    // In place, and a file without a public half gets one: behind the password nobody sees whose key it is.
    std::fs::remove_file(lab.path("wallets/default/hotkeys/defaultpub.txt")).unwrap();
    lab.done(&format!("convert --to ansible --overwrite --new-password-file {password}"), "");
    let list = lab.json("list -o json");
    assert_eq!((&list[0]["form"], &list[0]["address"]), (&"ansible".into(), &ADDRESS.into()));
    let shown = lab.json(&format!("show --file {} --unlock --password-file {password} -o json", out.display()));
    assert_eq!(shown[0]["address"], ADDRESS);
    let told = lab.done(&format!("convert --to plain --overwrite --password-file {password}"), "");
    assert!(told.starts_with(ADDRESS), "{told}");
    assert_eq!(std::fs::read(&hotkey).unwrap(), plain, "the very same file as before");
}

#[test]
fn only_an_address_is_enough_to_watch_and_not_to_sign() {
    let lab = Lab::new();
    lab.done(&format!("regen coldkey --address {ADDRESS}"), "");
    assert_eq!(lab.json("list -o json")[0]["form"], "public");
    assert_eq!(lab.fails("sign m --coldkey", "").0, 3);
    let (code, told) = lab.fails("regen coldkey --wallet-name w --address 16ADqpMa4yzfmWs3nuTSMhfZ2ckeGtvqhPWCNqECEGDcGgU2", "");
    assert!(code == 2 && told.contains("another network"), "{told}");
    // The key itself may come later, and only that one.
    let (words, password) = (lab.file("words", WORDS), lab.file("password", PASSWORD));
    let alice = lab.file("alice", "//Alice");
    assert!(
        lab.fails(&format!("regen coldkey --form ansible --secret-file {alice} --password-file {password}"), "")
            .1
            .contains("nothing was written")
    );
    lab.done(&format!("regen coldkey --form ansible --secret-file {words} --password-file {password}"), "");
}

#[test]
fn damage_and_open_permissions_are_told() {
    let lab = Lab::new();
    let secret = lab.file("secret", WORDS);
    lab.done(&format!("regen hotkey --secret-file {secret}"), "");
    let hotkey = lab.path("wallets/default/hotkeys/default");
    std::fs::set_permissions(&hotkey, std::fs::Permissions::from_mode(0o640)).unwrap();
    let output = lab.run("sign m", "");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("chmod 600"), "{output:?}");
    assert!(lab.json("list -o json")[0]["notes"][0].as_str().unwrap().contains("0640"));

    let other = std::fs::read_to_string(&hotkey).unwrap().replace(ADDRESS, ALICE);
    std::fs::write(&hotkey, other).unwrap();
    let (code, told) = lab.fails("sign m", "");
    assert!(code == 1 && told.contains(ADDRESS) && told.contains(ALICE), "{told}");
    assert_eq!(lab.json("list -o json")[0]["form"], "damaged");
    assert_eq!(lab.fails("sign m --wallet-hotkey ../../x", "").0, 2);
}
