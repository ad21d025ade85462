//! Any value, for what has no struct of ours: events, hyperparameters.

use std::cell::Cell;

use scale_decode::visitor::types::{Array, BitSequence, Composite, Sequence, Str, Tuple, Variant};
use scale_decode::visitor::{DecodeAsTypeResult, DecodeError, TypeIdFor, decode_with_visitor};
use scale_decode::{Error, Visitor};
use scale_info::{PortableRegistry, TypeDef, TypeDefPrimitive};
use serde::ser::{SerializeMap as _, Serializer};

use super::{FromScale, number};
use crate::read::{AccountId, Fixed};

/// A decoded value of whatever type. As JSON: numbers beyond 64 bits are texts, bytes are `0x…`, accounts are addresses.
///
/// Ours rather than `scale-value`'s: that one reserves what a length claims, and knows neither accounts nor fixed-point numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number, compact or not.
    Unsigned(u128),
    /// A whole number with a sign.
    Signed(i128),
    /// A number with a binary fraction.
    Fixed(Fixed),
    /// A text.
    Text(String),
    /// A row of bytes; or of bits, a byte for each.
    Bytes(Vec<u8>),
    /// A public key.
    Account(AccountId),
    /// A list, an array or a tuple.
    List(Vec<Value>),
    /// Named fields.
    Record(Vec<(String, Value)>),
    /// One case of several, with its fields: a [`Value::Record`] or a [`Value::List`].
    Variant(String, Box<Value>),
}

impl Value {
    /// A named field of a record, or of a case's record.
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Record(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, value)| value),
            Self::Variant(_, fields) => fields.field(name),
            _ => None,
        }
    }

    /// The n-th item of a list, or of a case's unnamed fields; or the n-th field of a record.
    pub fn item(&self, n: usize) -> Option<&Self> {
        match self {
            Self::List(items) => items.get(n),
            Self::Record(fields) => fields.get(n).map(|(_, value)| value),
            Self::Variant(_, fields) => fields.item(n),
            _ => None,
        }
    }

    /// As a number of up to 64 bits.
    pub fn as_u64(&self) -> Option<u64> {
        if let Self::Unsigned(value) = self { u64::try_from(*value).ok() } else { None }
    }

    /// As a number of up to 16 bits, such as a netuid or a UID.
    pub fn as_u16(&self) -> Option<u16> {
        self.as_u64().and_then(|value| u16::try_from(value).ok())
    }

    /// As a public key.
    pub fn as_account(&self) -> Option<AccountId> {
        if let Self::Account(account) = self { Some(*account) } else { None }
    }

    /// As true or false.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }
}

impl serde::Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => match u64::try_from(*value) {
                Ok(small) => serializer.serialize_u64(small),
                Err(_) => serializer.collect_str(value),
            },
            Self::Signed(value) => match i64::try_from(*value) {
                Ok(small) => serializer.serialize_i64(small),
                Err(_) => serializer.collect_str(value),
            },
            Self::Fixed(value) => serializer.collect_str(value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.collect_str(&format_args!("0x{}", hex::encode(bytes))),
            Self::Account(account) => account.serialize(serializer),
            Self::List(items) => serializer.collect_seq(items),
            Self::Record(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, value))),
            Self::Variant(name, fields) if matches!(&**fields, Self::List(items) if items.is_empty()) => serializer.serialize_str(name),
            Self::Variant(name, fields) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(name, fields)?;
                map.end()
            }
        }
    }
}

thread_local! {
    /// How many more values may be made on this thread. A decoding begins and ends on one thread, without a pause.
    static ALLOWED: Cell<u32> = const { Cell::new(u32::MAX) };
}

/// Allows so many values for the decoding that follows.
pub(super) fn allow(values: u32) {
    ALLOWED.set(values);
}

/// Makes a [`Value`].
pub struct ValueVisitor;

