//! Calls, payloads and signed extrinsics against bytes that real chains took, on the metadata of two runtimes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Read as _;
use std::net::IpAddr;

use chain::read::{AccountId, Block, Runtime};
use chain::submit::{Axon, AxonError, Call, Extrinsic, Mortality, Signing, Weights};
use chain::wallet::key_from_uri;
use parity_scale_codec::{Compact, Decode as _, Encode as _};
use protocol::key::{Signature, verify};
use scale_info::form::PortableForm;
use scale_info::{Field, TypeDef, TypeDefPrimitive};

/// `transfer_keep_alive` of 1 TAO from //Alice to //Bob in block 6 of a local chain of spec 438, from the tests of the Python SDK 11
/// (subtensor, `sdk/python/tests/fixtures/golden.json`).
const TRANSFER: &str = "39028400d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d01d6be92c2fdb49f3d9df549938ce21c849792a40d5e89bb066604d0c80b8ce1645a7db054b85dc13dec75d6bcce7fd710f5ae67f168152c68816da86efc98678e000000000503008eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a4802286bee";
const TRANSFER_SIGNATURE: &str =
    "d6be92c2fdb49f3d9df549938ce21c849792a40d5e89bb066604d0c80b8ce1645a7db054b85dc13dec75d6bcce7fd710f5ae67f168152c68816da86efc98678e";
const TRANSFER_HASH: &str = "ba6160fd8243c810c04e8b507877a8df77052764f183eb19ca7ebd1eaab8bdb4";

fn runtimes() -> [Runtime; 3] {
    let runtime = |version: u32, packed: &[u8]| {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        Runtime::new(version, &bytes).unwrap()
    };
    [
        runtime(343, include_bytes!("../testdata/metadata-v14-spec343.scale.gz")),
        runtime(343, include_bytes!("../testdata/metadata-v15-spec343.scale.gz")),
        runtime(365, include_bytes!("../testdata/metadata-v16-spec365.scale.gz")),
    ]
}

fn account(uri: &str) -> AccountId {
    AccountId::from(key_from_uri(uri).unwrap().address())
}

fn one_tao_to_bob() -> Call {
    Call::Transfer { to: account("//Bob"), rao: 1_000_000_000, keep_alive: true }
}

fn signing(spec_version: u32) -> Signing {
    let birth = Block { number: 42, hash: [0xbb; 32] };
    Signing {
        genesis: [0xaa; 32],
        spec_version,
        transaction_version: 1,
        nonce: 300,
        mortality: Some(Mortality::new(birth, 64)),
        tip_rao: 0,
    }
}

#[test]
fn a_transfer_has_the_very_bytes_that_a_chain_took() {
    let alice = key_from_uri("//Alice").unwrap();
    let signature: Signature = TRANSFER_SIGNATURE.parse().unwrap();
    for runtime in runtimes() {
        let signing = Signing { nonce: 0, mortality: None, ..signing(438) };
        let extrinsic = Extrinsic::assemble(&one_tao_to_bob(), &signing, alice.address(), &signature, &runtime).unwrap();
        assert_eq!(extrinsic.to_hex(), format!("0x{TRANSFER}"));
        assert_eq!(hex::encode(extrinsic.hash()), TRANSFER_HASH);
    }
}

#[test]
fn calls_have_their_numbers_and_arguments_in_order() {
    let hotkey = AccountId([9; 32]);
    let ip: IpAddr = "203.0.113.7".parse().unwrap();
    let axon = Axon::new(ip, 8091, 10_000_000).unwrap();
    let weights = Weights::new([(7, 1), (3, 65_535)], 2).unwrap();
    let calls: [(Call, Vec<u8>); 7] = [
        (Call::Register { netuid: 64, hotkey, limit_rao: 5 }, [&[7, 7, 64, 0], [9; 32].as_slice()].concat()),
        (
            Call::ServeAxon { netuid: 2, axon },
            [&[7, 4, 2, 0, 0x80, 0x96, 0x98, 0, 7, 113, 0, 203][..], &[0; 12], &[0x9b, 0x1f, 4, 4, 0, 0]].concat(),
        ),
        (
            Call::SetWeights { netuid: 1, weights: weights.clone() },
            vec![7, 0, 1, 0, 8, 3, 0, 7, 0, 8, 0xff, 0xff, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0],
        ),
        (Call::CommitWeights { netuid: 1, commitment: [8; 32] }, [&[7, 96, 1, 0], [8; 32].as_slice()].concat()),
        (
            Call::RevealWeights { netuid: 1, weights, salt: vec![5] },
            vec![7, 97, 1, 0, 8, 3, 0, 7, 0, 8, 0xff, 0xff, 1, 0, 4, 5, 0, 2, 0, 0, 0, 0, 0, 0, 0],
        ),
        (one_tao_to_bob(), hex::decode(&TRANSFER[TRANSFER.len() - 78..]).unwrap()),
        (Call::Transfer { to: hotkey, rao: 63, keep_alive: false }, [&[5, 0, 0], [9; 32].as_slice(), &[63 << 2]].concat()),
    ];
    for runtime in runtimes() {
        for (call, bytes) in &calls {
            assert_eq!(hex::encode(call.encode(&runtime).unwrap()), hex::encode(bytes), "{call:?}");
        }
        assert_eq!(calls[0].0.name(&runtime), "SubtensorModule.burned_register");
        assert!(!Call::chain_holds_limit(&runtime));
    }
}

