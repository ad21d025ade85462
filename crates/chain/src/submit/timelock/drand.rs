//! drand's "quicknet": a pulse of public randomness every three seconds, each a BLS signature of its round's number.

use std::fmt;

use ark_bls12_381::{Bls12_381, G1Affine, G1Projective, G2Affine, g1};
use ark_ec::AffineRepr as _;
use ark_ec::hashing::curve_maps::wb::WBMap;
use ark_ec::hashing::map_to_curve_hasher::MapToCurveBasedHasher;
use ark_ec::hashing::{HashToCurve as _, HashToCurveError};
use ark_ec::pairing::Pairing as _;
use ark_ff::field_hashers::DefaultFieldHasher;
use ark_serialize::{CanonicalDeserialize as _, SerializationError};
use jiff::{SignedDuration, Timestamp};
use sha2_010::{Digest as _, Sha256};

/// Its public key, as every `/info` of quicknet (chain hash 52db9ba7…e971) gives it: a point of G2.
const PUBLIC_KEY: [u8; 96] =
    *b"\x83\xcf\x0f\x28\x96\xad\xee\x7e\xb8\xb5\xf0\x1f\xca\xd3\x91\x22\x12\xc4\x37\xe0\x07\x3e\x91\x1f\xb9\x00\x22\xd3\xe7\x60\x18\x3c\
    \x8c\x4b\x45\x0b\x6a\x0a\x6c\x3a\xc6\xa5\x77\x6a\x2d\x10\x64\x51\x0d\x1f\xec\x75\x8c\x92\x1c\xc2\x2b\x0e\x17\xe6\x3a\xaf\x4b\xcb\
    \x5e\xd6\x63\x04\xde\x9c\xf8\x09\xbd\x27\x4c\xa7\x3b\xab\x4a\xf5\xa6\xe9\xc7\x6a\x4b\xc0\x9e\x76\xea\xe8\x99\x1e\xf5\xec\xe4\x5a";
/// When round 1 was made, in seconds since 1970.
const GENESIS: i64 = 1_692_803_367;
/// Seconds from round to round.
const PERIOD: i64 = 3;
/// Domain separation of quicknet's signatures (scheme `bls-unchained-g1-rfc9380`).
const DOMAIN: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

type Hasher = MapToCurveBasedHasher<G1Projective, DefaultFieldHasher<Sha256, 128>, WBMap<g1::Config>>;

/// The number of a pulse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Round(pub u64);

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Round {
    /// A round that is surely made by a time: `floor((time - genesis) / 3 s)`, at least 1, as `bittensor-drand` counts. It is the one before
    /// the newest, which is made at the very second.
    pub fn at(time: Timestamp) -> Self {
        let rounds = time.as_second().saturating_sub(GENESIS).div_euclid(PERIOD);
        Self(u64::try_from(rounds).unwrap_or(0).max(1))
    }

    /// When its pulse is made; [`Timestamp::MAX`] where that is beyond it.
    pub fn time(self) -> Timestamp {
        let seconds = i64::try_from(self.0.saturating_sub(1)).ok().and_then(|rounds| rounds.checked_mul(PERIOD)?.checked_add(GENESIS));
        seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
    }

    /// Some rounds earlier, at least round 1.
    pub(super) fn earlier(self, rounds: u64) -> Self {
        Self(self.0.saturating_sub(rounds).max(1))
    }

    /// What drand signs: SHA-256 of the number, big end first, on the curve. For the encryption it is whom a message is for.
    pub(super) fn identity(self) -> Result<G1Affine, HashToCurveError> {
        Hasher::new(DOMAIN)?.hash(&Sha256::digest(self.0.to_be_bytes()))
    }
}

/// drand's public key as a point.
pub(super) fn public_key() -> Result<G2Affine, SerializationError> {
    G2Affine::deserialize_compressed(PUBLIC_KEY.as_slice())
}

/// A round's signature, found to be drand's: what opens everything that was sealed to that round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    round: Round,
    signature: G1Affine,
}

/// Why a signature is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PulseError {
    /// Not a point of the curve.
    #[error("the signature of round {0} is no point of G1 of BLS12-381")]
    NoPoint(Round),
    /// Another round's, or another beacon's.
    #[error("the signature is not that of drand's quicknet for round {0}")]
    NotDrands(Round),
}

impl Pulse {
    /// Verifies the signature that drand publishes for a round: 48 bytes.
    ///
    /// # Errors
    ///
    /// [`PulseError`].
    pub fn new(round: Round, signature: &[u8]) -> Result<Self, PulseError> {
        let point: [u8; 48] = signature.try_into().map_err(|_| PulseError::NoPoint(round))?;
        // Checks that it is in the right subgroup, too.
        let signature = G1Affine::deserialize_compressed(point.as_slice()).map_err(|_| PulseError::NoPoint(round))?;
        let (Ok(identity), Ok(key)) = (round.identity(), public_key()) else { return Err(PulseError::NotDrands(round)) };
        if Bls12_381::pairing(signature, G2Affine::generator()) != Bls12_381::pairing(identity, key) {
            return Err(PulseError::NotDrands(round));
        }
        Ok(Self { round, signature })
    }

    /// Its round.
    pub fn round(&self) -> Round {
        self.round
    }

    pub(super) fn signature(&self) -> G1Affine {
        self.signature
    }
}

/// A time some blocks later.
pub(super) fn after(time: Timestamp, blocks: u64, block_ms: u64) -> Timestamp {
    let ms = i64::try_from(blocks.saturating_mul(block_ms)).unwrap_or(i64::MAX);
    time.checked_add(SignedDuration::from_millis(ms)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Round 1000 of quicknet, <https://api.drand.sh/52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971/public/1000>.
    pub(in super::super) const SIGNATURE_OF_1000: &str =
        "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";

    #[test]
    fn rounds_follow_the_clock() {
        let at = |second: i64| Round::at(Timestamp::from_second(second).unwrap());
        assert_eq!(at(GENESIS - 1), Round(1));
        assert_eq!((at(GENESIS + 2), at(GENESIS + 5), at(GENESIS + 6)), (Round(1), Round(1), Round(2)));
        assert_eq!(at(1_763_752_702), Round(23_649_778));
        assert_eq!(Round(1).time().as_second(), GENESIS);
        assert!(Round(23_649_778).time().as_second() <= 1_763_752_702);
        assert_eq!(Round(u64::MAX).time(), Timestamp::MAX);
        assert_eq!((Round(30).earlier(24), Round(3).earlier(24)), (Round(6), Round(1)));
        assert_eq!(after(Timestamp::UNIX_EPOCH, 3, 12_000).as_second(), 36);
        assert_eq!(after(Timestamp::UNIX_EPOCH, u64::MAX, u64::MAX), Timestamp::MAX);
    }

    #[test]
    fn a_pulse_is_of_its_round() {
        let signature = hex::decode(SIGNATURE_OF_1000).unwrap();
        assert_eq!(Pulse::new(Round(1000), &signature).unwrap().round(), Round(1000));
        assert_eq!(Pulse::new(Round(1001), &signature), Err(PulseError::NotDrands(Round(1001))));
        assert_eq!(Pulse::new(Round(1000), &signature[1..]), Err(PulseError::NoPoint(Round(1000))));
        let mut bad = signature;
        bad[20] ^= 1;
        assert!(Pulse::new(Round(1000), &bad).is_err());
        // Zero is a point, and signs nothing.
        let mut zero = [0; 48];
        zero[0] = 0xc0;
        assert_eq!(Pulse::new(Round(1000), &zero), Err(PulseError::NotDrands(Round(1000))));
    }
}