impl ValueVisitor {
    fn items(claimed: usize, bytes: &[u8], mut next: impl FnMut() -> Option<Result<Value, Error>>) -> Result<Value, Error> {
        if claimed > bytes.len() {
            return Err(DecodeError::NotEnoughInput.into());
        }
        let mut items = Vec::new();
        while let Some(item) = next() {
            items.push(item?);
        }
        Ok(Value::List(items))
    }

    /// What is more than its parts.
    fn special(input: &mut &[u8], id: u32, types: &PortableRegistry) -> Option<Result<Value, Error>> {
        let ty = types.resolve(id)?;
        let is_u8 = |id: u32| matches!(types.resolve(id).map(|ty| &ty.type_def), Some(TypeDef::Primitive(TypeDefPrimitive::U8)));
        match &ty.type_def {
            TypeDef::Sequence(sequence) if is_u8(sequence.type_param.id) => {}
            TypeDef::Array(array) if is_u8(array.type_param.id) => {}
            TypeDef::Composite(_) if ty.path.segments.last().is_some_and(|name| name == "AccountId32") => {
                return Some(decode_with_visitor(input, id, types, AccountId::visitor()).map(Value::Account));
            }
            TypeDef::Composite(_) if number::fraction_bits(ty, types).is_some() => {
                return Some(number::decode(input, id, types).map(Value::Fixed));
            }
            _ => return None,
        }
        Some(decode_with_visitor(input, id, types, Vec::<u8>::visitor()).map(Value::Bytes))
    }
}

fn fields(value: &mut Composite<'_, '_, PortableRegistry>) -> Result<Value, Error> {
    let named = value.remaining() > 0 && !value.has_unnamed_fields();
    let (mut record, mut list) = (Vec::new(), Vec::new());
    loop {
        let name = value.peek_name();
        match value.decode_item(ValueVisitor).transpose()? {
            Some(item) if named => record.push((name.unwrap_or_default().to_owned(), item)),
            Some(item) => list.push(item),
            None => break,
        }
    }
    Ok(if named { Value::Record(record) } else { Value::List(list) })
}

macro_rules! numbers {
    ($($method:ident $ty:ty => $variant:ident),*) => { $(
        fn $method<'scale, 'types>(self, value: $ty, _: TypeIdFor<Self>) -> Result<Self::Value<'scale, 'types>, Error> {
            Ok(Value::$variant(value.into()))
        }
    )* };
}

impl Visitor for ValueVisitor {
    type Value<'scale, 'types> = Value;
    type Error = Error;
    type TypeResolver = PortableRegistry;

    numbers!(
        visit_bool bool => Bool,
        visit_char char => Text,
        visit_u8 u8 => Unsigned, visit_u16 u16 => Unsigned, visit_u32 u32 => Unsigned, visit_u64 u64 => Unsigned, visit_u128 u128 => Unsigned,
        visit_i8 i8 => Signed, visit_i16 i16 => Signed, visit_i32 i32 => Signed, visit_i64 i64 => Signed, visit_i128 i128 => Signed
    );

    fn unchecked_decode_as_type(
        self,
        input: &mut &[u8],
        id: TypeIdFor<Self>,
        types: &PortableRegistry,
    ) -> DecodeAsTypeResult<Self, Result<Value, Error>> {
        let Some(left) = ALLOWED.get().checked_sub(1) else {
            return DecodeAsTypeResult::Decoded(Err(Error::custom_str("it has more values than anything on the chain")));
        };
        ALLOWED.set(left);
        match Self::special(input, id, types) {
            Some(value) => DecodeAsTypeResult::Decoded(value),
            None => DecodeAsTypeResult::Skipped(self),
        }
    }

