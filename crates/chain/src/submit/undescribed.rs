//! What runtimes answer without describing it: metadata of version 14, which is all that the oldest runtimes have, names no calls.
//!
//! The types are Substrate's own and older than this chain. Where the metadata describes the call, that is believed instead.

use std::sync::LazyLock;

use parity_scale_codec::Compact;
use scale_info::{MetaType, PortableRegistry, Registry, TypeInfo};

use super::trial::Refusal;
use super::{DispatchFailure, DryRun};
use crate::read::Runtime;
use crate::read::scale::{ScaleError, Value, decode};

/// `sp_runtime::transaction_validity::TransactionValidityError`
#[derive(TypeInfo)]
#[allow(dead_code, reason = "only described, never made")]
enum TransactionValidityError {
    Invalid(InvalidTransaction),
    Unknown(UnknownTransaction),
}

#[derive(TypeInfo)]
#[allow(dead_code, reason = "only described, never made")]
enum InvalidTransaction {
    Call,
    Payment,
    Future,
    Stale,
    BadProof,
    AncientBirthBlock,
    ExhaustsResources,
    Custom(u8),
    BadMandatory,
    MandatoryValidation,
    BadSigner,
    IndeterminateImplicit,
    UnknownOrigin,
}

#[derive(TypeInfo)]
#[allow(dead_code, reason = "only described, never made")]
enum UnknownTransaction {
    CannotLookup,
    NoUnsignedValidator,
    Custom(u8),
}

/// `pallet_transaction_payment::RuntimeDispatchInfo`, with the `u64` that this chain counts rao in.
#[derive(TypeInfo)]
#[allow(dead_code, reason = "only described, never made")]
struct RuntimeDispatchInfo {
    weight: Weight,
    class: DispatchClass,
    partial_fee: u64,
}

#[derive(TypeInfo)]
#[allow(dead_code, reason = "only described, never made")]
struct Weight {
    ref_time: Compact<u64>,
    proof_size: Compact<u64>,
}

#[derive(TypeInfo)]
#[allow(dead_code, reason = "only described, never made")]
enum DispatchClass {
    Normal,
    Operational,
    Mandatory,
}

struct Types {
    registry: PortableRegistry,
    refusal: u32,
    info: u32,
}

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let mut registry = Registry::new();
    let refusal = registry.register_type(&MetaType::new::<TransactionValidityError>()).id;
    let info = registry.register_type(&MetaType::new::<RuntimeDispatchInfo>()).id;
    Types { registry: registry.into(), refusal, info }
});

/// `ApplyExtrinsicResult`: that it was applied, or why not; within, that it succeeded, or why not. The innermost error is one that events
/// hold too, so the metadata describes it.
pub(super) fn applied(bytes: &[u8], runtime: &Runtime) -> Result<DryRun, ScaleError> {
    let what = "the answer of BlockBuilder_apply_extrinsic";
    match bytes {
        [0, 0] => Ok(DryRun::Succeeds),
        [0, 1, error @ ..] => {
            let error: Value = runtime.named("sp_runtime::DispatchError", error)?;
            Ok(DryRun::Fails(DispatchFailure::of(&error, runtime)))
        }
        [1, error @ ..] => Ok(DryRun::Refused(Refusal::of(&decode(what, error, TYPES.refusal, &TYPES.registry)?))),
        _ => Err(ScaleError::Mismatch { what: what.to_owned(), why: "it is no result".to_owned() }),
    }
}

/// `RuntimeDispatchInfo`.
pub(super) fn info(bytes: &[u8]) -> Result<Value, ScaleError> {
    decode("the answer of TransactionPaymentApi_query_info", bytes, TYPES.info, &TYPES.registry)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn runtime(packed: &[u8]) -> Runtime {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        Runtime::new(343, &bytes).unwrap()
    }

    /// The same runtime in metadata that describes its calls and in metadata that does not.
    fn both() -> [Runtime; 2] {
        [
            runtime(include_bytes!("../../testdata/metadata-v14-spec343.scale.gz")),
            runtime(include_bytes!("../../testdata/metadata-v15-spec343.scale.gz")),
        ]
    }

    #[test]
    fn what_is_written_down_here_is_what_a_runtime_describes() {
        let [silent, telling] = both();
        assert!(!silent.has_call("BlockBuilder", "apply_extrinsic") && telling.has_call("BlockBuilder", "apply_extrinsic"));
        let mut answers = vec![vec![0, 0], vec![], vec![0], vec![1], vec![2, 0], vec![0, 2], vec![0, 0, 0], vec![0, 1, 99], vec![1, 2, 0]];
        answers.extend((0..14).flat_map(|case| [vec![1, 0, case], vec![1, 0, case, 6], vec![1, 1, case], vec![1, 1, case, 6]]));
        answers.extend((0..16).flat_map(|case| [vec![0, 1, case], vec![0, 1, case, 1], vec![0, 1, case, 7, 1, 0, 0, 0]]));
        let mut understood = 0;
        for answer in answers {
            let known = DryRun::read(&answer, &telling).ok();
            assert_eq!(DryRun::read(&answer, &silent).ok(), known, "{answer:?}");
            understood += u32::from(known.is_some());
        }
        assert!(understood > 30, "{understood}");
    }

    #[test]
    fn the_fee_is_what_a_runtime_describes() {
        let [silent, telling] = both();
        // A weight of 224,051,000 and 3,593, normal, 136,000 rao.
        let bytes = [&[0xe2, 0xfa, 0x6b, 0x35, 0x25, 0x38, 0][..], &136_000u64.to_le_bytes()].concat();
        for runtime in [&silent, &telling] {
            assert_eq!(super::super::trial::fee(&bytes, runtime).unwrap(), 136_000);
            assert!(super::super::trial::fee(&bytes[..bytes.len() - 1], runtime).is_err());
            assert!(super::super::trial::fee(&[&bytes[..], &[0]].concat(), runtime).is_err());
        }
    }
}
