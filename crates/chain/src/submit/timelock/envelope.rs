//! Messages sealed to a round, as bytes.
//!
//! ```text
//! U        96   a point of G2, compressed as zcash does
//! V    8 + 32   lengths are u64, little end first, as ark-serialize writes them
//! W    8 + 32
//! body  8 + n   of these n: 8 + ciphertext with its tag of 16, 8 + nonce of 12
//! suite 8 + 8   "AES_GCM_"
//! ```

use aes_gcm::aead::Aead as _;
use aes_gcm::{Aes256Gcm, KeyInit as _};
use ark_bls12_381::G2Affine;
use ark_serialize::{CanonicalDeserialize as _, CanonicalSerialize as _};
use zeroize::Zeroizing;

use super::drand::{self, Pulse, Round};
use super::ibe::Header;

const SUITE: &[u8] = b"AES_GCM_";
const NONCE: usize = 12;
const POINT: usize = 96;

/// Why a message cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The machine gives no random bytes.
    #[error("the machine gives no random bytes")]
    NoRandomness,
    /// The message is too long for the cipher.
    #[error("the message is too long")]
    TooLong,
    /// The curve's arithmetic failed, which it never should.
    #[error("the curve's arithmetic failed: {0}")]
    Curve(String),
}

/// Why what is sealed cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The bytes are not a sealed message.
    #[error("these bytes are no timelocked message: {0}")]
    Malformed(&'static str),
    /// It was sealed to another round, or changed since.
    #[error("the pulse of round {0} does not open it: it was sealed to another round, or changed since")]
    Locked(Round),
}

/// Seals a message to a round of drand's quicknet: nobody can read it before that round's pulse, everybody afterwards.
///
/// # Errors
///
/// [`SealError`].
pub fn seal(message: &[u8], round: Round) -> Result<Vec<u8>, SealError> {
    let (key, sigma, nonce) = (random::<32>()?, random::<32>()?, random::<NONCE>()?);
    let curve = |error: &dyn std::fmt::Display| SealError::Curve(error.to_string());
    let public = drand::public_key().map_err(|error| curve(&error))?;
    let identity = round.identity().map_err(|error| curve(&error))?;
    let header = Header::seal(&key, &sigma, public, identity).map_err(|error| curve(&error))?;
    let cipher = Aes256Gcm::new(&(*key).into());
    let ciphertext = cipher.encrypt(&(*nonce).into(), message).map_err(|_| SealError::TooLong)?;
    let mut body = Vec::with_capacity(ciphertext.len() + NONCE + 16);
    put(&mut body, &ciphertext);
    put(&mut body, nonce.as_slice());
    let mut bytes = Vec::with_capacity(POINT + 2 * 40 + 8 + body.len() + 16);
    header.u.serialize_compressed(&mut bytes).map_err(|error| curve(&error))?;
    for part in [header.v.as_slice(), &header.w, &body, SUITE] {
        put(&mut bytes, part);
    }
    Ok(bytes)
}

/// Opens a sealed message with the pulse of its round.
///
/// # Errors
///
/// [`OpenError`].
pub fn open(bytes: &[u8], pulse: &Pulse) -> Result<Vec<u8>, OpenError> {
    let locked = || OpenError::Locked(pulse.round());
    let (point, mut rest) = bytes.split_first_chunk::<POINT>().ok_or(OpenError::Malformed("it is too short"))?;
    let (v, w) = (fixed(take(&mut rest)?)?, fixed(take(&mut rest)?)?);
    let (mut body, suite) = (take(&mut rest)?, take(&mut rest)?);
    if suite != SUITE {
        return Err(OpenError::Malformed("the cipher is not AES-GCM"));
    }
    let ciphertext = take(&mut body)?;
    let nonce: [u8; NONCE] = fixed(take(&mut body)?)?;
    // The runtime reads no further than it needs; what follows is not looked at here either.
    let u = G2Affine::deserialize_compressed(point.as_slice()).map_err(|_| OpenError::Malformed("U is no point of G2"))?;
    let key = Header { u, v, w }.open(pulse.signature()).ok_or_else(locked)?;
    Aes256Gcm::new(&(*key).into()).decrypt(&nonce.into(), ciphertext).map_err(|_| locked())
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, SealError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| SealError::NoRandomness)?;
    Ok(bytes)
}

/// `CanonicalSerialize` of `Vec<u8>`.
fn put(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(&(part.len() as u64).to_le_bytes());
    out.extend_from_slice(part);
}

