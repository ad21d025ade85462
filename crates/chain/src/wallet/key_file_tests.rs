//! Every spelling of a plain key file, and what is refused.

use super::super::key_from_uri;
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const WORDS: &str = "old leopard transfer rib spatial phone calm indicate online fire caution review";
const SEED: &str = "0xda3cf5b1e9144931a0f0db65664aab662673b099415a7f8121b7245fb0be4143";
const PUBLIC: &str = "0xe4359ad3e2716c539a1d663ebd0a51bdc5c98a12e663bb4c4402db47828c9446";
const PRIVATE: &str =
    "0x1f1995bdf3a17b60626a26cfe6f564b337d46056b7a1281b64c649d592ccda0a9cffd34d9fb01cae1fba61aeed184c817442a2186d5172416729a4b54dd4b84e";
const ADDRESS: &str = "5HDvhV6WDCjCKyrXqGQSDYqQAzkzabNhctmiDYEqgBC66BsX";
const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

fn parse(value: &Value) -> Result<KeyFile, KeyFileError> {
    KeyFile::parse(value.to_string().as_bytes())
}

fn key(value: &Value) -> WalletKey {
    match parse(value).unwrap() {
        KeyFile::Key(key) => *key,
        other => panic!("{other:?} is no key"),
    }
}

/// As bittensor-wallet 4.1.1 writes it.
fn whole() -> Value {
    json!({ "accountId": PUBLIC, "publicKey": PUBLIC, "privateKey": PRIVATE, "secretPhrase": WORDS, "secretSeed": SEED,
        "ss58Address": ADDRESS, "cryptoType": 1 })
}

fn without(fields: &[&str]) -> Value {
    let mut file = whole();
    fields.iter().for_each(|field| file[field] = Value::Null);
    file
}

fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut file = whole();
    file[field] = value.into();
    file
}

#[test]
fn the_same_key_comes_out_of_every_spelling() {
    for (file, seed, phrase) in [
        (whole(), true, true),
        (without(&["secretPhrase"]), true, false),
        (without(&["secretPhrase", "secretSeed"]), false, false),
        (without(&["secretSeed", "privateKey"]), true, true),
        (without(&["privateKey", "accountId", "publicKey", "cryptoType"]), true, true),
        (json!({ "secretPhrase": WORDS }), true, true),
        (json!({ "secretSeed": SEED.trim_start_matches("0x") }), true, false),
        (json!({ " ss58Address": ADDRESS, "secretSeed": SEED, "somethingNew": [1, 2] }), true, false),
        (with("cryptoType", "1"), true, true),
        (with("cryptoType", "Sr25519"), true, true),
        (with("secretPhrase", ""), true, false),
        (with("secretSeed", ""), true, true),
        (with("privateKey", ""), true, true),
        (json!({ "secretPhrase": WORDS, "privateKey": PRIVATE }), true, true),
    ] {
        let key = key(&file);
        assert_eq!((key.address().as_str(), key.has_seed(), key.phrase().is_some()), (ADDRESS, seed, phrase), "{file}");
    }
}

#[test]
fn files_from_before_json_are_read() {
    for text in [WORDS.to_owned(), format!("{SEED}\n"), PRIVATE.to_owned(), SEED[2..].to_owned()] {
        assert_eq!(KeyFile::parse(text.as_bytes()).unwrap().address().unwrap(), ADDRESS);
    }
}

#[test]
fn public_files_are_no_keys() {
    for file in [json!({ "accountId": PUBLIC, "publicKey": PUBLIC, "ss58Address": ADDRESS }), json!({ "publicKey": PUBLIC })] {
        assert!(matches!(parse(&file).unwrap(), KeyFile::Public(address) if address == ADDRESS), "{file}");
    }
    let written = public_json(&ADDRESS.parse().unwrap());
    assert_eq!(
        serde_json::from_slice::<Value>(&written).unwrap(),
        json!({ "accountId": PUBLIC, "publicKey": PUBLIC, "ss58Address": ADDRESS })
    );
}

#[test]
fn what_is_written_is_what_the_python_wallet_writes_but_for_the_curve() {
    let written: Value = serde_json::from_slice(&key(&whole()).to_json()).unwrap();
    let mut wanted = whole();
    wanted.as_object_mut().unwrap().remove("cryptoType");
    assert_eq!(written, wanted);
    let soft: Value = serde_json::from_slice(&key_from_uri("//Alice/soft").unwrap().to_json()).unwrap();
    assert!(soft.get("secretSeed").is_none() && soft.get("secretPhrase").is_none());
    assert!(key(&soft).address() == key_from_uri("//Alice/soft").unwrap().address());
}

/// The secret of another key.
fn other_private() -> String {
    format!("0x{}", hex::encode(*key_from_uri("//Alice").unwrap().keypair().expanded()))
}

