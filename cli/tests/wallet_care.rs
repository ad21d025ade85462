//! `chutes-miner wallet` where something is in the way: nothing is written by halves, nothing is hidden, and what is said is true.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lab;

use lab::{ADDRESS, ALICE, Lab, PASSWORD, SEED, WORDS, key_file};
use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_default_form_of_a_coldkey_is_the_one_of_the_wallets_of_today() {
    let lab = Lab::new();
    let words = lab.path("words");
    lab.done(&format!("new-coldkey --password-file - --phrase-file {}", words.display()), PASSWORD);
    assert!(std::fs::read(lab.path("wallets/default/coldkey")).unwrap().starts_with(b"$NACL"));
    let address = lab.json("show --coldkey -o json")[0]["address"].as_str().unwrap().to_owned();
    let signed = lab.done("sign m --coldkey --password-file -", PASSWORD);
    lab.done(&format!("verify m --address {address} --signature {signed}"), "");
}

#[test]
fn no_key_is_written_whose_public_half_cannot_be() {
    let lab = Lab::new();
    std::fs::create_dir_all(lab.path("wallets/default")).unwrap();
    let (public, coldkey, words) = (lab.path("wallets/default/coldkeypub.txt"), lab.path("wallets/default/coldkey"), lab.path("words"));
    symlink("nowhere", &public).unwrap();
    let make = format!("new-coldkey --form ansible --password-file - --phrase-file {}", words.display());
    for (args, said) in [(make.clone(), "exists already"), (format!("{make} --overwrite"), "symbolic link")] {
        let (code, told) = lab.fails(&args, PASSWORD);
        assert!(code == 1 && told.contains(said) && told.contains("coldkeypub.txt"), "{told}");
        assert!(!coldkey.exists() && !words.exists(), "{args}");
    }
    let (secret, password) = (lab.file("secret", WORDS), lab.file("password", PASSWORD));
    let regen = format!("regen coldkey --form ansible --secret-file {secret} --password-file {password}");
    for content in ["", "{", "a link"] {
        if content != "a link" {
            std::fs::remove_file(&public).unwrap();
            std::fs::write(&public, content).unwrap();
        }
        let (code, told) = lab.fails(&regen, "");
        assert!(code == 1 && told.contains("nothing was written") && told.contains("coldkeypub.txt"), "{content}: {told}");
        assert!(!coldkey.exists(), "{content}");
    }
    lab.done(&format!("{regen} --overwrite"), "");
    assert_eq!(key_file(&public)["ss58Address"], ADDRESS);
}

#[test]
fn one_damaged_file_hides_no_other() {
    let lab = Lab::new();
    lab.done("new-hotkey --wallet-hotkey good", "");
    lab.done(&format!("regen coldkey --wallet-name watched --address {ADDRESS}"), "");
    let folder = lab.path("wallets/default");
    std::fs::write(folder.join("hotkeys/h1pub.txt"), "").unwrap();
    symlink("nowhere", folder.join("hotkeys/h2")).unwrap();
    std::fs::write(folder.join("coldkeypub.txt"), "").unwrap();
    std::fs::create_dir_all(lab.path("wallets/other")).unwrap();
    std::fs::write(lab.path("wallets/other/hotkeys"), "").unwrap();
    symlink("nowhere", lab.path("wallets/other/coldkey")).unwrap();
    let ed25519 = json!({ "secretSeed": SEED, "cryptoType": 0 }).to_string();
    std::fs::write(folder.join("hotkeys/h3"), ed25519).unwrap();
    chmod(&folder.join("hotkeys/h3"), 0o600);

    let list = lab.json("list -o json");
    let row = |wallet: &str, key: &str| {
        let found = list.as_array().unwrap().iter().find(|row| row["wallet"] == wallet && row["key"] == key);
        found.unwrap_or_else(|| panic!("{wallet} {key} is hidden: {list:#}")).clone()
    };
    assert_eq!((&row("default", "good")["form"], &row("watched", "coldkey")["form"]), (&json!("plain"), &json!("public")));
    for (wallet, key, form) in [
        ("default", "coldkey", "damaged"),
        ("default", "h1", "damaged"),
        ("default", "h2", "unreadable"),
        ("default", "h3", "unusable"),
        ("other", "coldkey", "unreadable"),
        ("other", "hotkeys", "unreadable"),
    ] {
        let row = row(wallet, key);
        assert!(row["form"] == form && row["notes"][0].is_string(), "{row}");
    }
    let table = lab.done("list", "");
    assert!(table.contains("good") && table.contains(ADDRESS), "{table}");
    assert_eq!(lab.fails("show --wallet-name watched --wallet-hotkey none", "").0, 3);
    // To show what is damaged is no success.
    assert_eq!(lab.fails("show", "").0, 1);
    // What is wrong is said once.
    let bad = format!("show --file {}", folder.join("hotkeys/h3").display());
    let output = lab.run(&bad, "");
    let words = |text: &[u8]| String::from_utf8_lossy(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let (shown, told) = (words(&output.stdout), words(&output.stderr));
    assert!(output.status.code() == Some(1) && told.contains("cryptoType") && shown.contains("unusable"), "{output:?}");
    assert!(!shown.contains("cryptoType"), "{output:?}");
    let output = lab.run(&format!("{bad} -o json"), "");
    assert!(words(&output.stdout).contains("cryptoType"), "{output:?}");
    // One hotkey is asked for, and no other's trouble is told.
    let rows = lab.json("show --wallet-name watched -o json");
    assert_eq!(rows.as_array().unwrap().len(), 1);
    let output = lab.run("show --wallet-hotkey good -o json", "");
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["coldkey", "good"]);
    assert_eq!(lab.fails(&format!("show --file {}", lab.path("none").display()), "").0, 3);
}

