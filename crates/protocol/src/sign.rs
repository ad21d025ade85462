//! Signed requests, the sending side: what is signed, and the headers that carry it.
//!
//! A request is signed over `hotkey:nonce:X` towards a validator and over `miner:signer:nonce:X` towards a control
//! plane or an agent. `X` is the endpoint's purpose word, or the SHA-256 of the exact bytes of the body. Method and
//! path are not signed.

use sha2::{Digest, Sha256};

use crate::ids::Ss58;
use crate::key::Keypair;

/// Header with the signer of a three-part request.
pub const HOTKEY_HEADER: &str = "X-Chutes-Hotkey";
/// Header with the miner a four-part request is about.
pub const MINER_HEADER: &str = "X-Chutes-Miner";
/// Header with the signer of a four-part request.
pub const VALIDATOR_HEADER: &str = "X-Chutes-Validator";
/// Header with the Unix time in seconds, decimal digits only.
pub const NONCE_HEADER: &str = "X-Chutes-Nonce";
/// Header with the signature, 128 hexadecimal digits without `0x`.
pub const SIGNATURE_HEADER: &str = "X-Chutes-Signature";

/// The word signed for an endpoint that takes no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The validator's inventory streams and everything else under `/miner/`.
    Miner,
    /// Asking for a launch config.
    Launch,
    /// Deleting and disabling instances.
    Instances,
    /// Deleting advertised GPUs.
    Nodes,
    /// GPU proofs: the verification status, and the prover on a node.
    Graval,
    /// Logging in on the event socket.
    Sockets,
    /// Registry authentication.
    Registry,
    /// Confidential servers and their maintenance.
    Tee,
    /// The miner API's own routes.
    Management,
    /// Fetching a kubeconfig from the miner API.
    Kubeconfig,
    /// Fetching a kubeconfig from an agent.
    Registration,
    /// Between a monitor and an agent.
    Monitoring,
    /// The attestation proxy of a confidential server.
    Attest,
    /// Model cache of a confidential server.
    Cache,
    /// The image list of a confidential server.
    Images,
    /// The status page of a confidential server.
    Status,
}

impl Purpose {
    /// The word as it is signed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Miner => "miner",
            Self::Launch => "launch",
            Self::Instances => "instances",
            Self::Nodes => "nodes",
            Self::Graval => "graval",
            Self::Sockets => "sockets",
            Self::Registry => "registry",
            Self::Tee => "tee",
            Self::Management => "management",
            Self::Kubeconfig => "kubeconfig",
            Self::Registration => "registration",
            Self::Monitoring => "monitoring",
            Self::Attest => "attest",
            Self::Cache => "cache",
            Self::Images => "images",
            Self::Status => "status",
        }
    }
}

/// What the last part of the signed text stands for.
#[derive(Debug, Clone, Copy)]
pub enum Signed<'a> {
    /// A purpose word: requests without a body.
    Purpose(Purpose),
    /// The exact bytes of the body, which may be empty.
    Body(&'a [u8]),
}

impl Signed<'_> {
    /// The last part of the signed text.
    pub fn last_part(&self) -> String {
        match self {
            Self::Purpose(purpose) => purpose.as_str().to_owned(),
            Self::Body(body) => sha256_hex(body),
        }
    }
}

/// SHA-256 in small hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A short form of a key's address for people to compare: the start of its SHA-256, in groups of four.
pub fn fingerprint(address: &Ss58) -> String {
    let digits = sha256_hex(address.as_str().as_bytes());
    [&digits[..4], &digits[4..8], &digits[8..12], &digits[12..16]].join("-")
}

/// The text that three-part requests sign.
pub fn three_part_text(hotkey: &str, nonce: &str, last: &str) -> String {
    format!("{hotkey}:{nonce}:{last}")
}

/// The text that four-part requests sign.
pub fn four_part_text(miner: &str, signer: &str, nonce: &str, last: &str) -> String {
    format!("{miner}:{signer}:{nonce}:{last}")
}

/// Headers of a request to a validator. The caller adds `Content-Type` where there is a body.
pub fn hotkey_headers(key: &Keypair, signed: Signed<'_>, unix_now: i64) -> Vec<(&'static str, String)> {
    let hotkey = key.address().as_str();
    let nonce = unix_now.max(0).to_string();
    let text = three_part_text(hotkey, &nonce, &signed.last_part());
    let signature = key.sign(text.as_bytes()).to_string();
    vec![(HOTKEY_HEADER, hotkey.to_owned()), (NONCE_HEADER, nonce), (SIGNATURE_HEADER, signature)]
}

/// Headers of a miner's request to its own control plane or agent: miner and signer are the same hotkey.
pub fn management_headers(key: &Keypair, signed: Signed<'_>, unix_now: i64) -> Vec<(&'static str, String)> {
    four_part_headers(key, key.address(), signed, unix_now)
}

/// Headers of a four-part request about `miner`, signed by anybody, such as a validator.
pub fn four_part_headers(key: &Keypair, miner: &Ss58, signed: Signed<'_>, unix_now: i64) -> Vec<(&'static str, String)> {
    let signer = key.address().as_str();
    let nonce = unix_now.max(0).to_string();
    let text = four_part_text(miner.as_str(), signer, &nonce, &signed.last_part());
    let signature = key.sign(text.as_bytes()).to_string();
    vec![
        (MINER_HEADER, miner.as_str().to_owned()),
        (VALIDATOR_HEADER, signer.to_owned()),
        (NONCE_HEADER, nonce),
        (SIGNATURE_HEADER, signature),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::verify;

    fn value<'a>(headers: &'a [(&'static str, String)], name: &str) -> &'a str {
        &headers.iter().find(|(n, _)| *n == name).unwrap().1
    }

    #[test]
    fn a_body_is_signed_by_its_exact_bytes() {
        assert_eq!(sha256_hex(br#"{"a":1,"b":[1,2]}"#), "8baa73198470c7bb4c3ce142a8fd651affc0310d878bb9bd159e37a573fb4874");
        assert_eq!(Signed::Body(b"").last_part(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn validator_headers_sign_three_parts() {
        let key = Keypair::generate();
        let headers = hotkey_headers(&key, Signed::Purpose(Purpose::Launch), 1_700_000_000);
        let text = format!("{}:1700000000:launch", key.address());
        assert_eq!(headers.len(), 3);
        assert_eq!(value(&headers, NONCE_HEADER), "1700000000");
        assert!(verify(key.address(), text.as_bytes(), &value(&headers, SIGNATURE_HEADER).parse().unwrap()));
    }

    #[test]
    fn management_headers_sign_four_parts() {
        let key = Keypair::generate();
        let headers = management_headers(&key, Signed::Body(b"{}"), 1_700_000_000);
        let text = format!("{0}:{0}:1700000000:{1}", key.address(), sha256_hex(b"{}"));
        assert_eq!(headers.len(), 4);
        assert_eq!(value(&headers, MINER_HEADER), value(&headers, VALIDATOR_HEADER));
        assert!(verify(key.address(), text.as_bytes(), &value(&headers, SIGNATURE_HEADER).parse().unwrap()));
    }
}
