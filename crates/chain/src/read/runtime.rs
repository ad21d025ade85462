//! One version of the chain's runtime: what it holds, what can be asked, and of what types.

use std::fmt;

use frame_decode::runtime_apis::encode_runtime_api_inputs;
use frame_decode::storage::IntoEncodableValues;
use frame_decode::storage::{StorageTypeInfo as _, decode_storage_key_with_info, encode_storage_key_prefix, encode_storage_key_suffix};
use scale_info::{TypeDef, TypeDefPrimitive};
use subxt_metadata::Metadata;

use super::events::{self, Event};
use super::legacy::{self, Legacy};
use super::metadata;
use super::scale::{FromScale, ScaleError, Shapes, Value, decode};

/// The description of one runtime version, and the decoding by it.
pub struct Runtime {
    spec_version: u32,
    metadata: Metadata,
    shapes: Shapes,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("spec_version", &self.spec_version).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Reads metadata of version 14, 15 or 16, beginning with its magic number.
    ///
    /// # Errors
    ///
    /// [`ScaleError::Metadata`].
    pub fn new(spec_version: u32, metadata: &[u8]) -> Result<Self, ScaleError> {
        let metadata = metadata::read(metadata)?;
        let shapes = Shapes::new(metadata.types());
        Ok(Self { spec_version, metadata, shapes })
    }

    /// Compares the version with the one that the metadata names, in the constant `System.Version`.
    ///
    /// # Errors
    ///
    /// [`ScaleError::Metadata`] where they differ; as [`Runtime::constant`].
    pub(super) fn check_version(&self) -> Result<(), ScaleError> {
        let version: Value = self.constant("System", "Version")?;
        let named = version.field("spec_version").and_then(Value::as_u64);
        if named == Some(u64::from(self.spec_version)) {
            return Ok(());
        }
        let named = named.map_or_else(|| "none".to_owned(), |version| version.to_string());
        Err(ScaleError::Metadata(format!("it is not of the version that the node named, but of {named}")))
    }

    /// The number that grows with every change of the runtime.
    pub fn spec_version(&self) -> u32 {
        self.spec_version
    }

    /// The description itself, on which extrinsics are built.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Whether the runtime has a call such as `SubnetInfoRuntimeApi_get_metagraph`.
    pub fn has_call(&self, api: &str, method: &str) -> bool {
        self.metadata.runtime_api_trait_by_name(api).is_some_and(|api| api.method_by_name(method).is_some())
    }

    /// Whether the runtime has a storage item such as `SubtensorModule.Burn`.
    pub fn has_storage(&self, pallet: &str, item: &str) -> bool {
        self.metadata.storage_info(pallet, item).is_ok()
    }

    /// The key of a storage item, or the prefix of a map's keys where fewer `keys` are given than the map has.
    ///
    /// # Errors
    ///
    /// [`ScaleError::Unknown`], [`ScaleError::Argument`].
    pub fn storage_key(&self, pallet: &str, item: &str, keys: impl IntoEncodableValues) -> Result<Vec<u8>, ScaleError> {
        self.known_storage(pallet, item)?;
        let mut key = encode_storage_key_prefix(pallet, item).to_vec();
        key.extend(
            encode_storage_key_suffix(pallet, item, keys, &self.metadata, self.metadata.types())
                .map_err(|error| ScaleError::Argument { what: format!("{pallet}.{item}"), why: error.to_string() })?,
        );
        Ok(key)
    }

    /// The last part of a map's key, which is what tells its entries apart.
    ///
    /// # Errors
    ///
    /// [`ScaleError::Unknown`]; [`ScaleError::Mismatch`] for a key of something else, or one of which only the hash is there.
    pub fn last_key<T: FromScale>(&self, pallet: &str, item: &str, key: &[u8]) -> Result<T, ScaleError> {
        let what = format!("a key of {pallet}.{item}");
        let mismatch = |why: String| ScaleError::Mismatch { what: what.clone(), why };
        self.known_storage(pallet, item)?;
        let info = self.metadata.storage_info(pallet, item).map_err(|error| ScaleError::Unknown(error.to_string()))?;
        if !key.starts_with(&encode_storage_key_prefix(pallet, item)) {
            return Err(mismatch("it is the key of something else".to_owned()));
        }
        let parts = decode_storage_key_with_info(&mut &*key, &info, self.metadata.types()).map_err(|error| mismatch(error.to_string()))?;
        let last = parts.parts().last().and_then(|part| part.value()).ok_or_else(|| mismatch("it holds only a hash".to_owned()))?;
        decode(&what, key.get(last.range()).unwrap_or_default(), *last.ty(), self.metadata.types())
    }

    /// The value of a storage item from its bytes. Without bytes it is the item's default, or `None` if it has none.
    ///
    /// # Errors
    ///
    /// Any but [`ScaleError::Metadata`].
    pub fn storage_value<T: FromScale>(&self, pallet: &str, item: &str, bytes: Option<&[u8]>) -> Result<Option<T>, ScaleError> {
        let ty = self.known_storage(pallet, item)?;
        let entry =
            self.metadata.pallet_by_name(pallet).and_then(|pallet| pallet.storage()).and_then(|storage| storage.entry_by_name(item));
        let default = entry.and_then(|entry| entry.default_value());
        let Some(bytes) = bytes.or(default) else { return Ok(None) };
        decode(&format!("{pallet}.{item}"), bytes, ty, self.metadata.types()).map(Some)
    }

