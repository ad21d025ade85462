//! SCALE bytes to values, by the types' own description and by field name.
//!
//! [`FromScale`] says which visitor makes a value of a Rust type; `record!` writes it for a struct from its fields' names. Fields that
//! a runtime adds are skipped, fields that it lacks are an error unless the struct gives them a default.

mod basic;
mod number;
mod record;
mod shape;
mod value;

use scale_decode::visitor::decode_with_visitor;
use scale_decode::{Error, Visitor};
use scale_info::PortableRegistry;

pub use basic::Text;
pub use record::{Record, RecordVisitor};
pub(crate) use record::{record, take};
pub use shape::Shapes;
pub use value::Value;

/// Why bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScaleError {
    /// The runtime has no such storage, call or constant.
    #[error("this runtime has no {0}")]
    Unknown(String),
    /// The runtime describes the type in a way that could not be decoded safely.
    #[error("the description of {0} is recursive or senseless, so it is not decoded")]
    Unsafe(String),
    /// The bytes do not fit the type.
    #[error("{what} cannot be decoded: {why}")]
    Mismatch {
        /// What was to be decoded.
        what: String,
        /// Why it could not.
        why: String,
    },
    /// Bytes were left over.
    #[error("{what} has {left} bytes more than its type")]
    LeftOver {
        /// What was decoded.
        what: String,
        /// How many bytes were left.
        left: usize,
    },
    /// The metadata itself.
    #[error("the metadata cannot be read: {0}")]
    Metadata(String),
    /// An argument does not fit the runtime's type for it.
    #[error("the arguments of {what} do not fit this runtime: {why}")]
    Argument {
        /// The storage or call.
        what: String,
        /// Why not.
        why: String,
    },
}

/// A value that can be made from SCALE bytes and the description of their type.
pub trait FromScale: Sized {
    /// Makes the value.
    type Visitor: for<'scale, 'types> Visitor<Value<'scale, 'types> = Self, Error = Error, TypeResolver = PortableRegistry>;

    /// The visitor for one value.
    fn visitor() -> Self::Visitor;
}

/// [`Value`]s that are made of one answer: they take much more memory than their bytes. A block's events are some 10,000.
const MAX_VALUES: u32 = 1 << 20;

/// Bytes of memory that the items of all lists of one answer may take. A subnet of 4,096 neurons, which are 16 times as many as most
/// subnets have, takes 2 MiB.
const MAX_LISTED: usize = 64 << 20;

/// Decodes all of `bytes` as the type `ty`. `what` names it in errors.
///
/// The caller has asked [`Shapes`] whether the type is safe.
pub(crate) fn decode<T: FromScale>(what: &str, mut bytes: &[u8], ty: u32, types: &PortableRegistry) -> Result<T, ScaleError> {
    value::allow(MAX_VALUES);
    basic::allow(MAX_LISTED);
    let value = decode_with_visitor(&mut bytes, ty, types, T::visitor())
        .map_err(|error| ScaleError::Mismatch { what: what.to_owned(), why: error.to_string() })?;
    if bytes.is_empty() { Ok(value) } else { Err(ScaleError::LeftOver { what: what.to_owned(), left: bytes.len() }) }
}