/// What [`put`] wrote, and no more memory than there are bytes.
fn take<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], OpenError> {
    let short = OpenError::Malformed("it is too short");
    let (length, rest) = bytes.split_first_chunk().ok_or(short.clone())?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| short.clone())?;
    let (part, rest) = rest.split_at_checked(length).ok_or(short)?;
    *bytes = rest;
    Ok(part)
}

fn fixed<const N: usize>(part: &[u8]) -> Result<[u8; N], OpenError> {
    part.try_into().map_err(|_| OpenError::Malformed("a part has another length than it should"))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::super::drand::tests::SIGNATURE_OF_1000;
    use super::*;

    /// "this is a test", sealed to round 1000 by `bittensor_drand.encrypt_at_round` of version 2.0.0.
    const THEIRS: &str = concat!(
        "a3e2666440490bc13dd02e23f9a4a51912fe8cde8a7d16933012363ec78c0bd1027a87dfe76cc427179cb7cbaaf9e1a210d816e7ecdefa39ff1f0edf",
        "8d3feb1b393ad6012e1cd955d80f767fcf822aba1b25a2739997c7c907437675cd7b1bb22000000000000000c1551e04127b0980c07c77e8374254ec",
        "f3470661cf8e1cc95bc41879f041cdb72000000000000000eefa247b4d265667e53fe2a7fd7f6646590ef0f99933d37c03ba5b4a6cfe6ddf3a000000",
        "000000001e000000000000006d6d5603ca066e8f647189871c49b5cd8ecd47993a9acaae69e09dd1d9da0c00000000000000a95db90b6250d2e73ba8",
        "9f2c08000000000000004145535f47434d5f",
    );

    fn pulse() -> &'static Pulse {
        static PULSE: LazyLock<Pulse> = LazyLock::new(|| Pulse::new(Round(1000), &hex::decode(SIGNATURE_OF_1000).unwrap()).unwrap());
        &PULSE
    }

    #[test]
    fn what_the_python_client_sealed_opens_with_the_rounds_signature() {
        assert_eq!(open(&hex::decode(THEIRS).unwrap(), pulse()).unwrap(), b"this is a test");
    }

    #[test]
    fn what_we_seal_opens_with_the_rounds_signature_and_has_their_form() {
        let message = [7; 1000];
        let sealed = seal(&message, Round(1000)).unwrap();
        assert_eq!(open(&sealed, pulse()).unwrap(), message);
        assert_ne!(seal(&message, Round(1000)).unwrap(), sealed, "keys are never used twice");
        assert_eq!(open(&seal(b"", Round(1000)).unwrap(), pulse()).unwrap(), b"");
        let theirs = hex::decode(THEIRS).unwrap();
        let ours = seal(b"this is a test", Round(1000)).unwrap();
        assert_eq!(ours.len(), theirs.len());
        for places in [96..104, 136..144, 176..192, 222..230, 242..258] {
            assert_eq!(ours[places.clone()], theirs[places]);
        }
    }

    #[test]
    fn another_round_stays_locked() {
        assert_eq!(open(&seal(b"later", Round(1001)).unwrap(), pulse()), Err(OpenError::Locked(Round(1000))));
    }

    #[test]
    fn a_changed_byte_is_noticed_wherever_it_is() {
        let sealed = hex::decode(THEIRS).unwrap();
        // In each part and at its borders; the curve is slow without optimisation.
        for place in [0, 1, 50, 95, 96, 103, 104, 135, 136, 144, 175, 176, 184, 192, 205, 206, 221, 222, 230, 241, 242, 250, 257] {
            let mut changed = sealed.clone();
            changed[place] ^= 0x11;
            assert!(open(&changed, pulse()).is_err(), "byte {place}");
        }
        for length in 0..sealed.len() {
            assert!(matches!(open(&sealed[..length], pulse()), Err(OpenError::Malformed(_))), "{length} bytes");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]
        #[test]
        fn no_bytes_panic(tail: Vec<u8>, lengths in proptest::collection::vec(0_u64.., 4)) {
            let mut bytes = hex::decode(THEIRS).unwrap()[..96].to_vec();
            for length in lengths {
                bytes.extend(length.to_le_bytes());
                bytes.extend(&tail);
            }
            proptest::prop_assert!(open(&bytes, pulse()).is_err());
            proptest::prop_assert!(open(&tail, pulse()).is_err());
        }
    }
}
