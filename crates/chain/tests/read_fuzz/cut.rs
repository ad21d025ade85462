//! Small ones made of large ones: what was recorded, with all lists in it cut to a few items.

use parity_scale_codec::{Compact, Decode as _};
use scale_info::{PortableRegistry, TypeDef, TypeDefPrimitive};

use crate::made::compact;

/// A value of a type with at most `keep` items in each list; `None` for bytes that are none.
pub(crate) fn lists(types: &PortableRegistry, ty: u32, mut bytes: &[u8], keep: u64) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    copy(types, ty, &mut bytes, keep, &mut out)?;
    bytes.is_empty().then_some(out)
}

fn copy(types: &PortableRegistry, ty: u32, input: &mut &[u8], keep: u64, out: &mut Vec<u8>) -> Option<()> {
    let length = |input: &mut &[u8]| Compact::<u64>::decode(input).ok().map(|number| number.0);
    let mut raw = |input: &mut &[u8], bytes: usize| {
        let (taken, rest) = input.split_at_checked(bytes)?;
        out.extend_from_slice(taken);
        *input = rest;
        Some(())
    };
    match &types.resolve(ty)?.type_def {
        TypeDef::Composite(composite) => composite.fields.iter().try_for_each(|field| copy(types, field.ty.id, input, keep, out)),
        TypeDef::Tuple(tuple) => tuple.fields.iter().try_for_each(|field| copy(types, field.id, input, keep, out)),
        TypeDef::Variant(variant) => {
            let index = *input.first()?;
            raw(input, 1)?;
            let case = variant.variants.iter().find(|case| case.index == index)?;
            case.fields.iter().try_for_each(|field| copy(types, field.ty.id, input, keep, out))
        }
        TypeDef::Array(array) => (0..array.len).try_for_each(|_| copy(types, array.type_param.id, input, keep, out)),
        TypeDef::Sequence(sequence) => {
            let items = length(input)?;
            compact(items.min(keep), out);
            let mut left_out = Vec::new();
            (0..items).try_for_each(|item| {
                left_out.clear();
                copy(types, sequence.type_param.id, input, keep, if item < keep { &mut *out } else { &mut left_out })
            })
        }
        TypeDef::Compact(_) => {
            compact(length(input)?, out);
            Some(())
        }
        TypeDef::BitSequence(_) => None,
        TypeDef::Primitive(primitive) => match primitive {
            TypeDefPrimitive::Str => {
                let bytes = length(input)?;
                compact(bytes, out);
                let (taken, rest) = input.split_at_checked(usize::try_from(bytes).ok()?)?;
                out.extend_from_slice(taken);
                *input = rest;
                Some(())
            }
            TypeDefPrimitive::Bool | TypeDefPrimitive::U8 | TypeDefPrimitive::I8 => raw(input, 1),
            TypeDefPrimitive::U16 | TypeDefPrimitive::I16 => raw(input, 2),
            TypeDefPrimitive::Char | TypeDefPrimitive::U32 | TypeDefPrimitive::I32 => raw(input, 4),
            TypeDefPrimitive::U64 | TypeDefPrimitive::I64 => raw(input, 8),
            TypeDefPrimitive::U128 | TypeDefPrimitive::I128 => raw(input, 16),
            TypeDefPrimitive::U256 | TypeDefPrimitive::I256 => raw(input, 32),
        },
    }
}