#[test]
fn a_mark_of_the_byte_order_is_passed_over() {
    for text in [whole().to_string(), WORDS.to_owned()] {
        assert_eq!(KeyFile::parse(format!("\u{feff}{text}").as_bytes()).unwrap().address().unwrap(), ADDRESS);
    }
}

#[test]
fn a_file_that_contradicts_itself_is_refused() {
    for (file, words) in [
        (with("ss58Address", ALICE), "belongs to"),
        (with("secretPhrase", "bottom drive obey lake curtain smoke basket hold race lonely fit walk"), "secretPhrase belongs to"),
        (with("secretSeed", "0xe031170f32b4cda05df2f3cf6bc8d7687b683bbce23d9fa960c0b3fc21641b8a"), "belongs to"),
        (with("privateKey", other_private()), "privateKey does not belong to"),
        (json!({ "secretSeed": SEED, "privateKey": other_private() }), "privateKey does not belong to"),
        (json!({ "secretPhrase": WORDS, "privateKey": other_private() }), "secretPhrase belongs to"),
        (json!({ "secretPhrase": WORDS, "privateKey": other_private(), "ss58Address": ADDRESS }), "belongs to"),
        (with("publicKey", SEED), "publicKey is not"),
        (with("accountId", "0x12"), "accountId is not"),
        (json!({ "ss58Address": ALICE, "publicKey": PUBLIC }), "publicKey is not"),
        (json!({ "ss58Address": ALICE, "secretPhrase": WORDS }), "secretPhrase belongs to"),
    ] {
        let error = parse(&file).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn what_cannot_be_used_is_said() {
    let said = |file: &Value| parse(file).unwrap_err().to_string();
    assert!(said(&with("cryptoType", 0)).contains("cryptoType 0"));
    assert!(said(&with("cryptoType", "Ed25519 ")).contains("cryptoType ed25519;"));
    for unknown in [json!("ed25519\u{1b}"), json!(300), json!(1.0), json!([1]), json!("")] {
        assert!(said(&with("cryptoType", unknown.clone())).contains("of an unknown cryptoType;"), "{unknown}");
    }
    assert!(said(&with("ss58Address", "16ADqpMa4yzfmWs3nuTSMhfZ2ckeGtvqhPWCNqECEGDcGgU2")).contains("another network (prefix 0"));
    assert!(said(&json!({ "encoded": "abc", "encoding": {} })).contains("browser wallet"));
    assert!(said(&json!({})).contains("no secret"));
    for bytes in [&b""[..], b"\xff\xfe", b"[]", b"hello", b"null"] {
        assert!(matches!(KeyFile::parse(bytes), Err(KeyFileError::Unknown)), "{bytes:?}");
    }
}

#[test]
fn neither_errors_nor_debug_show_a_secret() {
    const FIELDS: [&str; 9] =
        ["ss58Address", " ss58Address", "publicKey", "accountId", "privateKey", "secretSeed", "secretPhrase", "cryptoType", "encoded"];
    let secrets = [SEED, &SEED[2..], &SEED[2..40], PRIVATE, &PRIVATE[2..], &PRIVATE[2..14], WORDS, "leopard transfer", "leopard"];
    let mut files = vec![whole()];
    for (field, secret) in FIELDS.iter().flat_map(|field| secrets.map(|secret| (field, secret))) {
        for value in [json!(secret), json!(format!("{secret}ff")), json!([secret]), json!({ secret: 1 })] {
            files.push(with(field, value.clone()));
            files.push(json!({ *field: value }));
        }
    }
    let (mut refused, mut read) = (0, 0);
    for file in &files {
        let text = match parse(file) {
            Ok(key) => {
                read += 1;
                format!("{key:?}")
            }
            Err(error) => {
                refused += 1;
                format!("{error} {error:?}")
            }
        };
        for part in [&SEED[2..8], &SEED[20..26], &PRIVATE[2..8], &PRIVATE[100..106], "leopard", "transfer"] {
            assert!(!text.contains(part), "{text}");
        }
    }
    assert!(refused > 400 && read > 20, "{refused} refused, {read} read");
}

proptest! {
    #[test]
    fn every_key_survives_its_file(seed: [u8; 32], soft in "[a-z]{1,5}") {
        let key = WalletKey::from_seed(Seed::from_bytes(seed));
        let again = KeyFile::parse(&key.to_json()).unwrap();
        prop_assert_eq!(again.address(), Some(key.address()));
        let soft = key_from_uri(&format!("0x{}/{soft}", hex::encode(seed))).unwrap();
        let again = KeyFile::parse(&soft.to_json()).unwrap();
        prop_assert_eq!(again.address(), Some(soft.address()));
    }
}
