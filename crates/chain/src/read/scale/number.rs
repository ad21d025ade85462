//! Fixed-point numbers. How many bits stand behind the point is part of their type, as a number spelled in types.

use scale_decode::visitor::{DecodeAsTypeResult, DecodeError, TypeIdFor, decode_with_visitor};
use scale_decode::{Error, IntoVisitor, Visitor};
use scale_info::form::PortableForm;
use scale_info::{PortableRegistry, Type, TypeDef};

use super::FromScale;
use crate::read::Fixed;

/// Digits of a number of fraction bits that makes sense. More is a description that goes in circles.
const MAX_DIGITS: u32 = 9;

/// Fraction bits of a type of `substrate_fixed`; `None` when it is another type.
pub(super) fn fraction_bits(ty: &Type<PortableForm>, types: &PortableRegistry) -> Option<u8> {
    let segments = &ty.path.segments;
    if segments.first()? != "substrate_fixed" || !segments.last()?.starts_with("Fixed") {
        return None;
    }
    let parameter = ty.type_params.iter().find(|parameter| parameter.name == "Frac")?.ty?;
    u8::try_from(typenum(parameter.id, types)?).ok()
}

/// The value of `UInt<UInt<UTerm, B1>, B0>`: the most significant part, then one bit.
fn typenum(start: u32, types: &PortableRegistry) -> Option<u32> {
    let (mut value, mut id) = (0u32, start);
    for digit in 0..MAX_DIGITS {
        let ty = types.resolve(id)?;
        match ty.path.segments.last()?.as_str() {
            "UTerm" => return Some(value),
            "UInt" => {
                let [rest, bit] = ty.type_params.as_slice() else { return None };
                if types.resolve(bit.ty?.id)?.path.segments.last()? == "B1" {
                    value |= 1 << digit;
                }
                id = rest.ty?.id;
            }
            _ => return None,
        }
    }
    None
}

/// See [`Fixed`].
pub struct FixedVisitor;

impl Visitor for FixedVisitor {
    type Value<'scale, 'types> = Fixed;
    type Error = Error;
    type TypeResolver = PortableRegistry;

    // The one hook that is handed the description of the type.
    fn unchecked_decode_as_type(
        self,
        input: &mut &[u8],
        id: TypeIdFor<Self>,
        types: &PortableRegistry,
    ) -> DecodeAsTypeResult<Self, Result<Fixed, Error>> {
        DecodeAsTypeResult::Decoded(decode(input, id, types))
    }
}

/// Reads a fixed-point number and moves `input` behind it.
pub(super) fn decode(input: &mut &[u8], id: u32, types: &PortableRegistry) -> Result<Fixed, Error> {
    let wrong = || Error::custom_str("not a fixed-point type of substrate_fixed");
    let ty = types.resolve(id).ok_or_else(|| DecodeError::TypeIdNotFound(id.to_string()))?;
    let fraction = fraction_bits(ty, types).ok_or_else(wrong)?;
    let TypeDef::Composite(composite) = &ty.type_def else { return Err(wrong()) };
    let [bits] = composite.fields.as_slice() else { return Err(wrong()) };
    let signed = ty.path.segments.last().is_some_and(|name| name.starts_with("FixedI"));
    let (negative, magnitude) = if signed {
        let value = decode_with_visitor(input, bits.ty.id, types, i128::into_visitor::<PortableRegistry>())?;
        (value < 0, value.unsigned_abs())
    } else {
        (false, decode_with_visitor(input, bits.ty.id, types, u128::into_visitor::<PortableRegistry>())?)
    };
    Fixed::new(negative, magnitude, fraction).ok_or_else(wrong)
}

impl FromScale for Fixed {
    type Visitor = FixedVisitor;

    fn visitor() -> Self::Visitor {
        FixedVisitor
    }
}
