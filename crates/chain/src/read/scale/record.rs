//! Structs by field name.

use std::marker::PhantomData;

use scale_decode::visitor::TypeIdFor;
use scale_decode::visitor::types::Composite;
use scale_decode::{Error, Visitor};
use scale_info::PortableRegistry;

use super::FromScale;

/// A struct that is filled from named fields. Written by `record!`.
pub trait Record: Sized {
    /// Takes the fields it knows, in whatever order they come, and skips the others.
    ///
    /// # Errors
    ///
    /// A field that does not fit, or one without a default that is missing.
    fn from_fields(fields: &mut Composite<'_, '_, PortableRegistry>) -> Result<Self, Error>;
}

/// Fills a [`Record`].
pub struct RecordVisitor<T>(PhantomData<T>);

impl<T> RecordVisitor<T> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Record> Visitor for RecordVisitor<T> {
    type Value<'scale, 'types> = T;
    type Error = Error;
    type TypeResolver = PortableRegistry;

    fn visit_composite<'scale, 'types>(
        self,
        value: &mut Composite<'scale, 'types, PortableRegistry>,
        _: TypeIdFor<Self>,
    ) -> Result<T, Error> {
        T::from_fields(value)
    }
}

/// The next field.
pub(crate) fn take<T: FromScale>(fields: &mut Composite<'_, '_, PortableRegistry>, name: &'static str) -> Result<Option<T>, Error> {
    fields.decode_item(T::visitor()).transpose().map_err(|error| error.at_field(name))
}

/// A struct whose fields are decoded by their names. `= value` behind a field is what it is in runtimes that lack it.
macro_rules! record {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $( $(#[$field_meta:meta])* pub $field:ident : $ty:ty $(= $default:expr)? ),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        $vis struct $name { $( $(#[$field_meta])* pub $field: $ty ),* }

        impl $crate::read::scale::Record for $name {
            fn from_fields(
                fields: &mut scale_decode::visitor::types::Composite<'_, '_, scale_info::PortableRegistry>,
            ) -> Result<Self, scale_decode::Error> {
                $( let mut $field: Option<$ty> = None; )*
                while let Some(name) = fields.peek_name() {
                    match name {
                        $( stringify!($field) => $field = $crate::read::scale::take(fields, stringify!($field))?, )*
                        _ => { fields.decode_item(scale_decode::visitor::IgnoreVisitor::new()).transpose()?; }
                    }
                }
                Ok(Self { $( $field: match $field {
                    Some(value) => value,
                    None => $crate::read::scale::record!(@missing $field $(= $default)?),
                } ),* })
            }
        }

        impl $crate::read::scale::FromScale for $name {
            type Visitor = $crate::read::scale::RecordVisitor<Self>;

            fn visitor() -> Self::Visitor {
                $crate::read::scale::RecordVisitor::new()
            }
        }
    };
    (@missing $field:ident = $default:expr) => { $default };
    (@missing $field:ident) => {
        return Err(scale_decode::Error::new(scale_decode::error::ErrorKind::CannotFindField { name: stringify!($field).to_owned() }))
    };
}
pub(crate) use record;
