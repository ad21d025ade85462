//! No bytes of a key file panic: damaged key files of every form, and rubbish.
//!
//! `KEY_FILE_FUZZ_CASES=1000000` runs a million. What passwords cost is left out: the seals are opened with fixed keys.

use super::{Form, KeyFile, ansible, fernet, key_from_uri, nacl, polkadot, public_json};
use proptest::prelude::*;
use proptest::sample::Index;
use zeroize::Zeroizing;

const KEY: [u8; 32] = [7; 32];

fn cases() -> u32 {
    std::env::var("KEY_FILE_FUZZ_CASES").map_or(2_000, |text| text.parse().expect("KEY_FILE_FUZZ_CASES is a number"))
}

/// One good file of each form.
fn corpus() -> Vec<Vec<u8>> {
    let alice = key_from_uri("//Alice").unwrap();
    let words = "old leopard transfer rib spatial phone calm indicate online fire caution review";
    let whole = key_from_uri(words).unwrap().to_json();
    let fernet_key = Zeroizing::new(KEY);
    let pkcs8 = [&[48, 83, 2, 1, 1, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32][..], &[8; 64], &[161, 35, 3, 33, 0], &[9; 32]].concat();
    vec![
        whole.to_vec(),
        alice.to_json().to_vec(),
        public_json(alice.address()),
        words.as_bytes().to_vec(),
        format!("0x{}", hex::encode(*alice.keypair().expanded())).into_bytes(),
        nacl::seal(&whole, &KEY).unwrap().to_vec(),
        fernet::seal(&whole, &fernet_key).unwrap().to_vec(),
        include_bytes!("../../testdata/wallet/ansible-4.1.1").to_vec(),
        pkcs8,
    ]
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

/// Everything that reads such bytes; whether it was one of them that understood.
fn read(bytes: &[u8]) -> bool {
    let file = KeyFile::parse(bytes);
    if let Ok(file) = &file {
        let _ = format!("{file:?}");
    }
    let _ = format!("{:?}", file.as_ref().err().map(ToString::to_string));
    match Form::of(bytes) {
        Form::Nacl => drop(nacl::open(bytes, &KEY)),
        Form::Fernet => drop(fernet::open(bytes, &Zeroizing::new(KEY))),
        Form::Ansible => {
            if let Ok([_, mac, ciphertext]) = ansible::parts(bytes) {
                drop(ansible::open_with(&Zeroizing::new([7; 80]), &mac, ciphertext));
            }
        }
        Form::Plain => drop(polkadot::read(bytes, "")),
    }
    let _ = std::str::from_utf8(bytes).map(key_from_uri);
    file.is_ok()
}

#[test]
fn damaged_key_files_never_panic() {
    let corpus = corpus();
    let understood = corpus.iter().filter(|bytes| read(bytes)).count();
    assert_eq!(understood, corpus.len() - 1, "all but the inside of an export are key files");
    let config = ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let strategy = (prop::sample::select(corpus), prop::collection::vec(blow(), 1..6));
    let outcome = runner.run(&strategy, |(mut bytes, blows)| {
        blows.iter().for_each(|blow| blow.strike(&mut bytes));
        read(&bytes);
        Ok(())
    });
    outcome.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases() / 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rubbish_never_panics(mark in prop::sample::select(vec!["", "$NACL", "$ANSIBLE_VAULT;1.1;AES256\n", "gAAAAA", "{\"", "0x"]), rest: Vec<u8>) {
        read(&[mark.as_bytes(), &rest].concat());
    }
}
