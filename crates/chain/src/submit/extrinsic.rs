//! A signed extrinsic.

use std::fmt;

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use frame_decode::extrinsics::{ExtrinsicTypeInfo as _, encode_v4_signed, encode_v4_signer_payload};
use protocol::ids::Ss58;
use protocol::key::{Keypair, Signature};

use super::call::{Case, misfit, safe};
use super::{Call, Signing, SubmitError};
use crate::read::{AccountId, Runtime};

/// An extrinsic of version 4 with an sr25519 signature, as it is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Extrinsic {
    bytes: Vec<u8>,
}

impl fmt::Debug for Extrinsic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extrinsic(0x{})", hex::encode(self.hash()))
    }
}

impl Extrinsic {
    /// Signs a call.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Scale`] where the runtime has no such call, or signs things along with it that we do not know.
    pub fn sign(call: &Call, signing: &Signing, key: &Keypair, runtime: &Runtime) -> Result<Self, SubmitError> {
        let signature = key.sign(&Self::payload(call, signing, runtime)?);
        Self::assemble(call, signing, key.address(), &signature, runtime)
    }

    /// What is signed: the call, the extensions, and what they imply; its hash if that is longer than 256 bytes.
    ///
    /// # Errors
    ///
    /// As [`Extrinsic::sign`].
    pub fn payload(call: &Call, signing: &Signing, runtime: &Runtime) -> Result<Vec<u8>, SubmitError> {
        let (pallet, name, arguments) = call.resolve(runtime)?;
        safe_envelope(runtime, pallet, name)?;
        let metadata = runtime.metadata();
        encode_v4_signer_payload(pallet, name, &arguments, signing, metadata, metadata.types())
            .map_err(|error| misfit(runtime, pallet, name, &error))
    }

    /// Puts a signature to a call, made here or elsewhere.
    ///
    /// # Errors
    ///
    /// As [`Extrinsic::sign`].
    pub fn assemble(call: &Call, signing: &Signing, signer: &Ss58, signature: &Signature, runtime: &Runtime) -> Result<Self, SubmitError> {
        let (pallet, name, arguments) = call.resolve(runtime)?;
        safe_envelope(runtime, pallet, name)?;
        let metadata = runtime.metadata();
        let signer = Case("Id", AccountId::from(signer).0);
        let signature = Case("Sr25519", *signature.as_bytes());
        let bytes = encode_v4_signed(pallet, name, &arguments, signing, &signer, &signature, metadata, metadata.types())
            .map_err(|error| misfit(runtime, pallet, name, &error))?;
        Ok(Self { bytes })
    }

    /// The bytes, with their length in front.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What explorers name it by: `blake2b_256` of the bytes.
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.bytes)
    }

    /// `0x…`, as a node takes it.
    pub fn to_hex(&self) -> String {
        format!("0x{}", hex::encode(&self.bytes))
    }
}

/// Of an extrinsic with its length in front.
pub(super) fn hash(bytes: &[u8]) -> [u8; 32] {
    Blake2b::<U32>::digest(bytes).into()
}

/// Refuses extensions, addresses and signatures that a description from a node could make endless. [`Call::resolve`] does it for arguments.
fn safe_envelope(runtime: &Runtime, pallet: &str, name: &str) -> Result<(), SubmitError> {
    let metadata = runtime.metadata();
    let extensions = metadata.extrinsic_extension_info(None).map_err(|error| misfit(runtime, pallet, name, &error))?;
    let signature = metadata.extrinsic_signature_info().map_err(|error| misfit(runtime, pallet, name, &error))?;
    let extensions = extensions.extension_ids.iter().flat_map(|extension| [extension.id, extension.implicit_id]);
    safe(runtime, pallet, name, extensions.chain([signature.address_id, signature.signature_id]))
}
