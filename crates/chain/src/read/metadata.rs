//! Metadata from its bytes, without what could keep a decoder busy for ever or end the process.
//!
//! `subxt_metadata::Metadata::decode_from` also tries two other wrappings of metadata, one of them by calling itself with the very same
//! bytes: four bytes from a node overflow the stack. So the bytes are decoded here, in the one form in which nodes hand them out.

use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed};
use parity_scale_codec::Decode as _;
use scale_info::form::PortableForm;
use scale_info::{Field, PortableRegistry, TypeDef};
use subxt_metadata::Metadata;

use super::scale::ScaleError;

/// Metadata of this chain has some 300 KiB. In memory it takes four times that, and what is made up to take much some fifty times.
const MAX_BYTES: usize = 2 << 20;
/// Storage items of one pallet: each is looked up among the others. The real chain's largest has about 250.
const MAX_ENTRIES: usize = 4096;
/// Bytes of a name of a field or case.
const MAX_NAME: usize = 128;

/// Reads metadata of version 14, 15 or 16, beginning with its magic number.
pub(super) fn read(bytes: &[u8]) -> Result<Metadata, ScaleError> {
    let refused = |why: &str| ScaleError::Metadata(why.to_owned());
    if bytes.len() > MAX_BYTES {
        return Err(ScaleError::Metadata(format!("it has {} bytes, more than any chain's", bytes.len())));
    }
    let RuntimeMetadataPrefixed(magic, metadata) =
        RuntimeMetadataPrefixed::decode(&mut &*bytes).map_err(|error| ScaleError::Metadata(error.to_string()))?;
    if magic != frame_metadata::META_RESERVED {
        return Err(refused("it does not begin as metadata does"));
    }
    let few = |entries: usize| if entries > MAX_ENTRIES { Err(refused("a pallet has too many storage items")) } else { Ok(()) };
    let metadata = match metadata {
        RuntimeMetadata::V14(metadata) => {
            check(&metadata.types)?;
            metadata.pallets.iter().filter_map(|pallet| pallet.storage.as_ref()).try_for_each(|storage| few(storage.entries.len()))?;
            Metadata::from_v14(metadata)
        }
        RuntimeMetadata::V15(metadata) => {
            check(&metadata.types)?;
            metadata.pallets.iter().filter_map(|pallet| pallet.storage.as_ref()).try_for_each(|storage| few(storage.entries.len()))?;
            Metadata::from_v15(metadata)
        }
        RuntimeMetadata::V16(metadata) => {
            check(&metadata.types)?;
            metadata.pallets.iter().filter_map(|pallet| pallet.storage.as_ref()).try_for_each(|storage| few(storage.entries.len()))?;
            let extensions = metadata.extrinsic.transaction_extensions.len();
            let mut versions = metadata.extrinsic.transaction_extensions_by_version.values();
            // Whoever builds an extrinsic takes these for granted.
            if versions.len() == 0 || versions.any(|indexes| indexes.iter().any(|index| index.0 as usize >= extensions)) {
                return Err(refused("it lists transaction extensions that are not there"));
            }
            Metadata::from_v16(metadata)
        }
        other => return Err(ScaleError::Metadata(format!("version {} is not known", other.version()))),
    };
    metadata.map_err(|error| ScaleError::Metadata(error.to_string()))
}

/// Types are found by their place in the list, and name it themselves too: both must be the same. Names of fields and cases stand in
/// every value that is decoded, so they must be short.
fn check(types: &PortableRegistry) -> Result<(), ScaleError> {
    for (place, ty) in types.types.iter().enumerate() {
        if ty.id as usize != place {
            return Err(ScaleError::Metadata("its types are numbered wrongly".to_owned()));
        }
        let long = |name: &str| name.len() > MAX_NAME;
        let long_field = |fields: &[Field<PortableForm>]| fields.iter().filter_map(|field| field.name.as_deref()).any(long);
        let long_name = match &ty.ty.type_def {
            TypeDef::Composite(composite) => long_field(&composite.fields),
            TypeDef::Variant(variant) => variant.variants.iter().any(|variant| long(&variant.name) || long_field(&variant.fields)),
            _ => false,
        };
        if long_name {
            return Err(ScaleError::Metadata("a name in it is too long".to_owned()));
        }
    }
    Ok(())
}