    /// The arguments of a runtime call.
    ///
    /// # Errors
    ///
    /// [`ScaleError::Unknown`], [`ScaleError::Argument`].
    pub fn call_arguments(&self, api: &str, method: &str, arguments: impl IntoEncodableValues) -> Result<Vec<u8>, ScaleError> {
        self.known_call(api, method)?;
        encode_runtime_api_inputs(api, method, arguments, &self.metadata, self.metadata.types())
            .map_err(|error| ScaleError::Argument { what: format!("{api}_{method}"), why: error.to_string() })
    }

    /// What a runtime call answered. Runtimes up to about version 219 answer some calls with bytes in bytes; those are unwrapped.
    ///
    /// # Errors
    ///
    /// Any but [`ScaleError::Metadata`].
    pub fn call_answer<T: FromScale>(&self, api: &str, method: &str, bytes: &[u8]) -> Result<T, ScaleError> {
        let ty = self.known_call(api, method)?;
        let what = format!("the answer of {api}_{method}");
        self.safe(ty, &what)?;
        if self.is_bytes(ty)
            && let Some(legacy) = Legacy::of(method)
        {
            return legacy.answer(&what, bytes);
        }
        decode(&what, bytes, ty, self.metadata.types())
    }

    /// The events of a block, from the bytes of `System.Events`.
    ///
    /// # Errors
    ///
    /// As [`Runtime::storage_value`].
    pub fn events(&self, bytes: &[u8]) -> Result<Vec<Event>, ScaleError> {
        events::events(self, bytes)
    }

    /// A constant of a pallet.
    ///
    /// # Errors
    ///
    /// Any but [`ScaleError::Metadata`].
    pub fn constant<T: FromScale>(&self, pallet: &str, name: &str) -> Result<T, ScaleError> {
        let what = format!("{pallet}.{name}");
        let constant = self.metadata.pallet_by_name(pallet).and_then(|pallet| pallet.constant_by_name(name));
        let constant = constant.ok_or_else(|| ScaleError::Unknown(format!("constant {what}")))?;
        self.safe(constant.ty(), &what)?;
        decode(&what, constant.value(), constant.ty(), self.metadata.types())
    }

    /// Decodes an answer of the older JSON-RPC methods (`neuronInfo_getNeuron` and the like), which give bare bytes.
    ///
    /// # Errors
    ///
    /// [`ScaleError::Mismatch`], [`ScaleError::LeftOver`].
    pub fn bare_answer<T: FromScale>(method: &str, bytes: &[u8]) -> Result<T, ScaleError> {
        let legacy = Legacy::of_rpc(method).ok_or_else(|| ScaleError::Unknown(format!("JSON-RPC method {method}")))?;
        legacy::bare(legacy, method, bytes)
    }

    /// Decodes a type that is known by its path, such as `sp_runtime::DispatchError`: for what a runtime hands out without describing it.
    ///
    /// # Errors
    ///
    /// Any but [`ScaleError::Metadata`].
    pub(crate) fn named<T: FromScale>(&self, path: &str, bytes: &[u8]) -> Result<T, ScaleError> {
        let is_it = |segments: &[String]| segments.iter().map(String::as_str).eq(path.split("::"));
        let ty = self.metadata.types().types.iter().find(|ty| is_it(&ty.ty.path.segments));
        let ty = ty.ok_or_else(|| ScaleError::Unknown(format!("type {path}")))?.id;
        self.safe(ty, path)?;
        decode(path, bytes, ty, self.metadata.types())
    }

    fn known_storage(&self, pallet: &str, item: &str) -> Result<u32, ScaleError> {
        let what = || format!("storage {pallet}.{item}");
        let info = self.metadata.storage_info(pallet, item).map_err(|_| ScaleError::Unknown(what()))?;
        self.safe(info.value_id, &what())?;
        // Encoding follows descriptions as decoding does.
        info.keys.iter().try_for_each(|key| self.safe(key.key_id, &what()))?;
        Ok(info.value_id)
    }

    fn known_call(&self, api: &str, method: &str) -> Result<u32, ScaleError> {
        let what = || format!("call {api}_{method}");
        let call = self.metadata.runtime_api_trait_by_name(api).and_then(|api| api.method_by_name(method));
        let call = call.ok_or_else(|| {
            // Metadata of before version 15: what a call answers would be guessed.
            let describes_any = self.metadata.runtime_api_traits().next().is_some();
            ScaleError::Unknown(if describes_any { what() } else { format!("{}: its metadata describes no calls at all", what()) })
        })?;
        call.inputs().try_for_each(|input| self.safe(input.id, &what()))?;
        Ok(call.output_ty())
    }

    /// Whether values of a type can be decoded and encoded without danger. See [`Shapes`].
    pub(crate) fn is_safe(&self, ty: u32) -> bool {
        self.shapes.is_safe(ty)
    }

    fn safe(&self, ty: u32, what: &str) -> Result<(), ScaleError> {
        if self.is_safe(ty) { Ok(()) } else { Err(ScaleError::Unsafe(what.to_owned())) }
    }

    fn is_bytes(&self, ty: u32) -> bool {
        let def = |ty: u32| self.metadata.types().resolve(ty).map(|ty| &ty.type_def);
        matches!(def(ty), Some(TypeDef::Sequence(items))
            if matches!(def(items.type_param.id), Some(TypeDef::Primitive(TypeDefPrimitive::U8))))
    }
}
