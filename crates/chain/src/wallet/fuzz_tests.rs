//! No bytes of a key file panic: damaged key files of every form, whole seals around damaged content, exports, and rubbish.
//!
//! `KEY_FILE_FUZZ_CASES=1000000` runs a million. What passwords cost is left out: the seals are made and opened with fixed keys.

use super::{Form, KeyFile, Password, ansible, fernet, key_from_uri, nacl, polkadot, public_json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::{KeyInit as _, XSalsa20Poly1305, aead::Aead as _};
use proptest::prelude::*;
use proptest::sample::Index;
use std::cell::Cell;
use zeroize::Zeroizing;

const KEY: [u8; 32] = [7; 32];
const ANSIBLE_KEYS: [u8; 80] = [7; 80];
const WORDS: &str = "old leopard transfer rib spatial phone calm indicate online fire caution review";

fn cases() -> u32 {
    std::env::var("KEY_FILE_FUZZ_CASES").map_or(2_000, |text| text.parse().expect("KEY_FILE_FUZZ_CASES is a number"))
}

/// Good files without a password, one of each kind.
fn plain() -> Vec<Vec<u8>> {
    let alice = key_from_uri("//Alice").unwrap();
    vec![
        key_from_uri(WORDS).unwrap().to_json().to_vec(),
        alice.to_json().to_vec(),
        public_json(alice.address()),
        WORDS.as_bytes().to_vec(),
        format!("0x{}", hex::encode(*alice.keypair().expanded())).into_bytes(),
    ]
}

/// Content in a seal of every form.
fn sealed(content: &[u8]) -> Vec<Vec<u8>> {
    vec![
        nacl::seal(content, &KEY).unwrap().to_vec(),
        fernet::seal(content, &Zeroizing::new(KEY)).unwrap().to_vec(),
        ansible::seal_with(content, &[3; 32], &Zeroizing::new(ANSIBLE_KEYS)).unwrap().to_vec(),
    ]
}

/// What an export hides.
fn pkcs8() -> Vec<u8> {
    let mini = schnorrkel::MiniSecretKey::from_bytes(&[8; 32]).unwrap();
    let pair = mini.expand_to_keypair(schnorrkel::ExpansionMode::Ed25519);
    let head = [48, 83, 2, 1, 1, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
    [&head[..], &pair.secret.to_ed25519_bytes(), &[161, 35, 3, 33, 0], &pair.public.to_bytes()].concat()
}

fn export(content: &[u8]) -> Vec<u8> {
    let costs = [1_u32 << 15, 1, 8].map(u32::to_le_bytes).concat();
    let sealed = XSalsa20Poly1305::new(&KEY.into()).encrypt(&[5; 24].into(), content).unwrap();
    let encoded = STANDARD.encode([&[4; 32][..], &costs, &[5; 24], &sealed].concat());
    let encoding = serde_json::json!({ "content": ["pkcs8", "sr25519"], "type": ["scrypt", "xsalsa20-poly1305"], "version": "3" });
    serde_json::json!({ "encoded": encoded, "encoding": encoding, "address": "none", "meta": {} }).to_string().into_bytes()
}

/// One good file of each form.
fn corpus() -> Vec<Vec<u8>> {
    [plain(), sealed(&plain()[0]), vec![export(&pkcs8())]].concat()
}

/// One blow at a file.
#[derive(Debug, Clone)]
enum Blow {
    Set(Index, u8),
    Cut(Index),
    Drop(Index, Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

impl Blow {
    fn strike(&self, bytes: &mut Vec<u8>) {
        let at = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        let range = |a: &Index, b: &Index, bytes: &[u8]| {
            let (a, b) = (at(a, bytes), at(b, bytes));
            a.min(b)..a.max(b)
        };
        match self {
            Self::Set(index, value) if !bytes.is_empty() => {
                let at = index.index(bytes.len());
                bytes[at] = *value;
            }
            Self::Set(..) => {}
            Self::Cut(index) => bytes.truncate(at(index, bytes)),
            Self::Drop(a, b) => drop(bytes.drain(range(a, b, bytes))),
            Self::Insert(index, more) => {
                let at = at(index, bytes);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Repeat(a, b) => {
                let part = bytes[range(a, b, bytes)].to_vec();
                bytes.extend(part);
            }
        }
    }
}

fn blow() -> impl Strategy<Value = Blow> {
    // What means something in one of the forms, oftener than by chance.
    let piece = prop::sample::select(vec![
        &b"null"[..],
        b"\"\"",
        b"{",
        b"[",
        b":",
        b",",
        b"0x",
        b"/",
        b"//",
        b"\n",
        b"=",
        b"\0",
        b"\xff",
        b"$NACL",
        b"gAAAAA",
        b"1e999",
        b"old ",
    ]);
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(index, value)| Blow::Set(index, value)),
        1 => any::<Index>().prop_map(Blow::Cut),
        2 => any::<(Index, Index)>().prop_map(|(a, b)| Blow::Drop(a, b)),
        2 => (any::<Index>(), piece).prop_map(|(index, piece)| Blow::Insert(index, piece.to_vec())),
        1 => (any::<Index>(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(index, more)| Blow::Insert(index, more)),
        1 => any::<(Index, Index)>().prop_map(|(a, b)| Blow::Repeat(a, b)),
    ]
}

/// What became of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Nothing could be made of them.
    Refused,
    /// They are a key file, or an export.
    Understood,
    /// They are sealed, and the seal opened, whatever was inside.
    Opened,
    /// They are sealed, the seal opened, and inside was a key.
    Key,
}

/// Everything that reads such bytes.
fn read(bytes: &[u8]) -> Told {
    let file = KeyFile::parse(bytes);
    let _ = format!("{file:?} {:?}", file.as_ref().err().map(ToString::to_string));
    let _ = std::str::from_utf8(bytes).map(key_from_uri);
    let inside = match Form::of(bytes) {
        Form::Nacl => nacl::open(bytes, &KEY),
        Form::Fernet => fernet::open(bytes, &Zeroizing::new(KEY)),
        Form::Ansible => {
            ansible::parts(bytes).and_then(|[_, mac, ciphertext]| ansible::open_with(&Zeroizing::new(ANSIBLE_KEYS), &mac, ciphertext))
        }
        Form::Plain => {
            let _ = polkadot::read(bytes, "");
            return match (polkadot::open_with(bytes, |_, _| Some(Zeroizing::new(KEY))), file) {
                (Ok(_), _) => Told::Key,
                (Err(_), Ok(_)) => Told::Understood,
                (Err(error), Err(_)) => {
                    let _ = error.to_string();
                    Told::Refused
                }
            };
        }
    };
    match inside.map(|inside| KeyFile::parse_plain(&inside)) {
        Ok(Ok(KeyFile::Key(_))) => Told::Key,
        Ok(_) => Told::Opened,
        Err(_) if file.is_ok() => Told::Understood,
        Err(_) => Told::Refused,
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn damaged_key_files_never_panic() {
    let corpus = corpus();
    let told: Vec<Told> = corpus.iter().map(|bytes| read(bytes)).collect();
    // The twin: whole files are understood, and every seal and the export open.
    assert_eq!(told, [[Told::Understood; 5].as_slice(), &[Told::Key; 4]].concat());
    let strategy = (prop::sample::select(corpus), prop::collection::vec(blow(), 1..6));
    let outcome = proptest::test_runner::TestRunner::new(config(cases())).run(&strategy, |(mut bytes, blows)| {
        blows.iter().for_each(|blow| blow.strike(&mut bytes));
        read(&bytes);
        Ok(())
    });
    outcome.unwrap();
}

/// No damage to a seal comes through to what reads the content, so the content is damaged before it is sealed.
#[test]
fn damaged_content_of_whole_seals_never_panics() {
    let (keys, opened) = (Cell::new(0_u32), Cell::new(0_u32));
    let strategy = (prop::sample::select(plain()), prop::collection::vec(blow(), 0..6));
    let outcome = proptest::test_runner::TestRunner::new(config(cases() / 2)).run(&strategy, |(mut content, blows)| {
        blows.iter().for_each(|blow| blow.strike(&mut content));
        for file in sealed(&content) {
            match read(&file) {
                Told::Key => keys.set(keys.get() + 1),
                Told::Opened => opened.set(opened.get() + 1),
                told => prop_assert!(false, "a seal of ours did not open: {told:?}"),
            }
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(keys.get() > 50 && opened.get() > 50, "{keys:?} had a key, {opened:?} had none");
}

#[test]
fn damaged_content_of_exports_never_panics() {
    let (keys, refused) = (Cell::new(0_u32), Cell::new(0_u32));
    let outcome = proptest::test_runner::TestRunner::new(config(cases() / 2)).run(&prop::collection::vec(blow(), 0..3), |blows| {
        let mut content = pkcs8();
        blows.iter().for_each(|blow| blow.strike(&mut content));
        let count = if read(&export(&content)) == Told::Key { &keys } else { &refused };
        count.set(count.get() + 1);
        Ok(())
    });
    outcome.unwrap();
    assert!(keys.get() > 50 && refused.get() > 50, "{keys:?} had a key, {refused:?} had none");
}

proptest! {
    #![proptest_config(config(cases() / 4))]

    #[test]
    fn rubbish_never_panics(mark in prop::sample::select(vec!["", "$NACL", "$ANSIBLE_VAULT;1.1;AES256\n", "gAAAAA", "{\"", "0x"]), rest: Vec<u8>) {
        read(&[mark.as_bytes(), &rest].concat());
    }

    #[test]
    fn the_value_of_a_password_variable_never_panics(name in ".*", value in ".*", bytes: Vec<u8>) {
        let _ = Password::from_variable(&name, &value);
        // What is base 64 is read: bytes that are text under the name's are a password.
        let read = Password::from_variable("\0", &STANDARD.encode(&bytes));
        prop_assert_eq!(read.ok(), std::str::from_utf8(&bytes).ok().map(Password::new));
    }
}