#[test]
fn what_an_interrupted_write_left_is_told_of() {
    let lab = Lab::new();
    lab.done("new-hotkey", "");
    let (code, told) = lab.fails("convert --to nacl", "");
    assert!(code == 2 && told.contains("<--out <FILE>|--overwrite>"), "{told}");
    let stray = lab.path("wallets/default/hotkeys/.key-Ab12Cd");
    std::fs::write(&stray, "x").unwrap();
    let output = lab.run("list -o json", "");
    assert!(String::from_utf8_lossy(&output.stderr).contains(stray.to_str().unwrap()), "{output:?}");
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().len(), 1);
}

#[test]
fn a_secret_in_the_wrong_field_is_shown_by_no_command() {
    let lab = Lab::new();
    lab.done("new-hotkey --wallet-hotkey good", "");
    let hotkey = lab.path("wallets/default/hotkeys/default");
    for (field, secret) in ["ss58Address", "cryptoType", "publicKey", "accountId"].iter().flat_map(|field| [(field, WORDS), (field, SEED)])
    {
        let mut file = json!({ "secretSeed": SEED, "ss58Address": ADDRESS });
        file[field] = secret.into();
        std::fs::write(&hotkey, file.to_string()).unwrap();
        chmod(&hotkey, 0o600);
        // The lab looks for secrets in everything that is printed.
        assert!(lab.json("list -o json").as_array().unwrap().len() == 2);
        for args in ["list", "show", "sign m", "convert --to plain --overwrite"] {
            lab.run(args, "");
        }
    }
}

#[test]
fn a_key_is_not_sealed_below_the_address_of_another() {
    let lab = Lab::new();
    let (secret, password) = (lab.file("secret", WORDS), lab.file("password", PASSWORD));
    lab.done(&format!("regen hotkey --secret-file {secret}"), "");
    let (hotkey, public) = (lab.path("wallets/default/hotkeys/default"), lab.path("wallets/default/hotkeys/defaultpub.txt"));
    let plain = std::fs::read(&hotkey).unwrap();
    let convert = format!("convert --to ansible --overwrite --new-password-file {password}");
    for content in [json!({ "ss58Address": ALICE }).to_string(), String::new()] {
        std::fs::write(&public, content).unwrap();
        let (code, told) = lab.fails(&convert, "");
        assert!(code == 1 && told.contains("nothing was written") && told.contains("defaultpub.txt"), "{told}");
        assert_eq!(std::fs::read(&hotkey).unwrap(), plain);
    }
    std::fs::remove_file(&public).unwrap();
    lab.done(&convert, "");
    assert_eq!(key_file(&public)["ss58Address"], ADDRESS);
}

#[test]
fn a_link_is_not_converted_and_its_plain_key_left_behind() {
    let lab = Lab::new();
    let (secret, password) = (lab.file("secret", WORDS), lab.file("password", PASSWORD));
    lab.done(&format!("regen hotkey --secret-file {secret}"), "");
    let (hotkey, target) = (lab.path("wallets/default/hotkeys/default"), lab.path("real"));
    std::fs::rename(&hotkey, &target).unwrap();
    symlink(&target, &hotkey).unwrap();
    let convert = format!("convert --to ansible --overwrite --new-password-file {password}");
    let (code, told) = lab.fails(&convert, "");
    assert!(code == 1 && told.contains("symbolic link") && told.contains(target.to_str().unwrap()), "{told}");
    assert!(hotkey.is_symlink());
    lab.done(&format!("{convert} --file {}", target.display()), "");
    assert!(std::fs::read(&hotkey).unwrap().starts_with(b"$ANSIBLE_VAULT"));
}

