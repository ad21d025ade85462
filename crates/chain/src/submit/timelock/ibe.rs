//! Identity-based encryption of Boneh and Franklin ("FullIdent") on BLS12-381, in the variant of `ideal-lab5/timelock`
//! (`timelock/src/ibe/fullident.rs`): identities and their keys in G1, the master's public key in G2, all hashes SHA-256.
//!
//! ```text
//! r = H3(sigma, key)       U = r G2       V = sigma xor H2(e(r P, Q))       W = key xor H4(sigma)
//! ```
//!
//! with the public key `P`, the identity `Q`, a random `sigma` of 32 bytes, H2 and H4 SHA-256 of bytes, H3 SHA-256 as a number, big end
//! first, modulo the group's order. Whoever has the identity's key `s Q`, here drand's signature, finds `sigma` by `e(s Q, U)`, which is
//! `e(r P, Q)`, then the key and `r`, and sees by `U` whether all of it is right.

use ark_bls12_381::{Bls12_381, Fr, G1Affine, G2Affine};
use ark_ec::pairing::Pairing as _;
use ark_ec::{AffineRepr as _, CurveGroup as _};
use ark_ff::PrimeField as _;
use ark_serialize::{CanonicalSerialize as _, SerializationError};
use sha2_010::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A key of 32 bytes, encrypted to an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) u: G2Affine,
    pub(super) v: [u8; 32],
    pub(super) w: [u8; 32],
}

impl Header {
    /// Encrypts a key. `sigma` must be random, of this use only, and is as secret as the key.
    pub(super) fn seal(key: &[u8; 32], sigma: &[u8; 32], public: G2Affine, identity: G1Affine) -> Result<Self, SerializationError> {
        let r = exponent(sigma, key);
        let u = (G2Affine::generator() * r).into_affine();
        let shared = mask(identity, (public * r).into_affine())?;
        Ok(Self { u, v: xor(sigma, &shared), w: xor(key, &sha256(&[sigma.as_slice()])) })
    }

    /// Decrypts with the identity's key; `None` where it is of another identity or the header was tampered with.
    pub(super) fn open(&self, identity_key: G1Affine) -> Option<Zeroizing<[u8; 32]>> {
        let sigma = Zeroizing::new(xor(&self.v, &mask(identity_key, self.u).ok()?));
        let key = Zeroizing::new(xor(&self.w, &sha256(&[sigma.as_slice()])));
        let u = (G2Affine::generator() * exponent(&sigma, &key)).into_affine();
        (u == self.u).then_some(key)
    }
}

/// H3
fn exponent(sigma: &[u8; 32], key: &[u8; 32]) -> Fr {
    Fr::from_be_bytes_mod_order(&sha256(&[sigma, key]))
}

/// H2 of the pairing, of whose 12 coordinates each has 48 bytes, little end first.
fn mask(one: G1Affine, other: G2Affine) -> Result<[u8; 32], SerializationError> {
    let paired = Bls12_381::pairing(one, other).0;
    let mut bytes = Zeroizing::new(Vec::with_capacity(12 * 48));
    paired.serialize_compressed(&mut *bytes)?;
    Ok(sha256(&[bytes.as_slice()]))
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn xor(one: &[u8; 32], other: &[u8; 32]) -> [u8; 32] {
    let mut mixed = *one;
    mixed.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
    mixed
}