/// The metadata of spec 343 in which `burned_register` has another name and a third argument: no metadata of a runtime with
/// `register_limit` is at hand. Arguments are those of subtensor's source at spec 425.
fn with_limit(argument: &str) -> Runtime {
    let [_, known, _] = runtimes();
    let u64s = known.metadata().types().types.iter().find(|ty| matches!(ty.ty.type_def, TypeDef::Primitive(TypeDefPrimitive::U64)));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(include_bytes!("../testdata/metadata-v15-spec343.scale.gz").as_slice()).read_to_end(&mut bytes).unwrap();
    let old = "burned_register".encode();
    let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
    let mut rest = &bytes[at + old.len()..];
    let mut fields = <Vec<Field<PortableForm>>>::decode(&mut rest).unwrap();
    let no_docs = Vec::<String>::new();
    let new = (Some(argument), Compact(u64s.unwrap().id), None::<String>, no_docs).encode();
    fields.push(Field::decode(&mut new.as_slice()).unwrap());
    let changed = [&bytes[..at], &"register_limit".encode(), &fields.encode(), rest].concat();
    Runtime::new(425, &changed).unwrap()
}

#[test]
fn the_chain_is_told_the_limit_where_it_can_hold_to_it() {
    let runtime = with_limit("limit_price");
    let call = Call::Register { netuid: 64, hotkey: AccountId([9; 32]), limit_rao: 0x0102_0304_0506 };
    assert!(Call::chain_holds_limit(&runtime));
    assert_eq!(call.name(&runtime), "SubtensorModule.register_limit");
    let bytes = call.encode(&runtime).unwrap();
    assert_eq!(bytes[2..], [&[64, 0], [9; 32].as_slice(), &[6, 5, 4, 3, 2, 1, 0, 0]].concat());
}

#[test]
fn an_argument_of_another_name_is_an_error_and_no_registration_without_a_limit() {
    let runtime = with_limit("highest_price");
    let call = Call::Register { netuid: 64, hotkey: AccountId([9; 32]), limit_rao: 5 };
    let error = call.encode(&runtime).unwrap_err().to_string();
    let expected = "the arguments of SubtensorModule.register_limit do not fit this runtime: it takes highest_price, hotkey, netuid, \
                    not hotkey, limit_price, netuid (runtime version 425)";
    assert_eq!(error, expected);
    assert!(Extrinsic::payload(&call, &signing(425), &runtime).is_err());
    assert!(Call::Transfer { to: AccountId([9; 32]), rao: 1, keep_alive: true }.encode(&runtime).is_ok());
}

#[test]
fn what_is_signed_is_the_call_the_extensions_and_what_they_imply() {
    for runtime in runtimes() {
        let (call, signing) = (one_tao_to_bob(), signing(runtime.spec_version()));
        let expected = [
            call.encode(&runtime).unwrap().as_slice(),
            // era, nonce, tip, no metadata hash
            &[0xa5, 0x02, 0xb1, 0x04, 0, 0],
            &runtime.spec_version().to_le_bytes(),
            &[1, 0, 0, 0],
            &[0xaa; 32],
            &[0xbb; 32],
            &[0],
        ]
        .concat();
        assert_eq!(hex::encode(Extrinsic::payload(&call, &signing, &runtime).unwrap()), hex::encode(&expected));

        let key = key_from_uri("//Alice").unwrap();
        let extrinsic = Extrinsic::sign(&call, &signing, key.keypair(), &runtime).unwrap();
        let signature: [u8; 64] = extrinsic.bytes()[2 + 1 + 33 + 1..][..64].try_into().unwrap();
        assert!(verify(key.address(), &expected, &Signature::from_bytes(signature)));
        assert_eq!(format!("{extrinsic:?}"), format!("Extrinsic(0x{})", hex::encode(extrinsic.hash())));
    }
}