#[test]
fn a_file_with_another_name_is_not_converted_and_its_plain_key_left_behind() {
    let lab = Lab::new();
    let (secret, password) = (lab.file("secret", WORDS), lab.file("password", PASSWORD));
    lab.done(&format!("regen hotkey --secret-file {secret}"), "");
    let (hotkey, other) = (lab.path("wallets/default/hotkeys/default"), lab.path("other"));
    std::fs::hard_link(&hotkey, &other).unwrap();
    let convert = format!("convert --to ansible --overwrite --new-password-file {password}");
    let (code, told) = lab.fails(&convert, "");
    assert!(code == 1 && told.contains("hard links") && told.contains("-samefile"), "{told}");
    assert_eq!(std::fs::read(&hotkey).unwrap(), std::fs::read(&other).unwrap());
    std::fs::remove_file(&other).unwrap();
    lab.done(&convert, "");
}

#[test]
fn the_variable_of_the_python_wallets_opens_and_never_seals() {
    let lab = Lab::new();
    let secret = lab.file("secret", WORDS);
    let coldkey = lab.path("wallets/default/coldkey");
    let name = format!("BT_PW_{}", coldkey.to_str().unwrap().replace(['/', '.'], "_").to_uppercase());
    // Base 64 of 20 zeros: some password, whatever it is.
    let variables = [(name.clone(), "AAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned())];
    let output = lab.run_with(&format!("regen coldkey --form ansible --secret-file {secret}"), "", &variables);
    assert_eq!((output.status.code(), coldkey.exists()), (Some(2), false), "{output:?}");
    lab.done(&format!("regen coldkey --form ansible --secret-file {secret} --password-file -"), PASSWORD);
    let output = lab.run_with("sign m --coldkey", "", &variables);
    assert_eq!(output.status.code(), Some(4), "it opens: {output:?}");
    // Set to nothing it says nothing.
    let output = lab.run_with("sign m --coldkey", "", &[(name, String::new())]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && told.contains("no terminal"), "{told}");
    let (_, told) = lab.fails(&format!("regen hotkey --form ansible --secret-file {secret} --password-file -"), "short");
    assert!(told.contains("--password-file -: the password is too short"), "{told}");
}

#[test]
fn it_is_told_who_else_may_read_or_replace_a_key() {
    let lab = Lab::new();
    let secret = lab.file("secret", WORDS);
    lab.done(&format!("regen hotkey --secret-file {secret}"), "");
    let folder = lab.path("wallets/default/hotkeys");
    let notes = || lab.json("list -o json")[0]["notes"].to_string();
    assert_eq!(notes(), "[]");
    chmod(&folder.join("defaultpub.txt"), 0o666);
    assert!(notes().contains("its public file has mode 0666, others may change it"), "{}", notes());
    chmod(&folder, 0o777);
    assert!(notes().contains("can be replaced by others"), "{}", notes());
    let told = |args: &str| String::from_utf8(lab.run(args, "").stderr).unwrap();
    assert!(told("sign m").contains("chmod go-w"));
    assert!(told("new-hotkey --wallet-hotkey next").contains("chmod go-w"));
    chmod(&folder, 0o700);
    assert!(!told("new-hotkey --wallet-hotkey more").contains("chmod"));
    // Only root gives files away.
    let given = Command::new("chown").arg("4242").arg(folder.join("more")).output().unwrap().status.success();
    assert!(!given || told("sign m --wallet-hotkey more").contains("uid 4242"));
}

#[test]
fn without_a_home_nothing_lands_in_a_folder_called_tilde() {
    let lab = Lab::new();
    for home in [None, Some("")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chutes-miner"));
        command.args(["wallet", "new-hotkey"]).current_dir(lab.folder.path()).env_remove("HOME").env_remove("BT_WALLET_PATH");
        let output = command.envs(home.map(|home| ("HOME", home))).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && told.contains("HOME is not set") && told.contains("--wallet-path"), "{told}");
        assert_eq!(lab.folder.path().read_dir().unwrap().count(), 0);
    }
}

#[test]
fn a_key_that_does_not_open_hides_no_other() {
    let lab = Lab::new();
    let (secret, other) = (lab.file("secret", WORDS), lab.file("other", "another password"));
    lab.done(&format!("regen hotkey --wallet-hotkey a --form ansible --secret-file {secret} --password-file {other}"), "");
    for hotkey in ["b", "c"] {
        lab.done(&format!("regen hotkey --wallet-hotkey {hotkey} --form ansible --secret-file {secret} --password-file -"), PASSWORD);
        std::fs::remove_file(lab.path(&format!("wallets/default/hotkeys/{hotkey}pub.txt"))).unwrap();
    }
    let output = lab.run("show --unlock --password-file - -o json", PASSWORD);
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(rows[0]["notes"][0].as_str().unwrap().contains("password is wrong"), "{rows}");
    assert_eq!((&rows[1]["address"], &rows[2]["address"]), (&json!(ADDRESS), &json!(ADDRESS)), "standard input serves both");
    assert_eq!(output.status.code(), Some(4), "and the exit code tells");
}

#[test]
fn an_interrupt_at_a_question_gives_the_terminal_back() {
    let lab = Lab::new();
    let secret = lab.file("secret", WORDS);
    lab.done(&format!("regen coldkey --form ansible --secret-file {secret} --password-file -"), PASSWORD);
    let (shown, same) = lab.on_a_terminal("sign m --coldkey", &[("Password of", "half\u{3}")]);
    assert!(same && shown.contains("interrupted") && shown.contains("code 130"), "{shown}");
    let (shown, same) = lab.on_a_terminal("sign m --coldkey", &[("Password of", "\u{4}")]);
    assert!(same && shown.contains("nothing was typed") && shown.contains("code 2"), "{shown}");
    // The twin: it does ask, and takes the answer.
    let (shown, same) = lab.on_a_terminal("sign m --coldkey", &[("Password of", &format!("{PASSWORD}\r"))]);
    assert!(same && shown.contains("code 0") && !shown.contains(PASSWORD), "{shown}");
}

#[test]
fn a_signal_from_outside_at_a_question_gives_the_terminal_back() {
    let lab = Lab::new();
    let secret = lab.file("secret", WORDS);
    lab.done(&format!("regen coldkey --form ansible --secret-file {secret} --password-file -"), PASSWORD);
    for signal in ["INT", "TERM", "HUP", "QUIT"] {
        let (shown, same) = lab.on_a_terminal("sign m --coldkey", &[("Password of", &format!("signal:{signal}"))]);
        assert!(same && shown.contains("interrupted") && shown.contains("code 130"), "{signal}: {same} {shown}");
    }
    // Stopped and gone on, it asks again.
    let answers = [("Password of", "half\u{1a}"), ("Password of", &format!("{PASSWORD}\r"))];
    let (shown, same) = lab.on_a_terminal("sign m --coldkey", &answers);
    assert!(same && shown.contains("code 0") && !shown.contains(PASSWORD), "{same} {shown}");
}

#[test]
fn words_are_shown_before_the_key_is_written() {
    let lab = Lab::new();
    let password = format!("{PASSWORD}\r");
    let answers = [("New password", password.as_str()), ("The same again", password.as_str())];
    let words = |shown: &str| {
        let line = shown
            .lines()
            .map(str::trim)
            .find(|line| line.split(' ').count() == 12 && line.bytes().all(|c| c == b' ' || c.is_ascii_lowercase()));
        line.unwrap_or_else(|| panic!("no words in {shown}")).to_owned()
    };
    // A file in the place of the folder: the key cannot be written, and that is said below its words.
    std::fs::create_dir(lab.path("wallets")).unwrap();
    std::fs::write(lab.path("wallets/default"), "").unwrap();
    let (shown, _) = lab.on_a_terminal("new-coldkey --form ansible", &answers);
    assert!(shown.contains("code 1") && shown.find(&words(&shown)) < shown.find("no key was written"), "{shown}");

    std::fs::remove_file(lab.path("wallets/default")).unwrap();
    let (shown, _) = lab.on_a_terminal("new-coldkey --form ansible", &answers);
    let address = lab.json("list -o json")[0]["address"].as_str().unwrap().to_owned();
    assert!(shown.contains("code 0") && shown.find(&words(&shown)) < shown.find(&address), "{shown}");
    assert!(lab.done("regen hotkey --secret-file -", &words(&shown)).starts_with(&address));
}

#[test]
fn a_phrase_file_is_none_that_would_be_in_the_way() {
    let lab = Lab::new();
    let hotkey = lab.path("wallets/default/hotkeys/default");
    let there = lab.file("there", "x");
    for (file, code, said) in [
        ("-", 2, "standard output"),
        (hotkey.to_str().unwrap(), 2, "file of the key itself"),
        (there.as_str(), 1, "another file for the words"),
    ] {
        let (told_code, told) = lab.fails(&format!("new-hotkey --phrase-file {file}"), "");
        assert!(told_code == code && told.contains(said) && !told.contains("--overwrite"), "{told}");
        assert!(!hotkey.exists() && !lab.path("-").exists());
    }
    // Words of a key that was not written are said to be of none.
    std::fs::create_dir(lab.path("wallets")).unwrap();
    std::fs::write(lab.path("wallets/default"), "").unwrap();
    let (_, told) = lab.fails(&format!("new-hotkey --phrase-file {}", lab.path("words").display()), "");
    assert!(told.contains("no key was written") && told.contains("words"), "{told}");
}

#[test]
fn an_export_of_a_browser_wallet_is_read_whatever_its_editor() {
    // Made with Python's hashlib.scrypt and PyNaCl from //Alice and the password.
    let encoded = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8AgAAAAQAAAAgAAAAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFheiZFM/gKRZXukcrcvKnBa5\
        r5vv6ngmFdR5FTXd1lKsBy5vx7SYHwAX4lQF1H5loJhtHfrs6xEOAAKHNDM5ccjTZE/zKVoknhUrrSwGdqQFQVrUOhTyBO2c5qrG5j2M+BOl4gyH91AEx+UkQ3gR4OZSwhBw\
        FvSMjHFg7IU4tTv1hmXNDMGT";
    let encoding = json!({ "content": ["pkcs8", "sr25519"], "type": ["scrypt", "xsalsa20-poly1305"], "version": "3" });
    let export = json!({ "encoded": encoded, "encoding": encoding, "address": ALICE, "meta": {} }).to_string();
    let lab = Lab::new();
    let file = lab.file("export.json", &format!("\u{feff}{export}\r\n"));
    let regen = format!("regen hotkey --polkadot-json {file} --export-password-file -");
    let (code, told) = lab.fails(&regen, "another password");
    assert!(code == 4 && told.contains("nothing was written") && !lab.path("wallets").exists(), "{code} {told}");
    assert!(lab.done(&regen, PASSWORD).starts_with(ALICE));
}

#[test]
fn nobody_is_asked_for_the_password_of_what_is_broken() {
    let lab = Lab::new();
    for content in ["$NACL0123456789", "$ANSIBLE_VAULT;1.1;AES256\n3161\n", "gAAAAABlU_EA"] {
        let file = lab.file("broken", content);
        let (code, told) = lab.fails(&format!("sign m --file {file}"), "");
        assert!(code == 1 && told.contains("damaged"), "{content}: {code} {told}");
        let output = lab.run(&format!("show --file {file} -o json"), "");
        let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &rows[0]["form"]), (Some(1), &json!("damaged")), "{rows}");
    }
}

