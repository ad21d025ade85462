//! Values made up by the description of their type: every storage item, answer and event can be tried, recorded or not.

use scale_info::{PortableRegistry, TypeDef, TypeDefPrimitive};

use crate::random::Random;

/// Levels below which nothing is made any more: a call may hold calls.
const DEPTH: u32 = 40;
/// Bytes after which nothing is made any more.
const BYTES: usize = 2048;

/// Adds a value of a type, right but for what is left out when it grows too large.
pub(crate) fn value(types: &PortableRegistry, ty: u32, random: &mut Random, out: &mut Vec<u8>) {
    add(types, ty, random, out, DEPTH);
}

fn add(types: &PortableRegistry, ty: u32, random: &mut Random, out: &mut Vec<u8>, depth: u32) {
    let Some(ty) = types.resolve(ty).filter(|_| depth > 0 && out.len() < BYTES) else { return };
    let add = |ty: u32, random: &mut Random, out: &mut Vec<u8>| add(types, ty, random, out, depth - 1);
    match &ty.type_def {
        TypeDef::Composite(composite) => composite.fields.iter().for_each(|field| add(field.ty.id, random, out)),
        TypeDef::Tuple(tuple) => tuple.fields.iter().for_each(|field| add(field.id, random, out)),
        TypeDef::Variant(variant) if variant.variants.is_empty() => {}
        TypeDef::Variant(variant) => {
            let case = random.one(&variant.variants);
            out.push(case.index);
            case.fields.iter().for_each(|field| add(field.ty.id, random, out));
        }
        TypeDef::Array(array) => (0..array.len.min(64)).for_each(|_| add(array.type_param.id, random, out)),
        TypeDef::Sequence(sequence) => {
            let items = if random.one_in(16) { random.below(70) } else { random.below(4) };
            compact(items as u64, out);
            (0..items).for_each(|_| add(sequence.type_param.id, random, out));
        }
        TypeDef::Compact(_) => {
            let bits = random.below(65);
            compact(if bits == 0 { 0 } else { random.next() >> (64 - bits) }, out);
        }
        TypeDef::BitSequence(_) => {
            let bits = random.below(40);
            compact(bits as u64, out);
            // Of `u8`s, as all that the real chain has.
            (0..bits.div_ceil(8)).for_each(|_| out.push(random.byte()));
        }
        TypeDef::Primitive(primitive) => {
            let bytes = match primitive {
                TypeDefPrimitive::Bool => {
                    out.push(u8::from(random.one_in(2)));
                    0
                }
                TypeDefPrimitive::Str => {
                    let text = random.bytes(20);
                    compact(text.len() as u64, out);
                    out.extend(text);
                    0
                }
                TypeDefPrimitive::U8 | TypeDefPrimitive::I8 => 1,
                TypeDefPrimitive::U16 | TypeDefPrimitive::I16 => 2,
                TypeDefPrimitive::Char | TypeDefPrimitive::U32 | TypeDefPrimitive::I32 => 4,
                TypeDefPrimitive::U64 | TypeDefPrimitive::I64 => 8,
                TypeDefPrimitive::U128 | TypeDefPrimitive::I128 => 16,
                TypeDefPrimitive::U256 | TypeDefPrimitive::I256 => 32,
            };
            (0..bytes).for_each(|_| out.push(random.byte()));
        }
    }
}

/// A number in SCALE's compact form.
pub(crate) fn compact(number: u64, out: &mut Vec<u8>) {
    use parity_scale_codec::{Compact, Encode as _};
    Compact(number).encode_to(out);
}