/// The metadata of spec 343 with another name for a signed extension.
fn renamed(old: &str, new: &str) -> Runtime {
    assert_eq!(old.len(), new.len());
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(include_bytes!("../testdata/metadata-v15-spec343.scale.gz").as_slice()).read_to_end(&mut bytes).unwrap();
    let (old, new) = (old.encode(), new.encode());
    let places: Vec<_> = bytes.windows(old.len()).enumerate().filter(|(_, window)| *window == old).map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + old.len()].copy_from_slice(&new);
    }
    Runtime::new(343, &bytes).unwrap()
}

#[test]
fn an_extension_that_holds_something_must_be_known() {
    let payload = |runtime: &Runtime| Extrinsic::payload(&one_tao_to_bob(), &signing(343), runtime);
    let [_, known, _] = runtimes();
    let expected = payload(&known).unwrap();
    for (old, new) in [("CheckNonce", "CheckQuota"), ("CheckGenesis", "CheckExodus9"), ("CheckMortality", "CheckEternity9")] {
        let error = payload(&renamed(old, new)).unwrap_err().to_string();
        assert!(error.contains(new), "{error}");
    }
    assert_eq!(payload(&renamed("CheckNonZeroSender", "CheckNonEmptyQuery")).unwrap(), expected, "one that holds nothing");
}

#[test]
fn a_tip_is_signed_along() {
    for runtime in runtimes() {
        let payload = |tip_rao| Extrinsic::payload(&one_tao_to_bob(), &Signing { tip_rao, ..signing(343) }, &runtime).unwrap();
        let (none, some) = (payload(0), payload(63));
        let differ: Vec<_> = none.iter().zip(&some).filter(|(a, b)| a != b).collect();
        assert_eq!((none.len(), differ), (some.len(), vec![(&0, &(63 << 2))]));
        assert_eq!(payload(1 << 40).len(), none.len() + 6, "compact: a byte of length, six of number");
    }
}

#[test]
fn a_long_payload_is_signed_by_its_hash() {
    let [runtime, ..] = runtimes();
    let weights = Weights::new((0..200).map(|uid| (uid, 1)), 0).unwrap();
    let call = Call::SetWeights { netuid: 1, weights };
    assert_eq!(Extrinsic::payload(&call, &signing(343), &runtime).unwrap().len(), 32);
}

#[test]
fn only_addresses_that_others_can_reach_are_announced() {
    for inside in [
        "0.0.0.0",
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.1.1",
        "224.0.0.1",
        "255.255.255.255",
        "0.1.2.3",
        "100.64.0.1",
        "100.127.255.254",
        "250.1.2.3",
        "::",
        "::1",
        "fe80::1",
        "fd00::1",
    ] {
        let ip: IpAddr = inside.parse().unwrap();
        assert_eq!(Axon::new(ip, 8091, 0), Err(AxonError::Unreachable(ip)));
    }
    assert!(Axon::new("::ffff:10.1.2.3".parse().unwrap(), 8091, 0).is_err());
    let same = ["100.63.255.255", "::ffff:100.63.255.255"].map(|ip| Axon::new(ip.parse().unwrap(), 8091, 0).unwrap());
    assert_eq!(same[0], same[1]);
    assert!(Axon::new("100.128.0.1".parse().unwrap(), 8091, 0).is_ok());
    assert_eq!(Axon::new("8.8.8.8".parse().unwrap(), 0, 0), Err(AxonError::Port));
    let [runtime, ..] = runtimes();
    let axon = Axon::new("2001:4860::1".parse().unwrap(), 1, 0).unwrap();
    let bytes = Call::ServeAxon { netuid: 0, axon }.encode(&runtime).unwrap();
    assert_eq!(hex::encode(&bytes[8..]), "010000000000000000000000604801200100060400 00".replace(' ', ""));
}