#[test]
fn nobody_is_told_to_lock_a_folder_up() {
    let lab = Lab::new();
    let folder = lab.path("folder");
    std::fs::create_dir(&folder).unwrap();
    chmod(&folder, 0o755);
    let (code, told) = lab.fails(&format!("regen hotkey --secret-file {}", folder.display()), "");
    assert!(code == 1 && told.contains("is not a text file") && !told.contains("chmod"), "{told}");
}

#[test]
fn two_secrets_do_not_come_from_standard_input_and_no_flag_is_passed_over() {
    let lab = Lab::new();
    let (code, told) = lab.fails("regen hotkey --form ansible --secret-file - --password-file -", WORDS);
    assert!(code == 2 && told.contains("--secret-file and --password-file"), "{told}");
    for flag in ["--form nacl", "--password-file x"] {
        assert_eq!(lab.fails(&format!("regen coldkey --address {ADDRESS} {flag}"), "").0, 2, "{flag}");
    }
    assert!(!lab.path("wallets").exists());
}

#[test]
fn the_name_of_the_variable_is_that_of_the_path_as_it_was_given() {
    let lab = Lab::new();
    let secret = lab.file("secret", WORDS);
    let run = |args: &str, variables: &[(&str, &str)]| {
        let mut command = Command::new("setsid");
        command.args(["--wait", env!("CARGO_BIN_EXE_chutes-miner"), "wallet"]).args(args.split(' ')).current_dir(lab.folder.path());
        command.env("BT_WALLET_PATH", "w").envs(variables.iter().copied()).output().unwrap()
    };
    let password = lab.file("password", PASSWORD);
    assert!(run(&format!("regen coldkey --form ansible --secret-file {secret} --password-file {password}"), &[]).status.success());
    assert!(lab.path("w/default/coldkey").exists());
    let output = run("sign m --coldkey", &[("BT_PW_W_DEFAULT_COLDKEY", "!")]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("BT_PW_W_DEFAULT_COLDKEY"), "{output:?}");
}
