//! What a control plane accepts and what it sends away.

use super::*;
use crate::key::Keypair;
use crate::sign::{Signed, hotkey_headers, management_headers, sha256_hex};

const NOW: i64 = 1_700_000_000;
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

type Headers = Vec<(&'static str, String)>;

fn view(headers: &Headers) -> HeaderView<'_> {
    HeaderView::collect(|name| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str()))
}

fn check_at(key: &Keypair, headers: &Headers, now: i64) -> Result<Verified, AuthError> {
    let miner = key.address();
    verify_management(&view(headers), false, EMPTY, Purpose::Management, miner, std::slice::from_ref(miner), now)
}

fn signed(key: &Keypair) -> Headers {
    management_headers(key, Signed::Purpose(Purpose::Management), NOW)
}

fn with(mut headers: Headers, name: &str, value: &str) -> Headers {
    for (n, v) in &mut headers {
        if *n == name {
            *v = value.to_owned();
        }
    }
    headers
}

#[test]
fn a_fresh_request_of_the_miner_is_accepted() {
    let key = Keypair::generate();
    let verified = check_at(&key, &signed(&key), NOW).unwrap();
    assert_eq!(verified.signer, *key.address());
    assert_eq!(verified.nonce, NOW);
    assert_eq!(verified.signature.replay_key().len(), 64);
}

#[test]
fn the_window_is_thirty_seconds_both_ways() {
    let key = Keypair::generate();
    let headers = signed(&key);
    assert!(check_at(&key, &headers, NOW + 29).is_ok());
    assert_eq!(check_at(&key, &headers, NOW + 30), Err(AuthError::Stale(30)));
    assert!(check_at(&key, &headers, NOW - 30).is_ok());
    assert_eq!(check_at(&key, &headers, NOW - 31), Err(AuthError::Early(31)));
}

#[test]
fn a_method_with_a_body_ignores_the_purpose() {
    let key = Keypair::generate();
    let miner = key.address();
    let check = |headers: &Headers, hash: &str| {
        verify_management(&view(headers), true, hash, Purpose::Management, miner, std::slice::from_ref(miner), NOW)
    };
    assert!(matches!(check(&signed(&key), EMPTY), Err(AuthError::BadSignature { .. })));
    assert!(check(&management_headers(&key, Signed::Body(b""), NOW), EMPTY).is_ok());
    assert!(check(&management_headers(&key, Signed::Body(b"{}"), NOW), &sha256_hex(b"{}")).is_ok());
    assert!(check(&management_headers(&key, Signed::Body(b"{}"), NOW), &sha256_hex(b"{ }")).is_err());
}

#[test]
fn strangers_are_sent_away() {
    let (key, stranger) = (Keypair::generate(), Keypair::generate());
    assert_eq!(check_at(&key, &signed(&stranger), NOW), Err(AuthError::OtherMiner));
    let forged = with(signed(&stranger), sign::MINER_HEADER, key.address().as_str());
    assert_eq!(check_at(&key, &forged, NOW), Err(AuthError::OtherSigner));
    let posing = with(forged, sign::VALIDATOR_HEADER, key.address().as_str());
    assert!(matches!(check_at(&key, &posing, NOW), Err(AuthError::BadSignature { .. })));
}

#[test]
fn every_header_is_needed() {
    let key = Keypair::generate();
    for name in [sign::MINER_HEADER, sign::VALIDATOR_HEADER, sign::NONCE_HEADER, sign::SIGNATURE_HEADER] {
        let headers = with(signed(&key), name, "");
        assert_eq!(check_at(&key, &headers, NOW), Err(AuthError::Missing(name)));
    }
}

#[test]
fn malformed_input_is_told_apart_and_is_still_401() {
    let key = Keypair::generate();
    for nonce in ["+1700000000", " 1700000000", "1_700_000_000", "1700000000.0", "-1", "99999999999999999999"] {
        let error = check_at(&key, &with(signed(&key), sign::NONCE_HEADER, nonce), NOW).unwrap_err();
        assert_eq!((error.clone(), error.status()), (AuthError::MalformedNonce, 401));
    }
    let with_prefix = format!("0x{}", "00".repeat(64));
    for signature in ["zz", with_prefix.as_str()] {
        let error = check_at(&key, &with(signed(&key), sign::SIGNATURE_HEADER, signature), NOW).unwrap_err();
        assert_eq!(error, AuthError::MalformedSignature);
    }
    // Without the marker bit it is no sr25519 signature at all; the existing miner answers 500 here.
    let zeros = with(signed(&key), sign::SIGNATURE_HEADER, &"00".repeat(64));
    assert!(matches!(check_at(&key, &zeros, NOW), Err(AuthError::BadSignature { .. })));
}

#[test]
fn the_golden_requests_of_the_existing_miner_pass() {
    let miner: Ss58 = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj".parse().unwrap();
    let headers = HeaderView {
        miner: Some(miner.as_str()),
        validator: Some(miner.as_str()),
        nonce: Some("1700000000"),
        signature: Some(
            "7aad52ded1b3337baed66a315fb74bd6820351d992649b0f272bb399c01b1e6fa976afe7045accbc78e12543fc39af4837ebf0ffed3974272aab26a695ed3483",
        ),
        hotkey: None,
    };
    let hash = sha256_hex(br#"{"a":1,"b":[1,2]}"#);
    let allowed = [miner.clone()];
    assert!(verify_management(&headers, true, &hash, Purpose::Management, &miner, &allowed, NOW).is_ok());
}

#[test]
fn three_part_requests_are_checked_with_the_validators_window() {
    let key = Keypair::generate();
    let headers = hotkey_headers(&key, Signed::Purpose(Purpose::Sockets), NOW);
    assert!(verify_hotkey(&view(&headers), "sockets", 600, NOW + 599).is_ok());
    assert_eq!(verify_hotkey(&view(&headers), "sockets", 600, NOW + 600), Err(AuthError::Stale(600)));
    assert!(matches!(verify_hotkey(&view(&headers), "miner", 600, NOW), Err(AuthError::BadSignature { .. })));
}

proptest::proptest! {
    #[test]
    fn arbitrary_headers_never_panic(miner in ".*", nonce in ".*", signature in ".*", now: i64) {
        let key = Keypair::generate();
        let address = key.address();
        let headers = HeaderView {
            hotkey: Some(&miner), miner: Some(address.as_str()), validator: Some(address.as_str()),
            nonce: Some(&nonce), signature: Some(&signature),
        };
        let _ = verify_hotkey(&headers, "miner", 600, now);
        let answer = verify_management(&headers, false, "", Purpose::Management, address, std::slice::from_ref(address), now);
        proptest::prop_assert!(answer.is_err());
    }
}
