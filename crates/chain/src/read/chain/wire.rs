//! The forms in which a node writes bytes, numbers and blocks.

use parity_scale_codec::Decode as _;
use serde_json::Value;

use crate::read::ReadError;
use crate::read::blocks::Header;

pub(super) fn malformed(method: &'static str, wanted: &str) -> ReadError {
    ReadError::Malformed { method, why: format!("{wanted} was expected") }
}

/// `0x…`
pub(super) fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

pub(super) fn bytes(method: &'static str, value: &Value) -> Result<Vec<u8>, ReadError> {
    let text = value.as_str().and_then(|text| text.strip_prefix("0x"));
    text.and_then(|text| hex::decode(text).ok()).ok_or_else(|| malformed(method, "bytes as 0x and hexadecimal digits"))
}

/// A value of the state, `null` where there is none.
pub(super) fn value(method: &'static str, value: &Value) -> Result<Option<Vec<u8>>, ReadError> {
    if value.is_null() { Ok(None) } else { bytes(method, value).map(Some) }
}

/// `Option<Vec<u8>>` in SCALE, as metadata is handed out.
pub(super) fn optional_bytes(method: &'static str, value: &Value) -> Result<Option<Vec<u8>>, ReadError> {
    Option::<Vec<u8>>::decode(&mut bytes(method, value)?.as_slice()).map_err(|_| malformed(method, "metadata or nothing"))
}

pub(super) fn hash(method: &'static str, value: &Value) -> Result<[u8; 32], ReadError> {
    bytes(method, value)?.try_into().map_err(|_| malformed(method, "a hash of 32 bytes"))
}

pub(in crate::read) fn header(method: &'static str, value: &Value) -> Result<Header, ReadError> {
    let number = value.get("number").and_then(Value::as_str).and_then(|text| text.strip_prefix("0x"));
    let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or_else(|| malformed(method, "a block's number"))?;
    let parent = value.get("parentHash").ok_or_else(|| malformed(method, "a parent's hash"))?;
    Ok(Header { number, parent: hash(method, parent)? })
}
