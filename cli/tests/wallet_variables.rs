//! The variables that name wallets and hold passwords, and encrypted hotkeys wherever a hotkey signs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lab;

use lab::{ADDRESS, Lab, PASSWORD, WORDS};
use std::process::Output;

/// Nobody listens there: a request that could be signed ends with 8.
const LOCK: &str = "lock --name gpu-1 --miner-api http://127.0.0.1:1";

fn set(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn ended(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn wallets_and_hotkeys_have_the_names_that_other_tools_give_them() {
    let lab = Lab::new();
    let made = |variables: &[(&str, &str)], args: &str| {
        let output = lab.run_with(&format!("new-hotkey {args}"), "", &set(variables));
        assert!(output.status.success(), "{output:?}");
        let told = String::from_utf8(output.stdout).unwrap();
        told.trim().rsplit("wallets/").next().unwrap().to_owned()
    };
    for (variables, args, path) in [
        (&[][..], "", "default/hotkeys/default"),
        (&[("BT_WALLET_COLD", "grail"), ("BT_WALLET_HOT", "miner")], "", "grail/hotkeys/miner"),
        (&[("BT_WALLET", "eleven"), ("BT_WALLET_COLD", "grail")], "", "eleven/hotkeys/default"),
        (&[("BT_WALLET_NAME", "four"), ("BT_WALLET", "eleven"), ("BT_WALLET_HOTKEY", "h"), ("BT_WALLET_HOT", "x")], "", "four/hotkeys/h"),
        (&[("BT_WALLET_NAME", ""), ("BT_WALLET", "nine")], "", "nine/hotkeys/default"),
        (&[("BT_WALLET_NAME", "four"), ("BT_WALLET_HOT", "x")], "--wallet-name said --wallet-hotkey so", "said/hotkeys/so"),
    ] {
        assert_eq!(made(variables, args), path, "{variables:?}");
    }
    let output = lab.run_with("new-hotkey", "", &set(&[("BT_WALLET_COLD", "../x")]));
    assert_eq!(ended(&output).0, 2, "a variable is no way around what a name is: {output:?}");
}

#[test]
fn the_variables_with_the_password_of_coldkeys_open_coldkeys_alone() {
    let lab = Lab::new();
    let secret = lab.file("secret", WORDS);
    for key in ["coldkey", "hotkey"] {
        lab.done(&format!("regen {key} --form ansible --secret-file {secret} --password-file -"), PASSWORD);
    }
    let file = lab.file("password", &format!("{PASSWORD}\n"));
    for variables in [[("BT_WALLET_PASSWORD", PASSWORD)], [("BT_WALLET_PASSWORD_FILE", file.as_str())]] {
        assert_eq!(ended(&lab.run_with("sign m --coldkey", "", &set(&variables))).0, 0, "{variables:?}");
        let (code, told) = ended(&lab.run_with("sign m", "", &set(&variables)));
        assert!(code == 2 && told.contains("no terminal"), "{told}");
    }
    let (code, told) = ended(&lab.run_with("sign m --coldkey", "", &set(&[("BT_WALLET_PASSWORD", "another")])));
    assert!(code == 4 && told.contains("unset BT_WALLET_PASSWORD"), "{told}");
    // What is said counts before what is set.
    let args = format!("sign m --coldkey --password-file {file}");
    assert_eq!(ended(&lab.run_with(&args, "", &set(&[("BT_WALLET_PASSWORD", "another")]))).0, 0);
}

#[test]
fn an_encrypted_hotkey_signs_requests() {
    let lab = Lab::new();
    let secret = lab.file("secret", WORDS);
    lab.done(&format!("regen hotkey --form ansible --secret-file {secret} --password-file -"), PASSWORD);
    let hotkey = lab.path("wallets/default/hotkeys/default");
    let (hotkey, password) = (hotkey.to_str().unwrap(), lab.file("password", &format!("{PASSWORD}\n")));
    let lock = |more: &str, stdin: &str, variables: &[(&str, &str)]| {
        ended(&lab.run_any(&format!("{LOCK} --hotkey {hotkey}{more}"), stdin, &set(variables)))
    };
    assert_eq!(lock(&format!(" --hotkey-password-file {password}"), "", &[]).0, 8);
    assert_eq!(lock(" --hotkey-password-file -", PASSWORD, &[]).0, 8);
    assert_eq!(lock("", "", &[("HOTKEY_PASSWORD_FILE", &password)]).0, 8);
    let (code, told) = lock(" --hotkey-password-file -", "another", &[]);
    assert!(code == 4 && told.contains("password is wrong"), "{told}");
    let (code, told) = lock(" --hotkey-password-file -", "", &[]);
    assert!(code == 2 && told.contains("no password in standard input"), "{told}");
    let (code, told) = lock("", "", &[]);
    assert!(code == 2 && told.contains("--hotkey-password-file"), "{told}");

    // Base 64 of the password, XORed with the variable's name.
    let name = format!("BT_PW_{}", hotkey.replace(['/', '.'], "_").to_uppercase());
    let (code, told) = lock("", "", &[(&name, "AAAA")]);
    assert!(code == 4 && told.contains(&format!("unset {name}")), "{told}");

    let question = ("Password of", &*format!("{PASSWORD}\r"));
    let (shown, same) = lab.any_on_a_terminal(&format!("{LOCK} --hotkey {hotkey}"), &[question]);
    assert!(same && shown.contains("code 8") && !shown.contains(PASSWORD), "{same} {shown}");
    for (end, codes) in [("\u{3}", &[130][..]), ("signal:INT", &[130]), ("signal:TERM", &[130, 143]), ("signal:HUP", &[129, 130])] {
        let (shown, same) = lab.any_on_a_terminal(&format!("{LOCK} --hotkey {hotkey}"), &[("Password of", end)]);
        assert!(same && codes.iter().any(|code| shown.contains(&format!("code {code}"))), "{end}: {same} {shown}");
    }
}

#[test]
fn a_hotkey_of_any_spelling_signs_requests() {
    let lab = Lab::new();
    for (index, text) in
        [WORDS.to_owned(), format!("\u{feff}{{\"secretPhrase\":\"{WORDS}\",\"ss58Address\":\"{ADDRESS}\"}}\r\n")].iter().enumerate()
    {
        let hotkey = lab.file(&format!("hotkey{index}"), text);
        let (code, told) = ended(&lab.run_any(&format!("{LOCK} --hotkey {hotkey}"), "", &[]));
        assert_eq!(code, 8, "{told}");
    }
    let public = lab.file("public", &format!("{{\"ss58Address\":\"{ADDRESS}\"}}"));
    let (code, told) = ended(&lab.run_any(&format!("{LOCK} --hotkey {public}"), "", &[]));
    assert!(code == 1 && told.contains("no secret"), "{told}");
}

#[test]
fn secret_files_of_other_systems_are_read() {
    let lab = Lab::new();
    let (secret, password) =
        (lab.file("secret", &format!("\u{feff}{WORDS}\r\n")), lab.file("password", &format!("\u{feff}{PASSWORD}\r\n")));
    let told = lab.done(&format!("regen hotkey --form ansible --secret-file {secret} --password-file {password}"), "");
    assert!(told.starts_with(ADDRESS), "{told}");
    lab.done("sign m --password-file -", PASSWORD);
    let empty = lab.file("empty", "\n");
    let (code, told) = lab.fails(&format!("sign m --password-file {empty}"), "");
    assert!(code == 2 && told.contains("there is no password in"), "{told}");
}
