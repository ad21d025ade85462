//! Numbers, lists, options, pairs, texts and accounts.

use std::cell::Cell;
use std::marker::PhantomData;

use scale_decode::error::ErrorKind;
use scale_decode::visitor::types::{Array, Composite, Sequence, Tuple, Variant};
use scale_decode::visitor::{DecodeError, TypeIdFor};
use scale_decode::{Error, IntoVisitor, Visitor};
use scale_info::PortableRegistry;

use super::FromScale;
use crate::read::AccountId;

macro_rules! as_the_library_does {
    ($($ty:ty),*) => { $(
        impl FromScale for $ty {
            type Visitor = <$ty as IntoVisitor>::AnyVisitor<PortableRegistry>;

            fn visitor() -> Self::Visitor {
                <$ty as IntoVisitor>::into_visitor::<PortableRegistry>()
            }
        }
    )* };
}

as_the_library_does!(bool, u8, u16, u32, u64, u128, i64, i128);

/// More items than this are not reserved ahead: a length is a claim, not a fact.
const RESERVED: usize = 1024;

thread_local! {
    /// How many more bytes of memory the items of lists may take on this thread. A decoding begins and ends on one thread, without a pause.
    static ALLOWED: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Allows lists of so many bytes of memory for the decoding that follows.
pub(super) fn allow(bytes: usize) {
    ALLOWED.set(bytes);
}

/// The items of a sequence or an array, also when a type such as `BoundedVec` is wrapped around it.
pub struct ListVisitor<T>(PhantomData<T>);

impl<T: FromScale> ListVisitor<T> {
    fn items(claimed: usize, bytes: &[u8], mut next: impl FnMut() -> Option<Result<T, Error>>) -> Result<Vec<T>, Error> {
        // Every type that passes `Shapes` takes at least one byte.
        if claimed > bytes.len() {
            return Err(DecodeError::NotEnoughInput.into());
        }
        // An item that is not there is one byte, `None`, and takes as much memory as one that is.
        let Some(left) = size_of::<T>().checked_mul(claimed).and_then(|bytes| ALLOWED.get().checked_sub(bytes)) else {
            return Err(Error::custom_str("its lists take more memory than anything on the chain"));
        };
        ALLOWED.set(left);
        let mut items = Vec::with_capacity(claimed.min(RESERVED));
        while let Some(item) = next() {
            items.push(item.map_err(|error| error.at_idx(items.len()))?);
        }
        Ok(items)
    }
}

impl<T: FromScale> Visitor for ListVisitor<T> {
    type Value<'scale, 'types> = Vec<T>;
    type Error = Error;
    type TypeResolver = PortableRegistry;

    fn visit_sequence<'scale, 'types>(
        self,
        value: &mut Sequence<'scale, 'types, PortableRegistry>,
        _: TypeIdFor<Self>,
    ) -> Result<Vec<T>, Error> {
        Self::items(value.remaining(), value.bytes_from_undecoded(), || value.decode_item(T::visitor()))
    }

    fn visit_array<'scale, 'types>(self, value: &mut Array<'scale, 'types, PortableRegistry>, _: TypeIdFor<Self>) -> Result<Vec<T>, Error> {
        Self::items(value.remaining(), value.bytes_from_undecoded(), || value.decode_item(T::visitor()))
    }

    fn visit_composite<'scale, 'types>(
        self,
        value: &mut Composite<'scale, 'types, PortableRegistry>,
        _: TypeIdFor<Self>,
    ) -> Result<Vec<T>, Error> {
        only_field(value, self)
    }
}

impl<T: FromScale> FromScale for Vec<T> {
    type Visitor = ListVisitor<T>;

    fn visitor() -> Self::Visitor {
        ListVisitor(PhantomData)
    }
}

/// Looks through a wrapper of one field.
fn only_field<'scale, 'types, V>(
    value: &mut Composite<'scale, 'types, PortableRegistry>,
    visitor: V,
) -> Result<V::Value<'scale, 'types>, Error>
where
    V: Visitor<Error = Error, TypeResolver = PortableRegistry>,
{
    let fields = value.remaining();
    match value.decode_item(visitor) {
        Some(inner) if fields == 1 => inner,
        _ => Err(Error::new(ErrorKind::WrongLength { actual_len: fields, expected_len: 1 })),
    }
}

/// `Some` or `None` as the runtime's own `Option`.
pub struct OptionVisitor<T>(PhantomData<T>);

impl<T: FromScale> Visitor for OptionVisitor<T> {
    type Value<'scale, 'types> = Option<T>;
    type Error = Error;
    type TypeResolver = PortableRegistry;

    fn visit_variant<'scale, 'types>(
        self,
        value: &mut Variant<'scale, 'types, PortableRegistry>,
        _: TypeIdFor<Self>,
    ) -> Result<Option<T>, Error> {
        match value.name() {
            "None" => Ok(None),
            "Some" => only_field(value.fields(), T::visitor()).map(Some),
            other => Err(Error::new(ErrorKind::CannotFindVariant { got: other.to_owned(), expected: vec!["Some", "None"] })),
        }
    }
}

impl<T: FromScale> FromScale for Option<T> {
    type Visitor = OptionVisitor<T>;

    fn visitor() -> Self::Visitor {
        OptionVisitor(PhantomData)
    }
}

/// Two values side by side.
pub struct PairVisitor<A, B>(PhantomData<(A, B)>);

impl<A: FromScale, B: FromScale> Visitor for PairVisitor<A, B> {
    type Value<'scale, 'types> = (A, B);
    type Error = Error;
    type TypeResolver = PortableRegistry;

    fn visit_tuple<'scale, 'types>(self, value: &mut Tuple<'scale, 'types, PortableRegistry>, _: TypeIdFor<Self>) -> Result<(A, B), Error> {
        let items = value.remaining();
        match (value.decode_item(A::visitor()).transpose()?, value.decode_item(B::visitor()).transpose()?) {
            (Some(a), Some(b)) if items == 2 => Ok((a, b)),
            _ => Err(Error::new(ErrorKind::WrongLength { actual_len: items, expected_len: 2 })),
        }
    }
}

impl<A: FromScale, B: FromScale> FromScale for (A, B) {
    type Visitor = PairVisitor<A, B>;

    fn visitor() -> Self::Visitor {
        PairVisitor(PhantomData)
    }
}

/// A public key: 32 bytes, wrapped or not.
pub struct AccountVisitor;

impl Visitor for AccountVisitor {
    type Value<'scale, 'types> = AccountId;
    type Error = Error;
    type TypeResolver = PortableRegistry;

    fn visit_array<'scale, 'types>(
        self,
        value: &mut Array<'scale, 'types, PortableRegistry>,
        _: TypeIdFor<Self>,
    ) -> Result<AccountId, Error> {
        let mut bytes = [0; 32];
        if value.remaining() != bytes.len() {
            return Err(Error::new(ErrorKind::WrongLength { actual_len: value.remaining(), expected_len: bytes.len() }));
        }
        for byte in &mut bytes {
            *byte = value.decode_item(u8::visitor()).transpose()?.unwrap_or_default();
        }
        Ok(AccountId(bytes))
    }

    fn visit_composite<'scale, 'types>(
        self,
        value: &mut Composite<'scale, 'types, PortableRegistry>,
        _: TypeIdFor<Self>,
    ) -> Result<AccountId, Error> {
        only_field(value, self)
    }
}

impl FromScale for AccountId {
    type Visitor = AccountVisitor;

    fn visitor() -> Self::Visitor {
        AccountVisitor
    }
}

/// A text that somebody put on the chain. The chain does not check that it is UTF-8: what is not is replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Text(pub String);

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// See [`Text`].
pub struct TextVisitor;

impl Visitor for TextVisitor {
    type Value<'scale, 'types> = Text;
    type Error = Error;
    type TypeResolver = PortableRegistry;

    fn visit_sequence<'scale, 'types>(
        self,
        value: &mut Sequence<'scale, 'types, PortableRegistry>,
        id: TypeIdFor<Self>,
    ) -> Result<Text, Error> {
        Vec::<u8>::visitor().visit_sequence(value, id).map(|bytes| Text(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn visit_composite<'scale, 'types>(
        self,
        value: &mut Composite<'scale, 'types, PortableRegistry>,
        _: TypeIdFor<Self>,
    ) -> Result<Text, Error> {
        only_field(value, self)
    }
}

impl FromScale for Text {
    type Visitor = TextVisitor;

    fn visitor() -> Self::Visitor {
        TextVisitor
    }
}