    fn visit_u256<'types>(self, value: &[u8; 32], _: TypeIdFor<Self>) -> Result<Self::Value<'_, 'types>, Error> {
        Ok(Value::Bytes(value.to_vec()))
    }

    fn visit_i256<'types>(self, value: &[u8; 32], _: TypeIdFor<Self>) -> Result<Self::Value<'_, 'types>, Error> {
        Ok(Value::Bytes(value.to_vec()))
    }

    fn visit_str<'scale, 'types>(self, value: &mut Str<'scale>, _: TypeIdFor<Self>) -> Result<Self::Value<'scale, 'types>, Error> {
        Ok(Value::Text(value.as_str()?.to_owned()))
    }

    fn visit_sequence<'scale, 'types>(
        self,
        value: &mut Sequence<'scale, 'types, PortableRegistry>,
        _: TypeIdFor<Self>,
    ) -> Result<Value, Error> {
        Self::items(value.remaining(), value.bytes_from_undecoded(), || value.decode_item(ValueVisitor))
    }

    fn visit_array<'scale, 'types>(self, value: &mut Array<'scale, 'types, PortableRegistry>, _: TypeIdFor<Self>) -> Result<Value, Error> {
        // Items without bytes: `Shapes` has made sure that they are few.
        let most = if value.remaining() <= 64 { usize::MAX } else { value.bytes_from_undecoded().len() };
        if value.remaining() > most {
            return Err(DecodeError::NotEnoughInput.into());
        }
        let mut items = Vec::new();
        while let Some(item) = value.decode_item(ValueVisitor) {
            items.push(item?);
        }
        Ok(Value::List(items))
    }

    fn visit_tuple<'scale, 'types>(self, value: &mut Tuple<'scale, 'types, PortableRegistry>, _: TypeIdFor<Self>) -> Result<Value, Error> {
        let mut items = Vec::new();
        while let Some(item) = value.decode_item(ValueVisitor) {
            items.push(item?);
        }
        Ok(Value::List(items))
    }

    fn visit_composite<'scale, 'types>(
        self,
        value: &mut Composite<'scale, 'types, PortableRegistry>,
        _: TypeIdFor<Self>,
    ) -> Result<Value, Error> {
        // A wrapper around one value is that value.
        if value.remaining() == 1 && value.has_unnamed_fields() {
            return value.decode_item(ValueVisitor).unwrap_or(Ok(Value::List(Vec::new())));
        }
        fields(value)
    }

    fn visit_variant<'scale, 'types>(
        self,
        value: &mut Variant<'scale, 'types, PortableRegistry>,
        _: TypeIdFor<Self>,
    ) -> Result<Value, Error> {
        let name = value.name().to_owned();
        Ok(Value::Variant(name, Box::new(fields(value.fields())?)))
    }

    fn visit_bitsequence<'scale, 'types>(
        self,
        value: &mut BitSequence<'scale>,
        _: TypeIdFor<Self>,
    ) -> Result<Self::Value<'scale, 'types>, Error> {
        let bits = value.decode()?;
        bits.map(|bit| bit.map(u8::from).map_err(Error::from)).collect::<Result<Vec<_>, _>>().map(Value::Bytes)
    }
}

impl FromScale for Value {
    type Visitor = ValueVisitor;

    fn visitor() -> Self::Visitor {
        ValueVisitor
    }
}

#[cfg(test)]
mod tests {
    use scale_info::{MetaType, Registry};

    use crate::read::scale::{Value, decode};

    #[test]
    fn an_answer_of_too_many_values_is_refused_and_the_next_one_is_not() {
        let mut registry = Registry::new();
        let id = registry.register_type(&MetaType::new::<Vec<bool>>()).id;
        let types = registry.into();
        // A million and a half booleans, in SCALE's four-byte length.
        let many = 1_500_000u32;
        let mut bytes = (many << 2 | 2).to_le_bytes().to_vec();
        bytes.extend(vec![1; many as usize]);
        let error = decode::<Value>("it", &bytes, id, &types).unwrap_err();
        assert!(error.to_string().contains("more values"), "{error}");
        assert_eq!(decode::<Value>("it", &[4, 1], id, &types).unwrap(), Value::List(vec![Value::Bool(true)]));
    }
}
